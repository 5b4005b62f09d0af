"""A web task's start: it serves what is configured, and never configures."""

from __future__ import annotations

import re
import stat
import subprocess
from collections.abc import Callable

import pytest

from tests.peers.openemr_image import Image
from tests.peers.redis import PrivateRedis
from tests.stacks.containers.authority import Authority
from tests.stacks.containers.conftest import CACHE_PASSWORD
from tests.stacks.containers.shells import SHELLS, use_shell

DONE, FAILED, UNREACHABLE = 0, 1, 3


@pytest.fixture
def web(installed: Image, cache: PrivateRedis) -> Image:
    """An image whose set-up task has ended, with the environment of a web task."""
    image = installed
    image.environment.update(
        REDIS_SERVER=f"127.0.0.1:{cache.port}",
        REDIS_TLS="yes",
        REDIS_USERNAME="openemr",
        REDIS_PASSWORD=CACHE_PASSWORD,
        CACHE_WAIT_SECONDS="1",
    )
    return image


@pytest.mark.parametrize("shell", SHELLS)
def test_a_worker_serves_and_does_nothing_else(shell: str, web: Image) -> None:
    use_shell(web, shell)
    before = web.fingerprints()
    status, output = web.run("worker")
    assert status == DONE, output
    assert web.log() == ["serving"]
    assert web.fingerprints() == before
    assert CACHE_PASSWORD not in output


def test_a_newer_image_does_not_make_a_worker_upgrade(web: Image) -> None:
    web.set_version(9)
    assert web.run("worker")[0] == DONE
    assert web.log() == ["serving"]


def unconfigure(web: Image) -> None:
    web.sqlconf.chmod(0o600)
    web.sqlconf.write_text(web.sqlconf.read_text().replace("$config = 1", "$config = 0"))


def lose_sqlconf(web: Image) -> None:
    web.sqlconf.unlink()


def lose_the_mark_of_completion(web: Image) -> None:
    (web.sites / "docker-completed").unlink()


@pytest.mark.parametrize("damage", [unconfigure, lose_sqlconf, lose_the_mark_of_completion])
def test_a_worker_does_not_start_before_set_up_has_ended(damage: Callable[[Image], None], web: Image) -> None:
    damage(web)
    before = web.fingerprints()
    status, output = web.run("worker")
    assert (status, output.count("Z error:")) == (FAILED, 1), output
    assert "set-up task" in output
    assert web.log() == []
    assert web.fingerprints() == before


def test_a_worker_makes_a_certificate_of_its_own_and_keeps_it(web: Image) -> None:
    assert web.run("worker")[0] == DONE
    key, certificate = web.etc / "ssl/private/webserver.key.pem", web.etc / "ssl/certs/webserver.cert.pem"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    shown = subprocess.run(
        ["openssl", "x509", "-in", certificate, "-noout", "-checkend", str(390 * 86400), "-text"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "P-256" in shown
    assert (web.etc / "ssl/docker-selfsigned-configured").exists()
    made = certificate.read_text()
    assert web.run("worker")[0] == DONE
    assert certificate.read_text() == made


def test_an_emptied_ssl_folder_is_restored(web: Image) -> None:
    (web.etc / "ssl/openssl.cnf").unlink()
    assert web.run("worker")[0] == DONE
    assert (web.etc / "ssl/openssl.cnf").exists()


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"REDIS_SERVER": "127.0.0.1:9"}, "no cache at 127.0.0.1:9"),
        ({"REDIS_PASSWORD": "wrong"}, "WRONGPASS"),
        ({"REDIS_TLS": "no"}, "no cache at"),
    ],
)
def test_a_worker_without_its_cache_does_not_serve(more: dict[str, str], words: str, web: Image) -> None:
    status, output = web.run("worker", **more)
    assert (status, words in output) == (UNREACHABLE, True), output
    assert web.log() == []


def test_a_cache_with_another_authoritys_certificate_is_not_trusted(web: Image, other_authority: Authority) -> None:
    status, output = web.run("worker", HOSTEMR_TRUST_STORE=str(other_authority.file))
    assert (status, "no cache at" in output) == (UNREACHABLE, True), output
    assert web.log() == []


def test_sessions_live_in_the_cache_and_upstream_leaves_them_alone(web: Image, cache: PrivateRedis) -> None:
    assert web.run("worker")[0] == DONE
    written = web.etc / "php84/conf.d/99-hostemr.ini"
    assert stat.S_IMODE(written.stat().st_mode) == 0o600
    read = subprocess.run(
        ["php", "-n", "-r", "echo parse_ini_file($argv[1], false, INI_SCANNER_RAW)['session.save_path'];", written],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert read == (
        f"tls://127.0.0.1:{cache.port}?auth[user]=openemr&auth[pass]=cache%25%2B%26%23secret"
        f"&stream[cafile]=file://{web.certificates}/redis-ca"
    )
    assert (web.etc / "php-redis-configured").exists()


def test_apache_logs_to_the_tasks_output_and_never_what_follows_the_question_mark(web: Image) -> None:
    for _ in range(2):
        assert web.run("worker")[0] == DONE
    assert (web.etc / "apache2/conf.d/openemr.conf").read_text().startswith("#CustomLog")
    ours = (web.etc / "apache2/conf.d/zz-hostemr.conf").read_text()
    assert "CustomLog /proc/self/fd/1 hostemr" in ours
    assert "ErrorLog /proc/self/fd/2" in ours
    assert "RemoteIPHeader X-Forwarded-For" in ours
    formats = " ".join(re.findall(r'Format "(.*)"', ours))
    # %r and %q hold the query string; a referer holds the one before, a cookie the session.
    assert not re.search(r"%[<>]?[rqu]\b|(?i:\{(Referer|Cookie))", formats), formats


def test_without_a_cache_sessions_are_in_files_only_where_that_is_asked_for(web: Image) -> None:
    for name in [name for name in web.environment if name.startswith("REDIS_")]:
        del web.environment[name]
    status, output = web.run("worker")
    assert status == 2, output
    assert web.log() == []
    status, output = web.run("worker", SESSIONS="files")
    assert status == DONE, output
    assert web.log() == ["serving"]
    assert "sessions are in this task's files" in output
    [ini] = web.etc.glob("php*/conf.d/99-hostemr.ini")
    assert ini.read_text() == "log_errors = On\ndisplay_errors = Off\n"
