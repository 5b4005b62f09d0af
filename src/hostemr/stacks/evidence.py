"""The evidence behind acknowledgements: facts that templates show, each a pure function of the two of them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Template = Mapping[str, Any]
Resource = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Templates:
    """The templates of a deployment, as dictionaries; `analytics` and `mail` only where there is that stack."""

    data: Template
    service: Template
    analytics: Template | None = None
    mail: Template | None = None

    @property
    def all(self) -> tuple[Template, ...]:
        """Every template that there is."""
        return tuple(one for one in (self.data, self.service, self.analytics, self.mail) if one is not None)

    def of(self, *types: str) -> Iterator[tuple[str, Resource]]:
        """Logical id and resource for each resource of these types, in all stacks."""
        for template in self.all:
            for logical_id, resource in template["Resources"].items():
                if resource["Type"] in types:
                    yield logical_id, resource


def access_log_bucket_is_encrypted_and_takes_only_logs(templates: Templates) -> bool:
    """One bucket has S3's own keys; what may be put there comes from AWS's log services alone."""
    with_s3_keys = [
        logical_id for logical_id, bucket in templates.of("AWS::S3::Bucket") if _default_encryption(bucket) == "AES256"
    ]
    writers = {
        statement["Principal"]["Service"]
        for _, policy in templates.of("AWS::S3::BucketPolicy")
        if policy["Properties"]["Bucket"] == {"Ref": next(iter(with_s3_keys), None)}
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]
        if statement["Effect"] == "Allow" and "s3:PutObject" in as_list(statement["Action"])
    }
    services = {
        "logdelivery.elasticloadbalancing.amazonaws.com",
        "delivery.logs.amazonaws.com",
        "logging.s3.amazonaws.com",
    }
    return len(with_s3_keys) == 1 and writers == services


def buckets_are_versioned_and_retained(templates: Templates) -> bool:
    """No bucket loses an object by being overwritten or with its stack."""
    return all(
        bucket["Properties"]["VersioningConfiguration"] == {"Status": "Enabled"}
        and bucket.get("DeletionPolicy") == bucket.get("UpdateReplacePolicy") == "Retain"
        for _, bucket in templates.of("AWS::S3::Bucket")
    )


_GROUPS_OF = {
    "AWS::RDS::DBCluster": ("VpcSecurityGroupIds",),
    "AWS::EFS::MountTarget": ("SecurityGroups",),
    "AWS::ElastiCache::ServerlessCache": ("SecurityGroupIds",),
    "AWS::ElasticLoadBalancingV2::LoadBalancer": ("SecurityGroups",),
    "AWS::ECS::Service": ("NetworkConfiguration", "AwsvpcConfiguration", "SecurityGroups"),
    "Custom::Setup": ("SecurityGroups",),
}


def every_interface_names_its_security_groups(templates: Templates) -> bool:
    """Whatever gets an interface in the VPC says which groups it wears, so none gets the default one."""
    named = all(
        _at(resource["Properties"], path) for kind, path in _GROUPS_OF.items() for _, resource in templates.of(kind)
    )
    endpoints = all(
        endpoint["Properties"].get("SecurityGroupIds")
        for _, endpoint in templates.of("AWS::EC2::VPCEndpoint")
        if endpoint["Properties"]["VpcEndpointType"] == "Interface"
    )
    return named and endpoints


def data_subnets_have_no_way_out(templates: Templates) -> bool:
    """The route table of the subnets of database and files has no route, and no subnet gives public addresses."""
    subnets = {
        reference["Ref"]
        for kind, path in (("AWS::RDS::DBSubnetGroup", ("SubnetIds",)), ("AWS::EFS::MountTarget", ("SubnetId",)))
        for _, resource in templates.of(kind)
        for reference in as_list(_at(resource["Properties"], path))
    }
    tables = {
        association["Properties"]["RouteTableId"]["Ref"]
        for _, association in templates.of("AWS::EC2::SubnetRouteTableAssociation")
        if association["Properties"]["SubnetId"]["Ref"] in subnets
    }
    routed = {json.dumps(route["Properties"]["RouteTableId"]) for _, route in templates.of("AWS::EC2::Route")}
    exported = json.dumps(templates.data["Outputs"])
    return (
        bool(tables)
        and not any(table in text for table in tables for text in (*routed, exported))
        and all(subnet["Properties"]["MapPublicIpOnLaunch"] is False for _, subnet in templates.of("AWS::EC2::Subnet"))
    )


def service_roles_trust_one_service(templates: Templates) -> bool:
    """Roles with policies of AWS's own trust one service, for this account only."""
    for _, role in templates.of("AWS::IAM::Role"):
        if ":iam::aws:policy/" not in json.dumps(role["Properties"].get("ManagedPolicyArns", [])):
            continue
        statements = role["Properties"]["AssumeRolePolicyDocument"]["Statement"]
        for statement in statements:
            if set(statement["Principal"]) != {"Service"} or "aws:SourceAccount" not in json.dumps(statement):
                return False
    return True


