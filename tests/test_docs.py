"""Docs are held against the code: what exists is documented, and what is documented exists and runs."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore import xform_name
from botocore.exceptions import UnknownServiceError

from hostemr.cli import run
from hostemr.deployment.load import assignments, load_any
from hostemr.deployment.table import settings_of
from hostemr.host.command_line import _parser
from hostemr.host.status import Status, text
from hostemr.host.templates import filled
from hostemr.operate.price import cents, price
from hostemr.operate.template import load_template
from tests.operate.planned import planned
from tests.peers.server import ServerProcess, clean_environment, hostemr

ROOT = Path(__file__).parent.parent
DOCS = sorted(ROOT.glob("docs/**/*.md"))
PAGES = [
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    ROOT / "SECURITY.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "benchmarks/README.md",
    *DOCS,
]


def blocks(page: Path) -> list[str]:
    return re.findall(r"^ *```sh\n(.*?)^ *```", page.read_text(), re.DOTALL | re.MULTILINE)


def test_reference_is_made_from_the_code_as_it_is() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "docs/generate.py", "--check"],
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
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


GROUPS = {"registration", "backups", "restore"}
"""Verbs that have verbs of their own."""


def test_the_readmes_commands_on_a_plan_run_and_find_nothing(tmp_path: Path) -> None:
    planned("--set", "size=trial").unfold(tmp_path / "build/plan")
    block = next(block for block in blocks(ROOT / "README.md") if "hostemr rehearse" in block)
    lines = [shlex.split(line) for line in block.splitlines() if line.startswith("hostemr ")]
    assert [words[1] for words in lines] == ["price", "check", "rehearse"]
    for words in lines:
        done = hostemr(*words[1:], folder=tmp_path)
        assert done.returncode == 0, (words, done.stderr, done.stdout)
        assert done.stdout


def test_every_hostemr_command_in_the_docs_exists(capsys: pytest.CaptureFixture[str]) -> None:
    found = 0
    for page in PAGES:
        text = page.read_text()
        for command in re.findall(r"(?:`|^ *)hostemr ([a-z][^`\n|]*)", text, re.MULTILINE):
            words = [word for word in command.split() if re.fullmatch(r"[a-z-]+", word)]
            nested = words[0] == "registration" and words[1:2] in (["broadcasts"], ["board"], ["audit"])
            depth = 3 if nested else 2 if words[0] in GROUPS else 1
            verb = words[:depth]
            assert run([*verb, "--help"]) == 0, command
            shown = capsys.readouterr().out
            # What stands behind a lone -- is another command's.
            for option in re.findall(r"--[a-z-]+", command.partition(" -- ")[0]):
                assert option in shown, (page.name, command, option)
            found += 1
    assert found > 10


def test_every_variable_in_the_docs_is_a_setting() -> None:
    """Of the registration service, or told by the help of a verb."""
    reference = (ROOT / "docs/reference/registration-settings.md").read_text()
    help_texts = (ROOT / "docs/reference/cli.md").read_text()
    for page in PAGES:
        for name in re.findall(r"HOSTEMR_[A-Z_]+[A-Z]", page.read_text()):
            known = {name, name.removesuffix("_FILE")}
            assert any(f"`{one}`" in reference or one in help_texts for one in known), (page.name, name)


def commands(page: Path, program: str) -> list[list[str]]:
    """The words of each command of one program in a page's blocks, chained ones too."""
    lines = [part.strip() for block in blocks(page) for line in block.splitlines() for part in line.split("&&")]
    return [shlex.split(line, comments=True) for line in lines if line.startswith(f"{program} ")]


