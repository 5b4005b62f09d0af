"""The checks that log in to OpenEMR's APIs, as a program that a user authorized."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

from hostemr.operate.verification.callback import Callback
from hostemr.operate.verification.clients import ClientFile
from hostemr.operate.verification.oauth import SCOPES, Attempt, Authority, Client, Tokens, told
from hostemr.operate.verification.openemr import API_GUIDE
from hostemr.operate.verification.openmrs import judge_bundle
from hostemr.operate.verification.outcome import Check, Failed, Secrets, Skipped
from hostemr.operate.verification.web import Reply, Web

POLL_SECONDS = 5.0
WHERE_TO_ENABLE = "Administration > System > API Clients: Edit beside the client, then Enable Client"


class Operator(Protocol):
    """The person at the terminal."""

    def tell(self, text: str) -> None:
        """Say something that is no result."""

    def browse(self, url: str) -> None:
        """Bring a browser to a page, or ask for it."""


@dataclass(frozen=True)
class Access:
    """How to come to tokens: a known client or a new one, what to ask for, how many seconds to wait for a person."""

    site: str = "default"
    client: Client | None = None
    client_file: ClientFile | None = None
    scope: str = SCOPES
    patience: float = 900.0

    def known(self, authority: Authority) -> Client | None:
        """The client that is used again."""
        if self.client is not None:
            return self.client
        return self.client_file.find(authority.issuer) if self.client_file is not None else None


def port_of(client: Client) -> int:
    """The port of a client's callback: it was registered, and OpenEMR compares it."""
    return urlsplit(client.redirect_uri).port or 80


