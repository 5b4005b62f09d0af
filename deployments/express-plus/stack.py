"""Writes the template of Express Plus: python stack.py [--recovery] [--dev] > OpenEMR-Express-Plus.json.

Starts hostemr's own Python where this one has no hostemr. The settings are those in cdk.json beside this file.
"""  # noqa: INP001, a script in a folder of its own

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).resolve().parent
VENV = HERE.parent.parent / ".venv"


def python() -> str | None:
    """The Python that has what is needed: this one, or that of the project's environment."""
    if find_spec("hostemr") and find_spec("aws_cdk"):
        return sys.executable
    candidates = (VENV / "bin" / "python", VENV / "Scripts" / "python.exe")
    return next((str(one) for one in candidates if one.exists()), None)


def main() -> int:
    """Hand over to hostemr; answers its exit status."""
    program = python()
    if program is None:
        sys.stderr.write("error: hostemr is not installed\n")
        sys.stderr.write("hint: run `make cdk` in the project's root once, or activate an environment with it\n")
        return 3
    command = [program, "-m", "hostemr.stacks.express_plus_template", "--settings", str(HERE / "cdk.json")]
    return subprocess.run([*command, *sys.argv[1:]], check=False).returncode  # noqa: S603, our own program


if __name__ == "__main__":
    sys.exit(main())
