"""The service's settings: one field each, read from the environment and checked together.

Each field has a variable `HOSTEMR_<NAME>`; the variables of the original service (`DB_CONN_STR`,
`SECRET_PIN`, …) are read where no such variable is set. A secret can also come from a file named
by `HOSTEMR_<NAME>_FILE`, as container platforms hand secrets over.
"""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Any, Literal

import argon2
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    SecretStr,
    model_validator,
)
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from hostemr.registration.installations.address import InvalidEmail, parse_address
from hostemr.registration.rates import Rate

TOPIC_ARN = re.compile(r"arn:aws[a-z-]*:sns:[a-z]{2}(?:-[a-z]+)+-\d:\d{12}:[A-Za-z0-9_.-]{1,256}")
DRIVERS = {"sqlite": "sqlite+aiosqlite", "mysql": "mysql+asyncmy", "mariadb": "mariadb+asyncmy"}


def _rate(value: Any) -> Any:
    return Rate.parse(value) if isinstance(value, str) else value


def _database_url(value: str) -> str:
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


def _base_url(value: str) -> str:
    if not value.startswith(("http://", "https://")) or any(c in value for c in "?# "):
        message = "expected http://HOST[:PORT] or https://HOST, without a query"
        raise ValueError(message)
    return value.rstrip("/")


def _sender_address(value: str) -> str:
    try:
        return parse_address(value).email
    except InvalidEmail as error:
        raise ValueError(error.message) from None


def _ip_address(value: str) -> str:
    if value == "localhost":
        return "127.0.0.1"
    return str(ipaddress.ip_address(value))


def _argon2_hash(value: SecretStr) -> SecretStr:
    try:
        argon2.extract_parameters(value.get_secret_value())
    except argon2.exceptions.InvalidHashError:
        message = "expected an Argon2 hash ($argon2id$…), as `hostemr registration hash-pin` prints it"
        raise ValueError(message) from None
    return value


def _words(value: Any) -> Any:
    return tuple(word for word in value.replace(",", " ").split() if word) if isinstance(value, str) else value


def _topic_arn(value: str) -> str:
    if not TOPIC_ARN.fullmatch(value):
        message = f"expected arn:PARTITION:sns:REGION:ACCOUNT:NAME, got {value!r}"
        raise ValueError(message)
    return value


RateField = Annotated[Rate, BeforeValidator(_rate), PlainSerializer(str)]
Port = Annotated[int, Field(ge=0, le=65535)]


