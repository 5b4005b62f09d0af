"""Forwards each mail to help@DOMAIN, which SES has stored in S3, to the people who answer it (FORWARD_TO).

Only headers change. SES sends in the name of verified identities alone, so From names the sender but is
help@DOMAIN, and Reply-To is the sender. From the first empty line on, the copy is the original, byte for byte.

No loops. Where a copy goes is told to SES, never read from the mail. Every copy bears our mark, and what bears
it, comes from help@DOMAIN or went through too many servers is not forwarded. Nor is what a machine wrote (RFC
3834, an empty envelope sender): it could answer a copy. But a report (RFC 3464) that returns the headers of
what did not arrive, without our mark, concerns no copy, and is forwarded. SES reports a copy that bounces to
help@DOMAIN, where by this rule it stays in the archive.

At least once: the archived mail is tagged after SES took the copy, and a tagged mail is not sent again. Killed
between the two, or without an answer from SES, a second copy comes from Lambda's retry: better than none.
What passes (throttling, an outage) is raised, for Lambda to try again. A mail that SES rejects is tagged,
raised once for the alarm, and then left; to have it forwarded, remove the tag and send the event.

The log has ids, verdicts and sizes; no subjects or addresses, nor SES's messages, which can quote them.
"""

from __future__ import annotations

import json
import os
import quopri
import re
import sys
import time
from base64 import b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.header import Header
from typing import Any, Self
from unicodedata import category

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

MARK = b"X-Hostemr-Forwarded"
TAG = "hostemr-mail"
# https://docs.aws.amazon.com/ses/latest/dg/quotas.html: 40 MB by API v2, and 10 MB only by v1's SendRawEmail
LARGEST_BYTES = 40 * 1024 * 1024
LONGEST_LINE = 900  # RFC 5322 2.1.1: 998 with the name
WORD = re.compile(rb"[ \t]*[^ \t]+|[ \t]+")
WAITS_SECONDS = (1, 2, 4, 8, 16)
THROTTLED = {"TooManyRequestsException", "Throttling", "ThrottlingException", "LimitExceededException"}
# Untrue in a copy, or SES's own: it obeys X-SES-* headers, and a stranger wrote these.
DROPPED = {b"return-path", b"sender", b"dkim-signature", b"domainkey-signature", b"from", b"feedback-id", b"bcc"}
HARMLESS = {b"subject", b"date", b"mime-version", b"received", b"references", b"in-reply-to"}
# RFC 3462: the third part is what could not be delivered, or its headers; RFC 3464 2.3: to whom.
RETURNED = re.compile(
    rb"(?ims)^content-type:[ \t]*(?:message|text)/(?:rfc822|global)(?!-del)(?:[^\n]{,998}\n){1,20}?\r?\n(.{,65536})"
)
FAILING = re.compile(rb"(?im)^(?:final|original)-recipient:[^;\r\n]{0,99};[ \t]*<?([^\s>]+)")
FIELD = re.compile(rb"([!-9;-~]+)[ \t]*:(.*)", re.DOTALL)
MESSAGE_ID = re.compile(rb"<[^<>\s]{1,900}>")
ENCODED_WORD = re.compile(r"=\?([^?\s]+)\?([bqBQ])\?([^?]*)\?=")
PIECE = re.compile(r'"((?:[^"\\]|\\.)*)"|\(((?:[^()\\]|\\.)*)\)|<([^<>]*)>|([^\s"(<,]+)|(.)', re.DOTALL)
ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.)+[A-Za-z0-9-]{1,63}")
NOTICE = """\
From: {to}
To: {to}
Subject: A mail that could not be forwarded
Auto-Submitted: auto-generated

A mail of {size} bytes is too large, or not formed as SES wants it.
It is in the archive: {place}
"""
Fields = list[tuple[bytes, bytes]]


class Rejected(Exception):
    """SES will never take this."""