def the_trail_is_kept_and_proves_itself(templates: Templates) -> bool:
    """Each trail writes digests beside its files, to a bucket that outlives the stack."""
    return buckets_are_versioned_and_retained(templates) and all(
        trail["Properties"]["EnableLogFileValidation"] is True
        and "Audit" in json.dumps(trail["Properties"]["S3BucketName"])
        for _, trail in templates.of("AWS::CloudTrail::Trail")
    )


def only_the_clients_group_reaches_the_database(templates: Templates) -> bool:
    """One rule leads to the database's group, from another group, and its clients must use TLS."""
    groups = {
        json.dumps(group)
        for kind, wears in (
            ("AWS::RDS::DBCluster", "VpcSecurityGroupIds"),
            ("AWS::RDS::DBInstance", "VPCSecurityGroups"),
        )
        for _, database in templates.of(kind)
        # An instance of a cluster wears the cluster's.
        for group in database["Properties"].get(wears, ())
    }
    rules = [
        rule["Properties"]
        for _, rule in templates.of("AWS::EC2::SecurityGroupIngress")
        if json.dumps(rule["Properties"]["GroupId"]) in groups
    ]
    inline = [
        group
        for logical_id, group in templates.of("AWS::EC2::SecurityGroup")
        if group["Properties"].get("SecurityGroupIngress") and any(logical_id in text for text in groups)
    ]
    tls = all(
        group["Properties"]["Parameters"]["require_secure_transport"] == "ON"
        for _, group in templates.of("AWS::RDS::DBClusterParameterGroup", "AWS::RDS::DBParameterGroup")
    )
    return len(rules) == 1 and "SourceSecurityGroupId" in rules[0] and not inline and tls


def any_second_of_35_days_can_be_restored(templates: Templates) -> bool:
    """The cluster keeps continuous backups for as long as Aurora can."""
    return all(
        cluster["Properties"]["BackupRetentionPeriod"] == 35 for _, cluster in templates.of("AWS::RDS::DBCluster")
    )


def engine_is_a_long_term_support_release(templates: Templates) -> bool:
    """Aurora MySQL 3.04 and 3.10 are the long-term support releases."""
    return all(
        re.fullmatch(r"8\.0\.mysql_aurora\.3\.(04|10)\.\d+", cluster["Properties"]["EngineVersion"])
        for _, cluster in templates.of("AWS::RDS::DBCluster")
    )


def plan_selects_cluster_and_files(templates: Templates) -> bool:
    """Every cluster and every file system is named by a backup selection."""
    selected = "".join(
        json.dumps(selection["Properties"]["BackupSelection"]["Resources"])
        for _, selection in templates.of("AWS::Backup::BackupSelection")
    )
    wanted = [logical_id for logical_id, _ in templates.of("AWS::RDS::DBCluster", "AWS::EFS::FileSystem")]
    return bool(wanted) and all(f'"{logical_id}"' in selected for logical_id in wanted)


def only_the_setup_task_reads_the_administrator_secret(templates: Templates) -> bool:
    """The workers' task and role name neither it nor the database's master secret."""
    for logical_id, resource in templates.of("AWS::ECS::TaskDefinition", "AWS::IAM::ManagedPolicy"):
        reads = any(name in json.dumps(resource) for name in (":AdministratorSecretArn", ":MasterSecretArn"))
        if reads and "Worker" in logical_id:
            return False
    return True


def database_secret_rotates(templates: Templates) -> bool:
    """A schedule names the secret, with a function that rotates it."""
    return any(
        ":DatabaseSecretArn" in json.dumps(schedule["Properties"]["SecretId"])
        and schedule["Properties"]["RotationRules"]["AutomaticallyAfterDays"] > 0
        for _, schedule in templates.of("AWS::SecretsManager::RotationSchedule")
    )


def only_tasks_reach_the_cache(templates: Templates) -> bool:
    """Each cache demands a user, and one rule leads to its group."""
    for _, cache in templates.of("AWS::ElastiCache::ServerlessCache"):
        groups = [json.dumps(group) for group in cache["Properties"]["SecurityGroupIds"]]
        rules = [
            rule
            for _, rule in templates.of("AWS::EC2::SecurityGroupIngress")
            if json.dumps(rule["Properties"]["GroupId"]) in groups
        ]
        if len(rules) != 1 or "SourceSecurityGroupId" not in rules[0]["Properties"]:
            return False
        if "UserGroupId" not in cache["Properties"]:
            return False
    return True


def plain_http_only_without_a_certificate(templates: Templates) -> bool:
    """Where there is an HTTPS listener, port 80 does nothing but redirect to it."""
    listeners = [listener["Properties"] for _, listener in templates.of("AWS::ElasticLoadBalancingV2::Listener")]
    https = [one for one in listeners if one["Protocol"] == "HTTPS"]
    plain = [one for one in listeners if one["Protocol"] == "HTTP" and one["DefaultActions"][0]["Type"] != "redirect"]
    return not (https and plain)


_KEEPS = ("AWS::RDS::", "AWS::EFS::", "AWS::S3::Bucket", "AWS::KMS::Key", "AWS::Backup::", "AWS::DynamoDB::")


