"""Checks of a live OpenMRS.

Sources: openmrs/openmrs-core, web/.../filter/StartupFilter.java; openmrs-module-webservices.rest,
AuthorizationFilter.java and SessionController1_9.java; openmrs-module-fhir2, AuthenticationFilter.java.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hostemr.operate.verification.front import Front
from hostemr.operate.verification.openemr import judge_capability_statement, judge_closed
from hostemr.operate.verification.outcome import Check, Failed, Skipped
from hostemr.operate.verification.web import Reply, Web

REST_GUIDE = "https://rest.openmrs.org/"
FHIR_GUIDE = "https://wiki.openmrs.org/display/projects/OpenMRS+FHIR+Module"
CORE = "https://github.com/openmrs/openmrs-core/blob/master/web/src/main/java/org/openmrs/web/filter"
START = "/openmrs/spa/login"
SESSION = "/openmrs/ws/rest/v1/session"
# Any search: two letters are the least that OpenMRS looks for in names.
PATIENTS = "/openmrs/ws/rest/v1/patient?q=an&limit=1"
FHIR = "/openmrs/ws/fhir2/R4"
# The administrator that OpenMRS is set up with unless told otherwise (OMRS_ADMIN_USER_PASSWORD).
DEFAULT_ACCOUNT = ("admin", "Admin123")


@dataclass(frozen=True)
class Account:
    """A user of OpenMRS; the password shows nowhere."""

    user: str
    password: str = field(repr=False)

    @property
    def basic(self) -> tuple[str, str]:
        """For HTTP Basic authentication."""
        return self.user, self.password


def openmrs_checks(front: Front, account: Account | None, *, default_password: bool) -> list[Check]:
    """The checks, in order; those that need an account are skipped without one."""
    web = front.web
    trusted = ("tls.trusted",) if web.address.secure else ()

    def signed_in(path: str) -> Reply:
        if account is None:
            raise Skipped("it needs an account: --user")
        return web.get(path, basic=account.basic)

    return [
        Check(
            "health.alive",
            "The backend is alive",
            "GET /openmrs/health/alive",
            lambda: _healthy(web, "alive"),
            "see the backend's log: `aws logs tail`",
            f"{CORE}/StartupFilter.java",
            needs=trusted,
        ),
        Check(
            "health.started",
            "OpenMRS has started, its database brought up to date",
            "GET /openmrs/health/started",
            lambda: _healthy(web, "started"),
            "a first start takes up to half an hour; then see the backend's log",
            f"{CORE}/StartupFilter.java",
            needs=trusted,
        ),
        Check(
            "login.page",
            "The application's page is shown",
            f"GET {START}",
            lambda: _page(front),
            "see the log of the frontend's and the gateway's container",
            "https://github.com/openmrs/openmrs-distro-referenceapplication",
            needs=trusted,
        ),
        Check(
            "session.anonymous",
            "A visitor has no session",
            f"GET {SESSION}",
            lambda: _anonymous(web),
            "see the backend's log: the REST module may not have started",
            REST_GUIDE,
            needs=trusted,
        ),
        Check(
            "login.default",
            "The published default password is refused",
            f"GET {SESSION} as {DEFAULT_ACCOUNT[0]} with the password that OpenMRS's manual names; one attempt",
            lambda: _default_password(web, asked=default_password),
            "change the administrator's password at once: whoever reads the manual can log in",
            "https://openmrs.atlassian.net/wiki/spaces/docs/pages/25477199",
            needs=("session.anonymous",),
        ),
        Check(
            "setup.closed",
            "The installation wizard is not open",
            "GET /openmrs/initialsetup",
            lambda: _no_wizard(web),
            "OpenMRS found no database: see the backend's log before anyone else sets it up",
            f"{CORE}/initialization/InitializationFilter.java",
            needs=trusted,
        ),
        Check(
            "rest.closed",
            "The REST API gives no patient to a visitor",
            f"GET {PATIENTS}",
            lambda: judge_closed(web.get(PATIENTS)),
            "take the privileges from the role Anonymous",
            REST_GUIDE,
            needs=trusted,
        ),
        Check(
            "fhir.closed",
            "FHIR gives no patient to a visitor",
            f"GET {FHIR}/Patient",
            lambda: judge_closed(web.get(f"{FHIR}/Patient?_count=1")),
            "take the privileges from the role Anonymous",
            FHIR_GUIDE,
            needs=trusted,
        ),
        Check(
            "session.user",
            "The account can log in",
            f"GET {SESSION} with --user",
            lambda: _session(signed_in(SESSION)),
            "is the password right? OpenMRS locks an account for five minutes after seven failures",
            REST_GUIDE,
            needs=("session.anonymous",),
        ),
        Check(
            "rest.patient",
            "The REST API finds patients",
            f"GET {PATIENTS} with --user",
            lambda: _results(signed_in(PATIENTS)),
            "the account needs the privilege Get Patients",
            REST_GUIDE,
            needs=("session.user",),
        ),
        Check(
            "fhir.metadata",
            "FHIR's CapabilityStatement, version 4.0.1",
            f"GET {FHIR}/metadata with --user",
            lambda: judge_capability_statement(signed_in(f"{FHIR}/metadata")),
            "see the backend's log: the FHIR2 module may not have started",
            FHIR_GUIDE,
            needs=("session.user",),
        ),
        Check(
            "fhir.patient",
            "FHIR finds patients",
            f"GET {FHIR}/Patient with --user",
            lambda: judge_bundle(signed_in(f"{FHIR}/Patient?_count=1")),
            "the account needs the privilege Get Patients",
            FHIR_GUIDE,
            needs=("session.user",),
        ),
    ]


def judge_bundle(reply: Reply) -> str:
    """A FHIR search's result. How many, never who. Raises Failed."""
    if reply.status != 200:
        raise Failed(f"HTTP {reply.status}")
    read = reply.json()
    if read.get("resourceType") != "Bundle":
        raise Failed(f"the resource is {read.get('resourceType')!r}; expected Bundle")
    total = read.get("total")
    return f"a Bundle, {total if isinstance(total, int) else 'unknown'} in all"


