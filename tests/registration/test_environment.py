"""Settings from the environment: the seed's names, secrets from files, every error at once."""

from __future__ import annotations

from pathlib import Path

import argon2
import pytest

from hostemr.errors import SettingsError
from hostemr.registration.environment import FIELDS, is_secret, load_settings, variable
from tests.peers.certificates import self_signed
from tests.registration.prepared_database import certificates_of


def problems(**environ: str) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as error:
        load_settings(environ)
    return error.value.problems


def test_defaults_need_nothing() -> None:
    settings = load_settings({})
    assert settings.uses_sqlite
    assert settings.effective_base_url == "http://127.0.0.1:8080"
    assert not settings.development


def test_the_seeds_variables_work() -> None:
    settings = load_settings(
        {
            "DB_CONN_STR": "mysql+pymysql://user:pass@localhost/product_registration",
            "SECRET_PIN": "1234",
            "SES_REGION": "us-west-2",
            "SES_SENDER": "openemrnoreply@gmail.com",
            "AWS_ACCESS_ID": "AKIAEXAMPLE",
            "AWS_SECRET_KEY": "secret",
        }
    )
    assert settings.database_url == "mysql+asyncmy://user:pass@localhost/product_registration"
    assert settings.secret_pin is not None
    assert settings.secret_pin.get_secret_value() == "1234"
    assert (settings.ses_region, settings.mail_from) == ("us-west-2", "openemrnoreply@gmail.com")
    assert settings.aws_access_key_id is not None
    assert settings.aws_secret_access_key is not None


def test_our_names_come_before_the_seeds_and_the_command_line_before_both() -> None:
    environ = {"DB_CONN_STR": "mysql://a@h/seed", "HOSTEMR_DATABASE_URL": "mysql://a@h/ours", "HOSTEMR_PORT": "1"}
    assert load_settings(environ).database_url.endswith("/ours")
    overridden = load_settings(environ, {"database_url": "mysql://a@h/line", "port": "2"})
    assert overridden.database_url.endswith("/line")
    assert overridden.port == 2


def test_every_error_is_told_at_once_with_key_value_and_what_was_expected() -> None:
    found = problems(
        HOSTEMR_PROT="1",
        HOSTEMR_PORT="x",
        HOSTEMR_RATE_LIMIT_GLOBAL="5/fortnight",
        HOSTEMR_BASE_URL="reg.open-emr.org",
        HOSTEMR_REPEAT_REGISTRATIONS="sometimes",
        SES_SENDER="nobody",
    )
    assert len(found) == 6
    assert "HOSTEMR_PROT is no setting of hostemr; did you mean HOSTEMR_PORT?" in found
    assert any(line.startswith("HOSTEMR_PORT is 'x': ") for line in found)
    assert any("expected COUNT/second" in line for line in found)
    assert any(line.startswith("SES_SENDER is 'nobody': ") for line in found)


def test_secrets_are_never_shown() -> None:
    environ = {
        "HOSTEMR_DATABASE_URL": "oracle://user:hunter2@host/db",
        "HOSTEMR_SECRET_KEY": "hunter2",
        "HOSTEMR_SECRET_PIN_HASH": "hunter2",
    }
    with pytest.raises(SettingsError) as error:
        load_settings(environ)
    assert len(error.value.problems) == 3
    assert "hunter2" not in str(error.value)
    settings = load_settings(
        {"SECRET_PIN": "hunter2", "AWS_SECRET_KEY": "hunter2", "HOSTEMR_SECRET_KEY": "hunter2" * 3}
    )
    assert "hunter2" not in repr(settings)


@pytest.mark.parametrize(
    "url", ["", "nonsense", "postgresql://a@h/d", "sqlite://", "sqlite:///:memory:", "mysql://user@host"]
)
def test_databases_that_cannot_be_used_are_refused(url: str) -> None:
    if url:
        assert len(problems(HOSTEMR_DATABASE_URL=url)) == 1
    else:
        assert load_settings({"HOSTEMR_DATABASE_URL": url}).uses_sqlite


def test_secrets_come_from_files(tmp_path: Path) -> None:
    file = tmp_path / "pin"
    file.write_text("from a file\n")
    settings = load_settings({"HOSTEMR_SECRET_PIN_FILE": str(file)})
    assert settings.secret_pin is not None
    assert settings.secret_pin.get_secret_value() == "from a file"
    assert "cannot be read" in problems(SECRET_PIN_FILE=str(tmp_path / "none"))[0]
    assert "no setting" in problems(HOSTEMR_PORT_FILE=str(file))[0], "only secrets come from files"


