"""The image: what its Dockerfile says, and what its steps make, run as its user without an engine."""

from __future__ import annotations

import re
import shutil
import signal
import ssl
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from hostemr.registration.environment import load_settings
from tests.conftest import NOT_HERE
from tests.peers import loopback, mariadb
from tests.peers.ses import FakeSES
from tests.registration.container import ROOT, Image, our_dockerfile, why_not
from tests.registration.dockerfile import Context, exec_form, read_dockerfile, sources
from tests.registration.prepared_database import NAMES, RDS, rds

DOCKERFILE = "deployments/registration/Dockerfile"
PIN = "a pin of the board's"


def test_the_image_begins_with_a_base_that_can_be_named_by_its_digest() -> None:
    found = our_dockerfile()
    base = found.arguments["BASE"]
    assert re.fullmatch(r"docker\.io/library/python:3\.\d+-slim-\w+", base)
    assert {stage.base for stage in found.stages} == {base}
    assert list(found.arguments) == ["BASE"], "nothing else comes in from outside"


def test_the_image_runs_as_a_number_that_is_not_root() -> None:
    assert our_dockerfile().stages[-1].last("USER") == "10001:10001"


def test_the_image_starts_and_is_checked_without_a_shell() -> None:
    final = our_dockerfile().stages[-1]
    assert exec_form(final.last("ENTRYPOINT")) == ["hostemr"]
    assert exec_form(final.last("CMD")) == ["serve"]
    options, _, command = final.last("HEALTHCHECK").partition(" CMD ")
    assert exec_form(command) == ["hostemr", "registration", "health"]
    assert "--timeout=" in options
    assert final.last("STOPSIGNAL") == "SIGTERM"


def test_the_image_holds_no_secret_and_its_defaults_are_settings() -> None:
    for stage in our_dockerfile().stages:
        assert stage.all("ARG") == []
        words = " ".join([*stage.environment, *stage.labels]).upper()
        assert not re.search(r"SECRET|PASSWORD|TOKEN|KEY|PIN\b", words)
    environment = our_dockerfile().stages[-1].environment
    settings = load_settings(environment)
    assert (settings.host, settings.port, settings.tls) == ("0.0.0.0", 8443, "self-signed")
    assert our_dockerfile().stages[-1].last("EXPOSE") == str(settings.port)
    assert our_dockerfile().stages[-1].labels["org.opencontainers.image.licenses"] == "GPL-3.0-or-later"


def test_the_context_has_what_is_copied_and_nothing_else() -> None:
    context = Context(ROOT)
    [builder, _] = our_dockerfile().stages
    copied = {
        file for arguments in builder.all("COPY") for source in sources(arguments)[0] for file in context.files(source)
    }
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    through = {file for file in tracked.splitlines() if context.lets_through(file)}
    assert context.lets_through(DOCKERFILE), "`cdk deploy` builds from a copy of what the context lets through"
    assert through - {DOCKERFILE} <= copied, "what nobody copies need not be sent"
    assert {"LICENSE", "pyproject.toml", "src/hostemr/registration/server.py"} <= copied
    assert not [file for file in copied if "__pycache__" in file]
    for outside in (
        ".git/config",
        ".venv/bin/python",
        "data/secret-key",
        "tests/conftest.py",
        "src/hostemr/stacks/app.py",
    ):
        assert not context.lets_through(outside), outside


def test_every_source_of_a_copy_is_there() -> None:
    context = Context(ROOT)
    for arguments in our_dockerfile().stages[0].all("COPY"):
        for source in sources(arguments)[0]:
            assert context.files(source), source


@pytest.mark.parametrize(
    "text", ["USER x", "FROM a B c", "FROM a\nADD x y", "FROM a\nENV x", "FROM a\nENTRYPOINT hostemr"]
)
def test_the_reader_refuses_what_is_no_dockerfile_of_this_kind(text: str) -> None:
    def read() -> None:
        stage = read_dockerfile(text).stages[0]
        assert stage.environment is not None
        exec_form(stage.last("ENTRYPOINT"))

    with pytest.raises(ValueError):  # noqa: PT011, json's and the reader's own
        read()


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    if reason := why_not():
        pytest.skip(NOT_HERE + reason)
    with tempfile.TemporaryDirectory(prefix="hostemr-image-", dir="/var/tmp") as folder:
        # The image's user must be able to go through it.
        Path(folder).chmod(0o755)
        yield Image(Path(folder))


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RDS]:
    if not mariadb.installed():
        pytest.skip("needs mariadb-server-core")
    with rds(tmp_path_factory.mktemp("rds")) as one:
        yield one


@pytest.fixture
def temporary() -> Iterator[Callable[[], Path]]:
    """Makes folders for /tmp of a container, in one that every user can go through."""
    with tempfile.TemporaryDirectory(prefix="hostemr-tmp-", dir="/var/tmp") as folder:
        Path(folder).chmod(0o755)
        yield lambda: Path(tempfile.mkdtemp(dir=folder))


def written(tree: Path) -> dict[str, float]:
    """Every file of the image and when it was changed; the machine's own are not in it."""
    return {str(one): one.lstat().st_mtime for one in (tree, *tree.rglob("*"))}