class Visit:
    """One log-in, from registration to log-out: each method is a check's judgement, and they follow each other."""

    def __init__(
        self,
        web: Web,
        access: Access,
        callback: Callback,
        *,
        operator: Operator,
        secrets: Secrets,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._web = web
        self._access = access
        self._callback = callback
        self._operator = operator
        self._secrets = secrets
        self._pause = pause
        self._authority = Authority(web, access.site)
        self._client: Client | None = None
        self._attempt = Attempt.new()
        self._tokens: Tokens | None = None
        self._code = ""
        # The first one: OpenEMR compares its nonce on log-out, and a later one may have none.
        self._id_token: str | None = None
        secrets.add(self._attempt.state, self._attempt.nonce, self._attempt.verifier)

    def client(self) -> str:
        """A client, known or new."""
        known = self._access.known(self._authority)
        self._client = known or self._authority.register(self._callback.redirect_uri, self._access.scope)
        self._secrets.add(self._client.secret)
        if known is not None:
            return f"{known.client_id}, known from before"
        if self._access.client_file is not None:
            self._access.client_file.keep(self._authority.issuer, self._client)
        return f"{self._client.client_id}, new, for {self._client.redirect_uri}"

    def enabled(self) -> str:
        """Wait for an administrator to enable it."""
        client = self._registered
        if self._authority.enabled(client):
            return "enabled"
        self._operator.tell(
            f"Enable the client {client.client_id} in OpenEMR:\n  {WHERE_TO_ENABLE}\n"
            f"  {self._web.address.base}/\nThis goes on by itself once it is enabled. Ctrl-C stops."
        )
        waited = 0.0
        while waited < self._access.patience:
            self._pause(POLL_SECONDS)
            waited += POLL_SECONDS
            if self._authority.enabled(client):
                return f"enabled after {waited:.0f} seconds"
        raise Failed(f"not enabled within {self._access.patience:.0f} seconds, or its secret is wrong")

    def authorized(self) -> str:
        """Log in in the browser, and come back with a code."""
        self._callback.expect(self._attempt.state)
        self._operator.browse(self._authority.authorization_url(self._registered, self._attempt))
        self._code = self._callback.wait(self._access.patience)
        self._secrets.add(self._code)
        return "the browser came back with a code"

    def token(self) -> str:
        """The code for tokens."""
        tokens = self._keep(self._authority.exchange(self._registered, self._attempt, self._code))
        self._id_token = tokens.id_token
        missing = sorted(set(self._registered.scope.split()) - set(tokens.scope.split()))
        return (
            f"an access token for {tokens.seconds} seconds"
            + (", a refresh token" if tokens.refresh else "")
            + (", an ID token" if tokens.id_token else "")
            + (f"; not granted: {', '.join(missing)}" if missing else "")
        )

    def fhir_patient(self) -> str:
        """FHIR's search for patients."""
        return judge_bundle(self._fhir())

    def rest(self, resource: str) -> str:
        """A list of the REST API. How many, never who or what."""
        reply = self._web.get(f"/apis/{self._access.site}/api/{resource}?_limit=1", bearer=self._granted.access)
        read = reply.json()
        problems = [read[name] for name in ("validationErrors", "internalErrors") if read.get(name)]
        data = read.get("data")
        if reply.status != 200 or problems or not isinstance(data, list):
            raise Failed(f"{told(reply)} without data")
        return f"HTTP 200, {len(data)} in the answer"

    def refresh(self) -> str:
        """New tokens for the refresh token, and that they are good."""
        if "offline_access" not in self._registered.scope.split():
            raise Skipped("offline_access is not among the scopes")
        self._keep(self._authority.refreshed(self._registered, self._granted))
        judge_bundle(self._fhir())
        return "a new access token, and FHIR takes it"

    def signed_out(self) -> str:
        """Log out, and see that the token is good for nothing."""
        if self._id_token is None:
            raise Skipped("there is no ID token to log out with")
        self._authority.sign_out(self._id_token)
        reply = self._fhir()
        if reply.status not in {400, 401, 403}:
            raise Failed(f"after log-out FHIR still answers {reply.status}")
        return f"HTTP {reply.status} for the token after log-out"

    @property
    def left_behind(self) -> str | None:
        """What stays in OpenEMR, if a client was registered and is not kept for the next time."""
        if self._client is None or self._access.client_file is not None or self._access.client is not None:
            return None
        return f"The client {self._client.client_id} stays registered: disable it there if it is not to be used again."

    @property
    def _registered(self) -> Client:
        if self._client is None:
            raise Skipped("there is no client")
        return self._client

    @property
    def _granted(self) -> Tokens:
        if self._tokens is None:
            raise Skipped("there is no token")
        return self._tokens

    def _keep(self, tokens: Tokens) -> Tokens:
        self._secrets.add(tokens.access, tokens.refresh, tokens.id_token)
        self._tokens = tokens
        return tokens

    def _fhir(self) -> Reply:
        return self._web.get(
            f"/apis/{self._access.site}/fhir/Patient?_count=1",
            bearer=self._granted.access,
            headers={"Accept": "application/fhir+json"},
        )


def api_checks(visit: Visit, site: str) -> list[Check]:
    """The checks of a log-in, each needing the one before that it builds on."""
    login = f"{API_GUIDE}/AUTHENTICATION.md"
    return [
        Check(
            "api.client",
            "A client is registered",
            f"POST /oauth2/{site}/registration, unless one is known",
            visit.client,
            "see the answer's text; --scope asks for less",
            "https://www.rfc-editor.org/rfc/rfc7591",
            needs=("oauth.discovery",),
        ),
        Check(
            "api.enabled",
            "The client is enabled",
            f"POST /oauth2/{site}/token with a refresh token that is none",
            visit.enabled,
            f"enable it: {WHERE_TO_ENABLE}; then run this again with --client-file",
            login,
            needs=("api.client",),
        ),
        Check(
            "api.authorized",
            "A user logs in and authorizes it, with PKCE and state",
            f"GET /oauth2/{site}/authorize in a browser",
            visit.authorized,
            "log in with an account of OpenEMR and choose Authorize",
            "https://www.rfc-editor.org/rfc/rfc8252",
            needs=("api.enabled",),
        ),
        Check(
            "api.token",
            "The code gives tokens",
            f"POST /oauth2/{site}/token",
            visit.token,
            "run it again: a code is good for one minute and one time",
            "https://www.rfc-editor.org/rfc/rfc7636",
            needs=("api.authorized",),
        ),
        Check(
            "api.fhir.patient",
            "FHIR finds patients with the token",
            f"GET /apis/{site}/fhir/Patient",
            visit.fhir_patient,
            "leave user/Patient.read ticked on OpenEMR's page; the user needs access to demographics",
            f"{API_GUIDE}/FHIR_API.md",
            needs=("api.token",),
        ),
        Check(
            "api.rest.patient",
            "The REST API finds patients with the token",
            f"GET /apis/{site}/api/patient",
            lambda: visit.rest("patient"),
            "turn the REST API on, and leave user/patient.read ticked on OpenEMR's page",
            f"{API_GUIDE}/STANDARD_API.md",
            needs=("api.token",),
        ),
        Check(
            "api.rest.facility",
            "The REST API lists facilities with the token",
            f"GET /apis/{site}/api/facility",
            lambda: visit.rest("facility"),
            "leave user/facility.read ticked on OpenEMR's page; the user needs access to facilities",
            f"{API_GUIDE}/STANDARD_API.md",
            needs=("api.token",),
        ),
        Check(
            "api.refresh",
            "The refresh token gives a new access token",
            f"POST /oauth2/{site}/token",
            visit.refresh,
            "allow offline access on OpenEMR's page",
            login,
            needs=("api.token",),
        ),
        Check(
            "api.signed_out",
            "After log-out the token is refused",
            f"GET /oauth2/{site}/logout, then GET /apis/{site}/fhir/Patient",
            visit.signed_out,
            "disable the client in API Clients: that ends its tokens",
            login,
            needs=("api.token",),
        ),
    ]
