"""The registration service as its clients find it: OpenEMR's installations, SES's reports, and the board.

What installations send, and that they follow no redirect and name no User-Agent, is in `docs/010_registration.md`.
Nothing is registered: the address that is sent has no @.
"""

from __future__ import annotations

from hostemr.operate.verification.front import Front
from hostemr.operate.verification.outcome import Check, Failed, Skipped
from hostemr.operate.verification.web import NoAnswer, Reply, Web

START = "/"
COUNT = "/api/registration/unique"
_REGISTER = "/api/registration"
_SIGN_IN = "/board/sign-in"
_NO_ADDRESS = {"email": "hostemr-verify"}
_REFUSAL = "InvalidEmailException"
_GUIDE = "https://github.com/openemr/openemr/blob/master/library/registration.js.php"
_CSP = "https://developer.mozilla.org/en-US/docs/Web/HTTP/Guides/CSP"
_TASKS = "look at the tasks and their log: `aws ecs describe-services`, and the log group of the stack of data"
_FIREWALL = "see which rule of the firewall blocks it: AWS WAF > web ACL > sampled requests; it should only count"


def registration_checks(front: Front, *, http_port: int | None) -> list[Check]:
    """The checks; `http_port` is where plain HTTP would answer, None where nobody can know."""
    web = front.web
    trusted = ("tls.trusted",) if web.address.secure else ()
    answers = (*trusted, "registration.alive")
    return [
        Check(
            "http.closed",
            "Plain HTTP takes no registration and redirects none",
            f"POST http://{web.address.host}:{http_port or 80}{_REGISTER} of what is no address",
            lambda: _plain(web, http_port),
            "let nothing listen on port 80: an installation that follows no redirect has lost its registration, and "
            "has sent it in the clear",
            _GUIDE,
        ),
        Check(
            "registration.alive",
            "The service answers",
            "GET /healthz",
            lambda: _says(web.get("/healthz"), "status"),
            _TASKS,
            "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html",
            needs=trusted,
        ),
        Check(
            "registration.ready",
            "Its database answers, with the schema of this version",
            "GET /readyz",
            lambda: _says(web.get("/readyz"), "status"),
            "look at the database and at the last run of the set-up task, which brings the schema up to date",
            "https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/accessing-monitoring.html",
            needs=answers,
        ),
        Check(
            "registration.count",
            "Anybody may ask how many are registered",
            f"GET {COUNT}",
            lambda: _count(web.get(COUNT)),
            _TASKS,
            _GUIDE,
            needs=answers,
        ),
        Check(
            "registration.slash",
            "A slash at the end is answered without a redirect",
            f"GET {COUNT}/",
            lambda: _count(web.get(f"{COUNT}/")),
            "let nothing between installations and service change paths: installations follow no redirect",
            _GUIDE,
            needs=answers,
        ),
        Check(
            "registration.nameless",
            "Installations, which name no User-Agent, reach the service",
            f"POST {_REGISTER} without User-Agent, of what is no address",
            lambda: _refused(web.ask("POST", _REGISTER, form=_NO_ADDRESS, user_agent=None)),
            _FIREWALL,
            "https://docs.aws.amazon.com/waf/latest/developerguide/aws-managed-rule-groups-baseline.html",
            needs=answers,
        ),
        Check(
            "registration.metrics",
            "Metrics are not told to the internet",
            "GET /metrics",
            lambda: _closed(web.get("/metrics")),
            "let nothing lead from the internet to HOSTEMR_METRICS_PORT, which has no password",
            _GUIDE,
            needs=answers,
        ),
        Check(
            "board.policy",
            "The board's sign-in page lets no foreign script run",
            f"Content-Security-Policy of GET {_SIGN_IN}",
            lambda: _policy(web.get(_SIGN_IN)),
            "see that nothing between browser and service takes headers away",
            _CSP,
            needs=answers,
        ),
    ]


def _plain(web: Web, port: int | None) -> str:
    address = web.address
    if not address.secure:
        raise Skipped("the address is not https")
    if port is None:
        raise Skipped(f"https is on port {address.port}, so where plain HTTP would be is not known; see --http-port")
    try:
        reply = web.plain(port, f"{address.prefix}{_REGISTER}", form=_NO_ADDRESS)
    except NoAnswer:
        return f"nothing answers on port {port}"
    if 300 <= reply.status < 400:
        raise Failed(f"port {port} redirects with {reply.status}, which installations do not follow")
    if reply.status < 400 or _by_service(reply):
        raise Failed(f"port {port} passes it on to the service: addresses may travel in the clear")
    return f"refused with {reply.status}"


def _says(reply: Reply, member: str) -> str:
    if reply.status != 200 or reply.json().get(member) != "ok":
        raise Failed(_told(reply))
    return "ok"


def _count(reply: Reply) -> str:
    number = reply.json().get("count")
    if reply.status != 200 or type(number) is not int or number < 0:
        raise Failed(_told(reply))
    return f"{number} are registered"


def _refused(reply: Reply) -> str:
    if reply.status == 400 and reply.json().get("error") == _REFUSAL:
        return "the service refuses what is no address"
    if reply.status == 429 and _by_service(reply):
        raise Skipped("this machine's address has asked too often; in a minute it may again")
    if 300 <= reply.status < 400:
        raise Failed(f"it is redirected with {reply.status}, which installations do not follow")
    raise Failed(f"{_told(reply)}; expected the service's own refusal, 400")


def _closed(reply: Reply) -> str:
    if reply.status in {401, 403, 404}:
        return f"HTTP {reply.status}"
    raise Failed(_told(reply))


def _policy(reply: Reply) -> str:
    if reply.status == 403 and not _by_service(reply):
        raise Skipped("the firewall does not let this machine's address in (board_ip_range)")
    if reply.status != 200:
        raise Failed(_told(reply))
    policies = [_directives(value) for value in reply.all("Content-Security-Policy")]
    for policy in policies:
        scripts = policy.get("script-src", policy.get("default-src"))
        if scripts is not None and not {"*", "'unsafe-inline'", "'unsafe-eval'", "https:", "http:", "data:"} & scripts:
            return f"scripts: {' '.join(sorted(scripts)) or 'none'}"
    raise Failed("there is no Content-Security-Policy that restricts scripts" if not policies else "scripts may be any")


def _directives(policy: str) -> dict[str, set[str]]:
    """By name, what each allows; of a name that is there twice the first counts (CSP Level 3, 2.2.1)."""
    found: dict[str, set[str]] = {}
    for part in policy.split(";"):
        name, *sources = part.split()[:1000] or [""]
        found.setdefault(name.lower(), {source.lower() for source in sources})
    return found


def _by_service(reply: Reply) -> bool:
    """Whether the service itself says so, rather than a load balancer or a firewall before it."""
    return {"error", "message", "requestId"} <= reply.json().keys()


def _told(reply: Reply) -> str:
    where = f" to {reply.location}" if reply.location is not None else ""
    return f"it answers HTTP {reply.status}{where}"
