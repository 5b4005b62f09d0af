"""Checks of a live OpenEMR that need no account.

Sources: openemr/openemr, meta/health/index.php, src/Health/HealthChecker.php, interface/login/login.php,
Documentation/api/{AUTHENTICATION,FHIR_API,STANDARD_API,SMART_ON_FHIR}.md.
"""

from __future__ import annotations

from urllib.parse import quote

from hostemr.operate.verification.front import Front
from hostemr.operate.verification.outcome import Check, Failed, Skipped
from hostemr.operate.verification.web import Reply, Web, split

REPOSITORY = "https://github.com/openemr/openemr/blob/master"
API_GUIDE = f"{REPOSITORY}/Documentation/api"
LOGIN = "/interface/login/login.php"
FHIR_VERSION = "4.0.1"
# The account and password of the image when OE_USER and OE_PASS are not given.
DEFAULT_ACCOUNT = ("admin", "pass")
APIS_OFF = "turn the APIs on: activate_apis, or Administration > Config > Connectors"
# What must not be had: the path, and what shows that it was.
HIDDEN = (
    "/.git/HEAD",
    "/.env",
    "/sites/{site}/sqlconf.php",
    "/sites/{site}/documents/",
    "/sites/{site}/documents/logs_and_misc/methods/",
    "/setup.php",
    "/acl_upgrade.php",
    "/sql_upgrade.php",
    "/sql_patch.php",
)


