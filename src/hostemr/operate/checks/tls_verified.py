"""Programs look at the certificate of whom they talk to."""

from __future__ import annotations

import re
from collections.abc import Iterator

from hostemr.operate.checks.record import Check, Found
from hostemr.operate.checks.server_scripts import scripts
from hostemr.operate.checks.templates import Resource, Templates

_CARELESS = re.compile(
    r"verifyServerCertificate=false|trustServerCertificate=true|useSSL=false"
    r"|--no-check-certificate|--insecure\b|--skip-ssl\b(?!-)|--ssl-verify-server-cert=(?:0|off|false)"
    r"|\bcurl\b(?:\s+-{1,2}[\w-]+)*\s+-[a-zA-Z]*k[a-zA-Z]*\b"
    r"|NODE_TLS_REJECT_UNAUTHORIZED=0|PYTHONHTTPSVERIFY=0",
    re.IGNORECASE,
)
_ITSELF = re.compile(r"https?://(?:localhost|127\.0\.0\.1|\[::1\])")


def _find(templates: Templates) -> Iterator[Found]:
    for definition in templates.of("AWS::ECS::TaskDefinition"):
        yield from _told(definition, "\n".join(_container_texts(templates, definition)), "ContainerDefinitions")
    for server, text in scripts(templates):
        yield from _told(server, text, "UserData")


def _container_texts(templates: Templates, definition: Resource) -> Iterator[str]:
    for place in (("Command",), ("EntryPoint",), ("HealthCheck", "Command")):
        for one in definition.at("ContainerDefinitions", *place):
            yield templates.text(definition.stack, one)
    for one in definition.rows("ContainerDefinitions", "Environment"):
        name = templates.text(definition.stack, one.get("Name"))
        yield f"{name}={templates.text(definition.stack, one.get('Value'))}"


def _told(resource: Resource, text: str, place: str) -> Iterator[Found]:
    found = [
        one.group(0)
        for line in text.splitlines()
        if not line.lstrip().startswith("#") and not _ITSELF.search(line)  # on loopback nobody stands between
        for one in _CARELESS.finditer(line)
        if not _takes_it_out(line)
    ]
    for option in dict.fromkeys(found):
        yield Found(
            resource,
            f"it does not look at the other side's certificate: {option}",
            "give the certificate authority (RDS's global bundle, Amazon's root) and let the program verify",
            place,
        )


def _takes_it_out(line: str) -> bool:
    """Whether the line looks for such an option in somebody else's script, to take it out."""
    return re.search(r"\b(?:sed|grep|log|echo)\b", line) is not None


CHECK = Check(
    id="HOSTEMR-TlsVerified",
    title="Programs verify the certificates of whom they talk to",
    severity="warning",
    reason="Encryption to somebody who has not shown who they are protects from nobody who is in between.",
    source="https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/UsingWithRDS.SSL.html",
    find=_find,
)
