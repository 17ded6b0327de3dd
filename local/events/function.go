package events

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/google/uuid"

	"github.com/bloom-runtime/bloom/local/template"
)

const (
	region  = "us-east-1"
	account = "000000000000"
)

// function is a Lambda function as its events call it.
type function struct {
	name    string
	arn     string
	handler lambda.Handler
	timeout time.Duration
}

func newFunction(f template.Function, h lambda.Handler) *function {
	return &function{name: f.Name, arn: "arn:aws:lambda:" + region + ":" + account + ":function:" + f.Name, handler: h, timeout: f.Timeout}
}

// invoke calls the function and waits for it. Its context ends with the function's timeout. A panic is an error.
func (f *function) invoke(ctx context.Context, payload []byte) (answer []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	ctx = lambdacontext.NewContext(ctx, &lambdacontext.LambdaContext{AwsRequestID: uuid.NewString(), InvokedFunctionArn: f.arn})
	return f.handler.Invoke(ctx, payload)
}

// sleep waits; false means that the context ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