def openemr_checks(front: Front, site: str, *, default_password: bool, apis_wanted: bool) -> list[Check]:
    """The checks, in order; with `apis_wanted` an API that is off is a failure and not only told."""
    web = front.web
    trusted = ("tls.trusted",) if web.address.secure else ()
    fhir = f"/apis/{site}/fhir"

    def off(reply: Reply, what: str) -> None:
        """OpenEMR answers 404 or 501 for an API that is switched off."""
        if reply.status in {404, 501}:
            told = f"{what} is off (HTTP {reply.status})"
            if apis_wanted:
                raise Failed(told, remedy=APIS_OFF)
            raise Skipped(told)

    def metadata() -> str:
        reply = web.get(f"{fhir}/metadata", headers={"Accept": "application/fhir+json"})
        off(reply, "the FHIR API")
        return judge_capability_statement(reply)

    def smart() -> str:
        reply = web.get(f"{fhir}/.well-known/smart-configuration")
        off(reply, "the FHIR API")
        read = _object(reply, 200)
        _ours(web, read, "authorization_endpoint", "token_endpoint")
        if "S256" not in reply.listed("code_challenge_methods_supported"):
            raise Failed("S256 is not among code_challenge_methods_supported")
        return f"{len(reply.listed('capabilities'))} capabilities, PKCE with S256"

    def discovery() -> str:
        reply = web.get(f"/oauth2/{site}/.well-known/openid-configuration")
        off(reply, "OAuth2")
        read = _object(reply, 200)
        expected = f"{web.address.base}/oauth2/{site}"
        if read.get("issuer") != expected:
            raise Failed(f"the issuer is {read.get('issuer')!r}; expected {expected!r}")
        _ours(web, read, "authorization_endpoint", "token_endpoint", "registration_endpoint", "jwks_uri")
        return f"issuer {expected}"

    def closed(path: str, what: str) -> str:
        reply = web.get(path)
        off(reply, what)
        return judge_closed(reply)

    return [
        Check(
            "health.alive",
            "The web server is alive",
            "GET /meta/health/livez",
            lambda: _alive(web),
            "see the service's events and the container's log: `aws ecs describe-services`",
            f"{REPOSITORY}/meta/health/index.php",
            needs=trusted,
        ),
        Check(
            "health.ready",
            "Database, files, sessions, keys and cache are well",
            "GET /meta/health/readyz, and its body: it answers 200 also when something is wrong",
            lambda: _ready(web),
            "see the container's log; what is false in the answer is where to look",
            f"{REPOSITORY}/src/Health/HealthChecker.php",
            needs=trusted,
        ),
        Check(
            "login.page",
            "The log-in page is shown",
            f"GET {front.start}",
            lambda: _login_page(front),
            "see the container's log; until the set-up task has ended there is no log-in page",
            f"{REPOSITORY}{LOGIN}",
            needs=trusted,
        ),
        Check(
            "login.default",
            "The published default password is refused",
            f"log-in as {DEFAULT_ACCOUNT[0]} with the password that the image's manual names; one attempt",
            lambda: _default_password(front, site, asked=default_password),
            "change the administrator's password at once: whoever reads the manual can log in",
            "https://github.com/openemr/openemr-devops/tree/master/docker/openemr",
            needs=("login.page",),
        ),
        Check(
            "files.hidden",
            "Set-up scripts, settings and documents are not served",
            f"GET {', '.join(path.format(site=site) for path in HIDDEN)}",
            lambda: _hidden(web, site),
            "use the image's own web server settings; remove the set-up scripts, as the image does when it is set up",
            "https://github.com/openemr/openemr-devops/blob/master/docker/openemr/7.0.3/openemr.conf",
            needs=trusted,
        ),
        Check(
            "fhir.metadata",
            f"FHIR's CapabilityStatement, version {FHIR_VERSION}",
            f"GET {fhir}/metadata",
            metadata,
            "see the answer's text and the container's log",
            f"{API_GUIDE}/FHIR_API.md",
            needs=trusted,
        ),
        Check(
            "fhir.smart",
            "SMART's configuration, with PKCE",
            f"GET {fhir}/.well-known/smart-configuration",
            smart,
            "set the site's address (site_addr_oath) to the one that is asked for here",
            "https://hl7.org/fhir/smart-app-launch/conformance.html",
            needs=trusted,
        ),
        Check(
            "oauth.discovery",
            "OpenID's discovery names this address",
            f"GET /oauth2/{site}/.well-known/openid-configuration",
            discovery,
            "set the site's address (site_addr_oath) to the one that is asked for here",
            "https://openid.net/specs/openid-connect-discovery-1_0.html",
            needs=trusted,
        ),
        Check(
            "fhir.closed",
            "FHIR gives no patient without a token",
            f"GET {fhir}/Patient",
            lambda: closed(f"{fhir}/Patient", "the FHIR API"),
            "take the deployment off the network, then look why",
            f"{API_GUIDE}/AUTHORIZATION.md",
            needs=trusted,
        ),
        Check(
            "rest.closed",
            "The REST API gives no patient without a token",
            f"GET /apis/{site}/api/patient",
            lambda: closed(f"/apis/{site}/api/patient", "the REST API"),
            "take the deployment off the network, then look why",
            f"{API_GUIDE}/AUTHORIZATION.md",
            needs=trusted,
        ),
    ]


def judge_capability_statement(reply: Reply) -> str:
    """FHIR's own description of a server: version, and Patient among its resources. Raises Failed."""
    read = _object(reply, 200)
    if read.get("resourceType") != "CapabilityStatement":
        raise Failed(f"the resource is {read.get('resourceType')!r}; expected CapabilityStatement")
    if read.get("fhirVersion") != FHIR_VERSION:
        raise Failed(f"FHIR's version is {read.get('fhirVersion')!r}; expected {FHIR_VERSION}")
    rest = [part.get("resource") for part in reply.listed("rest") if isinstance(part, dict)]
    types = [one.get("type") for part in rest if isinstance(part, list) for one in part if isinstance(one, dict)]
    if "Patient" not in types:
        raise Failed("Patient is not among its resources")
    return f"FHIR {FHIR_VERSION}, {len(types)} resources"


def judge_closed(reply: Reply) -> str:
    """An answer to a request without credentials that asked for patients. Raises Failed where it gave any."""
    if reply.status in {401, 403}:
        return f"HTTP {reply.status}"
    if reply.status == 200:
        # Not a word of the answer: it may be about a patient.
        raise Failed("it answers 200")
    if reply.status == 400 or reply.location is not None:
        return f"HTTP {reply.status}"
    raise Failed(f"it answers {reply.status}; expected 401", remedy="see the container's log")


