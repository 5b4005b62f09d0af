"""An authenticator in software: makes passkeys and answers challenges as a browser with a phone would."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import struct
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

PRESENT, VERIFIED, ATTESTED = 1, 4, 64


def base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


@dataclass
class Authenticator:
    """One passkey. `count` is what it says of how often it signed; `verifies` whether it checks its user."""

    origin: str = "https://board.test"
    verifies: bool = True
    count: int = 1
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    credential_id: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    user_handle: str = ""

    def create(self, options: str) -> str:
        """What the browser sends after `navigator.credentials.create`."""
        asked = json.loads(options)
        self.user_handle = asked["user"]["id"]
        numbers = self.key.public_key().public_numbers()
        public_key = {1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")}
        attested = bytes(16) + struct.pack(">H", len(self.credential_id)) + self.credential_id + cbor2.dumps(public_key)
        data = self._data(asked["rp"]["id"], ATTESTED) + attested
        return self._answer(
            clientDataJSON=base64url(self._client_data("webauthn.create", asked["challenge"])),
            attestationObject=base64url(cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})),
        )

    def get(self, options: str) -> str:
        """What the browser sends after `navigator.credentials.get`."""
        asked = json.loads(options)
        self.count += 1
        client_data, data = self._client_data("webauthn.get", asked["challenge"]), self._data(asked["rpId"], 0)
        signature = self.key.sign(data + hashlib.sha256(client_data).digest(), ec.ECDSA(hashes.SHA256()))
        return self._answer(
            clientDataJSON=base64url(client_data),
            authenticatorData=base64url(data),
            signature=base64url(signature),
            userHandle=self.user_handle,
        )

    def _data(self, party: str, more: int) -> bytes:
        flags = PRESENT | (VERIFIED if self.verifies else 0) | more
        return hashlib.sha256(party.encode()).digest() + bytes([flags]) + struct.pack(">I", self.count)

    def _client_data(self, kind: str, challenge: str) -> bytes:
        return json.dumps({"type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": False}).encode()

    def _answer(self, **response: str) -> str:
        named: dict[str, Any] = {"id": base64url(self.credential_id), "rawId": base64url(self.credential_id)}
        return json.dumps({**named, "type": "public-key", "response": response, "clientExtensionResults": {}})
