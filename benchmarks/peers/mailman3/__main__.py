"""GNU Mailman 3 core on SQLite, its default database: one post to a list, a message for each member.

    python -m benchmarks.peers.mailman3 install --folder F
    python -m benchmarks.peers.mailman3 prepare --folder F --recipients N
    python -m benchmarks.peers.mailman3 send --folder F --recipients N --letter FILE --smtp-port P --count-port C

`install` makes a virtual environment in the folder, which several lists can use (`--environment`). `send`
measures from the post until the sink (`benchmarks.smtp_sink`) has the last member's message.

A post is one entry of Mailman's queue and is delivered by one process, one member after the other:
`instances` of the outgoing runner and processor cores help between posts, not within one.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

from benchmarks.smtp_sink import count_at, wait_until_arrived

HERE = Path(__file__).parent
FOOTER = "\nTo get no more of this mail: https://registration.example.org/unsubscribe/$user_delivered_to\n"
# A post passes these three; the rest (LMTP, REST, bounces, digests, archives, …) has nothing to do here.
NEEDED = ("in", "pipeline", "out")
UNNEEDED = ("archive", "bounces", "command", "digest", "lmtp", "rest", "retry", "task", "virgin")
# Mailman looks into each queue once a second; for a short list that would be what is measured.
SLEEP_TIME = "0.1s"
START_TIMEOUT_SECONDS = 60
STOP_TIMEOUT_SECONDS = 30
POLL_SECONDS = 0.05


class MailmanError(Exception):
    """Mailman did not start, or did not deliver everything."""


def write_configuration(folder: Path, smtp_port: int) -> Path:
    """Mailman's settings: its defaults, but for where it is, what it delivers to, and what it need not run."""
    runners = [f"[runner.{name}]\nstart: no\n" for name in UNNEEDED]
    runners += [f"[runner.{name}]\nsleep_time: {SLEEP_TIME}\n" for name in NEEDED]
    path = folder / "mailman.cfg"
    path.write_text(
        "[mailman]\nsite_owner: owner@example.org\nlayout: benchmark\n"
        f"[paths.benchmark]\nvar_dir: {folder / 'var'}\n"
        f"[mta]\nincoming: mailman.mta.null.NullMTA\nsmtp_host: 127.0.0.1\nsmtp_port: {smtp_port}\n" + "".join(runners)
    )
    return path


def install(environment: Path) -> None:
    """Make Mailman's virtual environment."""
    subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
    pip = [str(environment / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--requirement", str(HERE / "requirements.txt")], check=True)


def run_inside(environment: Path, configuration: Path, *arguments: str) -> str:
    """Run `inside.py` in that environment; answers what it prints."""
    command = [str(environment / "bin" / "python"), str(HERE / "inside.py"), str(configuration), *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def prepare(environment: Path, folder: Path, recipients: int) -> None:
    """Make the list, its members, and the footer that each member gets with their own link."""
    footer = folder / "var" / "templates" / "site" / "en" / "list:member:regular:footer.txt"
    footer.parent.mkdir(parents=True)
    footer.write_text(FOOTER)
    run_inside(environment, write_configuration(folder, 25), "prepare", str(recipients))


@contextlib.contextmanager
def running(environment: Path, folder: Path, configuration: Path) -> Iterator[None]:
    """Mailman's master and the runners that it starts."""
    log = folder / "var" / "logs" / "mailman.log"
    already = len(log.read_text()) if log.exists() else 0
    master = subprocess.Popen([str(environment / "bin" / "master"), "-C", str(configuration)])
    try:
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while not all(f" {name} runner started." in log.read_text()[already:] for name in NEEDED):
            if master.poll() is not None or time.monotonic() > deadline:
                raise MailmanError(f"Mailman did not start:\n{log.read_text()[already:][-3000:]}")
            time.sleep(POLL_SECONDS)
        yield
    finally:
        master.terminate()
        master.wait(STOP_TIMEOUT_SECONDS)


def wait_until_idle(folder: Path) -> None:
    """Wait until Mailman has taken the post out of its queue. Raises MailmanError where it put it aside instead."""
    queues = folder / "var" / "queue"
    deadline = time.monotonic() + STOP_TIMEOUT_SECONDS
    while any((queues / "out").iterdir()):
        if time.monotonic() > deadline:
            raise MailmanError("Mailman does not finish its post.")
        time.sleep(POLL_SECONDS)
    aside = [path for name in ("retry", "shunt", "bad", "virgin") for path in (queues / name).glob("*")]
    if aside:
        raise MailmanError(f"Mailman put something aside: {', '.join(map(str, aside))}")


def send(
    environment: Path, folder: Path, letter: str, recipients: int, *, smtp_port: int, count_port: int
) -> dict[str, float]:
    """Post, and wait until the sink has a message for every member."""
    configuration = write_configuration(folder, smtp_port)
    message = EmailMessage()
    message["From"] = "board@example.org"
    message["To"] = "announce@example.org"
    message["Subject"] = "Security advisory"
    message["Message-ID"] = f"<{time.time_ns()}@example.org>"
    message.set_content(letter)
    file = folder / "post.eml"
    file.write_text(message.as_string())
    before = count_at(count_port)
    with running(environment, folder, configuration):
        start = float(run_inside(environment, configuration, "post", str(file)))
        # A member takes Mailman some 20 ms.
        count = wait_until_arrived(count_port, before.recipients + recipients, timeout_seconds=60 + recipients / 5)
        wait_until_idle(folder)
    if count.recipients - before.recipients != recipients or count.messages - before.messages != recipients:
        raise MailmanError(f"{recipients} members, but the sink counts {before} before and {count} after.")
    return {"recipients": recipients, "seconds": count.last_at - start}


def main() -> None:
    """One of the three commands."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers.mailman3")
    parser.add_argument("command", choices=("install", "prepare", "send"))
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--environment", type=Path, help="FOLDER/environment where it is not given")
    parser.add_argument("--recipients", type=int, default=0)
    parser.add_argument("--letter", type=Path, help="plain text; its link is added to it")
    parser.add_argument("--smtp-port", type=int, default=0)
    parser.add_argument("--count-port", type=int, default=0)
    given = parser.parse_args()
    folder = given.folder.resolve()
    environment = (given.environment or folder / "environment").resolve()
    if given.command == "install":
        install(environment)
    elif given.command == "prepare":
        prepare(environment, folder, given.recipients)
        print(json.dumps({"recipients": given.recipients}))
    else:
        ports = {"smtp_port": given.smtp_port, "count_port": given.count_port}
        print(json.dumps(send(environment, folder, given.letter.read_text(), given.recipients, **ports)))


if __name__ == "__main__":
    main()
