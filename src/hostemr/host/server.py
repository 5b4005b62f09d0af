"""Everything the verbs work with, put together once."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from hostemr.errors import HostemrError
from hostemr.host.aws import Aws
from hostemr.host.configuration import Configuration
from hostemr.host.containers import Containers
from hostemr.host.layout import Layout
from hostemr.host.programs import Programs
from hostemr.host.state import State


def _tell(line: str) -> None:
    # Whoever watched may have hung up, and a full disk may hold the log: neither may end a restore half-way.
    with contextlib.suppress(OSError):
        print(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} {line}", file=sys.stderr, flush=True)


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """One server: what it is told, its programs, its disk, and what it remembers."""

    configuration: Configuration
    programs: Programs
    aws: Aws
    containers: Containers
    layout: Layout
    state: State
    now: Callable[[], datetime] = _now
    tell: Callable[[str], None] = _tell
    """Takes a line about what is being done, for whoever watches."""

    def measure(self, values: Mapping[str, tuple[float, str]]) -> None:
        """Put metrics to CloudWatch. A failure is told and not raised: an alarm treats what is missing as broken."""
        try:
            self.aws.metric(self.configuration.metrics_namespace, self.configuration.name, values)
        except HostemrError as error:
            self.tell(f"warning: CloudWatch did not get {', '.join(values)}: {error.message}")


def server_of(configuration: Configuration) -> Server:
    """The server that a configuration describes."""
    programs = Programs()
    layout = Layout(configuration.root)
    return Server(
        configuration=configuration,
        programs=programs,
        aws=Aws(programs, region=configuration.region, endpoint_url=configuration.endpoint_url),
        containers=Containers(programs),
        layout=layout,
        state=State(layout.state),
    )
