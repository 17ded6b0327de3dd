// Package provision makes what a template describes exist on a server: what
// CloudFormation does in the cloud.
package provision

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/bloom-runtime/bloom/local/template"
)

// tableTimeout bounds how long a table may take to become usable.
const tableTimeout = 60 * time.Second

// Table makes the template's table, with its indexes, stream and expiry, where there is none, and refuses one of that name that
// is another. It may be called again: what a crash left half done is completed.
func Table(ctx context.Context, cfg aws.Config, t template.Table) error {
	ctx, cancel := context.WithTimeout(ctx, tableTimeout)
	defer cancel()
	db := dynamodb.NewFromConfig(cfg)
	in := tableInput(t)
	found, err := db.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: &t.Name})
	if _, ok := errors.AsType[*types.ResourceNotFoundException](err); ok {
		if _, err := db.CreateTable(ctx, in); err != nil {
			return fmt.Errorf("create table %s: %w", t.Name, err)
		}
		if err := dynamodb.NewTableExistsWaiter(db, fastWaits).Wait(ctx, &dynamodb.DescribeTableInput{TableName: &t.Name}, tableTimeout); err != nil {
			return fmt.Errorf("wait for table %s: %w", t.Name, err)
		}
	} else if err != nil {
		return fmt.Errorf("look for table %s: %w", t.Name, err)
	} else if !sameTable(in, found.Table) {
		return fmt.Errorf("the table %s has other keys, indexes or stream than the template: its data is of another version; name another folder with -data", t.Name)
	}
	return ensureTTL(ctx, db, t)
}

func fastWaits(o *dynamodb.TableExistsWaiterOptions) {
	o.MinDelay, o.MaxDelay = 50*time.Millisecond, 2*time.Second
}

func ensureTTL(ctx context.Context, db *dynamodb.Client, t template.Table) error {
	if t.TTLAttribute == "" {
		return nil
	}
	now, err := db.DescribeTimeToLive(ctx, &dynamodb.DescribeTimeToLiveInput{TableName: &t.Name})
	if err != nil {
		return fmt.Errorf("look for the expiry of table %s: %w", t.Name, err)
	}
	if d := now.TimeToLiveDescription; d != nil && (d.TimeToLiveStatus == types.TimeToLiveStatusEnabled || d.TimeToLiveStatus == types.TimeToLiveStatusEnabling) {
		return nil
	}
	_, err = db.UpdateTimeToLive(ctx, &dynamodb.UpdateTimeToLiveInput{
		TableName:               &t.Name,
		TimeToLiveSpecification: &types.TimeToLiveSpecification{AttributeName: &t.TTLAttribute, Enabled: aws.Bool(true)},
	})
	if err != nil {
		return fmt.Errorf("set the expiry of table %s: %w", t.Name, err)
	}
	return nil
}

func tableInput(t template.Table) *dynamodb.CreateTableInput {
	in := &dynamodb.CreateTableInput{
		TableName:   &t.Name,
		BillingMode: types.BillingModePayPerRequest,
		KeySchema:   keySchema(t.HashKey, t.RangeKey),
	}
	for _, name := range slices.Sorted(maps.Keys(t.Attributes)) {
		in.AttributeDefinitions = append(in.AttributeDefinitions,
			types.AttributeDefinition{AttributeName: aws.String(name), AttributeType: types.ScalarAttributeType(t.Attributes[name])})
	}
	for _, ix := range t.Indexes {
		in.GlobalSecondaryIndexes = append(in.GlobalSecondaryIndexes, types.GlobalSecondaryIndex{
			IndexName: aws.String(ix.Name), KeySchema: keySchema(ix.HashKey, ix.RangeKey),
			Projection: &types.Projection{ProjectionType: types.ProjectionType(ix.Projection), NonKeyAttributes: ix.Include},
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

// sameTable compares what cannot be changed later, or only with care: keys, indexes and stream.
func sameTable(want *dynamodb.CreateTableInput, got *types.TableDescription) bool {
	shape := func(keys []types.KeySchemaElement) string {
		s := ""
		for _, k := range keys {
			s += string(k.KeyType) + " " + aws.ToString(k.AttributeName) + ";"
		}
		return s
	}
	indexes := map[string]string{}
	for _, ix := range got.GlobalSecondaryIndexes {
		indexes[aws.ToString(ix.IndexName)] = shape(ix.KeySchema) + string(ix.Projection.ProjectionType)
	}
	wanted := map[string]string{}
	for _, ix := range want.GlobalSecondaryIndexes {
		wanted[aws.ToString(ix.IndexName)] = shape(ix.KeySchema) + string(ix.Projection.ProjectionType)
	}
	view := func(s *types.StreamSpecification) types.StreamViewType {
		if s == nil || !aws.ToBool(s.StreamEnabled) {
			return ""
		}
		return s.StreamViewType
	}
	return shape(want.KeySchema) == shape(got.KeySchema) && maps.Equal(wanted, indexes) &&
		view(want.StreamSpecification) == view(got.StreamSpecification)
}
