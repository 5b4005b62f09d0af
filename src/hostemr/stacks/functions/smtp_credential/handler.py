"""Makes the application's credential for SES's SMTP endpoint, and rotates it.

It is an access key of an IAM user (USER_NAME) whose only right is to send mail: the key's id is the SMTP user,
the password is derived from the key's secret and REGION. The secret SECRET_ARN holds both, as
`{"username": ..., "password": ...}`; the key's own secret is kept nowhere.

- As a custom resource (Custom::SmtpCredential): Create and Update make the first credential, unless the
  secret's current one is of an active key. Delete takes all keys from the user, or it could not be deleted.
- As the secret's rotation: createSecret deletes the key that is not current, which its users have had a
  whole rotation to give up, and makes the next one. testSecret logs in with it at SMTP_HOST; no mail is sent.
  finishSecret makes it current and then, as AFTER says, starts an ECS service anew
  (`{"UpdateService": {"Cluster": ..., "Service": ...}}`) or calls a function (`{"InvokeFunction": ...}`); without
  AFTER nothing. The key before works until the next rotation.

A user has two keys at most, and IAM tells a key's secret once. So a key that the secret does not name, since
the function was killed between making and keeping it, is deleted by the next run that needs its place. All can
be repeated, also at the same time: a key that another run has deleted is noticed. That AFTER was done stands on
the version as the stage HOSTEMR_TAKEN, so a repeated finishSecret does it once more at most.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
import os
import smtplib
import ssl
import sys
import time
import traceback
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Self

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NoConnection

CURRENT, PENDING, PREVIOUS, TAKEN = "AWSCURRENT", "AWSPENDING", "AWSPREVIOUS", "HOSTEMR_TAKEN"
CALL_SECONDS = 20
MARGIN_SECONDS = 30
POLL_SECONDS = 10
# IAM is eventually consistent: what was made or deleted shows everywhere after seconds, at worst minutes.
# https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html
LISTED_SECONDS = 60
LOGIN_SECONDS = 300
TRIES = 6
NOT_YET = {"LimitExceeded", "NoSuchEntity"}  # the deleted key still counts; the new user is not known


class CredentialFailed(Exception):
    """This did not succeed; the message is for the operator and holds no secret."""


@dataclass(frozen=True)
class Settings:
    """The environment; `after` as takes_over() has it."""

    user: str
    secret: str
    region: str
    host: str
    after: dict[str, Any]

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Self:
        """Raises CredentialFailed with everything that is wrong."""
        names = ("USER_NAME", "SECRET_ARN", "REGION", "SMTP_HOST")
        wrong = [f"{name} should be set" for name in names if not environment.get(name)]
        try:
            after = json.loads(environment.get("AFTER") or "{}")
        except json.JSONDecodeError:
            after = None
        if not takes_over(after):
            wrong.append(
                'AFTER should be {"UpdateService": {"Cluster": ..., "Service": ...}}, {"InvokeFunction": ...}'
                " or left out"
            )
        if wrong:
            raise CredentialFailed(f"The environment is wrong: {'; '.join(wrong)}.")
        user, secret, region, host = (environment[name] for name in names)
        return cls(user, secret, region, host, after)


def takes_over(after: Any) -> bool:
    """Whether this is one of the calls that make the application take a new credential, or none."""
    match after:
        case {"UpdateService": {"Cluster": str() as cluster, "Service": str() as service, **more}, **others}:
            return bool(cluster and service) and not (more or others)
        case {"InvokeFunction": str() as function, **others}:
            return bool(function) and not others
    return bool(after == {})


def smtp_password(secret_access_key: str, region: str) -> str:
    """SES's password for this key in this region.

    https://docs.aws.amazon.com/ses/latest/dg/smtp-credentials.html: Signature Version 4 with a date that is fixed.
    """
    signature = ("AWS4" + secret_access_key).encode()
    for part in ("11111111", region, "ses", "aws4_request", "SendRawEmail"):
        signature = hmac.digest(signature, part.encode(), "sha256")
    return base64.b64encode(b"\x04" + signature).decode()


def log(message: str, **fields: Any) -> None:
    """One line of JSON. Never a secret's value, an SMTP server's words (it may repeat one), or a ResponseURL."""
    sys.stdout.write(json.dumps({"message": message, **fields}) + "\n")


def seconds_left(context: Any) -> float:
    """Until Lambda ends this invocation."""
    return float(context.get_remaining_time_in_millis() / 1000)


class Keys:
    """The user's access keys."""

    def __init__(self, iam: Any, user: str, region: str, sleep: Callable[[float], None]) -> None:
        self.iam, self.user, self.region, self.sleep = iam, user, region, sleep

    def active(self, key: str, patience: float = 0) -> bool:
        """Whether the user has this key and it is active; asks again for so many seconds."""
        while True:
            # A new user may not be known yet.
            with suppress(self.iam.exceptions.NoSuchEntityException):
                listed = self.iam.list_access_keys(UserName=self.user)["AccessKeyMetadata"]
                if any(one["AccessKeyId"] == key and one["Status"] == "Active" for one in listed):
                    return True
            if patience <= 0:
                return False
            self.sleep(POLL_SECONDS)
            patience -= POLL_SECONDS

    def make(self, keep: str | None) -> dict[str, str]:
        """A new credential, in the place of all keys but `keep`."""
        for remaining in reversed(range(TRIES)):
            try:
                self.clear(keep)
                key = self.iam.create_access_key(UserName=self.user)["AccessKey"]
            except ClientError as error:
                if error.response["Error"]["Code"] not in NOT_YET or not remaining:
                    raise
                log("no key yet", user=self.user, code=error.response["Error"]["Code"])
                self.sleep(POLL_SECONDS)
                continue
            break
        log("key made", user=self.user, key=key["AccessKeyId"])
        return {"username": key["AccessKeyId"], "password": smtp_password(key["SecretAccessKey"], self.region)}

    def clear(self, keep: str | None = None) -> None:
        """Delete all keys but `keep`."""
        for one in self.iam.list_access_keys(UserName=self.user)["AccessKeyMetadata"]:
            if one["AccessKeyId"] != keep:
                self.delete(one["AccessKeyId"])

    def delete(self, key: str) -> None:
        """Delete this key, unless it is gone."""
        with suppress(self.iam.exceptions.NoSuchEntityException):
            self.iam.delete_access_key(UserName=self.user, AccessKeyId=key)
            log("key deleted", user=self.user, key=key)


