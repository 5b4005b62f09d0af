"""The forge runs what everybody can run, with as few rights as it can; and what it shows to newcomers is true."""

from __future__ import annotations

import ast
import os
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from hostemr.registration.advisories.feed import PATH as PATH_OF_FEED
from tests.test_docs import blocks, heading_of

ROOT = Path(__file__).parent.parent
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))
PAGES = [
    ROOT / name
    for name in (
        "CONTRIBUTING.md",
        "SECURITY.md",
        "docs/095_supply_chain.md",
        "docs/900_contributing.md",
        "docs/decisions/0012-dependencies.md",
        ".github/ISSUE_TEMPLATE/bug.md",
        ".github/pull_request_template.md",
    )
]
TRUSTED = re.compile(r"actions/[a-z-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")
"""The forge's own actions, by commit: a tag can be moved to other code."""


def workflow(file: Path) -> dict[Any, Any]:
    found = yaml.safe_load(file.read_text())
    assert isinstance(found, dict)
    return found


def steps(file: Path) -> list[dict[str, Any]]:
    return [step for job in workflow(file)["jobs"].values() for step in job["steps"]]


def commands(file: Path) -> list[str]:
    return [line.strip() for step in steps(file) for line in step.get("run", "").splitlines()]


workflows = pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: str(file.name))


@workflows
def test_a_workflow_may_read_the_repository_and_nothing_else(file: Path) -> None:
    found = workflow(file)
    assert found["permissions"] == {"contents": "read"}
    assert all("permissions" not in job for job in found["jobs"].values())
    assert "secrets" not in file.read_text()


@workflows
def test_a_workflow_runs_nothing_of_strangers_with_rights(file: Path) -> None:
    # PyYAML reads YAML 1.1, in which `on` is a boolean.
    assert set(workflow(file)[True]) <= {"push", "pull_request", "schedule", "workflow_dispatch"}


@workflows
def test_a_job_ends_by_itself(file: Path) -> None:
    found = workflow(file)
    assert found["concurrency"]["group"]
    assert all(0 < job["timeout-minutes"] <= 90 for job in found["jobs"].values())


@workflows
def test_actions_of_others_are_pinned_to_a_commit(file: Path) -> None:
    used = re.findall(r"uses: (.+)$", file.read_text(), re.MULTILINE)
    assert used
    assert [one for one in used if not TRUSTED.fullmatch(one)] == []
    assert len(used) == sum("uses" in step for step in steps(file))


def test_an_action_has_one_commit_in_all_workflows() -> None:
    used = {one for file in WORKFLOWS for one in re.findall(r"uses: (.+)$", file.read_text(), re.MULTILINE)}
    assert len({one.partition("@")[0] for one in used}) == len(used)


@workflows
def test_a_checkout_leaves_no_token_behind(file: Path) -> None:
    for step in steps(file):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"] == {"persist-credentials": False}


@workflows
def test_a_command_contains_nothing_that_somebody_may_choose(file: Path) -> None:
    """A branch's name or a title, put into a command, would be a command."""
    assert all("${{" not in command for command in commands(file))


@workflows
def test_a_job_runs_targets_of_the_makefile(file: Path) -> None:
    allowed = {"apt-get update", ".ci/run"}
    ran = [one for one in commands(file) if one not in allowed and not one.startswith("apt-get install ")]
    for command in ran:
        target = re.match(r"make ([a-z-]+)(?: |$)", command)
        assert target, command
        assert target[1] in TARGETS, command


def test_the_forge_runs_what_ci_runs_and_nothing_is_skipped_there() -> None:
    jobs = workflow(ROOT / ".github/workflows/ci.yml")["jobs"]
    whole = [step["run"] for step in jobs["debian"]["steps"] if "run" in step]
    assert whole[-1] == ".ci/run"
    assert os.access(ROOT / ".ci/run", os.X_OK)
    assert "env" not in jobs["debian"]
    lines = (ROOT / ".ci/run").read_text().splitlines()
    assert {"make check", "make test"} <= set(lines)


def test_the_forge_tries_every_python_that_the_package_names() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = [line.rpartition(" ")[2] for line in project["classifiers"] if "Python ::" in line]
    job = workflow(ROOT / ".github/workflows/ci.yml")["jobs"]["pythons"]
    assert job["strategy"]["matrix"]["python"] == named
    ran = [step["run"] for step in job["steps"] if "run" in step]
    assert [one.split()[:2] for one in ran] == [["make", "check"], ["make", "test"]]
    for path in re.findall(r"\btests/[a-z_./]+", " ".join(ran)):
        assert (ROOT / path).exists(), path