class NotNow(Exception):
    """SES did not take it; Lambda tries again."""


class Unfit(Exception):
    """SES does not take it so."""


def log(message: str, **fields: Any) -> None:
    """One line of JSON."""
    sys.stdout.write(json.dumps({"message": message, **fields}) + "\n")


def plain(address: str) -> str:
    """To compare by: lower case, and without the `+label` that SES delivers all the same."""
    return re.sub(r"\+[^@]*(?=@)", "", address.strip().lower())


@dataclass(frozen=True)
class Settings:
    """Where mail is archived, what it was sent to, and who gets it."""

    bucket: str
    prefix: str
    recipient: str
    targets: tuple[str, ...]

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Self:
        """From the environment. Raises ValueError with everything that is wrong."""
        names = ("BUCKET", "PREFIX", "RECIPIENT", "FORWARD_TO")
        bucket, prefix, recipient, to = (environment.get(name, "").strip() for name in names)
        targets = tuple(address.strip() for address in to.split(",") if address.strip())
        wrong = [] if bucket else ["BUCKET should name the bucket"]
        if not ADDRESS.fullmatch(recipient):
            wrong.append("RECIPIENT should be one address")
        if not 1 <= len(targets) <= 50 or not all(ADDRESS.fullmatch(address) for address in targets):
            wrong.append("FORWARD_TO should be 1 to 50 addresses with commas between them")
        if plain(recipient) in map(plain, targets):
            wrong.append("FORWARD_TO should not have RECIPIENT, which would be sent to itself")
        if wrong:
            raise ValueError(f"The environment is wrong: {'; '.join(wrong)}.")
        return cls(bucket, prefix, recipient, targets)


def split(raw: bytes) -> tuple[Fields, int]:
    """The header fields with their values as they are, folds too, and where the body begins.

    A line that is no header begins the body, as for Python's parser and most mail servers. A lone CR becomes a
    space, so that no header appears that servers before us did not see. Names are empty where to be left out.
    """
    fields: list[tuple[bytes, list[bytes]]] = []
    place = 0
    while place < len(raw):
        end = raw.find(b"\n", place) + 1 or len(raw)
        line = raw[place:end].rstrip(b"\r\n").replace(b"\r", b" ")
        field = FIELD.fullmatch(line)
        if not line:
            place = end
            break
        if line.startswith((b" ", b"\t")):
            (fields or [(b"", [])])[-1][1].append(line)
        elif field:
            fields.append((field[1], [field[2]]))
        elif line.startswith((b":", b"From ", b">From ")):
            fields.append((b"", []))
        else:
            break
        place = end
    return [(name, b"\r\n".join(lines)) for name, lines in fields], place


def values(fields: Fields, name: str) -> list[bytes]:
    """All of this header, in order."""
    return [value for found, value in fields if found.lower() == name.encode()]


def readable(value: bytes) -> str:
    """As text, whatever it is encoded in; its first 2000 characters."""
    try:
        return value.decode()[:2000]
    except UnicodeDecodeError:
        return value[:2000].decode("latin-1")


def shown(line: str, most: int) -> str:
    """As people read it (RFC 2047), on one line, without what is invisible or turns the direction of writing."""

    def word(match: re.Match[str]) -> str:
        charset, how, data = match.groups()
        try:
            raw = b64decode(data + "==") if how in "bB" else quopri.decodestring(data.replace("_", " "))
            return raw.decode(charset.split("*")[0], "replace")
        except (LookupError, ValueError):
            return match[0]

    signs = ENCODED_WORD.sub(word, re.sub(r"\?=\s+=\?", "?==?", line))
    return " ".join("".join(" " if category(sign)[0] == "C" else sign for sign in signs).split())[:most]