def the_service_stack_keeps_nothing(templates: Templates) -> bool:
    """No resource of the service stack holds records, keys or backups."""
    return not any(one["Type"].startswith(_KEEPS) for one in templates.service["Resources"].values())


def the_cluster_outlives_its_stack(templates: Templates) -> bool:
    """Neither deleting the stack nor a replacement deletes the database."""
    return all(
        cluster.get("DeletionPolicy") == cluster.get("UpdateReplacePolicy") == "Retain"
        for _, cluster in templates.of("AWS::RDS::DBCluster")
    )


_SECRET_WORDS = re.compile(r"PASS|SECRET|TOKEN|PRIVATE|CREDENTIAL_(?!GRACE)", re.IGNORECASE)


def environment_holds_no_secret(templates: Templates) -> bool:
    """No variable that is written into a task definition is named like a secret or refers to one."""
    return not any(
        _SECRET_WORDS.search(variable["Name"]) or "Secret" in json.dumps(variable["Value"])
        for _, task in templates.of("AWS::ECS::TaskDefinition")
        for container in task["Properties"]["ContainerDefinitions"]
        for variable in container.get("Environment", [])
    )


def running_tasks_is_bound_to_the_cluster(templates: Templates) -> bool:
    """Whatever may run tasks may do so in one cluster only, and passes named roles."""
    for _, policy in templates.of("AWS::IAM::ManagedPolicy"):
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]:
            actions = as_list(statement["Action"])
            if "ecs:RunTask" in actions and "ecs:cluster" not in json.dumps(statement.get("Condition", {})):
                return False
            if "iam:PassRole" in actions and "*" in as_list(statement["Resource"]):
                return False
    return True


def exec_statements_are_the_documented_ones(templates: Templates) -> bool:
    """With a star there are only the actions of ECS Exec that know no resource."""
    return actions_for_everything(templates, "Exec") <= {
        "ssmmessages:CreateControlChannel",
        "ssmmessages:CreateDataChannel",
        "ssmmessages:OpenControlChannel",
        "ssmmessages:OpenDataChannel",
        "logs:DescribeLogGroups",
    }


def only_the_registry_token_is_for_everything(templates: Templates) -> bool:
    """With a star there is only the token of a registry."""
    return actions_for_everything(templates, "PullAndLog") <= {"ecr:GetAuthorizationToken"}


def functions_reach_no_patient_data(templates: Templates) -> bool:
    """No function is in the VPC, so none can reach database or files; only the forwarder reads what people wrote."""
    forbidden = ("elasticfilesystem:", "rds-data:", "rds-db:", "s3:GetObject")
    for name, function, policies in _functions(templates):
        if "VpcConfig" in function["Properties"]:
            return False
        if not name.startswith("ReceivedMailForwarder") and any(word in policies for word in forbidden):
            return False
    return True


def _functions(templates: Templates) -> Iterator[tuple[str, Resource, str]]:
    """Each function's logical id, the function, and the text of all policies that its role has."""
    for template in templates.all:
        resources = template["Resources"]
        for name, one in resources.items():
            if one["Type"] != "AWS::Lambda::Function":
                continue
            role = resources[one["Properties"]["Role"]["Fn::GetAtt"][0]]
            attached = [resources[policy["Ref"]] for policy in role["Properties"]["ManagedPolicyArns"]]
            yield name, one, json.dumps(attached)


def only_the_load_balancer_is_open(templates: Templates) -> bool:
    """Ranges of addresses are admitted to the load balancer's group alone."""
    balancer = {
        json.dumps(group)
        for _, one in templates.of("AWS::ElasticLoadBalancingV2::LoadBalancer")
        for group in one["Properties"]["SecurityGroups"]
    }
    apart = all(
        "CidrIp" not in rule["Properties"] and "CidrIpv6" not in rule["Properties"]
        for _, rule in templates.of("AWS::EC2::SecurityGroupIngress")
    )
    within = [
        logical_id
        for logical_id, group in templates.of("AWS::EC2::SecurityGroup")
        if group["Properties"].get("SecurityGroupIngress")
    ]
    return apart and all(any(f'"{logical_id}"' in text for text in balancer) for logical_id in within)


def actions_for_everything(templates: Templates, name: str) -> set[str]:
    """What policies of that name allow on everything."""
    return {
        action
        for logical_id, policy in templates.of("AWS::IAM::ManagedPolicy")
        if name in logical_id
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]
        if "*" in as_list(statement["Resource"])
        for action in as_list(statement["Action"])
    }


def _default_encryption(bucket: Resource) -> str:
    rules = bucket["Properties"]["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    return str(rules[0]["ServerSideEncryptionByDefault"]["SSEAlgorithm"])


def _at(properties: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    value: Any = properties
    for name in path:
        value = value.get(name, {}) if isinstance(value, Mapping) else {}
    return value


def as_list(value: Any) -> list[Any]:
    """A value of a template that may be one or several, as several."""
    return value if isinstance(value, list) else [value]
