"""An email address in the form in which it is compared, stored and written to."""

from __future__ import annotations

from dataclasses import dataclass

from email_validator import EmailNotValidError, validate_email

from hostemr.errors import RequestError

LONGEST_ADDRESS = 254
"""Octets of the longest address that fits a mail path (RFC 5321, 4.5.3.1.3, less the angle brackets)."""


class InvalidEmail(RequestError):
    """The address is none that mail could be delivered to."""

    wire_name = "InvalidEmailException"


@dataclass(frozen=True, slots=True)
class Address:
    """`email` is written to; `key` is compared; `domain` is the mail domain, in punycode."""

    email: str
    key: str
    domain: str


def parse_address(text: str) -> Address:
    """Trim and check an address; its domain becomes lower-case punycode (RFC 5891).

    Two addresses are the same when their keys are: the key is lower-case throughout, although
    RFC 5321 lets a domain tell `A@` from `a@`, because people do not. Dots and `+tags` stay.
    Addresses that Amazon SES cannot write to (a local part outside ASCII, a domain literal such
    as `[127.0.0.1]`, a name that is not on the public internet) are refused.

    Raises InvalidEmail with the reason.
    """
    text = text.strip()
    # The validator takes long on long input: measured 84 ms on 60 kB.
    if len(text) > LONGEST_ADDRESS:
        message = f"The address has {len(text)} characters; at most {LONGEST_ADDRESS} are possible."
        raise InvalidEmail(message)
    try:
        valid = validate_email(text, check_deliverability=False, allow_smtputf8=False, strict=True)
    except EmailNotValidError as error:
        raise InvalidEmail(str(error)) from None
    domain = valid.ascii_domain.lower()
    email = f"{valid.local_part}@{domain}"
    if len(email) > LONGEST_ADDRESS:
        message = f"The address has {len(email)} characters in ASCII; at most {LONGEST_ADDRESS} are possible."
        raise InvalidEmail(message)
    return Address(email, email.lower(), domain)