def mailbox(value: bytes) -> tuple[str, str]:
    """The first mailbox's name and address, either empty if not told. Broken ones are read as far as it goes."""
    words, remarks, address = [], [], ""
    for quoted, remark, angled, bare, other in PIECE.findall(readable(value)):
        address = angled or address
        if angled or (other == "," and address):
            break
        if "@" in bare:
            address = address or bare.strip(";:>")
        elif remark:
            remarks.append(remark)
        elif quoted or bare or other == ",":
            words.append(re.sub(r"\\(.)", r"\1", quoted) or bare or other)
    name = " ".join(words).replace(" ,", ",") or " ".join(remarks)
    return shown(name, 78), shown("".join(address.split()), 100)


def phrase(name: str) -> bytes:
    """A display name for a header, on lines of 75 characters if it has to be encoded."""
    if name.isascii():
        return b'"' + re.sub(r'(["\\])', r"\\\1", name).encode() + b'"'
    return Header(name, "utf-8", maxlinelen=75).encode(linesep="\r\n").encode()


def folded(name: bytes, value: bytes) -> bytes:
    """The header's lines, broken before spaces where they are longer than mail allows, and where they can be."""
    lines = []
    for line in value.split(b"\r\n"):
        lines.append(b"")
        for word in WORD.findall(line) if len(line) > LONGEST_LINE else [line]:
            if lines[-1] and word.strip() and len(lines[-1]) + len(word) > LONGEST_LINE:
                lines.append(b"")
            lines[-1] += word
    return name + b":" + b"\r\n".join(lines) + b"\r\n"


def marks(fields: Fields) -> list[str]:
    """The mailboxes that have forwarded this already."""
    told = b",".join(values(fields, MARK.decode().lower())).decode("ascii", "replace").lower()
    return [one.strip() for one in told.split(",") if one.strip()]


def rewritten(raw: bytes, settings: Settings, source: str, *, cautious: bool = False) -> bytes:
    """The copy to send. `source` is the envelope's sender, who gets the answers if nobody else is named.

    SES judges addresses strictly. A cautious copy keeps what could offend under names that mean nothing.
    """
    fields, place = split(raw)
    froms = [value for value in values(fields, "from") if value.strip()]
    name, address = mailbox(b"".join(froms[:1]))
    address = address or (source if ADDRESS.fullmatch(source) else "")
    who = f"{name} ({address})" if name and address and name != address else address or name or "unknown sender"
    every_mark = dict.fromkeys([settings.recipient.lower(), *filter(ADDRESS.fullmatch, marks(fields))])
    us = b" " + phrase(f"{who} via {settings.recipient.split('@')[0]}") + b"\r\n <" + settings.recipient.encode() + b">"
    ours = [(MARK, b" " + ",\r\n ".join(every_mark).encode()), (b"From", us)]
    answers = [] if cautious else [one for one in values(fields, "reply-to") if one.strip()] + froms
    answers += [b" " + address.encode()] if ADDRESS.fullmatch(address) else []
    ours += [(b"Reply-To", one) for one in answers[:1]]
    # SES replaces the Message-ID; by this, answers still find their place beside the original.
    ids = [found[0] for value in values(fields, "message-id")[:1] if (found := MESSAGE_ID.search(value))]
    earlier = (values(fields, "references") or values(fields, "in-reply-to") or [b""])[0].rstrip()
    if ids and ids[0] not in earlier:
        ours.append((b"References", (earlier + b"\r\n " if earlier else b" ") + ids[0]))
    replaced = {key.lower() for key, _ in ours} | {b"reply-to"}
    head, seen = [folded(*one) for one in ours], set[bytes]()
    for number, (header, value) in enumerate(fields):
        key = header.lower()
        if not key or key in replaced or key in DROPPED or key.startswith((b"arc-", b"x-ses-")):
            continue
        # SES refuses a mail that has a header twice; what is said twice is kept under another name.
        again = key in seen and key != b"received"
        odd = cautious and key not in HARMLESS and not key.startswith(b"content-")
        if cautious and not value.isascii():
            value = b" " + phrase(shown(readable(value), 500))  # noqa: PLW2901  # the same, encoded
        head.append(folded(b"X-Hostemr-Original-%d-%s" % (number, header) if again or odd else header, value))
        seen.add(key)
    return b"".join([*head, b"\r\n", memoryview(raw)[place:]])


