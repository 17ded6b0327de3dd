// Package secret reads and writes values in AWS Secrets Manager, or in the server embedded in the local program that speaks
// its protocol. It is the only importer of service/secretsmanager.
package secret

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
)

// ErrNotFound means that there is no secret of that name, or that it has no value yet.
var ErrNotFound = errors.New("no such secret")

// callTimeout bounds one call with its retries.
const callTimeout = 5 * time.Second

// Store is safe for concurrent use.
type Store struct {
	client *secretsmanager.Client
}

// Open makes the client; it makes no call. See awsconf.FromEnv(awsconf.SecretsManager).
func Open(cfg aws.Config) *Store {
	return &Store{client: secretsmanager.NewFromConfig(cfg)}
}

// Get returns the current value of the secret with that name or ARN. Errors: ErrNotFound. No error carries the value.
func (s *Store) Get(ctx context.Context, id string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	out, err := s.client.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &id})
	if err != nil {
		return "", fmt.Errorf("get secret %s: %w", id, translate(err))
	}
	return aws.ToString(out.SecretString), nil
}

// Put makes value the secret's current value. The secret itself must exist: the stack creates it. Errors: ErrNotFound.
func (s *Store) Put(ctx context.Context, id, value string) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	_, err := s.client.PutSecretValue(ctx, &secretsmanager.PutSecretValueInput{SecretId: &id, SecretString: &value})
	if err != nil {
		return fmt.Errorf("put secret %s: %w", id, translate(err))
	}
	return nil
}

func translate(err error) error {
	if _, ok := errors.AsType[*types.ResourceNotFoundException](err); ok {
		return ErrNotFound
	}
	return err
}
