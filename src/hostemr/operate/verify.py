"""Prove a live deployment: every check of `hostemr.operate.verification` that fits it, in order."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable
from dataclasses import dataclass

from hostemr.errors import SettingsError
from hostemr.operate.verification.api import Access, Operator, Visit, api_checks, port_of
from hostemr.operate.verification.callback import Callback
from hostemr.operate.verification.front import Front, reachable
from hostemr.operate.verification.oauth import Authority
from hostemr.operate.verification.openemr import login_path, openemr_checks
from hostemr.operate.verification.openmrs import SESSION, START, Account, openmrs_checks
from hostemr.operate.verification.outcome import Check, Outcome, Secrets, run
from hostemr.operate.verification.registration import COUNT, registration_checks
from hostemr.operate.verification.registration import START as REGISTRATION_START
from hostemr.operate.verification.report import Verification
from hostemr.operate.verification.transport import transport_checks
from hostemr.operate.verification.web import Cookies, NoAnswer, UntrustedCertificate, Web

OPENEMR = "openemr"
OPENMRS = "openmrs"
REGISTRATION = "registration"


@dataclass(frozen=True)
class Question:
    """What to verify. `application` None: find out. `access` is for OpenEMR's APIs, `account` for OpenMRS.

    `http_port` is where plain HTTP would answer; None where nobody can know.
    """

    application: str | None = None
    site: str = "default"
    http_port: int | None = 80
    default_password: bool = True
    access: Access | None = None
    account: Account | None = None
    callback_port: int = 0


def verify(
    web: Web,
    question: Question,
    *,
    operator: Operator,
    told: Callable[[Outcome], None],
    today: dt.datetime | None = None,
    pause: Callable[[float], None] = time.sleep,
) -> Verification:
    """Ask everything and tell of each outcome as it comes.

    Raises NoAnswer (exit status 3) when the host cannot be reached, SettingsError (2) when what is asked for does
    not fit what answers. Failed checks are no error: they are in the answer.
    """
    _fitting(web, question)
    now = today or dt.datetime.now(dt.UTC)
    reachable(web)
    application = question.application or recognize(web)
    if application is not None:
        _fitting(web, question, application)
    secrets = Secrets()
    if question.account is not None:
        secrets.add(question.account.password)
    starts = {OPENMRS: START, REGISTRATION: REGISTRATION_START}
    front = Front(web, starts.get(application or "") or login_path(question.site))
    checks: list[Check] = transport_checks(web, lambda: front, http_port=question.http_port, today=now)
    if application == OPENEMR:
        wanted = question.access is not None
        checks += openemr_checks(front, question.site, default_password=question.default_password, apis_wanted=wanted)
    elif application == OPENMRS:
        checks += openmrs_checks(front, question.account, default_password=question.default_password)
    elif application == REGISTRATION:
        # A browser may be redirected; what asks this service is no browser.
        checks = [one for one in checks if one.id != "http.redirect"]
        checks += registration_checks(front, http_port=question.http_port)
    outcomes = run(checks, secrets=secrets, told=told)
    if application == OPENEMR and question.access is not None:
        outcomes += _logged_in(
            web,
            question.access,
            question.callback_port,
            operator=operator,
            secrets=secrets,
            told=told,
            pause=pause,
            before=outcomes,
        )
    return Verification(web.address.base, application, now.isoformat(timespec="seconds"), tuple(outcomes))


def recognize(web: Web) -> str | None:
    """Which application answers; None when its certificate is not trusted. Raises SettingsError if it is neither."""
    try:
        session = web.get(SESSION)
        if "authenticated" in session.json():
            return OPENMRS
        started, alive = web.get("/openmrs/health/started"), web.get("/meta/health/livez")
        # OpenMRS that starts says 503 to this; a load balancer without tasks says it to everything.
        if started.status == 200 or (started.status == 503 and alive.status != 503):
            return OPENMRS
        if alive.json().get("status") == "alive":
            return OPENEMR
        if isinstance(web.get(COUNT).json().get("count"), int):
            return REGISTRATION
        first = web.follow("/", Cookies())
    except UntrustedCertificate:
        return None
    if 'name="authUser"' in first.text:
        return OPENEMR
    if first.status >= 500:
        message = f"{web.address.base} answers HTTP {first.status} to everything, so what runs there cannot be told."
        hint = "does a task run? `aws ecs describe-services` says why not; --application asks all the same"
        raise NoAnswer(message, hint=hint)
    raise SettingsError(
        [f"{web.address.base} answers, but neither as OpenEMR nor as OpenMRS nor as the registration service"],
        hint="--application says which it is; is the path in the URL right?",
    )


def _logged_in(
    web: Web,
    access: Access,
    port: int,
    *,
    operator: Operator,
    secrets: Secrets,
    told: Callable[[Outcome], None],
    pause: Callable[[float], None],
    before: list[Outcome],
) -> list[Outcome]:
    known = access.known(Authority(web, access.site))
    with Callback(port_of(known) if known is not None else port) as callback:
        visit = Visit(web, access, callback, operator=operator, secrets=secrets, pause=pause)
        try:
            return run(api_checks(visit, access.site), secrets=secrets, told=told, before=before)
        finally:
            # After ctrl-C too.
            if visit.left_behind is not None:
                operator.tell(visit.left_behind)


def _fitting(web: Web, question: Question, application: str | None = None) -> None:
    """Refuse what cannot be meant, before anything is sent."""
    application = application or question.application
    problems = []
    if not web.address.secure and (question.access is not None or question.account is not None):
        problems.append(f"{web.address.base} is not https; passwords and tokens are not sent in the clear")
    if application == OPENMRS and question.access is not None:
        problems.append("--api is for OpenEMR; for OpenMRS give --user")
    if application == REGISTRATION and (question.access is not None or question.account is not None):
        problems.append("--api and --user are for OpenEMR and OpenMRS; the registration service is asked without them")
    if application == OPENEMR and question.account is not None:
        problems.append("--user is for OpenMRS; OpenEMR asks for its users in the browser, with --api")
    if problems:
        raise SettingsError(problems)
