"""Checks of what lies around the application: TLS, redirect, headers and cookies."""

from __future__ import annotations

import datetime as dt
import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass

from hostemr.operate.verification import hello
from hostemr.operate.verification.front import Front
from hostemr.operate.verification.outcome import Check, Failed, Skipped
from hostemr.operate.verification.web import NoAnswer, Web, split

# ACM and Let's Encrypt renew a month or more before: two weeks before the end something is wrong.
FEWEST_DAYS = 14
# Half a year, the least that Mozilla's guide asks for.
LEAST_HSTS_SECONDS = 180 * 24 * 3600
HSTS_GUIDE = "https://infosec.mozilla.org/guidelines/web_security#http-strict-transport-security"
HEADERS_GUIDE = "https://cheatsheetseries.owasp.org/cheatsheets/HTTP_Headers_Cheat_Sheet.html"
ALB_HEADERS = "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/enable-header-modification.html"


@dataclass(frozen=True)
class KnownCookie:
    """A cookie that its maker sends without some marks on purpose, and why that is borne."""

    lacks: frozenset[str]
    why: str


KNOWN_COOKIES = {
    # openemr/openemr, src/Common/Session/SessionConfigurationBuilder.php, forCore.
    "OpenEMR": KnownCookie(frozenset({"Secure", "HttpOnly"}), "OpenEMR's own scripts change it"),
    "AWSALB": KnownCookie(frozenset({"Secure", "HttpOnly", "SameSite"}), "the load balancer's, it names a task only"),
    "AWSALBCORS": KnownCookie(frozenset({"HttpOnly"}), "the load balancer's, it names a task only"),
}


def transport_checks(web: Web, front: Callable[[], Front], *, http_port: int | None, today: dt.datetime) -> list[Check]:
    """The checks; `http_port` is where plain HTTP would answer, None where nobody can know."""
    address = web.address
    trusted = ("tls.trusted",) if address.secure else ()
    return [
        Check(
            "tls.trusted",
            "The certificate is trusted and for this name",
            f"a TLS handshake with {address.authority}",
            lambda: _trusted(web),
            "give the load balancer a certificate for this name (certificate_arn or route53_domain); "
            "--ca-file names an authority of your own; --connect-to reaches a load balancer under the final name",
            "https://www.rfc-editor.org/rfc/rfc9525",
        ),
        Check(
            "tls.days",
            f"The certificate lasts {FEWEST_DAYS} days or more",
            "the same handshake",
            lambda: _days(web, today),
            "see why it was not renewed: `aws acm describe-certificate` names the record or the mail that it waits for",
            "https://docs.aws.amazon.com/acm/latest/userguide/managed-renewal.html",
            needs=("tls.trusted",),
        ),
        Check(
            "tls.versions",
            "TLS 1.0 and 1.1 are refused",
            "a ClientHello of each",
            lambda: _old_versions(web),
            "choose a TLS policy of 1.2 and later, such as ELBSecurityPolicy-TLS13-1-2-Res-2021-06",
            "https://www.rfc-editor.org/rfc/rfc8996",
        ),
        Check(
            "http.redirect",
            "Plain HTTP redirects to HTTPS for good",
            f"GET http://{address.host}:{http_port or 80}/",
            lambda: _redirect(web, http_port),
            "let the listener of port 80 answer 301 to https",
            "https://infosec.mozilla.org/guidelines/web_security#http-redirections",
        ),
        Check(
            "headers.hsts",
            "Browsers are told to use HTTPS only",
            "Strict-Transport-Security of the first page",
            lambda: _hsts(front()),
            "set routing.http.response.strict_transport_security.header_value on the listener",
            HSTS_GUIDE,
            needs=("tls.trusted",),
        ),
        Check(
            "headers.frames",
            "Other sites cannot frame the first page",
            "X-Frame-Options, or Content-Security-Policy's frame-ancestors",
            lambda: _frames(front()),
            "send X-Frame-Options: SAMEORIGIN",
            HEADERS_GUIDE,
            needs=trusted,
        ),
        Check(
            "headers.sniffing",
            "Browsers do not guess types",
            "X-Content-Type-Options of the first page",
            lambda: _sniffing(front()),
            "set routing.http.response.x_content_type_options.header_value=nosniff on the listener",
            ALB_HEADERS,
            needs=trusted,
        ),
        Check(
            "headers.version",
            "No software version is told",
            "Server and X-Powered-By of the first page",
            lambda: _version(front()),
            "ServerTokens Prod (Apache), server_tokens off (nginx), expose_php = Off (PHP)",
            HEADERS_GUIDE,
            needs=trusted,
        ),
        Check(
            "cookies",
            "Cookies are Secure, HttpOnly and SameSite",
            "Set-Cookie on the way to the first page",
            lambda: _cookies(front()),
            "see that nothing between the browser and the application changes its cookies",
            "https://www.rfc-editor.org/rfc/rfc6265#section-4.1.2",
            needs=trusted,
        ),
    ]


def _trusted(web: Web) -> str:
    if not web.address.secure:
        raise Failed("the address begins with http: records would travel in the clear")
    shaken = web.handshake()
    names = [value for kind, value in shaken.certificate.get("subjectAltName", ()) if kind in {"DNS", "IP Address"}]
    issuer = dict(pair for part in shaken.certificate.get("issuer", ()) for pair in part)
    by = issuer.get("organizationName") or issuer.get("commonName") or "an unnamed authority"
    return f"{shaken.version}, for {', '.join(names)}, by {by}"