def notice(settings: Settings, key: str, size: int) -> bytes:
    """What is sent instead of a mail that cannot be."""
    told = NOTICE.format(to=settings.recipient, size=size, place=f"s3://{settings.bucket}/{key}")
    return folded(MARK, b" " + settings.recipient.lower().encode()) + told.replace("\n", "\r\n").encode()


def unwanted(receipt: dict[str, Any]) -> str:
    """Why the mail is not forwarded, by SES's verdicts. What SES could not tell is no reason."""
    failed = [name for name in ("virus", "spam", "dmarc") if receipt.get(f"{name}Verdict", {}).get("status") == "FAIL"]
    if failed == ["dmarc"] and str(receipt.get("dmarcPolicy")).lower() != "reject":
        return ""
    return " ".join(failed)


def concerns_others(raw: bytes, settings: Settings) -> bool:
    """Whether this report is known to be on no copy: it returns headers, not encoded, and nowhere our mark."""
    if len(raw) > 2 * 1024 * 1024 or MARK.lower() in raw.lower():
        return False
    failing = {plain(found.decode("latin-1")) for found in FAILING.findall(raw)}
    returned = any(values(split(found)[0], "from") for found in RETURNED.findall(raw))
    return returned and bool(failing) and not failing & set(map(plain, settings.targets))


def looping(raw: bytes, settings: Settings, source: str | None) -> str:
    """Why it could go round in circles (RFC 5321 6.3: 100 servers), or empty. `source`: None if not told."""
    fields, _ = split(raw)
    forwarded = marks(fields)
    if settings.recipient.lower() in forwarded or len(forwarded) > 10 or len(values(fields, "received")) > 100:
        return "it was forwarded before"
    told = [value.decode("latin-1").strip(" <>\t") for value in values(fields, "return-path")[:1]]
    senders = [mailbox(value)[1] for value in values(fields, "from")]
    envelope = [one.strip(" <>\t") for one in ([] if source is None else [source])]
    if plain(settings.recipient) in map(plain, [*senders, *told, *envelope]):
        return "it comes from this address itself"
    firsts = {key.lower(): value.split(b";")[0].strip().lower() for key, value in reversed(fields)}
    report = firsts.get(b"content-type") == b"multipart/report"
    automatic = (
        report
        or firsts.get(b"auto-submitted", b"no") not in {b"", b"no"}
        or firsts.get(b"precedence") == b"auto_reply"
        or firsts.keys() & {b"x-autoreply", b"x-autorespond"}
        or "" in [*told, *envelope]
        or any(one.lower().startswith("mailer-daemon@") for one in [*senders, *told, *envelope])
    )
    if automatic and not (report and concerns_others(raw, settings)):
        return "a machine wrote it, perhaps in answer to a forwarded mail"
    return ""


