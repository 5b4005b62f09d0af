"""The launch script's text; what it does is in tests/host/test_launch_in_a_tree.py."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from hostemr.stacks.launch import LIMIT, PLACES, launch_script

SHA = "a" * 64


def text() -> str:
    return launch_script(resource="LaunchTemplate", agent_sha256=SHA, configuration_sha256="b" * 64)


def test_cloudformation_is_asked_for_what_it_knows_and_nothing_else() -> None:
    assert set(re.findall(r"\$\{([^}]*)\}", text())) == PLACES


def test_every_value_of_ours_is_filled() -> None:
    assert not re.search(r"@[a-z_0-9]+@", text())
    assert f'"{SHA}"' in text()
    assert "'LaunchTemplate'" in text()
    assert "b" * 64 in text()


def test_it_fits_into_user_data_with_long_names_filled_in() -> None:
    url = "x" * 800
    assert len(text().replace("${ReadyUrl}", url).replace("${AWS::StackId}", url).encode()) < LIMIT
    assert text().startswith("#!/bin/sh\n")


@pytest.mark.parametrize("shell", ["sh", "dash", "bash"])
def test_shellcheck_finds_nothing_in_what_the_server_is_given(shell: str) -> None:
    if not shutil.which("shellcheck"):
        pytest.skip("needs shellcheck")
    given = re.sub(r"\$\{[^}]*\}", "value", text()).replace("# shellcheck disable", "# no")
    found = subprocess.run(["shellcheck", "-s", shell, "-"], input=given, capture_output=True, text=True, check=False)
    assert found.stdout == ""


@pytest.mark.parametrize("wrong", [{"resource": "a b"}, {"agent_sha256": "abc"}, {"configuration_sha256": SHA.upper()}])
def test_what_is_no_digest_or_logical_id_is_refused(wrong: dict[str, str]) -> None:
    values = {"resource": "LaunchTemplate", "agent_sha256": SHA, "configuration_sha256": SHA, **wrong}
    with pytest.raises(ValueError, match=next(iter(wrong))):
        launch_script(**values)
