"""Statements through the RDS Data API: over HTTPS and IAM, without a way into the network.

https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/data-api.html
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from botocore import exceptions

from hostemr.errors import HostemrError, OutsideWorldError, SettingsError
from hostemr.operate.aws import Aws, error_code, translated
from hostemr.operate.printable import printable
from hostemr.operate.reach.statements import Statement

SETTING = "enable_data_api"
WAKING_SECONDS = 120
_PAUSE_SECONDS = 3
_SWITCHED_OFF = re.compile(r"Http ?Endpoint .*not enabled", re.IGNORECASE)
_WAKING = re.compile(r"is resuming after being auto-paused", re.IGNORECASE)

Value = str | int | float | bool | bytes | list[Any] | None


@dataclass(frozen=True)
class Target:
    """A database, and the secret whose user asks; the secret itself never comes here."""

    cluster_arn: str
    secret_arn: str
    database: str

    def request(self) -> dict[str, str]:
        """What every call is told."""
        return {"resourceArn": self.cluster_arn, "secretArn": self.secret_arn}


@dataclass(frozen=True)
class Result:
    """What a statement answered: rows, or how many were changed and the keys that were made for new ones."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Value, ...], ...]
    changed: int
    generated: tuple[Value, ...] = ()


@dataclass(frozen=True)
class Patience:
    """How to wait for a database that sleeps: tests need not."""

    seconds: float = WAKING_SECONDS
    sleep: Callable[[float], None] = time.sleep
    now: Callable[[], float] = time.monotonic


class DataApi:
    """One database. Each call is made once, for a statement that timed out may have been carried out."""

    def __init__(
        self, aws: Aws, target: Target, *, talk: Callable[[str], None], patience: Patience | None = None
    ) -> None:
        self._client = aws.client("rds-data")
        self._target = target
        self._talk = talk
        self._patience = patience or Patience()

    def run(
        self, statement: Statement, parameters: Mapping[str, Mapping[str, Any]], transaction: str | None = None
    ) -> Result:
        """What it answers. `parameters` are all that are known by name; it gets those that it asks for.

        Raises OutsideWorldError where the database or AWS refuses it, SettingsError where the API is off.
        """
        request: dict[str, Any] = {
            **self._target.request(),
            "database": self._target.database,
            "sql": statement.text,
            "parameters": [parameters[name] for name in sorted(statement.placeholders)],
            "includeResultMetadata": True,
        }
        if transaction:
            request["transactionId"] = transaction
        elif statement.defines:
            # AWS's advice: a change of the schema that is cut off after 45 seconds may leave it broken.
            request["continueAfterTimeout"] = True
        answer = self._awake(self._client.execute_statement, request)
        names = tuple(str(one.get("label") or one.get("name", "")) for one in answer.get("columnMetadata", ()))
        rows = tuple(tuple(value(field) for field in record) for record in answer.get("records", ()))
        generated = tuple(value(field) for field in answer.get("generatedFields", ()))
        return Result(names, rows, int(answer.get("numberOfRecordsUpdated", 0)), generated)

    @contextmanager
    def transaction(self) -> Iterator[str]:
        """Its identifier. What is done in it counts when the block ends well, and not at all when it does not."""
        target = {**self._target.request(), "database": self._target.database}
        identifier = str(self._awake(self._client.begin_transaction, target)["transactionId"])
        ours = {**self._target.request(), "transactionId": identifier}
        try:
            yield identifier
        except BaseException:
            try:
                self._awake(self._client.rollback_transaction, ours)
            except HostemrError as error:
                self._talk(f"warning: the rollback failed ({error.message}) AWS rolls back by itself within 3 minutes.")
            raise
        self._awake(self._client.commit_transaction, ours)

    def _awake(self, call: Callable[..., Mapping[str, Any]], request: Mapping[str, Any]) -> Mapping[str, Any]:
        """The answer of a call, made again while the database wakes up, which it does without having run anything."""
        until = self._patience.now() + self._patience.seconds
        told = False
        while True:
            try:
                with translated("asking the database"):
                    return call(**request)
            except HostemrError as error:
                cause = error.__cause__
                if not isinstance(cause, exceptions.ClientError):
                    raise
                if not _is_waking(cause):
                    raise _explained(cause) or error from cause
                if self._patience.now() >= until:
                    message = f"The database did not wake up within {self._patience.seconds:.0f} seconds."
                    raise OutsideWorldError(message, hint="give the same command again") from cause
            if not told:
                self._talk("the database sleeps and is waking up; that needs up to half a minute …")
                told = True
            self._patience.sleep(_PAUSE_SECONDS)


