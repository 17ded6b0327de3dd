package infra_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func resources(t testing.TB) map[string]object {
	t.Helper()
	out := map[string]object{}
	for name, r := range sub(load(t, "template.yaml"), "Resources") {
		out[name] = r.(object)
	}
	return out
}

// function is a Lambda function of the template.
type function struct {
	name   string // logical id
	folder string
	object
}

// functions are all of them, by logical id.
func functions(t testing.TB) []function {
	t.Helper()
	all := resources(t)
	var out []function
	for _, name := range names(all) {
		if str(all[name], "Type") == "AWS::Serverless::Function" {
			out = append(out, function{name, str(all[name], "Metadata", "Function"), all[name]})
		}
	}
	return out
}

// events are the properties of the function's events of a kind.
func (f function) events(kind string) []object {
	var out []object
	for _, name := range names(sub(f.object, "Properties", "Events")) {
		if e := sub(f.object, "Properties", "Events", name); str(e, "Type") == kind {
			out = append(out, sub(e, "Properties"))
		}
	}
	return out
}

// policies are the names of the function's SAM policies, and the actions of its
// own statements.
func (f function) policies() []string {
	var out []string
	for _, p := range list(f.object, "Properties", "Policies") {
		for name := range p.(object) {
			out = append(out, name)
		}
		for _, s := range list(p, "Statement") {
			if one := str(s, "Action"); one != "" {
				out = append(out, one)
			}
			out = append(out, texts(s, "Action")...)
		}
	}
	return out
}

// TestFolders: each folder of functions is one function of the template, and the
// other way round.
func TestFolders(t *testing.T) {
	t.Parallel()
	entries, err := os.ReadDir("../functions")
	if err != nil {
		t.Fatal(err)
	}
	folders := map[string]int{}
	for _, e := range entries {
		if e.IsDir() {
			folders[e.Name()] = 0
		}
	}
	for _, f := range functions(t) {
		if _, there := folders[f.folder]; !there {
			t.Errorf("%s is of the folder %q, which is not there", f.name, f.folder)
		}
		folders[f.folder]++
		if str(f.object, "Metadata", "BuildMethod") != "makefile" {
			t.Errorf("%s is not built by the Makefile", f.name)
		}
	}
	for _, folder := range names(folders) {
		if folders[folder] != 1 {
			t.Errorf("%s is %d functions of the template", folder, folders[folder])
		}
	}
	if len(folders) == 0 {
		t.Error("there are no functions")
	}
}

// TestRights: a function may use what its code opens: the bucket, the secrets.
// Without this a right that is missing shows in the cloud only.
func TestRights(t *testing.T) {
	t.Parallel()
	for _, f := range functions(t) {
		code, err := os.ReadFile("../functions/" + f.folder + "/main.go")
		if err != nil {
			t.Fatal(err)
		}
		has := f.policies()
		mayDo := func(wanted ...string) bool {
			return slices.ContainsFunc(wanted, func(w string) bool { return slices.Contains(has, w) })
		}
		for _, c := range []struct {
			opens string
			needs []string // one of them
		}{
			{"dynamo.FromEnv", []string{"DynamoDBReadPolicy", "DynamoDBCrudPolicy", "DynamoDBWritePolicy", "dynamodb:GetItem"}},
			{"blob.FromEnv", []string{"S3ReadPolicy", "S3WritePolicy", "S3CrudPolicy"}},
			{"MembridgeFromEnv", []string{"secretsmanager:GetSecretValue", "secretsmanager:PutSecretValue"}},
			{"link.FromEnv", []string{"secretsmanager:GetSecretValue"}},
			{"secret.Open", []string{"secretsmanager:GetSecretValue"}},
		} {
			if opens := strings.Contains(string(code), c.opens); opens && !mayDo(c.needs...) {
				t.Errorf("%s calls %s and has no right to: %v", f.folder, c.opens, has)
			}
		}
		for _, route := range f.events("Api") {
			if !strings.Contains(string(code), "dynamo.FromEnv") {
				if mayDo("DynamoDBReadPolicy", "DynamoDBCrudPolicy", "DynamoDBWritePolicy") {
					t.Errorf("%s has no use for the table and may use it: %v", f.folder, has)
				}
				continue
			}
			if reads := str(route, "Method") == "GET"; reads != mayDo("DynamoDBReadPolicy") || reads == mayDo("DynamoDBCrudPolicy", "DynamoDBWritePolicy") {
				t.Errorf("%s: a GET may read the table, any other method may write too: %v", f.folder, has)
			}
		}
	}
}

// TestPromptReaders: what reads a long prompt back may read the bucket.
func TestPromptReaders(t *testing.T) {
	t.Parallel()
	for _, f := range functions(t) {
		code, err := os.ReadFile("../shared/api/" + strings.ReplaceAll(f.folder, "-", "_") + ".go")
		if err != nil {
			continue // its operation shares a file with others
		}
		has := f.policies()
		if strings.Contains(string(code), "wholePrompt(") && !slices.Contains(has, "S3ReadPolicy") {
			t.Errorf("%s reads prompts and may not: %v", f.folder, has)
		}
		if writes := strings.Contains(string(code), "bucket.Put(") || strings.Contains(string(code), "storePrompt("); writes && !slices.Contains(has, "S3WritePolicy") {
			t.Errorf("%s writes to the bucket and may not: %v", f.folder, has)
		}
	}
}

// maxResources is CloudFormation's limit for one stack.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
const maxResources = 500

