"""Mail servers in processes of their own: one with faults to order, and Exim.

`SMTPPeer` is aiosmtpd. A recipient's local part, without the digits at its end, orders a fault (see
FAULTS); what it accepts, it writes as a line of JSON into a log before it says 250.
`PrivateExim` is a mail server as it runs in the world, that delivers to a Maildir.
"""

# ruff: noqa: N802, aiosmtpd finds its hooks by their names

from __future__ import annotations

import asyncio
import base64
import getpass
import grp
import json
import os
import pwd
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

from aiosmtpd.smtp import SMTP, AuthResult

from tests.peers.loopback import free_port
from tests.peers.mariadb import find_program

ROOT = Path(__file__).parents[2]
FAULTS = {
    # At RCPT.
    "tempfail": "451 4.3.0 try again later",
    "greylisted": "450 4.2.0 greylisted",
    "permfail": "550 5.1.1 no such user",
    "policy": "554 5.7.1 relay access denied",
    "unexplained": "550 no",
    "login-wanted": "530 5.7.0 authentication required",
    "closing": "421 4.3.2 shutting down",
    # At DATA.
    "data-tempfail": "451 4.3.0 no data now",
    "data-permfail": "554 5.6.0 no data",
    # After the final dot.
    "dot-tempfail": "454 Throttling failure: Maximum sending rate exceeded.",
    "dot-permfail": "554 Message rejected: Email address is not verified.",
}
"""Besides: drop-at-rcpt, drop-after-dot, slow (at RCPT) and slow-dot."""
SLOW_SECONDS = 3.0


@dataclass(frozen=True)
class PeerOptions:
    """`certificate` is a PEM file with its key. `login` is what AUTH takes."""

    tls: str = "none"
    certificate: str | None = None
    login: tuple[str, str] | None = None
    pipelining: bool = True
    size: int = 33_554_432
    most_connections: int = 1000
    fsync: bool = True


class _Session(SMTP):
    """aiosmtpd's server for one connection, which is its own handler too."""

    def __init__(self, peer: _Server) -> None:
        self._peer = peer
        options = peer.options
        super().__init__(
            self,
            hostname="localhost",
            data_size_limit=options.size,
            tls_context=peer.tls if options.tls == "starttls" else None,
            auth_required=options.login is not None,
            auth_require_tls=options.tls == "starttls",
            authenticator=self._check_login,
            auth_exclude_mechanism=[],
            loop=asyncio.get_running_loop(),
        )

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if self._original_transport is None:
            self._peer.note(event="connection")
        super().connection_made(transport)

    def _check_login(self, _server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
        login = self._peer.options.login
        given = (data.login.decode(), data.password.decode())
        if given == tuple(login or ()):
            return AuthResult(success=True, auth_data=data)
        # Repeating the password, as no server should.
        return AuthResult(success=False, handled=False, message=f"535 5.7.8 not the password: {given[1]}")

    async def _handle_client(self) -> None:
        self._peer.open += 1
        try:
            if self._peer.open > self._peer.options.most_connections:
                await self.push("421 4.7.0 too many connections")
                return
            await super()._handle_client()
        finally:
            self._peer.open -= 1

    def _drop(self) -> None:
        cast("asyncio.Transport", self.transport).abort()

    async def push(self, status: Any) -> None:
        await super().push(status)
        if str(status).startswith("421"):
            cast("asyncio.Transport", self.transport).close()

    async def handle_EHLO(
        self, _server: Any, session: Any, _envelope: Any, name: str, responses: list[str]
    ) -> list[str]:
        session.host_name = name
        return [*responses[:1], *(["250-PIPELINING"] if self._peer.options.pipelining else []), *responses[1:]]

    async def handle_MAIL(self, _server: Any, _session: Any, envelope: Any, address: str, options: list[str]) -> str:
        if fault_of(address) in FAULTS:
            return FAULTS[fault_of(address)]
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 OK"

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Any, address: str, _options: list[str]) -> str:
        fault = fault_of(address)
        if fault == "drop-at-rcpt":
            self._drop()
        if fault == "slow":
            await asyncio.sleep(SLOW_SECONDS)
        if fault in FAULTS and not fault.startswith(("data-", "dot-")):
            return FAULTS[fault]
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def smtp_DATA(self, arg: str) -> None:
        fault = fault_of(self.envelope.rcpt_tos[0]) if self.envelope and self.envelope.rcpt_tos else ""
        if fault.startswith("data-"):
            await self.push(FAULTS[fault])
        else:
            await super().smtp_DATA(arg)

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        fault = fault_of(envelope.rcpt_tos[0])
        if fault == "slow-dot":
            await asyncio.sleep(SLOW_SECONDS)
        if fault in FAULTS:
            return FAULTS[fault]
        number = self._peer.accept(envelope)
        if fault == "drop-after-dot":
            self._drop()
        return f"250 2.0.0 OK: queued as {number:06}"


def fault_of(address: str) -> str:
    return address.partition("@")[0].rstrip("0123456789")


