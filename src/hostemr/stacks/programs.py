"""The programs that run in containers: files of `containers/`, put together."""

from __future__ import annotations

from importlib import resources

from hostemr.deployment.application import Application


def program_parts(application: Application, name: str) -> list[str]:
    """The files that make up a program, in order, without their lines of comment.

    A task definition holds 64 KiB, and comments are for those who read the files. No here-document has a line that
    begins with `#` and means something.
    """
    folder = resources.files("hostemr.stacks").joinpath("containers")
    texts = [folder.joinpath(part).read_text(encoding="utf-8") for part in application.scripts[name]]
    return ["".join(line for line in text.splitlines(keepends=True) if _runs(line)) for text in texts]


def program_text(application: Application, name: str) -> str:
    """The whole text of a program, as `/bin/sh -c` takes it."""
    return "\n".join(program_parts(application, name))


def _runs(line: str) -> bool:
    return not line.lstrip().startswith("#")
