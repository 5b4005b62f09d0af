"""The checks as a set, and their reference page."""

from __future__ import annotations

import re
from importlib import import_module

import pytest

from hostemr.operate.checks import registry
from hostemr.operate.checks.record import SEVERITIES, Check
from hostemr.operate.checks.reference import reference
from hostemr.operate.checks.registry import BY_ID, CHECKS


def _file(identity: str) -> str:
    return re.sub(r"(?<!^)([A-Z])", r"_\1", identity.removeprefix("HOSTEMR-")).lower()


def test_ids_differ_and_every_file_with_a_check_is_registered() -> None:
    assert len(BY_ID) == len(CHECKS) >= 30
    named = {name for name in vars(registry) if hasattr(getattr(registry, name), "CHECK")}
    assert {f"hostemr.operate.checks.{name}" for name in named} == {one.find.__module__ for one in CHECKS}


@pytest.mark.parametrize("check", CHECKS, ids=[one.id for one in CHECKS])
def test_a_checks_record_is_whole_and_its_file_bears_its_name(check: Check) -> None:
    assert import_module(f"hostemr.operate.checks.{_file(check.id)}").CHECK is check
    assert check.severity in SEVERITIES
    assert check.source.startswith("https://docs.aws.amazon.com/")
    assert check.reason.endswith(".")
    assert not check.title.endswith(".")


def test_the_reference_has_every_check_with_its_source() -> None:
    page = reference()
    for one in CHECKS:
        assert f"## {one.id}\n\n**{one.title}.** {one.reason}\n\nSource: <{one.source}>" in page
