"""What the options that both applications share promise, each by name, and for both of them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import pytest

from hostemr.deployment import outputs
from hostemr.deployment.applications import APPLICATIONS
from hostemr.deployment.load import load
from hostemr.errors import SettingsError
from hostemr.stacks.accelerator import HOSTED_ZONE_ID
from hostemr.stacks.mail import HELP
from tests.stacks.configurations import CERTIFICATE, DOCKER_HUB, DOMAIN, FORWARDING, MAIL, SAMPLES, ZONE, single
from tests.stacks.reading import environment, rendered, secrets
from tests.stacks.synthesis import Synthesized, synthesize
from tests.stacks.test_promises import containers, found, only

EVERYTHING: Mapping[str, Mapping[str, Any]] = {
    application: {
        name: value
        for name, value in SAMPLES["openmrs"]["everything"].items()
        if application == "openmrs" or not name.startswith("openmrs")
    }
    for application in APPLICATIONS
}
both = pytest.mark.parametrize("application", APPLICATIONS)
NINE_YEARS_DAYS = 3288
"""CloudWatch's word for nine years."""


def everything(application: str) -> Synthesized:
    return synthesize(EVERYTHING[application], application)


def statements(made: Synthesized, policy: str) -> list[Mapping[str, Any]]:
    """Of the managed policy by this name."""
    policies = found(made, "AWS::IAM::ManagedPolicy").items()
    [one] = [one for name, one in policies if re.fullmatch(f"{policy}[0-9A-F]{{8}}", name)]
    made_of: list[Mapping[str, Any]] = one["PolicyDocument"]["Statement"]
    return made_of


def function(made: Synthesized, name: str) -> Mapping[str, Any]:
    [one] = [one for key, one in found(made, "AWS::Lambda::Function").items() if key.startswith(f"{name}Function")]
    return one


def records(made: Synthesized) -> dict[tuple[str, str], Mapping[str, Any]]:
    """By name and type."""
    every = found(made, "AWS::Route53::RecordSet").values()
    return {(rendered(one["Name"], {}), one["Type"]): one for one in every}


@both
class TestDomain:
    def test_the_name_leads_to_the_load_balancer_by_a_certificate_that_renews_itself(self, application: str) -> None:
        made = synthesize(single("route53_domain", "example.org"), application)
        certificate = only(made, "AWS::CertificateManager::Certificate")
        assert certificate["DomainName"] == f"{application}.example.org"
        assert certificate["ValidationMethod"] == "DNS"
        [option] = certificate["DomainValidationOptions"]
        assert option["HostedZoneId"] == {"Fn::GetAtt": ["ZoneFound07B7325E", "Id"]}
        [https] = [one for one in found(made, "AWS::ElasticLoadBalancingV2::Listener").values() if one["Port"] == 443]
        [used] = https["Certificates"]
        assert used["CertificateArn"]["Ref"].startswith("ZoneCertificate")
        # Only with an IPv6 range is there an address of that family: TestAccelerator has both.
        assert [kind for name, kind in records(made) if name == f"{application}.example.org."] == ["A"]
        target = records(made)[f"{application}.example.org.", "A"]["AliasTarget"]
        assert target["DNSName"]["Fn::GetAtt"][1] == "DNSName"
        assert target["HostedZoneId"]["Fn::GetAtt"][1] == "CanonicalHostedZoneID"
        assert made.templates.service["Outputs"]["Url"]["Value"] == f"https://{application}.example.org"

    def test_with_a_certificate_of_ones_own_the_name_is_there_all_the_same(self, application: str) -> None:
        made = synthesize({**DOMAIN, "hosted_zone_id": ZONE, "certificate_arn": CERTIFICATE}, application)
        assert not found(made, "AWS::CertificateManager::Certificate")
        assert (f"{application}.example.org.", "A") in records(made)
        [https] = [one for one in found(made, "AWS::ElasticLoadBalancingV2::Listener").values() if one["Port"] == 443]
        assert https["Certificates"] == [{"CertificateArn": CERTIFICATE}]

    def test_a_zone_that_is_given_is_not_looked_for(self, application: str) -> None:
        made = synthesize({**DOMAIN, "hosted_zone_id": ZONE, "certificate_arn": CERTIFICATE}, application)
        assert not found(made, "Custom::HostedZone")
        assert "ListHostedZones" not in json.dumps(made.templates.service)
        assert {one["HostedZoneId"] for one in records(made).values()} == {ZONE}

    def test_no_synthesis_looks_anything_up(self, application: str) -> None:
        """A look-up would leave the account's number and the region in the template; this one runs in any."""
        made = everything(application)
        for text in made.texts:
            assert "us-east-1" not in text.replace(json.dumps(made.templates.service["Mappings"]), "")
            assert "111122223333" not in text
        assert only(made, "Custom::HostedZone")["Domain"] == "example.org"


