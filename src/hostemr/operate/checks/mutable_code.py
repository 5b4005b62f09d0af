"""What runs is what was tested: images with a digest, scripts of a fixed version."""

from __future__ import annotations

import re
from collections.abc import Iterator

from hostemr.operate.checks.record import Check, Found
from hostemr.operate.checks.server_scripts import scripts
from hostemr.operate.checks.templates import Templates
from hostemr.operate.texts import UNKNOWN

_BY_CONTENT = re.compile(r":[0-9a-f]{64}$")
"""How the CDK tags the images that it builds: by what is in them."""
_BRANCH = re.compile(r"https?://[^\s\"']*/(?:master|main|develop|HEAD)/[^\s\"']*")
_CLONE = re.compile(r"git clone\s[^\n]*?(?:github|gitlab)\S*")
_LATEST = re.compile(r"docker (?:run|pull)[^\n]*\s([\w./-]+:latest)\b")


def _find(templates: Templates) -> Iterator[Found]:
    for definition in templates.of("AWS::ECS::TaskDefinition"):
        seen = set()
        for image in (templates.text(definition.stack, one) for one in definition.at("ContainerDefinitions", "Image")):
            if "@sha256:" in image or UNKNOWN in image or image in seen or _BY_CONTENT.search(image):
                continue
            seen.add(image)
            tag = image.rpartition("/")[2].partition(":")[2]
            loose = tag in {"", "latest"}
            yield Found(
                definition,
                f"the image {image} {'has no fixed version' if loose else 'is named by a tag, which can be moved'}",
                "add the image's digest (@sha256:…)",
                "ContainerDefinitions.Image",
                "warning" if loose else "note",
            )
    for server, text in scripts(templates):
        for pattern in (_BRANCH, _CLONE, _LATEST):
            for match in dict.fromkeys(one.group(0) for one in pattern.finditer(text)):
                yield Found(
                    server,
                    f"it runs what is at {match.replace(UNKNOWN, '…')!r} on that day, as root",
                    "put the script into the template, or check its SHA-256 before it runs",
                    "UserData",
                )


CHECK = Check(
    id="HOSTEMR-MutableCode",
    title="What runs is what was tested",
    severity="warning",
    reason="A tag or a branch can be another program at the next start of a task or server: an update that nobody "
    "chose, or "
    "somebody else's.",
    source="https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-type-ecs.html#deployment-container-image-stability",
    find=_find,
)
