"""Nothing of the systems that hostemr replaces is forgotten: each of their settings, commands and outputs has a row."""

from __future__ import annotations

import json
import re

import pytest

from hostemr.cli import run
from hostemr.deployment.load import load_any
from hostemr.deployment.table import settings_of
from hostemr.errors import SettingsError
from tests.docs.reading import GUIDE, ROOT, quoted, rows, section

MIGRATING = GUIDE / "032_migrating.md"

_DATABASE_LIMITS = (
    *("aurora_ml_inference_timeout", "net_read_timeout", "net_write_timeout", "wait_timeout", "connect_timeout"),
    "max_execution_time",
)
_BOTH = (
    *("certificate_arn", "route53_domain", "configure_ses", "email_forwarding_address", "enable_ecs_exec"),
    *("enable_bedrock_integration", "enable_data_api", "open_smtp_port", "enable_global_accelerator"),
    *("enable_long_term_cloudtrail_monitoring", "create_serverless_analytics_environment"),
    *("security_group_ip_range_ipv4", "security_group_ip_range_ipv6"),
    *_DATABASE_LIMITS,
)
_SCALING = (
    *("_service_fargate_minimum_capacity", "_service_fargate_maximum_capacity"),
    *("_service_fargate_cpu_autoscaling_percentage", "_service_fargate_memory_autoscaling_percentage"),
)
THEIRS = {
    "openemr": (
        *_BOTH,
        *(f"openemr{end}" for end in _SCALING),
        # The older README's single range, and what openemr-on-ecs has added.
        *("security_group_ip_range", "activate_openemr_apis", "enable_patient_portal"),
        *("openemr_service_fargate_cpu", "openemr_service_fargate_memory", "openemr_resource_suffix"),
        *("monitoring_email", "deployment_notification_email", "enable_monitoring_alarms"),
        *("rds_deletion_protection", "disable_rds_deletion_protection_on_destroy"),
        "enable_stack_termination_protection",
    ),
    "openmrs": (
        *_BOTH,
        *(f"openmrs{end}" for end in _SCALING),
        *("openmrs_reference_application_version", "sticky_session_cookie_length_in_minutes"),
        *("openmrs_service_fargate_cpu_per_task", "openmrs_service_fargate_ram_per_task", "aliases"),
    ),
}
"""The keys of the `context` of their cdk.json, and those that their READMEs name."""
RETIRED = {"openemr": {"disable_rds_deletion_protection_on_destroy"}, "openmrs": {"aliases"}}
HEADINGS = {
    "openemr": "## OpenEMR on Fargate: settings",
    "openmrs": "## OpenMRS on Fargate: settings",
}


def test_the_seed_of_openmrs_has_27_settings_and_one_that_nothing_reads() -> None:
    assert len(set(THEIRS["openmrs"]) - RETIRED["openmrs"]) == 27
    assert "All of its 27 settings" in section(MIGRATING, HEADINGS["openmrs"])


@pytest.mark.parametrize("application", THEIRS)
def test_every_setting_of_theirs_is_ours_too_or_retired_on_purpose(application: str) -> None:
    ours = {row.key(application) for row in settings_of(application)}
    assert set(THEIRS[application]) - ours == RETIRED[application]


@pytest.mark.parametrize("application", THEIRS)
def test_every_setting_of_theirs_has_a_row_that_says_what_became_of_it(application: str) -> None:
    told: dict[str, str] = {}
    for theirs, here, _ in rows(section(MIGRATING, HEADINGS[application])):
        told |= dict.fromkeys(quoted(theirs), here)
    for name in THEIRS[application]:
        assert name in told, name
        assert (told[name] == "retired") == (name in RETIRED[application]), name


@pytest.mark.parametrize("application", RETIRED)
def test_a_retired_setting_is_refused_by_its_name(application: str) -> None:
    for name in RETIRED[application]:
        with pytest.raises(SettingsError) as refused:
            load_any(application, {name: None})
        assert name in refused.value.message


@pytest.mark.parametrize("application", THEIRS)
def test_a_file_of_theirs_without_what_is_retired_is_taken_as_it_is(application: str) -> None:
    """Numbers and truths as the strings that their files have; what they leave at null stays so."""
    values: dict[str, object] = dict.fromkeys(set(THEIRS[application]) - RETIRED[application])
    values |= dict.fromkeys(_DATABASE_LIMITS, "30000") | {"enable_long_term_cloudtrail_monitoring": "true"}
    values |= {f"{application}{end}": number for end, number in zip(_SCALING, (2, 2, 60, 60), strict=True)}
    settings = load_any(application, values)
    assert getattr(settings, "wait_timeout") == 30000  # noqa: B009, load_any answers several types


SEEDS = {
    "openemr": (GUIDE / "040_openemr_on_fargate.md", "## Coming from the seed or from openemr-on-ecs"),
    "openmrs": (GUIDE / "050_openmrs_on_fargate.md", "## Coming from the seed"),
    "express-plus": (GUIDE / "070_express_plus.md", "## Coming from the original"),
}


@pytest.mark.parametrize("deployment", SEEDS)
def test_each_guide_leads_to_what_became_of_its_seed(deployment: str) -> None:
    page, heading = SEEDS[deployment]
    assert MIGRATING.name in section(page, heading)


def outputs() -> set[str]:
    return {
        name
        for snapshot in (ROOT / "tests/snapshots").rglob("*.json")
        for name in json.loads(snapshot.read_text(encoding="utf-8"))["Outputs"]
    }


COMMANDS = (
    "## OpenEMR on Fargate: commands and what is built",
    "## OpenMRS on Fargate: commands and what is built",
    "## Express Plus",
)


@pytest.mark.parametrize("heading", COMMANDS)
def test_every_output_of_ours_that_takes_anothers_place_exists(heading: str) -> None:
    found = 0
    for _, here in rows(section(MIGRATING, heading)):
        if "output" in here:
            # A stack's name is in small letters.
            for name in re.findall(r"`([A-Z][A-Za-z]+)`", here):
                assert name in outputs(), name
                found += 1
    assert found or heading == "## Express Plus"


@pytest.mark.parametrize("heading", COMMANDS)
def test_every_command_of_ours_that_takes_anothers_place_exists(
    heading: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for _, here in rows(section(MIGRATING, heading)):
        for command in quoted(here):
            if command.startswith("hostemr "):
                assert run([command.split()[1], "--help"]) == 0, command
                shown = capsys.readouterr().out
                assert all(option in shown for option in re.findall(r"--[a-z-]+", command)), command


EXPRESS_PLUS_PARAMETERS = ("EC2KeyPair", "InstanceSize", "PracticeStorage", "RecoveryKMSKey", "RecoveryS3Bucket")
"""Those of the original's two templates."""


def test_every_parameter_and_output_of_the_original_express_plus_is_still_there() -> None:
    table = section(MIGRATING, "## Express Plus")
    recovery = json.loads((ROOT / "tests/snapshots/express-plus/OpenEMR-Express-Plus-Recovery-Dev.json").read_text())
    for name in EXPRESS_PLUS_PARAMETERS:
        assert f"`{name}`" in table, name
        assert name in recovery["Parameters"], name
    assert "`OpenEMR`" in table
    assert "OpenEMR" in recovery["Outputs"]
