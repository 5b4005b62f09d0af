"""The agent's command line: what was asked goes to stdout, talk to stderr, every error is one line with a hint."""

from __future__ import annotations

import argparse
import json
import re
import signal
import sys
from collections.abc import Callable
from datetime import UTC, datetime, time
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from hostemr.errors import FindingsError, HostemrError, OutsideWorldError, SettingsError
from hostemr.host import backup as backups
from hostemr.host import drill as drills
from hostemr.host import sources
from hostemr.host import status as states
from hostemr.host.configuration import DEFAULT_PATH, load
from hostemr.host.engines import Engine
from hostemr.host.generations import previous, remove_previous
from hostemr.host.lock import locked
from hostemr.host.proof import candidates
from hostemr.host.server import Server, server_of
from hostemr.host.space import mib
from hostemr.host.watch import watch

_CRONTAB = Path("/etc/crontab")
_DAILY = re.compile(r"^\s*(\d+)\s+(\d+)\s+\*\s+\*\s+\*\s.*cron\.daily", re.MULTILINE)
_EXIT = """exit status: 0 done; 1 findings, or a failed check; 2 wrong use or settings; 3 the outside world failed;
4 refused to harm data"""


def main(arguments: list[str]) -> int:
    """Run one verb; answers its exit status."""
    options = _parser().parse_args(arguments)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        # What nohup(1) has decided stays decided.
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _stopped)
    try:
        status: int = options.verb(server_of(load(options.config)), options)
    except HostemrError as error:
        return _report(error, as_json=options.json)
    except KeyboardInterrupt as error:
        name = error.name if isinstance(error, Stopped) else "SIGINT"
        stopped = OutsideWorldError(f"The agent was told to stop ({name}).", hint="run it again; nothing was harmed")
        return _report(stopped, as_json=options.json)
    except OSError as error:
        # A full or broken disk is the world's doing, not a defect of the agent's.
        where = f"{error.filename}: " if error.filename else ""
        return _report(OutsideWorldError(f"{where}{error.strerror or error}."), as_json=options.json)
    return status


