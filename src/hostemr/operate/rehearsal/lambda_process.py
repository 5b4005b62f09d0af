"""One call of a function's handler, in a process of its own, as Lambda would make it.

Reads a call as JSON from standard input: `code`, `handler`, `event`, `name`, `seconds`. Writes what came of it to the
file `result.json` of the working folder. Time is played: a sleep ends at once and moves the clocks, so that a handler
that polls for half an hour is through in seconds and sees the times that it would see.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from pathlib import Path
from typing import Any

CFNRESPONSE = """
import json
import urllib.request

SUCCESS = "SUCCESS"
FAILED = "FAILED"


def send(event, context, responseStatus, responseData, physicalResourceId=None, noEcho=False, reason=None):
    body = {
        "Status": responseStatus,
        "Reason": reason or "See the log stream " + context.log_stream_name,
        "PhysicalResourceId": physicalResourceId or context.log_stream_name,
        "NoEcho": noEcho,
        "Data": responseData,
    }
    body.update({name: event[name] for name in ("StackId", "RequestId", "LogicalResourceId")})
    call = urllib.request.Request(event["ResponseURL"], json.dumps(body).encode(), {"Content-Type": ""}, method="PUT")
    urllib.request.urlopen(call, timeout=10).close()
"""
"""Lambda gives this module to inline code (CloudFormation User Guide, "cfn-response module")."""
_LONGEST_SLEEP = 0.02


class Clock:
    """The clocks of this process, moved by its sleeps; `played` is by how many seconds."""

    def __init__(self) -> None:
        self.played = 0.0
        self._sleep, self._time, self._monotonic = time.sleep, time.time, time.monotonic

    def sleep(self, seconds: float) -> None:
        """Wait a moment, and let it be `seconds`."""
        self._sleep(min(max(seconds, 0.0), _LONGEST_SLEEP))
        self.played += max(seconds, 0.0)

    def install(self) -> None:
        """Let everything that this process imports use these clocks."""
        for name, played in (("sleep", self.sleep), ("time", self.time), ("monotonic", self.monotonic)):
            setattr(time, name, played)

    def time(self) -> float:
        """Seconds since 1970, as played."""
        return self._time() + self.played

    def monotonic(self) -> float:
        """Seconds of the process, as played."""
        return self._monotonic() + self.played


class Context:
    """What Lambda gives a handler beside the event (Lambda Developer Guide, "context object in Python")."""

    def __init__(self, name: str, arn: str, request: str, seconds: float, clock: Clock) -> None:
        self.function_name, self.invoked_function_arn, self.aws_request_id = name, arn, request
        self.function_version, self.memory_limit_in_mb = "$LATEST", "256"
        self.log_group_name, self.log_stream_name = f"/aws/lambda/{name}", f"rehearsal/{request}"
        self._clock, self._end = clock, clock.monotonic() + seconds

    def get_remaining_time_in_millis(self) -> int:
        """Until Lambda would end the function."""
        return max(0, int(1000 * (self._end - self._clock.monotonic())))


def run(call: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Call the handler; what it raised is told by name and text."""
    module, _, function = str(call["handler"]).rpartition(".")
    (folder / f"{module}.py").write_text(call["code"], encoding="utf-8")
    (folder / "cfnresponse.py").write_text(CFNRESPONSE, encoding="utf-8")
    sys.path.insert(0, str(folder))
    clock = Clock()
    clock.install()
    context = Context(call["name"], call["arn"], call["request"], float(call["seconds"]), clock)
    try:
        handler = getattr(importlib.import_module(module), function)
        handler(call["event"], context)
    except Exception as error:  # noqa: BLE001, Lambda too catches whatever a handler raises
        return {"error": f"{type(error).__name__}: {error}", "played": clock.played}
    return {"error": "", "played": clock.played}


def main() -> None:
    """Make the call of standard input in the working folder."""
    folder = Path.cwd()
    result = run(json.load(sys.stdin), folder)
    (folder / "result.json").write_text(json.dumps(result), encoding="utf-8")


if __name__ == "__main__":
    main()
