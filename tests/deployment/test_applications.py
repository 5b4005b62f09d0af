"""The application records."""

from __future__ import annotations

from importlib import resources

import pytest

from hostemr.deployment.applications import APPLICATIONS, OPENEMR, Application
from hostemr.deployment.load import load
from hostemr.deployment.outputs import export_name, stack_names


@pytest.mark.parametrize("application", APPLICATIONS.values(), ids=lambda one: one.name)
class TestEveryApplication:
    def test_its_scripts_are_there(self, application: Application) -> None:
        folder = resources.files("hostemr.stacks").joinpath("containers", application.name)
        assert set(application.scripts) == {"setup", "worker", "background"}
        for parts in application.scripts.values():
            assert all(folder.joinpath(part).is_file() for part in parts)

    def test_each_variable_has_a_name_of_its_own(self, application: Application) -> None:
        names = application.names
        given = [getattr(names, field) for field in names.__slots__ if not field.startswith("cache_o")]
        assert len(set(given)) == len(given)

    def test_a_set_up_fits_into_what_cloudformation_waits(self, application: Application) -> None:
        assert application.setup_seconds <= 3300


class TestOpenEMR:
    def test_liveness_never_asks_the_database(self) -> None:
        assert OPENEMR.alive("8.1.0").path == "/meta/health/livez"
        assert OPENEMR.alive("latest").path == "/meta/health/livez"
        assert (OPENEMR.alive("7.0.3").path, OPENEMR.alive("7.0.3").status) == ("/", "302")

    def test_a_database_that_sleeps_is_not_kept_awake_by_idle_connections(self) -> None:
        setting = "OPENEMR_SETTING_enable_database_connection_pooling"
        assert OPENEMR.configuration(load("openemr", {}), "https://a")[setting] == "1"
        assert OPENEMR.configuration(load("openemr", {"size": "trial"}), "https://a")[setting] == "0"


def test_the_stacks_are_named_after_the_application_and_the_suffix() -> None:
    assert stack_names("openemr") == ("openemr-data", "openemr-service")
    assert stack_names("openemr", "north") == ("openemr-data-north", "openemr-service-north")
    assert export_name("openemr-data", "VpcId") == "openemr-data:VpcId"
