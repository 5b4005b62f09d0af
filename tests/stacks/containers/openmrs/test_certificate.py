"""The task's own certificate: both ways of making it, for a reader that looks at any moment, and by whom it is made."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import signal
import stat
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import NameOID

from tests.peers import nginx
from tests.peers.nginx import Gateway, private_folder, script, until

PROGRAMS = ("mktemp", "date", "readlink", "rm", "chmod", "ln", "mv", "id", "sleep", "od", "tr", "tail", "cat", "dash")
HOUR = 3600


class Backend:
    """The backend's container, as far as certificates are concerned, with only the programs that it is given."""

    def __init__(self, folder: Path, *ways: str) -> None:
        self.folder = folder
        self.certificates = folder / "certificates"
        self.certificates.mkdir()
        self.programs = folder / "bin"
        self.programs.mkdir()
        self.scratch = folder / "scratch"
        for name in (*PROGRAMS, *ways):
            found = shutil.which(name)
            if not found:
                pytest.skip(f"needs {name}")
            (self.programs / name).symlink_to(found)

    def environment(self, **variables: str) -> dict[str, str]:
        return {"PATH": str(self.programs), "HOSTEMR_CERTIFICATES": str(self.certificates), **variables}

    def run(self, command: str, shell: tuple[str, ...] = ("dash",), **variables: str) -> tuple[int, str]:
        ended = subprocess.run(
            [shutil.which(shell[0]) or shell[0], *shell[1:], "-c", f"{script('certificate.sh')}\n{command}\n"],
            env=self.environment(**variables), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, timeout=30, check=False,
        )  # fmt: skip
        return ended.returncode, ended.stdout

    @property
    def current(self) -> Path:
        return (self.certificates / "current").resolve(strict=True)

    def pairs(self) -> set[str]:
        return {file.name for file in self.certificates.glob("pair.*")}

    def age(self, seconds: int) -> Path:
        """Let the pair in service look older than it is."""
        now = self.current
        _, made, rest = now.name.split(".")
        old = now.rename(now.with_name(f"pair.{int(made) - seconds}.{rest}"))
        link = self.certificates / "link"
        link.symlink_to(old.name)
        link.rename(self.certificates / "current")
        return old


def belong_together(pair: Path) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    """Both files of a folder, if the one's key is the other's."""
    key = load_pem_private_key((pair / "server.key").read_bytes(), None)
    certificate = x509.load_pem_x509_certificate((pair / "server.crt").read_bytes())
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    assert key.public_key() == certificate.public_key()
    return key, certificate


@pytest.fixture
def backend(tmp_path: Path) -> Backend:
    return Backend(tmp_path, "openssl")


@pytest.mark.parametrize("ways", [("openssl",), ("keytool", "java")], ids=["openssl", "keytool"])
def test_a_pair_is_made_each_way(tmp_path: Path, ways: tuple[str, ...]) -> None:
    backend = Backend(tmp_path, *ways)
    # What is meant for OpenMRS' Java would end this one.
    status, output = backend.run(
        "umask 022; certificate_make; umask", JAVA_TOOL_OPTIONS="-Xmx1k", JDK_JAVA_OPTIONS="-bad"
    )
    assert status == 0, output
    assert ways[0] in output
    assert "0022" in output
    key, certificate = belong_together(backend.current)
    assert isinstance(key.curve, ec.SECP256R1)
    assert certificate.subject == x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]
    assert certificate.not_valid_after_utc - certificate.not_valid_before_utc == dt.timedelta(days=14)
    assert {file.name for file in backend.current.iterdir()} == {"server.key", "server.crt"}
    assert {stat.S_IMODE(file.stat().st_mode) for file in backend.current.iterdir()} == {0o640}
    assert stat.S_IMODE(backend.current.stat().st_mode) == 0o750


def stand_in(backend: Backend, name: str, script: str) -> None:
    (backend.programs / name).write_text(f"#!/bin/sh\n{script}\n")
    (backend.programs / name).chmod(0o755)


