package dynamodb

import (
	"context"
	"net/http"
	"testing"
)

// FuzzServe holds that no request, however bad, is answered with a fault of the
// server's own.
func FuzzServe(f *testing.F) {
	targets := sortedKeys(operations)
	for i, body := range []string{
		`{"TableName":"main-table","Key":{"PK":{"S":"a"},"SK":{"S":"b"}},"ProjectionExpression":"a[0].b, #c","ExpressionAttributeNames":{"#c":"c"}}`,
		`{"TableName":"main-table","Item":{"PK":{"S":"a"},"SK":{"S":"b"},"n":{"N":"1"}},"ConditionExpression":"attribute_not_exists(PK) OR n < :n","ExpressionAttributeValues":{":n":{"N":"2"}}}`,
		`{"TableName":"main-table","Key":{"PK":{"S":"a"},"SK":{"S":"b"}},"UpdateExpression":"SET x = if_not_exists(x, :n) + :n REMOVE y ADD z :n","ExpressionAttributeValues":{":n":{"N":"2"}},"ReturnValues":"UPDATED_NEW"}`,
		`{"TableName":"main-table","IndexName":"G1all","KeyConditionExpression":"G1PK = :q AND G1SK BETWEEN :a AND :b","FilterExpression":"size(x) > :a","ExpressionAttributeValues":{":q":{"S":"q"},":a":{"N":"1"},":b":{"N":"2"}},"Limit":1}`,
		`{"TransactItems":[{"Put":{"TableName":"main-table","Item":{"PK":{"S":"a"},"SK":{"S":"b"}}}},{"Delete":{"TableName":"main-table","Key":{"PK":{"S":"a"},"SK":{"S":"c"}}}}],"ClientRequestToken":"t"}`,
		`{"RequestItems":{"main-table":[{"PutRequest":{"Item":{"PK":{"S":"a"},"SK":{"S":"b"}}}}]}}`,
		`{"RequestItems":{"main-table":{"Keys":[{"PK":{"S":"a"},"SK":{"S":"b"}}]}}}`,
		`{"TableName":"t-1","KeySchema":[{"AttributeName":"a","KeyType":"HASH"}],"AttributeDefinitions":[{"AttributeName":"a","AttributeType":"S"}],"BillingMode":"PAY_PER_REQUEST"}`,
		`{"ShardIterator":"x|1|AAAA"}`,
	} {
		for n := range targets {
			if (n+i)%3 == 0 {
				f.Add(n, body)
			}
		}
	}
	c, s := newClient(f)
	createMain(f, c)
	f.Fuzz(func(t *testing.T, op int, body string) {
		target := targets[uint(op)%uint(len(targets))]
		status, answer, err := s.serve(context.Background(), target, body)
		if err != nil || status >= http.StatusInternalServerError {
			t.Errorf("%s %q: %d %s, %v", target, body, status, answer, err)
		}
	})
}
