"""Checks that records stay private: each with a template that it finds something in, and one that it does not."""

from __future__ import annotations

from typing import Any

import pytest

from tests.operate.checks.finding import across, allow, found, key, problems, role
from tests.operate.templates import NO_VALUE, choose, database_stack, ref, resource, sub

LISTENER = "AWS::ElasticLoadBalancingV2::Listener"
TARGETS = "AWS::ElasticLoadBalancingV2::TargetGroup"
FOUR = dict.fromkeys(("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"), True)


class TestEncryptedAtRest:
    def test_a_plain_database_disk_and_root_disk_are_found(self) -> None:
        made = {
            "Database": resource("AWS::RDS::DBCluster", DBClusterIdentifier="records"),
            "Disk": resource("AWS::EC2::Volume", Encrypted="false"),
            "Server": resource("AWS::EC2::Instance", ImageId=ref("Image")),
        }
        told = found("EncryptedAtRest", made)
        assert [(one.resource.logical_id, one.severity) for one in told] == [
            ("Database", None),
            ("Disk", None),
            ("Server", "warning"),
        ]

    def test_encrypted_ones_are_fine(self) -> None:
        disks = [{"DeviceName": "/dev/sda1", "Ebs": {"Encrypted": True}}]
        launch = resource("AWS::EC2::LaunchTemplate", LaunchTemplateData={"ImageId": "x", "BlockDeviceMappings": disks})
        assert not found("EncryptedAtRest", {"Launch": launch})
        assert not across("EncryptedAtRest", {"data": database_stack()})


class TestListenerTls:
    @pytest.mark.parametrize("policy", [{}, {"SslPolicy": "ELBSecurityPolicy-TLS-1-1-2017-01"}])
    def test_an_old_or_missing_policy_is_found(self, policy: dict[str, Any]) -> None:
        assert found("ListenerTls", {"L": resource(LISTENER, Protocol="HTTPS", **policy)})

    @pytest.mark.parametrize(
        "policy", ["ELBSecurityPolicy-TLS13-1-2-Res-2021-06", "ELBSecurityPolicy-TLS13-1-3-2021-06", ref("Policy")]
    )
    def test_a_new_one_is_fine_and_an_unknown_one_is_not_judged(self, policy: Any) -> None:
        assert not found("ListenerTls", {"L": resource(LISTENER, Protocol="HTTPS", SslPolicy=policy)})

    def test_plain_http_is_found_and_says_whether_the_internet_reads_it(self) -> None:
        forward = {"Type": "forward", "TargetGroupArn": ref("T")}
        made = {
            "Out": resource(LISTENER, Protocol="HTTP", DefaultActions=[forward], LoadBalancerArn=ref("Outer")),
            "In": resource(LISTENER, Protocol="HTTP", DefaultActions=[forward], LoadBalancerArn=ref("Inner")),
            "Outer": resource("AWS::ElasticLoadBalancingV2::LoadBalancer"),
            "Inner": resource("AWS::ElasticLoadBalancingV2::LoadBalancer", Scheme="internal"),
        }
        assert problems("ListenerTls", made) == [
            "Out: passwords and patients' data cross the internet unencrypted",
            "In: passwords and patients' data cross the network unencrypted",
        ]

    def test_a_redirect_to_https_is_fine_and_one_to_http_is_not(self) -> None:
        def redirect(protocol: str) -> dict[str, Any]:
            action = {"Type": "redirect", "RedirectConfig": {"Protocol": protocol, "StatusCode": "HTTP_301"}}
            return {"L": resource(LISTENER, Protocol="HTTP", DefaultActions=[action])}

        assert not found("ListenerTls", redirect("HTTPS"))
        assert found("ListenerTls", redirect("HTTP"))


