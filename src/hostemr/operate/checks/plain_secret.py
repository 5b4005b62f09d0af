"""No password, key or token stands in a template."""

from __future__ import annotations

import re
from collections.abc import Iterator

from hostemr.operate.checks.record import Check, Found
from hostemr.operate.checks.server_scripts import scripts
from hostemr.operate.checks.templates import Resource, Templates
from hostemr.operate.texts import UNKNOWN

_NAME = re.compile(r"(?i)(pass(word|wd|phrase)?|secret|token|api_?key|access_?key|private_?key|credential)s?$")
_ELSEWHERE = re.compile(r"(?i)(arn|_file|path|url|name|id)$")
_RESOLVED = re.compile(r"\{\{resolve:(secretsmanager|ssm-secure):")
_IN_TEXT = re.compile(
    r"(?i)\b(?P<name>[\w-]*(?:password|passwd|passphrase|secret_?key|api_?key|auth_?token))[\"']?\s*[:=]\s*"
    r"[\"']?(?P<value>[^\s\"'$<>{}()|&;,`]{4,})"
)
_KEY = re.compile(r"\bAKIA[0-9A-Z]{16}\b|-----BEGIN (?:RSA |EC |OPENSSH )?PRIVATE KEY-----")

_PLACES = {
    "AWS::RDS::DBCluster": "MasterUserPassword",
    "AWS::RDS::DBInstance": "MasterUserPassword",
    "AWS::DocDB::DBCluster": "MasterUserPassword",
    "AWS::SecretsManager::Secret": "SecretString",
    "AWS::ElastiCache::ReplicationGroup": "AuthToken",
}
_POINTS = re.compile(r"\barn:|\bARN\b")
"""In what a parameter says of itself: it is the ARN of a secret, and no secret."""
_BESIDE = re.compile(r"(?i)s3://\S*(?:passphrase|password|secret)\S*")


def _find(templates: Templates) -> Iterator[Found]:
    for definition in templates.of("AWS::ECS::TaskDefinition"):
        for one in definition.rows("ContainerDefinitions", "Environment"):
            yield from _named(
                templates, definition, one.get("Name"), one.get("Value"), "ContainerDefinitions.Environment"
            )
    for function in templates.of("AWS::Lambda::Function"):
        for variables in function.rows("Environment", "Variables"):
            for name, value in variables.items():
                yield from _named(templates, function, name, value, "Environment.Variables")
    for resource in templates.of(*_PLACES):
        for value in resource.at(_PLACES[resource.type]):
            yield from _named(templates, resource, "password", value, _PLACES[resource.type])
    for parameter in templates.of("AWS::SSM::Parameter"):
        for name in parameter.at("Name"):
            yield from _named(templates, parameter, name, parameter.properties.get("Value"), "Value")
    yield from _parameters(templates)
    yield from _scripts(templates)


def _named(templates: Templates, resource: Resource, name: object, value: object, place: str) -> Iterator[Found]:
    """A value under a name that says secret: as literal text, or from a parameter that anybody may read."""
    called = templates.text(resource.stack, name)
    if not _NAME.search(called) or _ELSEWHERE.search(called):
        return
    parameter = templates.parameter(resource.stack, value)
    text = templates.text(resource.stack, value)
    if parameter is not None:
        if templates.text(resource.stack, parameter.get("NoEcho")).lower() != "true" and place != "SecretString":
            yield Found(resource, f"{called} is a parameter without NoEcho", "use a secret of Secrets Manager", place)
    elif text and UNKNOWN not in text and not _RESOLVED.search(text):
        yield Found(
            resource,
            f"{called} stands in the template as plain text",
            "generate it in Secrets Manager and refer to the secret; change the value, for it has been read",
            place,
        )


def _parameters(templates: Templates) -> Iterator[Found]:
    for stack, template in templates.templates.items():
        for name, parameter in (template.get("Parameters") or {}).items():
            if not isinstance(parameter, dict) or str(parameter.get("Type")) != "String":
                continue
            if not _NAME.search(name) or _POINTS.search(
                f"{parameter.get('AllowedPattern')} {parameter.get('Description')}"
            ):
                continue
            users = [one for one in templates.all() if one.stack == stack and _uses(one, name)]
            holder = users[0] if users else Resource(stack, name, "Parameter", {}, {})
            if parameter.get("Default"):
                yield Found(
                    holder, f"the parameter {name} has a default, which everybody knows", "take the default away"
                )
            if str(parameter.get("NoEcho")).lower() != "true":
                yield Found(holder, f"the parameter {name} shows in the console and in logs", "set NoEcho to true")


def _uses(resource: Resource, parameter: str) -> bool:
    return f"'{parameter}'" in repr(resource.properties) or f"${{{parameter}}}" in repr(resource.properties)


def _scripts(templates: Templates) -> Iterator[Found]:
    for server, text in scripts(templates):
        for match in _IN_TEXT.finditer(text):
            value = match["value"]
            if UNKNOWN not in value and not value.startswith(("arn:", "/", "http", "resolve:")):
                yield Found(
                    server,
                    f"its script sets {match['name']} to plain text",
                    "let the server fetch the secret from Secrets Manager",
                    "UserData",
                )
        if _BESIDE.search(text):
            yield Found(
                server,
                "its script keeps a passphrase in a bucket: who reads the bucket has the lock and the key",
                "generate it in Secrets Manager, where reading it is a permission of its own",
                "UserData",
                "warning",
            )
        if _KEY.search(text):
            yield Found(server, "its script holds an access key or a private key", "use a role", "UserData")


CHECK = Check(
    id="HOSTEMR-PlainSecret",
    title="No secret stands in a template",
    severity="error",
    reason="Templates are kept, mailed and shown in consoles; whoever may describe a stack or a task reads what is "
    "in them.",
    source="https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/security-best-practices.html#creds",
    find=_find,
)
