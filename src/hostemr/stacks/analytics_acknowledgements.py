"""The accepted findings of the analytics stack, which is only there where it was asked for."""

from __future__ import annotations

from hostemr.stacks import analytics_evidence, evidence
from hostemr.stacks.acknowledgement import EVERYTHING, Acknowledgement

OF_ANALYTICS = (
    Acknowledgement(
        rules=("HIPAA.Security-S3BucketReplicationEnabled",),
        paths=("analytics/Store/EFSExportBucket", "analytics/Store/S3ExportBucket"),
        reason="Exports can be made again; what people make of them is versioned and outlives the stack.",
        evidence=evidence.buckets_are_versioned_and_retained,
    ),
    Acknowledgement(
        rules=(EVERYTHING,),
        paths=(
            "analytics/FilesExport/Start",
            "analytics/DatabaseExport/Start",
            "analytics/Studio/Export",
            "analytics/Studio/ReadAndWriteExports",
            "analytics/Studio/SubmitToSpark",
            "analytics/Studio/Apps",
            "analytics/Studio/Mlflow",
        ),
        reason="Listing applications, spaces, exports, buckets and tasks knows no resource; nothing else is for all.",
        evidence=analytics_evidence.only_listing_is_for_everything,
    ),
    Acknowledgement(
        rules=(r"AwsSolutions-IAM5[/^Resource::<(EFS|S3)ExportBucket\.Arn>\/.*\*$/]",),
        paths=(
            "analytics/FilesExport/Copy",
            "analytics/DatabaseExport/Write",
            "analytics/Spark/ReadExportsWriteResults",
            "analytics/Studio/ReadAndWriteExports",
        ),
        reason="Objects of the two export buckets, whose names the exports and the people make; no other bucket's.",
        evidence=analytics_evidence.objects_are_of_the_export_buckets_only,
    ),
    Acknowledgement(
        rules=(r"AwsSolutions-IAM5[/^Action::s3:(Delete|Get|Put)Object\*$/]",),
        paths=("analytics/DatabaseExport/Write",),
        reason="The actions that RDS prescribes for the role of an export; only RDS's exports may assume it.",
        evidence=analytics_evidence.only_the_export_writes_with_any_action_on_objects,
    ),
    Acknowledgement(
        rules=(
            r"AwsSolutions-IAM5[/^Resource::.*(:task|:app|:space|:user-profile|jobruns|:mlflow-tracking-server)\/.*\*$/]",
        ),
        paths=(
            "analytics/FilesExport/Start",
            "analytics/Studio/Export",
            "analytics/Studio/SubmitToSpark",
            "analytics/Studio/Apps",
            "analytics/Studio/Mlflow",
        ),
        reason="Tasks, job runs, apps and spaces are named when they start: any of this stack's own cluster, Spark "
        "application, domain or name, and of no other.",
        evidence=analytics_evidence.names_within_are_of_what_the_stack_made,
    ),
)