@both
class TestMail:
    def test_the_domain_is_an_identity_that_others_can_verify(self, application: str) -> None:
        made = everything(application)
        identity = only(made, "AWS::SES::EmailIdentity")
        assert identity["EmailIdentity"] == "example.org"
        assert identity["DkimSigningAttributes"] == {"NextSigningKeyLength": "RSA_2048_BIT"}
        assert identity["MailFromAttributes"]["MailFromDomain"] == "services.example.org"
        by_name = records(made)
        assert len([name for name, kind in by_name if kind == "CNAME" and "DkimDNSTokenName" in name]) == 3
        [bounces] = by_name["services.example.org.", "MX"]["ResourceRecords"]
        assert rendered(bounces, {}) == "10 feedback-smtp.us-east-1.amazonses.com"
        assert by_name["services.example.org.", "TXT"]["ResourceRecords"] == ['"v=spf1 include:amazonses.com ~all"']
        [policy] = by_name["_dmarc.example.org.", "TXT"]["ResourceRecords"]
        assert policy == f'"v=DMARC1; p=quarantine; rua=mailto:{HELP}@example.org"'

    def test_reports_are_asked_for_only_where_somebody_gets_them(self, application: str) -> None:
        made = synthesize(MAIL, application)
        assert records(made)["_dmarc.example.org.", "TXT"]["ResourceRecords"] == ['"v=DMARC1; p=quarantine"']
        assert ("example.org.", "MX") not in records(made)

    def test_mail_travels_over_tls_and_is_sent_as_the_domain_only(self, application: str) -> None:
        made = everything(application)
        assert only(made, "AWS::SES::ConfigurationSet")["DeliveryOptions"] == {"TlsPolicy": "REQUIRE"}
        [send] = statements(made, "MailSend")
        assert send["Action"] == ["ses:SendRawEmail"]
        assert send["Condition"] == {"StringLike": {"ses:FromAddress": "*@example.org"}}
        [user] = found(made, "AWS::IAM::User").values()
        assert not {"Policies", "ManagedPolicyArns"} & user.keys()
        [group] = found(made, "AWS::IAM::Group").values()
        assert len(group["ManagedPolicyArns"]) == 1

    def test_its_credential_rotates_on_schedule_and_on_demand(self, application: str) -> None:
        """`aws secretsmanager rotate-secret` is the demand: a schedule with a function is what it takes."""
        made = everything(application)
        [(credential, _)] = [
            one for one in found(made, "AWS::SecretsManager::Secret").items() if one[0].startswith("MailCredential")
        ]
        [(name, schedule)] = [
            (name, one)
            for name, one in made.templates.of("AWS::SecretsManager::RotationSchedule")
            if one["Properties"]["SecretId"] == {"Ref": credential}
        ]
        assert name.startswith("MailSchedule")
        assert schedule["Properties"]["RotationRules"] == {"AutomaticallyAfterDays": 30}
        assert schedule["Properties"]["RotationLambdaARN"]["Fn::GetAtt"][0].startswith("MailRotatorFunction")
        for needed in ("MailReady", "MailInvoke"):
            assert any(one.startswith(needed) for one in schedule["DependsOn"]), needed

    def test_the_functions_may_change_that_users_keys_and_that_secret_alone(self, application: str) -> None:
        made = everything(application)
        [keys] = statements(made, "MailMakeKeys")
        assert keys["Resource"]["Fn::GetAtt"][0].startswith("MailSender")
        change, decrypt = statements(made, "MailChangeSecret")
        assert change["Resource"]["Ref"].startswith("MailCredential")
        assert "kms:ViaService" in json.dumps(decrypt["Condition"])

    def test_a_new_credential_reaches_the_application(self, application: str) -> None:
        """OpenMRS reads it when it starts, so its service starts anew; OpenEMR's set-up writes it to the database."""
        made = everything(application)
        after = json.loads(rendered(function(made, "MailRotator")["Environment"]["Variables"]["AFTER"], {}))
        [hand_over] = statements(made, "MailHandOver")
        if APPLICATIONS[application].restarts_for_credentials:
            assert after == {"UpdateService": {"Cluster": "{Cluster}", "Service": "{Service.Name}"}}
            assert (hand_over["Action"], hand_over["Resource"]) == (["ecs:UpdateService"], {"Ref": "Service"})
        else:
            assert after["InvokeFunction"].startswith("{SetupRunnerFunction")
            assert hand_over["Action"] == ["lambda:InvokeFunction"]
            assert hand_over["Resource"]["Fn::GetAtt"][0].startswith("SetupRunnerFunction")

    def test_whoever_sends_is_told_of_server_sender_and_credential(self, application: str) -> None:
        names = APPLICATIONS[application].names.mail
        task = "Worker" if APPLICATIONS[application].restarts_for_credentials else "Setup"
        container = containers(everything(application), task)[APPLICATIONS[application].main.name]
        told = {name: rendered(value, {}) for name, value in environment(container).items() if "DATABASE" not in name}
        assert (told[names.host], told[names.port]) == ("email-smtp.us-east-1.amazonaws.com", "587")
        assert {told[name] for name in names.sender} == {"notifications@example.org"}
        assert names.on.items() <= told.items()
        assert secrets(container)[names.username].endswith(":username::")
        assert secrets(container)[names.password].endswith(":password::")

    def test_tasks_reach_the_mail_server(self, application: str) -> None:
        egress = found(synthesize(MAIL, application), "AWS::EC2::SecurityGroupEgress").values()
        assert [rule["FromPort"] for rule in egress if rule.get("CidrIp") == "0.0.0.0/0"] == [443, 587]

    def test_without_a_way_to_the_internet_they_reach_it_by_an_endpoint(self, application: str) -> None:
        context = {**MAIL, "egress": "endpoints", "docker_hub_secret_arn": DOCKER_HUB}
        made = synthesize(context, application)
        services = {rendered(one["ServiceName"], {}) for one in found(made, "AWS::EC2::VPCEndpoint").values()}
        assert "com.amazonaws.us-east-1.email-smtp" in services
        rules = [one for one in found(made, "AWS::EC2::SecurityGroupEgress").values() if one["FromPort"] == 587]
        assert [rule["DestinationSecurityGroupId"]["Fn::GetAtt"][0][:15] for rule in rules] == ["EgressEndpoints"]

    def test_it_is_refused_without_a_domain(self, application: str) -> None:
        with pytest.raises(SettingsError, match="configure_ses"):
            load(application, {"configure_ses": True})


