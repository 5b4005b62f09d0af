"""What a server runs when it starts, as text: user data, cloud-init, the files and commands of cfn-init."""

from __future__ import annotations

from collections.abc import Iterator

from hostemr.operate.checks.templates import Resource, Templates, at
from hostemr.operate.template import intrinsic

SERVERS = ("AWS::EC2::Instance", "AWS::EC2::LaunchTemplate", "AWS::AutoScaling::LaunchConfiguration")


def scripts(templates: Templates) -> Iterator[tuple[Resource, str]]:
    """Each server of the templates with all the text that it runs, one part below the other."""
    for server in templates.of(*SERVERS):
        parts = [
            templates.text(server.stack, one)
            for one in [*server.at("UserData"), *server.at("LaunchTemplateData", "UserData")]
        ]
        prepared = at(server.attributes, "Metadata", "AWS::CloudFormation::Init")
        parts += list(_texts(templates, server.stack, prepared))
        yield server, "\n".join(parts)


def _texts(templates: Templates, stack: str, value: object) -> Iterator[str]:
    """The texts in a value, joins and substitutions put together."""
    if isinstance(value, dict) and intrinsic(value) is None:
        for member in value.values():
            yield from _texts(templates, stack, member)
    elif isinstance(value, list):
        for member in value:
            yield from _texts(templates, stack, member)
    elif value is not None:
        yield templates.text(stack, value)
