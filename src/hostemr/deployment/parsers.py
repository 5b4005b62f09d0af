"""What a setting's value may be: each kind has a text for people, and a function from JSON to the valid value.

Values come as JSON types from cdk.json, or as strings from `-c` and `--set`. A parser raises ValueError,
whose text is what stands after "KEY is VALUE: ".
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_DECIMAL = re.compile(r"[+-]?[0-9]{1,18}(\.[0-9]{1,9})?")
# Not every address of RFC 5321, but every one that SNS delivers to in practice; the confirmation mail proves it.
_EMAIL = re.compile(
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,63}"
)
# Docker Hub's short names, and HOST[:PORT]/PATH; lower case, without tag and digest.
# https://github.com/distribution/reference/blob/main/reference.go
_COMPONENT = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"(?:(?:[a-z0-9-]+\.[a-z0-9.-]+|localhost)(?::\d{{1,5}})?/)?{_COMPONENT}(?:/{_COMPONENT})*")
_VPC_RANGES = tuple(ipaddress.IPv4Network(one) for one in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of value: `text` says what is allowed; `nullable` whether null is a value of its own.

    Where it is not, null stands for the default. `absent` is the value that null means.
    """

    text: str
    parse: Callable[[Any], Any]
    nullable: bool = False
    absent: Any = None


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    # The seeds write "true" and "false" as strings.
    if isinstance(value, str) and value.strip().lower() in {"true", "false"}:
        return value.strip().lower() == "true"
    raise ValueError("expected true or false")


BOOLEAN = Kind("true or false", _boolean)


