"""The registration service's image without an engine: the Dockerfile's own steps in a tree of its own.

The tree has this machine's programs, the running interpreter, and what the Dockerfile's COPY and RUN put there.
Programs run in it by its ENTRYPOINT, ENV, WORKDIR and USER, with a root file system that cannot be written and a
folder for /tmp. What the image gets from the package index, it gets from the running environment here.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tests.registration.dockerfile import Context, Dockerfile, Stage, exec_form, read_dockerfile

ROOT = Path(__file__).parents[2]
FILE = ROOT / "deployments/registration/Dockerfile"
DEPENDENCIES = "/dependencies"
_SYSTEM = ("bin", "sbin", "lib", "lib32", "lib64", "libx32", "usr", "etc", "dev", "proc")
_PYTHON = f"{sys.base_prefix}/bin/python{sys.version_info.major}.{sys.version_info.minor}"


def our_dockerfile() -> Dockerfile:
    """The one that is built on AWS."""
    return read_dockerfile(FILE.read_text())


def why_not() -> str | None:
    """Why no tree can be made here, None where one can."""
    if os.geteuid() != 0:
        return "it needs root"
    if lacking := [name for name in ("unshare", "mount", "chroot") if shutil.which(name) is None]:
        return f"it needs {', '.join(lacking)}"
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        done = subprocess.run(
            ["unshare", "--mount", "sh", "-c", 'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1"', "sh", folder],
            capture_output=True,
            text=True,
            check=False,
        )
    return f"the kernel does not let this process mount: {done.stderr.strip()}" if done.returncode else None


class Image:
    """What the Dockerfile makes, in `tree`. `run` starts its entry point with other arguments."""

    def __init__(self, tree: Path) -> None:
        self.tree = tree
        builder, self.final = our_dockerfile().stages
        self._make(builder)
        assert self.final.all("COPY") == [f"--from={builder.name} /opt/hostemr /opt/hostemr"]
        assert self.final.all("RUN") == []
        shutil.rmtree(tree / builder.last("WORKDIR").strip("/"))

    def _make(self, builder: Stage) -> None:
        for name in _SYSTEM:
            here = Path("/") / name
            if here.is_symlink():
                (self.tree / name).symlink_to(here.readlink())
            elif here.is_dir():
                (self.tree / name).mkdir()
        for name in ("tmp", "opt", DEPENDENCIES.strip("/"), sys.base_prefix.strip("/")):
            (self.tree / name).mkdir(parents=True, exist_ok=True)
        context, workdir = Context(ROOT), Path("/")
        path = f"{sys.base_prefix}/bin:/usr/bin:/bin"
        for instruction, arguments in builder.instructions:
            if instruction == "WORKDIR":
                workdir = Path(arguments)
                (self.tree / arguments.strip("/")).mkdir()
            elif instruction == "COPY":
                context.copy(arguments, self.tree / str(workdir).strip("/"))
            else:
                assert instruction == "RUN"
                program, *command = exec_form(arguments)
                # The base's Python is here the one that runs the tests, and Debian calls none of its own `python`.
                command = [_PYTHON, *(["-m", "pip"] if program == "pip" else []), *command]
                assert program in {"pip", "python"}
                if program == "pip":
                    command += ["--quiet", "--no-deps", "--no-build-isolation", "--disable-pip-version-check"]
                with tempfile.TemporaryDirectory() as temporary:
                    self._enter(
                        command, workdir, {"PATH": path, "HOME": "/tmp"}, Path(temporary), writable=True
                    ).check()

    def start(self, *arguments: str, temporary: Path, log: Path, **variables: str) -> subprocess.Popen[bytes]:
        """Start the entry point; without arguments, as CMD has it. Its log goes to the file `log`."""
        command = [*exec_form(self.final.last("ENTRYPOINT")), *(arguments or exec_form(self.final.last("CMD")))]
        return self._started(command, temporary, variables).start(log)

    def run(self, *command: str, temporary: Path, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run any program of the image to its end, as the image's user."""
        return self._started(list(command), temporary, variables).run()

    def _started(self, command: list[str], temporary: Path, variables: Mapping[str, str]) -> _Entered:
        # A user whom the system does not know has / for a home.
        environment = {"HOME": "/", **self.final.environment, **variables}
        temporary.chmod(0o1777)
        workdir = Path(self.final.last("WORKDIR"))
        return self._enter(command, workdir, environment, temporary, user=self.final.last("USER"))

    def _enter(
        self,
        command: list[str],
        workdir: Path,
        environment: Mapping[str, str],
        temporary: Path,
        *,
        user: str = "0:0",
        writable: bool = False,
    ) -> _Entered:
        dependencies = Path(json.__file__)
        site = next(one for one in sys.path if one.endswith("site-packages"))
        binds = {
            f"/{name}": f"/{name}"
            for name in _SYSTEM
            if (self.tree / name).is_dir() and not (self.tree / name).is_symlink()
        }
        binds |= {site: DEPENDENCIES, sys.base_prefix: sys.base_prefix, str(temporary): "/tmp"}
        assert dependencies.is_relative_to(sys.base_prefix)
        steps = ["set -e"]
        if not writable:
            steps += ['mount --bind "$TREE" "$TREE"', 'mount -o remount,ro,bind "$TREE"']
        for source, target in binds.items():
            steps.append(f'mount --rbind "{source}" "$TREE{target}"')
            if target not in {"/tmp", "/proc", "/dev"}:
                steps.append(f'mount -o remount,ro,bind "$TREE{target}"')
        steps.append(
            f'exec chroot --userspec={user} --groups= "$TREE" /usr/bin/env --ignore-environment -C {workdir} "$@"'
        )
        told = {"PYTHONPATH": DEPENDENCIES, **environment}
        words = [f"{name}={value}" for name, value in told.items()] + command
        return _Entered(["unshare", "--mount", "sh", "-c", "\n".join(steps), "sh", *words], {"TREE": str(self.tree)})


class _Entered:
    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self._command = command
        self._environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **environment}

    def run(self) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self._command, env=self._environment, capture_output=True, text=True, timeout=60, check=False
        )

    def check(self) -> None:
        done = self.run()
        assert done.returncode == 0, done.stdout + done.stderr

    def start(self, log: Path) -> subprocess.Popen[bytes]:
        with log.open("wb") as file:
            return subprocess.Popen(self._command, env=self._environment, stdout=file, stderr=file)
