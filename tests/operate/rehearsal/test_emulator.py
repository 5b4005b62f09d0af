"""The emulator's process, the response URL and the clocks of a handler."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from typing import Any

import pytest

from hostemr.operate.rehearsal.emulator import Emulator
from hostemr.operate.rehearsal.lambda_process import Clock, Context
from hostemr.operate.rehearsal.response_url import LARGEST, read, response_url

EVENT = {"StackId": "s", "RequestId": "r", "LogicalResourceId": "l"}


class TestEmulator:
    def test_its_process_ends_when_its_input_does(self) -> None:
        """So it never outlives whoever started it, even if that one was killed."""
        command = [sys.executable, "-m", "hostemr.operate.rehearsal.emulator_server"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            assert int(process.stdout.readline()) > 0
            process.stdin.close()
            assert process.wait(10) == 0

    def test_reset_forgets_everything(self, emulator: Emulator) -> None:
        emulator.client("s3").create_bucket(Bucket="one")
        emulator.reset()
        assert emulator.client("s3").list_buckets()["Buckets"] == []

    def test_a_gap_counts_only_since_the_mark(self, emulator: Emulator) -> None:
        before = emulator.mark()
        with pytest.raises(Exception, match="500"):
            emulator.client("backup").list_backup_selections(BackupPlanId="x")
        assert emulator.gaps(before, patience=5) == ("list_backup_selections",)
        assert emulator.gaps(emulator.mark()) == ()


class TestResponseUrl:
    def put(self, url: str, body: bytes = b"{}", content_type: str = "") -> int:
        call = urllib.request.Request(url, body, {"Content-Type": content_type}, method="PUT")
        try:
            with urllib.request.urlopen(call) as answered:
                return int(answered.status)
        except urllib.error.HTTPError as error:
            with error:
                return error.code

    def test_it_takes_an_answer_and_gives_it_once(self) -> None:
        with response_url() as answers:
            assert self.put(answers.url, b"one") == 200
            assert answers.take() == [b"one"]
            assert answers.take() == []

    def test_another_signature_or_a_content_type_is_refused_as_s3_does(self) -> None:
        with response_url() as answers:
            assert self.put(answers.url + "0") == 403
            assert self.put(answers.url, content_type="application/json") == 403
            assert answers.take() == []

    def test_it_is_gone_afterwards(self) -> None:
        with response_url() as answers:
            host = answers.url.split("/")[2]
        with pytest.raises(ConnectionRefusedError):
            http.client.HTTPConnection(host).connect()


class TestAnswer:
    def answer(self, **changes: Any) -> bytes:
        return json.dumps({**EVENT, "Status": "SUCCESS", "PhysicalResourceId": "p", **changes}).encode()

    def test_a_whole_answer_has_no_problems(self) -> None:
        found = read(self.answer(Data={"Id": "z"}), EVENT)
        assert (found.status, found.physical_id, found.data, found.problems) == ("SUCCESS", "p", {"Id": "z"}, ())

    @pytest.mark.parametrize(
        ("changes", "problem"),
        [
            ({"StackId": "other"}, "StackId is not the event's"),
            ({"Status": "OK"}, "Status is 'OK', neither SUCCESS nor FAILED"),
            ({"PhysicalResourceId": ""}, "PhysicalResourceId should be a text of 1 to 1024 bytes"),
            ({"Status": "FAILED"}, "a FAILED without a Reason"),
        ],
    )
    def test_what_cloudformation_would_not_take_is_told(self, changes: dict[str, Any], problem: str) -> None:
        assert read(self.answer(**changes), EVENT).problems == (problem,)

    def test_an_answer_may_have_4096_bytes(self) -> None:
        rest = LARGEST - len(self.answer(Reason=""))
        assert read(self.answer(Reason="x" * rest), EVENT).problems == ()
        assert read(self.answer(Reason="x" * (rest + 1)), EVENT).problems

    def test_what_is_no_json_is_told(self) -> None:
        assert read(b"<html>", EVENT).problems == ("it is no JSON object",)


def test_a_played_sleep_moves_both_clocks_and_takes_no_time() -> None:
    clock = Clock()
    context = Context("f", "arn", "r", 900, clock)
    began, real = clock.time(), time.monotonic()
    clock.sleep(300)
    assert clock.time() - began >= 300
    assert 599_000 < context.get_remaining_time_in_millis() <= 600_000
    assert time.monotonic() - real < 5
