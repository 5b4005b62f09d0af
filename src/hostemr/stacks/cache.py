"""The sessions' cache: Valkey serverless over TLS, with a user of its own. It holds nothing that must last."""

from __future__ import annotations

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_elasticache as elasticache
from constructs import Construct

from hostemr.stacks.access import allow, security_group
from hostemr.stacks.credentials import generated_secret

PORT = 6379
USERNAME = "sessions"
# Everything that a session store does; nothing that administers the server or can block it.
_RIGHTS = "on ~* +@all -@admin -@dangerous"
_PROCESSING_UNITS_PER_SECOND = 15000


class Cache(Construct):
    """A serverless cache that only tasks reach, and only with the user's password."""

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002
        *,
        title: str,
        vpc_id: str,
        subnets: Sequence[str],
        tasks_group_id: str,
        key_arn: str,
        maximum_gigabytes: int,
    ) -> None:
        super().__init__(scope, id)
        name = cdk.Stack.of(self).stack_name
        group = security_group(self, "Group", vpc_id=vpc_id, purpose="The cache of sessions")
        self.rules = allow(
            self,
            "FromTasks",
            source=tasks_group_id,
            destination=group.attr_group_id,
            port=PORT,
            why="Valkey over TLS",
        )
        self.secret = generated_secret(
            self,
            "Credential",
            f"{title}'s credential for its sessions' cache",
            username=USERNAME,
            key_arn=key_arn,
            exclude_punctuation=True,
        )
        user = elasticache.CfnUser(
            self,
            "User",
            engine="valkey",
            user_id=f"{name}-user",
            user_name=USERNAME,
            access_string=_RIGHTS,
            authentication_mode={
                "Type": "password",
                "Passwords": [f"{{{{resolve:secretsmanager:{self.secret.ref}:SecretString:password}}}}"],
            },
        )
        users = elasticache.CfnUserGroup(
            self, "Users", engine="valkey", user_group_id=f"{name}-users", user_ids=[user.ref]
        )
        self.cache = elasticache.CfnServerlessCache(
            self,
            "Cache",
            engine="valkey",
            major_engine_version="8",
            # In other subnets it is another cache, which must not have the name of the one that it replaces.
            serverless_cache_name=f"{name}-{len(subnets)}z",
            description=f"{title}'s sessions",
            kms_key_id=key_arn,
            security_group_ids=[group.attr_group_id],
            subnet_ids=list(subnets),
            user_group_id=users.ref,
            # Sessions are not worth keeping; a copy would only be one more place where they lie.
            snapshot_retention_limit=0,
            cache_usage_limits={
                "dataStorage": {"maximum": maximum_gigabytes, "unit": "GB"},
                "ecpuPerSecond": {"maximum": _PROCESSING_UNITS_PER_SECOND},
            },
        )
        self.host = self.cache.attr_endpoint_address
