"""What the programs of a server do for the launch script and the agent, without Docker, AWS, snaps or systemd.

Runs inside the tree of server_tree.py, called by the name of what it stands in for. `/stand-in` holds what the test
told it (`<name>.json`), and `calls.jsonl`, every command that it was given. What a machine forgets when it is switched
off lies in `/run/stand-in`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

HOME = Path("/stand-in")
RUN = Path("/run/stand-in")
CURRENT = Path("/srv/openemr/current")
PARTS = {"mysql": "database", "openemr": "sites", "web": "certificates"}


def known(name: str, default: Any = None) -> Any:
    try:
        return json.loads((HOME / f"{name}.json").read_text())
    except FileNotFoundError:
        return default


def keep(name: str, value: object) -> None:
    (HOME / f"{name}.json").write_text(json.dumps(value))


def refuse(why: str, status: int = 1) -> int:
    print(why, file=sys.stderr)
    return status


def wait_for_the_end() -> None:
    """The test cuts the power here."""
    (HOME / "reached").touch()
    time.sleep(600)


def main(name: str, words: list[str]) -> int:
    RUN.mkdir(exist_ok=True)
    with (HOME / "calls.jsonl").open("a") as log:
        log.write(json.dumps([name, *words]) + "\n")
    line = " ".join([name, *words])
    gate = known("gate")
    if isinstance(gate, str) and gate in line:
        wait_for_the_end()
    for words_that_fail, times in dict(known("fail", {})).items():
        if words_that_fail in line and times > 0:
            keep("fail", {**known("fail"), words_that_fail: times - 1})
            return refuse(f"E: {words_that_fail} does not work today")
    return {"docker": docker, "aws": aws, "snap": snap, "systemctl": systemctl, "lsblk": lsblk}.get(name, fine)(words)


def fine(words: list[str]) -> int:
    return 0


def snap(words: list[str]) -> int:
    if words[:2] == ["install", "aws-cli"]:
        place = Path("/snap/bin/aws")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text('#!/bin/sh\nexec /usr/bin/python3 -I -S /stand-in.py aws "$@"\n')
        place.chmod(0o755)
    return 0


def systemctl(words: list[str]) -> int:
    """`start` of the service runs what its file says, and fails as that does."""
    if words[:1] != ["start"]:
        return 0
    text = Path("/etc/systemd/system", words[1]).read_text()
    (command,) = [line.partition("=")[2] for line in text.splitlines() if line.startswith("ExecStart=")]
    return subprocess.run(command.split(), check=False).returncode


def lsblk(words: list[str]) -> int:
    print(json.dumps({"blockdevices": known("lsblk", [])}))
    return 0


def docker(words: list[str]) -> int:
    if words[:2] == ["image", "inspect"]:
        return 0 if words[-1] in known("images", []) else refuse("Error: No such image")
    if words[:1] == ["pull"]:
        keep("images", [*known("images", []), words[-1]])
        return 0
    assert words[:5] == ["compose", "--project-name", "openemr", "--file", "/etc/hostemr/compose.yaml"], words
    rest = words[5:]
    if rest[:2] == ["--profile", "installation"]:
        rest = rest[2:]
    return {"up": up, "down": down, "ps": ps, "run": run_installer, "exec": execute}.get(rest[0], fine)(rest[1:])


def up(words: list[str]) -> int:
    """Docker mounts what `current` leads to; without it the container is not made."""
    for service in words[4:] or ["mysql", "openemr", "web"]:
        part = CURRENT / PARTS[service]
        assert part.is_dir(), part
        if service == "mysql" and not (part / "mysql").exists():
            sql = Path("/run/hostemr/initdb/openemr.sql").read_text()
            if "CREATE" not in sql:
                return refuse("mysql has nobody to make for OpenEMR")
            (part / "mysql").write_text(sql)
        if service == "openemr" and "$config = 1;" not in (part / "default/sqlconf.php").read_text():
            return refuse("container openemr-openemr-1 exited (1)")
        (RUN / service).touch()
    return 0


def down(words: list[str]) -> int:
    for service in PARTS:
        (RUN / service).unlink(missing_ok=True)
    return 0


def ps(words: list[str]) -> int:
    for service in sorted(path.name for path in RUN.iterdir()):
        print(json.dumps({"Service": service, "State": "running", "Health": "healthy"}))
    return 0


def run_installer(words: list[str]) -> int:
    """Upstream's installer: cannot go on where another was cut off, and prints what it was given."""
    environment = Path("/run/hostemr/installation/installation.env").read_text()
    sites = CURRENT / "sites/default"
    if (sites / "sqlconf.php").exists():
        return refuse(f"Table already exists; I was given {environment}")
    sites.mkdir(parents=True)
    (sites / "sqlconf.php").write_text("<?php\n$config = 0;\n")
    if known("broken"):
        return refuse(f"OpenEMR's installer fails; it was given {environment}")
    if known("gate") == "half installed":
        wait_for_the_end()
    (sites / "sqlconf.php").write_text("<?php\n$config = 1;\n")
    (CURRENT / "database/users").write_text("1")
    if known("gate") == "whole installed":
        wait_for_the_end()
    return 0


def execute(words: list[str]) -> int:
    query = sys.stdin.read()
    users = (CURRENT / "database/users").exists()
    print(("2" if "information_schema" in query else "1") if users else "0")
    return 0


def aws(words: list[str]) -> int:
    given = json.loads(words[words.index("--cli-input-json") + 1]) if "--cli-input-json" in words else {}
    if "describe-stack-resource" in words:
        print((HOME / "metadata.json").read_text())
    elif "get-secret-value" in words:
        print(json.dumps({"SecretString": known("secrets")[given["SecretId"]]}))
    elif "describe-volumes" in words:
        print(json.dumps({"Volumes": [known("volume")]}))
    elif "attach-volume" in words:
        keep("volume", {"State": "in-use", "Attachments": [{"InstanceId": given["InstanceId"], "State": "attached"}]})
    elif "signal-resource" in words:
        if known("signalled"):
            return refuse("An error occurred (ValidationError): it is in UPDATE_COMPLETE state", 254)
        keep("signalled", given["Status"])
    return 0


if __name__ == "__main__":
    os.umask(0o022)
    sys.exit(main(sys.argv[1], sys.argv[2:]))
