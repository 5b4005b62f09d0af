"""The file that keeps clients."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hostemr.errors import SettingsError
from hostemr.operate.verification.clients import ClientFile
from hostemr.operate.verification.oauth import Client

ONE = Client("id-1", "secret-1", "http://localhost:1/callback", "openid")
TWO = Client("id-2", "secret-2", "http://localhost:2/callback", "openid")


def test_clients_are_kept_by_issuer_for_their_owner_only(tmp_path: Path) -> None:
    file = ClientFile(tmp_path / "clients.json")
    assert file.find("https://one.example/oauth2/default") is None
    file.keep("https://one.example/oauth2/default", ONE)
    file.keep("https://two.example/oauth2/default", TWO)
    assert file.find("https://one.example/oauth2/default") == ONE
    assert file.find("https://two.example/oauth2/default") == TWO
    assert [path.name for path in tmp_path.iterdir()] == ["clients.json"], "no half-written file is left"
    assert (tmp_path / "clients.json").stat().st_mode & 0o777 == 0o600
    assert "secret-1" not in repr(ONE)


def test_a_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "clients.json"
    ClientFile(path).keep("https://one.example/oauth2/default", ONE)
    path.chmod(0o644)
    with pytest.raises(SettingsError, match="mode 0644") as refused:
        ClientFile(path).find("https://one.example/oauth2/default")
    assert refused.value.hint == f"chmod 600 {path}"


@pytest.mark.parametrize(
    "text",
    ["{", "[]", '{"format": 2, "clients": {}}', '{"format": 1, "clients": 1}', '{"format": 1, "clients": {"i": {}}}'],
)
def test_a_file_of_another_make_is_refused_and_kept(tmp_path: Path, text: str) -> None:
    path = tmp_path / "clients.json"
    path.touch(mode=0o600)
    path.write_text(text)
    with pytest.raises(SettingsError, match="none that hostemr wrote"):
        ClientFile(path).find("i")
    assert path.read_text() == text


def test_a_folder_that_does_not_exist_is_said(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be written: No such file"):
        ClientFile(tmp_path / "nowhere" / "clients.json").keep("i", ONE)


def test_what_is_written_can_be_read_by_others_programs(tmp_path: Path) -> None:
    path = tmp_path / "clients.json"
    ClientFile(path).keep("i", ONE)
    assert json.loads(path.read_text())["clients"]["i"]["client_id"] == "id-1"
