"""Foundation models for the database: Aurora machine learning with Amazon Bedrock, by a private way."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import aws_ec2 as ec2
from constructs import Construct

from hostemr.stacks.access import allow, security_group
from hostemr.stacks.policies import PARTITION, REGION, VERSION, arn, policy, service_role, statement

_ACTIONS = ("bedrock:InvokeModel", "bedrock:InvokeModelWithResponseStream")
_MODELS = f"arn:{PARTITION}:bedrock:{REGION}::foundation-model/*"


class Bedrock(Construct):
    """The role by which the database calls models, and the endpoint in its own subnets through which it does.

    Source: https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/mysql-ml.html
    """

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002
        *,
        vpc_id: str,
        subnet_ids: Sequence[str],
        database_group_id: str,
    ) -> None:
        super().__init__(scope, id)
        # Which models may be used is the account's own choice in Bedrock; all of them are in one place here.
        invoke = policy(self, "InvokeModels", statement(*_ACTIONS, on=_MODELS))
        self.role = service_role(
            self, "Role", service="rds.amazonaws.com", policies=[invoke], source_arn=arn("rds", "cluster:*")
        )
        group = security_group(self, "Endpoint", vpc_id=vpc_id, purpose="The endpoint of Amazon Bedrock")
        allow(
            self,
            "FromDatabase",
            source=database_group_id,
            destination=group.attr_group_id,
            port=443,
            why="Foundation models by a private address",
        )
        ec2.CfnVPCEndpoint(
            self,
            "BedrockEndpoint",
            vpc_id=vpc_id,
            vpc_endpoint_type="Interface",
            service_name=f"com.amazonaws.{REGION}.bedrock-runtime",
            private_dns_enabled=True,
            subnet_ids=list(subnet_ids),
            security_group_ids=[group.attr_group_id],
            policy_document={
                "Version": VERSION,
                "Statement": [
                    {
                        "Effect": "Allow",
                        "Principal": {"AWS": self.role.attr_arn},
                        "Action": list(_ACTIONS),
                        "Resource": _MODELS,
                    }
                ],
            },
        )
