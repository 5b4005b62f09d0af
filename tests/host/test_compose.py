"""The containers' files: read by real programs, Caddy and MariaDB, where there are some."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from hostemr.errors import SettingsError
from hostemr.host.compose import (
    Ports,
    caddyfile_text,
    checked,
    compose_text,
    initialisation_statements,
    installation_environment,
)
from hostemr.host.configuration import Configuration, parse
from tests.peers.loopback import free_port
from tests.peers.mariadb import PrivateMariaDB, find_program

GIBIBYTE = 1024**3
MEBIBYTE = 1024**2
BASE = {
    "name": "clinic",
    "region": "us-east-1",
    "bucket": "clinic-backups",
    "passphrase_secret": "arn:passphrase",
    "administrator_secret": "arn:administrator",
    "database_secret": "arn:database",
    "address": "203.0.113.7",
    "openemr_image": "openemr/openemr:7.0.4",
    "database_image": "mariadb:11.8.3@sha256:" + "a" * 64,
    "web_image": "caddy:2.10.2",
}


def configuration(**settings: Any) -> Configuration:
    return parse({**BASE, **settings})


def services(memory: int = 2 * GIBIBYTE, **settings: Any) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(compose_text(configuration(**settings), memory=memory))
    return found


class TestCompose:
    def test_only_the_web_server_is_reachable(self) -> None:
        found = services()["services"]
        assert found["web"]["ports"] == ["80:80", "443:443"]
        for name in ("mysql", "openemr", "installer"):
            assert "ports" not in found[name]
            assert "network_mode" not in found[name]

    def test_images_are_the_pinned_ones(self) -> None:
        found = services()["services"]
        assert found["mysql"]["image"] == BASE["database_image"]
        assert found["openemr"]["image"] == found["installer"]["image"] == "openemr/openemr:7.0.4"
        assert found["web"]["image"] == "caddy:2.10.2"

    def test_docker_starts_nothing_by_itself_when_the_machine_starts(self) -> None:
        found = services()["services"]
        assert {found[name]["restart"] for name in ("mysql", "openemr", "web")} == {"on-failure"}
        assert "restart" not in found["installer"]
        assert found["installer"]["profiles"] == ["installation"]

    def test_no_service_is_told_a_password(self) -> None:
        for name, service in services()["services"].items():
            assert "env_file" not in service, name
            assert not [word for word in service.get("environment", {}) if word.endswith(("PASSWORD", "PASS"))] or (
                set(service["environment"]) & {"MARIADB_ALLOW_EMPTY_ROOT_PASSWORD"}
            ), name
        assert "MARIADB_RANDOM_ROOT_PASSWORD" not in compose_text(configuration(), memory=GIBIBYTE)

    def test_containers_see_the_generation_that_is_served(self) -> None:
        found = services(root="/data/emr")
        devices = {name: volume["driver_opts"]["device"] for name, volume in found["volumes"].items()}
        assert devices == {part: f"/data/emr/current/{part}" for part in ("database", "sites", "certificates")}
        # A folder that is missing must be an error: made by Docker, it would lie on the root volume.
        for service in found["services"].values():
            for mount in service["volumes"]:
                if isinstance(mount, dict):
                    assert mount["bind"] == {"create_host_path": False}

    def test_backups_have_one_path_inside_and_outside(self) -> None:
        work = [one for one in services()["services"]["mysql"]["volumes"] if isinstance(one, dict)][1]
        assert work["source"] == work["target"] == "/srv/openemr/work"

    @pytest.mark.parametrize("gibibytes", [1, 2, 4, 8, 16, 32])
    def test_memory_is_shared_out_on_every_instance_size(self, gibibytes: int) -> None:
        memory = gibibytes * GIBIBYTE
        found = services(memory)["services"]
        (option,) = [word for word in found["mysql"]["command"] if "buffer-pool" in word]
        buffers = int(option.partition("=")[2])
        assert 128 * MEBIBYTE <= buffers <= memory // 4 or buffers == 8 * GIBIBYTE
        assert found["mysql"]["mem_limit"] >= buffers + 512 * MEBIBYTE
        assert all(service["mem_limit"] < memory for service in found.values())

    @pytest.mark.parametrize(
        ("settings", "told"),
        [
            ({"openemr_image": "openemr; rm -rf /"}, "openemr_image"),
            ({"openemr_image": "openemr/openemr:7$(id)"}, "openemr_image"),
            ({"domain": "emr.example.org {", "email": "a@example.org"}, "domain"),
            ({"domain": "emr.example.org"}, "email is missing"),
            ({"email": "a@example.org\n}"}, "email"),
            ({"root": "/srv/open emr"}, "root"),
            ({"address": "203.0.113"}, "address"),
        ],
    )
    def test_what_would_break_out_of_a_file_is_refused(self, settings: dict[str, str], told: str) -> None:
        with pytest.raises(SettingsError, match=told):
            checked(configuration(**settings))

    def test_what_a_stack_gives_is_taken(self) -> None:
        checked(configuration(domain="emr.example.org", email="it+certs@example.org"))


class TestPasswords:
    @pytest.mark.parametrize("password", ["Adm1n!()<>^{}~_.,:+@%-", "aaaaaaaa", "!!!!!!!!{}"])
    def test_a_shell_reads_them_as_they_are(self, tmp_path: Path, password: str) -> None:
        text = installation_environment(database_password="D" * 20, administrator_password=password)
        (tmp_path / "env").write_text(text)
        command = f'. {tmp_path}/env; printf "%s|%s" "$DATABASE_PASSWORD" "$ADMINISTRATOR_PASSWORD"'
        told = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True).stdout
        assert told == f"{'D' * 20}|{password}"

    @pytest.mark.parametrize(
        "password", ["short", "with space", "with=equals", "with'quote", "with$dollar", "ümlaut-long"]
    )
    def test_what_upstreams_installer_would_break_is_refused_without_being_shown(self, password: str) -> None:
        with pytest.raises(SettingsError, match="administrator") as error:
            installation_environment(database_password="D" * 20, administrator_password=password)
        assert password not in str(error.value)

    def test_a_database_password_that_sql_would_take_for_something_else_is_refused(self) -> None:
        with pytest.raises(SettingsError, match="database"):
            initialisation_statements(database_password="'; DROP DATABASE x; --")


def test_mariadb_is_initialised_and_its_health_told(tmp_path: Path) -> None:
    """As the image does it: the statements on a server without a network, then the server as it is served."""
    if find_program("mariadbd") is None:
        pytest.skip("needs mariadb-server-core")
    script = tmp_path / "openemr.sql"
    script.write_text(initialisation_statements(database_password="D4tabase9Password5678"))
    test = services()["services"]["mysql"]["healthcheck"]["test"][1]
    with PrivateMariaDB() as server:
        client = ["mariadb", "--no-defaults", f"--socket={server.socket}"]
        subprocess.run([*client, "--user=root"], input=script.read_text(), text=True, check=True)
        # Twice is no harm, and root needs no password now: who is root outside is root here.
        subprocess.run(client, input=script.read_text(), text=True, check=True)
        query = "SELECT plugin FROM mysql.user WHERE user = 'root' AND host = 'localhost'"
        told = subprocess.run(
            [*client, "--skip-column-names", f"--execute={query}"], capture_output=True, text=True, check=True
        )
        assert told.stdout.strip() == "unix_socket"
        login = ["--user=openemr", "--password=D4tabase9Password5678", "--host=127.0.0.1", f"--port={server.port}"]
        made = "CREATE TABLE openemr.one (a INT); SHOW CREATE DATABASE openemr"
        told = subprocess.run(
            ["mariadb", "--no-defaults", *login, f"--execute={made}"], capture_output=True, text=True, check=True
        )
        assert "utf8mb4" in told.stdout
        health = test.replace("mariadb ", f"mariadb --no-defaults --socket={server.socket} ")
        assert subprocess.run(["sh", "-c", health], check=False).returncode == 0
        # What a server that initialises answers.
        health = health.replace("SELECT @@skip_networking", "SELECT 1 - @@skip_networking")
        assert subprocess.run(["sh", "-c", health], check=False).returncode == 1


class Upstream(BaseHTTPRequestHandler):
    """OpenEMR, as far as the web server is concerned."""

    seen: list[tuple[str, dict[str, str], int]]

    def do_POST(self) -> None:
        left = int(self.headers["Content-Length"])
        length = 0
        while length < left:
            piece = self.rfile.read(min(1 << 20, left - length))
            if not piece:
                # Cut off. To ask on would keep a processor busy until the end of the run.
                self.seen.append((self.path, dict(self.headers), length))
                self.close_connection = True
                return
            length += len(piece)
        self._answer(length)

    def do_GET(self) -> None:
        self._answer(0)

    def _answer(self, length: int) -> None:
        self.seen.append((self.path, dict(self.headers), length))
        body = str(length).encode()
        self.send_response(200)
        self.send_header("Strict-Transport-Security", "max-age=1; preload")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Into the test's own output it does not belong."""


