"""The SMTP credential: the first one, its rotation and its end, with moto's IAM and a real SMTP server."""

from __future__ import annotations

import ipaddress
import itertools
import json
import ssl
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from cryptography import x509
from moto import mock_aws

from hostemr.stacks.functions.smtp_credential.handler import (
    TAKEN,
    CredentialFailed,
    Settings,
    SmtpCredential,
    handler,
    resource,
    smtp_password,
)
from tests.peers.certificates import self_signed
from tests.stacks.functions.fake_aws import (
    CLUSTER,
    Answers,
    Clock,
    Context,
    FakeECS,
    Killed,
    Killing,
    no_answer,
    refusal,
    response_url,
)
from tests.stacks.functions.fake_smtp_credential import (
    FakeFunction,
    FakeSecrets,
    FakeUser,
    SESEndpoint,
    signed_password,
)

STEPS = ("createSecret", "setSecret", "testSecret", "finishSecret")
REGION = "eu-west-1"
UPDATE = {"UpdateService": {"Cluster": CLUSTER, "Service": "openmrs"}}
INVOKE = {"InvokeFunction": "arn:aws:lambda:us-east-1:123456789012:function:settings"}
STACK = "arn:aws:cloudformation:us-east-1:123456789012:stack/openmrs/1"


@dataclass
class World:
    """A user, its secret, the server that takes its keys, and what runs with them."""

    iam: Any
    """moto's own, for what a test does by hand."""
    user: FakeUser
    secrets: FakeSecrets
    smtp: SESEndpoint
    tls: ssl.SSLContext
    arn: str
    clock: Clock = field(default_factory=Clock)
    functions: FakeFunction = field(default_factory=FakeFunction)
    after: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.ecs = FakeECS(self.clock)
        self.ecs.rollouts["openmrs"] = ["COMPLETED"]
        self.smtp.takes = self.takes

    def takes(self, user: str, password: str) -> bool:
        """What SES does, by an implementation of the signature that is not ours."""
        keys = self.user.keys()
        return user in keys and signed_password(keys[user], REGION) == password

    @property
    def environment(self) -> dict[str, str]:
        given = {"USER_NAME": self.user.name, "SECRET_ARN": self.arn, "REGION": REGION, "SMTP_HOST": "127.0.0.1"}
        return given | ({"AFTER": json.dumps(self.after)} if self.after else {})

    def credential(self, **killing: Any) -> SmtpCredential:
        clients = {"iam": self.user, "secretsmanager": self.secrets, "ecs": self.ecs, "lambda": self.functions}
        if killing:
            counter = itertools.count()
            clients = {name: Killing(counter, **killing, of=client) for name, client in clients.items()}
        return SmtpCredential(clients, self.environment, self.clock.sleep, self.tls, self.smtp.port)

    def first(self, **killing: Any) -> str:
        return self.credential(**killing).ensure()

    def step(self, name: str, token: str, *, life: float = 900, by: SmtpCredential | None = None) -> None:
        event = {"Step": name, "SecretId": self.arn, "ClientRequestToken": token}
        (by or self.credential()).step(event, Context(self.clock, life))

    def rotate(self, token: str, by: SmtpCredential | None = None) -> None:
        for name in STEPS:
            self.step(name, token, by=by)

    def begin(self, value: str | None = None) -> str:
        return self.secrets.begin(self.arn, value)

    def value(self, stage: str = "AWSCURRENT") -> dict[str, str]:
        return self.secrets.value(self.arn, stage)

    def works(self, stage: str = "AWSCURRENT") -> bool:
        return self.takes(self.value(stage)["username"], self.value(stage)["password"])

    @property
    def handed_over(self) -> int:
        return len(self.ecs.named("update_service")) + len(self.functions.named("invoke"))


@dataclass
class Ground:
    """What all tests share: moto with its clients, and the server."""

    iam: Any
    secrets: Any
    smtp: SESEndpoint
    tls: ssl.SSLContext

    def world(self) -> World:
        """Of a new user and a new secret."""
        name = f"openmrs-mail-{uuid.uuid4()}"
        self.iam.create_user(UserName=name)
        arn = self.secrets.create_secret(Name=name)["ARN"]
        self.smtp.logins, self.smtp.commands, self.smtp.refuses_first = [], [], 0
        secrets = FakeSecrets(self.secrets)
        secrets.enable(arn)
        return World(self.iam, FakeUser(self.iam, name), secrets, self.smtp, self.tls, arn)


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    certificate = self_signed(tmp_path_factory.mktemp("smtp"), address)
    tls = ssl.create_default_context(cafile=str(certificate))
    with SESEndpoint(certificate) as smtp, mock_aws():
        iam, secrets = (boto3.client(name, region_name="us-east-1") for name in ("iam", "secretsmanager"))
        yield Ground(iam, secrets, smtp, tls)


