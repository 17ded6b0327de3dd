package objects

import (
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/smithy-go/middleware"

	"github.com/bloom-runtime/bloom/shared/awsconf"
)

// signed has the gateway answer.
func (d *direct) signed(req *http.Request) (*http.Response, error) {
	out := req.Clone(req.Context())
	hash := out.Header.Get("X-Amz-Content-Sha256")
	if hash == "" {
		hash = "UNSIGNED-PAYLOAD"
		out.Header.Set("X-Amz-Content-Sha256", hash)
	}
	root := aws.Credentials{AccessKeyID: d.credentials.AccessKey, SecretAccessKey: d.credentials.SecretKey}
	err := d.signer.SignHTTP(req.Context(), root, out, hash, "s3", awsconf.DefaultRegion, time.Now(), func(o *v4.SignerOptions) {
		o.DisableURIPathEscaping = true // of S3 only, whose paths are escaped once
	})
	if err != nil {
		return nil, err
	}
	return d.gateway.Do(out)
}

// unsigned takes out of the SDK's calls what guards them on a network. Presigned links, which others will follow, are signed.
func unsigned(stack *middleware.Stack) error {
	if _, ok := stack.Finalize.Get("Signing"); !ok {
		return nil // a presigned link
	}
	for _, id := range []string{"GetIdentity", "ComputePayloadHash", "SigV4ContentSHA256Header", "Signing"} {
		if _, err := stack.Finalize.Remove(id); err != nil {
			return err
		}
	}
	// The search for an error in the body of a success, where the operation has it.
	_, _ = stack.Deserialize.Remove("S3:ProcessResponseFor200Error")
	return nil
}
