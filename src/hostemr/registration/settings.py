"""The service's settings: one field each, read from the environment and checked together.

Each field has a variable `HOSTEMR_<NAME>`; the variables of the original service (`DB_CONN_STR`,
`SECRET_PIN`, …) are read where no such variable is set. A secret can also come from a file named
by `HOSTEMR_<NAME>_FILE`, as container platforms hand secrets over.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator
from sqlalchemy import URL
from sqlalchemy.engine import make_url

from hostemr.registration import defaults, setting_values
from hostemr.registration.rates import Rate
from hostemr.registration.setting_values import BaseUrl, IPAddress, Port, RateField, TopicArns

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class RegistrationSettings(BaseModel):
    """Everything that the registration service and its workers can be told."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    development: bool = Field(
        False, description="Readable logs, logger/dev.log, a delivery worker inside the server, a generated pin."
    )
    database_url: Annotated[str, AfterValidator(setting_values.database_url)] = Field(
        "sqlite:///data/registration.sqlite3",
        validate_default=True,
        description="Where registrations are kept: a SQLite file, MySQL 8 or MariaDB 10.6+. "
        "`?ssl_ca=FILE` verifies a MySQL server's certificate against that CA.",
        json_schema_extra={"seed": "DB_CONN_STR", "secret": True},
    )
    database_username: str | None = Field(
        None, min_length=1, description="User name at MySQL or MariaDB, where database_url has none."
    )
    database_password: SecretStr | None = Field(
        None, min_length=1, description="Password of that user; it is never part of an address, a log or an argument."
    )
    database_ca: Annotated[str, AfterValidator(setting_values.authorities)] | None = Field(
        None,
        description="CA certificates (PEM text) that MySQL's certificate and name are verified against; "
        "the connection is encrypted then. As `?ssl_ca=FILE`, without a file.",
    )
    database_ca_url: Annotated[str, AfterValidator(setting_values.https_url)] | None = Field(
        None, description="Where those certificates are fetched at the start, by https, if database_ca is not set."
    )
    database_connections: int = Field(10, ge=1, le=500, description="Most connections of one process to the database.")
    database_timeout_seconds: float = Field(
        10.0, gt=0, le=300, description="How long one database transaction may take before the request gets a 503."
    )
    data_folder: Path = Field(Path("data"), description="Where development keeps its generated key, pin and mail.")
    host: IPAddress = Field(defaults.HOST, description="IP address to listen on.")
    port: Port = Field(defaults.PORT, description="TCP port to listen on; 0 takes a free one.")
    tls: Literal["off", "self-signed"] = Field(
        "off",
        description="self-signed: serve HTTPS with a certificate made at the start, for a load balancer that "
        "encrypts its way to the service and verifies nobody.",
    )
    base_url: BaseUrl | None = Field(
        None, description="Public address of the service, for links in mail. Default: http(s)://HOST:PORT."
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
    secret_pin_hash: Annotated[SecretStr, AfterValidator(setting_values.argon2_hash)] | None = Field(
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
    mail_from: Annotated[str, AfterValidator(setting_values.sender_address)] = Field(
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
    ses_endpoint_url: BaseUrl | None = Field(
        None, description="Another address of the SES API: a VPC endpoint, or an emulator."
    )
    sns_topic_arns: TopicArns = Field(
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
        defaults.WORKER_LEASE_SECONDS,
        ge=5,
        le=3600,
        description="After how long the chunk of a worker that died or hangs is taken from it.",
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
    approvals: int | None = Field(
        None,
        ge=0,
        le=10,
        description="Members besides the author who must approve a broadcast of the board's. "
        "Default: 1 where the board has two or more members, else 0.",
    )
    session_idle_minutes: int = Field(
        60, ge=5, le=1440, description="After how long without a click a member of the board has to sign in again."
    )
    session_hours: int = Field(
        12, ge=1, le=168, description="After how long a member of the board has to sign in again in any case."
    )
    invitation_hours: int = Field(
        72, ge=1, le=720, description="How long the link is good with which a new member of the board begins."
    )
    log_format: Literal["json", "readable"] | None = Field(
        None, description="Default: readable in development, json otherwise."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level that is logged.")
    log_file: Path | None = Field(None, description="Also log into this file. Development: logger/dev.log.")
    metrics_port: Port | None = Field(
        None, description="Port for Prometheus (`/metrics`); unset serves no metrics, 0 takes a free one."
    )
    metrics_host: IPAddress = Field("127.0.0.1", description="IP address on which the metrics are served.")

    @model_validator(mode="after")
    def _one_pin(self) -> RegistrationSettings:
        if self.secret_pin is not None and self.secret_pin_hash is not None:
            message = "secret_pin and secret_pin_hash are both set; expected one of them"
            raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _one_way_into_the_database(self) -> RegistrationSettings:
        url = make_url(self.database_url)
        named = [name for name in ("database_username", "database_password") if getattr(self, name) is not None]
        trusted = [name for name in ("database_ca", "database_ca_url") if getattr(self, name) is not None]
        wrong = []
        if self.uses_sqlite and named + trusted:
            wrong.append(f"{' and '.join(named + trusted)} set, but database_url is a SQLite file, which needs neither")
        elif len(named) == 1:
            wrong.append("database_username and database_password belong together; expected both or neither")
        elif named and (url.username or url.password):
            wrong.append("database_username is set, and database_url names a user too; expected one of them")
        if trusted and "ssl_ca" in url.query:
            wrong.append(f"{trusted[0]} is set, and database_url has ?ssl_ca= too; expected one of them")
        if wrong:
            raise ValueError("; ".join(wrong))
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
    def console_url(self) -> str:
        """The public address as the console's links have it: `localhost`, since a passkey belongs to a name."""
        url = self.effective_base_url
        host = urlsplit(url).hostname
        if self.base_url or host not in LOOPBACK:
            return url
        return f"{self.scheme}://localhost:{self.port}"

    @property
    def console_problem(self) -> str | None:
        """Why nobody can sign in to the board's console under these settings; None where they can."""
        if self.secret_key is None and not self.development:
            return "HOSTEMR_SECRET_KEY is not set"
        url = urlsplit(self.effective_base_url)
        if url.scheme == "http" and url.hostname not in LOOPBACK:
            return f"HOSTEMR_BASE_URL is {self.effective_base_url}, which is not https"
        if url.path:
            return (
                f"HOSTEMR_BASE_URL is {self.effective_base_url}, which has a path: the console is at /board of its host"
            )
        return None

    @property
    def access_key(self) -> tuple[str, str] | None:
        """The AWS access key and its secret; None where boto3 looks for credentials by itself."""
        if self.aws_access_key_id is None or self.aws_secret_access_key is None:
            return None
        return self.aws_access_key_id.get_secret_value(), self.aws_secret_access_key.get_secret_value()

    @property
    def effective_database_url(self) -> URL:
        """The database's URL with the credential, wherever that stood; its text hides the password."""
        url = make_url(self.database_url)
        if self.database_username is None or self.database_password is None:
            return url
        return url.set(username=self.database_username, password=self.database_password.get_secret_value())

    @property
    def scheme(self) -> Literal["http", "https"]:
        """What the service itself speaks; a proxy in front may speak another."""
        return "http" if self.tls == "off" else "https"

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
        return f"{self.scheme}://{host}:{self.port}"
