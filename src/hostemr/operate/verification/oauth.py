"""OAuth 2.0 as OpenEMR speaks it: registration, authorization code with PKCE, refresh, log-out.

RFC 6749, RFC 7591 (registration), RFC 7636 (PKCE), RFC 8252 (native programs), OpenID Connect Core.
OpenEMR's own ways, from openemr/openemr (Documentation/api/AUTHENTICATION.md, ClientRepository, CustomAuthCodeGrant):
scopes that begin with `user/` need a confidential client; such a client is disabled until an administrator enables it,
and until then the token endpoint answers `invalid_client`; there is no revocation endpoint, log-out revokes.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets as random
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from hostemr.operate.verification.outcome import Failed
from hostemr.operate.verification.web import Reply, Web

SCOPES = "openid offline_access api:oemr api:fhir user/Patient.read user/patient.read user/facility.read"
CLIENT_NAME = "hostemr verify"
# What RFC 6749, appendix A, lets identifiers, secrets and tokens hold. Others would steer terminals or end headers.
_IDENTIFIER = re.compile(r"[\x20-\x7e]{1,1000}")
_TOKEN = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True)
class Client:
    """A registered client."""

    client_id: str
    secret: str = field(repr=False)
    redirect_uri: str
    scope: str


@dataclass(frozen=True)
class Tokens:
    """What the token endpoint gave."""

    access: str = field(repr=False)
    refresh: str | None = field(repr=False)
    id_token: str | None = field(repr=False)
    seconds: int
    scope: str


@dataclass(frozen=True)
class Attempt:
    """The random values of one authorization: they tie the answer to the question."""

    state: str = field(repr=False)
    nonce: str = field(repr=False)
    verifier: str = field(repr=False)

    @classmethod
    def new(cls) -> Attempt:
        """Fresh ones; 64 random bytes make a verifier of 86 of the 43 to 128 characters (RFC 7636, 4.1)."""
        return cls(random.token_urlsafe(32), random.token_urlsafe(32), random.token_urlsafe(64))

    @property
    def challenge(self) -> str:
        """S256 (RFC 7636, 4.2)."""
        digest = hashlib.sha256(self.verifier.encode("ascii")).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")


class Authority:
    """OpenEMR's authorization server for one site. Its methods raise Failed with the server's own error."""

    def __init__(self, web: Web, site: str) -> None:
        self._web = web
        self._site = site
        self._path = f"/oauth2/{site}"

    @property
    def issuer(self) -> str:
        """Its name, as discovery and ID tokens give it."""
        return self._web.address.base + self._path

    def register(self, redirect_uri: str, scope: str) -> Client:
        """Register a new confidential client."""
        reply = self._web.ask(
            "POST",
            f"{self._path}/registration",
            data={
                "application_type": "private",
                "client_name": CLIENT_NAME,
                "redirect_uris": [redirect_uri],
                "token_endpoint_auth_method": "client_secret_post",
                "contacts": ["hostemr-verify@example.org"],
                "scope": scope,
            },
        )
        read = reply.json()
        # 201 by RFC 7591, 200 by OpenEMR.
        if reply.status not in {200, 201} or not read.get("client_id") or not read.get("client_secret"):
            raise Failed(told(reply))
        if not all(_IDENTIFIER.fullmatch(str(read[name])) for name in ("client_id", "client_secret")):
            raise Failed("the client's id or secret has characters that OAuth forbids, or is too long")
        return Client(str(read["client_id"]), str(read["client_secret"]), redirect_uri, scope)

    def enabled(self, client: Client) -> bool:
        """Whether the client may have tokens.

        Asked with a refresh token that is none: the server judges the client first, so a client that is not enabled,
        or whose secret is wrong, gets `invalid_client`, and one that is enabled hears that the token is wrong.
        """
        reply = self._token(client, grant_type="refresh_token", refresh_token="none")  # noqa: S106, it is none
        error = reply.json().get("error")
        if reply.status == 200 or not error:
            raise Failed(f"the token endpoint answered {reply.status} to a refresh token that is none")
        return bool(error != "invalid_client")

    def authorization_url(self, client: Client, attempt: Attempt) -> str:
        """Where the operator's browser goes."""
        query = {
            "response_type": "code",
            "client_id": client.client_id,
            "redirect_uri": client.redirect_uri,
            "scope": client.scope,
            "state": attempt.state,
            "nonce": attempt.nonce,
            "aud": f"{self._web.address.base}/apis/{self._site}/fhir",
            "code_challenge": attempt.challenge,
            "code_challenge_method": "S256",
        }
        return f"{self.issuer}/authorize?{urlencode(query)}"

    def exchange(self, client: Client, attempt: Attempt, code: str) -> Tokens:
        """A code for tokens; the ID token, if any, is this client's, this server's and this attempt's."""
        tokens = self._tokens(
            self._token(
                client,
                grant_type="authorization_code",
                code=code,
                redirect_uri=client.redirect_uri,
                code_verifier=attempt.verifier,
            ),
            client.scope,
        )
        if tokens.id_token is not None:
            self._judge(tokens.id_token, client, attempt)
        return tokens

    def refreshed(self, client: Client, tokens: Tokens) -> Tokens:
        """New tokens for the refresh token."""
        if tokens.refresh is None:
            raise Failed("there is no refresh token", remedy="allow offline access on OpenEMR's page")
        return self._tokens(self._token(client, grant_type="refresh_token", refresh_token=tokens.refresh), tokens.scope)

    def sign_out(self, id_token: str) -> None:
        """End what the tokens stand for. OpenEMR documents a GET with the ID token only."""
        reply = self._web.get(f"{self._path}/logout?{urlencode({'id_token_hint': id_token})}")
        if reply.status >= 400:
            raise Failed(told(reply))

    def _token(self, client: Client, **form: str) -> Reply:
        credentials = {"client_id": client.client_id, "client_secret": client.secret}
        return self._web.ask("POST", f"{self._path}/token", form={**form, **credentials})

    @staticmethod
    def _tokens(reply: Reply, asked: str) -> Tokens:
        read = reply.json()
        if reply.status != 200 or not read.get("access_token"):
            raise Failed(told(reply))
        if str(read.get("token_type", "")).lower() != "bearer":
            raise Failed(f"the token's type is {read.get('token_type')!r}; expected Bearer")
        if not _TOKEN.fullmatch(str(read["access_token"])):
            raise Failed("the access token has characters that OAuth forbids")
        lasts = read.get("expires_in")
        return Tokens(
            access=str(read["access_token"]),
            refresh=str(read["refresh_token"]) if read.get("refresh_token") else None,
            id_token=str(read["id_token"]) if read.get("id_token") else None,
            seconds=lasts if isinstance(lasts, int) else 0,
            # Left out when it is what was asked for (RFC 6749, 5.1).
            scope=str(read.get("scope") or asked),
        )

    def _judge(self, id_token: str, client: Client, attempt: Attempt) -> None:
        """OpenID Connect Core, 3.1.3.7. It came from the token endpoint over verified TLS: that is its signature."""
        claims = _claims(id_token)
        audience = claims.get("aud")
        wrong = []
        if claims.get("iss") != self.issuer:
            wrong.append(f"iss is {claims.get('iss')!r}")
        if client.client_id not in (audience if isinstance(audience, list) else [audience]):
            wrong.append("aud is not this client")
        expires = claims.get("exp")
        if not isinstance(expires, int | float) or expires <= time.time():
            wrong.append("exp is in the past")
        if claims.get("nonce", attempt.nonce) != attempt.nonce:
            wrong.append("nonce is another attempt's")
        if wrong:
            raise Failed(f"the ID token is not right: {', '.join(wrong)}")


def told(reply: Reply) -> str:
    """What an OAuth endpoint says went wrong (RFC 6749, 5.2)."""
    read = reply.json()
    parts = [str(read[name]) for name in ("error", "error_description", "hint") if read.get(name)]
    return f"HTTP {reply.status}" + (f": {': '.join(parts)}" if parts else "")


def _claims(id_token: str) -> dict[str, Any]:
    parts = id_token.split(".")
    if len(parts) != 3:
        raise Failed("the ID token is no JWT")
    try:
        read = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, RecursionError):
        raise Failed("the ID token's claims cannot be read") from None
    return read if isinstance(read, dict) else {}
