package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/bloom-runtime/bloom/local/datadir"
	"github.com/bloom-runtime/bloom/local/dynamodb"
	"github.com/bloom-runtime/bloom/local/objects"
	"github.com/bloom-runtime/bloom/local/provision"
	"github.com/bloom-runtime/bloom/local/secrets"
	"github.com/bloom-runtime/bloom/local/template"
	"github.com/bloom-runtime/bloom/shared/awsconf"
	"github.com/bloom-runtime/bloom/shared/blob"
	"github.com/bloom-runtime/bloom/shared/secret"
)

// resourceNames are the names of the template's stores by logical id, as CloudFormation would make them: stack and logical id.
func resourceNames(s *template.Stack) map[string]string {
	names := map[string]string{}
	for _, t := range s.Tables {
		names[t.LogicalID] = "bloom-" + t.LogicalID
	}
	for _, b := range s.Buckets {
		names[b.LogicalID] = "bloom-" + strings.ToLower(b.LogicalID)
	}
	for _, x := range s.Secrets {
		names[x.LogicalID] = "bloom-" + x.LogicalID
	}
	return names
}

// openStores opens the embedded servers, or reaches the others, and makes what the template says lies in them. It returns
// beside the stores what the gateway hands out of them: the bucket's presigned links, when the bucket is embedded.
func openStores(ctx context.Context, s settings, stack *template.Stack, data *datadir.Dir, origin string, fail context.CancelCauseFunc, undo *closers) (stores, map[string]http.Handler, error) {
	var at stores
	var err error
	if at.dynamodb, at.table, err = openDynamoDB(s, data, fail, undo); err != nil { //nolint:contextcheck // the store outlives ctx
		return at, nil, err
	}
	for _, t := range stack.Tables {
		if err := provision.Table(ctx, at.dynamodb, t); err != nil {
			return at, nil, outside("DynamoDB", "-dynamodb", s.DynamoDB, err)
		}
	}
	mounts := map[string]http.Handler{}
	if at.objects, err = openObjects(s, data, fail, undo); err != nil { //nolint:contextcheck // as above
		return at, nil, err
	}
	at.s3, at.publicS3 = reachS3(s, stack, at.objects, origin, mounts)
	for _, b := range stack.Buckets {
		if err := ensureBucket(ctx, at.s3, b.Name); err != nil {
			return at, nil, outside("S3", "-s3", s.S3, err)
		}
	}
	at.secrets, err = openSecrets(ctx, s, stack, data)
	return at, mounts, err
}

// outside says which server an error comes from, when it is not an embedded one, and of one that does not answer no more.
func outside(what, flag, url string, err error) error {
	if url == "" {
		return err
	}
	if _, ok := errors.AsType[*net.OpError](err); ok {
		return fmt.Errorf("the %s at %s (%s) does not answer: %w", what, url, flag, plain(err))
	}
	return fmt.Errorf("the %s at %s (%s) cannot be used: %w", what, url, flag, err)
}

func openDynamoDB(s settings, data *datadir.Dir, fail context.CancelCauseFunc, undo *closers) (aws.Config, *dynamodb.Server, error) {
	if s.DynamoDB != "" {
		return awsconf.Build(s.Region, s.DynamoDB, s.AccessKey, s.SecretKey, s.SessionToken, nil), nil, nil
	}
	db, err := dynamodb.Open(data.Path("table"), dynamodb.Options{OnFatal: fail, Faults: s.Faults})
	if err != nil {
		return aws.Config{}, nil, err
	}
	undo.add(db.Close)
	return awsconf.Build(awsconf.DefaultRegion, "http://dynamodb.internal", "", "", "", db.HTTPClient()), db, nil
}

// openObjects opens the embedded S3, or none when it is elsewhere.
func openObjects(s settings, data *datadir.Dir, fail context.CancelCauseFunc, undo *closers) (*objects.Server, error) {
	if s.S3 != "" {
		return nil, nil
	}
	server, err := objects.Open(data.Path("objects"), objects.Options{OnFatal: fail})
	if err != nil {
		return nil, err
	}
	undo.add(server.Close)
	return server, nil
}

// reachS3 says how the functions and the clients outside reach the bucket.
func reachS3(s settings, stack *template.Stack, server *objects.Server, origin string, mounts map[string]http.Handler) (cfg aws.Config, public string) {
	if server == nil {
		return awsconf.Build(s.Region, s.S3, s.AccessKey, s.SecretKey, s.SessionToken, nil), s.PublicS3
	}
	for _, b := range stack.Buckets {
		mounts["/"+b.Name+"/"] = server.Public()
	}
	if s.PublicS3 != "" {
		origin = s.PublicS3
	}
	return server.Config(), origin
}

func ensureBucket(ctx context.Context, cfg aws.Config, name string) error {
	b, err := blob.Open(blob.Config{Name: name, AWS: cfg})
	if err != nil {
		return err
	}
	return b.Ensure(ctx)
}

func openSecrets(ctx context.Context, s settings, stack *template.Stack, data *datadir.Dir) (aws.Config, error) {
	server, err := secrets.Open(data.Path("secrets.json"))
	if err != nil {
		return aws.Config{}, err
	}
	for _, x := range stack.Secrets {
		if err := server.Ensure(ctx, x.Name, x.Value); err != nil {
			return aws.Config{}, err
		}
	}
	store := secret.Open(server.Config())
	for _, f := range stack.Functions {
		if name := f.Env["RUNTIME_API_KEY_SECRET"]; name != "" && s.APIKey != "" {
			if err := store.Put(ctx, name, s.APIKey); err != nil {
				return aws.Config{}, err
			}
		}
	}
	return server.Config(), nil
}

// failedBatches keeps what a stream's function failed on for good, in the template's bucket.
func failedBatches(stack *template.Stack, at stores) (func(ctx context.Context, key string, body []byte) error, error) {
	if len(stack.Buckets) == 0 {
		return nil, nil
	}
	b, err := blob.Open(blob.Config{Name: stack.Buckets[0].Name, AWS: at.s3})
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, key string, body []byte) error {
		return b.Put(ctx, key, body, "application/json")
	}, nil
}