class RegistrationSettings(BaseModel):
    """Everything that the registration service and its workers can be told."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    development: bool = Field(
        False, description="Readable logs, logger/dev.log, a delivery worker inside the server, a generated pin."
    )
    database_url: Annotated[str, AfterValidator(_database_url)] = Field(
        "sqlite:///data/registration.sqlite3",
        validate_default=True,
        description="Where registrations are kept: a SQLite file, MySQL 8 or MariaDB 10.6+. "
        "`?ssl_ca=FILE` verifies a MySQL server's certificate against that CA.",
        json_schema_extra={"seed": "DB_CONN_STR", "secret": True},
    )
    database_connections: int = Field(10, ge=1, le=500, description="Most connections of one process to the database.")
    database_timeout_seconds: float = Field(
        10.0, gt=0, le=300, description="How long one database transaction may take before the request gets a 503."
    )
    data_folder: Path = Field(Path("data"), description="Where development keeps its generated key, pin and mail.")
    host: Annotated[str, AfterValidator(_ip_address)] = Field("127.0.0.1", description="IP address to listen on.")
    port: Port = Field(8080, description="TCP port to listen on; 0 takes a free one.")
    base_url: Annotated[str, AfterValidator(_base_url)] | None = Field(
        None, description="Public address of the service, for links in mail. Default: http://HOST:PORT."
    )
    proxy_hops: int = Field(
        0,
        ge=0,
        le=10,
        description="Number of trusted proxies in front. The client's address is the one that the "
        "outermost of them wrote into X-Forwarded-For; 0 takes the connection's own.",
    )
    repeat_registrations: Literal["by-client", "always-409", "always-201"] = Field(
        "by-client",
        description="Answer to an address that is known: by-client gives clients since OpenEMR 5.0.2 "
        "(they send a version) a further productId and older ones the 409 that they understand.",
    )
    rate_limit_client: RateField = Field(
        Rate(60, 60), description="Registrations from one client (IPv4 /32, IPv6 /64)."
    )
    rate_limit_domain: RateField = Field(Rate(600, 60), description="Registrations of addresses of one mail domain.")
    rate_limit_global: RateField = Field(Rate(6000, 60), description="Registrations altogether.")
    rate_limit_usage: RateField = Field(Rate(60, 60), description="Usage reports from one client.")
    rate_limit_unsubscribe: RateField = Field(
        Rate(60, 60), description="Unsubscribe pages opened, and unknown links used, by one client."
    )
    registration_body_bytes: int = Field(4096, ge=512, le=1_048_576, description="Largest body of a registration.")
    usage_body_bytes: int = Field(8_388_608, ge=4096, le=67_108_864, description="Largest body of a usage report.")
    usage_records_per_report: int = Field(10_000, ge=1, le=1_000_000, description="Records kept of one usage report.")
    usage_records_per_site: int = Field(50_000, ge=1, le=10_000_000, description="Records kept of one SiteID.")
    broadcast_body_bytes: int = Field(1_048_576, ge=4096, le=16_777_216, description="Largest body of a broadcast.")
    broadcast_contents_characters: int = Field(
        262_144, ge=1, le=4_194_304, description="Longest contents of a broadcast."
    )
    secret_pin: SecretStr | None = Field(
        None,
        min_length=1,
        description="The board's pin for broadcasts, in clear. Prefer secret_pin_hash.",
        json_schema_extra={"seed": "SECRET_PIN"},
    )
    secret_pin_hash: Annotated[SecretStr, AfterValidator(_argon2_hash)] | None = Field(
        None, description="Argon2 hash of the board's pin, from `hostemr registration hash-pin`."
    )
    secret_key: SecretStr | None = Field(
        None,
        min_length=16,
        description="Key of the hashes that stand for client addresses; the same on every server. "
        "Without it no registering address is stored. Development generates one.",
    )
    client_address_days: int = Field(
        30, ge=1, le=365, description="After how many days the hash of a registering address is deleted."
    )
    sender: Literal["development", "ses", "smtp"] = Field(
        "development",
        description="How mail leaves: ses is Amazon SES (API v2), smtp any mail server; development writes "
        ".eml files into the outbox.",
    )
    outbox: Path | None = Field(None, description="Folder of the development sender. Default: `outbox` in data_folder.")
    mail_from: Annotated[str, AfterValidator(_sender_address)] = Field(
        "noreply@open-emr.org",
        description="Sender address of broadcasts.",
        json_schema_extra={"seed": "SES_SENDER"},
    )
    ses_region: str = Field(
        "us-east-1",
        pattern=r"^[a-z]{2}(-[a-z]+)+-\d$",
        description="AWS region of Amazon SES.",
        json_schema_extra={"seed": "SES_REGION"},
    )
    aws_access_key_id: SecretStr | None = Field(
        None,
        description="Access key for the SES sender; leave it unset to use the machine's role.",
        json_schema_extra={"seed": "AWS_ACCESS_ID"},
    )
    aws_secret_access_key: SecretStr | None = Field(
        None,
        description="Secret of that access key.",
        json_schema_extra={"seed": "AWS_SECRET_KEY"},
    )
    ses_configuration_set: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9_-]{1,64}$",
        description="SES configuration set, whose event destination is the SNS topic of sns_topic_arns.",
    )
    ses_endpoint_url: Annotated[str, AfterValidator(_base_url)] | None = Field(
        None, description="Another address of the SES API: a VPC endpoint, or an emulator."
    )
    sns_topic_arns: Annotated[tuple[Annotated[str, AfterValidator(_topic_arn)], ...], BeforeValidator(_words)] = Field(
        (),
        description="ARNs of the SNS topics whose messages about bounces, complaints and deliveries are believed, "
        "separated by commas. Without any, every message is refused.",
    )
    smtp_host: str | None = Field(None, min_length=1, max_length=253, description="Mail server of the SMTP sender.")
    smtp_port: Port = Field(587, description="Its port: 587 for STARTTLS, 465 for TLS.")
    smtp_security: Literal["starttls", "tls", "none"] = Field(
        "starttls",
        description="Encryption towards the mail server; its certificate is always verified. "
        "`none` is for a server on the same machine.",
    )
    smtp_ca_file: Path | None = Field(
        None,
        description="CA certificates (PEM) that the mail server's certificate is verified against. "
        "Default: the system's.",
    )
    smtp_username: str | None = Field(None, min_length=1, description="User name at the mail server.")
    smtp_password: SecretStr | None = Field(None, min_length=1, description="Password at the mail server.")
    smtp_connections: int = Field(4, ge=1, le=100, description="Connections of one worker to the mail server.")
    send_rate: float | None = Field(
        None,
        gt=0,
        le=1_000_000,
        description="Most recipients a second, of all workers together. Default: what the SES account allows "
        "(GetAccount), and no limit with other senders.",
    )
    send_attempts: int = Field(
        5, ge=1, le=100, description="How often one recipient is tried before the delivery counts as failed."
    )
    send_concurrency: int = Field(4, ge=1, le=64, description="Chunks that one worker sends at the same time.")
    worker_lease_seconds: int = Field(
        60, ge=5, le=3600, description="After how long the chunk of a worker that died or hangs is taken from it."
    )
    reconcile_seconds: int = Field(
        900,
        ge=0,
        le=86_400,
        description="How long SES's reports are waited for when it is not known whether a chunk was sent, before "
        "it is sent again. Senders that report nothing do not wait.",
    )
    canary_percent: float = Field(
        1.0, ge=0, le=100, description="Share of a broadcast's audience that gets it first; 0 sends to all at once."
    )
    canary_recipients: int = Field(50, ge=1, le=1_000_000, description="Least number of recipients who get it first.")
    canary_wait_seconds: int = Field(
        900, ge=0, le=86_400, description="How long feedback on them is waited for; only with SES, which reports it."
    )
    stop_at_bounce_percent: float = Field(
        5.0, gt=0, le=100, description="A broadcast pauses itself when more of the delivered than this bounce."
    )
    stop_at_complaint_percent: float = Field(
        0.1,
        gt=0,
        le=100,
        description="A broadcast pauses itself when more of the delivered than this are complained of.",
    )
    soft_bounce_limit: int = Field(
        5, ge=1, le=1000, description="After how many soft bounces without a delivery an address counts as bounced."
    )
    approvals: int = Field(
        1, ge=0, le=10, description="Members besides the author who must approve a broadcast of the board's."
    )
    log_format: Literal["json", "readable"] | None = Field(
        None, description="Default: readable in development, json otherwise."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level that is logged.")
    log_file: Path | None = Field(None, description="Also log into this file. Development: logger/dev.log.")
    metrics_port: Port | None = Field(
        None, description="Port for Prometheus (`/metrics`); unset serves no metrics, 0 takes a free one."
    )
    metrics_host: Annotated[str, AfterValidator(_ip_address)] = Field(
        "127.0.0.1", description="IP address on which the metrics are served."
    )

    @model_validator(mode="after")
    def _one_pin(self) -> RegistrationSettings:
        if self.secret_pin is not None and self.secret_pin_hash is not None:
            message = "secret_pin and secret_pin_hash are both set; expected one of them"
            raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _complete_sender(self) -> RegistrationSettings:
        if self.sender == "smtp" and self.smtp_host is None:
            message = "sender is smtp, but smtp_host is not set; expected the name of the mail server"
            raise ValueError(message)
        if (self.smtp_username is None) != (self.smtp_password is None):
            message = "smtp_username and smtp_password belong together; expected both or neither"
            raise ValueError(message)
        # Only for the sender that uses them: AWS_SECRET_KEY can stand in the environment for somebody else.
        if self.sender == "ses" and (self.aws_access_key_id is None) != (self.aws_secret_access_key is None):
            message = "aws_access_key_id and aws_secret_access_key belong together; expected both or neither"
            raise ValueError(message)
        return self

    @property
    def access_key(self) -> tuple[str, str] | None:
        """The AWS access key and its secret; None where boto3 looks for credentials by itself."""
        if self.aws_access_key_id is None or self.aws_secret_access_key is None:
            return None
        return self.aws_access_key_id.get_secret_value(), self.aws_secret_access_key.get_secret_value()

    @property
    def uses_sqlite(self) -> bool:
        """Whether the database is an embedded file."""
        return self.database_url.startswith("sqlite")

    @property
    def effective_log_format(self) -> Literal["json", "readable"]:
        """The format of the log after its default is applied."""
        return self.log_format or ("readable" if self.development else "json")

    @property
    def effective_log_file(self) -> Path | None:
        """The file of the log after its default is applied."""
        return self.log_file or (Path("logger/dev.log") if self.development else None)

    @property
    def effective_outbox(self) -> Path:
        """The folder of the development sender after its default is applied."""
        return self.outbox or self.data_folder / "outbox"

    @property
    def effective_base_url(self) -> str:
        """The public address of the service, without a slash at its end."""
        if self.base_url:
            return self.base_url
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"