class SmtpCredential:
    """One secret's credential. `tls` and `port` are for tests' own servers."""

    def __init__(
        self,
        clients: Mapping[str, Any],
        environment: Mapping[str, str],
        sleep: Callable[[float], None] = time.sleep,
        tls: ssl.SSLContext | None = None,
        port: int = 587,
    ) -> None:
        """`clients` are boto3's for iam, secretsmanager, ecs and lambda. Raises CredentialFailed."""
        self.settings = Settings.read(environment)
        self.clients, self.secrets, self.secret = clients, clients["secretsmanager"], self.settings.secret
        self.sleep = sleep
        self.tls, self.port = tls or ssl.create_default_context(), port
        self.keys = Keys(clients["iam"], self.settings.user, self.settings.region, sleep)

    def ensure(self) -> str:
        """Have a current credential whose key is active; one line on how. Raises CredentialFailed."""
        for patience in (0, LISTED_SECONDS, LISTED_SECONDS):
            current = self.find(CURRENT)
            if current and self.keys.active(current["username"], patience):
                return f"The credential is the key {current['username']} of {self.settings.user}."
            # A new key needs a place: what may soon be current goes before what was.
            others = [one["username"] for one in map(self.find, (PENDING, PREVIOUS)) if one]
            keep = next((key for key in others if self.keys.active(key)), None)
            value = json.dumps(self.keys.make(keep))
            self.secrets.put_secret_value(SecretId=self.secret, SecretString=value, VersionStages=[CURRENT])
        raise CredentialFailed(f"Keys of {self.settings.user} are deleted as soon as they are made.")

    def remove(self) -> str:
        """Take all keys from the user; one line on how it went."""
        try:
            self.keys.clear()
        except self.clients["iam"].exceptions.NoSuchEntityException:
            return f"There is no user {self.settings.user}."
        return f"The user {self.settings.user} has no key."

    def step(self, event: dict[str, Any], context: Any) -> None:
        """Do one step. Raises ValueError if it should not have been asked, CredentialFailed if it did not succeed."""
        name, token = event["Step"], event["ClientRequestToken"]
        steps = {"createSecret": self.create, "testSecret": self.test, "finishSecret": self.finish}
        if name not in {*steps, "setSecret"}:
            raise ValueError(f"{name} is no step; expected setSecret or one of {', '.join(steps)}.")
        if event["SecretId"] != self.secret:
            raise ValueError(f"Asked to rotate {event['SecretId']}; expected {self.secret}.")
        described = self.secrets.describe_secret(SecretId=self.secret)
        if not described.get("RotationEnabled"):
            raise ValueError(f"Rotation is not enabled for the secret {self.secret}.")
        stages = described["VersionIdsToStages"].get(token, [])
        if CURRENT not in stages and PENDING not in stages:
            raise ValueError(f"The secret {self.secret} has no version {token} that is staged as {PENDING}.")
        log("step", step=name, version=token, stages=sorted(stages))
        # setSecret has nothing to do: whoever makes a key sets its password.
        if name in steps and (CURRENT not in stages or name == "finishSecret"):
            steps[name](token, context)

    def create(self, token: str, _: Any) -> None:
        """Give the pending version a value, unless it has one: a new key, in the place of the former."""
        pending = self.find(PENDING, VersionId=token)
        if pending is None:
            current = self.find(CURRENT)
            if current is None:
                raise ValueError(f"{CURRENT} of {self.secret} should be an object with a username and a password.")
            made = self.keys.make(current["username"])
            value = {"SecretString": json.dumps(made), "ClientRequestToken": token}
            try:
                self.secrets.put_secret_value(SecretId=self.secret, VersionStages=[PENDING], **value)
            except self.secrets.exceptions.ResourceExistsException:
                log("another run was first", version=token)
                self.keys.delete(made["username"])
        elif not self.keys.active(pending["username"], LISTED_SECONDS):
            # A version's value is for ever, and a rotation that never ends keeps others from beginning.
            self.move(PENDING, off=token)
            raise CredentialFailed(
                f"The key {pending['username']} of the version {token} was deleted or deactivated, so it"
                f" is not staged as {PENDING} any more. The next rotation makes another."
            )

    def test(self, token: str, context: Any) -> None:
        """Log in with the pending credential, as soon as SES knows it. Raises CredentialFailed.

        When rotation is enabled without rotating at once, Secrets Manager calls this step alone, with a
        pending copy of the current value.
        """
        pending = self.find(PENDING, VersionId=token)
        if pending is None:
            raise CredentialFailed(f"The version {token} of {self.secret} should be a username and a password.")
        least = MARGIN_SECONDS + POLL_SECONDS + CALL_SECONDS
        end = max(seconds_left(context) - LOGIN_SECONDS, least)
        while True:
            problem, lasting = self.login(pending)
            if not problem:
                log("logged in", host=self.settings.host, key=pending["username"])
                return
            log("not logged in", host=self.settings.host, key=pending["username"], error=problem)
            if lasting or seconds_left(context) <= end:
                raise CredentialFailed(f"No login at {self.settings.host} with {pending['username']}: {problem}.")
            self.sleep(POLL_SECONDS)

    def login(self, credential: Mapping[str, str]) -> tuple[str, bool]:
        """What is wrong (empty if nothing is), and whether it stays so."""
        try:
            with smtplib.SMTP(self.settings.host, self.port, "localhost", CALL_SECONDS) as smtp:
                smtp.starttls(context=self.tls)
                smtp.login(credential["username"], credential["password"])
        except (ssl.SSLCertVerificationError, smtplib.SMTPNotSupportedError, UnicodeError) as error:
            return type(error).__name__, True
        except smtplib.SMTPResponseException as error:
            return f"{type(error).__name__} {error.smtp_code}", False
        except OSError as error:
            return type(error).__name__, False
        return "", False

    def finish(self, token: str, _: Any) -> None:
        """Make the version current, and the application take it."""
        current, taken = self.holder(CURRENT), self.holder(TAKEN)
        if current != token:
            # Secrets Manager moves AWSPREVIOUS by itself.
            self.move(CURRENT, to=token, off=current)
        if self.settings.after and taken != token:
            self.hand_over()
            self.move(TAKEN, to=token, off=taken)

    def hand_over(self) -> None:
        """Do what AFTER says. The secret is in order already, so any error is worth another try."""
        after = self.settings.after
        for remaining in reversed(range(TRIES)):
            try:
                if "UpdateService" in after:
                    given = after["UpdateService"]
                    self.clients["ecs"].update_service(
                        cluster=given["Cluster"], service=given["Service"], forceNewDeployment=True
                    )
                else:
                    self.clients["lambda"].invoke(
                        FunctionName=after["InvokeFunction"], InvocationType="Event", Payload=b"{}"
                    )
                log("handed over", to=after)
                return
            except (BotoCoreError, ClientError) as error:
                log("not handed over", to=after, error=str(error))
                if not remaining:
                    raise
            self.sleep(POLL_SECONDS)

    def holder(self, stage: str) -> str | None:
        """The version that bears this stage."""
        versions = self.secrets.describe_secret(SecretId=self.secret)["VersionIdsToStages"]
        return next((version for version, stages in versions.items() if stage in stages), None)

    def move(self, stage: str, *, to: str | None = None, off: str | None = None) -> None:
        """Take this stage off one version, put it on another, or both."""
        named = {name: one for name, one in (("MoveToVersionId", to), ("RemoveFromVersionId", off)) if one}
        self.secrets.update_secret_version_stage(SecretId=self.secret, VersionStage=stage, **named)
        log("stage moved", stage=stage, **named)

    def find(self, stage: str, **version: str) -> dict[str, str] | None:
        """The credential at this stage; None if there is no value, or one that is no credential."""
        try:
            answer = self.secrets.get_secret_value(SecretId=self.secret, VersionStage=stage, **version)
            value = json.loads(answer.get("SecretString", ""))
        except (self.secrets.exceptions.ResourceNotFoundException, json.JSONDecodeError):
            return None
        fits = isinstance(value, dict) and all(isinstance(value.get(name), str) for name in ("username", "password"))
        return value if fits else None


