"""OpenEMR's and OpenMRS's templates are made by the same parts: nothing is written twice, nothing knows their names."""

from __future__ import annotations

import ast
import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import pytest

from hostemr.deployment.applications import APPLICATIONS
from tests.stacks.synthesis import synthesize

STACKS = Path(str(resources.files("hostemr.stacks")))
_TITLES = "|".join(f"{one.name}|{one.title}" for one in APPLICATIONS.values())
Which = Literal["data", "service"]


@cache
def plain(application: str, which: Which) -> Mapping[str, Any]:
    """The default template with the application's own name taken out of it."""
    made = synthesize({}, application).templates
    text = json.dumps(made.data if which == "data" else made.service)
    read: dict[str, Any] = json.loads(re.sub(f"{_TITLES}", "APPLICATION", text))
    return read


def differences(place: str, one: Any, other: Any) -> Iterator[str]:
    """The paths at which two values differ; lists of unequal length differ as a whole."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        for key in sorted({*one, *other}):
            if key in one and key in other:
                yield from differences(f"{place}/{key}", one[key], other[key])
            else:
                yield f"{place}/{key}"
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for number, (left, right) in enumerate(zip(one, other, strict=True)):
            yield from differences(f"{place}/{number}", left, right)
    elif one != other:
        yield place


def described_by(patterns: Mapping[str, str], places: Sequence[str]) -> tuple[list[str], list[str]]:
    """Places that no pattern describes, and patterns that describe no place."""
    unforeseen = [place for place in places if not any(re.fullmatch(one, place) for one in patterns)]
    idle = [one for one in patterns if not any(re.fullmatch(one, place) for place in places)]
    return unforeseen, idle


DATA = {
    "/Resources/Files(Sites|Shared).*": "the share has the application's own name and owner, as FileShare says",
    "/Outputs/ExportAccessPointId/Value/Ref": "that share",
    "/Resources/RecordsAttachments.*": "only OpenMRS can keep attachments in a bucket",
    "/Outputs/ExportAttachmentsBucket": "that bucket",
}


def test_the_data_stacks_differ_in_the_share_and_the_attachments_bucket_alone() -> None:
    places = list(differences("", plain("openemr", "data"), plain("openmrs", "data")))
    assert described_by(DATA, places) == ([], [])


ONLY_OPENEMR = {"Cache.*": "sessions are shared", "AlarmsCacheThrottled.*": "and that is watched"}
ONLY_OPENMRS = {"RotationRestartService.*": "it reads its credentials when it starts"}


def test_each_service_stack_has_parts_of_its_own_only_where_its_record_asks_for_them() -> None:
    openemr, openmrs = (plain(name, "service")["Resources"] for name in ("openemr", "openmrs"))
    assert described_by(ONLY_OPENEMR, sorted(openemr.keys() - openmrs.keys())) == ([], [])
    assert described_by(ONLY_OPENMRS, sorted(openmrs.keys() - openemr.keys())) == ([], [])


_TASKS = "/Tasks(Worker|Setup|Rotation)[0-9A-F]{8}/Properties"
_RUNNERS = "/(SetupRunner|RotationRotator)Function.*/Properties/Environment/Variables/TASK/.*"
SERVICE = {
    f"{_TASKS}/ContainerDefinitions.*": "containers, scripts and variables are what the record is for",
    f"{_TASKS}/(Cpu|Memory)": "the sizes that the seeds have; a set-up's as its record says",
    "/TasksWorker[0-9A-F]{8}/Properties/Volumes": "OpenMRS' containers share a task's certificate",
    "/TasksWorkerSecrets.*/Resource/0/.*": "OpenEMR's workers are given the cache's credential, not the database's",
    "/Firewall.*/Rules": "only OpenEMR has a login form to count attempts at",
    "/LoadBalancer(Tasks|ToTasks).*/(HealthCheckPath|Port|FromPort|ToPort|TargetGroupAttributes)":
        "port, health and drain time; only OpenMRS is sticky",
    "/Service/Properties/LoadBalancers/0/(ContainerName|ContainerPort)": "that port, and whose it is",
    "/Service/Properties/HealthCheckGracePeriodSeconds": "how long each may take to start",
    "/Service/DependsOn": "the cache's rules",
    "/(SetupDone.*|Scaling)/Properties/(ContainerName|TimeoutSeconds|MaxCapacity)": "names, times, the seeds' numbers",
    "/ScaleBy(Cpu|Memory)/.*/TargetValue": "the seeds' numbers",
    _RUNNERS: "the same names and times",
    "/RotationRotatorFunction.*/Environment/Variables/TASK/Fn::Join/1": "and the service that is to be restarted",
    "/RotationRotatorRole.*/ManagedPolicyArns": "which that needs a right for",
    "/AlarmsDashboard.*": "the cache is on it",
}  # fmt: skip


def test_what_both_service_stacks_have_has_the_same_properties() -> None:
    openemr, openmrs = (plain(name, "service")["Resources"] for name in ("openemr", "openmrs"))
    both = sorted(openemr.keys() & openmrs.keys())
    assert len(both) > 50
    places = [place for name in both for place in differences(f"/{name}", openemr[name], openmrs[name])]
    assert described_by(SERVICE, places) == ([], [])
    assert {name: openemr[name]["Type"] for name in both} == {name: openmrs[name]["Type"] for name in both}


def test_everything_but_resources_is_the_same_in_both_service_stacks() -> None:
    openemr, openmrs = (plain(name, "service") for name in ("openemr", "openmrs"))
    assert {key: one for key, one in openemr.items() if key != "Resources"} == {
        key: one for key, one in openmrs.items() if key != "Resources"
    }


# The program that is told which application to make says so in its hint.
# Express Plus is OpenEMR's alone: outputs, questions and alarms speak of it.
MAY_NAME = {"__main__.py"} | {
    f"express_plus{part}.py" for part in ("", "_alarms", "_keys", "_network", "_parameters", "_template")
}


def names_of_applications(tree: ast.Module) -> list[str]:
    """Identifiers and texts of code that name an application. Docstrings and an acceptance's reason are prose."""
    prose: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            prose.add(id(node.value))
        if isinstance(node, ast.keyword) and node.arg == "reason":
            prose |= {id(part) for part in ast.walk(node.value)}
    found = []
    for node in ast.walk(tree):
        texts = [value for _, value in ast.iter_fields(node) if isinstance(value, str)]
        if id(node) not in prose and any(re.search(_TITLES, text, re.IGNORECASE) for text in texts):
            found.append(f"{type(node).__name__}: {texts}")
    return found


