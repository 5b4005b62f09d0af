"""A small server for loads, on loopback: the pages of OpenEMR that the scenarios visit, and mishaps on demand."""

from __future__ import annotations

import base64
import itertools
import json
import re
import ssl
import threading
import time
from collections import Counter
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, urlsplit

PASSWORD = "Load-test-1"
LOGIN_FORM = '<form><input name="authUser" id="authUser"><input type="password" name="clearPass" id="clearPass"></form>'
PUBLIC = {
    "/apis/default/fhir/metadata": '{"resourceType": "CapabilityStatement"}',
    "/apis/default/fhir/.well-known/smart-configuration": '{"token_endpoint": "x"}',
}
PATIENTS = {"17": "Doe, Jane", "23": "Roe, Richard"}


class LoadTarget:
    """`with LoadTarget() as target:`; `target.url` answers.

    `fail_from`, `drop_from` and `slow_from` are numbers of requests from which on every answer is a 500, a closed
    connection, or comes `delay` seconds later. `requests` counts by path; `sessions` are log-ins by name. With a
    certificate it speaks TLS.
    """

    def __init__(self, certificate: Path | None = None) -> None:
        self.requests: Counter[str] = Counter()
        self.log_ins: Counter[str] = Counter()
        self.uploads: list[tuple[str, bytes]] = []
        self.cookies_seen: set[str] = set()
        self.agents: set[str] = set()
        self.fail_from: int | None = None
        self.fail_status = 500
        self.drop_from: int | None = None
        self.slow_from: int | None = None
        self.delay = 0.0
        self.elsewhere: str | None = None
        self.sessions: dict[str, str | None] = {}
        self._numbers = itertools.count(1)
        self.lock = threading.Lock()
        target = self

        class Handler(_Pages):
            place = target

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._scheme = "https" if certificate else "http"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    @property
    def total(self) -> int:
        return sum(self.requests.values())

    @property
    def url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self._server.server_address[1]}"

    def new_session(self, user: str | None) -> str:
        with self.lock:
            session = f"session{next(self._numbers)}"
            self.sessions[session] = user
            return session

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Pages(BaseHTTPRequestHandler):
    place: LoadTarget
    protocol_version = "HTTP/1.1"
    # Without it, the headers and the body leave in two packets and wait for each other's acknowledgement.
    wbufsize = -1

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002, the base class's name
        """Tests look at the counters."""

    def do_GET(self) -> None:
        self._serve(b"")

    def do_POST(self) -> None:
        self._serve(self.rfile.read(int(self.headers.get("Content-Length", 0))))

    def _serve(self, body: bytes) -> None:
        place, parts = self.place, urlsplit(self.path)
        with place.lock:
            place.requests[parts.path] += 1
            place.agents.add(self.headers.get("User-Agent", ""))
            number = place.total
        if place.slow_from is not None and number >= place.slow_from:
            time.sleep(place.delay)
        if place.drop_from is not None and number >= place.drop_from:
            self.close_connection = True
            return
        if place.fail_from is not None and number >= place.fail_from:
            self._answer(place.fail_status, "sorry")
            return
        cookie = SimpleCookie(self.headers.get("Cookie", ""))
        session = cookie["OpenEMR"].value if "OpenEMR" in cookie else ""
        if session:
            place.cookies_seen.add(session)
        self._page(parts.path, parse_qs(parts.query, keep_blank_values=True), session, body)

    def _page(self, path: str, query: dict[str, list[str]], session: str, body: bytes) -> None:
        place = self.place
        if path == "/":
            self._answer(302, "", location=place.elsewhere or "/interface/login/login.php?site=default")
        elif path == "/interface/login/login.php":
            self._answer(200, LOGIN_FORM, cookie=place.new_session(None))
        elif path == "/interface/main/main_screen.php":
            self._log_in(session, {name: values[0] for name, values in parse_qs(body.decode()).items()})
        elif path in PUBLIC:
            self._answer(200, PUBLIC[path])
        elif path.startswith("/openmrs/ws/rest/v1/"):
            self._rest(path.removeprefix("/openmrs/ws/rest/v1/"), session, body)
        elif place.sessions.get(session) is None:
            # OpenEMR shows the log-in form with status 200 once a session is gone.
            self._answer(200, LOGIN_FORM)
        elif path == "/interface/main/finder/dynamic_finder_ajax.php":
            rows = [{"DT_RowId": f"pid_{pid}", "0": name} for pid, name in PATIENTS.items()]
            self._answer(200, json.dumps({"aaData": rows if query["sSearch"][0] != "w" else []}))
        elif path == "/controller.php":
            self._documents(query, body)
        elif path.startswith("/interface/"):
            self._answer(200, f"<title>{query.get('set_pid', ['?'])[0]}</title>")
        else:
            self._answer(404, "no such page")

    def _log_in(self, session: str, form: dict[str, str]) -> None:
        good = form.get("clearPass") == PASSWORD and form.get("new_login_session_management") == "1"
        if not good or session not in self.place.sessions:
            self._answer(200, LOGIN_FORM)
            return
        with self.place.lock:
            self.place.log_ins[form["authUser"]] += 1
        place = "/interface/main/tabs/main.php?token_main=abc"
        self._answer(302, "", location=place, cookie=self.place.new_session(form["authUser"]))

    def _rest(self, path: str, session: str, body: bytes) -> None:
        """As OpenMRS answers: a session that knows its user, or 401."""
        place = self.place
        if path == "session":
            name, _, password = base64.b64decode(self.headers.get("Authorization", "").partition(" ")[2]).partition(
                b":"
            )
            good = password.decode() == PASSWORD
            cookie = place.new_session(name.decode()) if good else ""
            self._answer(200, json.dumps({"authenticated": good}, separators=(",", ":")), cookie=cookie)
        elif place.sessions.get(session) is None:
            self._answer(401, "")
        elif path == "attachment":
            name_of_file = re.search(rb'name="file"; filename="([^"]+)"', body)
            with place.lock:
                place.uploads.append((name_of_file[1].decode() if name_of_file else "", body))
            self._answer(201, "{}")
        elif path.startswith("patient/"):
            self._answer(200, json.dumps({"uuid": path.removeprefix("patient/")}))
        else:
            self._answer(200, json.dumps({"results": [{"uuid": f"uuid-{pid}"} for pid in PATIENTS]}))

    def _documents(self, query: dict[str, list[str]], body: bytes) -> None:
        if self.command == "GET":
            token = '<input type="hidden" name="csrf_token_form" value="abc/+=">'
            self._answer(200, f'<form>{token}<input type="file" name="file[]"></form>')
            return
        name = re.search(rb'name="file\[\]"; filename="([^"]+)"', body)
        if name is None or b"abc/+=" not in body or query["patient_id"][0] not in PATIENTS:
            self._answer(200, "Upload failed")
            return
        with self.place.lock:
            self.place.uploads.append((name[1].decode(), body))
        self._answer(200, f"Uploaded<br>Name: {name[1].decode()}")

    def _answer(self, status: int, text: str, *, location: str = "", cookie: str = "") -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        if location:
            self.send_header("Location", location)
        if cookie:
            self.send_header("Set-Cookie", f"OpenEMR={cookie}; path=/; HttpOnly")
        self.end_headers()
        self.wfile.write(body)
