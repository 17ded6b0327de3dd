package dynamodb

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	"github.com/aws/smithy-go"
)

// openServer opens a server in dir, closed when the test ends.
func openServer(t testing.TB, dir string, opts Options) *Server {
	t.Helper()
	s, err := Open(dir, opts)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}

func config(client aws.HTTPClient, endpoint string) aws.Config {
	return aws.Config{
		Region:       "us-east-1",
		Credentials:  credentials.NewStaticCredentialsProvider("key", "secret", ""),
		HTTPClient:   client,
		BaseEndpoint: aws.String(endpoint),
		// A failure must show, not be repeated away.
		Retryer: func() aws.Retryer { return aws.NopRetryer{} },
	}
}

func client(s *Server) *sdk.Client {
	return sdk.NewFromConfig(config(s.HTTPClient(), "http://in.process"))
}

func streamsClient(s *Server) *dynamodbstreams.Client {
	return dynamodbstreams.NewFromConfig(config(s.HTTPClient(), "http://in.process"))
}

func tcpClient(endpoint string) *sdk.Client {
	return sdk.NewFromConfig(config(http.DefaultClient, endpoint))
}

// newClient opens a server in a directory of its own.
func newClient(t testing.TB) (*sdk.Client, *Server) {
	t.Helper()
	s := openServer(t, t.TempDir(), Options{})
	return client(s), s
}

// Short forms of attribute values.
type item = map[string]types.AttributeValue

func str(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }
func num(n string) types.AttributeValue { return &types.AttributeValueMemberN{Value: n} }

// mainTable is like the one that the project uses: string keys, indexes of each
// projection, a stream.
func mainTable(name string) *sdk.CreateTableInput {
	def := func(n string, t types.ScalarAttributeType) types.AttributeDefinition {
		return types.AttributeDefinition{AttributeName: aws.String(n), AttributeType: t}
	}
	return &sdk.CreateTableInput{
		TableName:   aws.String(name),
		BillingMode: types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{
			def("PK", "S"), def("SK", "S"), def("G1PK", "S"), def("G1SK", "N"), def("G2PK", "S"), def("G3PK", "B"),
		},
		KeySchema: keys("PK", "SK"),
		GlobalSecondaryIndexes: []types.GlobalSecondaryIndex{
			{IndexName: aws.String("G1all"), KeySchema: keys("G1PK", "G1SK"), Projection: &types.Projection{ProjectionType: types.ProjectionTypeAll}},
			{IndexName: aws.String("G2keys"), KeySchema: keys("G2PK", "G1SK"), Projection: &types.Projection{ProjectionType: types.ProjectionTypeKeysOnly}},
			{IndexName: aws.String("G3some"), KeySchema: keys("G3PK", ""), Projection: &types.Projection{
				ProjectionType: types.ProjectionTypeInclude, NonKeyAttributes: []string{"shown"}}},
		},
		StreamSpecification: &types.StreamSpecification{StreamEnabled: aws.Bool(true), StreamViewType: types.StreamViewTypeNewAndOldImages},
	}
}

func keys(hash, rng string) []types.KeySchemaElement {
	k := []types.KeySchemaElement{{AttributeName: aws.String(hash), KeyType: types.KeyTypeHash}}
	if rng != "" {
		k = append(k, types.KeySchemaElement{AttributeName: aws.String(rng), KeyType: types.KeyTypeRange})
	}
	return k
}

func createMain(t testing.TB, c *sdk.Client) string {
	t.Helper()
	const name = "main-table"
	if _, err := c.CreateTable(context.Background(), mainTable(name)); err != nil {
		t.Fatalf("CreateTable: %v", err)
	}
	return name
}

func put(t testing.TB, c *sdk.Client, table string, it item) {
	t.Helper()
	if _, err := c.PutItem(context.Background(), &sdk.PutItemInput{TableName: &table, Item: it}); err != nil {
		t.Fatalf("PutItem: %v", err)
	}
}

func fetch(t testing.TB, c *sdk.Client, table string, key item) item {
	t.Helper()
	out, err := c.GetItem(context.Background(), &sdk.GetItemInput{TableName: &table, Key: key, ConsistentRead: aws.Bool(true)})
	if err != nil {
		t.Fatalf("GetItem: %v", err)
	}
	return out.Item
}

func pksk(pk, sk string) item { return item{"PK": str(pk), "SK": str(sk)} }

// wantError wants an error of AWS's with this code, its text containing text.
// DynamoDB Local's texts are its own.
func wantError(t testing.TB, err error, code, text string) {
	t.Helper()
	if localURL != "" {
		agree(t, t.Name(), errorName(err), code)
		return
	}
	wantOurs(t, err, code, text)
}

// wantOurs wants an error of the embedded server's.
func wantOurs(t testing.TB, err error, code, text string) {
	t.Helper()
	var api smithy.APIError
	if !errors.As(err, &api) {
		t.Fatalf("got error %v, want %s", err, code)
	}
	if api.ErrorCode() != code || !strings.Contains(api.ErrorMessage(), text) {
		t.Fatalf("got %s: %s, want %s: …%s…", api.ErrorCode(), api.ErrorMessage(), code, text)
	}
}

// plain shows an item in a form that can be compared and read.
func plain(it item) map[string]string {
	if it == nil {
		return nil
	}
	out := map[string]string{}
	for name, v := range it {
		out[name] = plainValue(v)
	}
	return out
}

func plainValue(v types.AttributeValue) string {
	switch v := v.(type) {
	case *types.AttributeValueMemberS:
		return v.Value
	case *types.AttributeValueMemberN:
		return "#" + v.Value
	case *types.AttributeValueMemberB:
		return "0x" + hex.EncodeToString(v.Value)
	case *types.AttributeValueMemberL:
		parts := make([]string, len(v.Value))
		for i, e := range v.Value {
			parts[i] = plainValue(e)
		}
		return "[" + strings.Join(parts, " ") + "]"
	default:
		return fmt.Sprintf("%v", v)
	}
}

func wantItem(t testing.TB, got item, want map[string]string) {
	t.Helper()
	if !maps.Equal(plain(got), want) {
		t.Fatalf("got %v, want %v", plain(got), want)
	}
}
