"""OpenEMR's outside, without OpenEMR: health, log-in page, OAuth2 with its pages, FHIR and REST, over real TLS.

It follows openemr/openemr: meta/health/index.php and src/Health/HealthChecker.php (health),
interface/login/login.php and interface/main/main_screen.php (log-in), AuthorizationController.php,
templates/oauth2/oauth2-login.html.twig and scope-authorize.html.twig (pages and their fields),
CustomAuthCodeGrant.php, CustomRefreshTokenGrant.php and ClientRepository.php (grants, clients that are not enabled),
OAuth2DiscoveryController.php, SMARTConfigurationController.php, BearerTokenAuthorizationStrategy.php (log-out), and
Documentation/api. Errors are as league/oauth2-server words them.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import secrets
import ssl
import threading
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, urlencode, urlsplit

CORE_COOKIE = "OpenEMR=core; path=/; SameSite=Strict"
HEADERS = {
    "Strict-Transport-Security": "max-age=31536000; includeSubDomains; preload",
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Server": "Apache",
}
SUPPORTED_SCOPES = (
    "openid", "offline_access", "api:oemr", "api:fhir", "user/Patient.read", "user/patient.read", "user/facility.read",
)  # fmt: skip


@dataclass
class Answer:
    """What a stand-in sends."""

    status: int = 200
    body: bytes = b""
    headers: list[tuple[str, str]] = field(default_factory=list)


def page(body: str, status: int = 200) -> Answer:
    return Answer(status, f"<!doctype html><title>OpenEMR</title>{body}".encode(), [("Content-Type", "text/html")])


def data(value: object, status: int = 200) -> Answer:
    return Answer(status, json.dumps(value).encode(), [("Content-Type", "application/json")])


def redirect(location: str, status: int = 302) -> Answer:
    return Answer(status, b"", [("Location", location)])


@dataclass
class Request:
    """What a stand-in was asked."""

    method: str
    path: str
    query: dict[str, str]
    form: dict[str, str]
    body: bytes
    headers: dict[str, str]
    cookies: dict[str, str]


class Served:
    """An application over TLS on a free loopback port, and beside it the redirect of port 80.

    Every request is kept in `asked`, so that a test can say what was sent, and what was not.
    """

    def __init__(self, certificate: Path, *, old_tls: bool = False) -> None:
        self.asked: list[Request] = []
        self.plain: Callable[[Request], Answer] = lambda request: redirect(f"{self.url}{request.path}", 301)
        self._tls = _server(self, self.reply)
        # Looked up at each request: a test may put another in its place.
        self._plain = _server(self, lambda request: self.plain(request))  # noqa: PLW0108
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        if old_tls:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                context.minimum_version = ssl.TLSVersion.TLSv1
            context.set_ciphers("ALL:@SECLEVEL=0")
        # In the thread of each connection: one that stalls holds nobody up.
        self._tls.socket = context.wrap_socket(self._tls.socket, server_side=True, do_handshake_on_connect=False)
        self.port: int = self._tls.server_address[1]
        self.http_port: int = self._plain.server_address[1]
        self.url = f"https://localhost:{self.port}"

    def reply(self, request: Request) -> Answer:
        raise NotImplementedError

    def __enter__(self) -> Self:
        for server in (self._tls, self._plain):
            threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for server in (self._tls, self._plain):
            server.shutdown()
            server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    served: Served
    answers: Callable[[Request], Answer]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Handshakes that fail are what some tests are about."""


def _server(served: Served, answers: Callable[[Request], Answer]) -> _Server:
    server = _Server(("127.0.0.1", 0), _Handler)
    server.served, server.answers = served, answers
    return server


