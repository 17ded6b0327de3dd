package dynamodb

import (
	"context"
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

func TestSmoke(t *testing.T) {
	t.Parallel()
	c, _ := newClient(t)
	table := createMain(t, c)
	it := pksk("a", "b")
	it["x"] = str("y")
	put(t, c, table, it)
	if got := fetch(t, c, table, pksk("a", "b")); got["x"].(*types.AttributeValueMemberS).Value != "y" {
		t.Fatalf("got %v", got)
	}
	_, err := c.DeleteItem(context.Background(), &sdk.DeleteItemInput{TableName: &table, Key: pksk("a", "b")})
	if err != nil {
		t.Fatal(err)
	}
	if got := fetch(t, c, table, pksk("a", "b")); got != nil {
		t.Fatalf("got %v", got)
	}
}
