"""OpenMRS's outside, without OpenMRS: health, page, session, REST and FHIR, over real TLS.

It follows openmrs-core's StartupFilter (health), openmrs-module-webservices.rest's AuthorizationFilter, which lets
wrong credentials pass as no credentials, and SessionController1_9 (session), openmrs-module-fhir2's
AuthenticationFilter, which asks for credentials everywhere, and the reference application's gateway (headers).
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from pathlib import Path

from tests.peers.openemr_stand_in import Answer, Request, Served, data, page

HEADERS = {
    "Strict-Transport-Security": "max-age=31536000",
    "Content-Security-Policy": "default-src 'self'; frame-ancestors 'self'",
    "X-Content-Type-Options": "nosniff",
    "Server": "nginx",
}
SESSION_COOKIE = "JSESSIONID=ABC; Path=/openmrs; Secure; HttpOnly; SameSite=Lax"


@dataclass
class OpenMrsBehaviour:
    """How this OpenMRS is set up, and what is wrong with it; the defaults are a good one."""

    accounts: dict[str, str] = field(default_factory=lambda: {"nurse": "a: colon and more", "admin": "own-Passw0rd"})
    headers: dict[str, str] = field(default_factory=lambda: dict(HEADERS))
    started: bool = True
    wizard: bool = False
    open_to_all: bool = False
    refuses_wrong_credentials: bool = False


class OpenMrsStandIn(Served):
    """`with OpenMrsStandIn(certificate) as mrs:`; `mrs.behaviour` may be changed while it runs."""

    def __init__(self, certificate: Path, *, old_tls: bool = False) -> None:
        super().__init__(certificate, old_tls=old_tls)
        self.behaviour = OpenMrsBehaviour()

    def reply(self, request: Request) -> Answer:
        answer = self._answer(request)
        answer.headers += list(self.behaviour.headers.items())
        return answer

    def _answer(self, request: Request) -> Answer:  # noqa: PLR0911, one for each path
        path = request.path
        user = self._user(request)
        if path.startswith("/openmrs/spa/"):
            answer = page("<title>OpenMRS</title><script>initializeSpa({})</script>")
            answer.headers.append(("Set-Cookie", SESSION_COOKIE))
            return answer
        if path.startswith("/openmrs/ws/fhir2/R4/"):
            return self._fhir(path.removeprefix("/openmrs/ws/fhir2/R4/"), user)
        match path:
            case "/openmrs/health/alive":
                return Answer(200)
            case "/openmrs/health/started":
                return Answer(200 if self.behaviour.started else 503)
            case "/openmrs/ws/rest/v1/session":
                return self._session(request, user)
            case "/openmrs/ws/rest/v1/patient":
                if user is None and not self.behaviour.open_to_all:
                    return data({"error": {"message": "Privileges required: [Get Patients]"}}, 401)
                return data({"results": [{"display": "100GEJ - Musterfrau"}]})
            case "/openmrs/initialsetup" if self.behaviour.wizard:
                return page("<h1>OpenMRS Installation Wizard</h1>")
        return Answer(404)

    def _user(self, request: Request) -> str | None:
        """Whoever the credentials are; AuthorizationFilter splits at every colon, this one as RFC 7617 says."""
        given = request.headers.get("authorization", "").removeprefix("Basic ")
        user, _, password = base64.b64decode(given).decode().partition(":")
        return user if user and self.behaviour.accounts.get(user) == password else None

    def _session(self, request: Request, user: str | None) -> Answer:
        if user is None and "authorization" in request.headers and self.behaviour.refuses_wrong_credentials:
            return data({"error": {"message": "Invalid credentials"}}, 401)
        if user is None:
            return data({"authenticated": False, "sessionId": "ABC"})
        return data({"authenticated": True, "user": {"username": user}})

    def _fhir(self, path: str, user: str | None) -> Answer:
        if user is None and not self.behaviour.open_to_all:
            return data({"error": "Not authenticated"}, 401)
        if path == "metadata":
            statement = {"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1"}
            return data({**statement, "rest": [{"resource": [{"type": "Patient"}]}]})
        return data({"resourceType": "Bundle", "type": "searchset", "total": 12})
