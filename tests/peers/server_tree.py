"""A clean Debian tree in which the launch script runs as a server's root, without the network.

The tree is unpacked from the distribution's own packages (apt resolves and fetches them; nothing of this machine's
own configuration gets in), once for a test run. A `Box` is one machine on it: an overlay of its own, which outlives a
"power cut", and namespaces of its own for mounts, processes and network, in which the metadata service and the wait
condition's address answer. `docker`, `aws`, `snap`, `apt-get` and `systemctl` are stand-ins (server_stand_in.py).
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

STAND_IN = Path(__file__).with_name("server_stand_in.py")
STAND_INS = ("apt-get", "snap", "systemctl", "docker", "lsblk", "sleep", "systemd-cat")
PACKAGES = ("?essential", "python3", "e2fsprogs", "xfsprogs", "mount", "util-linux", "cron")
METADATA = "169.254.169.254"
READY_URL = f"http://{METADATA}:8000/ready?Signature=a%2Bb&Expires=1"
_IMPORTED = (
    "argparse, base64, json, http.client, runpy, shlex, shutil, subprocess, tempfile, typing, urllib.request, zipfile"
)
_PROGRAMS = ("apt-get", "dpkg-deb", "unshare", "chroot", "tar", "mount")


def missing() -> str | None:
    """What this machine lacks for it, None where there is all."""
    if os.geteuid() != 0:
        return "root"
    lacking = [name for name in _PROGRAMS if shutil.which(name) is None]
    return ", ".join(lacking) or None


def make_tree(folder: Path) -> None:
    """Unpack the tree into an empty folder."""
    with (folder.parent / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (folder / "usr/bin/python3").exists():
            return
        packages = folder.parent / f"{folder.name}-packages"
        (packages / "partial").mkdir(parents=True)
        status = packages / "status"
        status.touch()
        options = {
            "APT::Sandbox::User": "root",
            "Dir::State::status": str(status),
            "Dir::Cache::archives": str(packages),
            "Dir::Cache::pkgcache": "",
            "Dir::Cache::srcpkgcache": "",
        }
        command = ["apt-get", "-qq", "-y", "--no-install-recommends", "--download-only"]
        command += [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
        subprocess.run([*command, "install", *PACKAGES], check=True, stdout=subprocess.DEVNULL, timeout=240)
        beside = folder.with_name(f"{folder.name}-new")
        beside.mkdir()
        for name in ("bin", "sbin", "lib", "lib64"):
            (beside / "usr" / name).mkdir(parents=True)
            (beside / name).symlink_to(f"usr/{name}")
        unpack = (
            'dpkg-deb --fsys-tarfile "$1" | tar --extract --keep-directory-symlink --directory "$2" '
            "--exclude=./usr/share/doc --exclude=./usr/share/man --exclude=./usr/share/locale"
        )
        for package in sorted(packages.glob("*.deb")):
            subprocess.run(["sh", "-c", unpack, "sh", str(package), str(beside)], check=True)
        for name in ("dev", "proc", "run", "tmp", "stand-in", "root"):
            (beside / name).mkdir(exist_ok=True)
        (beside / "tmp").chmod(0o1777)
        for name in STAND_INS:
            place = beside / "usr/local/bin" / name
            place.parent.mkdir(parents=True, exist_ok=True)
            # A name in memory, not a link: what it was called by is what it stands in for.
            place.write_text(f'#!/bin/sh\nexec /usr/bin/python3 -I -S /stand-in.py {name} "$@"\n')
            place.chmod(0o755)
        shutil.copy(STAND_IN, beside / "stand-in.py")
        # Compiled once, not by each of the many programs of each test.
        command = ["chroot", str(beside), "/usr/bin/python3", "-I", "-c", f"import {_IMPORTED}"]
        subprocess.run(command, check=True)
        shutil.rmtree(packages)
        beside.rename(folder)


@dataclass
class Box:
    """One machine on the tree. What its stand-ins know and were asked lies in `home`."""

    tree: Path
    folder: Path
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        for name in ("upper", "work", "root", "home"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)

    @property
    def home(self) -> Path:
        return self.folder / "home"

    def path(self, inside: str) -> Path:
        """Where a file that was written inside lies while the box is off (a tmpfs of its own is gone then)."""
        return self.folder / "upper" / inside.lstrip("/")

    def put(self, inside: str, text: str, mode: int = 0o644) -> None:
        place = self.path(inside)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
        place.chmod(mode)

    def know(self, name: str, value: object) -> None:
        """Tell the stand-ins something."""
        (self.home / f"{name}.json").write_text(json.dumps(value))

    def start(self, *argv: str) -> None:
        """Switch on and run a command as root."""
        (self.home / "reached").unlink(missing_ok=True)
        command = ["unshare", "--mount", "--pid", "--net", "--fork", "--kill-child"]
        command += [sys.executable, "-I", __file__, str(self.tree), str(self.folder), *argv]
        # A session of its own, so that a power cut reaches all of it.
        self.process = subprocess.Popen(command, start_new_session=True, stdin=subprocess.DEVNULL)

    def wait(self, timeout: float = 60) -> int:
        """The command's exit status."""
        assert self.process is not None
        try:
            return self.process.wait(timeout)
        finally:
            if self.process.poll() is None:
                self.cut_power()

    def run(self, *argv: str) -> int:
        self.start(*argv)
        return self.wait()

    def cut_power_at(self, words: str, *argv: str) -> None:
        """Run a command, and cut the power when a stand-in is given these words."""
        self.know("gate", words)
        self.start(*argv)
        assert self.process is not None
        until = time.monotonic() + 60
        while not (self.home / "reached").exists():
            if self.process.poll() is not None or time.monotonic() > until:
                raise AssertionError(f"nothing was asked for {words!r}\n{self.log()}")
            time.sleep(0.01)
        self.cut_power()
        (self.home / "gate.json").unlink()

    def cut_power(self) -> None:
        assert self.process is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        # The namespaces' first process is told by the kernel, which takes a moment.
        until = time.monotonic() + 10
        while (self.home / "alive").exists() and _locked(self.home / "alive"):
            assert time.monotonic() < until
            time.sleep(0.01)

    def calls(self, program: str | None = None) -> list[str]:
        """What the stand-ins were given, one line for each."""
        file = self.home / "calls.jsonl"
        lines = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
        return [" ".join(words) for words in lines if program in {None, words[0]}]

    def signals(self) -> list[dict[str, Any]]:
        """What the wait condition was told."""
        file = self.home / "ready.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def log(self) -> str:
        file = self.path("/var/log/openemr-launch.log")
        return file.read_text() if file.exists() else ""


