package api

import (
	"context"
	"errors"
	"unicode/utf8"

	"github.com/bloom-runtime/bloom/shared/blob"
	"github.com/bloom-runtime/bloom/shared/fault"
	"github.com/bloom-runtime/bloom/shared/task"
)

// storePrompt puts a long prompt into the bucket and leaves its head in the spec.
func storePrompt(ctx context.Context, bucket *blob.Bucket, taskID string, s task.Spec) (task.Spec, error) {
	if len(s.Prompt) <= maxInline {
		return s, nil
	}
	s.PromptKey = "prompts/" + taskID
	if err := bucket.Put(ctx, s.PromptKey, []byte(s.Prompt), "text/plain; charset=utf-8"); err != nil {
		return s, bucketFault(err)
	}
	s.Prompt = head(s.Prompt, maxInline)
	return s, nil
}

// wholePrompt brings back the prompt of a task read from the table.
func wholePrompt(ctx context.Context, bucket *blob.Bucket, t task.Task) (task.Task, error) {
	if t.PromptKey == "" {
		return t, nil
	}
	prompt, err := bucket.Get(ctx, t.PromptKey, maxPrompt)
	if err != nil {
		return t, bucketFault(err)
	}
	t.Prompt, t.PromptKey = string(prompt), ""
	return t, nil
}

// head is the longest prefix of at most n bytes that ends between characters.
func head(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

func bucketFault(err error) error {
	if errors.Is(err, blob.ErrNotFound) {
		return fault.New(fault.Internal, "A payload is missing from the bucket").Because(err)
	}
	return fault.New(fault.Unavailable, "The bucket did not take or give the payload; try again").Because(err)
}
