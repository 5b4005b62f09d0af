"""django-post-office on MariaDB, delivering through Django's SMTP backend.

    python -m benchmarks.peers.post_office prepare --database URL --recipients N --letter FILE
    python -m benchmarks.peers.post_office send --database URL --smtp-port P

`prepare` makes the tables, which is not timed, and queues a mail for each recipient, which is. `send` times
`send_queued_mail`, the command that its documentation has run by cron, until nothing is queued.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import django  # type: ignore[import-untyped]
import pymysql
from django.conf import settings  # type: ignore[import-untyped]
from django.core.management import call_command  # type: ignore[import-untyped]
from sqlalchemy.engine import make_url

SENDER = "OEMR <board@example.org>"
SUBJECT = "Security advisory"
LINK = "https://registration.example.org/unsubscribe/{:032x}/security"
# What one send_many inserts in one statement, well below the longest packet that MariaDB takes.
QUEUED_AT_ONCE = 1000
# Of each batch's processes and connections new ones are made, which takes half a second: of its default of 100
# mails it sends fewer with two processes than with one. A batch is what a crash sends a second time.
BATCH_SIZE = 5000
# One for each core. The threads are its default; by its documentation, and here, they do little for SMTP.
PROCESSES = 2
THREADS = 5


def configure(database: str, *, smtp_port: int = 25, batch_size: int = BATCH_SIZE, threads: int = THREADS) -> None:
    """A Django site with nothing but post_office."""
    # What Django calls MySQLdb; PyMySQL is also what `flask` has beside hostemr.
    pymysql.install_as_MySQLdb()
    url = make_url(database)
    settings.configure(
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.mysql",
                "NAME": url.database,
                "HOST": url.host,
                "PORT": url.port,
                "USER": url.username,
                "PASSWORD": url.password or "",
                "OPTIONS": {"charset": "utf8mb4"},
            }
        },
        INSTALLED_APPS=["post_office"],
        TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}],
        USE_TZ=True,
        EMAIL_BACKEND="post_office.EmailBackend",
        EMAIL_HOST="127.0.0.1",
        EMAIL_PORT=smtp_port,
        POST_OFFICE={
            "BACKENDS": {"default": "django.core.mail.backends.smtp.EmailBackend"},
            "BATCH_SIZE": batch_size,
            "THREADS_PER_PROCESS": threads,
            # That a mail was sent stands in its own row; level 2 inserts another one for each.
            "LOG_LEVEL": 1,
        },
        LOGGING={
            "version": 1,
            "disable_existing_loggers": False,
            "handlers": {"stderr": {"class": "logging.StreamHandler"}},
            "loggers": {"post_office": {"handlers": ["stderr"], "level": "WARNING"}},
        },
    )
    django.setup()


def prepare(recipients: int, letter: str) -> float:
    """Make the tables and queue the mails; answers the seconds that queueing took."""
    from post_office import mail  # type: ignore[import-untyped]

    call_command("migrate", verbosity=0)
    message = letter + "\nTo get no more of this mail: {{ link }}\n"
    start = time.monotonic()
    for first in range(1, recipients + 1, QUEUED_AT_ONCE):
        mails = []
        for number in range(first, min(first + QUEUED_AT_ONCE, recipients + 1)):
            link = LINK.format(number)
            mails.append(
                {
                    "sender": SENDER,
                    "recipients": [f"member{number}@example.org"],
                    "subject": SUBJECT,
                    "message": message,
                    "context": {"link": link},
                    "headers": {
                        "List-Unsubscribe": f"<{link}>",
                        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
                    },
                }
            )
        mail.send_many(mails)
    return time.monotonic() - start


def send(processes: int) -> dict[str, float]:
    """Send all that is queued."""
    from post_office.models import STATUS, Email  # type: ignore[import-untyped]

    recipients = Email.objects.filter(status=STATUS.queued).count()
    with tempfile.TemporaryDirectory() as folder:
        start = time.monotonic()
        call_command("send_queued_mail", processes=processes, lockfile=str(Path(folder) / "lock"))
        seconds = time.monotonic() - start
    sent = Email.objects.filter(status=STATUS.sent).count()
    if sent != Email.objects.count():
        raise RuntimeError(f"{sent} of {Email.objects.count()} mails were sent")
    return {"recipients": recipients, "seconds": seconds}


def main() -> None:
    """One of the two commands."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers.post_office")
    parser.add_argument("command", choices=("prepare", "send"))
    parser.add_argument("--database", required=True)
    parser.add_argument("--recipients", type=int, default=0)
    parser.add_argument("--letter", type=Path, help="plain text; its link is added to it")
    parser.add_argument("--smtp-port", type=int, default=25)
    parser.add_argument("--batch-size", type=int, default=BATCH_SIZE)
    parser.add_argument("--processes", type=int, default=PROCESSES)
    parser.add_argument("--threads", type=int, default=THREADS, help="of each process")
    given = parser.parse_args()
    configure(given.database, smtp_port=given.smtp_port, batch_size=given.batch_size, threads=given.threads)
    if given.command == "prepare":
        seconds = prepare(given.recipients, given.letter.read_text())
        print(json.dumps({"recipients": given.recipients, "seconds": seconds}))
    else:
        print(json.dumps(send(given.processes)))


if __name__ == "__main__":
    main()