def _locked(path: Path) -> bool:
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


# What follows runs inside the namespaces, as their first process.


class _Answers(BaseHTTPRequestHandler):
    home: Path

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/latest/api/token":
            self._say(b"token-1")
        elif self.path.startswith("/ready?"):
            fields = {**json.loads(body), "query": self.path.partition("?")[2], "type": self.headers["Content-Type"]}
            with (self.home / "ready.jsonl").open("a") as log:
                log.write(json.dumps(fields) + "\n")
            self._say(b"")
        else:
            self.send_error(404)

    def do_GET(self) -> None:
        if self.headers.get("X-aws-ec2-metadata-token") != "token-1":
            self.send_error(401)
        elif self.path == "/latest/meta-data/instance-id":
            self._say(b"i-0123456789abcdef0")
        else:
            self.send_error(404)

    def _say(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def _address(name: str, address: str) -> None:
    """Give the loopback interface an address, and switch it on (netdevice(7))."""
    set_address, get_flags, set_flags, up = 0x8916, 0x8913, 0x8914, 1
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        packed = struct.pack("16sH2s4s8s", name.encode(), socket.AF_INET, b"", socket.inet_aton(address), b"")
        fcntl.ioctl(control, set_address, packed)
        flags = struct.unpack("16sH", fcntl.ioctl(control, get_flags, struct.pack("16sH14x", name.encode(), 0))[:18])[1]
        fcntl.ioctl(control, set_flags, struct.pack("16sH14x", name.encode(), flags | up))


def _mount(*words: str) -> None:
    subprocess.run(["mount", *words], check=True)


@contextlib.contextmanager
def _served(home: Path) -> Iterator[None]:
    _Answers.home = home
    servers = [ThreadingHTTPServer((METADATA, port), _Answers) for port in (80, 8000)]
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    yield
    for server in servers:
        server.shutdown()


def enter(tree: Path, folder: Path, argv: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run a command in the tree; answers its exit status."""
    root, home = folder / "root", folder / "home"
    # Held as long as anything here lives.
    alive = os.open(home / "alive", os.O_WRONLY | os.O_CREAT)
    fcntl.flock(alive, fcntl.LOCK_EX)
    os.set_inheritable(alive, True)
    _mount("--make-rprivate", "/")
    layers = f"lowerdir={tree},upperdir={folder / 'upper'},workdir={folder / 'work'}"
    _mount("-t", "overlay", "-o", layers, "overlay", str(root))
    _mount("-t", "proc", "proc", str(root / "proc"))
    _mount("-t", "tmpfs", "tmpfs", str(root / "run"))
    _mount("--rbind", "/dev", str(root / "dev"))
    _mount("--bind", str(home), str(root / "stand-in"))
    _address("lo", "127.0.0.1")
    _address("lo:0", METADATA)
    with _served(home):
        return subprocess.run(
            ["chroot", str(root), *argv], env=dict(environment), check=False, close_fds=False
        ).returncode


if __name__ == "__main__":
    sys.exit(
        enter(
            Path(sys.argv[1]),
            Path(sys.argv[2]),
            sys.argv[3:],
            {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"},
        )
    )