def answer(event: dict[str, Any], status: str, reason: str, sleep: Callable[[float], None]) -> dict[str, Any]:
    """Tell CloudFormation. Raises the last error if it does not listen: Lambda then tries again."""
    # At most 4096 bytes in all; JSON at worst doubles a printable text. The physical id stays for ever what it
    # was: after another one CloudFormation sends a Delete for the old one, which would take the new keys.
    line = " ".join(reason.split()).encode()[:1200].decode(errors="ignore")
    origin = f"{event['StackId']}/{event['LogicalResourceId']}"
    made = "hostemr-smtp-" + hashlib.sha256(origin.encode()).hexdigest()[:20]
    told = {"Status": status, "Reason": line, "PhysicalResourceId": event.get("PhysicalResourceId") or made}
    told |= {name: event[name] for name in ("StackId", "RequestId", "LogicalResourceId")}
    log("answers", status=status, reason=line)
    body = json.dumps(told, ensure_ascii=False).encode()
    # S3 signed the URL for an empty Content-Type. A second PUT of the same answer changes nothing.
    headers = {"Content-Type": "", "Content-Length": str(len(body))}
    for wait in (1, 2, 4, 8, 0):
        call = urllib.request.Request(event["ResponseURL"], body, headers, method="PUT")  # noqa: S310  # CloudFormation's
        try:
            with urllib.request.urlopen(call, timeout=5):  # noqa: S310  # CloudFormation's own URL
                break
        except (OSError, http.client.HTTPException) as error:
            refused = isinstance(error, urllib.error.HTTPError) and error.code < 500
            log("not answered", status=getattr(error, "code", None), error=type(error).__name__)
            if refused or not wait:
                raise
        sleep(wait)
    return told


