package dynamodb

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// nestedList is an item's attribute of so many levels.
func nestedList(levels int) types.AttributeValue {
	v := str("x")
	for range levels - 1 {
		v = &types.AttributeValueMemberL{Value: []types.AttributeValue{v}}
	}
	return v
}

// TestLimits is what just fits, and what just does not.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
func TestLimits(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	c, _ := newSubject(t)
	table := createMain(t, c)
	putWith := func(name string, v types.AttributeValue) func() error {
		return func() error {
			it := pksk("a", "b")
			it[name] = v
			_, err := c.PutItem(ctx, &sdk.PutItemInput{TableName: &table, Item: it})
			return err
		}
	}
	putKey := func(pk, sk string) func() error {
		return func() error {
			_, err := c.PutItem(ctx, &sdk.PutItemInput{TableName: &table, Item: pksk(pk, sk)})
			return err
		}
	}
	condition := func(text string) func() error {
		return func() error {
			_, err := c.DeleteItem(ctx, &sdk.DeleteItemInput{TableName: &table, Key: pksk("none", "s"), ConditionExpression: &text})
			return err
		}
	}
	token := func(s string) func() error {
		return func() error { return transact(c, &s, putAction(table, pksk("token", "s"), "")) }
	}
	long := func(n int) string { return strings.Repeat("x", n) }
	placeholder := func(n int) func() error {
		return func() error {
			name, val := "#"+long(n-1), ":"+long(n-1)
			_, err := c.DeleteItem(ctx, &sdk.DeleteItemInput{TableName: &table, Key: pksk("none", "s"), ConditionExpression: aws.String("NOT " + name + " = " + val),
				ExpressionAttributeNames: map[string]string{name: "x"}, ExpressionAttributeValues: item{val: str("x")}})
			return err
		}
	}
	ok, invalid := "", "ValidationException"
	// PK, SK and x are 2+1, 2+1 and 1 byte.
	cases := []struct {
		name string
		call func() error
		code string
		text string
	}{
		{"item of 400 KB", putWith("x", str(long(400<<10-7))), ok, ""},
		{"larger item", putWith("x", str(long(400<<10-6))), invalid, "Item size has exceeded the maximum allowed size"},
		{"hash key of 2 KB", putKey(long(2048), "s"), ok, ""},
		{"longer hash key", putKey(long(2049), "s"), invalid, ""},
		{"sort key of 1 KB", putKey("p", long(1024)), ok, ""},
		{"longer sort key", putKey("p", long(1025)), invalid, ""},
		{"name of 64 KB", putWith(long(65535), num("1")), ok, ""},
		{"longer name", putWith(long(65536), num("1")), invalid, "Attribute name is too large, must be less than 65536 bytes"},
		{"empty name", putWith("", num("1")), invalid, "Empty attribute name"},
		{"32 levels", putWith("x", nestedList(32)), ok, ""},
		{"33 levels", putWith("x", nestedList(33)), invalid, "Nesting Levels have exceeded supported limits"},
		{"38 digits", putWith("x", num("1."+strings.Repeat("2", 37))), ok, ""},
		{"39 digits", putWith("x", num("1."+strings.Repeat("2", 38))), invalid, "more than 38 significant digits"},
		{"largest number", putWith("x", num("9.9999999999999999999999999999999999999E+125")), ok, ""},
		{"larger number", putWith("x", num("1E+126")), invalid, "Number overflow"},
		{"smallest number", putWith("x", num("-1E-130")), ok, ""},
		{"smaller number", putWith("x", num("1E-131")), invalid, "Number underflow"},
		{"empty string", putWith("x", str("")), ok, ""},
		{"empty set", putWith("x", &types.AttributeValueMemberSS{}), invalid, ""},
		{"set with duplicates", putWith("x", &types.AttributeValueMemberNS{Value: []string{"1", "1.0"}}), invalid, "contains duplicates"},
		{"NULL of false", putWith("x", &types.AttributeValueMemberNULL{}), invalid, "must have the value of true"},
		{"expression of 4 KB", condition("attribute_not_exists(PK)" + long(0) + strings.Repeat(" ", 4096-24)), ok, ""},
		{"longer expression", condition("attribute_not_exists(PK)" + strings.Repeat(" ", 4097-24)), invalid, "Expression size has exceeded the maximum allowed size"},
		{"300 operators", condition(strings.Repeat("NOT ", 299) + "attribute_exists(PK)"), ok, ""},
		{"301 operators", condition(strings.Repeat("NOT ", 301) + "attribute_exists(PK)"), invalid, "too many operators"},
		{"placeholder of 255", placeholder(255), ok, ""},
		{"longer placeholder", placeholder(256), invalid, "contains a key that is too long; size of key: 256"},
		{"values over 2 MB", func() error {
			values := item{}
			for i := range 6 {
				values[fmt.Sprint(":v", i)] = str(long(400 << 10))
			}
			_, err := c.DeleteItem(ctx, &sdk.DeleteItemInput{TableName: &table, Key: pksk("none", "s"),
				ConditionExpression: aws.String("NOT x IN (:v0, :v1, :v2, :v3, :v4, :v5)"), ExpressionAttributeValues: values})
			return err
		}, invalid, "ExpressionAttributeValues exceeds max size"},
		{"empty index key by update", func() error {
			_, err := c.UpdateItem(ctx, &sdk.UpdateItemInput{TableName: &table, Key: pksk("a", "b"), UpdateExpression: aws.String("SET G1PK = :e"),
				ExpressionAttributeValues: item{":e": str("")}})
			return err
		}, invalid, "The update expression attempted to update a secondary index key to a value that is not supported"},
		{"update of a key in a transaction", func() error {
			return transact(c, nil, types.TransactWriteItem{Update: &types.Update{TableName: &table, Key: pksk("a", "b"),
				UpdateExpression: aws.String("SET PK = :e"), ExpressionAttributeValues: item{":e": str("x")}}})
		}, "TransactionCanceledException", "[ValidationError]"},
		{"short table name", func() error {
			_, err := c.GetItem(ctx, &sdk.GetItemInput{TableName: aws.String("xx"), Key: pksk("a", "b")})
			return err
		}, invalid, "must be between 3 and 255 characters long"},
		{"token of 36", token(long(36)), ok, ""},
		{"longer token", token(long(37)), invalid, "length less than or equal to 36"},
		{"empty token", token(""), invalid, "length greater than or equal to 1"},
		{"empty key in a transaction", func() error { return transact(c, nil, putAction(table, pksk("", "s"), "")) }, invalid, "cannot contain an empty string value. Key: PK"},
		{"wrong key in a batch", func() error { return batchWrite(c, table, putRequest(item{"PK": num("1"), "SK": str("s")})) }, invalid, "does not match the schema"},
		{"transaction over 4 MB", func() error {
			var actions []types.TransactWriteItem
			for i := range 11 {
				it := pksk("big", fmt.Sprint(i))
				it["x"] = str(long(390 << 10))
				actions = append(actions, putAction(table, it, ""))
			}
			return transact(c, nil, actions...)
		}, invalid, ""},
		{"start outside of the segment", func() error {
			for segment := range int32(2) {
				_, err := c.Scan(ctx, &sdk.ScanInput{TableName: &table, Segment: &segment, TotalSegments: aws.Int32(2), ExclusiveStartKey: pksk("q", "s")})
				if err != nil {
					return err // of one of the two
				}
			}
			return nil
		}, invalid, "Please use ExclusiveStartKey with correct Segment"},
	}
	for _, tc := range cases {
		err := tc.call()
		t.Run(tc.name, func(t *testing.T) {
			if tc.code != ok {
				wantError(t, err, tc.code, tc.text)
			} else if err != nil {
				agree(t, t.Name(), errorName(err), "no error")
			}
		})
	}
}