def test_the_password_of_the_store_is_a_new_one_each_time_and_in_no_argument(backend: Backend) -> None:
    (backend.programs / "openssl").unlink()
    for name in ("keytool", "java"):
        stand_in(
            backend,
            name,
            f'echo "$*" >>{backend.folder}/words; echo "$STORE_PASSWORD" >>{backend.folder}/passwords'
            f"\n[ {name} = keytool ]",
        )
    for _ in range(2):
        assert backend.run("certificate_renew")[0] == 1
    keytool, java, *again = (backend.folder / "passwords").read_text().splitlines()
    assert keytool == java
    assert len(keytool) == 48
    assert keytool not in again
    words = (backend.folder / "words").read_text()
    assert words.count("-storepass:env STORE_PASSWORD") == 2
    assert not [password for password in (keytool, *again) if password in words]


def test_an_openssl_that_is_too_old_is_not_the_end(backend: Backend) -> None:
    backend.run("certificate_renew")
    made = backend.current
    (backend.programs / "openssl").unlink()
    stand_in(backend, "openssl", "echo 'unknown option -addext' >&2; exit 1")
    stand_in(backend, "keytool", ":")
    stand_in(backend, "java", f'for folder; do :; done; cp {made}/* "$folder"')
    (backend.programs / "cp").symlink_to("/bin/cp")
    status, output = backend.run("certificate_renew")
    assert (status, "by keytool" in output) == (0, True), output
    assert backend.current != made
    belong_together(backend.current)


@pytest.mark.parametrize("ways", [(), ("java",)])
def test_no_way_at_all_is_said_and_leaves_nothing(tmp_path: Path, ways: tuple[str, ...]) -> None:
    backend = Backend(tmp_path, *ways)
    status, output = backend.run("certificate_make")
    assert (status, output.count("\n")) == (1, 1)
    assert "neither openssl nor keytool" in output
    assert list(backend.certificates.iterdir()) == []


def test_a_young_pair_stays_and_an_old_one_is_replaced(backend: Backend) -> None:
    backend.run("certificate_make")
    first = backend.current
    assert backend.run("certificate_make") == (0, "")
    assert backend.current == first
    old = backend.age(47 * HOUR)
    backend.run("certificate_make")
    assert backend.current == old
    old = backend.age(2 * HOUR)
    backend.run("certificate_make")
    assert backend.current != old
    belong_together(backend.current)


@pytest.mark.parametrize("harm", ["no key", "empty certificate", "no folder", "from the future", "strange name"])
def test_a_pair_that_is_not_whole_is_replaced(backend: Backend, harm: str) -> None:
    backend.run("certificate_make")
    first = backend.current
    if harm == "no key":
        (first / "server.key").unlink()
    elif harm == "empty certificate":
        (first / "server.crt").write_text("")
    elif harm == "no folder":
        shutil.rmtree(first)
    elif harm == "from the future":
        first = backend.age(-HOUR)
    else:
        first = first.rename(first.with_name("other"))
        (backend.certificates / "current").unlink()
        (backend.certificates / "current").symlink_to("other")
    status, output = backend.run("certificate_make")
    assert status == 0, output
    assert backend.current != first
    belong_together(backend.current)


def test_replaced_and_half_made_pairs_go_when_nobody_can_be_reading_them(backend: Backend) -> None:
    backend.run("certificate_renew")
    old = backend.age(2 * HOUR).name
    half = f"pair.{int(old.split('.')[1])}.half"
    (backend.certificates / half).mkdir()
    (backend.certificates / f"{half}.link").symlink_to(half)
    (backend.certificates / "other").mkdir()
    backend.run("certificate_renew")
    young = backend.current.name
    assert backend.pairs() == {young}
    backend.run("certificate_renew")
    assert backend.pairs() == {young, backend.current.name}
    assert (backend.certificates / "other").is_dir()