def resource(
    event: dict[str, Any], credential: Callable[[], SmtpCredential], sleep: Callable[[float], None] = time.sleep
) -> dict[str, Any]:
    """Do what CloudFormation asks, and answer whatever happens."""
    try:
        reason = credential().remove() if event["RequestType"] == "Delete" else credential().ensure()
    except (CredentialFailed, ClientError, HTTPClientError, NoConnection) as error:
        return answer(event, "FAILED", str(error), sleep)
    except Exception as error:  # noqa: BLE001  # CloudFormation waits an hour for an answer that does not come
        # What it says may hold anything; where it was raised does not.
        log("failed", error=type(error).__name__, where=traceback.format_tb(error.__traceback__))
        return answer(event, "FAILED", f"{type(error).__name__}; see the function's log.", sleep)
    return answer(event, "SUCCESS", reason, sleep)


def connect() -> SmtpCredential:
    """With boto3's clients and this function's environment."""
    config = Config(retries={"mode": "standard", "max_attempts": 5}, connect_timeout=5, read_timeout=20)
    names = ("iam", "secretsmanager", "ecs", "lambda")
    return SmtpCredential({name: boto3.client(name, config=config) for name in names}, os.environ)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any] | None:
    """Lambda's entry."""
    if "RequestType" in event:
        return resource(event, connect)
    connect().step(event, context)
    return None
