"""The launch script: the user data of an Express Plus server, as CloudFormation's Fn::Sub takes it."""

from __future__ import annotations

import re
from importlib import resources

PLACES = frozenset({"AWS::Region", "AWS::StackName", "AWS::StackId", "ReadyUrl"})
"""What the text has in `${…}`, for Fn::Sub to fill: `ReadyUrl` is the Ref of the wait condition's handle."""

LIMIT = 16 * 1024
"""Bytes of user data that EC2 takes, before base64.

Source: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/user-data.html
"""

_SHA256 = re.compile(r"[0-9a-f]{64}")
_LOGICAL_ID = re.compile(r"[A-Za-z0-9]{1,255}")


def launch_script(*, resource: str, agent_sha256: str, configuration_sha256: str) -> str:
    """The script's text. `resource` is the logical id of the launch template, whose metadata holds the agent.

    The script checks the agent's SHA-256. The configuration's is of the template's text and only stands there, so
    that another configuration is another version of the launch template. Raises ValueError for anything else than
    a logical id and two digests in hexadecimal.
    """
    values = {"resource": resource, "agent_sha256": agent_sha256, "configuration_sha256": configuration_sha256}
    for name, value in values.items():
        pattern = _LOGICAL_ID if name == "resource" else _SHA256
        if not pattern.fullmatch(value):
            raise ValueError(f"{name} is {value!r}: expected {pattern.pattern}")
    file = resources.files("hostemr.stacks").joinpath("containers", "server", "launch.sh")
    text = file.read_text(encoding="utf-8")
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    return text
