"""The application records."""

from __future__ import annotations

from importlib import resources

import pytest

from hostemr.deployment.application import FILES, Application, Given, Places
from hostemr.deployment.applications import APPLICATIONS
from hostemr.deployment.load import load
from hostemr.deployment.openemr import OPENEMR
from hostemr.deployment.openmrs import OPENMRS, heap_megabytes
from hostemr.deployment.outputs import export_name, stack_names

NOWHERE = Places()


@pytest.mark.parametrize("application", APPLICATIONS.values(), ids=lambda one: one.name)
class TestEveryApplication:
    def test_its_scripts_are_there_and_each_is_run(self, application: Application) -> None:
        folder = resources.files("hostemr.stacks").joinpath("containers")
        programs = {one.program for one in application.containers if one.program}
        assert set(application.scripts) == {"setup", *programs}
        for parts in application.scripts.values():
            assert all(folder.joinpath(part).is_file() for part in parts)

    def test_each_variable_has_a_name_of_its_own(self, application: Application) -> None:
        names = application.names
        given = [getattr(names, field) for field in names.__slots__ if field not in {"cache", "mail"}]
        mail = [names.mail.host, names.mail.port, names.mail.username, names.mail.password, *names.mail.sender]
        cache = [names.cache.server, names.cache.username, names.cache.password] if names.cache else []
        every = [*given, *mail, *names.mail.on, *cache]
        assert len(set(every)) == len(every)

    def test_a_set_up_fits_into_what_cloudformation_waits(self, application: Application) -> None:
        assert application.setup_seconds <= 3300

    def test_health_checks_stay_within_what_ecs_allows(self, application: Application) -> None:
        for container in application.containers:
            assert container.stop_seconds <= 120
            if container.health is not None:
                health = container.health(load(application.name, {}))
                assert health.start_period <= 300
                assert health.retries <= 10
                assert 5 <= health.interval <= 300

    def test_only_the_main_container_holds_the_files_or_shares_them_with_its_own_image(
        self, application: Application
    ) -> None:
        for container in application.containers:
            if FILES in container.mounts:
                assert container.image == application.main.image

    def test_somebody_is_told_of_the_mail_server(self, application: Application) -> None:
        workers = {given for container in application.containers for given in container.given}
        assert (Given.MAIL in workers) != (Given.MAIL in application.setup_given)


class TestOpenEMR:
    def test_liveness_never_asks_the_database(self) -> None:
        assert OPENEMR.alive("8.1.0").path == "/meta/health/livez"
        assert OPENEMR.alive("latest").path == "/meta/health/livez"
        assert (OPENEMR.alive("7.0.3").path, OPENEMR.alive("7.0.3").status) == ("/", "302")

    def test_a_database_that_sleeps_is_not_kept_awake_by_idle_connections(self) -> None:
        setting = "OPENEMR_SETTING_enable_database_connection_pooling"
        assert OPENEMR.configuration(load("openemr", {}), "https://a")[setting] == "1"
        assert OPENEMR.configuration(load("openemr", {"size": "trial"}), "https://a")[setting] == "0"


class TestOpenMRS:
    @pytest.mark.parametrize(("memory", "heap"), [(3072, 1792), (4096, 2816), (8192, 6144), (30_720, 23_040)])
    def test_the_heap_leaves_room_for_the_rest(self, memory: int, heap: int) -> None:
        assert heap_megabytes(memory) == heap

    def test_a_start_may_take_half_an_hour(self) -> None:
        assert OPENMRS.main.health is not None
        health = OPENMRS.main.health(load("openmrs", {}))
        assert OPENMRS.start_seconds == 1800 == health.start_period + health.retries * health.interval
        assert health.command.endswith("/openmrs/health/started")

    def test_storage_and_cache_are_told_as_system_properties(self) -> None:
        places = Places(attachments_bucket="our-bucket", peers="tasks.internal")
        told = OPENMRS.main.environment(load("openmrs", {}), places)["EXTRA_JAVA_OPTS"].split()
        assert "-Dstorage.type=s3" in told
        assert "-Dstorage.s3.bucketName=our-bucket" in told
        assert "-Dcache.type=cluster" in told
        assert "-Djgroups.dns.query=tasks.internal" in told
        assert "EXTRA_JAVA_OPTS" not in OPENMRS.main.environment(load("openmrs", {}), NOWHERE)

    def test_mail_has_the_names_that_the_backend_makes_javamails_properties_of(self) -> None:
        """Its start takes OMRS_EXTRA_ off, makes it small, and `_` a dot."""
        names = OPENMRS.names.mail
        told = {names.host, names.port, names.username, names.password, *names.sender, *names.on}
        assert {one.removeprefix("OMRS_EXTRA_").lower().replace("_", ".") for one in told} == {
            "mail.smtp.host",
            "mail.smtp.port",
            "mail.user",
            "mail.password",
            "mail.from",
            "mail.transport.protocol",
            "mail.smtp.auth",
            "mail.smtp.starttls.enable",
            "mail.smtp.starttls.required",
            "mail.smtp.ssl.checkserveridentity",
        }


def test_the_stacks_are_named_after_the_application_and_the_suffix() -> None:
    assert stack_names("openemr") == ("openemr-data", "openemr-service")
    assert stack_names("openemr", "north") == ("openemr-data-north", "openemr-service-north")
    assert export_name("openemr-data", "VpcId") == "openemr-data:VpcId"
