"""What a mail server's replies say, and of whom: of one recipient, of everyone, or of us (RFC 5321, RFC 3463)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from hostemr.registration.delivery.sender import Outcome

Blame = Literal["recipient", "anyone", "everyone"]

STAGES = ("MAIL", "RCPT", "DATA")
NOT_THE_RECIPIENT = {421, 452, 454}
AUTHENTICATION = {530, 534, 535, 538}
"""RFC 4954, 6: what is wrong is the login, whichever command is answered so."""
DESTINATION_SUBJECTS = {"1", "2", "4"}
"""RFC 3463, 3: address, mailbox and network. The others are of the system, the policy or the content."""

_ENHANCED = re.compile(r"[245]\.(\d{1,3})\.\d{1,3}\b")


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply code and its text, on one line."""

    code: int
    text: str

    @property
    def line(self) -> str:
        """For people, at most 255 characters."""
        return f"{self.code} {self.text}".strip()[:255]

    @property
    def subject(self) -> str | None:
        """The second part of an enhanced status code (RFC 3463, 2), None without one."""
        found = _ENHANCED.match(self.text)
        return found[1] if found else None


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a recipient, and whom it tells about: this one, perhaps everyone, or surely everyone."""

    outcome: Outcome
    blame: Blame = "recipient"
    code: int | None = None


def granted(stage: str, reply: Reply) -> bool:
    """Whether the server goes on after this command."""
    return reply.code == 354 if stage == "DATA" else 200 <= reply.code < 300


def judge(stage: str, reply: Reply) -> Answer:
    """What a refusal means, and of whom. Raises ValueError where it is no refusal and no consent either.

    At MAIL the server knows of no recipient yet. Later the enhanced status code tells, where there is one;
    without one, RCPT is about the recipient as far as others are accepted.
    """
    if reply.code < 400:
        raise ValueError("not the reply to this command")
    ours = stage == "MAIL" or reply.code in AUTHENTICATION or reply.code == 421
    if ours and reply.code >= 500:
        return Answer(Outcome("retry", error=reply.line, cause="account"), "everyone", reply.code)
    theirs = reply.subject in DESTINATION_SUBJECTS and not ours
    blame: Blame = "everyone" if ours else "recipient" if theirs else "anyone"
    if reply.code >= 500:
        return Answer(Outcome("failed", error=reply.line), blame, reply.code)
    throttled = ours or (reply.code in NOT_THE_RECIPIENT and not theirs)
    return Answer(Outcome("retry", error=reply.line, cause="throttled" if throttled else None), blame, reply.code)
