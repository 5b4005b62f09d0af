"""Every setting flipped, every pair of values, and the sample deployments, for both applications: all are sound."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

import pytest
from cfnlint.api import lint
from cfnlint.config import ManualArgs

from hostemr.deployment.load import as_context, load
from hostemr.deployment.table import settings_of
from hostemr.operate.iam_grammar import check_statements
from hostemr.operate.order import creation_order
from hostemr.operate.stacks import stack_order
from hostemr.stacks.acknowledgements import ACKNOWLEDGEMENTS
from tests.stacks.configurations import APPLICATIONS, SAMPLES, VALUES, fitting_pairs, flips, pairs, single
from tests.stacks.shared import shared
from tests.stacks.synthesis import synthesize

Configuration = tuple[str, Mapping[str, Any]]

WHOLE: dict[str, Configuration] = {
    f"{application} {name}": (application, context)
    for application in APPLICATIONS
    for name, context in (
        *((f"sample {name}", context) for name, context in SAMPLES[application].items()),
        *((f"pairs {number}", context) for number, context in enumerate(pairs(application), start=1)),
    )
}
"""Between them they hold every two values together."""
FLIPPED: dict[str, Configuration] = {
    f"{application} {name}": (application, context)
    for application in APPLICATIONS
    for name, context in flips(application)
}


@cache
def complaints(template: str, except_for: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Of cfn-lint, whose rules know every resource type; the same text is judged once."""

    def judged() -> tuple[str, ...]:
        matches = lint(template, config=ManualArgs(regions=["us-east-1"], ignore_checks=list(except_for)))
        return tuple(f"{match.rule.id} {match.path}: {match.message}" for match in matches)

    return shared(f"complaints {except_for} {template}", judged)


@pytest.mark.parametrize("name", [*WHOLE, *FLIPPED])
def test_no_finding_is_open_and_every_reason_holds(name: str) -> None:
    application, context = (WHOLE | FLIPPED)[name]
    made = synthesize(context, application)
    assert made.findings == ()
    for entry in ACKNOWLEDGEMENTS:
        assert entry.evidence(made.templates), entry.reason


@pytest.mark.parametrize("name", WHOLE)
def test_a_template_is_sound(name: str) -> None:
    application, context = WHOLE[name]
    made = synthesize(context, application)
    for text in made.texts:
        assert len(text.encode()) < 1_000_000, "CloudFormation takes templates of up to 1 MB"
    for template in made.stacks.values():
        creation_order(template)
        assert check_statements(template) == []
    data, *others = made.stacks
    assert stack_order(made.stacks) == [(data,), tuple(sorted(others))]


@pytest.mark.parametrize("name", ["openemr sample hospital", "openmrs sample everything"])
def test_cfn_lint_says_nothing_of_a_whole_deployment(name: str) -> None:
    """Of the largest. Whatever others hold, the next test has judged, and `creation_order` knows what they refer to."""
    application, context = WHOLE[name]
    for text in synthesize(context, application).texts:
        assert complaints(text) == ()


# Of the same resource in several forms only this can be wrong: names are written twice, and there are too many.
TWICE = ("E3019", "E3010")


@pytest.mark.parametrize("stack", ["data", "service", "analytics"])
@pytest.mark.parametrize("application", APPLICATIONS)
def test_cfn_lint_says_nothing_of_any_form_of_a_resource(application: str, stack: str) -> None:
    """Every form that a resource or an output takes in any configuration, once each, in one template of them all.

    Whole templates differ by a few resources, and judging all of them would say the same a hundred times, for minutes.
    """
    merged: dict[str, Any] = {"Resources": {}, "Outputs": {}, "Mappings": {}}
    seen: set[str] = set()
    for of, context in (WHOLE | FLIPPED).values():
        template = getattr(synthesize(context, of).templates, stack) if of == application else None
        for section in ("Resources", "Outputs"):
            for name, one in (template or {}).get(section, {}).items():
                form = json.dumps({key: value for key, value in one.items() if key != "Metadata"}, sort_keys=True)
                # The suffix of a second deployment makes no other form.
                form = form.replace("-north", "")
                if f"{section} {name} {form}" not in seen:
                    seen.add(f"{section} {name} {form}")
                    # References lead to the first form, so that they are judged too.
                    free = name if name not in merged[section] else f"{name}Form{len(seen)}"
                    merged[section][free] = json.loads(form)
        merged["Mappings"] |= (template or {}).get("Mappings", {})
    assert merged["Resources"]
    assert complaints(json.dumps(merged), TWICE) == ()


@pytest.mark.parametrize("application", APPLICATIONS)
def test_the_values_differ_from_the_defaults_and_cover_every_setting(application: str) -> None:
    defaults = as_context(load(application, {}))
    aliases = {"security_group_ip_range_ipv4", "security_group_ip_range_ipv6"}
    assert set(VALUES[application]) == {setting.key(application) for setting in settings_of(application)} - aliases
    for name, values in VALUES[application].items():
        for value in values:
            found = as_context(load(application, single(name, value)))
            assert found[name] != defaults[name], f"{name}={value}"


@pytest.mark.parametrize("application", APPLICATIONS)
def test_the_pairs_cover_every_two_values_that_fit_together(application: str) -> None:
    rows = pairs(application)
    wanted = fitting_pairs(application)
    assert len(wanted) > 2000
    for (left, left_value), (right, right_value) in wanted:
        together = any(row.get(left, rows) == left_value and row.get(right, rows) == right_value for row in rows)
        assert together, (left, left_value, right, right_value)