@pytest.mark.parametrize("shell", [("dash",), ("busybox", "sh")])
def test_a_reader_never_sees_halves_of_two_pairs(backend: Backend, shell: tuple[str, ...]) -> None:
    if not shutil.which(shell[0]):
        pytest.skip(f"needs {shell[0]}")
    backend.run("certificate_make")
    seen, wrong, done = set(), [], threading.Event()

    def read_on_and_on() -> None:
        while not done.is_set():
            try:
                pair = backend.current
                belong_together(pair)
                seen.add(pair)
            except (OSError, ValueError, AssertionError) as error:
                wrong.append(repr(error))

    reader = threading.Thread(target=read_on_and_on)
    reader.start()
    try:
        status, output = backend.run(
            "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do certificate_renew; done", shell
        )
    finally:
        done.set()
        reader.join()
    assert status == 0, output
    assert wrong == []
    assert len(seen) > 5
    assert len(backend.pairs()) == 21


def test_who_is_killed_while_making_one_leaves_the_old_one_in_service(backend: Backend) -> None:
    backend.run("certificate_make")
    first = backend.current
    real = (backend.programs / "openssl").resolve()
    (backend.programs / "openssl").unlink()
    (backend.programs / "openssl").write_text(f'#!/bin/sh\n{real} "$@"\n: >{backend.folder}/made\nexec /bin/sleep 60\n')
    (backend.programs / "openssl").chmod(0o755)
    making = subprocess.Popen(
        ["dash", "-c", script("certificate.sh") + "\ncertificate_renew\n"],
        env=backend.environment(), start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    until((backend.folder / "made").exists, "the pair that is not yet in service")
    os.killpg(making.pid, signal.SIGKILL)
    making.wait()
    assert backend.current == first
    belong_together(first)
    (backend.programs / "openssl").unlink()
    (backend.programs / "openssl").symlink_to(real)
    assert backend.run("certificate_renew")[0] == 0
    belong_together(backend.current)


def test_the_keeper_renews_and_survives_a_failure(backend: Backend) -> None:
    backend.run("certificate_make")
    first = backend.age(3 * 24 * HOUR)
    openssl = backend.programs / "openssl"
    openssl.rename(backend.programs / "hidden")
    log = backend.folder / "log"
    with log.open("wb") as output:
        keeper = subprocess.Popen(
            ["dash", "-c", script("certificate.sh") + "\ncertificate_keep\n"],
            env=backend.environment(CERTIFICATE_CHECK_SECONDS="0.2"), stdout=output, stderr=output,
        )  # fmt: skip
    try:
        until(lambda: "was not renewed" in log.read_text(), "the failure")
        assert backend.current == first
        (backend.programs / "hidden").rename(openssl)
        until(lambda: backend.current != first, "the new pair")
        belong_together(backend.current)
        assert keeper.poll() is None
    finally:
        keeper.kill()
        keeper.wait()


@pytest.mark.parametrize("days", ["0", "13", "two", "-1"])
def test_a_wrong_number_of_days_is_refused(backend: Backend, days: str) -> None:
    status, output = backend.run("certificate_make", CERTIFICATE_DAYS=days)
    assert (status, f"CERTIFICATE_DAYS is {days}" in output) == (2, True)


def test_the_folder_is_waited_for_and_not_for_ever(backend: Backend) -> None:
    backend.certificates.rmdir()
    status, output = backend.run("certificate_make", CERTIFICATE_WAIT_SECONDS="1")
    assert (status, "the gateway makes it so" in output) == (1, True)


@pytest.fixture
def folder() -> Iterator[Path]:
    with private_folder() as folder:
        yield folder


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, who may become another user")
def test_the_backends_user_makes_what_the_gateways_root_serves(folder: Path) -> None:
    if not nginx.installed():
        pytest.skip("needs nginx")
    folder.chmod(0o755)
    gateway = Gateway(folder)
    gateway.certificates.chmod(0o700)
    gateway.variables.pop("TMPDIR")
    making = subprocess.Popen(
        ["dash", "-c", script("certificate.sh") + "\ncertificate_make\n"],
        env=gateway.variables, user=1001, group=0, extra_groups=[], stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    gateway.variables["TMPDIR"] = str(folder)
    with gateway:
        output, _ = making.communicate(timeout=20)
        assert making.returncode == 0, output
        gateway.wait_until_served()
        pair = (gateway.certificates / "current").resolve()
        assert (pair.stat().st_uid, pair.stat().st_gid) == (1001, 0)
        assert stat.S_IMODE(gateway.certificates.stat().st_mode) == 0o770
