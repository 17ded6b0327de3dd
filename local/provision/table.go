// Package provision makes what a template describes exist on a server: what
// CloudFormation does in the cloud.
package provision

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/bloom-runtime/bloom/local/template"
)

// activeWithin bounds the wait for a new table to become active.
const activeWithin = 30 * time.Second

// Table creates the table with its indexes, stream and TTL, unless it exists. It
// may be called again: what a crash left half done is completed.
func Table(ctx context.Context, db *dynamodb.Client, t template.Table) error {
	_, err := db.CreateTable(ctx, tableInput(t))
	var exists *types.ResourceInUseException
	if err != nil && !errors.As(err, &exists) {
		return fmt.Errorf("create table %s: %w", t.Name, err)
	}
	waiter := dynamodb.NewTableExistsWaiter(db, func(o *dynamodb.TableExistsWaiterOptions) {
		o.MinDelay, o.MaxDelay = 50*time.Millisecond, time.Second
	})
	if err := waiter.Wait(ctx, &dynamodb.DescribeTableInput{TableName: &t.Name}, activeWithin); err != nil {
		return fmt.Errorf("table %s is not active: %w", t.Name, err)
	}
	return expiry(ctx, db, t)
}

func expiry(ctx context.Context, db *dynamodb.Client, t template.Table) error {
	if t.TTLAttribute == "" {
		return nil
	}
	now, err := db.DescribeTimeToLive(ctx, &dynamodb.DescribeTimeToLiveInput{TableName: &t.Name})
	if err != nil {
		return fmt.Errorf("expiry of table %s: %w", t.Name, err)
	}
	if s := now.TimeToLiveDescription.TimeToLiveStatus; s == types.TimeToLiveStatusEnabled || s == types.TimeToLiveStatusEnabling {
		return nil
	}
	_, err = db.UpdateTimeToLive(ctx, &dynamodb.UpdateTimeToLiveInput{TableName: &t.Name,
		TimeToLiveSpecification: &types.TimeToLiveSpecification{AttributeName: &t.TTLAttribute, Enabled: aws.Bool(true)}})
	if err != nil {
		return fmt.Errorf("expiry of table %s: %w", t.Name, err)
	}
	return nil
}

func tableInput(t template.Table) *dynamodb.CreateTableInput {
	in := &dynamodb.CreateTableInput{TableName: &t.Name, BillingMode: types.BillingModePayPerRequest,
		KeySchema: keySchema(t.HashKey, t.RangeKey)}
	for name, kind := range t.Attributes {
		in.AttributeDefinitions = append(in.AttributeDefinitions,
			types.AttributeDefinition{AttributeName: aws.String(name), AttributeType: types.ScalarAttributeType(kind)})
	}
	sort.Slice(in.AttributeDefinitions, func(a, b int) bool {
		return *in.AttributeDefinitions[a].AttributeName < *in.AttributeDefinitions[b].AttributeName
	})
	for _, i := range t.Indexes {
		in.GlobalSecondaryIndexes = append(in.GlobalSecondaryIndexes, types.GlobalSecondaryIndex{
			IndexName: aws.String(i.Name), KeySchema: keySchema(i.HashKey, i.RangeKey),
			Projection: &types.Projection{ProjectionType: types.ProjectionType(i.Projection), NonKeyAttributes: i.Include},
		})
	}
	if t.StreamView != "" {
		in.StreamSpecification = &types.StreamSpecification{StreamEnabled: aws.Bool(true), StreamViewType: types.StreamViewType(t.StreamView)}
	}
	return in
}

func keySchema(hash, ranged string) []types.KeySchemaElement {
	keys := []types.KeySchemaElement{{AttributeName: aws.String(hash), KeyType: types.KeyTypeHash}}
	if ranged != "" {
		keys = append(keys, types.KeySchemaElement{AttributeName: aws.String(ranged), KeyType: types.KeyTypeRange})
	}
	return keys
}
