"""What `docker` does for the agent, without Docker: programs of the images run as programs of this machine.

Run as a program of its own, under the name `docker`. The folder in the environment variable `STAND_IN` holds what it
knows: `root` (the data volume), `calls.jsonl` (every command it was given), `<service>.running`, and what a test puts
there to make it fail: `fail-<service>`. The service `mysql` is a real mariadbd on the data directory that `current`
leads to when it starts, as Docker mounts a volume.

A backup calls it a dozen times, so it imports next to nothing: json, pathlib or signal would take longer than the
rest of it.
"""

# ruff: noqa: PTH108, PTH110, PTH112, PTH123
from __future__ import annotations

import os
import sys
import time
from _json import encode_basestring_ascii

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

HOME = os.environ.get("STAND_IN", "/nonexistent")
SERVICES = ("mysql", "openemr", "web")
INSIDE = {"mariadb", "mariadb-admin", "mariadb-backup", "mariadb-dump"}
SIGTERM, SIGKILL = 15, 9


def main(arguments: list[str]) -> int:
    """One command, as Docker's command line takes it."""
    with open(f"{HOME}/calls.jsonl", "a", encoding="utf-8") as log:
        log.write(f"[{', '.join(map(encode_basestring_ascii, arguments))}]\n")
    # A test that wants to be there at one moment waits for the file, and removes it.
    for word in arguments:
        name = word.rpartition("/")[2]
        if os.path.exists(f"{HOME}/gate-{name}"):
            write(f"reached-{name}", "")
            while os.path.exists(f"{HOME}/gate-{name}"):
                time.sleep(0.02)
    if arguments[:1] == ["compose"]:
        return compose(arguments[1:])
    if arguments[:1] == ["run"]:
        return run(arguments[1:])
    if arguments[:1] == ["exec"]:
        words = arguments[2:] if arguments[1] == "--interactive" else arguments[1:]
        if read(f"container-{words[0]}") is None:
            return refuse(f"Error response from daemon: No such container: {words[0]}")
        become(words[1:])
    if arguments[:2] == ["rm", "--force"]:
        return remove(arguments[2])
    return refuse(f"unknown command: {arguments}")


def read(name: str) -> str | None:
    """What stands in a file of the folder, None where there is none."""
    try:
        with open(f"{HOME}/{name}", encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        return None


def write(name: str, text: str) -> None:
    with open(f"{HOME}/{name}", "w", encoding="utf-8") as file:
        file.write(text)


def remove_file(name: str) -> None:
    try:
        os.unlink(f"{HOME}/{name}")
    except FileNotFoundError:
        return


def become(words: list[str]) -> NoReturn:
    """Run the program in this one's place: its status is ours."""
    os.execvp(words[0], words)


def refuse(why: str) -> int:
    print(why, file=sys.stderr)
    return 1


def compose(arguments: list[str]) -> int:
    assert arguments[:3] == ["--project-name", "openemr", "--file"], arguments
    verb, *rest = arguments[4:]
    if verb == "up":
        assert rest[:3] == ["--detach", "--wait", "--wait-timeout"], rest
        words = rest[4:]
        if words[:1] == ["--force-recreate"]:
            words = words[1:]
            for service in reversed(words or SERVICES):
                down(service)
        failed = next((service for service in words or SERVICES if not up(service)), None)
        return refuse(f"container openemr-{failed}-1 is unhealthy") if failed else 0
    if verb == "down":
        for service in reversed(SERVICES):
            down(service)
        return 0
    if verb == "ps":
        for service in SERVICES:
            if running(service):
                print(f'{{"Service": "{service}", "State": "running", "Health": "healthy"}}')
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
    become([program, *_inside(program, rest)])


def _inside(program: str, words: list[str]) -> list[str]:
    """What the programs know by themselves inside the container."""
    assert program in INSIDE, program
    options = ["--no-defaults", f"--socket={HOME}/mysql.sock"]
    if program == "mariadb-backup":
        # By default it looks at the log once a second, and a backup takes that second.
        options += [f"--datadir={read('mysql.datadir')}", "--log-copy-interval=20"]
    return [*options, *words]


def running(service: str) -> bool:
    pid = read(f"{service}.running")
    return pid is not None and (pid == "0" or alive(int(pid)))


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            # A zombie is one whose parent does not look; it runs no more.
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


def up(service: str) -> bool:
    if read(f"fail-{service}") is not None:
        return False
    if running(service):
        return True
    if service != "mysql":
        write(f"{service}.running", "0")
        return True
    # Only this verb starts a server, and not often.
    import subprocess

    datadir = os.path.realpath(f"{HOME}/root/current/database", strict=True)
    write("mysql.datadir", datadir)
    if not os.path.exists(f"{datadir}/mysql"):
        command = ["mariadb-install-db", "--no-defaults", f"--datadir={datadir}", "--user=root", "--skip-test-db"]
        subprocess.run(
            [*command, "--auth-root-authentication-method=normal"],
            env={**os.environ, "TMPDIR": HOME},
            check=True,
            stdout=subprocess.DEVNULL,
        )
    server = subprocess.Popen(
        [
            "/usr/sbin/mariadbd",
            "--no-defaults",
            f"--datadir={datadir}",
            f"--socket={HOME}/mysql.sock",
            f"--pid-file={HOME}/mysql.pid",
            f"--log-error={HOME}/mysql.log",
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
    write("mysql.running", str(server.pid))
    for _ in range(400):
        if server.poll() is not None:
            return False
        asked = subprocess.run(
            ["mariadb-admin", "--no-defaults", f"--socket={HOME}/mysql.sock", "ping"],
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
        end(int(read("mysql.running") or ""))
    remove_file(f"{service}.running")


def end(pid: int) -> None:
    os.kill(pid, SIGTERM)
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
            assert os.path.isdir(outside), value
        else:
            assert (option, value) in {("--network", "none"), ("--user", "0:0")}, (option, value)
    image, *rest = words
    if read(f"fail-image-{image.replace('/', '_')}") is not None:
        return refuse(f"Unable to find image '{image}' locally")
    command = [f"/usr/sbin/{program}" if program == "mariadbd" else program, *rest]
    if name is None:
        become(command)
    child = os.posix_spawnp(command[0], command, os.environ, setsid=True)
    write(f"container-{name}", str(child))
    _, ended = os.waitpid(child, 0)
    remove_file(f"container-{name}")
    return os.waitstatus_to_exitcode(ended)


def remove(name: str) -> int:
    """Even where its own `docker run` was killed, as the daemon would: its container outlives it."""
    record = read(f"container-{name}")
    if record is None:
        return refuse(f"Error response from daemon: No such container: {name}")
    pid = int(record)
    if alive(pid):
        os.kill(pid, SIGKILL)
        while alive(pid):
            time.sleep(0.01)
    remove_file(f"container-{name}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
