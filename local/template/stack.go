// Package template reads a SAM template and says, as plain values, what one
// machine has to run: functions, routes, schedules, streams, tables, buckets.
//
// It covers the part of CloudFormation that such a template uses. What it does
// not know is an error that names the resource and the property, never
// silence: a template that works here must not mean something else in the
// cloud. Properties that matter in the cloud only (policies, tags, alarms) are
// listed in inert.go and passed over.
package template

import "time"

// Stack is a template with its parameters filled in and its conditions decided.
type Stack struct {
	Functions  []Function
	API        *API // nil when no function has a route
	Tables     []Table
	Buckets    []Bucket
	Secrets    []Secret
	Parameters map[string]string // every parameter's value, secrets too
}

// Function is an AWS::Serverless::Function.
type Function struct {
	LogicalID   string
	Name        string            // its folder under functions/, from Metadata.Function
	Env         map[string]string // Globals and its own, merged
	Timeout     time.Duration
	Concurrency int // ReservedConcurrentExecutions; 0 = no bound of its own
	Routes      []Route
	Schedules   []Schedule
	Streams     []Stream
}

// Route is an event of type Api.
type Route struct {
	Method      string // upper case; "ANY" is every method
	Path        string // as in the template: /tasks/{id}
	Open        bool   // no authorizer
	KeyRequired bool   // the method asks for an API key, so the usage plan holds it in the cloud
	Timeout     time.Duration
}

// Schedule is an event of type Schedule or ScheduleV2 with a rate.
type Schedule struct {
	Name  string // the event's logical id, or its Name
	Every time.Duration
	Input string // JSON given to the function in place of the scheduled event; "" = the event
}

// Stream is an event of type DynamoDB.
type Stream struct {
	Name                    string // the event's logical id
	TableLogicalID          string
	BatchSize               int
	Window                  time.Duration // MaximumBatchingWindowInSeconds
	TumblingWindow          time.Duration // 0 = events without window, state and shard
	StartingPosition        string        // TRIM_HORIZON or LATEST
	Filters                 []string      // event patterns, JSON; none = every record
	Retries                 int           // -1 = until the record is too old
	MaximumRecordAge        time.Duration // -1 = for ever
	BisectOnError           bool
	ReportBatchItemFailures bool
	OnFailure               string // what the destination resolves to; "" = none
}

// API is the AWS::Serverless::Api, or the implicit one.
type API struct {
	LogicalID        string
	Stage            string
	Authorizer       *Authorizer // the default one; nil = every route is open
	MethodThrottles  []MethodThrottle
	UsagePlans       []Plan
	BinaryMediaTypes []string
	GatewayResponses map[string]GatewayResponse // by type: DEFAULT_4XX, THROTTLED, …
}

// Authorizer is a Lambda authorizer of type TOKEN.
type Authorizer struct {
	Name     string
	Function string // logical id
	Header   string
	TTL      time.Duration // 0 = answers are not kept
}

// MethodThrottle is an entry of MethodSettings that throttles.
type MethodThrottle struct {
	Method string  // upper case; "*" = every method
	Path   string  // "/tasks/{id}"; "/*" = every path
	Rate   float64 // requests a second
	Burst  int
}

// Plan is an AWS::ApiGateway::UsagePlan.
type Plan struct {
	LogicalID         string
	RequestsPerMinute float64
	Burst             int
}

// GatewayResponse is how the API answers what it refuses itself.
type GatewayResponse struct {
	Status    int // 0 = as by default
	Headers   map[string]string
	Templates map[string]string // by content type
}

// Table is an AWS::DynamoDB::Table.
type Table struct {
	LogicalID    string
	Name         string
	HashKey      string
	RangeKey     string            // "" = none
	Attributes   map[string]string // name to S, N or B
	Indexes      []Index
	StreamView   string // "" = no stream
	TTLAttribute string // "" = no expiry
}

// Index is a global secondary index.
type Index struct {
	Name       string
	HashKey    string
	RangeKey   string // "" = none
	Projection string // ALL, KEYS_ONLY or INCLUDE
	Include    []string
}

// Bucket is an AWS::S3::Bucket.
type Bucket struct {
	LogicalID string
	Name      string
}

// Secret is an AWS::SecretsManager::Secret.
type Secret struct {
	LogicalID string
	Name      string
	Value     string // SecretString; "" when the template makes it up (GenerateSecretString)
}

// Function finds a function by its logical id.
func (s *Stack) Function(logicalID string) (Function, bool) {
	for _, f := range s.Functions {
		if f.LogicalID == logicalID {
			return f, true
		}
	}
	return Function{}, false
}
