"""A fake of Amazon SES's API v2 in a process of its own, with a log of what it accepted.

Every message that it accepts stands in the log, flushed to disk, before anybody is answered: so
the log is the truth of what recipients got, whoever was killed. `behave` makes it fail in the ways
in which SES and networks fail.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import random
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from types import TracebackType
from typing import Any, Self

BULK = "/v2/email/outbound-bulk-emails"
SINGLE = "/v2/email/outbound-emails"
ACCOUNT = "/v2/email/account"
BEHAVIOUR = "/behaviour"


@dataclass
class Behaviour:
    """How it answers from now on. Shares are probabilities from 0 to 1."""

    delay_seconds: float = 0.0
    drop_reply: float = 0.0
    """Accept the call, log it, and close the connection without an answer."""
    refuse_connection: float = 0.0
    """Close the connection without having accepted anything."""
    throttle: float = 0.0
    server_error: float = 0.0
    entry_status: dict[str, str] = field(default_factory=dict)
    """Status of the entries whose address begins with the key."""
    entry_throttle: float = 0.0
    error: tuple[int, str, str] | None = None
    """HTTP status, code and message of every call."""
    max_send_rate: float = 14.0
    max_24_hour_send: float = 50_000.0
    sent_last_24_hours: float = 0.0
    sending_enabled: bool = True
    enforcement_status: str = "HEALTHY"
    fsync: bool = True


class FakeSES:
    """`with FakeSES(folder) as ses:`; `ses.url` is its endpoint, `ses.accepted()` what it took."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.log = folder / "accepted.jsonl"
        self.url = ""
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.peers.ses", str(self.log)],
            cwd=Path(__file__).parents[2],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.url = f"http://127.0.0.1:{int(self._process.stdout.readline())}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait(timeout=10)
        if self._process.stdout is not None:
            self._process.stdout.close()

    def behave(self, **changes: Any) -> None:
        """Behave as by default, but for these fields of Behaviour."""
        body = json.dumps(asdict(Behaviour(**changes))).encode()
        with urllib.request.urlopen(self.url + BEHAVIOUR, data=body, timeout=10) as reply:
            reply.read()

    def accepted(self) -> list[dict[str, Any]]:
        """Every message accepted so far: to, from, subject, text, html, headers, broadcast, recipient, id, at."""
        if not self.log.exists():
            return []
        # A line that is being written is not accepted yet.
        lines = self.log.read_text().splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.endswith("\n")]

    def addresses(self) -> list[str]:
        return [message["to"] for message in self.accepted()]