class Forwarding:
    """Forwards what one event tells of."""

    def __init__(self, s3: Any, ses: Any, settings: Settings, sleep: Callable[[float], None] = time.sleep) -> None:
        self.s3, self.ses, self.settings, self.sleep = s3, ses, settings, sleep

    def handle(self, event: dict[str, Any]) -> list[str]:
        """What became of each mail. Raises Rejected, NotNow, and boto3's errors of S3."""
        records = [record["ses"] for record in event.get("Records", []) if record.get("eventSource") == "aws:ses"]
        if not records:
            raise Rejected("This is no event of SES's receipt rules.")
        return [self.forward(record["mail"], record.get("receipt", {})) for record in records]

    def forward(self, mail: dict[str, Any], receipt: dict[str, Any]) -> str:
        """What became of this one: forwarded, notified, archived, or what it was before."""
        number = str(mail["messageId"])
        if not re.fullmatch(r"[\w-]{1,200}", number, re.ASCII):
            raise Rejected("The mail's id is none that SES gives.")
        place = {"Bucket": self.settings.bucket, "Key": self.settings.prefix + number}
        facts = {"mail": number} | {key: told.get("status") for key, told in receipt.items() if key.endswith("Verdict")}
        if why := unwanted(receipt):
            log("archived only", why=why, **facts)
            return "archived"
        tags = self.s3.get_object_tagging(**place)["TagSet"]
        if before := [tag["Value"] for tag in tags if tag["Key"] == TAG]:
            log("done before", state=before[0], **facts)
            return str(before[0])
        found = self.s3.get_object(**place)
        size = facts["size"] = int(found["ContentLength"])
        raw = found["Body"].read() if size <= LARGEST_BYTES else b""
        if why := looping(raw, self.settings, mail.get("source")):
            log("archived only", why=why, **facts)
            return "archived"
        envelope = str(mail.get("source") or "").strip("<>")
        whole = {
            "forwarded": lambda: rewritten(raw, self.settings, envelope),
            "forwarded cautiously": lambda: rewritten(raw, self.settings, envelope, cautious=True),
        }
        copies = (whole if raw else {}) | {"notified": lambda: notice(self.settings, place["Key"], size)}
        try:
            state = self.send(copies)
        except Rejected:
            self.tag(place, tags, "rejected")
            log("rejected", **facts)
            raise
        try:
            self.tag(place, tags, state)
        except (BotoCoreError, ClientError) as error:
            # To raise would have the mail sent again for certain.
            log("not tagged", error=type(error).__name__, **facts)
        log(state, **facts)
        return state

    def send(self, copies: dict[str, Callable[[], bytes]]) -> str:
        """What was sent: the first of these that SES takes."""
        for state, copy in copies.items():
            try:
                self.give(copy())
                return state
            except Unfit as error:
                log("unfit", code=str(error), state=state)
        raise Rejected("SES does not take even the notice of a mail that could not be forwarded.")

    def give(self, copy: bytes) -> None:
        """Raises Unfit, Rejected or NotNow, without quoting the mail or SES."""
        to = {"ToAddresses": list(self.settings.targets)}
        for wait in (*WAITS_SECONDS, 0):
            try:
                self.ses.send_email(Destination=to, Content={"Raw": {"Data": copy}})
                return
            except ClientError as error:
                code, told = error.response["Error"]["Code"], error.response["Error"].get("Message", "")
                status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
                if code in THROTTLED and wait:
                    self.sleep(wait)
                    continue
                if code in {"BadRequestException", "InvalidParameterValue"} or status == 413:
                    raise Unfit(code) from None
                if code == "MessageRejected":
                    why = "an address is not verified" if "not verified" in told else "it rejects the mail"
                    raise Rejected(f"SES will not send this: {why}. The archived mail is tagged.") from None
                raise NotNow(f"SES did not take the mail: {code}.") from None
            except BotoCoreError as error:
                raise NotNow(f"SES did not answer: {type(error).__name__}.") from None

    def tag(self, place: dict[str, str], tags: list[dict[str, str]], state: str) -> None:
        """Note on the archived mail what became of it, beside the tags it has."""
        self.s3.put_object_tagging(**place, Tagging={"TagSet": [*tags, {"Key": TAG, "Value": state}]})


def handler(event: dict[str, Any], context: Any) -> list[str]:  # noqa: ARG001  # Lambda gives both
    """Lambda's entry."""
    settings = Settings.read(os.environ)
    # A repeated call could send a second copy. SES takes large mails slowly.
    once = Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=300)
    patient = Config(retries={"mode": "standard", "max_attempts": 5}, connect_timeout=5, read_timeout=60)
    return Forwarding(boto3.client("s3", config=patient), boto3.client("sesv2", config=once), settings).handle(event)
