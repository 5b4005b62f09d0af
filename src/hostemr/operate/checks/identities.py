"""Who may do what: the statements of a role, and those of a resource's own policy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from hostemr.operate.checks.templates import Resource, Templates, at
from hostemr.operate.references import alternatives
from hostemr.operate.texts import UNKNOWN

CUSTOM = "AWS::CloudFormation::CustomResource"
_KNOWN = {
    "AdministratorAccess": ("*",),
    "PowerUserAccess": ("*",),
    "CloudWatchFullAccess": ("logs:*", "cloudwatch:*", "sns:*"),
    "CloudWatchLogsFullAccess": ("logs:*",),
    "AWSLambdaBasicExecutionRole": ("logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"),
    "AmazonSSMManagedInstanceCore": ("ssm:*", "ssmmessages:*", "ec2messages:*"),
    "AWSBackupServiceRolePolicyForBackup": ("backup:*", "rds:*", "elasticfilesystem:Backup"),
}
"""What the AWS managed policies that we meet allow, as far as checks ask (AWS Managed Policy Reference Guide)."""


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement of a policy, and the resource in whose template it stands."""

    holder: Resource
    content: Mapping[str, Any]

    @property
    def allows(self) -> bool:
        """Whether its effect is Allow."""
        return self.content.get("Effect") == "Allow"

    def actions(self, templates: Templates) -> list[str]:
        """Its actions as texts."""
        return [templates.text(self.holder.stack, action) for action in alternatives(self.content.get("Action"))]

    def on(self, templates: Templates) -> list[str]:
        """Its resources as texts."""
        return [templates.text(self.holder.stack, one) for one in alternatives(self.content.get("Resource"))]

    def meets(self, templates: Templates, action: str) -> bool:
        """Whether one of its actions covers `action`."""
        return any(covers(pattern, action) for pattern in self.actions(templates))

    def services(self, templates: Templates) -> list[str]:
        """The service principals that it speaks of."""
        return [templates.text(self.holder.stack, one) for one in at(self.content, "Principal", "Service")]

    def anybody(self, templates: Templates) -> bool:
        """Whether its principal is everybody."""
        principal = self.content.get("Principal")
        named = [principal, *at(principal, "AWS")] if isinstance(principal, Mapping) else [principal]
        return any(templates.text(self.holder.stack, one) == "*" for one in named)


@dataclass(frozen=True, slots=True)
class Powers:
    """What a role may do, as far as the templates show."""

    statements: tuple[Statement, ...]
    managed: tuple[str, ...]
    """AWS's own policies, by name."""
    outside: bool
    """Whether it has policies that are not in the templates."""

    @property
    def none(self) -> bool:
        """Whether nothing at all is attached."""
        return not (self.statements or self.managed or self.outside)

    def allow(self, templates: Templates, action: str) -> bool | None:
        """Whether the action is allowed on anything; None where a policy that cannot be read may allow it."""
        if any(one.allows and one.meets(templates, action) for one in self.statements):
            return True
        if any(covers(pattern, action) for name in self.managed for pattern in _KNOWN.get(name, ())):
            return True
        unread = self.outside or any(name not in _KNOWN for name in self.managed)
        return None if unread else False


def covers(pattern: str, action: str) -> bool:
    """Whether an action of a policy, with `*` and `?`, is or includes `action`."""
    return UNKNOWN not in pattern and fnmatchcase(action.lower(), pattern.lower())


def documents(holder: Resource) -> Iterator[Statement]:
    """The statements that stand in the resource itself, trust policies apart."""
    written = [*holder.at("PolicyDocument"), *holder.at("Policies", "PolicyDocument"), *holder.at("KeyPolicy")]
    written += [*holder.at("ResourcePolicy"), *holder.at("AccessPolicy"), *holder.at("FileSystemPolicy")]
    for document in written:
        for content in at(document, "Statement"):
            if isinstance(content, Mapping):
                yield Statement(holder, content)


def identity_statements(templates: Templates) -> Iterator[Statement]:
    """Every statement of an identity's policy."""
    for holder in templates.all():
        if holder.type.startswith("AWS::IAM::"):
            yield from documents(holder)


def powers(templates: Templates, role: Resource) -> Powers:
    """What a role of the templates may do."""
    statements = list(documents(role))
    managed, outside = [], False
    for arn in role.at("ManagedPolicyArns"):
        attached = templates.named(role.stack, arn)
        for policy in attached:
            statements += documents(policy)
        if not attached:
            name = templates.text(role.stack, arn).rpartition("/")[2]
            managed.append(name)
            outside = outside or UNKNOWN in name
    for policy in templates.of("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy", "AWS::IAM::RolePolicy"):
        if role in templates.named(policy.stack, [policy.at("Roles"), policy.at("RoleName")]):
            statements += documents(policy)
    return Powers(tuple(statements), tuple(managed), outside)


def about(templates: Templates, resource: Resource, policy_type: str, place: str) -> list[Resource]:
    """The policies of this type that are put on a resource."""
    return [one for one in templates.of(policy_type) if resource in templates.named(one.stack, one.at(place))]


def service_may(templates: Templates, statements: Iterator[Statement], service: str, action: str) -> bool:
    """Whether one of the statements lets an AWS service do this."""
    return any(
        one.allows and one.meets(templates, action) and (service in one.services(templates) or one.anybody(templates))
        for one in statements
    )


def functions_behind(templates: Templates, custom: Resource) -> list[Resource]:
    """The functions that a custom resource calls, with those that they hand the event on to."""
    called = templates.names(custom, ("ServiceToken",), "AWS::Lambda::Function")
    for argument in called:
        named = templates.named(argument.stack, argument.at("Environment", "Variables"))
        called += [one for one in named if one.type == "AWS::Lambda::Function" and one not in called]
    return called


def custom_resources(templates: Templates) -> list[Resource]:
    """The custom resources."""
    return [one for one in templates.all() if one.type == CUSTOM or one.type.startswith("Custom::")]


def role_of(templates: Templates, holder: Resource, *path: str) -> list[Resource]:
    """The roles that are named at this place, also by way of an instance profile."""
    found = []
    for one in templates.named(holder.stack, holder.at(*path)):
        if one.type == "AWS::IAM::InstanceProfile":
            found += templates.names(one, ("Roles",), "AWS::IAM::Role")
        elif one.type == "AWS::IAM::Role":
            found.append(one)
    return found
