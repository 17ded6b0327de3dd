package dynamodb

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

func TestPutReturnsOld(t *testing.T) {
	t.Parallel()
	c, _ := newSubject(t)
	table := createMain(t, c)
	for i, want := range []map[string]string{nil, {"PK": "a", "SK": "b", "n": "#0"}} {
		it := pksk("a", "b")
		it["n"] = num([]string{"0", "1"}[i])
		out, err := c.PutItem(context.Background(), &sdk.PutItemInput{TableName: &table, Item: it, ReturnValues: types.ReturnValueAllOld})
		if err != nil {
			t.Fatal(err)
		}
		wantItem(t, out.Attributes, want)
	}
	wantItem(t, fetch(t, c, table, pksk("a", "b")), map[string]string{"PK": "a", "SK": "b", "n": "#1"})
}

func TestUpdateReturnValues(t *testing.T) {
	t.Parallel()
	c, _ := newSubject(t)
	table := createMain(t, c)
	cases := map[types.ReturnValue]map[string]string{
		types.ReturnValueNone:       nil,
		types.ReturnValueAllOld:     {"PK": "a", "SK": "b", "n": "#1", "kept": "k"},
		types.ReturnValueAllNew:     {"PK": "a", "SK": "b", "n": "#3", "kept": "k", "new": "x"},
		types.ReturnValueUpdatedOld: {"n": "#1"},
		types.ReturnValueUpdatedNew: {"n": "#3", "new": "x"},
	}
	for rv, want := range cases {
		put(t, c, table, item{"PK": str("a"), "SK": str("b"), "n": num("1"), "kept": str("k")})
		out, err := c.UpdateItem(context.Background(), &sdk.UpdateItemInput{
			TableName: &table, Key: pksk("a", "b"), ReturnValues: rv,
			UpdateExpression:          aws.String("SET #new = :x ADD n :two"),
			ExpressionAttributeNames:  map[string]string{"#new": "new"},
			ExpressionAttributeValues: item{":x": str("x"), ":two": num("2")},
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := plain(out.Attributes); len(got) != len(want) {
			t.Errorf("%s: got %v, want %v", rv, got, want)
		} else {
			wantItem(t, out.Attributes, want)
		}
	}
}

func TestUpdateMakesItem(t *testing.T) {
	t.Parallel()
	c, _ := newSubject(t)
	table := createMain(t, c)
	ctx := context.Background()
	_, err := c.UpdateItem(ctx, &sdk.UpdateItemInput{TableName: &table, Key: pksk("only", "key")})
	if err != nil {
		t.Fatal(err)
	}
	wantItem(t, fetch(t, c, table, pksk("only", "key")), map[string]string{"PK": "only", "SK": "key"})
	_, err = c.UpdateItem(ctx, &sdk.UpdateItemInput{
		TableName: &table, Key: pksk("a", "b"), UpdateExpression: aws.String("ADD n :one"), ExpressionAttributeValues: item{":one": num("1")},
	})
	if err != nil {
		t.Fatal(err)
	}
	wantItem(t, fetch(t, c, table, pksk("a", "b")), map[string]string{"PK": "a", "SK": "b", "n": "#1"})
	// What it writes may be taken from the key.
	_, err = c.UpdateItem(ctx, &sdk.UpdateItemInput{TableName: &table, Key: pksk("c", "d"), UpdateExpression: aws.String("SET copied = SK")})
	if err != nil {
		t.Fatal(err)
	}
	wantItem(t, fetch(t, c, table, pksk("c", "d")), map[string]string{"PK": "c", "SK": "d", "copied": "d"})
}

func TestUpdateThatOnlyRemoves(t *testing.T) {
	t.Parallel()
	c, _ := newSubject(t)
	table := createMain(t, c)
	for _, update := range []string{"REMOVE n", "DELETE n :set"} {
		var values item
		if strings.Contains(update, ":set") {
			values = item{":set": &types.AttributeValueMemberSS{Value: []string{"a"}}}
		}
		out, err := c.UpdateItem(context.Background(), &sdk.UpdateItemInput{TableName: &table, Key: pksk("none", "s"), UpdateExpression: &update,
			ExpressionAttributeValues: values, ReturnValues: types.ReturnValueAllNew})
		if err != nil {
			t.Fatal(err)
		}
		agree(t, "an update that only removes", strings.Join(sortedKeys(out.Attributes), " "), "")
		agree(t, "an update that only removes", strings.Join(sortedKeys(fetch(t, c, table, pksk("none", "s"))), " "), "")
	}
}

func TestDelete(t *testing.T) {
	t.Parallel()
	c, _ := newSubject(t)
	table := createMain(t, c)
	ctx := context.Background()
	put(t, c, table, pksk("a", "b"))
	for _, want := range []map[string]string{{"PK": "a", "SK": "b"}, nil} {
		out, err := c.DeleteItem(ctx, &sdk.DeleteItemInput{TableName: &table, Key: pksk("a", "b"), ReturnValues: types.ReturnValueAllOld})
		if err != nil {
			t.Fatal(err)
		}
		wantItem(t, out.Attributes, want)
	}
	wantItem(t, fetch(t, c, table, pksk("a", "b")), nil)
}

func TestConditionFails(t *testing.T) {
	t.Parallel()
	c, _ := newSubject(t)
	table := createMain(t, c)
	ctx := context.Background()
	put(t, c, table, item{"PK": str("a"), "SK": str("b"), "n": num("1")})
	absent := aws.String("attribute_not_exists(PK)")
	calls := map[string]func(types.ReturnValuesOnConditionCheckFailure) error{
		"put": func(rv types.ReturnValuesOnConditionCheckFailure) error {
			_, err := c.PutItem(ctx, &sdk.PutItemInput{TableName: &table, Item: pksk("a", "b"), ConditionExpression: absent, ReturnValuesOnConditionCheckFailure: rv})
			return err
		},
		"update": func(rv types.ReturnValuesOnConditionCheckFailure) error {
			_, err := c.UpdateItem(ctx, &sdk.UpdateItemInput{TableName: &table, Key: pksk("a", "b"), UpdateExpression: aws.String("REMOVE n"), ConditionExpression: absent, ReturnValuesOnConditionCheckFailure: rv})
			return err
		},
		"delete": func(rv types.ReturnValuesOnConditionCheckFailure) error {
			_, err := c.DeleteItem(ctx, &sdk.DeleteItemInput{TableName: &table, Key: pksk("a", "b"), ConditionExpression: absent, ReturnValuesOnConditionCheckFailure: rv})
			return err
		},
	}
	for name, call := range calls {
		for _, rv := range []types.ReturnValuesOnConditionCheckFailure{"", "NONE", "ALL_OLD"} {
			var failed *types.ConditionalCheckFailedException
			if err := call(rv); !errors.As(err, &failed) {
				t.Fatalf("%s %s: got %v", name, rv, err)
			}
			if got := *failed.Message; got != "The conditional request failed" {
				t.Errorf("%s: message %q", name, got)
			}
			var want map[string]string
			if rv == "ALL_OLD" {
				want = map[string]string{"PK": "a", "SK": "b", "n": "#1"}
			}
			wantItem(t, failed.Item, want)
		}
	}
	wantItem(t, fetch(t, c, table, pksk("a", "b")), map[string]string{"PK": "a", "SK": "b", "n": "#1"})
}

func TestBadItems(t *testing.T) {
	t.Parallel()
	c, _ := newSubject(t)
	table := createMain(t, c)
	with := func(name string, v types.AttributeValue) item {
		it := pksk("a", "b")
		it[name] = v
		return it
	}
	cases := []struct {
		name string
		item item
		text string
	}{
		{"missing key", item{"PK": str("a")}, "Missing the key SK in the item"},
		{"wrong key type", item{"PK": num("1"), "SK": str("b")}, "Type mismatch for key PK expected: S actual: N"},
		{"empty key", pksk("", "b"), "cannot contain an empty string value. Key: PK"},
		{"long hash", pksk(strings.Repeat("x", 2049), "b"), "Size of hashkey has exceeded"},
		{"long range", pksk("a", strings.Repeat("x", 1025)), "Aggregated size of all range keys"},
		{"wrong index type", with("G1SK", str("1")), "Type mismatch for Index Key G1SK Expected: N Actual: S IndexName: G1all"},
		{"empty index key", with("G1PK", str("")), "IndexName: G1all, IndexKey: G1PK"},
		{"too large", with("x", str(strings.Repeat("x", 400<<10))), "Item size has exceeded the maximum allowed size"},
		{"bad number", with("x", num("1x")), "numeric value"},
	}
	for _, tc := range cases {
		_, err := c.PutItem(context.Background(), &sdk.PutItemInput{TableName: &table, Item: tc.item})
		t.Run(tc.name, func(t *testing.T) { wantError(t, err, "ValidationException", tc.text) })
	}
}

func TestBadUpdates(t *testing.T) {
	t.Parallel()
	c, _ := newSubject(t)
	table := createMain(t, c)
	put(t, c, table, item{"PK": str("a"), "SK": str("b"), "s": str("text"), "big": str(strings.Repeat("x", 399<<10))})
	cases := []struct{ name, update, code, text string }{
		{"key", "SET PK = :s", "ValidationException", "Cannot update attribute PK. This attribute is part of the key"},
		{"index type", "SET G1SK = :s", "ValidationException", "Type mismatch for Index Key G1SK Expected: N Actual: S"},
		{"type", "ADD s :n", "ValidationException", ""},
		{"grows", "SET more = :big", "ValidationException", "Item size to update has exceeded the maximum allowed size"},
	}
	for _, tc := range cases {
		values := item{}
		for name, v := range (item{":s": str("x"), ":n": num("1"), ":big": str(strings.Repeat("x", 2<<10))}) {
			if strings.Contains(tc.update, name) {
				values[name] = v
			}
		}
		_, err := c.UpdateItem(context.Background(), &sdk.UpdateItemInput{
			TableName: &table, Key: pksk("a", "b"), UpdateExpression: &tc.update, ExpressionAttributeValues: values,
		})
		t.Run(tc.name, func(t *testing.T) { wantError(t, err, tc.code, tc.text) })
	}
}

func TestBadRequests(t *testing.T) {
	t.Parallel()
	c, _ := newSubject(t)
	table := createMain(t, c)
	ctx := context.Background()
	_, err := c.GetItem(ctx, &sdk.GetItemInput{TableName: aws.String("nowhere"), Key: pksk("a", "b")})
	wantError(t, err, "ResourceNotFoundException", "Requested resource not found")
	_, err = c.GetItem(ctx, &sdk.GetItemInput{TableName: &table, Key: item{"PK": str("a")}})
	wantError(t, err, "ValidationException", "The provided key element does not match the schema")
	_, err = c.PutItem(ctx, &sdk.PutItemInput{TableName: &table, Item: pksk("a", "b"), ReturnValues: types.ReturnValueAllNew})
	wantError(t, err, "ValidationException", "ReturnValues can only be ALL_OLD or NONE")
	_, err = c.PutItem(ctx, &sdk.PutItemInput{TableName: &table, Item: pksk("a", "b"), ReturnValues: "X", ReturnConsumedCapacity: "Y"})
	wantError(t, err, "ValidationException", "2 validation errors detected")
	_, err = c.PutItem(ctx, &sdk.PutItemInput{TableName: &table, Item: pksk("a", "b"), ExpressionAttributeValues: item{":v": str("x")}})
	wantError(t, err, "ValidationException", "ExpressionAttributeValues can only be specified when using expressions: ConditionExpression is null")
	_, err = c.GetItem(ctx, &sdk.GetItemInput{TableName: &table, Key: pksk("a", "b"), ProjectionExpression: aws.String("x"), ExpressionAttributeNames: map[string]string{"#u": "u"}})
	wantError(t, err, "ValidationException", "Value provided in ExpressionAttributeNames unused in expressions: keys: {#u}")
}

func TestGetProjection(t *testing.T) {
	t.Parallel()
	c, _ := newSubject(t)
	table := createMain(t, c)
	put(t, c, table, item{"PK": str("a"), "SK": str("b"), "m": &types.AttributeValueMemberM{Value: item{"x": str("1"), "y": str("2")}}, "n": num("1")})
	out, err := c.GetItem(context.Background(), &sdk.GetItemInput{
		TableName: &table, Key: pksk("a", "b"), ProjectionExpression: aws.String("n, m.#x"), ExpressionAttributeNames: map[string]string{"#x": "x"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out.Item) != 2 || len(out.Item["m"].(*types.AttributeValueMemberM).Value) != 1 {
		t.Fatalf("got %v", out.Item)
	}
}