@both
class TestForwarding:
    def test_mail_is_archived_encrypted_and_handed_to_the_function(self, application: str) -> None:
        made = everything(application)
        rule = only(made, "Custom::ReceiptRule")
        assert rule["Recipient"] == "help@example.org"
        assert rule["Bucket"] == {"Fn::ImportValue": f"{application}-data:MailBucket"}
        assert rule["FunctionArn"]["Fn::GetAtt"][0].startswith("ReceivedMailForwarderFunction")
        [(name, bucket)] = [one for one in found(made, "AWS::S3::Bucket").items() if one[0].startswith("RecordsMail")]
        [encryption] = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        key = encryption["ServerSideEncryptionByDefault"]["KMSMasterKeyID"]["Fn::GetAtt"][0]
        assert key.startswith("KeysData")
        [writes] = [
            one for one in found(made, "AWS::KMS::Key")[key]["KeyPolicy"]["Statement"] if one["Sid"] == "ReceivedMail"
        ]
        assert writes["Principal"] == {"Service": "ses.amazonaws.com"}
        assert "aws:SourceAccount" in json.dumps(writes["Condition"])
        assert name in json.dumps(only(made, "AWS::Backup::BackupSelection"))

    def test_the_domains_mail_comes_only_when_there_is_a_rule_for_it(self, application: str) -> None:
        made = everything(application)
        [mail] = [
            one
            for _, one in made.templates.of("AWS::Route53::RecordSet")
            if one["Properties"]["Name"] == "example.org." and one["Properties"]["Type"] == "MX"
        ]
        assert any(one.startswith("ReceivedMailRule") for one in mail["DependsOn"])
        [(_, rule)] = made.templates.of("Custom::ReceiptRule")
        for needed in ("MailIdentity", "ReceivedMailInvoke"):
            assert any(one.startswith(needed) for one in rule["DependsOn"]), needed

    def test_other_receipt_rules_are_not_taken_over(self, application: str) -> None:
        """How the function does that: tests/stacks/functions/test_receive_mail.py."""
        made = everything(application)
        assert not found(made, "AWS::SES::ReceiptRuleSet")
        assert not found(made, "AWS::SES::ReceiptRule")
        rule = only(made, "Custom::ReceiptRule")
        assert rule["RuleName"] == f"{application}-service-help"
        assert rule["RuleSetName"] == f"{application}-service-receiving"
        [keep] = statements(made, "ReceivedMailKeepRule")
        assert not [one for one in keep["Action"] if "*" in one or "Reorder" in one or "Clone" in one]

    def test_it_is_forwarded_by_who_may_read_and_send_that_mail_alone(self, application: str) -> None:
        made = everything(application)
        told = function(made, "ReceivedMailForwarder")["Environment"]["Variables"]
        assert told["FORWARD_TO"] == FORWARDING["email_forwarding_address"]
        read, decrypt, send = statements(made, "ReceivedMailForward")
        assert rendered(read["Resource"], {}).endswith(":MailBucket}/mail/*")
        assert "s3:DeleteObject" not in read["Action"]
        assert "kms:ViaService" in json.dumps(decrypt["Condition"])
        assert send["Condition"] == {"StringEquals": {"ses:FromAddress": "help@example.org"}}
        [invoke] = [
            one for one in found(made, "AWS::Lambda::Permission").values() if one["Principal"] == "ses.amazonaws.com"
        ]
        assert {"SourceAccount", "SourceArn"} <= invoke.keys()

    @pytest.mark.parametrize("context", [{**DOMAIN}, {**MAIL, "email_forwarding_address": "help@example.org"}])
    def test_it_is_refused_where_it_would_not_arrive(self, application: str, context: Mapping[str, Any]) -> None:
        with pytest.raises(SettingsError, match="email_forwarding_address"):
            load(application, {"email_forwarding_address": "office@clinic.example", **context})


