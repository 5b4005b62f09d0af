"""`stack.py`, `stackmaker.bat` and `cdk` in deployments/express-plus: the ways to the template."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.stacks.express_plus import VARIANTS, synthesize
from tests.stacks.test_app import DEPLOYMENTS, cdk, new_deployment

FOLDER = DEPLOYMENTS / "express-plus"


def stack_py(
    *arguments: str, script: Path = FOLDER / "stack.py", **environment: str
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, str(script), *arguments],
        env=os.environ | environment,
        cwd="/",
        capture_output=True,
        check=False,
        timeout=120,
    )


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[bytes]:
    settings = tmp_path_factory.mktemp("settings") / "cdk.json"
    settings.write_text('{"context": {"object_lock_days": 30, "object_lock_mode": "compliance"}}')
    return stack_py("--recovery", "--settings", str(settings))


class TestStackPy:
    def test_it_prints_the_template_and_nothing_else(self, printed: subprocess.CompletedProcess[bytes]) -> None:
        assert printed.returncode == 0
        template = json.loads(printed.stdout)
        assert "RecoveryS3Bucket" in template["Parameters"]
        assert template["Resources"]["LaunchTemplate"]["Metadata"]["hostemr"]["agent"]

    def test_it_is_utf_8_with_lf_on_every_system(self, printed: subprocess.CompletedProcess[bytes]) -> None:
        assert printed.stdout.isascii()
        assert b"\r" not in printed.stdout
        assert printed.stdout.startswith(b"{")
        assert printed.stdout.endswith(b"}\n")

    def test_the_same_settings_give_the_same_bytes_in_another_process(
        self, printed: subprocess.CompletedProcess[bytes]
    ) -> None:
        settings = {"recovery": True, "object_lock_days": 30, "object_lock_mode": "compliance"}
        again = synthesize(settings, agent=b"").template
        assert printed.stdout.decode() == json.dumps(again, indent=1) + "\n"

    def test_wrong_use_is_one_line_and_2(self) -> None:
        ended = stack_py("--recover-me")
        assert (ended.returncode, ended.stdout) == (2, b"")
        assert ended.stderr.decode().splitlines()[-1] == "stack.py: error: unrecognized arguments: --recover-me"

    def test_wrong_settings_are_told_all_at_once_and_2(self, tmp_path: Path) -> None:
        wrong = tmp_path / "cdk.json"
        wrong.write_text('{"context": {"backup_engin": "restic", "practice_storage": 5}}')
        ended = stack_py("--settings", str(wrong))
        assert (ended.returncode, ended.stdout) == (2, b"")
        assert ended.stderr.decode().splitlines() == [
            "error: backup_engin is no setting of hostemr; did you mean backup_engine?",
            "error: practice_storage is 5: expected 10 to 16384 GiB; raise it to 10",
            "hint: `hostemr settings express-plus` lists every setting with its meaning",
        ]

    def test_a_synthesis_that_fails_is_one_line_and_3(self, tmp_path: Path) -> None:
        ended = stack_py(JSII_NODE=str(tmp_path / "no-node"))
        assert (ended.returncode, ended.stdout) == (3, b"")
        assert ended.stderr.decode().splitlines() == [
            f"error: Synthesis failed: there is no Node.js at {tmp_path}/no-node",
            "hint: run `make cdk`, or mend JSII_NODE",
        ]

    def test_what_is_doubtful_is_told_beside(self, printed: subprocess.CompletedProcess[bytes]) -> None:
        [line] = printed.stderr.decode().splitlines()
        assert line.startswith("warning: object_lock_mode is compliance")

    def test_without_hostemr_it_says_how_to_get_it(self, tmp_path: Path) -> None:
        """A Python that has nothing installed, and no environment two folders above."""
        script = tmp_path / "deployments" / "express-plus" / "stack.py"
        script.parent.mkdir(parents=True)
        shutil.copy(FOLDER / "stack.py", script)
        ended = subprocess.run(
            [sys.executable, "-I", "-S", str(script)], capture_output=True, check=False, timeout=60, text=True
        )
        assert (ended.returncode, ended.stdout) == (3, "")
        assert ended.stderr.splitlines() == [
            "error: hostemr is not installed",
            "hint: run `make cdk` in the project's root once, or activate an environment with it",
        ]

    def test_it_finds_the_projects_environment_by_itself(self, tmp_path: Path) -> None:
        folder = tmp_path / "deployments" / "express-plus"
        folder.mkdir(parents=True)
        for name in ("stack.py", "cdk.json"):
            shutil.copy(FOLDER / name, folder)
        (tmp_path / ".venv").symlink_to(sys.prefix)
        ended = subprocess.run(
            [sys.executable, "-I", "-S", str(folder / "stack.py"), "--help"],
            capture_output=True,
            check=False,
            timeout=60,
            text=True,
        )
        assert ended.returncode == 0, ended.stderr
        assert "--recovery" in ended.stdout


class TestStackmaker:
    def test_it_makes_the_originals_four_files(self) -> None:
        text = (FOLDER / "stackmaker.bat").read_text(encoding="utf-8")
        made = dict(re.findall(r"^python stack\.py ?([a-z -]*) > (\S+) \|\| exit /b 1$", text, re.MULTILINE))
        options = {
            "OpenEMR-Express-Plus": "",
            "OpenEMR-Express-Plus-Developer": "--dev",
            "OpenEMR-Express-Plus-Recovery": "--recovery",
            "OpenEMR-Express-Plus-Recovery-Dev": "--recovery --dev",
        }
        assert {file: option for option, file in made.items()} == {
            f"{name}.json": option for name, option in options.items()
        }
        assert set(options) == set(VARIANTS)

    def test_cmd_reads_it_line_by_line(self) -> None:
        written = (FOLDER / "stackmaker.bat").read_bytes()
        assert written.isascii()
        assert written.count(b"\r\n") == written.count(b"\n"), "cmd.exe wants CRLF"


class TestCdk:
    def test_the_file_runs_this_deployment(self) -> None:
        document = json.loads((FOLDER / "cdk.json").read_text())
        assert document["app"] == "node ../synthesize.js express-plus"
        assert document["output"] == "cdk.out"

    @pytest.mark.real
    def test_synth_writes_the_template_of_the_settings(self, tmp_path: Path) -> None:
        folder = new_deployment(tmp_path, "express-plus")
        ended = cdk(folder, "synth", "--quiet", "-c", "recovery=true")
        assert ended.returncode == 0, ended.stderr
        written = json.loads((folder / "cdk.out" / "OpenEMR-Express-Plus-Recovery.template.json").read_text())
        ours = synthesize({"recovery": True}).template
        assert written["Resources"].keys() == ours["Resources"].keys()
        assert written["Parameters"] == ours["Parameters"]