@pytest.fixture
def world(ground: Ground) -> World:
    return ground.world()


# AWS publishes no example; these pairs are those that the AWS provider of Terraform is tested with.
# https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/service/iam/access_key_test.go
@pytest.mark.parametrize(
    ("region", "key", "password"),
    [
        ("eu-central-1", "some+secret+key", "BMXhUYlu5Z3gSXVQORxlVa7XPaz91aGWdfHxvkOZdWZ2"),
        ("eu-central-1", "another+secret+key", "BBbphbrQmrKMx42d1N6+C7VINYEBGI5v9VsZeTxwskfh"),
        ("us-west-1", "some+secret+key", "BH+jbMzper5WwlwUar9E1ySBqHa9whi0GPo+sJ0mVYJj"),
        ("us-west-1", "another+secret+key", "BKVmjjMDFk/qqw8EROW99bjCS65PF8WKvK5bSr4Y6EqF"),
    ],
)
def test_the_password_is_what_others_derive(region: str, key: str, password: str) -> None:
    assert smtp_password(key, region) == password == signed_password(key, region)


# The first credential


@pytest.mark.parametrize("value", [None, "not JSON", "[]", '{"username": "nobody", "password": "generated"}'])
def test_the_first_credential_takes_the_place_of_whatever_the_secret_held(world: World, value: str | None) -> None:
    if value:
        world.secrets.put_secret_value(SecretId=world.arn, SecretString=value, VersionStages=["AWSCURRENT"])
    world.first()
    assert set(world.value()) == {"username", "password"}
    assert world.works()
    assert world.clock.slept == []


def test_a_credential_that_works_is_left_alone(world: World) -> None:
    world.first()
    first, stages = world.value(), world.secrets.stages(world.arn)
    world.first()
    assert (world.value(), world.secrets.stages(world.arn)) == (first, stages)
    assert len(world.user.keys()) == 1


def test_a_key_that_was_made_inactive_by_hand_is_replaced(world: World) -> None:
    world.first()
    former = world.value()["username"]
    world.iam.update_access_key(UserName=world.user.name, AccessKeyId=former, Status="Inactive")
    world.first()
    assert world.works()
    assert [
        one["AccessKeyId"] for one in world.iam.list_access_keys(UserName=world.user.name)["AccessKeyMetadata"]
    ] == [world.value()["username"]]


def test_a_spoilt_secret_gets_a_new_key_and_the_one_that_is_in_use_stays(world: World) -> None:
    world.first()
    used = world.value()["username"]
    world.secrets.put_secret_value(SecretId=world.arn, SecretString="spoilt", VersionStages=["AWSCURRENT"])
    # An orphan takes the second place.
    world.user.create_access_key(UserName=world.user.name)
    world.first()
    assert world.works()
    assert set(world.user.keys()) == {used, world.value()["username"]}


def test_a_first_run_killed_between_any_two_calls_is_made_good_by_the_next(
    ground: Ground,
) -> None:
    # Before a call is after the one before it.
    for number in range(50):
        world = ground.world()
        try:
            world.first(at=number, when="after")
        except Killed:
            world.first()
        else:
            break
        assert world.works()
        world.rotate(world.begin())
        assert len(world.user.keys()) == 2
        assert world.works()
    assert 5 < number < 49


def test_two_keys_whose_secrets_were_lost_make_room(world: World) -> None:
    orphans = [world.user.create_access_key(UserName=world.user.name)["AccessKey"]["AccessKeyId"] for _ in range(2)]
    world.first()
    assert world.works()
    assert not set(orphans) & set(world.user.keys())


def test_a_deleted_key_that_still_counts_and_a_user_that_is_not_yet_known_are_outwaited(world: World) -> None:
    late = world.user.exceptions.NoSuchEntityException({"Error": {"Code": "NoSuchEntity"}}, "CreateAccessKey")
    world.user.errors["create_access_key"] = [late, refusal("LimitExceeded"), late]
    world.first()
    assert world.works()
    assert world.clock.slept == [10, 10, 10]


