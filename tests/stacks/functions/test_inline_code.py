"""Handlers travel inline in the template: one file each, with nothing beside what Lambda's Python has."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

import hostemr.stacks.functions as package

FOLDER = Path(str(package.__file__)).parent
HANDLERS = sorted(FOLDER.glob("*/handler.py"))


def test_every_handler_is_here() -> None:
    assert [path.parent.name for path in HANDLERS] == [
        "export_database",
        "export_files",
        "find_hosted_zone",
        "forward_mail",
        "receive_mail",
        "rotate_credentials",
        "run_setup",
        "smtp_credential",
    ]


@pytest.mark.parametrize("path", HANDLERS, ids=lambda path: path.parent.name)
def test_a_handler_imports_only_the_standard_library_and_the_sdk(path: Path) -> None:
    imported = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="ascii"), feature_version=(3, 11))):
        if isinstance(node, ast.Import):
            imported |= {name.name.split(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            imported.add(str(node.module).split(".")[0])
    assert imported - sys.stdlib_module_names == {"boto3", "botocore"}


@pytest.mark.parametrize("path", HANDLERS, ids=lambda path: path.parent.name)
def test_a_handler_is_small_and_plain_enough_for_a_template(path: Path) -> None:
    # CloudFormation takes 4 MiB of inline code, and a template of 1 MB in all; other than ASCII can arrive as "?".
    text = path.read_bytes()
    assert text.isascii()
    assert len(text) < 24_000


@pytest.mark.parametrize("path", HANDLERS, ids=lambda path: path.parent.name)
def test_a_handler_has_the_entry_that_index_handler_names(path: Path) -> None:
    functions = {node.name: node for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)}
    assert [argument.arg for argument in functions["handler"].args.args] == ["event", "context"]
