"""What CloudFormation is told: whether this server's set-up worked, and why not."""

from __future__ import annotations

import http.client
import json
import time
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass

from hostemr.errors import OutsideWorldError
from hostemr.host.aws import Aws
from hostemr.host.programs import ProgramFailed

LONGEST_REASON = 1000
"""Characters; CloudFormation cuts the reason of an event not far above this."""

_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Answered:
    """What the other side said to a signal."""

    status: int
    reason: str


Put = Callable[[str, bytes], Answered]
"""Sends a body to a URL by PUT. Raises OSError or http.client.HTTPException where there is no answer."""


def put(url: str, body: bytes) -> Answered:
    """PUT without a Content-Type: the presigned URL's signature covers one that is empty.

    Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-waitcondition.html
    """
    parts = urllib.parse.urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.netloc, timeout=20)
    try:
        connection.request("PUT", f"{parts.path}?{parts.query}", body=body)
        answer = connection.getresponse()
        answer.read()
        return Answered(answer.status, answer.reason)
    finally:
        connection.close()


class WaitCondition:
    """The wait condition that the stack's creation waits for, by its presigned URL.

    Who has the URL can answer for this server, so no error of this class names it.
    """

    def __init__(self, url: str, *, put: Put = put, sleep: Callable[[float], None] = time.sleep) -> None:
        self._url = url
        self._put = put
        self._sleep = sleep

    def tell(self, *, worked: bool, reason: str, server: str) -> None:
        """Send the one signal of a server; CloudFormation takes a second one of the same `server` for the first.

        Harmless when nothing waits any more. Raises OutsideWorldError when five attempts reached nobody, or when the
        URL is refused, as an old one is.
        """
        text = " ".join(reason.split())[:LONGEST_REASON] or "no reason given"
        status = "SUCCESS" if worked else "FAILURE"
        body = json.dumps({"Status": status, "Reason": text, "UniqueId": server, "Data": text}).encode()
        said = "nothing"
        for attempt in range(_ATTEMPTS):
            if attempt:
                self._sleep(2.0**attempt)
            try:
                answer = self._put(self._url, body)
            except (OSError, http.client.HTTPException) as error:
                said = type(error).__name__
                continue
            said = f"{answer.status} {answer.reason}"
            if answer.status < 300:
                return
            if answer.status < 500:
                break
        raise OutsideWorldError(f"The wait condition could not be told {status}; its answer: {said}.")


class Group:
    """The Auto Scaling group, which waits for a signal of each server that an update brings."""

    def __init__(self, aws: Aws, *, stack: str, resource: str) -> None:
        self._aws = aws
        self._stack = stack
        self._resource = resource

    def tell(self, *, worked: bool, server: str) -> bool:
        """Signal for a server, by its instance id; whether somebody was waiting.

        Raises ProgramFailed where CloudFormation could not be asked.
        """
        arguments = {
            "StackName": self._stack,
            "LogicalResourceId": self._resource,
            "UniqueId": server,
            "Status": "SUCCESS" if worked else "FAILURE",
        }
        try:
            self._aws.call("cloudformation", "signal-resource", arguments)
        except ProgramFailed as error:
            # "… is in CREATE_COMPLETE state and cannot be signaled"
            if "ValidationError" in error.output:
                return False
            raise
        return True