AWS_CLI_OWN = {
    ("s3", "cp"): {"--recursive"},
    ("s3", "ls"): set(),
    ("s3", "sync"): {"--exclude"},
    ("logs", "tail"): {"--log-stream-name-prefix", "--since", "--follow"},
    ("cloudformation", "wait"): {"--stack-name"},
    ("sns", "subscribe"): {"--topic-arn", "--protocol", "--notification-endpoint"},
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
                switches = (name for name, member in members.items() if member.type_name == "boolean")
                known |= {f"--no-{xform_name(name, '-')}" for name in switches}
            assert options <= known | AWS_CLI_EVERYWHERE, (page.name, service, verb, options - known)
    assert found > 10


def test_every_setting_in_a_command_of_the_docs_is_valid() -> None:
    """What stands after `--set` and the CDK's `-c`, as it stands, for the application of the command or the page."""
    found = 0
    for page in PAGES:
        for words in commands(page, "hostemr") + commands(page, "cdk"):
            given = [after for before, after in pairwise(words) if before in {"--set", "-c"}]
            named = f"{' '.join(words)} {page.name}".replace("_", "-")
            deployment = next((one for one in ("openmrs", "express-plus") if one in named), "openemr")
            load_any(deployment, assignments(given))
            found += len(given)
    assert found > 2


GUIDES = {
    "040_openemr_on_fargate.md": ["openemr"],
    "045_options.md": ["openemr", "openmrs"],
    "050_openmrs_on_fargate.md": ["openmrs"],
    "060_analytics.md": ["openemr", "openmrs"],
}
"""The operators' guides, and whose settings they speak of."""
GUIDES_OF = {
    application: [guide for guide, whose in GUIDES.items() if application in whose]
    for application in ("openemr", "openmrs")
}
WAYS_OUT = {"nat_per_zone", "one_nat", "public_ip"}
NOT_SETTINGS = {
    *WAYS_OUT,
    "daily_weekly_monthly7_year_retention",
    "client_id",
    "client_secret",
    "patient_data",
    "form_encounter",
    "age_band",
}


def names_of_settings(text: str) -> set[str]:
    """What stands in backticks and is spelled as settings are."""
    return set(re.findall(r"`([a-z]+[0-9]*(?:_[a-z0-9]+)+)`", text))


@pytest.mark.parametrize("guide", GUIDES)
def test_every_name_in_a_guide_that_looks_like_a_setting_is_one(guide: str) -> None:
    # What others call theirs stands in the first column of the last table.
    ours = (ROOT / "docs" / guide).read_text().partition("## Coming from the seed")[0]
    known = {row.key(application) for application in GUIDES[guide] for row in settings_of(application)}
    assert names_of_settings(ours) - known <= NOT_SETTINGS
    assert names_of_settings(ours) & known


@pytest.mark.parametrize("application", GUIDES_OF)
def test_every_setting_of_the_seeds_is_in_a_guide_of_its_application(application: str) -> None:
    told = "".join((ROOT / "docs" / guide).read_text() for guide in GUIDES_OF[application])
    # `…_maximum_capacity` is the end of a name whose beginning stands before it.
    ends = set(re.findall(r"`…(_[a-z0-9_]+)`", told))
    for row in settings_of(application):
        name = row.key(application)
        if row.source == "seed":
            assert f"`{name}`" in told or any(name.endswith(end) for end in ends) or f'"{name}"' in told, name


def heading_of(anchor: str) -> str:
    """A heading's anchor as forges make it: small letters, hyphens, no punctuation."""
    return re.sub(r"[^a-z0-9 _-]", "", anchor.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_into_a_page_lead_to_a_heading(page: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#:]*)#([^)]+)\)", page.read_text()):
        other = page.parent / target if target else page
        headings = re.findall(r"^#+ (.+)$", other.read_text(), re.MULTILINE)
        assert anchor in {heading_of(heading) for heading in headings}, (target, anchor)


SAMPLES = {"openemr": "clinic", "openmrs": "everything"}
"""A sample of each application whose snapshots have the outputs that its guides name."""


def outputs_of(application: str, stack: str = "*") -> dict[str, str | None]:
    """What a sample's stacks tell, by name: the export's name where it is one."""
    told: dict[str, str | None] = {}
    for snapshot in ROOT.glob(f"tests/snapshots/{application}/{SAMPLES[application]}-{stack}.json"):
        for name, output in json.loads(snapshot.read_text())["Outputs"].items():
            told[name] = output["Export"]["Name"] if "Export" in output else None
    return told


@pytest.mark.parametrize("application", GUIDES_OF)
def test_every_output_and_export_in_a_command_of_the_guides_exists(application: str) -> None:
    told = outputs_of(application)
    for guide in GUIDES_OF[application]:
        text = (ROOT / "docs" / guide).read_text()
        exports = set(re.findall(rf"{application}-data:[A-Za-z0-9]+", text))
        outputs = set(re.findall(r"OutputKey=='([A-Za-z]+)'", text))
        assert exports <= set(told.values()), guide
        if guide != "045_options.md" or application == "openmrs":  # its commands are for OpenMRS
            assert outputs <= {name for name, export in told.items() if export is None}, guide


def test_the_table_of_analytics_has_every_output_of_its_stack() -> None:
    table = (ROOT / "docs/060_analytics.md").read_text().partition("| Output | |")[2].partition("\n\n")[0]
    named = set(re.findall(r"`([A-Z][A-Za-z]+)`", table)) - {"ServerlessAnalyticsUser"}
    assert named == set(outputs_of("openmrs", "analytics"))


EXPRESS_PLUS = ROOT / "docs/070_express_plus.md"


def template_of_express_plus(variant: str = "") -> Mapping[str, Any]:
    return load_template(ROOT / f"tests/snapshots/express-plus/OpenEMR-Express-Plus{variant}.json")


def test_every_command_of_the_server_in_the_docs_is_understood() -> None:
    """By the agent's own parser; restore.sh hands it all that follows."""
    found = 0
    for page in PAGES:
        for _, program, *arguments in commands(page, "sudo"):
            if program in {"hostemr-host", "/root/restore.sh"}:
                _parser().parse_args(arguments if program == "hostemr-host" else ["restore", *arguments])
                found += 1
        for verb in re.findall(r"`(?:sudo )?hostemr-host ([a-z]+)", page.read_text()):
            with pytest.raises(SystemExit) as ended:
                _parser().parse_args([verb, "--help"])
            assert ended.value.code == 0, (page.name, verb)
    assert found > 10


def test_the_guide_of_express_plus_has_every_parameter_output_and_alarm() -> None:
    guide = EXPRESS_PLUS.read_text()
    for variant in ("", "-Recovery-Dev"):
        template = template_of_express_plus(variant)
        for name in (*template["Parameters"], *template["Outputs"]):
            assert f"`{name}`" in guide, name
        for name, resource in template["Resources"].items():
            if resource["Type"] == "AWS::CloudWatch::Alarm":
                assert f"| `{name}` |" in guide, name
    named = set(re.findall(r"ParameterKey=([A-Za-z0-9]+)", guide))
    assert named <= set(template_of_express_plus("-Recovery-Dev")["Parameters"])
    assert set(re.findall(r"OutputKey=='([A-Za-z]+)'", guide)) <= set(template_of_express_plus()["Outputs"])


def test_the_guide_of_express_plus_names_settings_that_exist() -> None:
    known = {row.name for row in settings_of("express-plus")}
    assert names_of_settings(EXPRESS_PLUS.read_text()) <= known


def test_the_guide_of_express_plus_has_the_prices_that_the_program_says() -> None:
    template = template_of_express_plus()
    rows = EXPRESS_PLUS.read_text().partition("| | t3.small")[2].partition("\n\n")[0].splitlines()
    told = [[cell.strip(" *") for cell in row.strip("|").split("|")][1:] for row in rows[2:]]
    sums = []
    for size in ("t3.small", "t4g.small"):
        bill = price({"express-plus": template}, region="us-east-1", parameters={"InstanceSize": size}, assumed={})
        server, beyond = (bill.total(group) for group in ("the server", "beyond the server"))
        sums.append([f"{cents(each):.2f}" for each in (server, beyond, bill.total(), bill.total() - bill.allowance())])
    assert told == [list(row) for row in zip(*sums, strict=True)]


def test_the_screen_of_the_status_in_the_guide_is_what_it_shows() -> None:
    shown = text(
        Status(
            server="OpenEMR",
            engine="restic",
            last_backup="2026-11-22T06:25:00+00:00",
            backup_age_hours=3.0,
            backup_size=1500 * 2**20,
            backup_files=1234,
            backup_failure=None,
            next_backup="daily at 06:25, local time",
            last_drill="2026-11-22T06:47:00+00:00",
            drill_ok=True,
            drill_age_days=0.1,
            drill_seconds=95.0,
            drill_error=None,
            last_good="2026-11-22T06:25:00+00:00",
            points=34,
            oldest="2025-12-31T06:25:00+00:00",
            newest="2026-11-22T06:25:00+00:00",
            free=6200 * 2**20,
            previous_data=(),
            obstacles=(),
            warnings=(),
        )
    )
    assert f"```text\n{shown}\n```" in EXPRESS_PLUS.read_text()


def test_the_times_in_the_guide_are_those_of_the_server() -> None:
    guide = EXPRESS_PLUS.read_text()
    assert 'Automatic-Reboot-Time "08:10"' in filled("automatic-updates.conf")
    assert "at 08:10 UTC" in guide
    ready = template_of_express_plus()["Resources"]["Ready"]["Properties"]["Timeout"]
    assert f"up to {int(ready) // 60} minutes" in guide
    defaults = {row.name: row.default for row in settings_of("express-plus")}
    kept = "{keep_daily} days, {keep_weekly} weeks and {keep_monthly} months".format(**defaults)
    assert f"each of {kept}" in guide
    assert "{deleted_backups_days} days (`deleted_backups_days`)".format(**defaults) in guide.replace("\n", " ")
