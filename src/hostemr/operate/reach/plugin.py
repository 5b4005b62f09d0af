"""AWS's session-manager-plugin, which carries a session: found on the PATH, started as `aws` starts it.

Its arguments: the reply of StartSession, the region, the call's name, the profile, the request, the endpoint. The
reply holds a token that opens the session. Versions after 1.2.497.0 read it from the environment, which only the same
user can see; a command line everybody on the machine can. Older ones are refused for that.
https://github.com/aws/session-manager-plugin
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hostemr.errors import OutsideWorldError
from hostemr.operate.aws import Aws

PROGRAM = "session-manager-plugin"
_VARIABLE = "AWS_SSM_START_SESSION_RESPONSE"
_LAST_WITHOUT_VARIABLE = (1, 2, 497, 0)
_INSTALL = (
    "install it: https://docs.aws.amazon.com/systems-manager/latest/userguide/"
    "session-manager-working-with-install-plugin.html"
)


@dataclass(frozen=True)
class Session:
    """A session that AWS has begun. The token opens it, so it is never shown."""

    session_id: str
    stream_url: str
    token: str = field(repr=False)


@dataclass(frozen=True)
class SessionPlugin:
    """The program on this machine."""

    path: str
    version: str

    def command(
        self, aws: Aws, session: Session, request: Mapping[str, Any], profile: str | None
    ) -> tuple[list[str], dict[str, str]]:
        """What to run, and in which environment: the token is in that alone."""
        reply = {"SessionId": session.session_id, "TokenValue": session.token, "StreamUrl": session.stream_url}
        endpoint = aws.client("ssm").meta.endpoint_url
        arguments = [self.path, _VARIABLE, aws.region, "StartSession", profile or "", json.dumps(request), endpoint]
        # "localhost" may be ::1, where a client that is told 127.0.0.1 finds nothing.
        return arguments, {**os.environ, _VARIABLE: json.dumps(reply), "SSM_PLUGIN_LOCAL_HOST": "127.0.0.1"}


def find_plugin(path: str | None = None) -> SessionPlugin:
    """The plugin on `path`, by default the PATH. Raises OutsideWorldError where it is missing or too old."""
    program = shutil.which(PROGRAM, path=path)
    if program is None:
        raise OutsideWorldError(f"{PROGRAM} is not installed; sessions go through it.", hint=_INSTALL)
    try:
        said = subprocess.run(  # noqa: S603, what the PATH names
            [program, "--version"], capture_output=True, text=True, check=True, timeout=20
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise OutsideWorldError(f"{program} does not run.", hint=_INSTALL) from error
    version = said.stdout.strip()
    parts = version.split(".")
    if not all(part.isdigit() for part in parts) or tuple(map(int, parts)) <= _LAST_WITHOUT_VARIABLE:
        message = (
            f"{program} is version {version or 'unknown'}: it would show the session's token to all on this machine."
        )
        raise OutsideWorldError(message, hint=f"a version after 1.2.497.0 does not; {_INSTALL}")
    return SessionPlugin(program, version)