def login_path(site: str) -> str:
    """Where the application begins."""
    return f"{LOGIN}?site={quote(site)}"


def _alive(web: Web) -> str:
    reply = web.get("/meta/health/livez")
    if reply.status == 404 or reply.location is not None:
        raise Skipped(f"HTTP {reply.status}: OpenEMR before 8 has no such page")
    read = _object(reply, 200)
    if read.get("status") != "alive":
        raise Failed(f"the status is {read.get('status')!r}; expected 'alive'")
    return "alive"


def _ready(web: Web) -> str:
    reply = web.get("/meta/health/readyz")
    if reply.status == 404 or reply.location is not None:
        raise Skipped(f"HTTP {reply.status}: this version of OpenEMR has no such page")
    read = _object(reply, 200)
    parts = read.get("checks")
    parts = parts if isinstance(parts, dict) else {}
    if read.get("status") == "setup_required":
        raise Failed("OpenEMR is not set up", remedy="see the log of the set-up task")
    if read.get("status") != "ready":
        raise Failed(f"the status is {read.get('status')!r}: {str(read.get('message', ''))[:200]}")
    # The status says ready whatever the parts say.
    wrong = [name for name, healthy in parts.items() if healthy is not True]
    if wrong:
        raise Failed(f"it says ready, but not well: {', '.join(wrong)}")
    return ", ".join(parts) or "ready"


def _login_page(front: Front) -> str:
    page = front.page
    if page.status != 200:
        raise Failed(f"HTTP {page.status}")
    missing = [name for name in ("authUser", "clearPass") if f'name="{name}"' not in page.text]
    if missing:
        raise Failed(f"the page at {page.url} has no field {' and none '.join(missing)}")
    return f"HTTP 200 at {page.url}"


def _default_password(front: Front, site: str, *, asked: bool) -> str:
    if not asked:
        raise Skipped("--no-default-password")
    user, password = DEFAULT_ACCOUNT
    reply = front.web.ask(
        "POST",
        f"/interface/main/main_screen.php?auth=login&site={quote(site)}",
        form={
            "new_login_session_management": "1",
            "languageChoice": "1",
            "authUser": user,
            "clearPass": password,
        },
        cookies=front.cookies,
    )
    location = reply.location or ""
    # A second factor is only asked for once the password was right.
    if "token_main" in location or 'name="mfa_token"' in reply.text or 'name="mfa_type"' in reply.text:
        raise Failed(f"{user} can log in with it")
    if "login" in location or (reply.status == 200 and "login" in reply.text.lower()):
        return "refused"
    raise Failed(
        f"the answer is not understood: HTTP {reply.status}{' to ' + location if location else ''}",
        remedy="try it by hand in a browser",
    )


def _hidden(web: Web, site: str) -> str:
    served = []
    for path in HIDDEN:
        where = path.format(site=quote(site))
        reply = web.get(where)
        # PHP answers 200 and nothing for a file that only defines something, such as sqlconf.php.
        if reply.status == 200 and reply.body.strip():
            served.append(where)
    if served:
        raise Failed(f"served: {', '.join(served)}")
    return f"{len(HIDDEN)} paths, none served"


def _object(reply: Reply, status: int) -> dict[str, object]:
    """The JSON object of an answer with this status. Raises Failed."""
    if reply.status != status:
        raise Failed(f"HTTP {reply.status}")
    read = reply.json()
    if not read:
        raise Failed("the answer is no JSON object")
    return read


def _ours(web: Web, read: dict[str, object], *names: str) -> None:
    """Endpoints have to be at the address that was asked: a browser would be led astray, tokens too."""
    for name in names:
        value = str(read.get(name, ""))
        parts = split(value)
        if f"{parts.scheme}://{parts.netloc}" != web.address.origin:
            raise Failed(f"{name} is {value!r}; expected it below {web.address.base}")
