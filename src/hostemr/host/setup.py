"""The set-up of a server: at its launch, at every start, after a crash half-way, after a resize.

Every step looks at what there is and does what is missing; no step relies on an earlier run having ended.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hostemr.errors import HostemrError, OutsideWorldError, RefusedError
from hostemr.host import units
from hostemr.host.compose import COMPOSE, FOLDER, RUNNING, caddyfile_text, checked, compose_text
from hostemr.host.installation import ensure_installed, prepare_folders
from hostemr.host.instance import instance_id, take_address
from hostemr.host.lock import locked
from hostemr.host.programs import HOUR, MINUTE, ProgramFailed
from hostemr.host.restore import settle
from hostemr.host.server import Server
from hostemr.host.signals import Group, Put, WaitCondition, put
from hostemr.host.swap import make_swap, memory
from hostemr.host.versions import keep_versions, refuse_older
from hostemr.host.volume import Attachment, find_device, mount
from hostemr.host.watch import watch

_DOCKER = Path("/etc/docker/daemon.json")
_OTHERS_END_WITHIN = 10 * MINUTE
"""A restore that is cut off in its midst must not be mistaken for one that was."""
_PULLS = 4
_BETWEEN_PULLS = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """What lies around the agent on the machine that it sets up."""

    system: Path = Path("/")
    running: Path = RUNNING
    signalled: Path = Path("/var/lib/hostemr/signalled")
    """On the root volume, which is this server's own: once it is there, this server has signalled success."""
    instance: Callable[[], str] = instance_id
    put: Put = put
    sleep: Callable[[float], None] = time.sleep
    meminfo: Path = Path("/proc/meminfo")
    swap_file: Path = Path("/swapfile")
    swaps: Path = Path("/proc/swaps")
    dev: Path = Path("/dev")


def set_up(server: Server, *, restore_from_recovery: Callable[[], object], host: Host = Host()) -> None:
    """Bring the server to serving OpenEMR, and tell CloudFormation how it went.

    `restore_from_recovery` restores from the bucket that `configuration.recovery` names; it is called where nothing
    is served yet, and again after it was cut off. Raises HostemrError, whose message has been signalled as the reason.
    """
    signals = _Signals(server, host)
    try:
        _steps(server, restore_from_recovery, host, signals)
    except HostemrError as error:
        signals.tell(worked=False, reason=f"{error.message} {error.hint}")
        raise
    except OSError as error:
        what = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        problem = OutsideWorldError(f"The set-up failed: {what}.", hint="look at the disks: df -h")
        signals.tell(worked=False, reason=problem.message)
        raise problem from error
    except Exception as error:
        # A mistake of ours. Its text may hold anything, so only its kind leaves the machine.
        signals.tell(worked=False, reason=f"The set-up failed ({type(error).__name__}); see /tmp/launch.log.")
        raise
    signals.tell(worked=True, reason="OpenEMR is set up.")


def _steps(server: Server, restore_from_recovery: Callable[[], object], host: Host, signals: _Signals) -> None:
    configuration, tell = server.configuration, server.tell
    checked(configuration)
    if configuration.volume_id:
        attachment = Attachment(
            aws=server.aws,
            volume_id=configuration.volume_id,
            instance=signals.instance,
            tell=tell,
            sleep=host.sleep,
        )
        if not os.path.ismount(configuration.root):
            attachment.attach()
        device = find_device(server.programs, configuration.volume_id, dev=host.dev, sleep=host.sleep)
        mount(server.programs, device, configuration.root, tell=tell)
    elif not configuration.root.is_dir():
        raise RefusedError(f"{configuration.root} is no folder, and no volume_id says what to mount there.")
    _folders(server)
    if configuration.allocation_id:
        _address(server, signals, host, configuration.allocation_id)
    _optional_swap(server, host)
    _install_files(server, host)
    prepare_folders(host.running)
    with locked(server.layout.state, "setup", wait_seconds=_OTHERS_END_WITHIN):
        settle(server)
    if server.layout.served() is None:
        _refuse_over_a_history(server)
    if configuration.recovery and server.layout.served() is None and not server.state.read("installation"):
        tell(f"recovering from the backups in {configuration.recovery.bucket}")
        restore_from_recovery()
        if server.layout.served() is None:
            raise OutsideWorldError("The recovery ended, and there is nothing to serve.")
    _patiently(server, host)
    with locked(server.layout.state, "setup", wait_seconds=_OTHERS_END_WITHIN):
        refuse_older(server)
        ensure_installed(server, running=host.running)
        # Before the images meet the data: one that fails may have changed it already.
        keep_versions(server)
    tell("starting OpenEMR")
    # Not under the lock: a restore must be able to begin where the present data does not start. An older OpenEMR's
    # database is upgraded before its container is healthy; CloudFormation waits an hour for the whole set-up.
    server.containers.up(timeout=50 * MINUTE)
    first = (server.state.read("setup") or {}).get("first_at")
    now = server.now().isoformat(timespec="seconds")
    server.state.write("setup", {"first_at": first or now, "at": now})
    # The alarms take silence for a failure, and are made as soon as this server has signalled.
    watch(server)
    tell(f"OpenEMR answers at https://{configuration.domain or configuration.address}")


