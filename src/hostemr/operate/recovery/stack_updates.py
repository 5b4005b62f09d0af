"""Updates of stacks, each with its end: done, or rolled back by CloudFormation and told why."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from hostemr.errors import OutsideWorldError, RefusedError, SettingsError
from hostemr.operate.aws import Aws, error_code
from hostemr.operate.recovery.patience import MINUTE, Patience
from hostemr.operate.stateful import STATEFUL
from hostemr.operate.template import canonical, parse_template

_CAPABILITIES = ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM"]
_MARK = "hostemr:restore"
OPEN = json.dumps({"Statement": [{"Effect": "Allow", "Action": "Update:*", "Principal": "*", "Resource": "*"}]})
SHUT = json.dumps({"Statement": [{"Effect": "Deny", "Action": "Update:*", "Principal": "*", "Resource": "*"}]})
"""Stack policies. While one pair gives way to another, nobody's `cdk deploy` may bring the other back."""


class UpdateFailed(OutsideWorldError):
    """CloudFormation could not do it, and went back."""


@dataclass(frozen=True, slots=True)
class Stacks:
    """Stacks of one account and region; templates go through `bucket`, since they are too large for a request."""

    aws: Aws
    patience: Patience
    bucket: str
    prefix: str

    @property
    def _cloudformation(self) -> Any:
        return self.aws.client("cloudformation")

    def template(self, stack: str) -> dict[str, Any]:
        """The template that a stack has now."""
        return template_of(self.aws, stack)

    def keep(self, name: str, template: Mapping[str, Any]) -> str:
        """Store a template; answers its key in the bucket."""
        key = f"{self.prefix}{name}.json"
        body = json.dumps(template, separators=(",", ":")).encode()
        self.aws.client("s3").put_object(Bucket=self.bucket, Key=key, Body=body)
        return key

    def kept(self, key: str) -> dict[str, Any]:
        """A stored template."""
        body = self.aws.client("s3").get_object(Bucket=self.bucket, Key=key)["Body"].read()
        found: dict[str, Any] = json.loads(body)
        return found

    def update(self, stack: str, name: str, template: Mapping[str, Any]) -> None:
        """Give a stack a template, unless it has it, and wait. Raises UpdateFailed when CloudFormation went back."""
        self.settle(stack)
        if canonical(self.template(stack)) == canonical(template):
            return
        self.patience.tell(f"{stack}: {name}")
        if not self._begun(stack, self.keep(name, template)) and not self._begun(
            # The values are the same, the text is not: with literals left in it, the next change of the pair would
            # not know what to change. A resource's metadata counts as a change, and changes nothing.
            stack,
            self.keep(f"{name}-marked", _marked(template, name)),
        ):
            raise UpdateFailed(f"{stack}: CloudFormation sees no change in the template {name}, which differs.")
        self._ended(stack, "UPDATE_COMPLETE")

    def _begun(self, stack: str, key: str) -> bool:
        """Whether an update began; False where CloudFormation says that there is nothing to update."""
        try:
            self._cloudformation.update_stack(
                StackName=stack,
                TemplateURL=self._url(key),
                Capabilities=_CAPABILITIES,
                Parameters=self._parameters(stack),
                StackPolicyDuringUpdateBody=OPEN,
            )
        except ClientError as error:
            if error_code(error) == "ValidationError" and "No updates are to be performed" in str(error):
                return False
            raise
        return True

    def take_in(
        self, stack: str, name: str, template: Mapping[str, Any], resources: Sequence[Mapping[str, Any]]
    ) -> None:
        """Import existing resources into a stack, unless it has them.

        Raises UpdateFailed, or RefusedError where CloudFormation would do anything else than import.
        """
        self.settle(stack)
        if canonical(self.template(stack)) == canonical(template):
            return
        self.patience.tell(f"{stack}: {name}")
        change_set = f"hostemr-{name}".replace("/", "-")
        try:
            self._cloudformation.delete_change_set(StackName=stack, ChangeSetName=change_set)
        except ClientError as error:
            if error_code(error) != "ChangeSetNotFound":
                raise
        self._cloudformation.create_change_set(
            StackName=stack,
            ChangeSetName=change_set,
            ChangeSetType="IMPORT",
            TemplateURL=self._url(self.keep(name, template)),
            Capabilities=_CAPABILITIES,
            Parameters=self._parameters(stack),
            ResourcesToImport=list(resources),
        )
        found = self.patience.until(
            f"{stack}: CloudFormation looks at what it takes in",
            lambda: self._planned(stack, change_set),
            seconds=30 * MINUTE,
            every=5,
        )
        if found["Status"] != "CREATE_COMPLETE":
            raise UpdateFailed(f"{stack}: the import was refused: {found.get('StatusReason', 'no reason is given')}")
        other = [
            change["ResourceChange"]["LogicalResourceId"]
            for change in found["Changes"]
            if change["ResourceChange"]["Action"] != "Import"
        ]
        if other:
            raise RefusedError(f"{stack}: the import would change {', '.join(other)} too; it was not begun.")
        self._cloudformation.execute_change_set(StackName=stack, ChangeSetName=change_set)
        self._ended(stack, "IMPORT_COMPLETE")

    def shut(self, stack: str) -> None:
        """Let nobody update a stack but us."""
        self._cloudformation.set_stack_policy(StackName=stack, StackPolicyBody=SHUT)

    def policy(self, stack: str) -> str:
        """The stack's policy now; one that allows everything is as good as none, and none cannot be set."""
        return str(self._cloudformation.get_stack_policy(StackName=stack).get("StackPolicyBody") or OPEN)

    def open(self, stack: str, policy: str) -> None:
        """Give a stack the policy back that it had."""
        self._cloudformation.set_stack_policy(StackName=stack, StackPolicyBody=policy)

    def settle(self, stack: str) -> str:
        """Wait until nothing is going on in a stack; answers its status."""

        def look() -> str | None:
            status = str(self._cloudformation.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"])
            return None if status.endswith("_IN_PROGRESS") else status

        status = self.patience.until(f"{stack}: CloudFormation works", look, seconds=180 * MINUTE)
        if status.endswith("_FAILED"):
            message = f"The stack {stack} is in {status}."
            raise OutsideWorldError(message, hint="`aws cloudformation continue-update-rollback`, then go on here")
        return status

    def _ended(self, stack: str, good: str) -> None:
        status = self.settle(stack)
        if status != good:
            raise UpdateFailed(f"{stack} is {status}: {self._reason(stack)}")

    def _reason(self, stack: str) -> str:
        events = self._cloudformation.describe_stack_events(StackName=stack)["StackEvents"]
        failed: list[str] = []
        for event in events:
            if event.get("ResourceStatus") in {"UPDATE_IN_PROGRESS", "IMPORT_IN_PROGRESS"} and (
                event.get("ResourceType") == "AWS::CloudFormation::Stack"
            ):
                break
            why = event.get("ResourceStatusReason", "")
            if event.get("ResourceStatus", "").endswith("_FAILED") and "cancelled" not in why:
                failed.append(f"{event['LogicalResourceId']}: {why}")
        # The newest are first; the first failure is the cause.
        return failed[-1] if failed else "CloudFormation gives no reason"

    def _planned(self, stack: str, change_set: str) -> dict[str, Any] | None:
        found: dict[str, Any] = self._cloudformation.describe_change_set(StackName=stack, ChangeSetName=change_set)
        return found if found["Status"] in {"CREATE_COMPLETE", "FAILED"} else None

    def _parameters(self, stack: str) -> list[dict[str, Any]]:
        found = self._cloudformation.describe_stacks(StackName=stack)["Stacks"][0].get("Parameters", ())
        return [{"ParameterKey": one["ParameterKey"], "UsePreviousValue": True} for one in found]

    def _url(self, key: str) -> str:
        suffix = ".cn" if self.aws.region.startswith("cn-") else ""
        return f"https://{self.bucket}.s3.{self.aws.region}.amazonaws.com{suffix}/{key}"


def _marked(template: Mapping[str, Any], mark: str) -> dict[str, Any]:
    """The template with a word of ours in the metadata of one resource that holds no data, or without it again."""
    name = min(name for name, one in template["Resources"].items() if one["Type"] not in STATEFUL)
    one = template["Resources"][name]
    metadata = dict(one.get("Metadata", {}))
    if metadata.pop(_MARK, None) is None:
        metadata[_MARK] = mark
    changed = {**one, "Metadata": metadata}
    return {**template, "Resources": {**template["Resources"], name: changed}}


def template_of(aws: Aws, stack: str) -> dict[str, Any]:
    """The template that a stack has now, as it was given."""
    answer = aws.client("cloudformation").get_template(StackName=stack, TemplateStage="Original")
    body = answer["TemplateBody"]
    # botocore reads JSON by itself; what it does not, CloudFormation was given as YAML.
    return dict(parse_template(body, name=stack) if isinstance(body, str) else body)


def bucket_for_templates(aws: Aws, asked: str | None) -> str:
    """The bucket that `cdk bootstrap` made, or the one asked for. Raises SettingsError where it is not there."""
    account = aws.client("sts").get_caller_identity()["Account"]
    name = asked or f"cdk-hnb659fds-assets-{account}-{aws.region}"
    try:
        aws.client("s3").head_bucket(Bucket=name, ExpectedBucketOwner=account)
    except ClientError as error:
        problem = f"there is no bucket {name} of yours (it answers {error_code(error)})"
        raise SettingsError([problem], hint="give --bucket, of this account, or run `cdk bootstrap`") from error
    return name
