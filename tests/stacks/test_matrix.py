"""Every setting alone, every pair of values, and the sample deployments: each template is sound."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import pytest
from cfnlint.api import lint
from cfnlint.config import ManualArgs

from hostemr.deployment.load import as_context, load
from hostemr.deployment.table import settings_of
from hostemr.operate.order import creation_order
from hostemr.operate.stacks import stack_order
from hostemr.stacks.acknowledgements import ACKNOWLEDGEMENTS
from tests.stacks.configurations import SAMPLES, VALUES, fitting_pairs, pairs, single, singles
from tests.stacks.shared import shared
from tests.stacks.synthesis import synthesize

CONFIGURATIONS: dict[str, Mapping[str, Any]] = {
    **{f"sample {name}": context for name, context in SAMPLES.items()},
    **dict(singles()),
    **{f"pairs {number}": context for number, context in enumerate(pairs(), start=1)},
}


@cache
def complaints(template: str) -> tuple[str, ...]:
    """Of cfn-lint, whose rules know every resource type; the same text is judged once."""

    def judged() -> tuple[str, ...]:
        matches = lint(template, config=ManualArgs(regions=["us-east-1"]))
        return tuple(f"{match.rule.id} {match.path}: {match.message}" for match in matches)

    return shared(f"complaints {template}", judged)


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_a_configuration_is_sound(name: str) -> None:
    made = synthesize(CONFIGURATIONS[name])
    assert made.findings == ()
    for entry in ACKNOWLEDGEMENTS:
        assert entry.evidence(made.templates), entry.reason
    for text in made.texts:
        assert complaints(text) == ()
        assert len(text.encode()) < 1_000_000, "CloudFormation takes templates of up to 1 MB"
    stacks = {"openemr-data": made.templates.data, "openemr-service": made.templates.service}
    for template in stacks.values():
        creation_order(template)
    assert stack_order(stacks) == [("openemr-data",), ("openemr-service",)]


def test_the_values_differ_from_the_defaults_and_cover_every_setting() -> None:
    defaults = as_context(load("openemr", {}))
    aliases = {"security_group_ip_range_ipv4", "security_group_ip_range_ipv6"}
    assert set(VALUES) == {setting.key("openemr") for setting in settings_of("openemr")} - aliases
    for name, values in VALUES.items():
        for value in values:
            assert as_context(load("openemr", single(name, value)))[name] != defaults[name], f"{name}={value}"


def test_the_pairs_cover_every_two_values_that_fit_together() -> None:
    rows = pairs()
    wanted = fitting_pairs()
    assert len(wanted) > 1000
    for (left, left_value), (right, right_value) in wanted:
        together = any(row.get(left, rows) == left_value and row.get(right, rows) == right_value for row in rows)
        assert together, (left, left_value, right, right_value)