def test_a_list_that_does_not_have_the_new_key_yet_is_read_again(world: World) -> None:
    real = world.user.create_access_key

    def create(**parameters: Any) -> Any:
        world.user.unlisted_for = 2
        return real(**parameters)

    world.user.create_access_key = create  # type: ignore[method-assign]
    world.first()
    assert world.clock.slept == [10, 10]
    assert list(world.user.keys()) == [world.value()["username"]]


def test_a_key_that_another_run_took_for_an_orphan_does_not_become_the_credential(world: World) -> None:
    real = world.secrets.put_secret_value
    other = world.credential()

    def put(**parameters: Any) -> Any:
        # Between our key and its place in the secret, the same event runs a second time, to its end.
        world.secrets.put_secret_value = real  # type: ignore[method-assign]
        other.ensure()
        return real(**parameters)

    world.secrets.put_secret_value = put  # type: ignore[method-assign]
    world.first()
    assert world.works()


# CloudFormation


def request(world: World, answers: Answers, kind: str, **more: Any) -> dict[str, Any]:
    event = {
        "RequestType": kind,
        "ResponseURL": answers.url,
        "StackId": STACK,
        "RequestId": str(uuid.uuid4()),
        "LogicalResourceId": "MailCredential",
        "ResourceType": "Custom::SmtpCredential",
        "ResourceProperties": {},
    }
    return resource(event | more, world.credential, world.clock.sleep)


def test_create_update_and_delete_each_answer_once_under_one_name(world: World) -> None:
    with response_url() as answers:
        made = request(world, answers, "Create")["PhysicalResourceId"]
        assert world.works()
        for kind in ("Create", "Update", "Delete", "Delete"):
            assert request(world, answers, kind)["PhysicalResourceId"] == made
        named = request(world, answers, "Delete", PhysicalResourceId="given")
    assert named["PhysicalResourceId"] == "given"
    assert [one["Status"] for one in answers.taken] == ["SUCCESS"] * 6
    assert world.user.keys() == {}
    world.iam.delete_user(UserName=world.user.name)


def test_delete_takes_both_keys(world: World) -> None:
    world.first()
    world.rotate(world.begin())
    with response_url() as answers:
        request(world, answers, "Delete")
    assert world.user.keys() == {}


def test_delete_without_a_user_or_a_secret_succeeds(world: World) -> None:
    world.iam.delete_user(UserName=world.user.name)
    world.secrets.delete_secret(SecretId=world.arn, ForceDeleteWithoutRecovery=True)
    with response_url() as answers:
        request(world, answers, "Delete")
    assert answers.taken[0]["Status"] == "SUCCESS"
    assert answers.taken[0]["Reason"] == f"There is no user {world.user.name}."


def test_a_key_that_is_gone_while_it_is_being_deleted_is_no_failure(world: World) -> None:
    world.first()
    gone = world.user.exceptions.NoSuchEntityException({"Error": {"Code": "NoSuchEntity"}}, "DeleteAccessKey")
    world.user.errors["delete_access_key"] = [gone]
    with response_url() as answers:
        assert request(world, answers, "Delete")["Status"] == "SUCCESS"


@pytest.mark.parametrize("call", ["list_access_keys", "create_access_key", "delete_access_key", "put_secret_value"])
def test_a_failed_create_says_why_and_the_next_one_mends_it(world: World, call: str) -> None:
    world.user.create_access_key(UserName=world.user.name)
    errors = world.secrets.errors if call == "put_secret_value" else world.user.errors
    errors[call] = [refusal("AccessDenied", message="not allowed here")]
    with response_url() as answers:
        request(world, answers, "Create")
        assert answers.taken[0]["Status"] == "FAILED"
        assert "not allowed here" in answers.taken[0]["Reason"]
        assert request(world, answers, "Create")["Status"] == "SUCCESS"
    assert world.works()