def until(found: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 30
    while not found():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)


def answers(url: str) -> bool:
    try:
        return httpx.get(url, verify=_anybody(), timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


def _anybody() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@pytest.mark.real
def test_the_image_lives_its_life_as_a_user_who_can_write_nothing_but_tmp(
    image: Image, database: RDS, temporary: Callable[[], Path], tmp_path: Path
) -> None:
    before = written(image.tree)
    port = str(loopback.free_port())
    told = database.service("product_registration", NAMES[0])
    done = image.run(
        *("hostemr", "registration", "prepare-database"),
        temporary=temporary(),
        **database.task("product_registration", NAMES[0]),
    )
    assert done.returncode == 0, done.stderr
    with FakeSES(tmp_path / "ses") as ses:
        told |= {
            "HOSTEMR_SECRET_KEY": "a key for the tests",
            "HOSTEMR_SECRET_PIN": PIN,
            "HOSTEMR_BASE_URL": "https://reg.example.org",
            "HOSTEMR_PROXY_HOPS": "1",
            "HOSTEMR_SENDER": "ses",
            "HOSTEMR_SES_REGION": "us-east-1",
            "HOSTEMR_SES_ENDPOINT_URL": ses.url,
            "HOSTEMR_SES_CONFIGURATION_SET": "registration-mail",
            "HOSTEMR_SNS_TOPIC_ARNS": "arn:aws:sns:us-east-1:123456789012:registration-mail",
            "HOSTEMR_MAIL_FROM": "noreply@open-emr.org",
            "HOSTEMR_AWS_ACCESS_KEY_ID": "AKIATEST",
            "HOSTEMR_AWS_SECRET_ACCESS_KEY": "secret",
        }
        of_web, of_worker = temporary(), temporary()
        logs = tmp_path / "web.log", tmp_path / "worker.log"
        web = image.start(temporary=of_web, log=logs[0], **told, HOSTEMR_PORT=port)
        worker = image.start("worker", temporary=of_worker, log=logs[1], **told)
        try:
            url = f"https://127.0.0.1:{port}"
            until(lambda: answers(f"{url}/healthz"), web, logs[0])
            with httpx.Client(verify=_anybody(), timeout=30) as client:
                assert client.post(f"{url}/api/registration", data={"email": "a@example.org"}).status_code == 201
                message = {"secretPin": PIN, "title": "Patch", "contents": "There is one."}
                assert client.post(f"{url}/api/registration/broadcast", data=message).json() == {"status": "sent"}
            check = ("hostemr", "registration", "health")
            found = image.run(*check, temporary=of_web, HOSTEMR_PORT=port)
            assert (found.returncode, found.stdout) == (0, f"{url}/healthz answers\n"), found.stderr
            until(lambda: ses.addresses() == ["a@example.org"], worker, logs[1])
            found = image.run(*check, "--worker", temporary=of_worker)
            assert found.returncode == 0, found.stderr
        finally:
            for process in (web, worker):
                process.send_signal(signal.SIGTERM)
            stopped = time.monotonic()
            statuses = [process.wait(timeout=30) for process in (web, worker)]
        assert statuses == [0, 0], [log.read_text() for log in logs]
        assert time.monotonic() - stopped < 10
    assert '"event": "queue"' in logs[1].read_text()
    assert "Traceback" not in logs[0].read_text() + logs[1].read_text()
    assert PIN not in logs[0].read_text()
    assert [list(folder.iterdir()) for folder in (of_web, of_worker)] == [[], []], "nothing is left behind"
    assert written(image.tree) == before


@pytest.mark.real
def test_the_images_user_is_nobody_and_its_root_cannot_be_written(image: Image, temporary: Callable[[], Path]) -> None:
    script = "import os; print(os.getuid(), os.getgid(), os.getgroups()); open('/tmp/x', 'w'); open('/opt/x', 'w')"
    done = image.run("python", "-c", script, temporary=temporary())
    assert done.stdout == "10001 10001 []\n"
    assert "Read-only file system: '/opt/x'" in done.stderr


@pytest.mark.real
def test_the_image_has_the_service_and_nothing_of_the_rest(image: Image, temporary: Callable[[], Path]) -> None:
    where = temporary()
    script = "import hostemr; print(hostemr.__file__)"
    done = image.run("python", "-c", script, temporary=where)
    assert done.stdout.startswith("/opt/hostemr/lib/"), done.stderr
    package = image.tree / Path(done.stdout.strip()).parent.relative_to("/")
    assert {one.name for one in package.iterdir()} - {"__pycache__"} == {
        *("__init__.py", "__main__.py", "cli.py", "errors.py", "deployment", "registration"),
    }
    assert not shutil.which("pip", path=str(image.tree / "opt/hostemr/bin"))
    done = image.run("hostemr", "price", temporary=where)
    assert done.returncode == 3
    assert "`hostemr price` needs hostemr.operate, which is not installed." in done.stderr
    assert image.run("hostemr", "--version", temporary=where).returncode == 0
