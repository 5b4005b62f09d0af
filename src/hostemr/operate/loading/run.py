"""One load from trial to result, without a terminal: what the verb, the benchmarks and the tests call."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import platform
import random
import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from hostemr.errors import FindingsError, OutsideWorldError
from hostemr.operate.loading.aiohttp_browser import browsers as over_aiohttp
from hostemr.operate.loading.browser import Browsers
from hostemr.operate.loading.engine import Engine, Glance, Load
from hostemr.operate.loading.result import Result
from hostemr.operate.loading.scenario import Scenario
from hostemr.operate.loading.tally import Outcome, Tally
from hostemr.operate.loading.target import Target
from hostemr.operate.loading.visitor import Account, Visitor
from hostemr.operate.trust import trust

REQUEST_TIMEOUT_SECONDS = 30.0
"""Half of a load balancer's usual idle timeout of 60 s; a person has long given up."""


def run_load(
    target: Target,
    scenario: Scenario,
    load: Load,
    *,
    accounts: Sequence[Account] = (),
    write: bool = False,
    ca_file: str | None = None,
    glance: Callable[[Glance], Any] = lambda _: None,
    say: Callable[[str], Any] = lambda _: None,
    dice: random.Random | None = None,
    browsers: Browsers | None = None,
) -> Result:
    """Try the scenario once, then run it. Journeys that write are left out unless `write`.

    Ctrl-C ends the run early, a second one at once; a result comes in any case. Raises OutsideWorldError if the target
    does not answer at the trial, FindingsError if the scenario fails there, SettingsError if `ca_file` is no PEM file.
    """
    left_out = () if write else tuple(one.name for one in scenario.journeys if one.writes)
    if not write:
        scenario = scenario.reading_only()
    if browsers is None:
        context = trust(Path(ca_file) if ca_file else None)
        browsers = over_aiohttp(target, timeout_seconds=REQUEST_TIMEOUT_SECONDS, context=context)

    async def both() -> Result:
        say("trying the scenario once, as one user …")
        await trial(scenario, target, browsers, accounts)
        say("the trial is good; the load begins. Ctrl-C ends it early, with a result.")
        engine = Engine(scenario, target.root, browsers, load, accounts=accounts, glance=glance, dice=dice)
        begun = dt.datetime.now(dt.UTC)
        with _interruptible(engine, say):
            ended = await engine.run()
        machine = platform.node() or "this machine"
        return Result(target.root, scenario, load, engine.tally, ended, begun, machine, left_out)

    return asyncio.run(both())


async def trial(scenario: Scenario, target: Target, browsers: Browsers, accounts: Sequence[Account]) -> None:
    """Every journey once, without pauses, as one user: a wrong password must not be tried by a hundred users at once.

    Many applications lock an account after some failed log-ins. Raises as run_load says.
    """
    loop = asyncio.get_running_loop()
    names = tuple(dict.fromkeys(step.name for step in scenario.steps))
    for account in accounts or (None,):
        visitor = Visitor(
            scenario,
            target.root,
            browsers,
            account=account,
            tally=Tally(names),
            clock=loop.time,
            think=_no_pause,
            dice=random.Random(),
        )
        try:
            # Of further accounts only the log-in is new.
            for journey in scenario.journeys if account is None or account == accounts[0] else scenario.journeys[:1]:
                failed = await visitor.visit(journey=journey)
                if failed:
                    raise _trial_error(failed, target, account)
        finally:
            await visitor.leave()


def _trial_error(failed: Outcome, target: Target, account: Account | None) -> OutsideWorldError | FindingsError:
    detail = f" ({failed.detail})" if failed.detail else ""
    if failed.status is None:
        message = f"{target.root} does not answer: {failed.error}{detail}. No load was sent."
        hints = {
            "TLS": "give the certificate authority with --ca-file, or use the name that the certificate is for; "
            "where nothing speaks TLS, URL begins with http:",
            "unknown host": "is the name right, and already in the DNS?",
            "redirect to another host": "name that host in URL, or with --allow-host if it is yours",
        }
        return OutsideWorldError(message, hint=hints.get(failed.error or "", "is it running, and may you reach it?"))
    who = f" as {account.name}" if account else ""
    message = f"the trial failed{who} at step {failed.step!r}: {failed.error}{detail}. No load was sent."
    return FindingsError(message, hint="check the log-in, and that the scenario fits this application and its data")


async def _no_pause(_: float) -> None:
    """The trial is one user: it need not think."""


@contextlib.contextmanager
def _interruptible(engine: Engine, say: Callable[[str], Any]) -> Iterator[None]:
    """Ctrl-C stops the engine, a second one aborts it; after that, Python's own way is back.

    So do SIGTERM and a closed terminal, as when a script's time is over: the result is not lost.
    """
    loop = asyncio.get_running_loop()
    handled = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]

    def first() -> None:
        say("stopping: requests that run may end. Ctrl-C once more ends at once.")
        engine.stop()
        for one in handled:
            loop.add_signal_handler(one, second)

    def second() -> None:
        engine.abort()
        while handled:
            loop.remove_signal_handler(handled.pop())

    try:
        for one in handled:
            loop.add_signal_handler(one, first)
    except (NotImplementedError, RuntimeError, ValueError):
        # Windows' event loop, or a thread that is not the main one: Ctrl-C stays what it was.
        yield
        return
    try:
        yield
    finally:
        for one in handled:
            loop.remove_signal_handler(one)