def test_an_unforeseen_error_is_answered_without_its_words(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.user.errors["list_access_keys"] = [RuntimeError("holds a secret")]
    with response_url() as answers:
        request(world, answers, "Create")
    assert answers.taken[0]["Reason"] == "RuntimeError; see the function's log."
    said = capsys.readouterr().out
    assert "list_access_keys" in said
    assert "holds a secret" not in said


def test_a_wrong_environment_is_answered_with_all_that_is_wrong(world: World) -> None:
    with response_url() as answers:
        event = {"RequestType": "Create", "ResponseURL": answers.url, "StackId": STACK, "RequestId": "1"}

        def broken() -> SmtpCredential:
            return SmtpCredential({}, {"AFTER": "{"})

        resource(event | {"LogicalResourceId": "MailCredential"}, broken, world.clock.sleep)
    assert answers.taken[0]["Status"] == "FAILED"
    assert all(
        name in answers.taken[0]["Reason"] for name in ("USER_NAME", "SECRET_ARN", "REGION", "SMTP_HOST", "AFTER")
    )


def test_an_answer_that_is_not_taken_is_given_again(world: World) -> None:
    with response_url() as answers:
        answers.statuses = [500, 0, 503]
        request(world, answers, "Create")
    assert [one["Status"] for one in answers.taken] == ["SUCCESS"]
    assert world.clock.slept == [1, 2, 4]


def test_an_answer_that_nobody_takes_fails_so_that_lambda_runs_it_again(world: World) -> None:
    with response_url() as answers:
        answers.statuses = [403]
        with pytest.raises(OSError, match="403"):
            request(world, answers, "Create")
    assert answers.tried == 1


# Rotation


def test_six_rotations_each_give_a_new_key_and_keep_the_former_until_the_next(world: World) -> None:
    world.first()
    seen = []
    for _ in range(6):
        seen.append(world.value()["username"])
        world.rotate(world.begin())
        assert world.works()
        assert world.works("AWSPREVIOUS")
        assert set(world.user.keys()) == {seen[-1], world.value()["username"]}
        assert world.smtp.logins[-1] == world.value()["username"]
    assert len({*seen, world.value()["username"]}) == 7
    assert set(world.smtp.commands) == {"QUIT"}
    assert world.clock.slept == []


def test_every_step_can_be_repeated(world: World) -> None:
    world.first()
    world.after = UPDATE
    for number in range(1, 4):
        token = world.begin()
        for name in STEPS:
            world.step(name, token)
            world.step(name, token)
        finished, keys = world.secrets.stages(world.arn), world.user.keys()
        world.rotate(token)
        assert (world.secrets.stages(world.arn), world.user.keys()) == (finished, keys)
        assert finished[token] == ["AWSCURRENT", "AWSPENDING", TAKEN]
        assert list(itertools.chain(*finished.values())).count(TAKEN) == 1
        assert world.works()
        assert world.works("AWSPREVIOUS")
        assert world.handed_over == number


def kill_everywhere(ground: Ground, after: dict[str, Any], undisturbed: Sequence[str]) -> tuple[int, set[int]]:
    """Rotations killed at each call after these steps; how many kills, and how often the application was told."""
    times = set()
    # Before a call is after the one before it.
    for number in range(60):
        world = ground.world()
        world.after = after
        world.first()
        used, token = world.value(), world.begin()
        for name in undisturbed:
            world.step(name, token)
        killed = world.credential(at=number, when="after")
        try:
            for name in STEPS[len(undisturbed) :]:
                world.step(name, token, by=killed)
        except Killed:
            # Secrets Manager starts again from the first step.
            world.rotate(token)
        else:
            break
        assert world.works()
        assert world.takes(used["username"], used["password"])
        assert world.value("AWSPREVIOUS") == used
        assert len(world.user.keys()) == 2
        times.add(world.handed_over)
        world.rotate(world.begin())
        assert world.works()
    return number, times


def test_a_rotation_killed_between_any_two_calls_is_taken_up_again(ground: Ground) -> None:
    number, times = kill_everywhere(ground, UPDATE, [])
    assert 12 < number < 59
    assert times == {1, 2}


@pytest.mark.parametrize(("after", "told"), [({}, {0}), (INVOKE, {1, 2})])
def test_a_last_step_killed_between_any_two_calls_is_taken_up_again(
    ground: Ground, after: dict[str, Any], told: set[int]
) -> None:
    # What is to be told to whom is looked at in this step only.
    number, times = kill_everywhere(ground, after, STEPS[:3])
    assert 3 < number < 30
    assert times == told


def test_an_application_is_told_after_the_secret_is_in_order(world: World) -> None:
    world.first()
    world.after = INVOKE
    world.rotate(world.begin())
    (call,) = world.functions.named("invoke")
    assert call == {"FunctionName": INVOKE["InvokeFunction"], "InvocationType": "Event", "Payload": b"{}"}
    world.after = UPDATE
    world.rotate(world.begin())
    (call,) = world.ecs.named("update_service")
    assert call == {"cluster": CLUSTER, "service": "openmrs", "forceNewDeployment": True}


@pytest.mark.parametrize("error", [refusal("ThrottlingException"), refusal("ServerException"), no_answer()])
def test_an_application_that_cannot_be_told_now_is_told_later(world: World, error: Exception) -> None:
    world.first()
    world.after = UPDATE
    world.ecs.errors["update_service"] = [error] * 5
    world.rotate(world.begin())
    assert world.ecs.rollouts["openmrs"] == ["IN_PROGRESS", "COMPLETED"]
    assert world.clock.slept == [10] * 5


def test_an_application_that_cannot_be_told_at_all_fails_the_step_and_is_told_by_the_next_try(world: World) -> None:
    world.first()
    world.after = UPDATE
    world.ecs.errors["update_service"] = [refusal("AccessDeniedException")] * 6
    token = world.begin()
    with pytest.raises(ClientError, match="AccessDenied"):
        world.rotate(token)
    assert world.works()
    world.rotate(token)
    assert world.ecs.rollouts["openmrs"] == ["IN_PROGRESS", "COMPLETED"]


def test_a_login_is_tried_until_the_new_key_is_known(world: World) -> None:
    world.first()
    world.smtp.refuses_first = 6
    world.rotate(world.begin())
    assert world.works()
    assert world.clock.slept == [10] * 6


@pytest.mark.parametrize(("life", "least", "most"), [(900, 290, 310), (120, 50, 70), (20, 0, 0)])
def test_a_login_that_never_succeeds_fails_in_time_and_without_the_servers_words(
    world: World, capsys: pytest.CaptureFixture[str], life: float, least: float, most: float
) -> None:
    world.first()
    token = world.begin()
    world.step("createSecret", token)
    world.smtp.refuses_first = 1000
    with pytest.raises(CredentialFailed, match="SMTPAuthenticationError 535") as caught:
        world.step("testSecret", token, life=life)
    assert least <= sum(world.clock.slept) <= most
    password = world.value("AWSPENDING")["password"]
    assert password not in repr(caught.getrepr(style="long", chain=True))
    assert caught.value.__context__ is None
    assert password not in capsys.readouterr().out
    assert world.works()


def test_a_server_with_a_certificate_of_somebody_else_is_not_told_the_password(world: World) -> None:
    world.first()
    token = world.begin()
    world.step("createSecret", token)
    world.tls = ssl.create_default_context()
    with pytest.raises(CredentialFailed, match="SSLCertVerificationError"):
        world.step("testSecret", token)
    assert world.smtp.logins == []
    assert world.clock.slept == []


def test_a_server_that_does_not_answer_is_tried_again(world: World) -> None:
    world.first()
    token = world.begin()
    world.step("createSecret", token)
    credential = world.credential()
    credential.port = 1
    with pytest.raises(CredentialFailed, match="ConnectionRefusedError"):
        world.step("testSecret", token, by=credential)
    assert sum(world.clock.slept) >= 290


def test_nothing_secret_is_logged(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.first()
    world.after = UPDATE
    world.smtp.refuses_first = 1
    world.rotate(world.begin())
    with response_url() as answers:
        told = request(world, answers, "Update")
    said = capsys.readouterr().out + json.dumps(told)
    assert {"step", "key made", "logged in", "not logged in", "handed over"} <= {
        json.loads(line)["message"] for line in said.splitlines() if '"message"' in line
    }
    for stage in ("AWSCURRENT", "AWSPREVIOUS"):
        assert world.value(stage)["password"] not in said
    assert not any(secret in said for secret in world.user.keys().values())
    assert "signature=secret" not in said


def test_a_pending_key_that_was_deleted_ends_its_rotation_so_that_the_next_can_begin(world: World) -> None:
    world.first()
    token = world.begin()
    world.step("createSecret", token)
    pending = world.value("AWSPENDING")["username"]
    world.user.delete_access_key(UserName=world.user.name, AccessKeyId=pending)
    with pytest.raises(CredentialFailed, match=f"The key {pending} of the version {token} was deleted"):
        world.step("createSecret", token)
    assert "AWSPENDING" not in itertools.chain(*world.secrets.stages(world.arn).values())
    world.rotate(world.begin())
    assert world.works()


def test_a_key_that_was_just_made_and_is_not_listed_yet_is_not_taken_for_deleted(world: World) -> None:
    world.first()
    token = world.begin()
    world.step("createSecret", token)
    world.user.unlisted_for = 3
    world.rotate(token)
    assert world.clock.slept == [10] * 3
    assert world.works()


def test_of_two_that_create_at_once_one_gives_way(world: World) -> None:
    world.first()
    token = world.begin()
    real = world.secrets.put_secret_value

    def put(**parameters: Any) -> Any:
        world.secrets.put_secret_value = real  # type: ignore[method-assign]
        other = world.user.create_access_key
        world.user.delete_access_key(
            UserName=world.user.name, AccessKeyId=json.loads(parameters["SecretString"])["username"]
        )
        made = other(UserName=world.user.name)["AccessKey"]
        value = {"username": made["AccessKeyId"], "password": signed_password(made["SecretAccessKey"], REGION)}
        real(**parameters | {"SecretString": json.dumps(value)})
        return real(**parameters)

    world.secrets.put_secret_value = put  # type: ignore[method-assign]
    world.rotate(token)
    assert world.works()
    assert world.works("AWSPREVIOUS")


def test_a_key_that_comes_too_late_for_its_version_is_deleted(world: World) -> None:
    world.first()
    late = world.secrets.exceptions.ResourceExistsException(
        {"Error": {"Code": "ResourceExistsException"}}, "PutSecretValue"
    )
    world.secrets.errors["put_secret_value"] = [late]
    world.step("createSecret", world.begin())
    assert list(world.user.keys()) == [world.value()["username"]]


def test_secrets_managers_own_test_with_a_copy_of_the_current_value_logs_in(world: World) -> None:
    world.first()
    world.step("testSecret", world.begin(json.dumps(world.value())))
    assert world.smtp.logins == [world.value()["username"]]


def test_a_pending_value_that_no_server_can_be_told_fails_the_test(world: World) -> None:
    world.first()
    for value, problem in (("{}", "should be a username"), ('{"username": "x", "password": "\\u00e9"}', "Unicode")):
        with pytest.raises(CredentialFailed, match=problem):
            world.step("testSecret", world.begin(value))


def test_a_secret_that_is_no_credential_is_not_rotated_and_keeps_its_keys(world: World) -> None:
    world.first()
    keys = world.user.keys()
    world.secrets.put_secret_value(SecretId=world.arn, SecretString="spoilt", VersionStages=["AWSCURRENT"])
    with pytest.raises(ValueError, match="should be an object with a username and a password") as caught:
        world.step("createSecret", world.begin())
    assert "spoilt" not in str(caught.value)
    assert world.user.keys() == keys


def test_what_should_not_have_been_asked_is_refused(world: World) -> None:
    world.first()
    token = world.begin()
    with pytest.raises(ValueError, match="createUser is no step"):
        world.step("createUser", token)
    with pytest.raises(ValueError, match="Asked to rotate another"):
        world.credential().step(
            {"Step": "createSecret", "SecretId": "another", "ClientRequestToken": token}, Context(world.clock)
        )
    with pytest.raises(ValueError, match=r"has no version .* staged as AWSPENDING"):
        world.step("createSecret", str(uuid.uuid4()))
    world.secrets.enable(world.arn, enabled=False)
    with pytest.raises(ValueError, match="not enabled"):
        world.step("createSecret", token)
    assert len(world.user.keys()) == 1


@pytest.mark.parametrize(
    "after",
    [
        "[]",
        "null",
        "{",
        '{"UpdateService": {"Cluster": "c"}}',
        '{"UpdateService": {"Cluster": "c", "Service": ""}}',
        '{"UpdateService": {"Cluster": "c", "Service": "s", "More": "m"}}',
        '{"InvokeFunction": ""}',
        '{"InvokeFunction": 1}',
        '{"InvokeFunction": "f", "UpdateService": {"Cluster": "c", "Service": "s"}}',
    ],
)
def test_an_after_that_nobody_can_do_is_refused(after: str) -> None:
    given = {"USER_NAME": "user", "SECRET_ARN": "arn", "REGION": REGION, "SMTP_HOST": "host"}
    assert Settings.read(given).after == {}
    assert Settings.read(given | {"AFTER": ""}).after == {}
    with pytest.raises(CredentialFailed, match="AFTER should be"):
        Settings.read(given | {"AFTER": after})


def test_the_entry_makes_its_own_clients(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    for name, value in world.environment.items():
        monkeypatch.setenv(name, value)
    with response_url() as answers:
        event = {"RequestType": "Create", "ResponseURL": answers.url, "StackId": STACK, "RequestId": "1"}
        told = handler(event | {"LogicalResourceId": "MailCredential"}, Context(world.clock))
    assert told is not None
    assert told["Status"] == "SUCCESS"
    assert world.works()
    token = world.begin()
    event = {"Step": "createSecret", "SecretId": world.arn, "ClientRequestToken": token}
    assert handler(event, Context(world.clock)) is None
    assert world.works("AWSPENDING")
