"""The table of the HIPAA Security Rule."""

from __future__ import annotations

import re
from typing import Any

import pytest

from hostemr.operate.checks.hipaa import Control, as_data, as_text, hipaa
from hostemr.operate.checks.hipaa_sections import SECTIONS
from hostemr.operate.checks.registry import BY_ID
from tests.operate.templates import choose, database_stack, ref, resource, sub, template

WANTED = {
    "308(a)(1)(ii)(D)", "308(a)(5)(ii)(C)", "308(a)(7)(ii)(A)", "308(a)(7)(ii)(B)", "308(a)(7)(ii)(D)", "312(a)(1)",
    "312(a)(2)(i)", "312(a)(2)(ii)", "312(a)(2)(iii)", "312(a)(2)(iv)", "312(b)", "312(c)(1)", "312(c)(2)", "312(d)",
    "312(e)(1)", "312(e)(2)(i)", "312(e)(2)(ii)",
}  # fmt: skip


def control(section: str, *resources: tuple[str, dict[str, Any]]) -> Control:
    stack = database_stack()
    stack["Resources"] |= dict(resources)
    return next(one for one in hipaa({"data": stack}) if one.section == section)


def test_every_technical_safeguard_is_there_once_with_known_checks() -> None:
    sections = [one.section for one in SECTIONS]
    assert len(set(sections)) == len(sections)
    assert set(sections) >= WANTED
    assert {identity for one in SECTIONS for identity in one.checks} <= set(BY_ID)
    for one in SECTIONS:
        assert re.fullmatch(r"3(08|12)(\([a-zA-Z0-9]+\))+", one.section)
        assert one.missing or one.yours or not one.evidence, f"{one.section} could be met by silence"


def test_a_plan_without_backups_is_partly_open_with_the_resource_named() -> None:
    one = control("308(a)(7)(ii)(A)")
    assert one.status == "partly"
    assert "data/Cluster: a database that no backup plan selects" in one.open[0]
    assert [each.shows for each in one.met] == ["BackupRetentionPeriod 35: to any minute of these days"]


def test_selected_databases_and_files_support_the_backup_plan_and_the_rest_is_the_clinics() -> None:
    everything = resource("AWS::Backup::BackupSelection", BackupSelection={"Resources": ["*"]})
    one = control("308(a)(7)(ii)(A)", ("All", everything))
    assert (one.status, one.open) == ("supported", ())
    assert {(each.logical_id, each.shows) for each in one.met} >= {
        ("Cluster", "selected by All"),
        ("Files", "selected by All"),
    }
    assert "how long records are kept" in one.yours


def test_encryption_at_rest_is_supported_with_the_key_named() -> None:
    one = control("312(a)(2)(iv)")
    assert one.status == "supported", "who may use the keys is people's to say"
    assert ("Cluster", "StorageEncrypted, with Key") in {(each.logical_id, each.shows) for each in one.met}


def test_a_listener_without_tls_stands_open_under_transmission_security() -> None:
    listener = resource("AWS::ElasticLoadBalancingV2::Listener", Protocol="HTTP", LoadBalancerArn=ref("B"))
    one = control("312(e)(1)", ("Listener", listener))
    assert one.status == "partly"
    assert [each.shows for each in one.met] == ["PubliclyAccessible is not true"]
    assert one.open == (
        "data/Listener: passwords and patients' data cross the internet unencrypted (HOSTEMR-ListenerTls)",
    )


def test_a_section_that_nothing_shows_is_open_in_a_sentence() -> None:
    one = control("312(e)(2)(ii)")
    assert (one.status, one.open, one.met) == ("open", ("no connection is encrypted",), ())


def test_a_rule_that_may_let_in_the_world_shows_no_limit() -> None:
    port: dict[str, Any] = {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80}
    sometimes = resource("AWS::EC2::SecurityGroupIngress", **port, CidrIp=choose("Domain", "0.0.0.0/0", ref("Range")))
    never = resource("AWS::EC2::SecurityGroupIngress", **port, CidrIp=ref("Range"))
    met = control("312(a)(1)", ("Sometimes", sometimes), ("Never", never)).met
    assert {"Never"} == {one.logical_id for one in met if one.type == "AWS::EC2::SecurityGroupIngress"}


@pytest.mark.parametrize("section", ["312(a)(2)(iii)", "308(a)(7)(ii)(E)"])
def test_what_no_template_can_do_is_the_clinics(section: str) -> None:
    assert control(section).status == "yours"