def test_known_vulnerabilities_are_looked_for_each_week() -> None:
    file = ROOT / ".github/workflows/supply.yml"
    [when] = workflow(file)[True]["schedule"]
    assert re.fullmatch(r"\d+ \d+ \* \* [0-6]", when["cron"])
    assert {"make sbom PYTHON=python", "make audit PYTHON=python"} <= set(commands(file))
    [kept] = [step["with"] for step in steps(file) if "upload-artifact" in step.get("uses", "")]
    bills = re.search(r"^BILLS := (.+)$", MAKEFILE, re.MULTILINE)
    assert bills
    assert all(re.fullmatch(r"sbom(-[a-z]+)?=[a-z,]+", bill) for bill in bills[1].split())
    assert kept["path"] == "build/*.cdx.json"


def test_the_bills_of_materials_are_of_extras_that_exist() -> None:
    extras = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"])
    bills = re.search(r"^BILLS := (.+)$", MAKEFILE, re.MULTILINE)
    assert bills
    named = {bill.partition("=")[0]: set(bill.partition("=")[2].split(",")) for bill in bills[1].split()}
    assert named["sbom-registration"] == {"registration"}
    assert named["sbom"] == extras - {"dev", "bench", "supply"}


def test_dependabot_looks_where_something_is() -> None:
    found = yaml.safe_load((ROOT / ".github/dependabot.yml").read_text())
    assert found["version"] == 2
    looked = {one["package-ecosystem"]: ROOT / one["directory"].lstrip("/") for one in found["updates"]}
    assert set(looked) == {"github-actions", "docker"}
    assert (looked["docker"] / "Dockerfile").is_file()
    assert all(one["cooldown"]["default-days"] >= 7 for one in found["updates"])


pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


@pages
def test_links_of_a_page_lead_somewhere(page: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#]*)(?:#([^)]*))?\)", page.read_text()):
        if target.startswith("https:"):
            continue
        other = (page.parent / target) if target else page
        assert other.exists(), target
        if anchor:
            headings = {heading_of(one) for one in re.findall(r"^#+ (.+)$", other.read_text(), re.MULTILINE)}
            assert anchor in headings, (target, anchor)


@pages
def test_targets_and_paths_of_a_page_exist(page: Path) -> None:
    text = page.read_text()
    for target in re.findall(r"(?:`|^)make ([a-z-]+)", text, re.MULTILINE):
        assert target in TARGETS, target
    for path in re.findall(r"`((?:src|tests|docs|deployments|benchmarks|\.github|\.ci)/[\w./-]*)`", text):
        assert (ROOT / path).exists(), path


@pages
def test_a_page_has_no_long_line_of_prose(page: Path) -> None:
    prose = [line for line in page.read_text().splitlines() if not line.startswith("|")]
    assert [line for line in prose if len(line) > 120] == []


def test_the_supported_version_is_the_one_there_is() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert f"| {version.rpartition('.')[0]}.x | yes |" in (ROOT / "SECURITY.md").read_text()


def test_the_paths_that_security_names_are_served() -> None:
    named = re.findall(r"`(/advisories[a-z.]*)`", (ROOT / "SECURITY.md").read_text())
    served = (ROOT / "src/hostemr/registration/advisories/api.py").read_text()
    assert named == ["/advisories", PATH_OF_FEED]
    assert 'named_route("/advisories", ' in served


def test_no_file_has_a_name_that_says_nothing() -> None:
    """Contributing says so."""
    files = [one for folder in ("src", "tests", "benchmarks") for one in (ROOT / folder).rglob("*.py")]
    assert len(files) > 500
    empty = re.compile(r"(^|_)(utils?|helpers?|managers?|misc|common)(_|$)")
    assert [
        one for one in files if any(empty.search(part) for part in one.relative_to(ROOT).with_suffix("").parts)
    ] == []


def test_the_agent_and_the_functions_import_nothing_that_has_to_be_installed() -> None:
    """The record of dependencies says so. boto3 and botocore are Lambda's own."""
    own = {"hostemr", "__future__", *sys.stdlib_module_names}
    for folder, given in (("host", set[str]()), ("stacks/functions", {"boto3", "botocore"})):
        files = list((ROOT / "src/hostemr" / folder).rglob("*.py"))
        assert len(files) > 8
        for file in files:
            for node in ast.walk(ast.parse(file.read_text())):
                match node:
                    case ast.Import():
                        names = [one.name for one in node.names]
                    case ast.ImportFrom(module=str(name), level=0):
                        names = [name]
                    case _:
                        continue
                assert {name.partition(".")[0] for name in names} <= own | given, file


def test_the_licence_that_contributors_agree_to_is_the_projects() -> None:
    licence = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["license"]
    assert licence in (ROOT / "CONTRIBUTING.md").read_text()


def test_what_a_newcomer_types_first_is_what_the_makefile_has() -> None:
    typed = [
        line.partition("#")[0].split() for block in blocks(ROOT / "CONTRIBUTING.md") for line in block.splitlines()
    ]
    made = [words[1] for words in typed if words[:1] == ["make"]]
    assert {"run", "test", "check", "format"} <= set(made) <= TARGETS