def test_a_credential_joins_the_databases_url_and_is_never_shown() -> None:
    settings = load_settings(
        {
            "HOSTEMR_DATABASE_URL": "mysql://db.example.org:3306/registration",
            "HOSTEMR_DATABASE_USERNAME": "registration_a",
            "HOSTEMR_DATABASE_PASSWORD": "hunter2@/:",
        }
    )
    url = settings.effective_database_url
    assert (url.username, url.password, url.host, url.database) == (
        *("registration_a", "hunter2@/:", "db.example.org", "registration"),
    )
    assert "hunter2" not in f"{settings!r} {url} {settings.database_url}"
    plain = load_settings({"HOSTEMR_DATABASE_URL": "mysql://a:b@h/d"})
    assert plain.effective_database_url.render_as_string(hide_password=False) == plain.database_url


CREDENTIAL = {"HOSTEMR_DATABASE_USERNAME": "registration_a", "HOSTEMR_DATABASE_PASSWORD": "hunter2"}


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"HOSTEMR_DATABASE_USERNAME": "registration_a"}, "expected both or neither"),
        (CREDENTIAL | {"HOSTEMR_DATABASE_URL": "mysql://a:hunter2@h/d"}, "expected one of them"),
        (CREDENTIAL | {"HOSTEMR_DATABASE_URL": "mysql://a@h/d"}, "expected one of them"),
        (CREDENTIAL | {"HOSTEMR_DATABASE_URL": "sqlite:///x"}, "which needs neither"),
        ({"HOSTEMR_DATABASE_URL": "mysql://h/d?ssl_ca=ca.pem"}, "has ?ssl_ca= too; expected one of them"),
    ],
)
def test_there_is_one_way_into_the_database(tmp_path: Path, told: dict[str, str], expected: str) -> None:
    ca = {"HOSTEMR_DATABASE_CA": certificates_of(self_signed(tmp_path, "db"))} if "ssl_ca" in str(told) else {}
    [found] = problems(**({"HOSTEMR_DATABASE_URL": "mysql://h/d"} | told | ca))
    assert expected in found
    assert "hunter2" not in found


@pytest.mark.parametrize("value", ["no certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"])
def test_a_ca_that_is_none_is_told(value: str) -> None:
    assert "expected the text of one or more CA certificates" in problems(HOSTEMR_DATABASE_CA=value)[0]


def test_a_private_key_taken_for_a_ca_is_not_shown(tmp_path: Path) -> None:
    text = self_signed(tmp_path, "db").read_text()
    [found] = problems(HOSTEMR_DATABASE_URL="mysql://h/d", HOSTEMR_DATABASE_CA=text)
    assert found.startswith("HOSTEMR_DATABASE_CA: holds a private key")
    assert text.splitlines()[1] not in found


@pytest.mark.parametrize("value", ["http://h/bundle.pem", "https://h", "https:///bundle.pem", "/bundle.pem"])
def test_certificates_come_by_https_only(value: str) -> None:
    [found] = problems(HOSTEMR_DATABASE_URL="mysql://h/d", HOSTEMR_DATABASE_CA_URL=value)
    assert "expected https://HOST/FILE" in found


@pytest.mark.parametrize(("tls", "url"), [("off", "http://127.0.0.1:8080"), ("self-signed", "https://127.0.0.1:8080")])
def test_the_services_own_address_says_whether_it_speaks_tls(tls: str, url: str) -> None:
    settings = load_settings({"HOSTEMR_TLS": tls, "HOSTEMR_SECRET_KEY": "a key for the tests"})
    assert settings.effective_base_url == url
    assert settings.console_url == url.replace("127.0.0.1", "localhost")
    assert settings.console_problem is None


def test_one_pin_only() -> None:
    pin_hash = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash("pin")
    assert "expected one of them" in problems(SECRET_PIN="pin", HOSTEMR_SECRET_PIN_HASH=pin_hash)[0]


def test_every_secret_is_typed_as_one() -> None:
    named = {name for name in FIELDS if any(word in name for word in ("secret", "pin", "key", "password"))}
    assert {name for name in named if not is_secret(name)} == set()
    assert is_secret("database_url"), "it can hold a password"


def test_every_setting_has_a_meaning_and_a_variable_of_its_own() -> None:
    assert all(field.description for field in FIELDS.values())
    assert len({variable(name) for name in FIELDS}) == len(FIELDS)