@both
class TestDatabaseOptions:
    def test_bedrock_is_a_role_a_parameter_and_a_private_way(self, application: str) -> None:
        made, without = everything(application), synthesize({}, application)
        [association] = only(made, "AWS::RDS::DBCluster")["AssociatedRoles"]
        assert association["FeatureName"] == "Bedrock"
        parameters = only(made, "AWS::RDS::DBClusterParameterGroup")["Parameters"]
        assert parameters["aws_default_bedrock_role"] == association["RoleArn"]
        assert parameters["aurora_ml_inference_timeout"] == "30000"
        [invoke] = statements(made, "BedrockInvokeModels")
        assert set(invoke["Action"]) == {"bedrock:InvokeModel", "bedrock:InvokeModelWithResponseStream"}
        assert rendered(invoke["Resource"], {}) == "arn:aws:bedrock:us-east-1::foundation-model/*"
        [endpoint] = [
            one for one in found(made, "AWS::EC2::VPCEndpoint").values() if "bedrock-runtime" in json.dumps(one)
        ]
        [allowed] = endpoint["PolicyDocument"]["Statement"]
        assert allowed["Principal"] == {"AWS": association["RoleArn"]}
        [way] = [one for one in found(made, "AWS::EC2::SecurityGroupEgress").values() if "models" in one["Description"]]
        assert way["GroupId"]["Fn::GetAtt"][0].startswith("NetworkDatabase")
        assert "bedrock" not in json.dumps(without.templates.data)

    def test_the_data_api_is_off_unless_asked_for(self, application: str) -> None:
        assert only(everything(application), "AWS::RDS::DBCluster")["EnableHttpEndpoint"] is True
        assert only(synthesize({}, application), "AWS::RDS::DBCluster")["EnableHttpEndpoint"] is False

    def test_the_timeouts_are_the_seeds_and_can_be_changed(self, application: str) -> None:
        parameters = only(synthesize({}, application), "AWS::RDS::DBClusterParameterGroup")["Parameters"]
        timeouts = ("net_read_timeout", "net_write_timeout", "wait_timeout", "connect_timeout")
        assert {parameters[name] for name in timeouts} == {"30000"}
        assert parameters["max_execution_time"] == "3000000"
        changed = {"net_read_timeout": 60, "net_write_timeout": 61, "wait_timeout": 600, "connect_timeout": 10}
        context = {**changed, "max_execution_time": 5, "enable_bedrock_integration": True}
        made = synthesize({**context, "aurora_ml_inference_timeout": 60_000}, application)
        parameters = only(made, "AWS::RDS::DBClusterParameterGroup")["Parameters"]
        for name, value in {**changed, "max_execution_time": 5, "aurora_ml_inference_timeout": 60_000}.items():
            assert parameters[name] == str(value), name