class TestTargetTls:
    def test_plain_targets_files_and_databases_are_found(self) -> None:
        volume = {"Name": "sites", "EFSVolumeConfiguration": {"FilesystemId": ref("Files")}}
        made = {
            "Targets": resource(TARGETS, Protocol="HTTP"),
            "Task": resource("AWS::ECS::TaskDefinition", Volumes=[volume]),
            "Settings": resource("AWS::RDS::DBClusterParameterGroup", Family="aurora-mysql8.0", Parameters={}),
        }
        assert [one.resource.logical_id for one in found("TargetTls", made)] == ["Targets", "Task", "Settings"]

    def test_encrypted_ones_are_fine(self) -> None:
        volume = {"Name": "s", "EFSVolumeConfiguration": {"FilesystemId": "f", "TransitEncryption": "ENABLED"}}
        made = {
            "Targets": resource(TARGETS, Protocol="HTTPS"),
            "Task": resource("AWS::ECS::TaskDefinition", Volumes=[volume]),
            "Settings": resource(
                "AWS::RDS::DBClusterParameterGroup",
                Family="aurora-mysql8.0",
                Parameters={"require_secure_transport": "ON"},
            ),
            "Postgres": resource("AWS::RDS::DBClusterParameterGroup", Family="aurora-postgresql16", Parameters={}),
        }
        assert not found("TargetTls", made)


class TestTlsVerified:
    @pytest.mark.parametrize(
        "command",
        [
            "curl -k https://files.example/a.sh",
            "curl -fsSk https://files.example/a.sh",
            "curl --silent --insecure https://files.example/a.sh",
            "wget --no-check-certificate https://files.example/a.sh",
            "mysql --skip-ssl -h db",
        ],
    )
    def test_a_command_that_takes_any_certificate_is_found(self, command: str) -> None:
        task = resource("AWS::ECS::TaskDefinition", ContainerDefinitions=[{"Command": ["/bin/sh", "-c", command]}])
        assert len(found("TlsVerified", {"Task": task})) == 1
        assert found("TlsVerified", {"Server": resource("AWS::EC2::Instance", UserData={"Fn::Base64": command})})

    def test_a_database_address_that_takes_any_certificate_is_found(self) -> None:
        address = [{"Name": "URL", "Value": sub("jdbc:mysql://${Host}/emr?useSSL=true&verifyServerCertificate=false")}]
        task = resource("AWS::ECS::TaskDefinition", ContainerDefinitions=[{"Environment": address}])
        assert found("TlsVerified", {"Task": task})[0].problem.endswith("verifyServerCertificate=false")

    @pytest.mark.parametrize(
        "command",
        [
            "curl -fk https://localhost:443/",
            "curl --cacert rds.pem -f https://files.example/make-k",
            "curl --fail https://files.example/-k.sh",
            "sed -i 's/ --skip-ssl//g' start.sh",
            "if grep -q -- --skip-ssl start.sh; then",
            "# never curl -k",
        ],
    )
    def test_a_verified_one_and_one_to_itself_are_fine(self, command: str) -> None:
        task = resource("AWS::ECS::TaskDefinition", ContainerDefinitions=[{"Command": [command]}])
        assert not found("TlsVerified", {"Task": task})


def ingress(**rule: Any) -> dict[str, Any]:
    return {"In": resource("AWS::EC2::SecurityGroupIngress", GroupId=ref("Group"), **rule)}


