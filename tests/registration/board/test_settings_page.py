"""The settings page."""

from __future__ import annotations

import re

import pytest

from hostemr.registration.board.settings_page import REST, TOPICS, topics_of
from hostemr.registration.environment import FIELDS, is_secret, load_settings
from tests.registration.conftest import NewService
from tests.registration.console import SETTINGS, text_of, visitor

SECRETS = {
    "HOSTEMR_SECRET_KEY": "never shown: the key",
    "HOSTEMR_SECRET_PIN": "never shown: the pin",
    "HOSTEMR_SMTP_USERNAME": "mailer",
    "HOSTEMR_SMTP_PASSWORD": "never shown: the password",
    "HOSTEMR_AWS_ACCESS_KEY_ID": "never shown: the id",
    "HOSTEMR_AWS_SECRET_ACCESS_KEY": "never shown: the secret",
    "HOSTEMR_DATABASE_URL": "mysql://reg:never-shown@db.example.org/registration",
}


@pytest.mark.anyio
async def test_every_setting_is_shown_and_no_secret(new_service: NewService) -> None:
    service = await new_service(**SETTINGS, HOSTEMR_APPROVALS="2", HOSTEMR_MAIL_FROM="b@example.org")
    ada = await visitor(service, "viewer")
    page = (await ada.get("/board/settings")).text
    shown = text_of(page)
    assert set(re.findall(r"HOSTEMR_\w+", shown)) == {f"HOSTEMR_{name.upper()}" for name in FIELDS}
    assert "HOSTEMR_APPROVALS 2 After how long" in shown
    assert "HOSTEMR_INVITATION_HOURS 3 days default" in shown
    assert "HOSTEMR_SECRET_KEY set, not shown" in shown
    assert "a key for the tests" not in page
    assert service.settings.database_url not in page


def test_each_setting_belongs_to_one_topic() -> None:
    named = [name for _, names in TOPICS.values() for name in names]
    assert sorted(named) == sorted(FIELDS)
    assert REST[0] not in [title for title, _, _ in topics_of(load_settings({}))]


def test_no_secret_is_in_what_is_shown() -> None:
    shown = [one for _, _, rows in topics_of(load_settings(SECRETS)) for one in rows]
    assert "never" not in str([one.value for one in shown])
    assert {one.variable for one in shown if one.value == "set, not shown"} == {
        name for name in SECRETS if is_secret(name.removeprefix("HOSTEMR_").lower())
    }


@pytest.mark.parametrize(
    ("variable", "given", "value"),
    [
        ("APPROVALS", "", "1 where the board has two or more members, else none"),
        ("APPROVALS", "0", "none: authors send by themselves"),
        ("APPROVALS", "2", "2"),
        ("SESSION_IDLE_MINUTES", "90", "1 hour 30 minutes"),
        ("INVITATION_HOURS", "", "3 days"),
        ("DATABASE_TIMEOUT_SECONDS", "2.5", "2.5 seconds"),
        ("STOP_AT_COMPLAINT_PERCENT", "", "0.1 %"),
        ("USAGE_BODY_BYTES", "", "8,388,608 bytes"),
        ("SEND_RATE", "14", "14 recipients a second"),
        ("RATE_LIMIT_CLIENT", "", "60/minute"),
        ("PORT", "8080", "8080"),
        ("BASE_URL", "", "http://127.0.0.1:8080"),
        ("SES_CONFIGURATION_SET", "", "not set"),
        ("SNS_TOPIC_ARNS", "", "none: reports of bounces and complaints are refused"),
        ("DEVELOPMENT", "true", "yes"),
    ],
)
def test_a_value_reads_as_people_say_it(variable: str, given: str, value: str) -> None:
    shown = [
        one
        for _, _, rows in topics_of(load_settings({f"HOSTEMR_{variable}": given}))
        for one in rows
        if one.variable == f"HOSTEMR_{variable}"
    ]
    assert [one.value for one in shown] == [value]


def test_what_nobody_set_is_marked_as_a_default() -> None:
    shown = {one.variable: one for _, _, rows in topics_of(load_settings({"HOSTEMR_PORT": "9"})) for one in rows}
    assert not shown["HOSTEMR_PORT"].default
    assert shown["HOSTEMR_HOST"].default
    assert shown["HOSTEMR_DATABASE_URL"].default
