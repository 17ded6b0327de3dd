// Command per-second is a custom resource of the stack: it turns requests a minute
// into the requests a second that a usage plan wants, since CloudFormation cannot
// divide. Property PerMinute in, attribute PerSecond out.
package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/aws/aws-lambda-go/cfn"
	"github.com/aws/aws-lambda-go/lambda"
)

func main() { lambda.Start(cfn.LambdaWrap(perSecond)) }

func perSecond(_ context.Context, e cfn.Event) (id string, data map[string]any, err error) {
	perMinute, err := strconv.ParseFloat(fmt.Sprint(e.ResourceProperties["PerMinute"]), 64)
	if err != nil && e.RequestType != cfn.RequestDelete {
		return "per-second", nil, fmt.Errorf("PerMinute must be a number")
	}
	return "per-second", map[string]any{"PerSecond": strconv.FormatFloat(perMinute/60, 'f', 4, 64)}, nil
}
