"""How single values of settings are read: each answers the value as hostemr uses it, or raises ValueError."""

from __future__ import annotations

import ipaddress
import re
import ssl
from typing import Annotated, Any
from urllib.parse import urlsplit

import argon2
from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, SecretStr
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from hostemr.registration.installations.address import InvalidEmail, parse_address
from hostemr.registration.rates import Rate

TOPIC_ARN = re.compile(r"arn:aws[a-z-]*:sns:[a-z]{2}(?:-[a-z]+)+-\d:\d{12}:[A-Za-z0-9_.-]{1,256}")
DRIVERS = {"sqlite": "sqlite+aiosqlite", "mysql": "mysql+asyncmy", "mariadb": "mariadb+asyncmy"}


def rate(value: Any) -> Any:
    """`60/minute` as a Rate."""
    return Rate.parse(value) if isinstance(value, str) else value


def database_url(value: str) -> str:
    """The URL with the asynchronous driver that hostemr uses, whichever driver it named."""
    try:
        url = make_url(value)
    except ArgumentError:
        message = "expected a URL such as mysql://USER:PASSWORD@HOST/DATABASE or sqlite:///FILE"
        raise ValueError(message) from None
    driver = DRIVERS.get(url.get_backend_name())
    if driver is None:
        message = "expected a database of kind sqlite, mysql or mariadb"
        raise ValueError(message)
    if not url.database or url.database == ":memory:":
        message = "expected the name of a database at the end (an in-memory one would lose every registration)"
        raise ValueError(message)
    return url.set(drivername=driver).render_as_string(hide_password=False)


def base_url(value: str) -> str:
    """An http or https address without a query, without the slash at its end."""
    if not value.startswith(("http://", "https://")) or any(c in value for c in "?# "):
        message = "expected http://HOST[:PORT] or https://HOST, without a query"
        raise ValueError(message)
    return value.rstrip("/")


def sender_address(value: str) -> str:
    """One email address."""
    try:
        return parse_address(value).email
    except InvalidEmail as error:
        raise ValueError(error.message) from None


def ip_address(value: str) -> str:
    """An IP address; `localhost` is one, too."""
    if value == "localhost":
        return "127.0.0.1"
    return str(ipaddress.ip_address(value))


def argon2_hash(value: SecretStr) -> SecretStr:
    """What `hostemr registration hash-pin` prints."""
    try:
        argon2.extract_parameters(value.get_secret_value())
    except argon2.exceptions.InvalidHashError:
        message = "expected an Argon2 hash ($argon2id$…), as `hostemr registration hash-pin` prints it"
        raise ValueError(message) from None
    return value


def words(value: Any) -> Any:
    """The words of a text that commas or blanks part."""
    return tuple(word for word in value.replace(",", " ").split() if word) if isinstance(value, str) else value


def topic_arn(value: str) -> str:
    """The ARN of an SNS topic."""
    if not TOPIC_ARN.fullmatch(value):
        message = f"expected arn:PARTITION:sns:REGION:ACCOUNT:NAME, got {value!r}"
        raise ValueError(message)
    return value


def https_url(value: str) -> str:
    """An https address of a file."""
    parts = urlsplit(value)
    if parts.scheme != "https" or not parts.hostname or not parts.path.strip("/"):
        message = "expected https://HOST/FILE"
        raise ValueError(message)
    return value


def authorities(value: str) -> str:
    """CA certificates as PEM text."""
    if "PRIVATE KEY-----" in value:
        message = "holds a private key, which belongs to the server alone; expected certificates"
        raise ValueError(message)
    try:
        context = ssl.create_default_context(cadata=value)
    except (ssl.SSLError, ValueError):
        context = None
    if context is None or not context.cert_store_stats()["x509_ca"]:
        message = "expected the text of one or more CA certificates (-----BEGIN CERTIFICATE----- and so on)"
        raise ValueError(message)
    return value


RateField = Annotated[Rate, BeforeValidator(rate), PlainSerializer(str)]
Port = Annotated[int, Field(ge=0, le=65535)]
BaseUrl = Annotated[str, AfterValidator(base_url)]
IPAddress = Annotated[str, AfterValidator(ip_address)]
TopicArns = Annotated[tuple[Annotated[str, AfterValidator(topic_arn)], ...], BeforeValidator(words)]
