"""A server's credentials are given only to who holds a session token (IMDSv2)."""

from __future__ import annotations

from collections.abc import Iterator

from hostemr.operate.checks.record import Check, Found
from hostemr.operate.checks.templates import Resource, Templates, at


def _find(templates: Templates) -> Iterator[Found]:
    for server in templates.of("AWS::EC2::LaunchTemplate", "AWS::EC2::Instance"):
        if server.type == "AWS::EC2::Instance" and server.has("LaunchTemplate"):
            continue
        if not _required(templates, server):
            yield Found(
                server,
                "its metadata answers without a token (IMDSv1)",
                "set MetadataOptions.HttpTokens to required",
                "MetadataOptions.HttpTokens",
            )


def _required(templates: Templates, server: Resource) -> bool:
    data = server.at("LaunchTemplateData") if server.type == "AWS::EC2::LaunchTemplate" else [server.properties]
    told = [at(one, "MetadataOptions", "HttpTokens") for one in data]
    return all(values and all(templates.text(server.stack, one) == "required" for one in values) for values in told)


CHECK = Check(
    id="HOSTEMR-InstanceMetadata",
    title="A server's credentials need a session token (IMDSv2)",
    severity="warning",
    reason="With IMDSv1, one request that a web application can be talked into hands out the server's credentials.",
    source="https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/configuring-instance-metadata-service.html",
    find=_find,
)