@pytest.mark.parametrize("module", sorted(str(path.relative_to(STACKS)) for path in STACKS.rglob("*.py")))
def test_no_module_names_an_application(module: str) -> None:
    found = names_of_applications(ast.parse((STACKS / module).read_text(encoding="utf-8")))
    assert bool(found) == (module in MAY_NAME), found


@pytest.mark.parametrize(
    "code",
    ["x = 'openmrs'", "def openmrs_tasks(): pass", "if name == f'{OPENEMR}': pass", "from hostemr import openemr"],
)
def test_the_measure_sees_a_name_in_code(code: str) -> None:
    assert names_of_applications(ast.parse(code))


def test_the_measure_sees_no_name_in_prose() -> None:
    assert not names_of_applications(ast.parse('"""OpenMRS."""\naccept(reason="OpenMRS does so " "always")'))


LEAST_LINES = 8
# A Lambda function is one file by itself: it can import nothing of ours.
SELF_CONTAINED = "functions/"
# Two rows of the table of alarms: all that they do is to give other words to the same two names.
ALIKE = {frozenset({"alarms.py:watch_files", "alarms.py:watch_cache"})}


def shape(node: object) -> object:
    """What a piece of code does, without names and values: two copies of which one was renamed are the same."""
    if isinstance(node, list):
        return tuple(shape(one) for one in node)
    if not isinstance(node, ast.AST):
        return None
    return (type(node).__name__, *(shape(value) for _, value in ast.iter_fields(node)))


def doubles(sources: Mapping[str, str]) -> set[frozenset[str]]:
    """Functions and classes of some length that are alike, as `module:name`."""
    alike: dict[object, set[str]] = defaultdict(set)
    for module, source in sources.items():
        for node in ast.walk(ast.parse(source)):
            if not isinstance(node, ast.FunctionDef | ast.ClassDef):
                continue
            body = node.body[1:] if ast.get_docstring(node, clean=False) is not None else node.body
            if body and (node.end_lineno or 0) - body[0].lineno + 1 >= LEAST_LINES:
                alike[shape(body)].add(f"{module}:{node.name}")
    return {frozenset(names) for names in alike.values() if len(names) > 1}


def test_no_part_is_written_twice() -> None:
    sources = {str(path.relative_to(STACKS)): path.read_text(encoding="utf-8") for path in STACKS.rglob("*.py")}
    ours = {module: source for module, source in sources.items() if not module.startswith(SELF_CONTAINED)}
    assert len(ours) > 30
    assert doubles(ours) == ALIKE


def test_the_measure_sees_a_renamed_copy_and_no_other() -> None:
    lines = [f"    made{number} = Part(scope, 'OpenEMR{number}', size={number})" for number in range(LEAST_LINES)]
    text = "\n".join(["def make(scope):", '    """Makes it."""', *lines])
    copy = text.replace("OpenEMR", "OpenMRS").replace("made", "built").replace("def make", "def build")
    assert doubles({"a.py": text, "b.py": copy}) == {frozenset({"a.py:make", "b.py:build"})}
    assert not doubles({"a.py": text, "b.py": text.replace("Part(scope, ", "Part(", 1)})