// TestResourceCount counts what SAM makes of the template.
// https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/sam-specification-generated-resources.html
func TestResourceCount(t *testing.T) {
	t.Parallel()
	total := 0
	for _, r := range resources(t) {
		switch str(r, "Type") {
		case "AWS::Serverless::Function":
			total += 2 // and its role
			for _, e := range sub(r, "Properties", "Events") {
				total += map[string]int{
					"Api":      1, // a permission
					"Schedule": 2, // a rule and a permission
					"DynamoDB": 1, // an event source mapping
				}[str(e, "Type")]
			}
		case "AWS::Serverless::Api":
			total += 3                                                // and its deployment and stage
			total += len(sub(r, "Properties", "Auth", "Authorizers")) // a permission each
		default:
			total++
		}
	}
	if total >= maxResources {
		t.Errorf("%d resources; a stack holds %d", total, maxResources)
	}
	t.Logf("%d resources of %d", total, maxResources)
}

// TestTable: what is stored is followed, purged, backed up and encrypted, and a
// mistaken delete of the stack does not take it along.
func TestTable(t *testing.T) {
	t.Parallel()
	table := resources(t)["Table"]
	p := sub(table, "Properties")
	if str(p, "StreamSpecification", "StreamViewType") != "NEW_AND_OLD_IMAGES" {
		t.Error("the table has no stream of both images")
	}
	ttl := sub(p, "TimeToLiveSpecification")
	if ttl["Enabled"] != true || str(ttl, "AttributeName") != stringConstant(t, "shared/dynamo/keys.go", "attrPurgeAt") {
		t.Errorf("TTL %v", ttl)
	}
	if at(p, "PointInTimeRecoverySpecification", "PointInTimeRecoveryEnabled") != true || at(p, "SSESpecification", "SSEEnabled") != true {
		t.Error("the table needs point-in-time recovery and encryption")
	}
	if str(p, "BillingMode") != "PAY_PER_REQUEST" || str(table, "DeletionPolicy") != "Retain" || str(table, "UpdateReplacePolicy") != "Retain" {
		t.Error("the table must be on demand and retained")
	}
	attributes, used := map[string]bool{}, map[string]bool{}
	for _, a := range list(p, "AttributeDefinitions") {
		attributes[str(a, "AttributeName")] = true
	}
	schemas := [][]any{list(p, "KeySchema")}
	for _, i := range list(p, "GlobalSecondaryIndexes") {
		schemas = append(schemas, list(i, "KeySchema"))
		if str(i, "Projection", "ProjectionType") != "KEYS_ONLY" {
			t.Errorf("index %s: an index that projects more pays for it at every change", str(i, "IndexName"))
		}
	}
	for _, s := range schemas {
		for _, k := range s {
			used[str(k, "AttributeName")] = true
		}
	}
	if got, want := names(attributes), names(used); !slices.Equal(got, want) {
		t.Errorf("attributes %v, keys use %v", got, want)
	}
	for _, name := range names(attributes) {
		if !slices.Contains(stringConstants(t, "shared/dynamo/keys.go"), name) {
			t.Errorf("no key of the code is called %s", name)
		}
	}
}

func TestBucket(t *testing.T) {
	t.Parallel()
	bucket := resources(t)["Bucket"]
	for _, name := range []string{"BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"} {
		if at(bucket, "Properties", "PublicAccessBlockConfiguration", name) != true {
			t.Errorf("%s is not set", name)
		}
	}
	if at(bucket, "Properties", "BucketEncryption") == nil || str(bucket, "DeletionPolicy") != "Retain" {
		t.Error("the bucket must be encrypted and retained")
	}
}

// TestGatewayResponses: what API Gateway answers itself has the error shape too, and
// the codes that the document lists.
func TestGatewayResponses(t *testing.T) {
	t.Parallel()
	codes := texts(openapi(t).schema("ErrorCode"), "enum")
	responses := sub(resources(t)["Api"], "Properties", "GatewayResponses")
	for _, kind := range []string{"DEFAULT_4XX", "DEFAULT_5XX", "UNAUTHORIZED", "ACCESS_DENIED", "MISSING_AUTHENTICATION_TOKEN", "REQUEST_TOO_LARGE", "THROTTLED"} {
		if responses[kind] == nil {
			t.Errorf("%s is missing", kind)
		}
	}
	for _, kind := range names(responses) {
		r := responses[kind]
		body := str(r, "ResponseTemplates", "application/json")
		code := between(body, `"code":"`, `"`)
		if !strings.HasPrefix(body, `{"error":`) || !strings.HasSuffix(body, `,"request_id":"$context.requestId"}`) || !slices.Contains(codes, code) {
			t.Errorf("%s answers %s", kind, body)
		}
		if at(r, "ResponseParameters", "Headers", "X-Request-Id") == nil {
			t.Errorf("%s does not send X-Request-Id", kind)
		}
		if wait := at(r, "ResponseParameters", "Headers", "Retry-After") != nil; wait != (at(r, "StatusCode") == 429) {
			t.Errorf("%s: Retry-After %v", kind, wait)
		}
	}
}

func between(s, open, closing string) string {
	_, s, _ = strings.Cut(s, open)
	s, _, _ = strings.Cut(s, closing)
	return s
}

// TestNoScan: no code reads a whole table. A page of it would do no harm, and is
// how it begins.
func TestNoScan(t *testing.T) {
	t.Parallel()
	forbidden := []string{"Scan", "ScanInput", "NewScanPaginator", "ExecuteStatement", "BatchExecuteStatement", "ExecuteTransaction"}
	files := 0
	for _, root := range []string{"../shared", "../functions"} {
		err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			files++
			set := token.NewFileSet()
			file, err := parser.ParseFile(set, path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(n ast.Node) bool {
				if s, ok := n.(*ast.SelectorExpr); ok && slices.Contains(forbidden, s.Sel.Name) {
					t.Errorf("%s uses %s", set.Position(s.Pos()), s.Sel.Name)
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if files == 0 {
		t.Error("no code was found")
	}
}
