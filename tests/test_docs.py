"""Docs are held against the code: what exists is documented, and what is documented exists and runs."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import botocore.session
import pytest
from botocore import xform_name
from botocore.exceptions import UnknownServiceError

from hostemr.cli import run
from hostemr.deployment.load import assignments, load
from hostemr.deployment.table import settings_of
from tests.peers.server import ServerProcess, clean_environment

ROOT = Path(__file__).parent.parent
DOCS = sorted(ROOT.glob("docs/**/*.md"))
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "benchmarks/README.md", *DOCS]


def blocks(page: Path) -> list[str]:
    return re.findall(r"^ *```sh\n(.*?)^ *```", page.read_text(), re.DOTALL | re.MULTILINE)


def test_reference_is_made_from_the_code_as_it_is() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "docs/generate.py", "--check"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=ROOT,
        env=clean_environment(),
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", page.read_text()):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) < 120


def test_every_make_target_in_the_docs_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in PAGES:
        for target in re.findall(r"(?:`|^)make ([a-z-]+)", page.read_text(), re.MULTILINE):
            assert target in targets, (page.name, target)


def test_ci_runs_the_readmes_commands() -> None:
    script = (ROOT / ".ci/run").read_text()
    for command in re.findall(r"^(make [a-z]+)", blocks(ROOT / "README.md")[0], re.MULTILINE):
        assert command in script


@pytest.mark.real
def test_the_readmes_other_commands_do_what_it_says(tmp_path: Path) -> None:
    """The README's curl commands against a server, with its port instead of 8080."""
    with ServerProcess(f"sqlite:///{tmp_path}/r.sqlite3", tmp_path) as server:
        replies = []
        for line in blocks(ROOT / "README.md")[1].splitlines():
            command = shlex.split(line.replace("http://127.0.0.1:8080", server.url))
            assert command[0] == "curl"
            done = subprocess.run([*command, "-s"], capture_output=True, text=True, check=True, timeout=60)
            replies.append(done.stdout)
    assert re.fullmatch(r'\{"productId":"[0-9a-f-]{36}"\}', replies[0])
    assert replies[1] == '{"count":1}'


def test_every_hostemr_command_in_the_docs_exists(capsys: pytest.CaptureFixture[str]) -> None:
    found = 0
    for page in PAGES:
        text = page.read_text()
        for command in re.findall(r"(?:`|^ *)hostemr ([a-z][^`\n|]*)", text, re.MULTILINE):
            words = [word for word in command.split() if re.fullmatch(r"[a-z-]+", word)]
            depth = 3 if words[:2] == ["registration", "broadcasts"] else 2 if words[0] == "registration" else 1
            verb = words[:depth]
            assert run([*verb, "--help"]) == 0, command
            shown = capsys.readouterr().out
            for option in re.findall(r"--[a-z-]+", command):
                assert option in shown, (page.name, command, option)
            found += 1
    assert found > 10


def test_every_variable_in_the_docs_is_a_setting() -> None:
    reference = (ROOT / "docs/reference/registration-settings.md").read_text()
    for page in PAGES:
        for name in re.findall(r"HOSTEMR_[A-Z_]+[A-Z]", page.read_text()):
            known = {name, name.removesuffix("_FILE")}
            assert any(f"`{one}`" in reference for one in known), (page.name, name)


def commands(page: Path, program: str) -> list[list[str]]:
    """The words of each command of one program in a page's blocks, chained ones too."""
    lines = [part.strip() for block in blocks(page) for line in block.splitlines() for part in line.split("&&")]
    return [shlex.split(line) for line in lines if line.startswith(f"{program} ")]


AWS_CLI_OWN = {
    ("s3", "cp"): {"--recursive"},
    ("logs", "tail"): {"--log-stream-name-prefix", "--since", "--follow"},
    ("cloudformation", "wait"): {"--stack-name"},
    ("ecs", "execute-command"): {"--cluster", "--task", "--container", "--interactive", "--command"},
}
"""What the AWS command line adds of its own to the services' operations."""
AWS_CLI_EVERYWHERE = {"--query", "--output", "--region", "--cli-read-timeout", "--cli-binary-format"}


def test_every_aws_command_in_the_docs_exists() -> None:
    """Held against the service models that the AWS command line is itself made of."""
    session, found = botocore.session.get_session(), 0
    for page in PAGES:
        for _, service, verb, *rest in commands(page, "aws"):
            found += 1
            options = {word for word in rest if word.startswith("--")}
            known = AWS_CLI_OWN.get((service, verb))
            if known is None:
                try:
                    model = session.get_service_model(service)
                except UnknownServiceError:
                    pytest.fail(f"{page.name}: aws {service}")
                operations = {xform_name(name, "-"): name for name in model.operation_names}
                assert verb in operations, (page.name, service, verb)
                members = model.operation_model(operations[verb]).input_shape.members
                known = {f"--{xform_name(name, '-')}" for name in members}
            assert options <= known | AWS_CLI_EVERYWHERE, (page.name, service, verb, options - known)
    assert found > 10


def test_every_setting_in_a_command_of_the_docs_is_valid() -> None:
    """What stands after `--set` and the CDK's `-c`, as it stands."""
    found = 0
    for page in PAGES:
        for words in commands(page, "hostemr") + commands(page, "cdk"):
            given = [after for before, after in pairwise(words) if before in {"--set", "-c"}]
            load("openemr", assignments(given))
            found += len(given)
    assert found > 0


def test_every_name_in_the_guide_that_looks_like_a_setting_is_one() -> None:
    text = (ROOT / "docs/040_openemr_on_fargate.md").read_text()
    # What others call theirs stands in the first column of the last table.
    ours = text.partition("## Coming from the seed")[0]
    known = {row.key("openemr") for row in settings_of("openemr")}
    ways_out = {"nat_per_zone", "one_nat", "public_ip"}
    not_settings = {"daily_weekly_monthly7_year_retention", "client_id", "client_secret"} | ways_out
    named = set(re.findall(r"`([a-z]+(?:_[a-z0-9]+)+)`", ours))
    assert named - known <= not_settings
    assert len(named & known) > 15
