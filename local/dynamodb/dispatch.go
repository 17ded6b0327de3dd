package dynamodb

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// operation reads a request's body and returns the answer's.
type operation func(s *Server, ctx context.Context, body string) ([]byte, error)

// Prefixes of X-Amz-Target.
const (
	targetDynamo  = "DynamoDB_20120810."
	targetStreams = "DynamoDBStreams_20120810."
)

var operations = map[string]operation{
	targetDynamo + "CreateTable":        (*Server).createTable,
	targetDynamo + "DescribeTable":      (*Server).describeTable,
	targetDynamo + "DeleteTable":        (*Server).deleteTable,
	targetDynamo + "ListTables":         (*Server).listTables,
	targetDynamo + "UpdateTimeToLive":   (*Server).updateTimeToLive,
	targetDynamo + "DescribeTimeToLive": (*Server).describeTimeToLive,
	targetDynamo + "GetItem":            (*Server).getItem,
	targetDynamo + "PutItem":            (*Server).putItem,
	targetDynamo + "UpdateItem":         (*Server).updateItem,
	targetDynamo + "DeleteItem":         (*Server).deleteItem,
	targetDynamo + "Query":              (*Server).query,
	targetDynamo + "Scan":               (*Server).scan,
	targetDynamo + "BatchGetItem":       (*Server).batchGetItem,
	targetDynamo + "BatchWriteItem":     (*Server).batchWriteItem,
	targetDynamo + "TransactGetItems":   (*Server).transactGetItems,
	targetDynamo + "TransactWriteItems": (*Server).transactWriteItems,
	targetStreams + "ListStreams":       (*Server).listStreams,
	targetStreams + "DescribeStream":    (*Server).describeStream,
	targetStreams + "GetShardIterator":  (*Server).getShardIterator,
	targetStreams + "GetRecords":        (*Server).getRecords,
}

// serve answers one request. The error is one of ctx, or errBroken: every other
// failure is an answer.
func (s *Server) serve(ctx context.Context, target string, body string) (status int, answer []byte, err error) {
	if s.faults != nil {
		if err := s.faults.delay(ctx); err != nil {
			return 0, nil, err
		}
	}
	if !s.enter() {
		return errorAnswer(errClosed)
	}
	defer s.leave()
	op := operations[target]
	if op == nil {
		return errorAnswer(unknownOperation(target))
	}
	answer, err = s.call(ctx, op, body)
	if s.faults != nil && err == nil {
		err = s.faults.lose(target)
	}
	switch {
	case err == nil:
		return http.StatusOK, answer, nil
	case ctx.Err() != nil && errors.Is(err, ctx.Err()), errors.Is(err, errBroken):
		return 0, nil, err
	default:
		return errorAnswer(asAPIError(err))
	}
}

// call turns a panic into an error, as net/http does for its handlers: the SDK's
// in-process client has no net/http around it.
func (s *Server) call(ctx context.Context, op operation, body string) (answer []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = internal(fmt.Errorf("the server failed on this request: %v", p))
		}
	}()
	return op(s, ctx, body)
}

func errorAnswer(e *apiError) (int, []byte, error) {
	return e.status, e.appendJSON(nil), nil
}

func unknownOperation(target string) *apiError {
	e := failure("UnknownOperationException", "")
	e.namespace = nsService
	_, name, ok := strings.Cut(target, ".")
	if ok && (strings.HasPrefix(target, targetDynamo) || strings.HasPrefix(target, targetStreams)) {
		e.message = "The operation " + name + " is not supported by this server"
	}
	return e
}