def run_all(
    api: DataApi, statements: Sequence[Statement], parameters: Mapping[str, Mapping[str, Any]], *, together: bool
) -> Iterator[Result]:
    """Each statement's result, in order; `together` in one transaction, and told when it is committed."""
    if not together:
        for statement in statements:
            yield api.run(statement, parameters)
        return
    with api.transaction() as transaction:
        results = [api.run(statement, parameters, transaction) for statement in statements]
    yield from results


def value(field: Mapping[str, Any]) -> Value:
    """A field of a record as a value: None for NULL, bytes for a blob. Decimals and dates come as text."""
    if field.get("isNull"):
        return None
    if "arrayValue" in field:
        held: list[Any] = next(iter(field["arrayValue"].values()), [])
        return list(held)
    found: Value = next(iter(field.values()), None)
    return found


def _is_waking(error: exceptions.ClientError) -> bool:
    return error_code(error) == "DatabaseResumingException" or bool(_WAKING.search(str(error)))


def _explained(error: exceptions.ClientError) -> HostemrError | None:
    """The error of ours where the Data API has one of its own; None where it is one that all services have."""
    code = error_code(error)
    # MySQL's errors repeat what is in the records.
    text = printable(" ".join(str(error.response.get("Error", {}).get("Message", "")).split()))
    if code == "HttpEndpointNotEnabledException" or _SWITCHED_OFF.search(text):
        return SettingsError(
            [f"{SETTING} is off in this deployment, so that the RDS Data API does not answer"],
            hint=f"set {SETTING} true and deploy; or use `hostemr tunnel`",
        )
    for codes, says, message, hint in _EXPLANATIONS:
        if code in codes or (says and says.search(text)):
            return OutsideWorldError(message.format(text=text), hint=hint)
    return None


_NO_LIMIT = "`hostemr tunnel --open` has no such limit"
_EXPLANATIONS: tuple[tuple[frozenset[str], re.Pattern[str] | None, str, str], ...] = (
    (
        frozenset(),
        re.compile(r"response size limit|more than the allowed", re.IGNORECASE),
        "The result is larger than the 1 MiB that the RDS Data API gives.",
        f"ask for fewer columns, or for parts with a condition and LIMIT; {_NO_LIMIT}",
    ),
    (
        frozenset({"StatementTimeoutException"}),
        re.compile(r"statement timed out", re.IGNORECASE),
        "The statement took longer than the 45 seconds that the RDS Data API gives.",
        f"look whether it was carried out before you give it again; {_NO_LIMIT}",
    ),
    (
        frozenset({"DatabaseErrorException", "BadRequestException", "UnsupportedResultException"}),
        None,
        "The database refuses the statement: {text}",
        "",
    ),
    (
        frozenset({"SecretsErrorException", "InvalidSecretException"}),
        None,
        "The Data API cannot use the database's secret: {text}",
        "you need secretsmanager:GetSecretValue on it, and kms:Decrypt on its key",
    ),
    (
        frozenset({"DatabaseUnavailableException", "DatabaseNotFoundException", "InvalidResourceStateException"}),
        None,
        "The database is not available: {text}",
        "aws rds describe-db-clusters says why",
    ),
)
