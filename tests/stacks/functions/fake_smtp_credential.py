"""What an SMTP credential is made of: an IAM user with two keys at most, a secret's versions, and an SMTP server."""

from __future__ import annotations

import base64
import json
import ssl
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from moto.iam.models import iam_backends
from moto.secretsmanager.models import secretsmanager_backends

from tests.peers.loopback import free_port
from tests.stacks.functions.fake_aws import Fake, refusal

ACCOUNT = "123456789012"


def signed_password(secret_access_key: str, region: str) -> str:
    """SES's password by botocore's own Signature Version 4."""
    request = AWSRequest()
    request.context["timestamp"] = "11111111T000000Z"
    signature = SigV4Auth(Credentials("any", secret_access_key), "ses", region).signature("SendRawEmail", request)
    return base64.b64encode(b"\x04" + bytes.fromhex(signature)).decode()


class FakeUser:
    """moto's IAM with what it leaves out: the quota of two keys, and lists that lag behind."""

    def __init__(self, iam: Any, name: str) -> None:
        self.exceptions = iam.exceptions
        self.errors: dict[str, list[BaseException]] = {}
        self.unlisted_for = 0
        """So many next lists lack the newest key."""
        self.name = name
        self._iam = iam

    def create_access_key(self, **parameters: Any) -> Any:
        self._fail("create_access_key")
        listed = self._iam.list_access_keys(UserName=self.name)["AccessKeyMetadata"]
        if parameters["UserName"] == self.name and len(listed) == 2:
            raise refusal("LimitExceeded", "CreateAccessKey", "Cannot exceed quota for AccessKeysPerUser: 2")
        return self._iam.create_access_key(**parameters)

    def list_access_keys(self, **parameters: Any) -> Any:
        self._fail("list_access_keys")
        answer = self._iam.list_access_keys(**parameters)
        if self.unlisted_for:
            self.unlisted_for -= 1
            answer["AccessKeyMetadata"] = answer["AccessKeyMetadata"][:-1]
        return answer

    def delete_access_key(self, **parameters: Any) -> Any:
        self._fail("delete_access_key")
        return self._iam.delete_access_key(**parameters)

    def keys(self) -> dict[str, str]:
        """The secret of each active key by its id."""
        user = iam_backends[ACCOUNT]["aws"].users.get(self.name)
        listed = user.access_keys if user else []
        return {key.access_key_id: key.secret_access_key for key in listed if key.status == "Active"}

    def _fail(self, name: str) -> None:
        if self.errors.get(name):
            raise self.errors[name].pop(0)


class FakeSecrets:
    """moto's Secrets Manager, whose pending versions could be written twice; and what it does to rotate."""

    def __init__(self, secrets: Any) -> None:
        self.exceptions = secrets.exceptions
        self.errors: dict[str, list[BaseException]] = {}
        self._secrets = secrets

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(**parameters: Any) -> Any:
            if self.errors.get(name):
                raise self.errors[name].pop(0)
            return getattr(self._secrets, name)(**parameters)

        return call

    def put_secret_value(self, **parameters: Any) -> Any:
        if self.errors.get("put_secret_value"):
            raise self.errors["put_secret_value"].pop(0)
        version = self._stored(parameters["SecretId"]).versions.get(parameters.get("ClientRequestToken"), {})
        if version.get("secret_string", parameters["SecretString"]) != parameters["SecretString"]:
            error = {"Error": {"Code": "ResourceExistsException", "Message": "A version's value is for ever."}}
            raise self.exceptions.ResourceExistsException(error, "PutSecretValue")
        if parameters["VersionStages"] == ["AWSCURRENT"]:
            # moto takes AWSCURRENT only from the version that was put last.
            for token, stages in self.stages(parameters["SecretId"]).items():
                if "AWSCURRENT" in stages:
                    self._stored(parameters["SecretId"]).set_default_version_id(token)
        return self._secrets.put_secret_value(**parameters)

    def begin(self, arn: str, value: str | None = None) -> str:
        """Secrets Manager begins a rotation; answers its token."""
        token, stored = str(uuid.uuid4()), self._stored(arn)
        version = {"createdate": 0, "version_id": token, "version_stages": ["AWSPENDING"]}
        stored.remove_version_stages_from_old_versions(["AWSPENDING"])
        stored.versions[token] = version | ({"secret_string": value} if value else {})
        return token

    def enable(self, arn: str, *, enabled: bool = True) -> None:
        self._stored(arn).rotation_requested = True
        self._stored(arn).rotation_enabled = enabled

    def value(self, arn: str, stage: str) -> dict[str, str]:
        text = self._secrets.get_secret_value(SecretId=arn, VersionStage=stage)["SecretString"]
        value: dict[str, str] = json.loads(text)
        return value

    def stages(self, arn: str) -> dict[str, list[str]]:
        described = self._secrets.describe_secret(SecretId=arn).get("VersionIdsToStages", {})
        return {version: sorted(stages) for version, stages in described.items() if stages}

    @staticmethod
    def _stored(arn: str) -> Any:
        return secretsmanager_backends[ACCOUNT]["us-east-1"].secrets[arn]


class FakeFunction(Fake):
    """Lambda's asynchronous calls."""

    service = "lambda"

    def invoke(self, **parameters: Any) -> dict[str, Any]:
        self._call("invoke", "Invoke", parameters)
        return {"StatusCode": 202}


class SESEndpoint:
    """SES's SMTP server on loopback: STARTTLS, AUTH, and mail if somebody should send any."""

    def __init__(self, certificate: Path) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        self.port = free_port()
        self.takes: Callable[[str, str], bool] = lambda *_: False
        self.refuses_first = 0
        """So many next logins fail: IAM's news have not arrived."""
        self.logins: list[str] = []
        self.commands: list[str] = []
        self._controller = Controller(
            self,
            hostname="127.0.0.1",
            port=self.port,
            tls_context=context,
            require_starttls=True,
            auth_required=True,
            authenticator=self._check,
            auth_exclude_mechanism=["LOGIN"],
        )

    def _check(self, _server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
        user, password = data.login.decode(), data.password.decode()
        if self.refuses_first:
            self.refuses_first -= 1
        elif self.takes(user, password):
            self.logins.append(user)
            return AuthResult(success=True, auth_data=data)
        # Repeating the password, as no server should.
        return AuthResult(success=False, handled=False, message=f"535 5.7.8 not the password: {password}")

    async def handle_MAIL(self, *_: Any) -> str:  # noqa: N802, aiosmtpd's name
        self.commands.append("MAIL")
        return "250 OK"

    async def handle_QUIT(self, *_: Any) -> str:  # noqa: N802
        self.commands.append("QUIT")
        return "221 Bye"

    def __enter__(self) -> Self:
        self._controller.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._controller.stop()