class _Server:
    def __init__(self, log: Path) -> None:
        self._log = log.open("a", encoding="utf-8")
        self._behaviour = Behaviour()
        self._numbers = itertools.count(1)
        self._random = random.Random(1)

    async def serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                path = head.split(" ", 2)[1]
                length = next(
                    (int(line[15:]) for line in head.split("\r\n") if line.lower().startswith("content-length:")), 0
                )
                body = await reader.readexactly(length)
                reply = await self._answer(path, body)
                if reply is None:
                    return
                status, content = reply
                text = json.dumps(content).encode()
                code = f"x-amzn-errortype: {content['__type']}\r\n" if "__type" in content else ""
                writer.write(
                    f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n{code}"
                    f"content-length: {len(text)}\r\n\r\n".encode()
                    + text
                )
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()

    async def _answer(self, path: str, body: bytes) -> tuple[int, dict[str, Any]] | None:
        if path == BEHAVIOUR:
            given = json.loads(body)
            self._behaviour = Behaviour(**{each.name: given[each.name] for each in fields(Behaviour)})
            return 200, {}
        if path == ACCOUNT:
            return 200, self._account()
        now = self._behaviour
        if now.delay_seconds:
            await asyncio.sleep(now.delay_seconds)
        if self._happens(now.refuse_connection):
            return None
        if now.error:
            status, code, message = now.error
            return status, {"__type": code, "message": message}
        if self._happens(now.throttle):
            return 429, {"__type": "TooManyRequestsException", "message": "Maximum sending rate exceeded."}
        return self._accept(path, json.loads(body))

    def _account(self) -> dict[str, Any]:
        now = self._behaviour
        return {
            "SendQuota": {
                "MaxSendRate": now.max_send_rate,
                "Max24HourSend": now.max_24_hour_send,
                "SentLast24Hours": now.sent_last_24_hours,
            },
            "SendingEnabled": now.sending_enabled,
            "EnforcementStatus": now.enforcement_status,
            "ProductionAccessEnabled": True,
        }

    def _accept(self, path: str, call: dict[str, Any]) -> tuple[int, dict[str, Any]] | None:
        if path == BULK:
            content = call["DefaultContent"]["Template"]["TemplateContent"] | {"From": call["FromEmailAddress"]}
            results = [self._entry(content, entry) for entry in call["BulkEmailEntries"]]
            self._write(line for _, line in results)
            reply: dict[str, Any] = {"BulkEmailEntryResults": [result for result, _ in results]}
        else:
            simple = call["Content"]["Simple"]
            content = {name: part["Data"] for name, part in simple["Body"].items()}
            content |= {"Subject": simple["Subject"]["Data"], "From": call["FromEmailAddress"]}
            [to] = call["Destination"]["ToAddresses"]
            line = self._line(to, call["EmailTags"], simple["Headers"], content)
            self._write([line])
            reply = {"MessageId": line["id"]}
        if self._happens(self._behaviour.drop_reply):
            return None
        if self._happens(self._behaviour.server_error):
            return 500, {"__type": "InternalFailure", "message": "after it was accepted"}
        return 200, reply

    def _entry(self, content: dict[str, str], entry: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any] | None]:
        [to] = entry["Destination"]["ToAddresses"]
        status = next((s for prefix, s in self._behaviour.entry_status.items() if to.startswith(prefix)), "SUCCESS")
        if status == "SUCCESS" and self._happens(self._behaviour.entry_throttle):
            status = "ACCOUNT_THROTTLED"
        if status != "SUCCESS":
            return {"Status": status, "Error": f"{status} for a test"}, None
        variables = json.loads(entry["ReplacementEmailContent"]["ReplacementTemplate"]["ReplacementTemplateData"])
        filled = dict(content)
        for part, (name, value) in itertools.product(content, variables.items()):
            filled[part] = filled[part].replace("{{" + name + "}}", value)
        line = self._line(to, entry["ReplacementTags"], entry["ReplacementHeaders"], filled)
        if any("{{" in part for part in filled.values()):
            # A template that cannot be rendered is accepted, and never sent (SES developer guide).
            return {"Status": "SUCCESS", "MessageId": line["id"]}, None
        return {"Status": "SUCCESS", "MessageId": line["id"]}, line

    def _line(
        self, to: str, tags: list[dict[str, str]], headers: list[dict[str, str]], content: dict[str, str]
    ) -> dict[str, Any]:
        named = {tag["Name"]: tag["Value"] for tag in tags}
        return {
            "to": to,
            "broadcast": named["hostemr_broadcast"],
            "recipient": int(named["hostemr_recipient"]),
            "id": f"0100-{next(self._numbers):012d}-000000",
            "from": content["From"],
            "subject": content["Subject"],
            "headers": {header["Name"]: header["Value"] for header in headers},
            "text": content["Text"],
            "html": content.get("Html"),
            "at": time.time(),
        }

    def _write(self, lines: Iterable[dict[str, Any] | None]) -> None:
        self._log.write("".join(json.dumps(line) + "\n" for line in lines if line is not None))
        self._log.flush()
        if self._behaviour.fsync:
            os.fsync(self._log.fileno())

    def _happens(self, share: float) -> bool:
        return self._random.random() < share


async def _main(log: Path) -> None:
    server = _Server(log)
    listening = await asyncio.start_server(server.serve_one, "127.0.0.1", 0, limit=64 * 1024 * 1024)
    print(listening.sockets[0].getsockname()[1], flush=True)
    async with listening:
        await listening.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("log", type=Path)
    asyncio.run(_main(parser.parse_args().log))
