package dynamodb

import (
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"os"
	"testing"

	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
)

// localURL is where an AWS's DynamoDB Local listens; "" when there is none.
var localURL = os.Getenv("AWS_ENDPOINT_URL_DYNAMODB")

// newSubject opens what a behaviour test holds against AWS's documentation: an
// embedded server or, when AWS_ENDPOINT_URL_DYNAMODB names one, AWS's DynamoDB
// Local. Each test has a database of its own.
func newSubject(t testing.TB) (*sdk.Client, *dynamodbstreams.Client) {
	t.Helper()
	if localURL != "" {
		return localClients()
	}
	c, s := newClient(t)
	return c, streamsClient(s)
}

// localClients returns clients of an empty database in DynamoDB Local: it keeps
// one for each access key.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/DynamoDBLocal.UsageNotes.html
func localClients() (*sdk.Client, *dynamodbstreams.Client) {
	var key [10]byte
	_, _ = rand.Read(key[:]) // never fails
	conf := config(http.DefaultClient, localURL)
	conf.Credentials = credentials.NewStaticCredentialsProvider("A"+hex.EncodeToString(key[:]), "secret", "")
	return sdk.NewFromConfig(conf), dynamodbstreams.NewFromConfig(conf)
}
