"""The metrics that AWS services publish, by namespace: those of the services that medical records are hosted on.

From each service's page of metrics in its user guide ("CloudWatch metrics for …"), read in November 2026; the index is
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/aws-services-cloudwatch-metrics.html. A namespace that is
not here is not judged. `*` stands for any ending.
"""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase

METRICS: Mapping[str, str] = {
    # https://docs.aws.amazon.com/AmazonECS/latest/developerguide/available-metrics.html
    "AWS/ECS": (
        "CPUReservation CPUUtilization MemoryReservation MemoryUtilization EBSFilesystemUtilization GPUReservation"
        " ActiveConnectionCount NewConnectionCount ProcessedBytes RequestCount GrpcRequestCount"
        " HTTPCode_Target_2XX_Count HTTPCode_Target_3XX_Count HTTPCode_Target_4XX_Count HTTPCode_Target_5XX_Count"
        " RequestCountPerTarget TargetProcessedBytes TargetResponseTime ClientTLSNegotiationErrorCount"
        " TargetTLSNegotiationErrorCount"
    ),
    # https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Container-Insights-metrics-ECS.html
    "ECS/ContainerInsights": (
        "ContainerCpu* ContainerMemory* ContainerNetwork* ContainerStorage* ContainerInstanceCount CpuReserved"
        " CpuUtilized DeploymentCount DesiredTaskCount EBSFilesystemSize EBSFilesystemUtilized EphemeralStorageReserved"
        " EphemeralStorageUtilized MemoryReserved MemoryUtilized NetworkRxBytes NetworkTxBytes PendingTaskCount"
        " RestartCount RunningTaskCount ServiceCount StorageReadBytes StorageWriteBytes TaskCount TaskSetCount"
        " TaskCpuUtilization TaskMemoryUtilization TaskEBSFilesystemUtilization TaskEphemeralStorageUtilization"
        " UnHealthyContainerHealthStatus instance_*"
    ),
    # https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-cloudwatch-metrics.html
    "AWS/ApplicationELB": (
        "ActiveConnectionCount AnomalousHostCount BYoIPUtilPercentage ClientTLSNegotiationErrorCount ConsumedLCUs"
        " DesyncMitigationMode_NonCompliant_Request_Count DroppedInvalidHeaderRequestCount"
        " ForwardedInvalidHeaderRequestCount GrpcRequestCount HTTPCode_ELB_3XX_Count HTTPCode_ELB_4XX_Count"
        " HTTPCode_ELB_5XX_Count HTTPCode_ELB_500_Count HTTPCode_ELB_502_Count HTTPCode_ELB_503_Count"
        " HTTPCode_ELB_504_Count HTTPCode_Target_2XX_Count HTTPCode_Target_3XX_Count HTTPCode_Target_4XX_Count"
        " HTTPCode_Target_5XX_Count HTTP_Fixed_Response_Count HTTP_Redirect_Count"
        " HTTP_Redirect_Url_Limit_Exceeded_Count HealthyHostCount HealthyStateDNS HealthyStateRouting"
        " IPv6ProcessedBytes IPv6RequestCount LambdaInternalError LambdaTargetProcessedBytes LambdaUserError"
        " LowReputationPacketsDropped LowReputationRequestsDenied MitigatedHostCount NewConnectionCount"
        " NonStickyRequestCount PeakLCUs ProcessedBytes RejectedConnectionCount RequestCount RequestCountPerTarget"
        " ReservedLCUs RuleEvaluations TargetConnectionErrorCount TargetResponseTime TargetTLSNegotiationErrorCount"
        " UnHealthyHostCount UnhealthyRoutingRequestCount UnhealthyStateDNS UnhealthyStateRouting ZonalShiftedHostCount"
        " ELBAuth*"
    ),
    # https://docs.aws.amazon.com/elasticloadbalancing/latest/network/load-balancer-cloudwatch-metrics.html
    "AWS/NetworkELB": (
        "ActiveFlowCount* ActiveZonalShiftHostCount ClientTLSNegotiationErrorCount ConsumedLCUs* HealthyHostCount"
        " NewFlowCount* PeakBytesPerSecond PeakPacketsPerSecond PortAllocationErrorCount ProcessedBytes*"
        " ProcessedPackets RejectedFlowCount* ReservedLCUs SecurityGroupBlocked* TargetTLSNegotiationErrorCount"
        " TCP_Client_Reset_Count TCP_ELB_Reset_Count TCP_Target_Reset_Count UnHealthyHostCount"
        " UnhealthyRoutingFlowCount ZonalHealthStatus"
    ),
    # https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/Aurora.AuroraMonitoring.Metrics.html and
    # https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/rds-metrics.html
    "AWS/RDS": (
        "ACUUtilization AbortedClients ActiveTransactions Aurora* AvailabilityPercentage BackupRetentionPeriod*"
        " BacktrackChange* BacktrackWindow* BinLogDiskUsage BlockedTransactions BufferCacheHitRatio"
        " BurstBalance CPUCreditBalance CPUCreditUsage CPUSurplusCredit* CPUUtilization CheckpointLag"
        " CommitLatency CommitThroughput ConnectionAttempts ConnectionsQuotaCount* DBLoad DBLoadCPU DBLoadNonCPU"
        " DBLoadRelativeToNumVCPUs DDLLatency DDLThroughput DMLLatency DMLThroughput DatabaseConnection*"
        " ClientConnection* Deadlocks DeleteLatency DeleteThroughput DiskQueueDepth* EBSByteBalance% EBSIOBalance%"
        " EngineUptime FailedSQLServerAgentJobsCount ForwardingMaster* ForwardingReplica* ForwardingWriter*"
        " FreeEphemeralStorage FreeLocalStorage* FreeStorageSpace* FreeableMemory InsertLatency InsertThroughput"
        " LoginFailures MaxDatabaseConnectionsAllowed MaximumUsedTransactionIDs NetworkReceiveThroughput"
        " NetworkThroughput NetworkTransmitThroughput NumBinaryLogFiles OldestReplicationSlotLag"
        " OldestLogicalReplicationSlotLag Queries QueryRequests* QueryDatabaseResponseLatency QueryResponseLatency"
        " RDSToAuroraPostgreSQLReplicaLag ReadIOPS* ReadLatency* ReadThroughput* ReplicaLag ReplicationChannelLag"
        " ReplicationSlotDiskUsage ResultSetCacheHitRatio RollbackSegmentHistoryListLength RowLockTime"
        " SelectLatency SelectThroughput ServerlessDatabaseCapacity SnapshotStorageUsed StorageNetworkReceiveThroughput"
        " StorageNetworkThroughput StorageNetworkTransmitThroughput SumBinaryLogSize SwapUsage TempStorageIOPS"
        " TempStorageThroughput TotalBackupStorageBilled TransactionAgeMaximum TransactionLogsDiskUsage"
        " TransactionLogsGeneration TruncateFinishedUndoTablespaceSize UpdateLatency UpdateThroughput"
        " VolumeBytesLeftTotal VolumeBytesUsed VolumeReadIOPs VolumeWriteIOPs WriteIOPS* WriteLatency*"
        " WriteThroughput* Purge* Innodb* StorageCompressionRatio"
    ),
    # https://docs.aws.amazon.com/efs/latest/ug/efs-metrics.html
    "AWS/EFS": (
        "BurstCreditBalance ClientConnections DataReadIOBytes DataWriteIOBytes MetadataIOBytes MetadataReadIOBytes"
        " MetadataWriteIOBytes MeteredIOBytes PercentIOLimit PermittedThroughput StorageBytes TimeSinceLastSync"
        " TotalIOBytes"
    ),
    # https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/CacheMetrics.Redis.html and serverless-metrics-events.html
    "AWS/ElastiCache": (
        "ActiveDefragHits AuthenticationFailures Bytes* CPUCreditBalance CPUCreditUsage CPUUtilization CacheHitRate"
        " CacheHits CacheMisses ChannelAuthorizationFailures ClusterBased* Cmd* CommandAuthorizationFailures"
        " CurrConfig CurrConnections CurrItems CurrVolatileItems Cas* DB0AverageTTL DatabaseCapacityUsage*"
        " DatabaseMemoryUsage* Decr* Delete* ECPUsUsed ElastiCacheProcessingUnits EngineCPUUtilization Eval* Evict*"
        " Expired* FreeableMemory Geo* Get* GlobalDatastoreReplicationLag Hash* HyperLogLog* Incr* Iam* IsMaster"
        " IsPrimary Json* KeyAuthorizationFailures KeyBasedCmds* KeysTracked ListBasedCmds* MasterLinkHealthStatus"
        " MemoryFragmentationRatio NetworkBandwidth* NetworkBytes* NetworkConntrack* NetworkMaxBytes*"
        " NetworkMaxPackets* NetworkPackets* NewConnections NewItems NonKeyTypeCmds* NumItemsReadFromDisk"
        " NumItemsWrittenToDisk PrimaryLinkHealthStatus PubSubBasedCmds* Reclaimed ReplicationBytes ReplicationLag"
        " SaveInProgress Search* Set* Slabs* SortedSetBasedCmds* StreamBased* StringBased* SuccessfulReadRequestLatency"
        " SuccessfulWriteRequestLatency SwapUsage ThrottledCmds TotalCmdsCount TrafficManagementActive Touch*"
        " UnusedMemory"
    ),
    # https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
    "AWS/Lambda": (
        "AsyncEventAge AsyncEventsDropped AsyncEventsReceived ClaimedAccountConcurrency ConcurrentExecutions"
        " DeadLetterErrors DestinationDeliveryFailures Duration Errors Invocations IteratorAge"
        " OffsetLag PollingInvocations PostRuntimeExtensionsDuration ProvisionedConcurrency* "
        "RecursiveInvocationsDropped"
        " SignatureValidationErrors Throttles UnreservedConcurrentExecutions OversizedRecordCount *EventCount"
        " ProvisionedPollers"
    ),
    # https://docs.aws.amazon.com/waf/latest/developerguide/waf-metrics.html
    "AWS/WAFV2": (
        "AllowedRequests BlockedRequests CaptchaRequests CaptchasAttempted CaptchasSolved ChallengeRequests"
        " CountedRequests PassedRequests RequestsWithValidCaptchaToken RequestsWithValidChallengeToken SampleAllowed*"
        " SampleBlocked* SampleCaptcha* SampleChallenge* SampleCount* *Requests"
    ),
    # https://docs.aws.amazon.com/aws-backup/latest/devguide/cloudwatch.html
    "AWS/Backup": (
        "NumberOfBackupJobs* NumberOfCopyJobs* NumberOfRecoveryPoints* NumberOfRestoreJobs* BackupJob* CopyJob*"
        " NumberOfIndex* NumberOfScan*"
    ),
    # https://docs.aws.amazon.com/sns/latest/dg/sns-monitoring-using-cloudwatch.html
    "AWS/SNS": (
        "NumberOfMessagesPublished NumberOfNotifications* PublishSize SMSMonthToDateSpentUSD SMSSuccessRate"
    ),
    # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
    "AWS/SQS": (
        "ApproximateAgeOfOldestMessage ApproximateNumberOf* NumberOf* SentMessageSize NumberOfDeduplicatedSentMessages"
    ),
    # https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-cloudwatch.html, monitor-sending-activity
    "AWS/SES": (
        "Bounce Click Complaint Delivery DeliveryDelay Open Publish* Received Reject RenderingFailure Rendering*"
        " Reputation.BounceRate Reputation.ComplaintRate Send Subscription"
    ),
    # https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/viewing_metrics_with_cloudwatch.html
    "AWS/EC2": (
        "CPUCreditBalance CPUCreditUsage CPUSurplusCredit* CPUUtilization DedicatedHostCPUUtilization DiskRead*"
        " DiskWrite* EBSByteBalance% EBSIOBalance% EBSRead* EBSWrite* InstanceEBS* GPU* MetadataNoToken*"
        " NetworkIn NetworkOut NetworkPacketsIn NetworkPacketsOut StatusCheckFailed StatusCheckFailed_AttachedEBS"
        " StatusCheckFailed_Instance StatusCheckFailed_System"
    ),
    # https://docs.aws.amazon.com/ebs/latest/userguide/using_cloudwatch_ebs.html
    "AWS/EBS": (
        "BurstBalance FastSnapshotRestore* VolumeAvg* VolumeConsumedReadWriteOps VolumeIOPSExceededCheck VolumeIdleTime"
        " VolumeQueueLength VolumeReadBytes VolumeReadOps VolumeStalledIOCheck VolumeThroughputExceededCheck"
        " VolumeThroughputPercentage VolumeTotalReadTime VolumeTotalWriteTime VolumeWriteBytes VolumeWriteOps"
        " SnapshotCopyBytesTransferred"
    ),
    # https://docs.aws.amazon.com/vpc/latest/userguide/metrics-dimensions-nat-gateway.html
    "AWS/NATGateway": (
        "ActiveConnectionCount BytesIn* BytesOut* ConnectionAttemptCount ConnectionEstablishedCount"
        " ErrorPortAllocation IdleTimeoutCount PacketsDropCount PacketsIn* PacketsOut* PeakBytesPerSecond"
        " PeakPacketsPerSecond"
    ),
    # https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-monitoring.html
    "AWS/Events": (
        "DeadLetterInvocations Events FailedInvocations IngestionTo* Invocation* Invocations MatchedEvents"
        " PutEvents* PutPartnerEvents* RetryInvocationAttempts SuccessfulInvocationAttempts ThrottledRules"
        " TriggeredRules"
    ),
    # https://docs.aws.amazon.com/AmazonS3/latest/userguide/metrics-dimensions.html
    "AWS/S3": (
        "*Requests 4xxErrors 5xxErrors Bytes* BucketSizeBytes FirstByteLatency NumberOfObjects OperationsFailed*"
        " OperationsPending* ReplicationLatency SelectBytes* SelectRequests TotalRequestLatency"
    ),
    # https://docs.aws.amazon.com/acm/latest/userguide/cloudwatch-metrics.html
    "AWS/CertificateManager": "DaysToExpiry",
    # https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CloudWatch-Logs-Monitoring-CloudWatch-Metrics.html
    "AWS/Logs": (
        "CallCount Delivery* EMF* ErrorCount Forwarded* IncomingBytes IncomingLogEvents LogEvents* ThrottleCount"
        " Transform*"
    ),
    # https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-metrics.html
    "AWS/AutoScaling": "Group* WarmPool* PredictiveScaling*",
    # https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/monitoring-cloudwatch.html
    "AWS/Route53": (
        "ChildHealthCheckHealthyCount ConnectionTime DNSQueries DNSSEC* HealthCheckPercentageHealthy HealthCheckStatus"
        " SSLHandshakeTime TimeToFirstByte"
    ),
    # https://docs.aws.amazon.com/global-accelerator/latest/dg/cloudwatch-monitoring.html
    "AWS/GlobalAccelerator": "ActiveFlowCount *Bytes* *Packet* HealthyEndpointCount NewFlowCount Unhealthy*",
}  # fmt: skip


def exists(namespace: str, metric: str) -> bool | None:
    """Whether the service publishes the metric; None where the namespace is not known here."""
    if namespace not in METRICS:
        return None
    return any(fnmatchcase(metric, known) for known in METRICS[namespace].split())


def elsewhere(metric: str) -> list[str]:
    """The namespaces that have a metric of this very name."""
    return [namespace for namespace, names in METRICS.items() if metric in names.split()]