@both
class TestAccelerator:
    def test_it_leads_to_the_load_balancer_and_its_address_is_told(self, application: str) -> None:
        made = everything(application)
        [(_, group)] = made.templates.of("AWS::GlobalAccelerator::EndpointGroup")
        [endpoint] = group["Properties"]["EndpointConfigurations"]
        assert endpoint["EndpointId"]["Ref"].startswith("LoadBalancer")
        assert endpoint["ClientIPPreservationEnabled"] is True
        assert len(group["DependsOn"]) == 2
        ports = only(made, "AWS::GlobalAccelerator::Listener")["PortRanges"]
        assert {one["FromPort"] for one in ports} == {80, 443}
        address = made.templates.service["Outputs"][outputs.ACCELERATOR_URL]["Value"]
        assert outputs.ACCELERATOR_URL == "GlobalAcceleratorUrl"
        assert rendered(address, {}) == "https://{AcceleratorB9F383B3.DualStackDnsName}"
        assert outputs.ACCELERATOR_URL not in synthesize({}, application).templates.service["Outputs"]

    def test_the_domains_name_leads_to_it_by_both_families(self, application: str) -> None:
        made = everything(application)
        for kind in ("A", "AAAA"):
            target = records(made)[f"{application}.example.org.", kind]["AliasTarget"]
            assert target["HostedZoneId"] == HOSTED_ZONE_ID
            assert target["DNSName"]["Fn::GetAtt"][1] == "DualStackDnsName"
        assert only(made, "AWS::GlobalAccelerator::Accelerator")["IpAddressType"] == "DUAL_STACK"
        assert only(made, "AWS::ElasticLoadBalancingV2::LoadBalancer")["IpAddressType"] == "dualstack"


@both
class TestOthers:
    def test_open_smtp_port_opens_both_ports_and_nothing_does_unasked(self, application: str) -> None:
        def open_ports(context: Mapping[str, Any]) -> list[int]:
            egress = found(synthesize(context, application), "AWS::EC2::SecurityGroupEgress").values()
            ours = [rule for rule in egress if rule["GroupId"] == {"Fn::GetAtt": ["TasksGroup", "GroupId"]}]
            return sorted(rule["FromPort"] for rule in ours if "CidrIp" in rule)

        assert open_ports({}) == [443]
        assert open_ports(EVERYTHING[application]) == [443, 465, 587]
        with pytest.raises(SettingsError, match="open_smtp_port"):
            load(application, {"open_smtp_port": True, "egress": "endpoints", "docker_hub_secret_arn": DOCKER_HUB})

    def test_the_trail_goes_to_cloudwatch_for_nine_years_unless_switched_off(self, application: str) -> None:
        made = synthesize({}, application)
        trail = only(made, "AWS::CloudTrail::Trail")
        [group, arn] = trail["CloudWatchLogsLogGroupArn"]["Fn::GetAtt"]
        assert arn == "Arn"
        assert found(made, "AWS::Logs::LogGroup")[group]["RetentionInDays"] == NINE_YEARS_DAYS
        role = trail["CloudWatchLogsRoleArn"]["Fn::GetAtt"][0]
        [policy] = found(made, "AWS::IAM::Role")[role]["ManagedPolicyArns"]
        [write] = found(made, "AWS::IAM::ManagedPolicy")[policy["Ref"]]["PolicyDocument"]["Statement"]
        assert write["Resource"] == {"Fn::GetAtt": [group, "Arn"]}
        assert set(write["Action"]) == {"logs:CreateLogStream", "logs:PutLogEvents"}
        off = synthesize({"enable_long_term_cloudtrail_monitoring": False}, application)
        assert "CloudWatchLogsLogGroupArn" not in only(off, "AWS::CloudTrail::Trail")

    def test_sticky_sessions_last_as_long_as_is_set(self, application: str) -> None:
        made = synthesize(single("sticky_session_cookie_length_in_minutes", 720), application)
        given = only(made, "AWS::ElasticLoadBalancingV2::TargetGroup")["TargetGroupAttributes"]
        attributes = {one["Key"]: one["Value"] for one in given}
        assert attributes["stickiness.enabled"] == "true"
        assert attributes["stickiness.lb_cookie.duration_seconds"] == str(720 * 60)

    def test_analytics_is_a_stack_of_its_own_that_is_made_when_asked_for(self, application: str) -> None:
        """Its own promises: test_analytics.py."""
        assert list(everything(application).stacks)[2] == f"{application}-analytics"
        assert synthesize({}, application).templates.analytics is None

    def test_with_everything_on_the_rules_of_cdk_nag_find_nothing(self, application: str) -> None:
        assert everything(application).findings == ()
