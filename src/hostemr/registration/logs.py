"""Logs: JSON lines in production, readable ones in development; never an email address in clear."""

from __future__ import annotations

import logging
import os
import re
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, Processor

from hostemr.errors import SettingsError
from hostemr.registration.settings import RegistrationSettings

REQUEST_ID: ContextVar[str] = ContextVar("request_id")
"""The id of the request that is being served; it stands in each of its log lines."""

_SIGNS = ("@", "\N{FULLWIDTH COMMERCIAL AT}", "\N{SMALL COMMERCIAL AT}")
# What RFC 5322 allows before an @ without quotes, and anything after it: too much rather than too little.
_ADDRESS = re.compile(r"[\w.!#$%&'*+/=?^`{|}~-]{1,256}@[^\s@<>\"'(),;\[\]{}\\]{1,256}")
# A quoted local part, a domain literal (RFC 5321, 4.1.2), the signs of other keyboards.
_ODD_ADDRESS = re.compile(
    r"""(?:"[^"\r\n]{1,64}"|[\w.!#$%&'*+/=?^`{|}~-]{1,64})[@\N{FULLWIDTH COMMERCIAL AT}\N{SMALL COMMERCIAL AT}]"""
    r"""(?:\[[^\]\s]{1,64}\]|[^\s@<>"'(),;\[\]{}\\]{1,253})"""
)
_ENCODED_ADDRESS = re.compile(r"[\w.+%-]{1,128}%40[\w.%-]{1,253}")


def redact(text: str) -> str:
    """`text` with every email address in it replaced by `<address>`."""
    if any(sign in text for sign in _SIGNS):
        text = _ODD_ADDRESS.sub("<address>", _ADDRESS.sub("<address>", text))
    if "%40" in text:
        text = _ENCODED_ADDRESS.sub("<address>", text)
    return text


def _add_request_id(_logger: Any, _method: str, event: EventDict) -> EventDict:
    request_id = REQUEST_ID.get(None)
    if request_id is not None:
        event["request_id"] = request_id
    return event


def _redact_event(_logger: Any, _method: str, event: EventDict) -> EventDict:
    for key, value in event.items():
        if isinstance(value, str):
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
        _add_request_id,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    json = settings.effective_log_format == "json"
    handlers: list[logging.Handler] = [logging.StreamHandler(stream)]
    handlers[0].setFormatter(_Formatter(shared, _renderer(stream, json=json), writes_json=json))
    if settings.effective_log_file is not None:
        file = _open_log_file(settings.effective_log_file)
        file.setFormatter(_Formatter(shared, _renderer(None, json=json), writes_json=json))
        handlers.append(file)
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


def _open_log_file(path: Path) -> logging.FileHandler:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return logging.FileHandler(path, encoding="utf-8")
    except OSError as error:
        problem = f"the log file {path} cannot be written: {error.strerror}"
        raise SettingsError([problem], hint="set HOSTEMR_LOG_FILE to a file elsewhere") from error


class _Formatter(structlog.stdlib.ProcessorFormatter):
    def __init__(self, shared: list[Processor], renderer: list[Processor], *, writes_json: bool) -> None:
        super().__init__(foreign_pre_chain=shared, processors=[self.remove_processors_meta, *renderer])
        self.writes_json = writes_json


class AccessLog:
    """One line for each request, like any other line of the log.

    In JSON it is written without the logging library's detours, which took a tenth of the time of
    a registration: all its values are numbers, or texts of our own making that need no escaping.
    """

    def __init__(self) -> None:
        root = logging.getLogger()
        self._enabled = root.isEnabledFor(logging.INFO)
        self._streams = [
            handler.stream
            for handler in root.handlers
            if isinstance(handler, logging.StreamHandler) and getattr(handler.formatter, "writes_json", False)
        ]
        self._log = structlog.get_logger("hostemr.access")

    def write(self, *, request_id: str, method: str, route: str, status: int, seconds: float) -> None:
        """Write the line; `request_id`, `method` and `route` hold neither quotes nor control characters."""
        if not self._enabled:
            return
        if not self._streams:
            self._log.info("request", method=method, route=route, status=status, seconds=round(seconds, 6))
            return
        timestamp = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        line = (
            f'{{"event": "request", "method": "{method}", "route": "{route}", "status": {status}, '
            f'"seconds": {seconds:.6f}, "request_id": "{request_id}", "level": "info", "timestamp": "{timestamp}"}}\n'
        )
        for stream in self._streams:
            stream.write(line)
            stream.flush()