def _healthy(web: Web, what: str) -> str:
    reply = web.get(f"/openmrs/health/{what}")
    if reply.status != 200:
        raise Failed(f"HTTP {reply.status}")
    return "HTTP 200"


def _page(front: Front) -> str:
    page = front.page
    if page.status != 200 or "html" not in (page.header("Content-Type") or ""):
        raise Failed(f"HTTP {page.status}, {page.header('Content-Type')}")
    if "openmrs" not in page.text.lower():
        raise Failed("a page, but not OpenMRS's")
    return f"HTTP 200 at {page.url}"


def _anonymous(web: Web) -> str:
    reply = web.get(SESSION)
    authenticated = reply.json().get("authenticated")
    if reply.status != 200 or authenticated is None:
        raise Failed(f"HTTP {reply.status} without a session")
    if authenticated is not False:
        raise Failed("a visitor is logged in")
    return "authenticated: false"


def _default_password(web: Web, *, asked: bool) -> str:
    if not asked:
        raise Skipped("--no-default-password")
    reply = web.get(SESSION, basic=DEFAULT_ACCOUNT)
    if reply.status in {401, 403} or (reply.status == 200 and reply.json().get("authenticated") is False):
        return "refused"
    if reply.json().get("authenticated") is True:
        raise Failed(f"{DEFAULT_ACCOUNT[0]} can log in with it")
    raise Failed(f"the answer is not understood: HTTP {reply.status}", remedy="try it by hand in a browser")


def _no_wizard(web: Web) -> str:
    reply = web.get("/openmrs/initialsetup")
    if reply.status == 200 and "wizard" in reply.text.lower():
        raise Failed("the wizard is shown")
    return f"HTTP {reply.status}"


def _session(reply: Reply) -> str:
    if reply.json().get("authenticated") is not True:
        raise Failed(f"HTTP {reply.status}, not authenticated")
    return "authenticated: true"


def _results(reply: Reply) -> str:
    results = reply.json().get("results")
    if reply.status != 200 or not isinstance(results, list):
        raise Failed(f"HTTP {reply.status} without results")
    return f"HTTP 200, {len(results)} on the first page"