class _Handler(BaseHTTPRequestHandler):
    timeout = 10

    def _handle(self) -> None:
        parts = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        is_form = self.headers.get("Content-Type") == "application/x-www-form-urlencoded"
        request = Request(
            method=self.command,
            path=parts.path,
            query={key: values[-1] for key, values in parse_qs(parts.query, keep_blank_values=True).items()},
            form={key: values[-1] for key, values in parse_qs(body.decode()).items()} if is_form else {},
            body=body,
            headers={key.lower(): value for key, value in self.headers.items()},
            cookies={key: morsel.value for key, morsel in SimpleCookie(self.headers.get("Cookie", "")).items()},
        )
        server: Any = self.server
        server.served.asked.append(request)
        answer: Answer = server.answers(request)
        self.send_response_only(answer.status)
        for name, value in answer.headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    do_GET = do_POST = _handle  # noqa: N815

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Nothing."""


@dataclass
class OpenEmrBehaviour:
    """How this OpenEMR is set up, and what is wrong with it; the defaults are a good one."""

    password: str = "correct-horse-battery"
    headers: dict[str, str] = field(default_factory=lambda: dict(HEADERS))
    cookies: list[str] = field(default_factory=lambda: [CORE_COOKIE])
    health_pages: bool = True
    ready: dict[str, object] = field(
        default_factory=lambda: {
            "status": "ready",
            "checks": {"database": True, "filesystem": True, "session": True, "oauth_keys": True, "cache": True},
        }
    )
    served: dict[str, bytes] = field(default_factory=dict)
    apis: bool = True
    address: str | None = None
    fhir_version: str = "4.0.1"
    open_to_all: bool = False
    approves_registrations: bool = True
    code_seconds: float = 60
    returned_state: str | None = None
    returned_error: str | None = None
    nonce: str | None = None
    patients: int = 3
    keeps_tokens_after_log_out: bool = False


class OpenEmrStandIn(Served):
    """`with OpenEmrStandIn(certificate) as emr:`; `emr.behaviour` may be changed while it runs."""

    def __init__(self, certificate: Path, *, old_tls: bool = False) -> None:
        super().__init__(certificate, old_tls=old_tls)
        self.behaviour = OpenEmrBehaviour()
        self.clients: dict[str, dict[str, Any]] = {}
        self.visits: dict[str, dict[str, str]] = {}
        self.codes: dict[str, dict[str, Any]] = {}
        self.tokens: dict[str, str] = {}
        self.refresh_tokens: dict[str, dict[str, Any]] = {}
        self.trusted: dict[str, str] = {}

    def enable(self, client_id: str) -> None:
        """What an administrator does in API Clients."""
        self.clients[client_id]["enabled"] = True

    @property
    def base(self) -> str:
        """The site's address as it was set up."""
        return self.behaviour.address or self.url

    def reply(self, request: Request) -> Answer:
        answer = self._answer(request)
        answer.headers += list(self.behaviour.headers.items())
        return answer

    def _answer(self, request: Request) -> Answer:  # noqa: PLR0911, one for each path
        path = request.path
        if path in self.behaviour.served:
            return Answer(200, self.behaviour.served[path])
        if path.startswith("/oauth2/default/"):
            return self._oauth(request, path.removeprefix("/oauth2/default/")) if self.behaviour.apis else data({}, 404)
        if path.startswith("/apis/default/"):
            return self._api(request, path.removeprefix("/apis/default/")) if self.behaviour.apis else data({}, 501)
        match path:
            case "/":
                return redirect("interface/login/login.php?site=default")
            case "/meta/health/livez" if self.behaviour.health_pages:
                return data({"status": "alive"})
            case "/meta/health/readyz" if self.behaviour.health_pages:
                return data(self.behaviour.ready)
            case "/interface/login/login.php":
                answer = page('<form><input name="authUser"><input name="clearPass" type="password"></form>')
                answer.headers += [("Set-Cookie", cookie) for cookie in self.behaviour.cookies]
                return answer
            case "/interface/main/main_screen.php":
                return self._log_in(request)
            # PHP runs it, and it says nothing.
            case "/sites/default/sqlconf.php":
                return Answer(200)
        return Answer(403 if path.startswith("/sites/") else 404, b"no")

    def _log_in(self, request: Request) -> Answer:
        if request.form.get("authUser") == "admin" and request.form.get("clearPass") == self.behaviour.password:
            return redirect("/interface/main/tabs/main.php?token_main=abc")
        return page("<script>top.location.href = '/interface/login/login.php?site=default'</script>")

    # OAuth2

    def _oauth(self, request: Request, endpoint: str) -> Answer:
        handlers = {
            ("GET", ".well-known/openid-configuration"): self._discovery,
            ("POST", "registration"): self._register,
            ("GET", "authorize"): self._authorize,
            ("GET", "provider/login"): lambda given: self._log_in_page(given, ""),
            ("POST", "login"): self._oauth_log_in,
            ("GET", "scope-authorize-confirm"): self._scopes_page,
            ("POST", "device/code"): self._approve,
            ("POST", "token"): self._token,
            ("GET", "logout"): self._log_out,
        }
        handler = handlers.get((request.method, endpoint))
        return handler(request) if handler else data({}, 404)

    def _discovery(self, _: Request) -> Answer:
        base = f"{self.base}/oauth2/default"
        return data(
            {
                "issuer": base,
                "authorization_endpoint": f"{base}/authorize",
                "token_endpoint": f"{base}/token",
                "jwks_uri": f"{base}/jwk",
                "registration_endpoint": f"{base}/registration",
                "end_session_endpoint": f"{base}/logout",
                "scopes_supported": list(SUPPORTED_SCOPES),
                "code_challenge_methods_supported": ["S256", "plain"],
            }
        )

    def _register(self, request: Request) -> Answer:
        given = json.loads(request.body)
        private = given.get("application_type") == "private"
        scopes = given["scope"].split()
        if not given.get("redirect_uris"):
            return _error(400, "invalid_redirect_uri", "redirect_uris is invalid")
        if not private and any(scope.startswith(("user/", "system/")) for scope in scopes):
            text = "system and user scopes are only allowed for confidential clients"
            return _error(400, "invalid_client_metadata", text)
        if unknown := [scope for scope in scopes if scope not in SUPPORTED_SCOPES]:
            return _error(400, "invalid_scope", "The requested scope is invalid, unknown, or malformed", unknown[0])
        client_id = secrets.token_urlsafe(32)
        made = {"client_id": client_id, "client_secret": secrets.token_urlsafe(64) if private else ""}
        self.clients[client_id] = {**given, **made, "enabled": not self.behaviour.approves_registrations}
        return data({**made, "client_id_issued_at": int(time.time()), "client_secret_expires_at": 0, **given})

    def _authorize(self, request: Request) -> Answer:
        given = request.query
        client = self.clients.get(given.get("client_id", ""))
        # Compared whole: only 127.0.0.1 and [::1] may come with another port.
        if client is None or given.get("redirect_uri") not in client["redirect_uris"]:
            return _error(401, "invalid_client", "Client authentication failed")
        if given.get("aud") not in {f"{self.base}/apis/default/fhir", f"{self.base}/apis/default/api"}:
            return _error(400, "invalid_request", "Aud parameter did not match authorized server")
        if "code_challenge" in given and given.get("code_challenge_method") != "S256":
            return _error(400, "invalid_request", "Code challenge method must be one of `S256`")
        visit = secrets.token_urlsafe(16)
        self.visits[visit] = {**given, "csrf_token_form": secrets.token_hex(16)}
        answer = redirect("/oauth2/default/provider/login", 301)
        cookie = f"authserverOpenEMR={visit}; path=/oauth2/; SameSite=None; Secure; HttpOnly"
        answer.headers.append(("Set-Cookie", cookie))
        return answer

    def _visit(self, request: Request) -> dict[str, str]:
        return self.visits.get(request.cookies.get("authserverOpenEMR", ""), {})

    def _log_in_page(self, request: Request, invalid: str) -> Answer:
        csrf = self._visit(request).get("csrf_token_form", "")
        return page(
            f"""<form method="post" name="userLogin" id="userLogin" action="/oauth2/default/login"><p>{invalid}</p>
            <input type="hidden" name="csrf_token_form" value="{csrf}">
            <input type="text" name="username"><input type="password" name="password">
            <button type="submit" name="user_role" value="api">OpenEMR Login</button>
            <input type="checkbox" name="persist_login" value="1"></form>"""
        )

    def _oauth_log_in(self, request: Request) -> Answer:
        visit = self._visit(request)
        if not visit or request.form.get("csrf_token_form") != visit["csrf_token_form"]:
            return self._log_in_page(request, "Sorry. Invalid CSRF!")
        if (request.form.get("username"), request.form.get("password")) != ("admin", self.behaviour.password):
            return self._log_in_page(request, "Sorry, Invalid!")
        visit["user"] = request.form["username"]
        return redirect("/oauth2/default/scope-authorize-confirm")

    def _scopes_page(self, request: Request) -> Answer:
        visit = self._visit(request)
        boxes = "".join(
            f'<input type="checkbox" class="app-scope" name="scope[{one}]" value="{one}" checked>{html.escape(one)}'
            for one in visit.get("scope", "").split()
        )
        return page(
            f"""<form method="post" name="userLogin" id="userLogin" action="/oauth2/default/device/code">{boxes}
            <input type="hidden" name="csrf_token_form" value="{visit.get("csrf_token_form", "")}">
            <button type="submit" name="proceed" value="1" id="authorize-btn">Authorize</button></form>"""
        )

    def _approve(self, request: Request) -> Answer:
        visit = self._visit(request)
        if "user" not in visit or request.form.get("csrf_token_form") != visit["csrf_token_form"]:
            return Answer(500, b"Failed authorization due to missing data.")
        state = self.behaviour.returned_state or visit["state"]
        if self.behaviour.returned_error:
            query = {"error": self.behaviour.returned_error, "state": state}
        else:
            code = secrets.token_urlsafe(32)
            scopes = [one for one in visit["scope"].split() if f"scope[{one}]" in request.form]
            self.codes[code] = {**visit, "scope": " ".join(scopes), "at": time.monotonic()}
            query = {"code": code, "state": state}
        return redirect(f"{visit['redirect_uri']}?{urlencode(query)}")

    def _token(self, request: Request) -> Answer:
        given = request.form
        by_code = given.get("grant_type") == "authorization_code"
        # The session of an unknown code is looked for before the client is.
        if by_code and given.get("code") not in self.codes:
            return _error(400, "invalid_request", "Bad request")
        client = self.clients.get(given.get("client_id", ""))
        if client is None or client["client_secret"] != given.get("client_secret") or not client["enabled"]:
            return _error(401, "invalid_client", "Client authentication failed")
        return self._by_code(given, client) if by_code else self._by_refresh_token(given)

    def _by_code(self, given: dict[str, str], client: dict[str, Any]) -> Answer:
        code = self.codes.pop(given["code"])
        if time.monotonic() - code["at"] > self.behaviour.code_seconds:
            return _error(400, "invalid_request", "Authorization code has expired")
        digest = hashlib.sha256(given.get("code_verifier", "").encode()).digest()
        if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != code["code_challenge"]:
            return _error(400, "invalid_grant", "Failed to verify `code_verifier`.")
        if given.get("redirect_uri") != code["redirect_uri"]:
            return _error(401, "invalid_client", "Client authentication failed")
        self.trusted[client["client_id"]] = code.get("nonce", "")
        return self._tokens(client["client_id"], code["scope"], self.behaviour.nonce or code.get("nonce", ""))

    def _by_refresh_token(self, given: dict[str, str]) -> Answer:
        known = self.refresh_tokens.pop(given.get("refresh_token", ""), None)
        if known is None:
            return _error(401, "invalid_request", "The refresh token is invalid.", "Cannot decrypt the refresh token")
        return self._tokens(given["client_id"], known["scope"], "")

    def _tokens(self, client_id: str, scope: str, nonce: str) -> Answer:
        access, refresh = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        self.tokens[access] = client_id
        claims = {
            "iss": f"{self.base}/oauth2/default",
            "aud": client_id,
            "sub": "a-user",
            "exp": int(time.time()) + 3600,
            "nonce": nonce,
        }
        # A refreshed one has no nonce.
        told = {key: value for key, value in claims.items() if value}
        id_token = f"{_part({'alg': 'RS256'})}.{_part(told)}.c2lnbmVk"
        answer = {"token_type": "Bearer", "expires_in": 3600, "access_token": access, "id_token": id_token}
        if "offline_access" in scope.split():
            self.refresh_tokens[refresh] = {"scope": scope}
            answer["refresh_token"] = refresh
        return data({**answer, "scope": scope})

    def _log_out(self, request: Request) -> Answer:
        body = request.query["id_token_hint"].split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        if self.trusted.get(claims["aud"]) != claims.get("nonce", ""):
            return _error(400, "invalid_request", "Id token not issued from this server")
        if not self.behaviour.keeps_tokens_after_log_out:
            del self.trusted[claims["aud"]]
        return page("You have been signed out. Thank you.")

    # The APIs

    def _api(self, request: Request, path: str) -> Answer:
        match path:
            case "fhir/metadata":
                resources = [{"type": "Patient"}, {"type": "Observation"}]
                statement = {"resourceType": "CapabilityStatement", "fhirVersion": self.behaviour.fhir_version}
                return data({**statement, "rest": [{"mode": "server", "resource": resources}]})
            case "fhir/.well-known/smart-configuration":
                base = f"{self.base}/oauth2/default"
                return data(
                    {
                        "authorization_endpoint": f"{base}/authorize",
                        "token_endpoint": f"{base}/token",
                        "capabilities": ["launch-ehr", "permission-user"],
                        "code_challenge_methods_supported": ["S256"],
                    }
                )
        if not self.behaviour.open_to_all:
            client_id = self.tokens.get(request.headers.get("authorization", "").removeprefix("Bearer "))
            if client_id is None:
                return _error(401, "access_denied", "The resource owner or authorization server denied the request.")
            if client_id not in self.trusted:
                return _error(400, "invalid_request", "Refresh Token revoked or logged out")
        return self._records(path)

    def _records(self, path: str) -> Answer:
        count = self.behaviour.patients
        people = [{"resourceType": "Patient", "name": [{"family": "Musterfrau"}]}] * min(count, 1)
        match path:
            case "fhir/Patient":
                entries = [{"resource": one} for one in people]
                return data({"resourceType": "Bundle", "type": "collection", "total": count, "entry": entries})
            case "api/patient":
                rows = [{"lname": "Musterfrau"}] * min(count, 1)
                return data({"validationErrors": [], "internalErrors": [], "data": rows})
            case "api/facility":
                return data({"validationErrors": [], "internalErrors": [], "data": [{"name": "Clinic"}]})
        return data({}, 404)


def _error(status: int, error: str, description: str, hint: str = "") -> Answer:
    told = {"error": error, "error_description": description, "message": description}
    return data({**told, "hint": hint} if hint else told, status)


def _part(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()