def test_text_has_every_section_and_json_every_piece_of_evidence() -> None:
    buckets = {
        f"Bucket{number}": resource(
            "AWS::S3::Bucket", VersioningConfiguration={"Status": "Enabled"}, BucketName=sub("b")
        )
        for number in range(9)
    }
    controls = hipaa({"data": template(buckets)})
    text = "\n".join(as_text(controls))
    assert all(f"164.{one.section}  " in text for one in SECTIONS)
    assert "and 3 more; --json has all" in text
    [integrity] = [one for one in as_data(controls) if one["section"] == "312(c)(1)"]
    assert len(integrity["met"]) == 9
    assert integrity["met"][0]["shows"] == "VersioningConfiguration Enabled"


def shows(section: str, *resources: tuple[str, dict[str, Any]]) -> dict[str, str]:
    return {each.logical_id: each.shows for each in control(section, *resources).met}


def sections(evidence: str) -> list[str]:
    return [one.section for one in SECTIONS if evidence in {source.__name__ for source in one.evidence}]


def test_only_subscriptions_that_reach_a_person_tell_somebody() -> None:
    made = [(f"To{kind}", resource("AWS::SNS::Subscription", Protocol=kind)) for kind in ("email", "sms", "lambda")]
    found = shows(sections("alarms")[0], *made)
    assert found["Toemail"] == "somebody is told by e-mail"
    assert found["Tosms"] == "somebody is told by a text message"
    assert "Tolambda" not in found


def test_a_role_that_people_or_other_accounts_take_on_too_is_no_evidence() -> None:
    def role(**principal: str) -> dict[str, Any]:
        statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": principal}
        return resource("AWS::IAM::Role", AssumeRolePolicyDocument={"Statement": [statement]})

    service = "ecs-tasks.amazonaws.com"
    both = role(Service=service, AWS="arn:aws:iam::111122223333:root")
    found = shows(sections("no_people")[0], ("Program", role(Service=service)), ("Both", both))
    assert found["Program"] == f"AssumeRolePolicyDocument: only {service} takes it on"
    assert "Both" not in found


def test_a_group_of_servers_is_a_spare_if_it_wants_one_and_has_the_same_disk_only_if_there_is_one() -> None:
    section = sections("spares")[0]
    group, none = (resource("AWS::AutoScaling::AutoScalingGroup", MinSize=size) for size in ("1", "0"))
    disk = ("Disk", resource("AWS::EC2::Volume", Size=1))
    found = shows(section, ("Group", group), ("None", none))
    assert found["Group"] == "MinSize: a failed server is replaced"
    assert "None" not in found
    assert shows(section, ("Group", group), disk)["Group"].endswith(", with the same data volume")


def test_one_volume_without_encryption_on_the_way_is_enough() -> None:
    def tasks(*ways: dict[str, str]) -> dict[str, Any]:
        volumes = [{"Name": str(number), "EFSVolumeConfiguration": way} for number, way in enumerate(ways)]
        return resource("AWS::ECS::TaskDefinition", Volumes=volumes)

    good = {"FilesystemId": "fs-1", "TransitEncryption": "ENABLED"}
    section = sections("tls")[0]
    found = shows(section, ("Good", tasks(good, good)), ("Half", tasks(good, {"FilesystemId": "fs-2"})))
    assert found["Good"] == "TransitEncryption: files travel encrypted"
    assert "Half" not in found


@pytest.mark.parametrize("type_name", ["Listener", "TargetGroup"])
def test_a_change_on_the_way_is_not_noticed_on_a_hop_without_tls(type_name: str) -> None:
    plain = resource(f"AWS::ElasticLoadBalancingV2::{type_name}", Protocol="HTTP")
    secure = resource("AWS::ElasticLoadBalancingV2::Listener", Protocol="HTTPS")
    one = control("312(e)(2)(i)", ("Plain", plain), ("Secure", secure))
    assert one.status == "partly"
    assert any(line.startswith("data/Plain: ") for line in one.open)


def test_integrity_is_supported_and_the_application_is_peoples() -> None:
    kept = {"DeletionProtection": True}
    stack = database_stack(**kept)
    one = next(each for each in hipaa({"data": stack}) if each.section == "312(c)(1)")
    assert one.status == "supported"
    assert "who may change or delete records" in one.yours
