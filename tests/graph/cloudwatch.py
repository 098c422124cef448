"""The metrics that AWS documents for services of ours, with what they are kept by.

Written down from the documents, whole tables at a time, so that they tell a name that there isn't.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Namespace:
    """What a service sends to CloudWatch."""

    source: str
    dimensions: tuple[frozenset[str], ...]
    """Sets of dimensions under which a metric can be found."""
    metrics: frozenset[str]


def _namespace(source: str, dimensions: tuple[str, ...], metrics: str) -> Namespace:
    return Namespace(
        source, tuple(frozenset(each.split()) for each in dimensions), frozenset(metrics.split())
    )


DOCUMENTED = {
    "AWS/ApiGateway": _namespace(
        "https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-metrics-and-dimensions.html",
        ("ApiName", "ApiName Stage", "ApiName Method Resource Stage"),
        "4XXError 5XXError CacheHitCount CacheMissCount Count IntegrationLatency Latency",
    ),
    "AWS/Backup": _namespace(
        "https://docs.aws.amazon.com/aws-backup/latest/devguide/cloudwatch.html",
        ("BackupVaultName", "ResourceType", "BackupVaultName ResourceType"),
        """
        NumberOfBackupJobsAborted NumberOfBackupJobsCompleted NumberOfBackupJobsCreated
        NumberOfBackupJobsExpired NumberOfBackupJobsFailed NumberOfBackupJobsPending
        NumberOfBackupJobsRunning NumberOfCopyJobsCompleted NumberOfCopyJobsCreated
        NumberOfCopyJobsFailed NumberOfCopyJobsRunning NumberOfRecoveryPointsCold
        NumberOfRecoveryPointsCompleted NumberOfRecoveryPointsDeleting
        NumberOfRecoveryPointsExpired NumberOfRecoveryPointsPartial NumberOfRestoreJobsCompleted
        NumberOfRestoreJobsFailed NumberOfRestoreJobsPending NumberOfRestoreJobsRunning
        """,
    ),
    "AWS/Billing": _namespace(
        "https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/monitor_estimated_charges_with_cloudwatch.html",
        ("Currency", "Currency ServiceName", "Currency LinkedAccount"),
        "EstimatedCharges",
    ),
    "AWS/CertificateManager": _namespace(
        "https://docs.aws.amazon.com/acm/latest/userguide/cloudwatch-metrics.html",
        ("CertificateArn",),
        "DaysToExpiry",
    ),
    "AWS/CloudFront": _namespace(
        "https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/programming-cloudwatch-metrics.html",
        ("DistributionId Region", "FunctionName DistributionId Region"),
        """
        401ErrorRate 403ErrorRate 404ErrorRate 4xxErrorRate 502ErrorRate 503ErrorRate 504ErrorRate
        5xxErrorRate BytesDownloaded BytesUploaded CacheHitRate FunctionComputeUtilization
        FunctionExecutionErrors FunctionInvocations FunctionThrottles FunctionValidationErrors
        OriginLatency Requests TotalErrorRate
        """,
    ),
    "AWS/Cognito": _namespace(
        "https://docs.aws.amazon.com/cognito/latest/developerguide/metrics-for-cognito-user-pools.html",
        ("UserPool UserPoolClient", "UserPool UserPoolClient IdentityProvider"),
        """
        FederationSuccesses FederationThrottles SignInSuccesses SignInThrottles SignUpSuccesses
        SignUpThrottles TokenRefreshSuccesses TokenRefreshThrottles
        """,
    ),
    "AWS/DynamoDB": _namespace(
        "https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/metrics-dimensions.html",
        ("TableName", "TableName GlobalSecondaryIndexName", "TableName Operation"),
        """
        AccountMaxReads AccountMaxTableLevelReads AccountMaxTableLevelWrites AccountMaxWrites
        AccountProvisionedReadCapacityUtilization AccountProvisionedWriteCapacityUtilization
        AgeOfOldestUnreplicatedRecord ConditionalCheckFailedRequests ConsumedChangeDataCaptureUnits
        ConsumedReadCapacityUnits ConsumedWriteCapacityUnits FailedToReplicateRecordCount
        MaxProvisionedTableReadCapacityUtilization MaxProvisionedTableWriteCapacityUtilization
        OnDemandMaxReadRequestUnits OnDemandMaxWriteRequestUnits OnlineIndexConsumedWriteCapacity
        OnlineIndexPercentageProgress OnlineIndexThrottleEvents PendingReplicationCount
        ProvisionedReadCapacityUnits ProvisionedWriteCapacityUnits ReadThrottleEvents
        ReplicationLatency ReturnedBytes ReturnedItemCount ReturnedRecordsCount
        SuccessfulRequestLatency SystemErrors ThrottledPutRecordCount ThrottledRequests
        TimeToLiveDeletedItemCount TransactionConflict UserErrors WriteThrottleEvents
        """,
    ),
    "AWS/EKS": _namespace(
        "https://docs.aws.amazon.com/eks/latest/userguide/cloudwatch.html",
        ("ClusterName",),
        """
        apiserver_admission_webhook_admission_duration_seconds_ADMIT_P99
        apiserver_admission_webhook_admission_duration_seconds_VALIDATING_P99
        apiserver_admission_webhook_rejection_count_ADMIT
        apiserver_admission_webhook_rejection_count_VALIDATING
        apiserver_admission_webhook_request_total_ADMIT
        apiserver_admission_webhook_request_total_VALIDATING
        apiserver_current_inflight_requests_MUTATING apiserver_current_inflight_requests_READONLY
        apiserver_flowcontrol_current_executing_seats apiserver_request_duration_seconds_DELETE_P99
        apiserver_request_duration_seconds_GET_P99 apiserver_request_duration_seconds_LIST_P99
        apiserver_request_duration_seconds_PATCH_P99 apiserver_request_duration_seconds_POST_P99
        apiserver_request_duration_seconds_PUT_P99 apiserver_request_total
        apiserver_request_total_429 apiserver_request_total_4XX apiserver_request_total_5XX
        apiserver_request_total_LIST_PODS apiserver_storage_size_bytes scheduler_pending_pods
        scheduler_pending_pods_ACTIVEQ scheduler_pending_pods_BACKOFF scheduler_pending_pods_GATED
        scheduler_pending_pods_UNSCHEDULABLE scheduler_schedule_attempts_ERROR
        scheduler_schedule_attempts_SCHEDULED scheduler_schedule_attempts_UNSCHEDULABLE
        scheduler_schedule_attempts_total
        """,
    ),
    "AWS/ES": _namespace(
        "https://docs.aws.amazon.com/opensearch-service/latest/developerguide/managedomains-cloudwatchmetrics.html",
        ("ClientId DomainName", "ClientId DomainName NodeId"),
        """
        2xx 3xx 4xx 5xx AutomatedSnapshotFailure BurstBalance CPUCreditBalance CPUUtilization
        ClusterIndexWritesBlocked ClusterStatus.green ClusterStatus.red ClusterStatus.yellow
        ClusterUsedSpace CoordinatingWriteRejected DeletedDocuments DiskQueueDepth FreeStorageSpace
        IndexingLatency IndexingRate InvalidHostHeaderRequests IopsThrottle
        JVMGCOldCollectionCount JVMGCOldCollectionTime JVMGCYoungCollectionCount
        JVMGCYoungCollectionTime JVMMemoryPressure KMSKeyError KMSKeyInaccessible
        MasterCPUUtilization MasterJVMMemoryPressure MasterReachableFromNode Nodes
        OldGenJVMMemoryPressure OpenSearchRequests PrimaryWriteRejected ReadIOPS ReadLatency
        ReadThroughput ReplicaWriteRejected SearchLatency SearchRate SearchShardTaskCancelled
        SearchTaskCancelled
        SearchableDocuments SegmentCount Shards.active Shards.activePrimary
        Shards.delayedUnassigned Shards.initializing Shards.relocating Shards.unassigned
        SysMemoryUtilization ThreadpoolForce_mergeQueue ThreadpoolForce_mergeRejected
        ThreadpoolForce_mergeThreads ThreadpoolSearchQueue ThreadpoolSearchRejected
        ThreadpoolSearchThreads ThreadpoolWriteQueue ThreadpoolWriteRejected ThreadpoolWriteThreads
        ThroughputThrottle WriteIOPS WriteLatency WriteThroughput
        """,
    ),
    "AWS/Lambda": _namespace(
        "https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html",
        ("FunctionName", "FunctionName Resource"),
        """
        AsyncEventAge AsyncEventsDropped AsyncEventsReceived ClaimedAccountConcurrency
        ConcurrentExecutions DeadLetterErrors DeletedEventCount DestinationDeliveryFailures
        DroppedEventCount Duration Errors FailedInvokeEventCount FilteredOutEventCount Invocations
        InvokedEventCount IteratorAge OffsetLag OnFailureDestinationDeliveredEventCount
        OversizedRecordCount PolledEventCount PostRuntimeExtensionsDuration
        ProvisionedConcurrencyInvocations ProvisionedConcurrencySpilloverInvocations
        ProvisionedConcurrencyUtilization ProvisionedConcurrentExecutions
        RecursiveInvocationsDropped Throttles UnreservedConcurrentExecutions
        """,
    ),
    "AWS/S3": _namespace(
        "https://docs.aws.amazon.com/AmazonS3/latest/userguide/metrics-dimensions.html",
        ("BucketName FilterId", "BucketName StorageType"),
        """
        4xxErrors 5xxErrors AllRequests BucketSizeBytes BytesDownloaded BytesPendingReplication
        BytesUploaded DeleteRequests FirstByteLatency GetRequests HeadRequests ListRequests
        NumberOfObjects OperationsFailedReplication OperationsPendingReplication PostRequests
        PutRequests ReplicationLatency SelectBytesReturned SelectBytesScanned SelectRequests
        TotalRequestLatency
        """,
    ),
    "AWS/SQS": _namespace(
        "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html",
        ("QueueName",),
        """
        ApproximateAgeOfOldestMessage ApproximateNumberOfGroupsWithInflightMessages
        ApproximateNumberOfMessagesDelayed ApproximateNumberOfMessagesNotVisible
        ApproximateNumberOfMessagesVisible NumberOfDeduplicatedSentMessages NumberOfEmptyReceives
        NumberOfMessagesDeleted NumberOfMessagesReceived NumberOfMessagesSent SentMessageSize
        """,
    ),
    "AWS/States": _namespace(
        "https://docs.aws.amazon.com/step-functions/latest/dg/procedure-cw-metrics.html",
        ("StateMachineArn",),
        """
        ExecutionThrottled ExecutionTime ExecutionsAborted ExecutionsFailed ExecutionsStarted
        ExecutionsSucceeded ExecutionsTimedOut
        """,
    ),
    "AWS/WAFV2": _namespace(
        "https://docs.aws.amazon.com/waf/latest/developerguide/waf-metrics.html",
        ("Region Rule WebACL", "Rule WebACL"),
        """
        AllowedRequests BlockedRequests CaptchaRequests CaptchasAttempted CaptchasSolved
        ChallengeRequests CountedRequests PassedRequests RequestsWithValidCaptchaToken
        RequestsWithValidChallengeToken
        """,
    ),
}