def _days(web: Web, today: dt.datetime) -> str:
    ends = dt.datetime.fromtimestamp(ssl.cert_time_to_seconds(web.handshake().certificate["notAfter"]), dt.UTC)
    days = (ends - today).days
    told = f"{days} days left, to {ends:%Y-%m-%d}"
    if days < FEWEST_DAYS:
        raise Failed(told)
    return told


def _old_versions(web: Web) -> str:
    if not web.address.secure:
        raise Skipped("the address is not https")
    try:
        taken = [
            hello.name(version)
            for version in (hello.TLS_1_0, hello.TLS_1_1)
            if hello.accepts(web.address, version, timeout=web.timeout)
        ]
    except OSError as error:
        raise Failed(f"no connection could be made: {error}") from error
    if taken:
        raise Failed(f"the server takes {' and '.join(taken)}")
    return "both refused"


def _redirect(web: Web, http_port: int | None) -> str:
    address = web.address
    if not address.secure:
        raise Skipped("the address is not https")
    if http_port is None:
        raise Skipped(f"https is on port {address.port}, so where plain HTTP would be is not known; see --http-port")
    try:
        reply = web.plain(http_port, f"{address.prefix}/?from=hostemr-verify")
    except NoAnswer:
        return f"nothing answers on port {http_port}"
    location = reply.location
    if location is None:
        raise Failed(f"port {http_port} answers {reply.status} without a redirect")
    target = split(location)
    if (target.scheme, target.hostname) != ("https", address.host):
        raise Failed(f"port {http_port} redirects to {location}")
    if reply.status not in {301, 308}:
        raise Failed(f"the redirect is {reply.status}, which browsers do not remember; 301 or 308 is")
    return f"{reply.status} to {location}"


def _hsts(front: Front) -> str:
    value = front.page.header("Strict-Transport-Security")
    if value is None:
        raise Failed("there is no Strict-Transport-Security")
    found = re.search(r"max-age\s*=\s*\"?(\d+)", value, re.IGNORECASE)
    # As a float: the server may send more digits than Python makes an integer of.
    if found is None or float(found[1]) < LEAST_HSTS_SECONDS:
        raise Failed(f"it is {value!r}; expected a max-age of {LEAST_HSTS_SECONDS} or more")
    return value


def _frames(front: Front) -> str:
    options = (front.page.header("X-Frame-Options") or "").strip()
    if options.upper() in {"DENY", "SAMEORIGIN"}:
        return f"X-Frame-Options: {options}"
    for policy in front.page.all("Content-Security-Policy"):
        for directive in policy.split(";"):
            name, _, sources = directive.strip().partition(" ")
            if name.lower() == "frame-ancestors" and "*" not in sources.split():
                return f"frame-ancestors {sources}"
    raise Failed("neither X-Frame-Options nor frame-ancestors is sent")


def _sniffing(front: Front) -> str:
    value = front.page.header("X-Content-Type-Options")
    if (value or "").strip().lower() != "nosniff":
        raise Failed(f"X-Content-Type-Options is {value!r}; expected nosniff")
    return "nosniff"


def _version(front: Front) -> str:
    told = [f"{name}: {value}" for name in ("Server", "X-Powered-By") for value in front.page.all(name)]
    # The load balancer signs its own answers so; the number is of its protocol.
    leaks = [line for line in told if re.search(r"\d", line) and not line.endswith("awselb/2.0")]
    if leaks:
        raise Failed("; ".join(leaks))
    return "; ".join(told) or "neither is sent"


def _cookies(front: Front) -> str:
    hsts = front.page.header("Strict-Transport-Security") is not None
    wrong, borne, good = [], [], []
    for line in front.cookies.set_by_server:
        name, lacks = _lacking(line)
        if not lacks:
            good.append(name)
            continue
        known = KNOWN_COOKIES.get(name)
        # Without HSTS one plain request would carry the session, whatever the reason for the missing Secure.
        if known and lacks <= known.lacks and (hsts or "Secure" not in lacks or name == "AWSALB"):
            borne.append(f"{name} without {_joined(lacks)} ({known.why})")
        else:
            wrong.append(f"{name} without {_joined(lacks)}")
    if wrong:
        raise Failed("; ".join(sorted(set(wrong))))
    return "; ".join([*sorted(set(good)), *sorted(set(borne))]) or "no cookie is set"


def _lacking(line: str) -> tuple[str, frozenset[str]]:
    """A cookie's name and the marks that it has not, read as browsers do (RFC 6265, 5.2).

    Not with http.cookies: 64 KB of backslashes keep it busy for half a minute.
    """
    pair, *attributes = line.split(";")
    name, sign, _ = pair.partition("=")
    if not sign or not name.strip():
        return name.strip(), frozenset({"a form that can be read"})
    given = {key.strip().lower(): value.strip() for key, _, value in (one.partition("=") for one in attributes)}
    marks = {"Secure": "secure" in given, "HttpOnly": "httponly" in given, "SameSite": bool(given.get("samesite"))}
    return name.strip(), frozenset(mark for mark, there in marks.items() if not there)


def _joined(names: frozenset[str]) -> str:
    return ", ".join(sorted(names))