def _number(value: Any) -> float | None:
    """The number, also one in a string; None where there is none. A boolean is no number, though Python says so."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and _INTEGER.fullmatch(value.strip()):
        return int(value)
    if isinstance(value, str) and _DECIMAL.fullmatch(value.strip()):
        return float(value)
    return None


def _bounds(number: float, least: int, most: int) -> str:
    return f"; raise it to {least}" if number < least else f"; lower it to {most}" if number > most else ""


def whole(least: int, most: int, unit: str = "") -> Kind:
    """A whole number from `least` to `most`."""
    text = f"{least} to {most}" + (f" {unit}" if unit else "")

    def parse(value: Any) -> int:
        number = _number(value)
        if number is None or number != number // 1:
            raise ValueError(f"expected a whole number, {text}")
        if not least <= number <= most:
            raise ValueError(f"expected {text}{_bounds(number, least, most)}")
        return int(number)

    return Kind(text, parse)


def halves(least: int, most: int, unit: str) -> Kind:
    """A number from `least` to `most` in steps of a half."""
    text = f"{least} to {most} {unit} in steps of 0.5"

    def parse(value: Any) -> float:
        number = _number(value)
        if number is None:
            raise ValueError(f"expected a number, {text}")
        if not least <= number <= most:
            raise ValueError(f"expected {text}{_bounds(number, least, most)}")
        if number * 2 % 1:
            raise ValueError(f"expected {text}; write {number * 2 // 1 / 2:g} or {number * 2 // 1 / 2 + 0.5:g}")
        return float(number)

    return Kind(text, parse)


def one_of(*choices: int | str) -> Kind:
    """One of a few numbers or words."""
    text = ", ".join(str(one) for one in choices)

    def parse(value: Any) -> int | str:
        for choice in choices:
            if value == choice and not isinstance(value, bool):
                return choice
            if isinstance(value, str) and value.strip() == str(choice):
                return choice
        raise ValueError(f"expected one of {text}")

    return Kind(text, parse)


def text_of(pattern: str, description: str, *, hint: Callable[[str], str] | None = None) -> Kind:
    """A string that matches `pattern` wholly; `hint` may say more about one that does not."""
    compiled = re.compile(pattern, re.ASCII)

    def parse(value: Any) -> str:
        # A tag such as 8.1 or a suffix such as 2 is a number to JSON and to whoever writes it; a boolean is a mistake.
        given = str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value
        if not isinstance(given, str) or not compiled.fullmatch(given):
            more = hint(given) if hint is not None and isinstance(given, str) else ""
            raise ValueError(f"expected {description}" + (f"; {more}" if more else ""))
        return given

    return Kind(description, parse)


def or_null(kind: Kind, absent: Any = None) -> Kind:
    """The same, or null, which means `absent`."""
    return Kind(f"null, or {kind.text}", kind.parse, nullable=True, absent=absent)


def _words(value: Any) -> Sequence[Any]:
    """A list of JSON, or the parts of a string with commas, as `-c` can only give it."""
    if isinstance(value, str):
        inside = value.strip().removeprefix("[").removesuffix("]")
        return [part.strip(" \"'") for part in inside.split(",") if part.strip(" \"'")]
    return value if isinstance(value, list | tuple) else [value]


def _each(value: Any, parse: Callable[[Any], str]) -> tuple[str, ...]:
    """Every one parsed, once each, in their order."""
    return tuple(dict.fromkeys(parse(one) for one in _words(value)))


def arn(service: str, resource: str, description: str) -> Kind:
    """The ARN of a resource in any partition. `resource` is the pattern of its last part."""
    pattern = rf"arn:aws[a-z-]*:{service}:[a-z]{{2,4}}(?:-[a-z]+)+-\d{{1,2}}:\d{{12}}:{resource}"
    return text_of(pattern, description)


def _list_of(text: str, pattern: re.Pattern[str], expected: str) -> Kind:
    """One text or several, each of which matches the pattern wholly."""

    def parse_one(value: Any) -> str:
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise ValueError(f"expected {expected}, got {value!r}")
        return value

    return Kind(text, lambda value: _each(value, parse_one))


EMAILS = or_null(
    _list_of("a mail address, or a list of them", _EMAIL, "mail addresses such as it@clinic.example"), absent=()
)


def ranges(version: int | None = None) -> Kind:
    """Networks in CIDR notation; `version` 4 or 6 allows only that family."""
    family = f"IPv{version} " if version else ""
    example = "2001:db8::/48" if version == 6 else "203.0.113.0/24"

    def parse_one(value: Any) -> str:
        if value == "auto":
            # The 2026 peer asks a web service for the address of whoever runs synth, without checking who answers.
            raise ValueError(
                "automatic ranges are refused, because a template must not depend on where it is made; "
                f"write your network, such as {example}"
            )
        try:
            # A zone (`fe80::1%eth0`) means something on one machine only; security groups know none.
            network = ipaddress.ip_network(value if isinstance(value, str) and "%" not in value else "")
        except ValueError:
            raise ValueError(_about_range(value, f"{family}networks such as {example}")) from None
        if version and network.version != version:
            raise ValueError(f"expected IPv{version} networks; give {network} to security_group_ip_range")
        return str(network)

    return or_null(
        Kind(f"one {family}network in CIDR notation, or a list of them", lambda value: _each(value, parse_one)),
        absent=(),
    )


def _about_range(value: Any, expected: str) -> str:
    try:
        network = ipaddress.ip_network(value if isinstance(value, str) and "%" not in value else "", strict=False)
    except ValueError:
        return f"expected {expected}, got {value!r}"
    return f"expected {expected}, got {value!r}, which has bits beyond its prefix; write {network}"


def _vpc(value: Any) -> str:
    expected = "expected a private IPv4 network from /16 to /20, such as 10.0.0.0/16"
    try:
        network = ipaddress.IPv4Network(value if isinstance(value, str) else "")
    except ValueError:
        raise ValueError(expected) from None
    if not 16 <= network.prefixlen <= 20 or not any(network.subnet_of(one) for one in _VPC_RANGES):
        raise ValueError(expected)
    return str(network)


VPC_NETWORK = Kind("a private IPv4 network, /16 to /20", _vpc)


def _about_image(value: str) -> str:
    return "tag and digest have settings of their own" if ":" in value.rpartition("/")[2] or "@" in value else ""


IMAGE = text_of(_REPOSITORY.pattern, "an image repository without tag, such as openemr/openemr", hint=_about_image)
IMAGE_MAYBE_TAGGED = text_of(
    rf"(?:{_REPOSITORY.pattern})(?::[A-Za-z0-9_][A-Za-z0-9_.-]{{0,127}})?",
    "an image repository, with a tag if you like, such as example/backend:1.2",
    hint=lambda value: "the digest has a setting of its own" if "@" in value else "",
)


DIGEST = or_null(text_of(r"sha256:[0-9a-f]{64}", "sha256: and 64 hexadecimal digits in lower case"))
"""Of an image, as registries tell it."""

_HTTPS = re.compile(r"https://[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+(:443)?")


SEARCH_URIS = or_null(
    _list_of(
        "an https address, or a list of them",
        _HTTPS,
        "https addresses on port 443 such as https://search.example.org",
    ),
    absent=(),
)

_CONFIG = re.compile(r"(https://[a-z0-9.-]+)?/[A-Za-z0-9._~/-]+")
CONFIG_URLS = _list_of(
    "a path or https address, or a list of them",
    _CONFIG,
    "paths or https addresses such as /openmrs/spa/config-core_demo.json",
)