class Web:
    """A real Caddy on high ports, with its certificates in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = Ports(http=free_port(), https=free_port(), health=free_port(), upstream=f"127.0.0.1:{free_port()}")
        self.file = folder / "Caddyfile"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, **settings: Any) -> None:
        # The Caddy of this machine may be older than 2.8.
        self.file.write_text(
            caddyfile_text(configuration(address="127.0.0.1", **settings), self.ports, unknown_names=False)
        )
        environment = {**os.environ, "XDG_DATA_HOME": str(self.folder), "XDG_CONFIG_HOME": str(self.folder / "config")}
        environment["HOME"] = str(self.folder)
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                ["caddy", "run", "--adapter", "caddyfile", "--config", str(self.file)],
                env=environment,
                stdout=log,
                stderr=log,
            )
        until = time.monotonic() + 60
        while True:
            with contextlib.suppress(OSError, http.client.HTTPException):
                if self.get(self.ports.health, "/")[0] == 200 and self.certificate():
                    return
            assert self.process.poll() is None, self.log()
            assert time.monotonic() < until, self.log()
            time.sleep(0.05)

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(20)
            self.process = None

    def log(self) -> str:
        return (self.folder / "log").read_text()

    def get(self, port: int, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
        return self._ask(http.client.HTTPConnection("127.0.0.1", port, timeout=10), "GET", path, None, headers)

    def secure(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, dict[str, str], bytes]:
        context = ssl.create_default_context(cafile=str(self.authority))
        connection = http.client.HTTPSConnection("127.0.0.1", self.ports.https, timeout=60, context=context)
        return self._ask(connection, method, path, body, headers)

    @property
    def authority(self) -> Path:
        return self.folder / "caddy/pki/authorities/local/root.crt"

    def certificate(self) -> bytes:
        """What a client is shown that names no server, as one that comes by address."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        with (
            socket.create_connection(("127.0.0.1", self.ports.https), timeout=10) as plain,
            context.wrap_socket(plain) as secure,
        ):
            shown = secure.getpeercert(binary_form=True)
            assert shown
            return shown

    def _ask(
        self, connection: http.client.HTTPConnection, method: str, path: str, body: Any, headers: dict[str, str]
    ) -> tuple[int, dict[str, str], bytes]:
        with contextlib.closing(connection):
            connection.request(method, path, body=body, headers={k.replace("_", "-"): v for k, v in headers.items()})
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    if not shutil.which("caddy"):
        pytest.skip("needs caddy")
    one = Web(tmp_path)
    yield one
    one.stop()


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """One web server with OpenEMR behind it, for the tests that only ask."""
    if not shutil.which("caddy"):
        pytest.skip("needs caddy")
    web = Web(tmp_path_factory.mktemp("web"))
    Upstream.seen = []
    host, _, port = web.ports.upstream.partition(":")
    server = ThreadingHTTPServer((host, int(port)), Upstream)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    web.start()
    yield web
    web.stop()
    server.shutdown()
    thread.join()
    server.server_close()