class Stopped(KeyboardInterrupt):
    """The process was told to stop. No HostemrError: that would be tried again, or taken for a damaged backup."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


def _stopped(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001, the signature of a handler
    # What is undone on the way out takes a moment, and a second signal is no reason to leave it half done.
    for one in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(one, signal.SIG_IGN)
    raise Stopped(signal.Signals(number).name)


def _report(error: HostemrError, *, as_json: bool) -> int:
    lines = error.message.split("\n")
    if as_json:
        print(json.dumps({"error": lines[0], "errors": lines, "hint": error.hint}), file=sys.stderr)
        return error.exit_status
    for line in lines:
        print(f"error: {line}", file=sys.stderr)
    if error.hint:
        print(f"hint: {error.hint}", file=sys.stderr)
    return error.exit_status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="hostemr-host", description="The agent of an Express Plus server.", epilog=_EXIT
    )
    parser.add_argument("--config", type=Path, default=DEFAULT_PATH, help="the server's settings [%(default)s]")
    verbs = parser.add_subparsers(title="verbs", required=True, metavar="VERB")

    def verb(name: str, run: Callable[[Server, argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        one = verbs.add_parser(name, help=text, description=text, epilog=_EXIT)
        one.add_argument("--json", action="store_true", help="print JSON, errors included")
        one.set_defaults(verb=run)
        return one

    verb("setup", _setup, "Mount the data volume, write every file, start OpenEMR; safe to be repeated.")
    one = verb("backup", _backup, "Take a backup, prove it, store it, and forget what is too old.")
    one.add_argument(
        "--accept-loss",
        action="store_true",
        help="what earlier backups hold more is meant to be gone: compare with this one",
    )
    one.add_argument("--attempts", type=int, default=1, metavar="N", help="try again after a failure [%(default)s]")
    one = verb("restore", _restore, "Put the newest good backup in the place of the present data.")
    _source(one)
    one.add_argument(
        "--layout",
        choices=("hostemr", "original"),
        default="hostemr",
        help="`original` for what the original OpenEMR Express Plus stored [%(default)s]",
    )
    one.add_argument("--confirm", action="store_true", help="do it; without, say what would be done and exit 1")
    one = verb("points", _points, "List the stored points, oldest first.")
    _source(one)
    verb("drill", _drill, "Restore the newest backup beside the live data, compare everything, and throw it away.")
    verb("status", _status, "One screen: last backup, last drill, and whether one could restore right now.")
    verb("watch", _watch, "Put ages, disk and health to CloudWatch; cron runs it every five minutes.")
    one = verb("undelete", _undelete, "Bring deleted or overwritten backups in the bucket back.")
    one.add_argument("--as-of", required=True, metavar="TIME", help="as they were at this moment (UTC, ISO 8601)")
    one.add_argument("--confirm", action="store_true", help="do it; without, say what would be done and exit 1")
    one = verb("discard", _discard, "Remove the data from before a restore at once.")
    one.add_argument("--confirm", action="store_true", help="do it; without, say what would be done and exit 1")
    return parser


def _source(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--from",
        dest="source",
        default="own",
        metavar="SOURCE",
        help="`own` bucket, `recovery` for the stack this server recovers from, or a folder [%(default)s]",
    )
    parser.add_argument(
        "--engine", choices=("restic", "duplicity"), help="what made the backups [the server's own engine]"
    )
    parser.add_argument(
        "--passphrase-file", type=Path, metavar="FILE", help="what opens a folder [the server's own secret]"
    )
    parser.add_argument("--time", metavar="TIME", help="the newest at or before (UTC, ISO 8601; a day means its end)")


def _engine(server: Server, options: argparse.Namespace) -> Engine:
    if options.source in {"own", "recovery"} and options.passphrase_file is not None:
        raise SettingsError([f"--passphrase-file is for a folder, not for {options.source}"])
    if options.source == "own":
        return sources.own(server, engine=options.engine, read_only=True)
    if options.source == "recovery" and options.engine is not None:
        raise SettingsError(["--engine is for `own` and for a folder; the stack says it of a recovery"])
    if options.source == "recovery":
        return sources.recovery(server)
    path = Path(options.source).absolute()
    return sources.folder(server, path, options.engine or server.configuration.engine, options.passphrase_file)


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
        if re.fullmatch(r"\d{4}-?\d{2}-?\d{2}", text):
            moment = datetime.combine(moment, time.max)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise SettingsError([f"{text!r} is no time: expected such as 2026-11-21 or 2026-11-21T14:30"]) from error


def _setup(server: Server, options: argparse.Namespace) -> int:
    from hostemr.host.recovering import recover
    from hostemr.host.setup import set_up

    set_up(server, restore_from_recovery=lambda: recover(server))
    return _answer(options, {"done": True}, "OpenEMR is served.")


def _backup(server: Server, options: argparse.Namespace) -> int:
    done = backups.backup(
        server, sources.own(server), attempts=max(1, options.attempts), accept_loss=options.accept_loss
    )
    facts: dict[str, Any] = {
        "point": done.point.id,
        "taken": done.point.taken.isoformat(),
        "files": done.manifest.files,
        "size": done.manifest.size,
        "tables": len(done.manifest.tables),
        "rows": done.manifest.rows,
        "seconds": round(done.seconds, 1),
        "forgotten": [point.id for point in done.forgotten],
        "suspicious": list(done.suspicious),
    }
    text = (
        f"stored {done.point.id}: {done.manifest.files} files, {mib(done.manifest.size)}, "
        f"{done.manifest.rows} rows in {len(done.manifest.tables)} tables, in {done.seconds:.0f} s"
    )
    _answer(options, facts, text)
    if done.suspicious:
        raise FindingsError(
            "The backup is stored, and something may be lost: " + "; ".join(done.suspicious),
            hint="earlier backups are kept; restore with --time, or say --accept-loss if it is meant to be",
        )
    return 0


def _restore(server: Server, options: argparse.Namespace) -> int:
    from hostemr.host.recovering import restore_from

    moment = _moment(options.time)
    if not options.confirm:
        _warn(server, options, moment)
        return 1
    original = options.layout == "original"
    restored = restore_from(server, _engine(server, options), moment=moment, original=original)
    return _answer(options, restored.facts, restored.text)


def _warn(server: Server, options: argparse.Namespace, moment: datetime | None) -> None:
    """The seed's warning, and what would happen."""
    best = candidates(server, _engine(server, options), moment)[0]
    served = server.layout.served()
    present = f"generation {served}" if served else "nothing is served yet"
    print(
        f"""
*** WARNING ***

This puts a backup in the place of your database, OpenEMR's site files and the certificates.
What was entered after that backup was taken will no longer be there.

  the backup   {best.taken:%Y-%m-%d %H:%M:%S} UTC ({best.id}), from {options.source}
  the present  {present}; it is kept for {server.configuration.keep_previous_days} days,
               and comes back by itself if the restore fails

Everything is fetched and checked before OpenEMR is stopped. Take a snapshot of the data volume first if you can,
and try this on a recovery server before you need it.

Run it again with --confirm when you are prepared to continue.
""",
        file=sys.stderr,
    )


