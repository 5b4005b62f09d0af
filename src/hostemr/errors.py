"""The one error tree. A class carries its exit status and, where it can reach HTTP, its status there.

HostemrError
├── SettingsError          2  a setting or an argument is wrong; lists every problem at once
├── FindingsError          1  the work was done and found something that needs a person
├── OutsideWorldError      3  AWS, a database, mail or the network failed
│   └── DatabaseUnavailable   (HTTP 503, to be tried again)
├── RefusedError           4  going on would harm data
└── RequestError           2  an HTTP request that cannot be granted (HTTP 4xx)
"""

from __future__ import annotations

from collections.abc import Sequence

EXIT_STATUSES = """\b
Exit status:
  0  done
  1  findings, or a failed check
  2  wrong use, or wrong settings
  3  the outside world failed: AWS, a database, mail
  4  refused to harm data
"""
"""For the end of every verb's help; `\\b` keeps click from wrapping the lines."""


class HostemrError(Exception):
    """An error that a person can act on: one line of what is wrong, and a hint of what to change.

    `exit_status` is what the command line answers, `http_status` what the service answers;
    `wire_name` is the `error` member of the service's JSON reply.
    """

    exit_status = 3
    http_status = 500
    wire_name = "InternalErrorException"

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class SettingsError(HostemrError):
    """Settings or arguments that cannot be used; `problems` holds one line for each of them."""

    exit_status = 2

    def __init__(self, problems: Sequence[str], *, hint: str = "") -> None:
        super().__init__("\n".join(problems), hint=hint)
        self.problems = tuple(problems)


class FindingsError(HostemrError):
    """The work was done, and what it found needs a person."""

    exit_status = 1


class OutsideWorldError(HostemrError):
    """Something outside of hostemr failed: a database, AWS, mail, the network."""

    exit_status = 3


class DatabaseUnavailable(OutsideWorldError):
    """The database does not answer, or not in time. Nothing that was answered with success is lost."""

    http_status = 503
    wire_name = "ServiceUnavailableException"
    retry_after_seconds = 5


class RefusedError(HostemrError):
    """Going on would harm data, so nothing was done."""

    exit_status = 4


class RequestError(HostemrError):
    """An HTTP request that cannot be granted as it is."""

    exit_status = 2
    http_status = 400
    wire_name = "InvalidRequestException"


class PayloadTooLarge(RequestError):
    """The body is over the endpoint's limit (RFC 9110, 15.5.14)."""

    http_status = 413
    wire_name = "PayloadTooLargeException"


class UnsupportedMediaType(RequestError):
    """The Content-Type is none that the endpoint reads (RFC 9110, 15.5.16)."""

    http_status = 415
    wire_name = "UnsupportedMediaTypeException"


class RequestTimeout(RequestError):
    """The body did not arrive in time (RFC 9110, 15.5.9)."""

    http_status = 408
    wire_name = "RequestTimeoutException"


class TooManyRequests(RequestError):
    """A rate limit or a back-off applies (RFC 6585, 4); `retry_after_seconds` says for how long."""

    http_status = 429
    wire_name = "TooManyRequestsException"

    def __init__(self, message: str, *, retry_after_seconds: int) -> None:
        super().__init__(message, hint=f"try again in {retry_after_seconds} seconds")
        self.retry_after_seconds = retry_after_seconds
