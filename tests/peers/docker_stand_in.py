"""What `docker` does for the agent, without Docker: programs of the images run as programs of this machine.

Run as a program of its own, under the name `docker`. The folder in the environment variable `STAND_IN` holds what it
knows: `root` (the data volume), `calls.jsonl` (every command it was given), `<service>.running`, and what a test puts
there to make it fail: `fail-<service>`. The service `mysql` is a real mariadbd on the data directory that `current`
leads to when it starts, as Docker mounts a volume.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

HOME = Path(os.environ.get("STAND_IN", "/nonexistent"))
SERVICES = ("mysql", "openemr", "web")
INSIDE = {"mariadb", "mariadb-admin", "mariadb-backup", "mariadb-dump"}


def main(arguments: list[str]) -> int:
    """One command, as Docker's command line takes it."""
    with (HOME / "calls.jsonl").open("a") as log:
        log.write(json.dumps(arguments) + "\n")
    # A test that wants to be there at one moment waits for the file, and removes it.
    for word in arguments:
        gate = HOME / f"gate-{Path(word).name}"
        if gate.exists():
            (HOME / f"reached-{Path(word).name}").touch()
            while gate.exists():
                time.sleep(0.02)
    if arguments[:1] == ["compose"]:
        return compose(arguments[1:])
    if arguments[:1] == ["run"]:
        return run(arguments[1:])
    if arguments[:1] == ["exec"]:
        words = arguments[2:] if arguments[1] == "--interactive" else arguments[1:]
        if not (HOME / f"container-{words[0]}").exists():
            return refuse(f"Error response from daemon: No such container: {words[0]}")
        return subprocess.run(words[1:], check=False).returncode
    if arguments[:2] == ["rm", "--force"]:
        return remove(arguments[2])
    return refuse(f"unknown command: {arguments}")


def refuse(why: str) -> int:
    print(why, file=sys.stderr)
    return 1


def compose(arguments: list[str]) -> int:
    assert arguments[:3] == ["--project-name", "openemr", "--file"], arguments
    verb, *rest = arguments[4:]
    if verb == "up":
        assert rest[:3] == ["--detach", "--wait", "--wait-timeout"], rest
        failed = next((service for service in rest[4:] or SERVICES if not up(service)), None)
        return refuse(f"container openemr-{failed}-1 is unhealthy") if failed else 0
    if verb == "down":
        for service in reversed(SERVICES):
            down(service)
        return 0
    if verb == "ps":
        for service in SERVICES:
            if running(service):
                print(json.dumps({"Service": service, "State": "running", "Health": "healthy"}))
        return 0
    if verb == "exec":
        return inside(rest)
    return refuse(f"unknown compose command: {arguments}")


def inside(words: list[str]) -> int:
    assert words[:3] == ["-T", "--user", "0:0"], words
    service, program, *rest = words[3:]
    assert service == "mysql", words
    if not running("mysql"):
        return refuse('service "mysql" is not running')
    return subprocess.run([program, *_inside(program, rest)], check=False).returncode


def _inside(program: str, words: list[str]) -> list[str]:
    """What the programs know by themselves inside the container."""
    assert program in INSIDE, program
    options = ["--no-defaults", f"--socket={HOME / 'mysql.sock'}"]
    if program == "mariadb-backup":
        options.append(f"--datadir={(HOME / 'mysql.datadir').read_text()}")
    return [*options, *words]


def running(service: str) -> bool:
    try:
        pid = int((HOME / f"{service}.running").read_text())
    except FileNotFoundError:
        return False
    return pid == 0 or alive(pid)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A zombie is one whose parent does not look; it runs no more.
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"


def up(service: str) -> bool:
    if (HOME / f"fail-{service}").exists():
        return False
    if running(service):
        return True
    if service != "mysql":
        (HOME / f"{service}.running").write_text("0")
        return True
    datadir = ((HOME / "root").resolve() / "current" / "database").resolve(strict=True)
    (HOME / "mysql.datadir").write_text(str(datadir))
    if not (datadir / "mysql").exists():
        command = ["mariadb-install-db", "--no-defaults", f"--datadir={datadir}", "--user=root", "--skip-test-db"]
        subprocess.run(
            [*command, "--auth-root-authentication-method=normal"],
            env={**os.environ, "TMPDIR": str(HOME)},
            check=True,
            stdout=subprocess.DEVNULL,
        )
    server = subprocess.Popen(
        [
            "/usr/sbin/mariadbd",
            "--no-defaults",
            f"--datadir={datadir}",
            f"--socket={HOME / 'mysql.sock'}",
            f"--pid-file={HOME / 'mysql.pid'}",
            f"--log-error={HOME / 'mysql.log'}",
            f"--tmpdir={HOME}",
            "--user=root",
            "--skip-networking",
            "--innodb-buffer-pool-size=64M",
            "--innodb-log-file-size=16M",
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    (HOME / "mysql.running").write_text(str(server.pid))
    for _ in range(400):
        if server.poll() is not None:
            return False
        asked = subprocess.run(
            ["mariadb-admin", "--no-defaults", f"--socket={HOME / 'mysql.sock'}", "ping"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
        )
        if asked.returncode == 0:
            return True
        time.sleep(0.05)
    return False


def down(service: str) -> None:
    if service == "mysql" and running("mysql"):
        end(int((HOME / "mysql.running").read_text()))
    (HOME / f"{service}.running").unlink(missing_ok=True)


def end(pid: int) -> None:
    os.kill(pid, signal.SIGTERM)
    for _ in range(1200):
        if not alive(pid):
            return
        time.sleep(0.05)
    raise AssertionError(f"process {pid} does not end")


def run(arguments: list[str]) -> int:
    """`docker run --rm [--name NAME] … --entrypoint PROGRAM IMAGE …`: the program, with the image's name dropped."""
    name = None
    words = list(arguments)
    assert words.pop(0) == "--rm", arguments
    program = ""
    while words and words[0].startswith("--"):
        option = words.pop(0)
        value = words.pop(0)
        if option == "--name":
            name = value
        elif option == "--entrypoint":
            program = value
        elif option == "--volume":
            outside, _, inside = value.partition(":")
            assert outside == inside, value
            assert Path(outside).is_dir(), value
        else:
            assert (option, value) in {("--network", "none"), ("--user", "0:0")}, (option, value)
    image, *rest = words
    if (HOME / f"fail-image-{image.replace('/', '_')}").exists():
        return refuse(f"Unable to find image '{image}' locally")
    command = [f"/usr/sbin/{program}" if program == "mariadbd" else program, *rest]
    if name is None:
        return subprocess.run(command, check=False).returncode
    child = subprocess.Popen(command, start_new_session=True)
    (HOME / f"container-{name}").write_text(str(child.pid))
    status = child.wait()
    (HOME / f"container-{name}").unlink(missing_ok=True)
    return status


def remove(name: str) -> int:
    """Even where its own `docker run` was killed, as the daemon would: its container outlives it."""
    record = HOME / f"container-{name}"
    if not record.exists():
        return refuse(f"Error response from daemon: No such container: {name}")
    pid = int(record.read_text())
    if alive(pid):
        os.kill(pid, signal.SIGKILL)
        while alive(pid):
            time.sleep(0.01)
    record.unlink(missing_ok=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
