package dynamodb

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

func TestDescribeTable(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	dir := t.TempDir()
	s, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	table := createMain(t, client(s))
	check := func(c *sdk.Client) *types.TableDescription {
		out, err := c.DescribeTable(ctx, &sdk.DescribeTableInput{TableName: &table})
		if err != nil {
			t.Fatal(err)
		}
		d := out.Table
		if d.TableStatus != types.TableStatusActive || len(d.GlobalSecondaryIndexes) != 3 || len(d.AttributeDefinitions) != 6 ||
			d.BillingModeSummary.BillingMode != types.BillingModePayPerRequest || d.LatestStreamArn == nil ||
			*d.TableArn != "arn:aws:dynamodb:us-east-1:000000000000:table/main-table" {
			t.Fatalf("got %+v", d)
		}
		return d
	}
	before := check(client(s))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	after := check(client(openServer(t, dir, Options{})))
	if *before.TableId != *after.TableId || *before.LatestStreamArn != *after.LatestStreamArn || !before.CreationDateTime.Equal(*after.CreationDateTime) {
		t.Errorf("the table changed by a restart: %v, then %v", before, after)
	}
}

func TestDeleteTable(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	c, _ := newSubject(t)
	table := createMain(t, c)
	put(t, c, table, pksk("a", "b"))
	_, err := c.CreateTable(ctx, mainTable(table))
	wantError(t, err, "ResourceInUseException", "Table already exists: main-table")
	if _, err := c.DeleteTable(ctx, &sdk.DeleteTableInput{TableName: &table}); err != nil {
		t.Fatal(err)
	}
	_, err = c.DescribeTable(ctx, &sdk.DescribeTableInput{TableName: &table})
	wantError(t, err, "ResourceNotFoundException", "Table: main-table not found")
	_, err = c.PutItem(ctx, &sdk.PutItemInput{TableName: &table, Item: pksk("a", "b")})
	wantError(t, err, "ResourceNotFoundException", "")
	// One of the same name begins empty.
	createMain(t, c)
	wantItem(t, fetch(t, c, table, pksk("a", "b")), nil)
}

func TestListTables(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	c, _ := newSubject(t)
	var want []string
	for i := range 5 {
		name := fmt.Sprintf("table-%d", i)
		want = append(want, name)
		if _, err := c.CreateTable(ctx, mainTable(name)); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	pages := sdk.NewListTablesPaginator(c, &sdk.ListTablesInput{Limit: aws.Int32(2)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, page.TableNames...)
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
}

func TestBadTables(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name   string
		change func(*sdk.CreateTableInput)
		text   string
	}{
		{"short name", func(in *sdk.CreateTableInput) { in.TableName = aws.String("ab") }, "length greater than or equal to 3"},
		{"bad name", func(in *sdk.CreateTableInput) { in.TableName = aws.String("a b c") }, "[a-zA-Z0-9_.-]+"},
		{"undefined key", func(in *sdk.CreateTableInput) { in.KeySchema = keys("PK", "nope") }, "Some index key attributes are not defined"},
		{"same key twice", func(in *sdk.CreateTableInput) { in.KeySchema = keys("PK", "PK") }, "have the same name"},
		{"unused definition", func(in *sdk.CreateTableInput) { in.GlobalSecondaryIndexes = in.GlobalSecondaryIndexes[:1] }, "Some AttributeDefinitions are not used"},
		{"index twice", func(in *sdk.CreateTableInput) { in.GlobalSecondaryIndexes[1].IndexName = aws.String("G1all") }, "Duplicate index name: G1all"},
		{"bad type", func(in *sdk.CreateTableInput) { in.AttributeDefinitions[0].AttributeType = "X" }, "[B, N, S]"},
		{"no throughput", func(in *sdk.CreateTableInput) { in.BillingMode = types.BillingModeProvisioned }, "must both be specified when BillingMode is PROVISIONED"},
		{"include nothing", func(in *sdk.CreateTableInput) { in.GlobalSecondaryIndexes[2].Projection.NonKeyAttributes = nil }, "NonKeyAttributes is not specified"},
		{"include with all", func(in *sdk.CreateTableInput) {
			in.GlobalSecondaryIndexes[0].Projection.NonKeyAttributes = []string{"x"}
		}, "ProjectionType is ALL, but NonKeyAttributes is specified"},
		{"stream without view", func(in *sdk.CreateTableInput) { in.StreamSpecification.StreamViewType = "" }, "StreamViewType is required"},
	}
	c, _ := newSubject(t)
	for _, tc := range cases {
		in := mainTable("valid-name")
		tc.change(in)
		_, err := c.CreateTable(context.Background(), in)
		t.Run(tc.name, func(t *testing.T) { wantError(t, err, "ValidationException", tc.text) })
	}
}

func TestTimeToLive(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	c, _ := newSubject(t)
	table := createMain(t, c)
	set := func(attr string, on bool) error {
		_, err := c.UpdateTimeToLive(ctx, &sdk.UpdateTimeToLiveInput{TableName: &table,
			TimeToLiveSpecification: &types.TimeToLiveSpecification{AttributeName: &attr, Enabled: &on}})
		return err
	}
	want := func(status types.TimeToLiveStatus) {
		t.Helper()
		out, err := c.DescribeTimeToLive(ctx, &sdk.DescribeTimeToLiveInput{TableName: &table})
		if err != nil {
			t.Fatal(err)
		}
		if got := out.TimeToLiveDescription.TimeToLiveStatus; got != status {
			t.Fatalf("got %s, want %s", got, status)
		}
	}
	want(types.TimeToLiveStatusDisabled)
	wantError(t, set("purge_at", false), "ValidationException", "TimeToLive is already disabled")
	if err := set("purge_at", true); err != nil {
		t.Fatal(err)
	}
	want(types.TimeToLiveStatusEnabled)
	wantError(t, set("purge_at", true), "ValidationException", "TimeToLive is already enabled")
	wantError(t, set("other", true), "ValidationException", "active on a different AttributeName")
	if err := set("purge_at", false); err != nil {
		t.Fatal(err)
	}
	want(types.TimeToLiveStatusDisabled)
	// The table works on after its definition changed.
	put(t, c, table, pksk("a", "b"))
	wantItem(t, fetch(t, c, table, pksk("a", "b")), map[string]string{"PK": "a", "SK": "b"})
}
