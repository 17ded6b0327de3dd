package template

import (
	"os"
	"reflect"
	"strings"
	"testing"
	"time"
)

func load(t *testing.T, overrides map[string]string) *Stack {
	t.Helper()
	names := map[string]string{"Bucket.": "bloom-objects", "Bucket.Arn": "arn:bucket", "Table.StreamArn": "arn:stream"}
	s, err := Load("testdata/stack.yaml", Options{Overrides: overrides, Resolve: func(id, attribute string) (string, bool) {
		v, ok := names[id+"."+attribute]
		return v, ok
	}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s:\n got %+v\nwant %+v", what, got, want)
	}
}

func TestFunctions(t *testing.T) {
	t.Parallel()
	s := load(t, nil)
	if len(s.Functions) != 3 {
		t.Fatalf("functions: %+v", s.Functions)
	}
	f, _ := s.Function("CreateTaskFunction")
	equal(t, "name", f.Name, "create-task")
	equal(t, "timeout", f.Timeout, 29*time.Second)
	equal(t, "concurrency", f.Concurrency, 50)
	equal(t, "environment", f.Env, map[string]string{
		"TABLE_NAME": "Table", "PARTITIONS": "4", "SHARED": "own", "BUCKET_NAME": "bloom-objects", "STREAM": "arn:stream",
		"ARN": "arn:bucket", "URL": "https://dev.us-east-1.example/arn:bucket/${Kept}", "OWN": "x+dev-dev", "STAGE": "bare",
		"ORIGIN": "https://b.example",
	})
	equal(t, "routes", f.Routes, []Route{
		{Method: "POST", Path: "/api/tasks/{id}/lease", KeyRequired: true, Timeout: 29 * time.Second},
		{Method: "GET", Path: "/api/ping", Open: true, Timeout: 29 * time.Second},
	})
	auth, _ := s.Function("AuthorizeFunction")
	equal(t, "timeout from Globals", auth.Timeout, 5*time.Second)
}

func TestSchedulesAndStreams(t *testing.T) {
	t.Parallel()
	f, _ := load(t, nil).Function("SweepFunction")
	equal(t, "schedules", f.Schedules, []Schedule{{Name: "Tick", Every: time.Minute, Input: `{"a":1}`}})
	equal(t, "streams", f.Streams, []Stream{{
		Name: "Changes", TableLogicalID: "Table", BatchSize: 50, Window: time.Second, TumblingWindow: time.Minute, StartingPosition: "TRIM_HORIZON",
		Filters: []string{`{"eventName":["INSERT"]}`}, Retries: 5, MaximumRecordAge: -1, BisectOnError: true,
		ReportBatchItemFailures: true, OnFailure: "arn:bucket",
	}})
}

func TestAPI(t *testing.T) {
	t.Parallel()
	equal(t, "api", *load(t, map[string]string{"ClientRequestsPerMinute": "30"}).API, API{
		LogicalID: "Api", Stage: "live",
		Authorizer:       &Authorizer{Name: "RuntimeKey", Function: "AuthorizeFunction", Header: "X-Runtime-API-Key", TTL: time.Minute},
		MethodThrottles:  []MethodThrottle{{Method: "POST", Path: "/api/ping", Rate: 0.33, Burst: 20}},
		UsagePlans:       []Plan{{LogicalID: "ClientUsagePlan", RequestsPerMinute: 30, Burst: 30}},
		BinaryMediaTypes: []string{"image/png", "application/octet-stream"},
		GatewayResponses: map[string]GatewayResponse{"THROTTLED": {
			Status: 429, Headers: map[string]string{"Retry-After": "'1'"},
			Templates: map[string]string{"application/json": `{"error":$context.error.messageString}`},
		}},
	})
}

func TestStores(t *testing.T) {
	t.Parallel()
	s := load(t, nil)
	equal(t, "tables", s.Tables, []Table{{
		LogicalID: "Table", Name: "Table", HashKey: "PK", RangeKey: "SK",
		Attributes: map[string]string{"PK": "S", "SK": "S", "N1": "N"},
		Indexes:    []Index{{Name: "GSI1", HashKey: "SK", RangeKey: "N1", Projection: "INCLUDE", Include: []string{"a", "b"}}},
		StreamView: "NEW_AND_OLD_IMAGES", TTLAttribute: "purge_at",
	}})
	equal(t, "buckets", s.Buckets, []Bucket{{LogicalID: "Bucket", Name: "bloom-objects"}})
	equal(t, "secrets", s.Secrets, []Secret{{LogicalID: "Key", Name: "runtime/key"}})
}

func TestConditions(t *testing.T) {
	t.Parallel()
	s := load(t, map[string]string{"Environment": "prod", "DomainName": "bloom.example"})
	if _, ok := s.Function("ProdOnlyFunction"); !ok {
		t.Error("ProdOnlyFunction is missing although both conditions hold")
	}
	f, _ := s.Function("CreateTaskFunction")
	equal(t, "STAGE", f.Env["STAGE"], "live")
	equal(t, "NOTHING", f.Env["NOTHING"], "something")
}

func TestParseOverrides(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args []string
		want map[string]string
	}{
		{nil, map[string]string{}},
		{[]string{"A=1  B=2", "B=3"}, map[string]string{"A": "1", "B": "3"}},
		{[]string{`A="two words" B='a=b' C= D=x\ y E=""`}, map[string]string{"A": "two words", "B": "a=b", "C": "", "D": "x y", "E": ""}},
		{[]string{"ParameterKey=A,ParameterValue=1=2"}, map[string]string{"A": "1=2"}},
	} {
		got, err := ParseOverrides(c.args...)
		if err != nil {
			t.Errorf("%q: %v", c.args, err)
		}
		equal(t, strings.Join(c.args, "|"), got, c.want)
	}
	for _, bad := range []string{"A", "=1", `A="open`, "ParameterKey=A"} {
		if got, err := ParseOverrides(bad); err == nil {
			t.Errorf("%q was taken: %v", bad, got)
		}
	}
}

