"""Logs: JSON with a request id, and never an address in clear."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from hostemr.registration.environment import load_settings
from hostemr.registration.logs import REQUEST_ID, AccessLog, configure_logs, redact


@pytest.fixture(autouse=True)
def restored_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    for handler in set(root.handlers) - set(handlers):
        handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def configured(**environ: str) -> io.StringIO:
    stream = io.StringIO()
    configure_logs(load_settings(environ), stream)
    return stream


def test_production_logs_json_lines_with_the_request_id() -> None:
    stream = configured()
    token = REQUEST_ID.set("abc")
    structlog.get_logger("test").info("something", count=3)
    logging.getLogger("library").warning("from a %s", "library")
    REQUEST_ID.reset(token)
    ours, library = (json.loads(line) for line in stream.getvalue().splitlines())
    assert ours | {"timestamp": ""} == {
        "event": "something",
        "count": 3,
        "level": "info",
        "request_id": "abc",
        "timestamp": "",
    }
    assert (library["event"], library["request_id"]) == ("from a library", "abc")


@pytest.mark.parametrize("environ", [{}, {"HOSTEMR_LOG_FORMAT": "readable"}])
def test_addresses_and_their_encodings_are_redacted_everywhere(environ: dict[str, str]) -> None:
    stream = configured(**environ)
    try:
        raise ValueError("Duplicate entry 'admin@clinic.example.org' for key")
    except ValueError:
        structlog.get_logger("test").exception("for admin@clinic.example.org", email="admin@clinic.example.org")
        logging.getLogger("library").exception("body email=admin%%40clinic.example.org")
        structlog.get_logger("test").info("nested", value={"email": ["admin@clinic.example.org"]})
    assert "clinic.example" not in stream.getvalue()
    assert stream.getvalue().count("<address>") >= 5


@given(st.emails(), st.text(alphabet=" ,;'\"()<>", min_size=1, max_size=1))
def test_any_address_in_a_text_is_redacted(email: str, around: str) -> None:
    _, domain = email.split("@")
    redacted = redact(f"before{around}{email}{around}after")
    assert f"@{domain}" not in redacted
    assert "<address>" in redacted


def test_development_logs_readably_and_into_logger_dev_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    stream = configured(HOSTEMR_DEVELOPMENT="1")
    structlog.get_logger("test").info("something", count=3)
    for text in (stream.getvalue(), (tmp_path / "logger/dev.log").read_text()):
        assert "something" in text
        assert "count=3" in text
        assert "\x1b[" not in text, "colours are for terminals only"


@pytest.mark.parametrize("environ", [{}, {"HOSTEMR_LOG_FORMAT": "readable"}])
def test_the_access_log_is_a_line_like_any_other(environ: dict[str, str]) -> None:
    stream = configured(**environ)
    AccessLog().write(request_id="abc", method="POST", route="/api/{token}", status=201, seconds=0.00123449)
    structlog.get_logger("test").info("request")
    access, other = stream.getvalue().splitlines()
    if environ:
        assert "route=/api/{token}" in access
        return
    assert json.loads(access) | {"timestamp": ""} == {
        "event": "request",
        "level": "info",
        "method": "POST",
        "request_id": "abc",
        "route": "/api/{token}",
        "seconds": 0.001234,
        "status": 201,
        "timestamp": "",
    }
    assert len(json.loads(access)["timestamp"]) == len(json.loads(other)["timestamp"])


def test_the_access_log_keeps_to_the_level() -> None:
    stream = configured(HOSTEMR_LOG_LEVEL="warning")
    AccessLog().write(request_id="abc", method="POST", route="/", status=201, seconds=0.1)
    assert stream.getvalue() == ""