class _Server:
    def __init__(self, options: PeerOptions, log: int) -> None:
        self.options = options
        self.open = 0
        self.accepted = 0
        self._log = log
        self.tls: ssl.SSLContext | None = None
        if options.certificate is not None:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(options.certificate)

    def note(self, **entry: Any) -> None:
        os.write(self._log, json.dumps(entry).encode() + b"\n")

    def accept(self, envelope: Any) -> int:
        self.accepted += 1
        self.note(
            event="accepted",
            sender=envelope.mail_from,
            recipients=envelope.rcpt_tos,
            options=envelope.mail_options,
            data=base64.b64encode(envelope.original_content).decode(),
        )
        if self.options.fsync:
            os.fsync(self._log)
        return self.accepted

    async def run(self, port: int) -> None:
        tls = self.tls if self.options.tls == "tls" else None
        listener = await asyncio.get_running_loop().create_server(
            lambda: _Session(self), "127.0.0.1", port, ssl=tls, reuse_address=True
        )
        print(listener.sockets[0].getsockname()[1], flush=True)
        await listener.serve_forever()


class SMTPPeer:
    """`with SMTPPeer(folder) as peer:` listens at 127.0.0.1:`peer.port`; `kill` and `start` keep the port."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self._options = PeerOptions(**options)
        self._log = folder / "mail.jsonl"
        self._log.touch()
        self._from = 0
        self._process: subprocess.Popen[str] | None = None
        self.port = 0

    def start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, json.dumps(asdict(self._options)), str(self.port), str(self._log)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())

    def kill(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(timeout=30)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def freeze(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def forget(self) -> None:
        """Do not tell of what happened before."""
        self._from = self._log.stat().st_size

    @property
    def accepted(self) -> list[dict[str, Any]]:
        return [entry for entry in self._entries() if entry["event"] == "accepted"]

    @property
    def recipients(self) -> list[str]:
        return [address for entry in self.accepted for address in entry["recipients"]]

    @property
    def messages(self) -> list[bytes]:
        return [base64.b64decode(entry["data"]) for entry in self.accepted]

    @property
    def connections(self) -> int:
        return sum(entry["event"] == "connection" for entry in self._entries())

    def _entries(self) -> Sequence[dict[str, Any]]:
        with self._log.open("rb") as log:
            log.seek(self._from)
            return [json.loads(line) for line in log]

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()


EXIM = """\
primary_hostname = localhost
exim_user = {user}
exim_group = {group}
spool_directory = {folder}/spool
log_file_path = {folder}/log/%slog
pid_file_path = {folder}/pid
local_interfaces = 127.0.0.1
tls_advertise_hosts = *
tls_certificate = {certificate}
tls_privatekey = {certificate}
acl_smtp_mail = ${{if def:authenticated_id {{accept}}{{deny}}}}
acl_smtp_rcpt = rcpt
acl_smtp_data = accept
never_users =
deliver_drop_privilege = true
keep_environment =
smtp_accept_max = 20
smtp_accept_queue_per_connection = 0
begin acl
rcpt:
  deny local_parts = permfail
       message = no such user
  accept
begin routers
all:
  driver = accept
  transport = maildir
begin transports
maildir:
  driver = appendfile
  directory = {folder}/mail
  maildir_format
  create_directory
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${{if and{{{{eq{{$auth2}}{{{username}}}}}{{eq{{$auth3}}{{{password}}}}}}}}}
  server_set_id = $auth2
  server_advertise_condition = ${{if def:tls_in_cipher}}
"""


class PrivateExim:
    """`with PrivateExim(certificate) as exim:`; STARTTLS, AUTH with `LOGIN`, PIPELINING; no rights of root."""

    LOGIN = ("board", "exim secret")

    def __init__(self, certificate: Path) -> None:
        account = pwd.getpwnam("nobody" if os.getuid() == 0 else getpass.getuser())
        self._user, self._group = account.pw_name, grp.getgrgid(account.pw_gid).gr_name
        self._folder = Path(tempfile.mkdtemp(prefix="hostemr-exim-"))
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        for name in ("spool", "log", "mail"):
            (self._folder / name).mkdir()
        key = shutil.copy(certificate, self._folder / "certificate.pem")
        (self._folder / "exim.conf").write_text(
            EXIM.format(
                user=self._user,
                group=self._group,
                folder=self._folder,
                certificate=key,
                username=self.LOGIN[0],
                password=self.LOGIN[1],
            )
        )
        for path in (self._folder, *self._folder.iterdir()):
            os.chown(path, account.pw_uid, account.pw_gid)

    @staticmethod
    def installed() -> bool:
        return find_program("exim4") is not None

    def messages(self, number: int) -> list[bytes]:
        """What was delivered, once there are so many; for Exim delivers after it has accepted."""
        deadline = time.monotonic() + 30
        while len(found := list((self._folder / "mail").glob("new/*"))) < number and time.monotonic() < deadline:
            time.sleep(0.05)
        return [path.read_bytes() for path in found]

    def __enter__(self) -> Self:
        command = [find_program("exim4") or "exim4", "-C", str(self._folder / "exim.conf")]
        rights: dict[str, Any] = {}
        if os.getuid() == 0:
            rights = {"user": self._user, "group": self._group, "extra_groups": []}
        with (self._folder / "output").open("wb") as output:
            self._process = subprocess.Popen(
                [*command, "-bdf", "-oX", str(self.port)], stdout=output, stderr=output, cwd="/", **rights
            )
        deadline = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
            except OSError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError((self._folder / "output").read_text()) from None
                time.sleep(0.05)
            else:
                return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait(timeout=30)
        shutil.rmtree(self._folder, ignore_errors=True)


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    log_file = os.open(sys.argv[3], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    asyncio.run(_Server(PeerOptions(**given), log_file).run(int(sys.argv[2])))