func TestParameterRules(t *testing.T) {
	t.Parallel()
	src, err := os.ReadFile("testdata/stack.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, value, want string }{
		{"Unheard", "1", "the template has no parameter Unheard"},
		{"ClientRequestsPerMinute", "many", `"many" is not a number`},
		{"ClientRequestsPerMinute", "0", "is less than 1"},
		{"ClientRequestsPerMinute", "60001", "is more than 60000"},
		{"Partitions", "3", "is none of 1, 2, 4"},
		{"Environment", "Prod1", "does not match [a-z]+ (lower-case letters)"},
	} {
		_, err := Parse(src, Options{Overrides: map[string]string{c.name: c.value}})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s=%s: got %v, want %q", c.name, c.value, err, c.want)
		}
	}
}

// TestMistakes holds every refusal to the place and the thing that it names.
func TestMistakes(t *testing.T) {
	t.Parallel()
	const function = "Resources:\n  F:\n    Type: AWS::Serverless::Function\n    Metadata: {Function: f}\n    Properties:\n"
	const api = "Resources:\n  Api:\n    Type: AWS::Serverless::Api\n    Properties:\n      StageName: live\n"
	event := func(e string) string { return function + "      Events:\n        E: " + e + "\n" }
	for name, c := range map[string]struct{ src, want string }{
		"not YAML":                {"a: [", "not valid YAML"},
		"empty":                   {"", "empty"},
		"a list":                  {"[]", "not a mapping"},
		"key twice":               {"Resources: {A: {}, A: {}}", "A is there twice"},
		"unknown section":         {"Resorces: {}", "Resorces is no part"},
		"unknown type":            {"Resources: {Q: {Type: 'AWS::Kinesis::Stream'}}", `resource Q: type "AWS::Kinesis::Stream"`},
		"unknown property":        {function + "      Layers: [x]\n", "resource F: Properties.Layers is not supported"},
		"no folder":               {"Resources: {F: {Type: 'AWS::Serverless::Function'}}", "resource F: Metadata.Function"},
		"unknown event":           {event("{Type: SQS, Properties: {}}"), "resource F, event E: Type is \"SQS\""},
		"cron":                    {event("{Type: Schedule, Properties: {Schedule: 'cron(0 0 * * ? *)'}}"), "Properties.Schedule is \"cron(0 0 * * ? *)\""},
		"rate grammar":            {event("{Type: Schedule, Properties: {Schedule: rate(1 minutes)}}"), "minute for 1"},
		"input":                   {event("{Type: Schedule, Properties: {Schedule: rate(1 minute), Input: x}}"), "Properties.Input is not JSON"},
		"stream of nothing":       {event("{Type: DynamoDB, Properties: {Stream: arn:x, StartingPosition: LATEST}}"), "Properties.Stream must name a resource"},
		"stream position":         {event("{Type: DynamoDB, Properties: {StartingPosition: AT_TIMESTAMP}}"), "Properties.StartingPosition is"},
		"parallel":                {event("{Type: DynamoDB, Properties: {StartingPosition: LATEST, ParallelizationFactor: 2}}"), "ParallelizationFactor is not supported"},
		"filter":                  {event("{Type: DynamoDB, Properties: {StartingPosition: LATEST, FilterCriteria: {Filters: [{Pattern: '[1]'}]}}}"), "Pattern is not a JSON object"},
		"path":                    {event("{Type: Api, Properties: {Path: tasks, Method: GET}}"), "Properties.Path is \"tasks\""},
		"greedy in the middle":    {event("{Type: Api, Properties: {Path: '/{a+}/b', Method: GET}}"), "may only come last"},
		"method":                  {event("{Type: Api, Properties: {Path: /a, Method: FETCH}}"), "Properties.Method is \"FETCH\""},
		"same route twice":        {event("{Type: Api, Properties: {Path: /a, Method: GET}}") + "        G: {Type: Api, Properties: {Path: /a, Method: get}}\n", "belongs to F already"},
		"another authorizer":      {event("{Type: Api, Properties: {Path: /a, Method: GET, Auth: {Authorizer: Other}}}"), "Properties.Auth.Authorizer is Other"},
		"request model":           {event("{Type: Api, Properties: {Path: /a, Method: GET, RequestModel: {}}}"), "Properties.RequestModel is not supported"},
		"timeout":                 {function + "      Timeout: 901\n", "Properties.Timeout is \"901\""},
		"condition of nowhere":    {"Resources: {F: {Type: 'AWS::S3::Bucket', Condition: C}}", "there is no condition C"},
		"condition in circles":    {"Conditions: {A: !Not [!Condition B], B: !Not [!Condition A]}\nResources: {F: {Type: 'AWS::S3::Bucket', Condition: A}}", "depends on itself"},
		"ref of nothing":          {function + "      Environment: {Variables: {A: !Ref Nothing}}\n", "Nothing is neither a parameter nor a resource"},
		"map of nothing":          {function + "      Environment: {Variables: {A: !FindInMap [A, b, c]}}\n", "there is no mapping A.b.c"},
		"unknown intrinsic":       {function + "      Environment: {Variables: {A: !ImportValue x}}\n", "Fn::ImportValue is not supported"},
		"open sub":                {function + "      Environment: {Variables: {A: !Sub '${B'}}\n", "is not closed"},
		"list as value":           {function + "      Environment: {Variables: {A: [1]}}\n", "Properties.Environment.Variables A must be a plain value"},
		"cache":                   {api + "      CacheClusterEnabled: true\n", "Properties.CacheClusterEnabled is not supported"},
		"no stage":                {"Resources: {Api: {Type: 'AWS::Serverless::Api'}}", "Properties.StageName is missing"},
		"two APIs":                {api + "  Other: {Type: AWS::Serverless::Api, Properties: {StageName: x}}\n", "one machine serves one API"},
		"definition body":         {api + "      DefinitionBody: {}\n", "Properties.DefinitionBody is not supported"},
		"request authorizer":      {api + "      Auth: {Authorizers: {A: {UserPoolArn: x}}}\n", "FunctionArn is missing"},
		"default authorizer":      {api + "      Auth: {DefaultAuthorizer: A}\n", "names A, which is not among Authorizers"},
		"half a throttle":         {api + "      MethodSettings: [{ResourcePath: /a, HttpMethod: GET, ThrottlingRateLimit: 1}]\n", "go together"},
		"route beside the API":    {api + "  F: {Type: AWS::Serverless::Function, Metadata: {Function: f}, Properties: {Events: {E: {Type: Api, Properties: {Path: /a, Method: GET}}}}}\n", "RestApiId is missing"},
		"empty plan":              {api + "  P: {Type: AWS::ApiGateway::UsagePlan}\n", "holds nobody back"},
		"quota":                   {api + "  P: {Type: AWS::ApiGateway::UsagePlan, Properties: {Quota: {}, Throttle: {RateLimit: 1, BurstLimit: 1}}}\n", "Properties.Quota is not supported"},
		"local index":             {"Resources: {T: {Type: 'AWS::DynamoDB::Table', Properties: {LocalSecondaryIndexes: []}}}", "Properties.LocalSecondaryIndexes is not supported"},
		"key undefined":           {"Resources: {T: {Type: 'AWS::DynamoDB::Table', Properties: {KeySchema: [{AttributeName: a, KeyType: HASH}]}}}", "a is not among AttributeDefinitions"},
		"parameter without value": {"Parameters: {A: {Type: String}}", "parameter A has no default and no value"},
		"notifications":           {"Resources: {B: {Type: 'AWS::S3::Bucket', Properties: {NotificationConfiguration: {}}}}", "Properties.NotificationConfiguration is not supported"},
	} {
		_, err := Parse([]byte(c.src), Options{})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}

func TestSecretsAreNotShown(t *testing.T) {
	t.Parallel()
	src := "Parameters: {Key: {Type: String, NoEcho: true, MinLength: 8}}"
	_, err := Parse([]byte(src), Options{Overrides: map[string]string{"Key": "s3cret"}})
	if err == nil || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("got %v", err)
	}
}

