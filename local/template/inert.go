package template

// inertTypes are resources that exist in the cloud only: rights, names, watches
// and queues for what failed. Nothing on one machine stands for them.
// Custom::PerSecond divides by sixty for the usage plan, which see.
var inertTypes = map[string]bool{
	"AWS::ApiGateway::Account":                    true,
	"AWS::ApiGateway::ApiKey":                     true,
	"AWS::ApiGateway::BasePathMapping":            true,
	"AWS::ApiGateway::DomainName":                 true,
	"AWS::ApiGateway::UsagePlanKey":               true,
	"AWS::Budgets::Budget":                        true,
	"AWS::CertificateManager::Certificate":        true,
	"AWS::CloudWatch::Alarm":                      true,
	"AWS::CloudWatch::CompositeAlarm":             true,
	"AWS::CloudWatch::Dashboard":                  true,
	"AWS::IAM::ManagedPolicy":                     true,
	"AWS::IAM::Policy":                            true,
	"AWS::IAM::Role":                              true,
	"AWS::KMS::Alias":                             true,
	"AWS::KMS::Key":                               true,
	"AWS::Lambda::EventInvokeConfig":              true,
	"AWS::Lambda::Permission":                     true,
	"AWS::Logs::LogGroup":                         true,
	"AWS::Logs::MetricFilter":                     true,
	"AWS::Route53::RecordSet":                     true,
	"AWS::Route53::RecordSetGroup":                true,
	"AWS::S3::BucketPolicy":                       true,
	"AWS::SecretsManager::ResourcePolicy":         true,
	"AWS::SNS::Subscription":                      true,
	"AWS::SNS::Topic":                             true,
	"AWS::SNS::TopicPolicy":                       true,
	"AWS::SQS::Queue":                             true,
	"AWS::SQS::QueuePolicy":                       true,
	"AWS::SecretsManager::RotationSchedule":       true,
	"AWS::SecretsManager::SecretTargetAttachment": true,
	"Custom::PerSecond":                           true,
}

// Properties that are passed over, by the thing that carries them. Lifecycle
// rules of a bucket belong here too: the embedded store has none.
var (
	inertFunction = []string{
		"Architectures", "AutoPublishAlias", "CodeUri", "DeadLetterQueue", "DeploymentPreference", "Description",
		"EphemeralStorage", "EventInvokeConfig", "FunctionName", "Handler", "KmsKeyArn", "LoggingConfig", "MemorySize",
		"PermissionsBoundary", "Policies", "PropagateTags", "ProvisionedConcurrencyConfig", "RecursiveLoop", "Role",
		"RolePath", "Runtime", "RuntimeManagementConfig", "SnapStart", "Tags", "Tracing", "VpcConfig",
	}
	inertAPI = []string{
		"AccessLogSetting", "AlwaysDeploy", "ApiKeySourceType", "CanarySetting", "Description", "DisableExecuteApiEndpoint",
		"Domain", "EndpointAccessMode", "EndpointConfiguration", "MergeDefinitions", "MinimumCompressionSize", "Name",
		"OpenApiVersion", "PropagateTags", "SecurityPolicy", "Tags", "TracingEnabled",
	}
	inertTable = []string{
		"BillingMode", "ContributorInsightsSpecification", "DeletionProtectionEnabled", "KinesisStreamSpecification",
		"OnDemandThroughput", "PointInTimeRecoverySpecification", "ProvisionedThroughput", "ResourcePolicy",
		"SSESpecification", "TableClass", "Tags", "WarmThroughput",
	}
	inertBucket = []string{
		"AccelerateConfiguration", "AccessControl", "BucketEncryption", "CorsConfiguration", "IntelligentTieringConfigurations",
		"LifecycleConfiguration", "LoggingConfiguration", "MetricsConfigurations", "OwnershipControls",
		"PublicAccessBlockConfiguration", "Tags", "VersioningConfiguration",
	}
	inertSecret = []string{"Description", "KmsKeyId", "ReplicaRegions", "Tags"}
)
