"""AWS's errors, as AWS and botocore make them, each in one line that says what to do."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import socket
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from botocore import exceptions

from hostemr.errors import HostemrError, OutsideWorldError, SettingsError
from hostemr.operate.aws import Account, error_code, pages, stack_outputs, translated
from tests.operate.reach.aws_stand_in import Answer, Refused, StandIn


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[StandIn, Account]]:
    """One of each: a client takes a tenth of a second to make."""
    with StandIn() as stand_in, pytest.MonkeyPatch.context() as environment:
        for name, value in stand_in.environment().items():
            environment.setenv(name, value)
        yield stand_in, Account()


@pytest.fixture
def aws(running: tuple[StandIn, Account]) -> StandIn:
    stand_in, _ = running
    stand_in.forget()
    return stand_in


@pytest.fixture
def account(running: tuple[StandIn, Account]) -> Account:
    return running[1]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with no credentials and no settings for AWS but those that a test writes."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return tmp_path


def _error(doing: Callable[[], object], about: str = "") -> HostemrError:
    with pytest.raises(HostemrError) as told, translated(about):
        doing()
    assert "\n" not in told.value.message
    return told.value


def _refused(running: tuple[StandIn, Account], code: str, message: str, service: str = "sts") -> HostemrError:
    aws, account = running
    operation = {"sts": "get_caller_identity", "ec2": "describe_regions", "ecs": "list_clusters"}[service]
    aws.answers["".join(word.title() for word in operation.split("_"))] = Refused(code, message)
    return _error(getattr(account.client(service), operation))


_USER = "User: arn:aws:iam::123456789012:user/op"
_BY = "an explicit deny in a service control policy"
_ENCODED = "Encoded authorization failure message: qlYWiVxq"
_TOKEN_OLD = "The security token included in the request is expired"
_TOKEN_BAD = "The security token included in the request is invalid."
_SIGNED_LATE = "Signature expired: 20260504T120000Z is now earlier than 20260504T130000Z (20260504T130500Z - 5 min.)"


class TestServices:
    """The replies are those that the services give, over HTTP and in their formats."""

    @pytest.mark.parametrize(
        ("refusal", "line", "hint"),
        [
            (("sts", "ExpiredToken", _TOKEN_OLD), "has expired", "sign in again"),
            (("ecs", "ExpiredTokenException", _TOKEN_OLD), "has expired", "sign in again"),
            (("sts", "InvalidClientTokenId", _TOKEN_BAD), "does not know these credentials", "account list-regions"),
            (("ecs", "UnrecognizedClientException", _TOKEN_BAD), "does not know these credentials", "aws sso login"),
            (("ec2", "AuthFailure", "AWS was not able to validate the provided access credentials"), "not know", "sso"),
            (("sts", "SignatureDoesNotMatch", "The request signature we calculated does not match"), "not know", "sso"),
            (("sts", "SignatureDoesNotMatch", _SIGNED_LATE), "clock differs", "set the clock"),
            (("ecs", "InvalidSignatureException", _SIGNED_LATE), "clock differs", "set the clock"),
            (("ec2", "RequestExpired", "Request has expired."), "clock differs", "set the clock"),
            (
                ("sts", "RequestTimeTooSkewed", "The difference between … is too large."),
                "clock differs",
                "set the clock",
            ),
            (("sts", "RegionDisabledException", "STS is not activated"), "region is not enabled", "enable-region"),
            (("ec2", "OptInRequired", "You are not subscribed to this service"), "not enabled", "enable-region"),
            (("sts", "MissingAuthenticationToken", "Missing Authentication Token"), "No credentials", "aws configure"),
        ],
    )
    def test_each_refusal_is_one_line_and_what_to_do(
        self, running: tuple[StandIn, Account], refusal: tuple[str, str, str], line: str, hint: str
    ) -> None:
        service, code, message = refusal
        error = _refused(running, code, message, service)
        assert isinstance(error, OutsideWorldError)
        assert line in error.message
        assert hint in error.hint

    @pytest.mark.parametrize(
        ("service", "code", "message", "expected"),
        [
            (
                "ecs",
                "AccessDeniedException",
                f"{_USER} is not authorized to perform: ecs:ListClusters on resource: * because no policy allows it",
                "Your credentials may not ecs:ListClusters.",
            ),
            (
                "ecs",
                "AccessDeniedException",
                f"{_USER} is not authorized to perform: ecs:ListClusters on resource: a/b with {_BY}",
                "Your credentials may not ecs:ListClusters on a/b (denied by a service control policy).",
            ),
            (
                "ec2",
                "UnauthorizedOperation",
                f"You are not authorized. {_USER} is not authorized to perform: ec2:DescribeRegions. {_ENCODED}",
                "Your credentials may not ec2:DescribeRegions.",
            ),
        ],
    )
    def test_a_missing_permission_names_the_action_and_the_resource(
        self, running: tuple[StandIn, Account], service: str, code: str, message: str, expected: str
    ) -> None:
        error = _refused(running, code, message, service)
        assert error.message == expected
        assert error.hint.startswith("have ec")

    def test_a_refusal_in_other_words_is_told_without_what_it_encodes(self, running: tuple[StandIn, Account]) -> None:
        said = f"You are not authorized. {_ENCODED}"
        error = _refused(running, "UnauthorizedOperation", said, "ec2")
        assert "You are not authorized." in error.message
        assert "qlYWiVxq" not in error.message

    def test_any_other_error_is_told_in_one_line(self, running: tuple[StandIn, Account]) -> None:
        error = _refused(running, "ServerException", "Service\n  unavailable", "ecs")
        assert error.message.endswith("calling the ListClusters operation: Service unavailable")

    def test_throttling_is_tried_again_before_it_is_told(self, aws: StandIn, account: Account) -> None:
        asked: Iterator[Answer] = iter([Refused("ThrottlingException", "Rate exceeded"), {"clusterArns": ["a"]}])
        aws.answers["ListClusters"] = lambda _: next(asked)
        assert account.client("ecs").list_clusters()["clusterArns"] == ["a"]

    def test_throttling_that_goes_on_is_told(self) -> None:
        for code in ("ThrottlingException", "Throttling", "RequestLimitExceeded", "SlowDown"):
            error = _error(lambda code=code: _raise(_client_error(code, "Rate exceeded")))  # type: ignore[misc]
            assert error.message == f"AWS asks for fewer requests ({code}), after several attempts."
            assert "wait a minute" in error.hint

    def test_a_statement_is_never_sent_twice(self, aws: StandIn, account: Account) -> None:
        aws.answers["ExecuteStatement"] = Refused("InternalServerErrorException", "lost", 500)
        client = account.client("rds-data")
        _error(lambda: client.execute_statement(resourceArn="a" * 20, secretArn="b" * 20, sql="INSERT"))
        assert len(aws.requests("ExecuteStatement")) == 1

    def test_what_was_being_done_stands_first(self) -> None:
        error = _error(lambda: _raise(_client_error("ExpiredToken", "")), "looking for a task")
        assert error.message.startswith("looking for a task: The sign-in to AWS has expired")


def _client_error(code: str, message: str) -> exceptions.ClientError:
    return exceptions.ClientError({"Error": {"Code": code, "Message": message}}, "DescribeThings")


def _raise(error: Exception) -> None:
    raise error


class TestThisMachine:
    @pytest.mark.usefixtures("home")
    def test_without_credentials_it_says_how_to_get_some(self) -> None:
        error = _error(lambda: Account(region="us-east-1").client("sts").get_caller_identity())
        assert error.message == "No credentials for AWS were found."
        assert "aws sso login" in error.hint

    def test_an_sso_session_that_was_never_begun_or_has_ended_wants_a_login(self, home: Path) -> None:
        (home / "config").write_text(
            "[profile clinic]\nregion=us-east-1\nsso_session=org\nsso_account_id=123456789012\nsso_role_name=op\n"
            "[sso-session org]\nsso_start_url=https://org.awsapps.com/start\nsso_region=us-east-1\n"
        )
        client = Account(profile="clinic").client("sts")
        assert "sign-in to AWS has expired" in _error(client.get_caller_identity).message
        cache = home / ".aws" / "sso" / "cache"
        cache.mkdir(parents=True)
        ended = (dt.datetime.now(dt.UTC) - dt.timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        token = {"accessToken": "secret", "expiresAt": ended, "startUrl": "https://org.awsapps.com/start"}
        (cache / f"{hashlib.sha1(b'org').hexdigest()}.json").write_text(json.dumps(token))
        error = _error(Account(profile="clinic").client("sts").get_caller_identity)
        assert "sign-in to AWS has expired" in error.message
        assert "aws sso login" in error.hint

    def test_credentials_of_a_program_that_fails_are_told_in_its_words(self, home: Path) -> None:
        (home / "config").write_text("[default]\nregion=us-east-1\ncredential_process=/bin/false\n")
        error = _error(_get_identity)
        assert error.message.startswith("Error when retrieving credentials from custom-process")
        assert "sign in again" in error.hint

    def test_an_unknown_profile_is_refused_with_the_nearest_one(self, home: Path) -> None:
        (home / "config").write_text("[profile clinic]\nregion=us-east-1\n")
        with pytest.raises(SettingsError, match="no profile 'clinik'") as told:
            Account(profile="clinik")
        assert told.value.hint.startswith("did you mean clinic?")

    def test_an_unknown_profile_of_the_environment_is_refused_too(
        self, home: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (home / "config").write_text("[profile clinic]\nregion=us-east-1\n")
        monkeypatch.setenv("AWS_PROFILE", "clinik")
        with pytest.raises(SettingsError, match="no profile 'clinik'") as told:
            Account()
        assert "did you mean clinic?" in told.value.hint

    @pytest.mark.usefixtures("home")
    def test_no_region_is_wrong_use(self) -> None:
        with pytest.raises(SettingsError, match="no region is set") as told:
            Account()
        assert "--region" in told.value.hint

    def test_a_broken_configuration_is_wrong_use(self, home: Path) -> None:
        (home / "config").write_text("[default\nregion")
        with pytest.raises(SettingsError, match="Unable to parse config file") as told:
            Account()
        assert "mend" in told.value.hint

    @pytest.mark.usefixtures("home")
    def test_a_region_that_no_name_can_be_is_wrong_use(self) -> None:
        with pytest.raises(SettingsError, match="us east 1"):
            Account(region="us east 1").client("sts")

    def test_a_region_that_is_not_known_is_told_with_the_nearest_ones(self) -> None:
        url = "https://ecs.us-esat-1.amazonaws.com/"
        error = _error(lambda: _raise(exceptions.EndpointConnectionError(endpoint_url=url)))
        assert error.message == "ecs.us-esat-1.amazonaws.com was not reached, and no region us-esat-1 is known."
        assert error.hint.startswith("did you mean us-west-1 or us-east-1?")

    @pytest.mark.usefixtures("running")
    def test_an_endpoint_that_does_not_answer_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{unused.getsockname()[1]}")
            client = Account().client("rds-data")
            error = _error(lambda: client.execute_statement(resourceArn="a" * 20, secretArn="b" * 20, sql="SELECT 1"))
        assert error.message == "127.0.0.1 was not reached."
        assert "HTTPS_PROXY" in error.hint

    @pytest.mark.parametrize(
        ("error", "line", "hint"),
        [
            (exceptions.SSLError(endpoint_url="https://ecs.us-east-1.amazonaws.com/", error="self-signed"),
             "The certificate of ecs.us-east-1.amazonaws.com is not trusted here.", "AWS_CA_BUNDLE"),
            (exceptions.ReadTimeoutError(endpoint_url="https://ecs.us-east-1.amazonaws.com/"),
             "ecs.us-east-1.amazonaws.com did not answer in time.", "network"),
            (exceptions.ConnectTimeoutError(endpoint_url="https://ecs.us-east-1.amazonaws.com/"),
             "ecs.us-east-1.amazonaws.com was not reached.", "network"),
            (exceptions.ProxyConnectionError(proxy_url="http://me:hunter2@proxy.clinic:3128"),
             "proxy.clinic was not reached.", "HTTPS_PROXY"),
        ],
    )  # fmt: skip
    def test_what_stands_between_is_told_without_a_proxys_password(
        self, error: Exception, line: str, hint: str
    ) -> None:
        told = _error(lambda: _raise(error))
        assert told.message == line
        assert hint in told.hint

    def test_a_wrong_request_does_not_repeat_the_value(self, account: Account) -> None:
        client = account.client("secretsmanager")
        error = _error(lambda: client.put_secret_value(SecretId="a", SecretString=["hunter2"]))
        assert isinstance(error, SettingsError)
        assert "Invalid type for parameter SecretString" in error.message
        assert "hunter2" not in error.message


def _get_identity() -> object:
    return Account().client("sts").get_caller_identity()


def _stacks(**statuses: str) -> Callable[[Mapping[str, Any]], Mapping[str, Any]]:
    summaries = [
        {"StackName": name.replace("_", "-"), "StackStatus": status, "CreationTime": "2026-05-04T00:00:00Z"}
        for name, status in statuses.items()
    ]

    def page(request: Mapping[str, Any]) -> Mapping[str, Any]:
        at = int(request.get("NextToken", 0))
        following = {"NextToken": str(at + 1)} if at + 1 < len(summaries) else {}
        return {"StackSummaries": summaries[at : at + 1], **following}

    return page


class TestStacks:
    _MISSING = Refused("ValidationError", "Stack with id openemr-data does not exist")

    def test_a_missing_stack_is_told_with_those_that_are_nearly_called_so(self, aws: StandIn, account: Account) -> None:
        aws.answers["DescribeStacks"] = self._MISSING
        aws.answers["ListStacks"] = _stacks(
            openemr_data_old="DELETE_COMPLETE", billing="CREATE_COMPLETE", openemr_data_north="UPDATE_COMPLETE"
        )
        with pytest.raises(OutsideWorldError) as told:
            stack_outputs(account, "openemr-data")
        assert told.value.message == "There is no stack openemr-data in eu-central-1."
        assert told.value.hint == "there is openemr-data-north; name its --region, and its --suffix if it has one"

    def test_who_may_not_list_stacks_is_told_as_well(self, aws: StandIn, account: Account) -> None:
        aws.answers["DescribeStacks"] = self._MISSING
        aws.answers["ListStacks"] = Refused("AccessDenied", f"{_USER} is not authorized")
        with pytest.raises(OutsideWorldError, match="no stack openemr-data") as told:
            stack_outputs(account, "openemr-data")
        assert told.value.hint.startswith("name its --region")

    def test_other_calls_about_a_missing_stack_are_told_so_too(self) -> None:
        error = _error(lambda: _raise(_client_error("ValidationError", "Stack [x] does not exist")))
        assert error.message == "There is no stack [x] here."

    def test_outputs_come_by_name(self, aws: StandIn, account: Account) -> None:
        stack = {"StackName": "s", "CreationTime": "2026-05-04T00:00:00Z", "StackStatus": "CREATE_COMPLETE"}
        told = [{"OutputKey": "ClusterName", "OutputValue": "clinic"}]
        aws.answers["DescribeStacks"] = {"Stacks": [{**stack, "Outputs": told}]}
        assert stack_outputs(account, "s") == {"ClusterName": "clinic"}

    def test_all_pages_are_read(self, aws: StandIn, account: Account) -> None:
        aws.answers["ListStacks"] = _stacks(a="CREATE_COMPLETE", b="CREATE_COMPLETE", c="CREATE_COMPLETE")
        found = pages(account.client("cloudformation").list_stacks, "StackSummaries", token="NextToken")
        assert [one["StackName"] for one in found] == ["a", "b", "c"]


def test_the_code_is_a_services_only() -> None:
    assert error_code(_client_error("DBClusterNotFoundFault", "")) == "DBClusterNotFoundFault"
    assert not error_code(exceptions.NoCredentialsError())
