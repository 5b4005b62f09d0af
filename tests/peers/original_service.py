"""The original product-registration service as far as clients see it: one table, two routes, 201 or 409."""

from __future__ import annotations

import json
import threading
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs

import pymysql

from tests.peers.mariadb import PrivateMariaDB

TABLE = (
    "CREATE TABLE product (uuid CHAR(36) NOT NULL, email VARCHAR(128) NOT NULL, "
    "UNIQUE KEY (uuid), UNIQUE KEY (email)) CHARACTER SET utf8mb4"
)
"""As the original's schema.sql has it."""
_DUPLICATE = 1062


class OriginalService:
    """`with OriginalService(server, "original") as original:`; `original.url` answers."""

    def __init__(self, server: PrivateMariaDB, database: str) -> None:
        self.database_url = server.create_database(database)
        self._where: dict[str, Any] = {
            "unix_socket": str(server.socket),
            "user": "root",
            "database": database,
            "autocommit": True,
            # Else a context is made for each connection, at the cost of the rest of a request.
            "ssl_disabled": True,
        }
        self.execute(TABLE)
        # By default the kernel lets five clients wait for one that is slow to be accepted.
        self._http = _Listening(("127.0.0.1", 0), type("Handler", (_Handler,), {"service": self}))
        self.url = f"http://127.0.0.1:{self._http.server_port}"

    def execute(self, statement: str, *rows: tuple[str, str]) -> None:
        with pymysql.connect(**self._where) as connection, connection.cursor() as cursor:
            if rows:
                cursor.executemany(statement, rows)
            else:
                cursor.execute(statement)

    def register(self, email: str) -> str | None:
        """The productId of a new address; None for a known one."""
        product_id = str(uuid.uuid4())
        try:
            self.execute("INSERT INTO product VALUES (%s, %s)", (product_id, email))
        except pymysql.err.IntegrityError as error:
            if error.args[0] != _DUPLICATE:
                raise
            return None
        return product_id

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,))
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Answer nobody any more; who is being answered gets the answer."""
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()


class _Listening(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = False


class _Handler(BaseHTTPRequestHandler):
    service: OriginalService

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        product_id = self.service.register(parse_qs(body)["email"][0])
        if product_id is None:
            self._answer(409, {"error": "AlreadyRegisteredException"})
        else:
            self._answer(201, {"productId": product_id})

    def _answer(self, status: int, body: object) -> None:
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        """The test's output is no access log."""