// FuzzParse looks for panics and endless loops.
func FuzzParse(f *testing.F) {
	src, err := os.ReadFile("testdata/stack.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(src)
	f.Add([]byte("a: &a [*a, *a]"))
	f.Add([]byte("Resources: {A: {Type: AWS::Serverless::Function, Properties: !Ref A}}"))
	f.Fuzz(func(_ *testing.T, src []byte) { _, _ = Parse(src, Options{}) })
}

// TestTheRealTemplate reads the project's own.
func TestTheRealTemplate(t *testing.T) {
	t.Parallel()
	s, err := Load("../../template.yaml", Options{})
	if err != nil {
		t.Fatal(err)
	}
	if s.API == nil || s.API.Authorizer == nil || len(s.API.UsagePlans) != 1 || len(s.Tables) != 1 || len(s.Buckets) != 1 {
		t.Errorf("something is missing: %+v", s)
	}
	open := map[string]bool{}
	for _, f := range s.Functions {
		for _, r := range f.Routes {
			if r.Open {
				open[r.Method+" "+r.Path] = true
			} else if !r.KeyRequired {
				t.Errorf("%s %s: without ApiKeyRequired the usage plan does not hold it in the cloud", r.Method, r.Path)
			}
		}
	}
	equal(t, "open routes", open, map[string]bool{"GET /api/runtime/health": true, "POST /api/runtime/test-connection": true})
}