class TestIngressOpen:
    @pytest.mark.parametrize(
        ("rule", "reach"),
        [
            ({"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "CidrIp": "0.0.0.0/0"}, "port 22"),
            ({"IpProtocol": "tcp", "FromPort": "3306", "ToPort": "3306", "CidrIpv6": "::/0"}, "port 3306"),
            ({"IpProtocol": "-1", "CidrIp": "0.0.0.0/0"}, "every port"),
            ({"IpProtocol": "tcp", "FromPort": 80, "ToPort": 443, "CidrIp": "0.0.0.0/0"}, "ports 80-443"),
        ],
    )
    def test_other_ports_than_the_webs_are_found(self, rule: dict[str, Any], reach: str) -> None:
        assert problems("IngressOpen", ingress(**rule)) == [f"In: the whole internet reaches {reach}"]

    def test_a_rule_within_the_group_and_behind_a_condition_is_found(self) -> None:
        rule = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "CidrIp": choose("Dev", "0.0.0.0/0", "10.0.0.0/8")}
        assert found("IngressOpen", {"G": resource("AWS::EC2::SecurityGroup", SecurityGroupIngress=[NO_VALUE, rule])})

    @pytest.mark.parametrize(
        "rule",
        [
            {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "CidrIp": "0.0.0.0/0"},
            {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "CidrIp": "203.0.113.0/24"},
            {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "CidrIp": ref("Range")},
            {"IpProtocol": "icmp", "FromPort": 8, "ToPort": -1, "CidrIp": "0.0.0.0/0"},
        ],
    )
    def test_the_web_and_named_networks_are_fine(self, rule: dict[str, Any]) -> None:
        assert not found("IngressOpen", ingress(**rule))


class TestBucketPrivate:
    def test_open_ones_are_errors_and_unsaid_ones_warnings(self) -> None:
        made = {
            "Open": resource("AWS::S3::Bucket", PublicAccessBlockConfiguration={**FOUR, "BlockPublicPolicy": False}),
            "Listed": resource("AWS::S3::Bucket", AccessControl="PublicRead", PublicAccessBlockConfiguration=FOUR),
            "Unsaid": resource("AWS::S3::Bucket"),
        }
        assert [(one.resource.logical_id, one.severity) for one in found("BucketPrivate", made)] == [
            ("Open", None),
            ("Listed", None),
            ("Unsaid", "warning"),
        ]

    def test_all_four_switches_are_fine(self) -> None:
        assert not found("BucketPrivate", {"B": resource("AWS::S3::Bucket", PublicAccessBlockConfiguration=FOUR)})


class TestOpenPolicy:
    @pytest.mark.parametrize("principal", ["*", {"AWS": "*"}, {"AWS": ["*"]}])
    def test_a_policy_for_everybody_is_found(self, principal: Any) -> None:
        opened = {"Effect": "Allow", "Principal": principal, "Action": "s3:GetObject", "Resource": "*"}
        policy = resource("AWS::S3::BucketPolicy", Bucket=ref("B"), PolicyDocument={"Statement": [opened]})
        assert found("OpenPolicy", {"P": policy})
        bound = {**opened, "Condition": {"StringEquals": {"aws:SourceAccount": ref("AWS::AccountId")}}}
        denied = {**opened, "Effect": "Deny"}
        fine = resource("AWS::S3::BucketPolicy", Bucket=ref("B"), PolicyDocument={"Statement": [bound, denied]})
        assert not found("OpenPolicy", {"P": fine})

    def test_a_key_for_everybody_is_found(self) -> None:
        assert found("OpenPolicy", {"K": key({"Effect": "Allow", "Principal": "*", "Action": "kms:*"})})


class TestPlainSecret:
    @pytest.mark.parametrize(
        ("made", "shown"),
        [
            (
                resource(
                    "AWS::ECS::TaskDefinition",
                    ContainerDefinitions=[{"Environment": [{"Name": "MYSQL_ROOT_PASS", "Value": "root"}]}],
                ),
                "MYSQL_ROOT_PASS stands in the template as plain text",
            ),
            (
                resource("AWS::Lambda::Function", Environment={"Variables": {"API_KEY": "abc123"}}),
                "API_KEY stands in the template as plain text",
            ),
            (resource("AWS::RDS::DBCluster", MasterUserPassword="swordfish"), "password stands in the template"),
            (resource("AWS::SSM::Parameter", Name="smtp_password", Value="x1"), "smtp_password stands in the template"),
            (
                resource("AWS::EC2::Instance", UserData={"Fn::Base64": "export DB_PASSWORD=swordfish\n"}),
                "its script sets DB_PASSWORD to plain text",
            ),
            (
                resource("AWS::EC2::Instance", UserData=sub("aws s3 cp /tmp/p s3://${Bucket}/passphrase.txt")),
                "its script keeps a passphrase in a bucket",
            ),
            (
                resource("AWS::EC2::Instance", UserData="AWS_ACCESS_KEY_ID=AKIA" + "A" * 16),
                "its script holds an access key",
            ),
        ],
    )
    def test_a_secret_in_the_template_is_found(self, made: dict[str, Any], shown: str) -> None:
        told = problems("PlainSecret", {"It": made})
        assert len(told) == 1
        assert told[0].startswith(f"It: {shown}")

    @pytest.mark.parametrize(
        "made",
        [
            resource(
                "AWS::Lambda::Function", Environment={"Variables": {"PASSWORD_ARN": "arn:aws:x", "SECRET": ref("S")}}
            ),
            resource("AWS::RDS::DBCluster", MasterUserPassword=sub("{{resolve:secretsmanager:${S}:SecretString:p}}")),
            resource(
                "AWS::EC2::Instance", UserData={"Fn::Base64": 'PASSWORD="$(aws secretsmanager get-secret-value)"\n'}
            ),
            resource("AWS::SSM::Parameter", Name="mysql_port", Value="3306"),
        ],
    )
    def test_what_only_points_to_a_secret_is_fine(self, made: dict[str, Any]) -> None:
        assert not found("PlainSecret", {"It": made, "S": resource("AWS::SecretsManager::Secret")})

    def test_a_parameter_needs_no_echo_and_no_default(self) -> None:
        shown = {"DatabasePassword": {"Type": "String", "Default": "openemr"}}
        uses = resource("AWS::RDS::DBInstance", MasterUserPassword=ref("DatabasePassword"))
        assert problems("PlainSecret", {"D": uses}, Parameters=shown) == [
            "D: password is a parameter without NoEcho",
            "D: the parameter DatabasePassword has a default, which everybody knows",
            "D: the parameter DatabasePassword shows in the console and in logs",
        ]
        hidden = {"DatabasePassword": {"Type": "String", "NoEcho": True}}
        assert not found("PlainSecret", {"D": uses}, Parameters=hidden)

    def test_a_parameter_that_takes_a_secrets_arn_may_be_seen(self) -> None:
        points = {"PassphraseSecret": {"Type": "String", "AllowedPattern": "^arn:aws:secretsmanager:.*$"}}
        assert not found("PlainSecret", {"B": resource("AWS::S3::Bucket")}, Parameters=points)


class TestPolicyScope:
    def test_changing_everything_is_found_and_worst_where_all_is_allowed(self) -> None:
        made = {"One": role(allow("ecs:UpdateService", "ecs:DescribeServices")), "All": role(allow("s3:*"))}
        told = found("PolicyScope", made)
        assert [(one.resource.logical_id, one.severity) for one in told] == [("One", None), ("All", "error")]
        assert told[0].problem == "allows ecs:UpdateService on every resource of the account"

    def test_all_but_some_is_found(self) -> None:
        assert found("PolicyScope", {"R": role({"Effect": "Allow", "NotAction": "iam:*", "Resource": "x"})})

    @pytest.mark.parametrize(
        "statement",
        [
            allow("ecs:UpdateService", on=sub("arn:aws:ecs:*:*:service/${Cluster}/*")),
            allow("ecs:UpdateService", Condition={"ArnEquals": {"ecs:cluster": "x"}}),
            allow("cloudwatch:PutMetricData", "ec2:DescribeVolumes"),
            {"Effect": "Deny", "Action": "*", "Resource": "*"},
        ],
    )
    def test_named_bounded_unboundable_and_denied_actions_are_fine(self, statement: dict[str, Any]) -> None:
        assert not found("PolicyScope", {"R": role(statement)})


class TestManagedPolicy:
    def test_full_access_is_found_and_that_of_administrators_an_error(self) -> None:
        made = {
            "Task": role(managed=("arn:aws:iam::aws:policy/CloudWatchLogsFullAccess",)),
            "Admin": role(managed=(sub("arn:${AWS::Partition}:iam::aws:policy/AdministratorAccess"),)),
        }
        assert [one.severity for one in found("ManagedPolicy", made)] == [None, "error"]

    def test_a_narrow_policy_and_one_of_the_templates_own_are_fine(self) -> None:
        narrow = role(managed=("arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore", ref("Own")))
        own = resource("AWS::IAM::ManagedPolicy", PolicyDocument={"Statement": []})
        assert not found("ManagedPolicy", {"R": narrow, "Own": own})


class TestInstanceMetadata:
    def test_a_server_that_answers_without_token_is_found(self) -> None:
        made = {
            "Server": resource("AWS::EC2::Instance", ImageId="x"),
            "Launch": resource(
                "AWS::EC2::LaunchTemplate", LaunchTemplateData={"MetadataOptions": {"HttpTokens": "optional"}}
            ),
        }
        assert {one.resource.logical_id for one in found("InstanceMetadata", made)} == {"Server", "Launch"}

    def test_a_required_token_is_fine_and_a_server_takes_its_launch_templates(self) -> None:
        made = {
            "Server": resource(
                "AWS::EC2::Instance", LaunchTemplate={"LaunchTemplateId": ref("Launch"), "Version": "1"}
            ),
            "Launch": resource(
                "AWS::EC2::LaunchTemplate", LaunchTemplateData={"MetadataOptions": {"HttpTokens": "required"}}
            ),
        }
        assert not found("InstanceMetadata", made)
