"""The only boto3 of the operator's verbs: clients of one account and region, and AWS's errors as one line each."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Any, Protocol

import boto3
from botocore import exceptions, parsers
from botocore.config import Config

from hostemr.errors import OutsideWorldError, SettingsError
from hostemr.operate.aws_errors import NO_STACK, NO_STACK_HINT, error_code, translation

__all__ = ["Account", "Accounts", "Aws", "error_code", "pages", "stack_outputs", "translated"]

_ONCE_ONLY = frozenset({"rds-data"})
"""Services whose calls may have been carried out although no answer came: a statement must not run twice."""


class Aws(Protocol):
    """Where a verb gets its clients; tests give fakes, or clients of an emulator."""

    @property
    def region(self) -> str:
        """The region's name, such as us-east-1."""

    def client(self, service: str) -> Any:
        """The boto3 client of a service, such as `rds-data`."""


class Accounts(Protocol):
    """How a verb gets to an account: `Account`, unless click's context object is another, as in tests."""

    def __call__(self, *, region: str | None, profile: str | None) -> Aws:
        """The account and region that these lead to."""


class Account:
    """The account and region that the credentials at hand lead to.

    Raises SettingsError where the profile is unknown or no region is set anywhere.
    """

    def __init__(self, *, region: str | None = None, profile: str | None = None) -> None:
        # boto3 itself knows AWS_DEFAULT_REGION alone; the AWS command line and the other SDKs go by AWS_REGION first.
        region = region or os.environ.get("AWS_REGION") or None
        with translated():
            self._session = boto3.Session(region_name=region, profile_name=profile)
        if not self._session.region_name:
            raise SettingsError(["no region is set"], hint="give --region, or set AWS_REGION")
        self._clients: dict[str, Any] = {}

    @property
    def region(self) -> str:
        """The region's name."""
        return str(self._session.region_name)

    def client(self, service: str) -> Any:
        """The client of a service, made once."""
        if service not in self._clients:
            # Standard mode waits and tries again by itself when AWS throttles or does not answer.
            retries = {"mode": "standard", "total_max_attempts": 1 if service in _ONCE_ONLY else 8}
            config = Config(retries=retries, connect_timeout=10, read_timeout=60, user_agent_extra="hostemr")
            with translated():
                self._clients[service] = self._session.client(service, config=config)
        return self._clients[service]


@contextmanager
def translated(doing: str = "") -> Iterator[None]:
    """Errors of boto3 inside become a HostemrError of one line and a hint; `doing` begins the line.

    A verb wraps its whole work in it. Code that expects an error, such as a missing resource, catches botocore's own
    before it gets here.
    """
    try:
        yield
    except (exceptions.BotoCoreError, exceptions.ClientError) as error:
        raise translation(error, f"{doing}: " if doing else "") from error
    except parsers.ResponseParserError as error:
        # Not one of botocore's own kind. Its text repeats the whole answer.
        message = f"{doing}: " if doing else ""
        message += "What answered in AWS's place is not AWS, or was cut off."
        raise OutsideWorldError(
            message, hint="look at a VPN, a proxy (HTTPS_PROXY), and a sign-in of your network"
        ) from error


def stack_outputs(aws: Aws, stack: str) -> Mapping[str, str]:
    """The outputs of a deployed stack by name.

    Raises OutsideWorldError where there is no such stack; its hint names those that are nearly called so.
    """
    with translated():
        try:
            found = aws.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
        except exceptions.ClientError as error:
            if NO_STACK.search(str(error)):
                message = f"There is no stack {stack} in {aws.region}."
                raise OutsideWorldError(message, hint=_near(aws, stack)) from error
            raise
    return {one["OutputKey"]: one["OutputValue"] for one in found.get("Outputs", ())}


def pages(call: Callable[..., Mapping[str, Any]], items: str, /, token: str, **request: Any) -> Iterator[Any]:
    """All items of a call that answers in pages; `token` names the member that asks for the next page."""
    given: dict[str, Any] = {}
    while True:
        answer = call(**request, **given)
        yield from answer.get(items, ())
        if not answer.get(token):
            return
        given = {token: answer[token]}


def _near(aws: Aws, stack: str) -> str:
    """What to do about a missing stack. Who may describe one stack may not always list them."""
    try:
        listed = list(
            pages(aws.client("cloudformation").list_stacks, "StackSummaries", token="NextToken")  # noqa: S106
        )
    except (exceptions.BotoCoreError, exceptions.ClientError):
        return NO_STACK_HINT
    # A deleted stack stays listed for 90 days.
    names = sorted({one["StackName"] for one in listed if one["StackStatus"] != "DELETE_COMPLETE"})
    near = get_close_matches(stack, names, n=3, cutoff=0.7)
    return f"there is {', '.join(near)}; {NO_STACK_HINT}" if near else NO_STACK_HINT