def _refuse_over_a_history(server: Server) -> None:
    """An empty data volume beside a bucket with backups is a lost one: a new OpenEMR would in time replace them."""
    configuration = server.configuration
    wanted = {"Bucket": configuration.bucket, "Prefix": f"{configuration.prefix}/", "MaxKeys": 1}
    if server.aws.call("s3api", "list-objects-v2", wanted).get("Contents"):
        raise RefusedError(
            f"The data volume is empty, and {configuration.bucket} holds this server's backups.",
            hint="restore them: /root/restore.sh --confirm, then `systemctl start openemr`",
        )


def _folders(server: Server) -> None:
    """The data volume's own folders: what is not for everybody is root's."""
    layout = server.layout
    layout.root.chmod(0o711)
    for folder in (layout.generations, layout.work, layout.state, layout.cache, layout.root / "logs"):
        folder.mkdir(exist_ok=True, mode=0o700)
        folder.chmod(0o700)


def _address(server: Server, signals: _Signals, host: Host, allocation_id: str) -> None:
    try:
        take_address(server.aws, allocation_id=allocation_id, instance=signals.instance, say=server.tell)
    except HostemrError as error:
        # A server that has served before has it; a restart must not hang on EC2's interface.
        if not host.signalled.exists():
            raise
        server.tell(f"warning: the address could not be asked for: {error.message}")


def _optional_swap(server: Server, host: Host) -> None:
    """Without swap a small server is slower to survive a moment of need; that is no reason not to start it."""
    try:
        make_swap(server.programs, file=host.swap_file, meminfo=host.meminfo, swaps=host.swaps, say=server.tell)
    except (HostemrError, OSError) as error:
        server.tell(f"warning: no swap file: {error}")


def _install_files(server: Server, host: Host) -> None:
    configuration = server.configuration
    files = {
        **units.system_files(configuration.root),
        COMPOSE: units.File(compose_text(configuration, memory=memory(host.meminfo))),
        FOLDER / "web" / "Caddyfile": units.File(caddyfile_text(configuration)),
    }
    written = units.install(files, system=host.system)
    for path in sorted(written):
        server.tell(f"wrote {path}")
    if any(path.is_relative_to("/etc/systemd") for path in written):
        server.programs.run(["systemctl", "daemon-reload"], timeout=MINUTE)
    server.programs.run(["systemctl", "enable", units.SERVICE], timeout=MINUTE)
    if _DOCKER in written:
        # The first time no container runs yet; later ones survive it (live-restore).
        server.programs.run(["systemctl", "restart", "docker.service"], timeout=5 * MINUTE)
    if FOLDER / "web" / "Caddyfile" in written and "web" in server.containers.healthy():
        command = ["docker", "compose", "--project-name", "openemr", "--file", str(COMPOSE), "restart", "web"]
        server.programs.run(command, timeout=5 * MINUTE)


def _patiently(server: Server, host: Host) -> None:
    """Have the images before anything is begun: Docker Hub and the network fail now and then."""
    configuration = server.configuration
    for image in (configuration.web_image, configuration.database_image, configuration.openemr_image):
        for attempt in range(1, _PULLS + 1):
            try:
                _have(server, image)
            except ProgramFailed as error:
                if attempt == _PULLS:
                    raise
                server.tell(f"{image} could not be had, trying again: {error.message}")
                host.sleep(_BETWEEN_PULLS * attempt)
            else:
                break


def _have(server: Server, image: str) -> None:
    try:
        server.programs.run(["docker", "image", "inspect", "--format", "{{.Id}}", image], timeout=MINUTE)
    except ProgramFailed:
        server.tell(f"fetching {image}")
        server.programs.run(["docker", "pull", "--quiet", image], timeout=HOUR / 2)


class _Signals:
    """CloudFormation's ears, whichever of them the configuration names, until this server has signalled success."""

    def __init__(self, server: Server, host: Host) -> None:
        self._server = server
        self._host = host
        self._instance: str | None = None

    @property
    def instance(self) -> str:
        """This instance's id. Raises OutsideWorldError."""
        if self._instance is None:
            self._instance = self._host.instance()
        return self._instance

    def tell(self, *, worked: bool, reason: str) -> None:
        """Signal; what cannot be told is no failure of the set-up."""
        configuration, host = self._server.configuration, self._host
        if host.signalled.exists() or not (configuration.ready_url or configuration.group_resource):
            return
        try:
            if configuration.ready_url:
                # An old update's URL is refused; the group's signal is what counts then.
                condition = WaitCondition(configuration.ready_url, put=host.put, sleep=host.sleep)
                self._attempt(lambda: condition.tell(worked=worked, reason=reason, server=self.instance))
            if configuration.group_resource and configuration.stack_id:
                group = Group(self._server.aws, stack=configuration.stack_id, resource=configuration.group_resource)
                self._attempt(lambda: group.tell(worked=worked, server=self.instance))
            if worked:
                host.signalled.parent.mkdir(parents=True, exist_ok=True)
                host.signalled.touch()
        except OSError as error:
            self._server.tell(f"warning: {error}")

    def _attempt(self, call: Callable[[], object]) -> None:
        try:
            call()
        except HostemrError as error:
            self._server.tell(f"warning: {error.message}")
