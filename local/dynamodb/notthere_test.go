package dynamodb

import (
	"context"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// TestNotThere holds that what this server leaves out says so.
func TestNotThere(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	c, _ := newClient(t)
	table := createMain(t, c)
	unknown, invalid := "UnknownOperationException", "ValidationException"
	for _, tc := range []struct {
		code, text string
		call       func() error
	}{
		{unknown, "ExecuteStatement is not supported", func() error {
			_, err := c.ExecuteStatement(ctx, &sdk.ExecuteStatementInput{Statement: aws.String("SELECT * FROM x")})
			return err
		}},
		{unknown, "UpdateTable is not supported", func() error {
			_, err := c.UpdateTable(ctx, &sdk.UpdateTableInput{TableName: &table})
			return err
		}},
		{unknown, "TagResource is not supported", func() error {
			_, err := c.TagResource(ctx, &sdk.TagResourceInput{ResourceArn: aws.String("arn"), Tags: []types.Tag{}})
			return err
		}},
		{unknown, "CreateBackup is not supported", func() error {
			_, err := c.CreateBackup(ctx, &sdk.CreateBackupInput{TableName: &table, BackupName: aws.String("b-1")})
			return err
		}},
		{invalid, "Local secondary indexes are not supported", func() error {
			in := mainTable("with-local-index")
			in.LocalSecondaryIndexes = []types.LocalSecondaryIndex{{IndexName: aws.String("local"), KeySchema: keys("PK", "SK"),
				Projection: &types.Projection{ProjectionType: types.ProjectionTypeAll}}}
			_, err := c.CreateTable(ctx, in)
			return err
		}},
		{invalid, "legacy parameter Expected is not supported", func() error {
			_, err := c.PutItem(ctx, &sdk.PutItemInput{TableName: &table, Item: pksk("a", "b"),
				Expected: map[string]types.ExpectedAttributeValue{"PK": {Exists: aws.Bool(false)}}})
			return err
		}},
		{invalid, "legacy parameter KeyConditions is not supported", func() error {
			_, err := c.Query(ctx, &sdk.QueryInput{TableName: &table, KeyConditions: map[string]types.Condition{
				"PK": {ComparisonOperator: types.ComparisonOperatorEq, AttributeValueList: []types.AttributeValue{str("a")}}}})
			return err
		}},
	} {
		t.Run(tc.text, func(t *testing.T) { wantOurs(t, tc.call(), tc.code, tc.text) })
	}
}
