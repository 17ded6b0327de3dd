package dynamodb_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/bloom-runtime/bloom/local/dynamodb"
)

func Example() {
	dir, err := os.MkdirTemp("", "table")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	server, err := dynamodb.Open(dir, dynamodb.Options{OnFatal: func(err error) { log.Fatal(err) }})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = server.Close() }()

	// The SDK's client calls the server in process; nothing is signed or sent.
	client := sdk.New(sdk.Options{
		Region:       "us-east-1",
		BaseEndpoint: aws.String("http://in.process"),
		Credentials:  aws.AnonymousCredentials{},
		HTTPClient:   server.HTTPClient(),
	})
	ctx := context.Background()
	table := aws.String("greetings")
	_, err = client.CreateTable(ctx, &sdk.CreateTableInput{
		TableName:            table,
		BillingMode:          types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String("id"), AttributeType: types.ScalarAttributeTypeS}},
		KeySchema:            []types.KeySchemaElement{{AttributeName: aws.String("id"), KeyType: types.KeyTypeHash}},
	})
	if err != nil {
		log.Fatal(err)
	}
	_, err = client.PutItem(ctx, &sdk.PutItemInput{TableName: table, Item: map[string]types.AttributeValue{
		"id": &types.AttributeValueMemberS{Value: "1"}, "text": &types.AttributeValueMemberS{Value: "hello"},
	}})
	if err != nil {
		log.Fatal(err)
	}
	out, err := client.GetItem(ctx, &sdk.GetItemInput{TableName: table, Key: map[string]types.AttributeValue{"id": &types.AttributeValueMemberS{Value: "1"}}})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(out.Item["text"].(*types.AttributeValueMemberS).Value)
	// Output: hello
}
