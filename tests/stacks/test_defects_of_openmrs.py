"""Each defect of the original's OpenMRS, as the facts count them, and what shows that ours does not have it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from hostemr.deployment.load import load
from hostemr.errors import SettingsError
from hostemr.operate.schemas import schema_of
from hostemr.stacks.function import RUNTIME
from tests.stacks.configurations import MAIL, SAMPLES, single
from tests.stacks.reading import jdbc_url, openmrs_program, rendered
from tests.stacks.synthesis import Synthesized, synthesize
from tests.stacks.test_promises import containers, found, only

EVERYTHING = SAMPLES["openmrs"]["everything"]
BACKEND, GATEWAY = "openmrsbackend", "openmrsgateway"


@pytest.fixture
def default() -> Synthesized:
    return synthesize({}, "openmrs")


@pytest.fixture
def everything() -> Synthesized:
    return synthesize(EVERYTHING, "openmrs")


# The domain is one: whoever sends mail as it, or receives its mail, is one deployment in an account and region.
OF_THE_DOMAIN = {
    ("AWS::SES::EmailIdentity", "example.org"),
    ("AWS::Route53::RecordSet", "example.org. MX"),
    ("AWS::Route53::RecordSet", "services.example.org. MX"),
    ("AWS::Route53::RecordSet", "services.example.org. TXT"),
    ("AWS::Route53::RecordSet", "_dmarc.example.org. TXT"),
}
# Named within what is made anew with it: its SageMaker domain.
WITHIN = {("AWS::SageMaker::UserProfile", "ServerlessAnalyticsUser")}
# Part of an identifier, and a kind rather than a name.
KINDS = {"Scope", "ServiceNamespace", "ScalableDimension"}


class TestDefectsOfTheOriginal:
    """As the facts count them, worst first. Where a test elsewhere shows it, this one shows the template's part."""

    def test_01_aurora_is_in_the_backup_plan_and_nothing_of_patients_is_deleted(self, default: Synthesized) -> None:
        selected = json.dumps(only(default, "AWS::Backup::BackupSelection")["BackupSelection"]["Resources"])
        [cluster] = found(default, "AWS::RDS::DBCluster")
        assert f'":cluster:", {{"Ref": "{cluster}"}}' in selected
        database = only(default, "AWS::RDS::DBCluster")
        assert (database["BackupRetentionPeriod"], database["DeletionProtection"]) == (35, True)
        [(_, files)] = default.templates.of("AWS::EFS::FileSystem")
        assert files["DeletionPolicy"] == "Retain"

    def test_02_every_function_is_ours_on_a_runtime_that_can_be_created(self, everything: Synthesized) -> None:
        functions = [
            one["Properties"]
            for template in everything.stacks.values()
            for one in template["Resources"].values()
            if one["Type"] == "AWS::Lambda::Function"
        ]
        assert len(functions) == 9
        assert {one["Runtime"] for one in functions} == {RUNTIME}
        assert all(one["Code"].keys() == {"ZipFile"} for one in functions)

    def test_03_starts_do_not_race(self, default: Synthesized) -> None:
        """One set-up task migrates, under a lock; workers wait for it, share no modules, and have time to start."""
        assert only(default, "AWS::ECS::Service")["HealthCheckGracePeriodSeconds"] > 60
        checks = [one["HealthCheck"] for one in containers(default, "Worker").values() if "HealthCheck" in one]
        assert len(checks) == 2
        assert all(one["StartPeriod"] == 300 for one in checks)
        assert "take_lock" in openmrs_program("setup")
        assert "OMRS_AUTO_UPDATE_DATABASE" in openmrs_program("worker")
        paths = [one["ContainerPath"] for two in containers(default, "Worker").values() for one in two["MountPoints"]]
        assert not [path for path in paths if path.startswith("/openmrs/data")]

    def test_04_nothing_is_copied_to_the_files_before_the_service_and_what_is_set_up_is_waited_for(
        self, default: Synthesized
    ) -> None:
        [(_, service)] = default.templates.of("AWS::ECS::Service")
        [(done, _)] = default.templates.of("Custom::Setup")
        assert done in service["DependsOn"]
        assert {one.removesuffix(one[-8:]) for one in found(default, "AWS::ECS::TaskDefinition")} == {
            "TasksWorker",
            "TasksSetup",
            "TasksRotation",
        }
        assert not re.search(r"cp -[rRa]+ \S*/data/?\.? ", openmrs_program("setup"))

    def test_05_the_gateway_takes_nothing_from_where_an_image_keeps_its_configuration(self) -> None:
        """Any nginx does: tests/stacks/containers/openmrs/test_gateway.py runs one."""
        text = openmrs_program("gateway")
        for foreign in ("/etc/nginx/nginx.conf", "/etc/nginx/conf", "/etc/nginx/templates", "/etc/hosts", "resolver "):
            assert foreign not in text, foreign
        assert 'nginx -e stderr -p "$gateway_work/" -c "$gateway_work/nginx.conf"' in text
        gateway = containers(synthesize(single("openmrs_gateway_image", "nginx:1.29-alpine"), "openmrs"), "Worker")[
            GATEWAY
        ]
        assert gateway["EntryPoint"] == ["/bin/sh", "-c"]
        assert gateway["Command"] == [text]

    def test_06_the_gateways_health_check_asks_the_gateway(self, default: Synthesized) -> None:
        """Containers of a task share their ports, and 80 is the frontend's."""
        [_, command] = containers(default, "Worker")[GATEWAY]["HealthCheck"]["Command"]
        assert re.findall(r"http://127\.0\.0\.1:(\d+)(\S+)", command) == [("8081", "/gateway/alive")] * 2
        assert "GATEWAY_LOCAL_PORT:=8081" in openmrs_program("gateway").replace('"', "")

    def test_07_forwarded_mail_goes_to_people_and_cannot_come_back(self, everything: Synthesized) -> None:
        """What is sent is shown by tests/stacks/functions/test_forward_mail.py."""
        [forwarder] = [
            one
            for name, one in found(everything, "AWS::Lambda::Function").items()
            if name.startswith("ReceivedMailForw")
        ]
        variables = forwarder["Environment"]["Variables"]
        assert (variables["RECIPIENT"], variables["FORWARD_TO"]) == ("help@example.org", "office@clinic.example")
        assert forwarder["Timeout"] > 3
        with pytest.raises(SettingsError):
            load("openmrs", {**MAIL, "email_forwarding_address": "help@example.org"})

    def test_08_mail_needs_a_domain_and_is_in_order_before_anything_uses_it(self, everything: Synthesized) -> None:
        with pytest.raises(SettingsError):
            load("openmrs", {"configure_ses": True})
        tokens = [
            one["Name"] for one in found(everything, "AWS::Route53::RecordSet").values() if one["Type"] == "CNAME"
        ]
        assert [rendered(one, {}) for one in tokens] == [
            f"{{MailIdentityCD921232.DkimDNSTokenName{number}}}." for number in (1, 2, 3)
        ]
        [credential] = [
            one for name, one in found(everything, "AWS::SecretsManager::Secret").items() if name.startswith("MailCred")
        ]
        assert json.loads(credential["GenerateSecretString"]["SecretStringTemplate"])
        [(ready, made)] = everything.templates.of("Custom::SmtpCredential")
        assert made["Properties"]["User"]["Ref"].startswith("MailSender")
        [(_, done)] = everything.templates.of("Custom::Setup")
        assert ready in done["DependsOn"]
        # Other rules of the account stay: tests/stacks/functions/test_receive_mail.py.
        assert not found(everything, "AWS::SES::ReceiptRuleSet")

    def test_09_exports_can_be_repeated_and_follow_deletions(self, everything: Synthesized) -> None:
        """Names and repeats: tests/stacks/functions/test_export_database.py and test_export_files.py."""
        assert everything.templates.analytics is not None
        resources = everything.templates.analytics["Resources"].values()
        [copy] = [one["Properties"] for one in resources if one["Type"] == "AWS::ECS::TaskDefinition"]
        assert "--delete" in copy["ContainerDefinitions"][0]["Command"]
        assert "aurora-to-s3-openemr-export" not in json.dumps(everything.templates.analytics)

    def test_10_analysts_rights_are_actions_and_arns_that_exist(self, everything: Synthesized) -> None:
        """All of the environment's promises: tests/stacks/test_analytics.py."""
        text = json.dumps(everything.templates.analytics)
        assert "emr-serverless:StartJobRun" in text
        assert "RunJob" not in text.replace("StartJobRun", "")
        assert "ecs:TaskArn" not in text
        assert ":/applications/" in text
        resources = everything.templates.analytics["Resources"].values() if everything.templates.analytics else ()
        [application] = [one["Properties"] for one in resources if one["Type"] == "AWS::EMRServerless::Application"]
        assert application["NetworkConfiguration"]["SubnetIds"]
        assert application["MonitoringConfiguration"]["ManagedPersistenceMonitoringConfiguration"]["EncryptionKeyArn"]

    def test_11_what_the_documents_say_is_in_the_template(self, everything: Synthesized) -> None:
        listeners = {one["Port"]: one for one in found(everything, "AWS::ElasticLoadBalancingV2::Listener").values()}
        assert listeners[80]["DefaultActions"][0]["Type"] == "redirect"
        assert listeners[443]["SslPolicy"].startswith("ELBSecurityPolicy-TLS13-1-2-")
        trail = only(everything, "AWS::CloudTrail::Trail")
        group = trail["CloudWatchLogsLogGroupArn"]["Fn::GetAtt"][0]
        assert found(everything, "AWS::Logs::LogGroup")[group]["RetentionInDays"] >= 9 * 365
        assert only(everything, "AWS::EC2::FlowLog")["LogDestinationType"] == "s3"

    def test_12_connections_are_verified_and_new_certificates_are_served(self, default: Synthesized) -> None:
        """That a running gateway takes a new one: tests/stacks/containers/openmrs/test_gateway_life.py."""
        assert not re.search(r"\s", jdbc_url())
        assert "verifyServerCertificate" not in jdbc_url()
        for program in ("setup", "worker", "gateway"):
            assert not re.search(
                r"curl[^\n|]*(-[a-z]*k[a-z]* |--insecure)|--no-check-certificate", openmrs_program(program)
            ), program
        paths = [one["ContainerPath"] for two in containers(default, "Worker").values() for one in two["MountPoints"]]
        assert not [path for path in paths if path.startswith("/etc")]
        assert "gateway_watch &" in openmrs_program("gateway")

    def test_13_memory_deployments_and_timeouts_are_bounded(self, default: Synthesized) -> None:
        assert "-Xmx%sm" in openmrs_program("worker")
        deployment = only(default, "AWS::ECS::Service")["DeploymentConfiguration"]
        assert deployment["DeploymentCircuitBreaker"] == {"Enable": True, "Rollback": True}
        balancer = only(default, "AWS::ElasticLoadBalancingV2::LoadBalancer")["LoadBalancerAttributes"]
        idle = {one["Key"]: one["Value"] for one in balancer}["idle_timeout.timeout_seconds"]
        # The gateway keeps a connection a minute longer, so that it never ends one that is about to be used.
        assert f"REQUEST_SECONDS:={idle}" in openmrs_program("gateway")
        assert "$((REQUEST_SECONDS + 60))" in openmrs_program("gateway")

    def test_14_two_copies_in_an_account_share_no_name(self, everything: Synthesized) -> None:
        names = [
            set(_own_names(made))
            for made in (everything, synthesize({**EVERYTHING, "openmrs_resource_suffix": "north"}, "openmrs"))
        ]
        assert len(names[0]) == len(names[1]) > 10
        assert names[0] & names[1] == OF_THE_DOMAIN | WITHIN

    def test_14_documents_above_8_kb_pass_the_firewall_which_has_rules_for_attacks(self, default: Synthesized) -> None:
        rules = {one["Name"]: one for one in only(default, "AWS::WAFv2::WebACL")["Rules"]}
        common = rules["AWSManagedRulesCommonRuleSet"]["Statement"]["ManagedRuleGroupStatement"]
        assert {"Name": "SizeRestrictions_BODY", "ActionToUse": {"Count": {}}} in common["RuleActionOverrides"]
        for name in ("RequestsPerAddress", "AWSManagedRulesSQLiRuleSet", "AWSManagedRulesAmazonIpReputationList"):
            assert name in rules

    @pytest.mark.parametrize("sample", SAMPLES["openmrs"])
    def test_15_the_rules_of_cdk_nag_find_nothing(self, sample: str) -> None:
        """Each acceptance has a reason: test_acknowledgements.py. Both seeds' defaults are synthesized: test_app.py."""
        assert synthesize(SAMPLES["openmrs"][sample], "openmrs").findings == ()


def _own_names(made: Synthesized) -> Iterator[tuple[str, str]]:
    """Type and name of each resource that we name ourselves, rather than CloudFormation or a reference."""
    for template in made.stacks.values():
        for one in template["Resources"].values():
            schema = schema_of(one["Type"])
            if schema is None:
                continue
            given = one.get("Properties", {})
            places = [place[0] for place in schema.identifier if place[0] not in KINDS]
            names = [given[place] for place in places if isinstance(given.get(place), str)]
            # The name of a DKIM record is a token of its identity's.
            if names and not isinstance(given.get("Name"), dict):
                yield one["Type"], " ".join(names)
