"""What the agent asks of AWS, through the AWS command line, with the server's own role."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from hostemr.errors import OutsideWorldError
from hostemr.host.programs import MINUTE, Programs


class Aws:
    """Calls AWS's APIs. `endpoint_url` is another endpoint than AWS's own, None for AWS's.

    Every method raises ProgramFailed where the call failed, OutsideWorldError where its answer cannot be used.
    """

    def __init__(self, programs: Programs, *, region: str, endpoint_url: str | None = None) -> None:
        self._programs = programs
        self._options = ["--region", region, "--output", "json", "--no-cli-pager"]
        # A page's worth of listings at once; the default of 60 seconds a read is for slow lines, not for dead ones.
        self._options += ["--cli-connect-timeout", "10", "--cli-read-timeout", "60"]
        if endpoint_url:
            self._options += ["--endpoint-url", endpoint_url]

    def call(
        self,
        service: str,
        operation: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        answers_secret: bool = False,
    ) -> dict[str, Any]:
        """One call. The arguments have the API's own names, `{"SecretId": …}`; they are no place for secrets.

        With `answers_secret` nothing of the answer stands in an error.
        """
        command = ["aws", *self._options, service, operation]
        if arguments:
            command += ["--cli-input-json", json.dumps(arguments)]
        answer = self._programs.run(
            command, environment={"AWS_PAGER": ""}, timeout=5 * MINUTE, answers_secret=answers_secret
        )
        if not answer.strip():
            return {}
        try:
            found: dict[str, Any] = json.loads(answer)
        except ValueError:
            # Not `from error`: a JSONDecodeError holds the whole answer, which may be a secret's.
            raise OutsideWorldError(f"`aws {service} {operation}` answered what is no JSON.") from None
        return found

    def secret(self, arn: str) -> str:
        """The current text of a secret in Secrets Manager."""
        answer = self.call("secretsmanager", "get-secret-value", {"SecretId": arn}, answers_secret=True)
        text = answer.get("SecretString")
        if not isinstance(text, str) or not text.strip():
            raise OutsideWorldError(f"The secret {arn} has no text.", hint="the stack fills it when it is made")
        return text.strip()

    def text_object(self, bucket: str, key: str) -> str:
        """The text of a small object in S3."""
        command = ["aws", *self._options, "s3", "cp", f"s3://{bucket}/{key}", "-"]
        # It may be a passphrase: the original keeps its own so.
        return self._programs.run(command, timeout=5 * MINUTE, answers_secret=True).strip()

    def metric(self, namespace: str, server: str, values: Mapping[str, tuple[float, str]]) -> None:
        """Put metrics of one server to CloudWatch, by name, each a value and its unit, such as `(1, "Count")`."""
        data = [
            {"MetricName": name, "Value": value, "Unit": unit, "Dimensions": [{"Name": "Server", "Value": server}]}
            for name, (value, unit) in values.items()
        ]
        self.call("cloudwatch", "put-metric-data", {"Namespace": namespace, "MetricData": data})
