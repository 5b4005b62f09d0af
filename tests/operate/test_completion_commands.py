"""A real bash, with the script that `hostemr completion bash` prints, completes."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hostemr import cli

_BASH = shutil.which("bash")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shells_script_asks_hostemr(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert f"_HOSTEMR_COMPLETE={shell}_complete" in script
    assert cli.run(["completion", shell, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"shell": shell, "script": script.removesuffix("\n")}


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`hostemr` on a PATH of its own; it says which modules of ours it has imported."""
    folder = tmp_path_factory.mktemp("bin")
    program = folder / "hostemr"
    program.write_text(
        f"#!{sys.executable}\n"
        "import atexit, os, pathlib, sys\n"
        "from hostemr import cli\n"
        f"record = pathlib.Path({str(folder / 'imported')!r})\n"
        "def ours():\n"
        "    record.write_text(' '.join(sorted(one for one in sys.modules if one.startswith('hostemr.'))))\n"
        "atexit.register(ours)\n"
        "cli.main()\n",
        encoding="utf-8",
    )
    program.chmod(0o755)
    return program


@pytest.mark.real
@pytest.mark.skipif(_BASH is None, reason="needs bash")
class TestBash:
    def test_it_completes_verbs_options_and_deployments(self, program: Path) -> None:
        assert _completed(
            program,
            ("hostemr", "tun"),
            ("hostemr", "tunnel", "open"),
            ("hostemr", "tunnel", "openemr", "--re"),
            ("hostemr", "completion", "z"),
        ) == [{"tunnel"}, {"openemr", "openmrs"}, {"--reader", "--region"}, {"zsh"}]

    def test_completing_a_verbs_options_imports_no_other_verb(self, program: Path) -> None:
        _completed(program, ("hostemr", "completion", "b"))
        imported = (program.parent / "imported").read_text().split()
        verbs = {one for one in imported if one.endswith("commands")}
        assert verbs == {"hostemr.operate.completion_commands"}


def _completed(program: Path, *lines: tuple[str, ...]) -> list[set[str]]:
    """What bash offers for the last word of each line."""
    asked = "".join(
        f"COMP_WORDS=({' '.join(map(shlex.quote, words))}); COMP_CWORD={len(words) - 1}; COMPREPLY=()\n"
        '"$completer" hostemr; echo "${COMPREPLY[@]}"\n'
        for words in lines
    )
    script = f"""
        source <(hostemr completion bash) || exit 1
        completer=$(complete -p hostemr | sed -E 's/.* -F ([^ ]+) .*/\\1/')
        {asked}
    """
    path = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [str(_BASH), "--norc", "-c", script],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env={**os.environ, "PATH": path},
    )
    assert not done.stderr
    return [set(line.split()) for line in done.stdout.splitlines()]
