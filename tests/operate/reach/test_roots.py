"""Amazon's roots are fetched from the place of the region's partition."""

from __future__ import annotations

from pathlib import Path

import pytest

from hostemr.deployment.database_roots import bundle_url
from hostemr.errors import OutsideWorldError
from hostemr.operate.reach.roots import fetch_roots

_PEM = b"-----BEGIN CERTIFICATE-----\n"


def test_each_partition_has_its_own_place() -> None:
    assert bundle_url("eu-central-1") == "https://truststore.pki.rds.amazonaws.com/global/global-bundle.pem"
    assert "us-gov-west-1" in bundle_url("us-gov-east-1")
    assert "amazonaws.com.cn" in bundle_url("cn-northwest-1")


def test_the_bundle_is_written_where_it_is_wanted(tmp_path: Path) -> None:
    asked = []

    def download(url: str) -> bytes:
        asked.append(url)
        return _PEM

    file = fetch_roots("us-east-1", tmp_path, download=download)
    assert file.parent == tmp_path
    assert file.read_bytes() == _PEM
    assert asked == [bundle_url("us-east-1")]


def test_what_cannot_be_fetched_or_is_none_can_be_given_by_hand(tmp_path: Path) -> None:
    def fail(url: str) -> bytes:
        raise ConnectionError("no route")

    with pytest.raises(OutsideWorldError, match="were not fetched: no route") as told:
        fetch_roots("us-east-1", tmp_path, download=fail)
    assert "--ca FILE" in told.value.hint
    with pytest.raises(OutsideWorldError, match="is not a bundle of certificates"):
        fetch_roots("us-east-1", tmp_path, download=lambda _: b"<html>sign in to the wireless network</html>")
