"""Logs: JSON lines in production, readable ones in development; never an email address in clear."""

from __future__ import annotations

import logging
import os
import re
import sys
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, Processor

from hostemr.registration.settings import RegistrationSettings

# What RFC 5322 allows before an @ without quotes, and anything after it: too much rather than too little.
_ADDRESS = re.compile(r"[\w.!#$%&'*+/=?^`{|}~-]{1,256}@[^\s@<>\"'(),;\[\]{}\\]{1,256}")
_ENCODED_ADDRESS = re.compile(r"[\w.+%-]{1,128}%40[\w.%-]{1,253}")


def redact(text: str) -> str:
    """`text` with every email address in it replaced by `<address>`."""
    if "@" in text:
        text = _ADDRESS.sub("<address>", text)
    if "%40" in text:
        text = _ENCODED_ADDRESS.sub("<address>", text)
    return text


def _redact_event(_logger: Any, _method: str, event: EventDict) -> EventDict:
    for key, value in event.items():
        if isinstance(value, str):
            if "@" in value or "%40" in value:
                event[key] = redact(value)
        elif not isinstance(value, int | float | bool | None):
            event[key] = redact(str(value))
    return event


def _renderer(stream: TextIO | None, *, json: bool) -> list[Processor]:
    if json:
        return [structlog.processors.format_exc_info, _redact_event, structlog.processors.JSONRenderer()]
    colours = stream is not None and stream.isatty() and not os.environ.get("NO_COLOR")
    return [
        structlog.processors.format_exc_info,
        _redact_event,
        structlog.dev.ConsoleRenderer(colors=colours),
    ]


def configure_logs(settings: RegistrationSettings, stream: TextIO | None = None) -> None:
    """Send hostemr's logs, and those of the libraries, to `stream` (stderr) and to the log file."""
    stream = stream or sys.stderr
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    json = settings.effective_log_format == "json"
    handlers: list[logging.Handler] = [logging.StreamHandler(stream)]
    handlers[0].setFormatter(_formatter(shared, _renderer(stream, json=json)))
    if settings.effective_log_file is not None:
        settings.effective_log_file.parent.mkdir(parents=True, exist_ok=True)
        handlers.append(logging.FileHandler(settings.effective_log_file, encoding="utf-8"))
        handlers[1].setFormatter(_formatter(shared, _renderer(None, json=json)))
    logging.basicConfig(handlers=handlers, level=settings.log_level.upper(), force=True)
    # Notes of the server about its own names, repeated at each start.
    logging.getLogger("asyncmy").setLevel(logging.ERROR)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )


def _formatter(shared: list[Processor], renderer: list[Processor]) -> logging.Formatter:
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer],
    )