class TestWeb:
    def test_until_openemr_answers_it_says_that_it_is_starting(self, web: Web) -> None:
        web.start()
        for method in ("GET", "POST"):
            status, headers, body = web.secure(method, "/interface/login.php?patient=Jane-Doe", body=b"x")
            assert status == 503
            assert headers["Retry-After"] == "15"
            assert b"OpenEMR is starting" in body
        # The error's own lines neither.
        assert "Jane-Doe" not in web.log()

    def test_plain_http_is_sent_to_https_and_nothing_else(self, serving: Web) -> None:
        web, upstream = serving, Upstream
        del upstream.seen[:]
        for host in ("127.0.0.1", "emr.example.org"):
            status, headers, _ = web.get(web.ports.http, "/a?b=c", Host=host)
            assert status in {301, 302, 308}
            assert headers["Location"] == f"https://{host}/a?b=c"
        assert upstream.seen == []

    def test_a_large_upload_arrives_and_openemr_is_told_who_asks(self, serving: Web) -> None:
        web, upstream = serving, Upstream
        del upstream.seen[:]
        size = 100 * MEBIBYTE
        status, headers, body = web.secure(
            "POST", "/upload?name=Jane-Doe", body=b"x" * size, X_Forwarded_For="6.6.6.6", X_Forwarded_Proto="gopher"
        )
        assert (status, body) == (200, str(size).encode())
        path, told, length = upstream.seen[0]
        assert (path, length) == ("/upload?name=Jane-Doe", size)
        # What the client wrote there is gone.
        assert told["X-Forwarded-For"] == "127.0.0.1"
        assert told["X-Forwarded-Proto"] == "https"
        assert "Server" not in headers
        # Nobody vouches for this certificate, so nobody is told to insist on one.
        assert "Strict-Transport-Security" not in headers

    def test_what_is_too_large_is_refused(self, serving: Web) -> None:
        web, upstream = serving, Upstream
        del upstream.seen[:]
        with contextlib.suppress(OSError):
            status, _, _ = web.secure("POST", "/upload", body=b"x" * (300 * 1000 * 1000))
            assert status in {413, 502, 503}
        assert all(length < 257 * 1000 * 1000 for _, _, length in upstream.seen)

    def test_logs_hold_the_path_and_no_query_and_no_cookie(self, serving: Web) -> None:
        web, upstream = serving, Upstream
        del upstream.seen[:]
        web.secure("GET", "/interface/patient.php?name=Jane-Doe", Cookie="OpenEMR=secret-session")
        until = time.monotonic() + 10
        while "patient.php" not in web.log():
            assert time.monotonic() < until
            time.sleep(0.02)
        lines = [json.loads(line) for line in web.log().splitlines() if '"http.log.access' in line]
        assert [line["request"]["uri"] for line in lines if "patient" in line["request"]["uri"]] == [
            "/interface/patient.php?"
        ]
        assert "Jane-Doe" not in web.log()
        assert "secret-session" not in web.log()
        assert upstream.seen

    def test_a_restart_keeps_the_certificate(self, web: Web) -> None:
        web.start()
        before = web.certificate()
        web.stop()
        web.start()
        assert web.certificate() == before

    def test_nothing_can_be_changed_from_inside(self, serving: Web) -> None:
        with pytest.raises(ConnectionRefusedError):
            serving.get(2019, "/config/")

    def test_caddy_takes_a_domain(self, web: Web) -> None:
        settings = configuration(domain="emr.example.org", email="a@example.org")
        web.file.write_text(caddyfile_text(settings, unknown_names=False))
        environment = {**os.environ, "XDG_DATA_HOME": str(web.folder), "HOME": str(web.folder)}
        command = ["caddy", "validate", "--adapter", "caddyfile", "--config", str(web.file)]
        subprocess.run(command, capture_output=True, check=True, env=environment)

    def test_a_domain_has_a_certificate_by_http_and_a_way_out_until_then(self) -> None:
        text = caddyfile_text(configuration(domain="emr.example.org", email="a@example.org"))
        assert text.index("issuer acme") < text.index("issuer internal")
        assert "disable_tlsalpn_challenge" in text
        assert 'Strict-Transport-Security "max-age=31536000"' in text
        assert "redir https://emr.example.org{uri} 302" in text
        assert "fallback_sni emr.example.org" in text