def _points(server: Server, options: argparse.Namespace) -> int:
    moment = _moment(options.time)
    points = [point for point in _engine(server, options).points() if moment is None or point.taken <= moment]
    facts = [{"id": point.id, "taken": point.taken.isoformat(), "needs": list(point.needs)} for point in points]
    text = "\n".join(f"{point.taken:%Y-%m-%d %H:%M:%S} UTC  {point.id}" for point in points)
    return _answer(options, {"points": facts}, text or "nothing is stored")


def _drill(server: Server, options: argparse.Namespace) -> int:
    drilled = drills.drill(server, sources.own(server))
    facts = {
        "point": drilled.point.id,
        "taken": drilled.point.taken.isoformat(),
        "seconds": round(drilled.seconds, 1),
        "files": drilled.manifest.files,
        "size": drilled.manifest.size,
        "tables": len(drilled.manifest.tables),
        "rows": drilled.manifest.rows,
    }
    text = (
        f"restored {drilled.point.id} of {drilled.point.taken:%Y-%m-%d %H:%M} UTC in {drilled.seconds:.0f} s: "
        f"{drilled.manifest.files} files and {len(drilled.manifest.tables)} tables are what was stored"
    )
    return _answer(options, facts, text)


def _status(server: Server, options: argparse.Namespace) -> int:
    found = states.status(server, lambda: sources.own(server, read_only=True), _next_backup())
    _answer(options, found.as_json(), states.text(found))
    return 1 if found.obstacles or found.warnings else 0


def _watch(server: Server, options: argparse.Namespace) -> int:
    values = watch(server)
    facts = {name: value for name, (value, _) in values.items()}
    return _answer(options, facts, "\n".join(f"{name} {value}" for name, value in facts.items()))


def _undelete(server: Server, options: argparse.Namespace) -> int:
    from hostemr.host.undelete import undelete

    moment = _moment(options.as_of) or server.now()
    one = server.configuration
    with locked(server.layout.state, "undelete"):
        report = undelete(server.aws, one.bucket, one.prefix, moment, confirm=options.confirm, say=server.tell)
    facts = {
        "as_of": report.as_of.isoformat(),
        "changes": [str(change) for change in report.changes],
        "unchanged": report.unchanged,
        "later": report.later,
        "done": report.done,
    }
    _answer(options, facts, str(report))
    return 0 if options.confirm else 1


def _discard(server: Server, options: argparse.Namespace) -> int:
    kept = previous(server)
    if not options.confirm:
        listed = "\n".join(f"would remove {name}, replaced {since:%Y-%m-%d %H:%M} UTC" for name, since in kept.items())
        _answer(options, {"would_remove": list(kept)}, listed or "there is nothing to remove")
        return 1
    with locked(server.layout.state, "discard"):
        gone = remove_previous(server, at_once=True)
    return _answer(options, {"removed": gone}, "\n".join(f"removed {name}" for name in gone) or "nothing to remove")


def _next_backup() -> str:
    try:
        found = _DAILY.search(_CRONTAB.read_text(encoding="utf-8"))
    except OSError:
        found = None
    if found is None:
        return "whenever cron runs /etc/cron.daily"
    return f"daily at {int(found[2]):02d}:{int(found[1]):02d}, local time"


def _answer(options: argparse.Namespace, facts: object, text: str) -> int:
    print(json.dumps(facts, indent=2, ensure_ascii=False) if options.json else text)
    return 0
