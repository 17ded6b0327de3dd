package membridge

import (
	"context"
	"encoding/json"
	"errors"
	"regexp"
	"sync"

	"github.com/bloom-runtime/bloom/shared/blob"
	"github.com/bloom-runtime/bloom/shared/dynamo"
	"github.com/bloom-runtime/bloom/shared/fault"
)

// leaseFile is what the memory-sync tool reads, and may write itself, in projects/{cid}/leadership/lease.json. Times are whole
// seconds.
type leaseFile struct {
	CanonicalID   string `json:"canonical_id"`
	PrimaryNodeID string `json:"primary_node_id"`
	IssuedAt      int64  `json:"issued_at"`
	ExpiresAt     int64  `json:"expires_at"`
	LeaseSeconds  int64  `json:"lease_seconds"`
	Epoch         int64  `json:"epoch"`
	Policy        string `json:"policy"`
	IssuedBy      string `json:"issued_by"`
}

const (
	leasePolicy = "primary_authoritative"
	issuer      = "membridge"
	maxLease    = 64 << 10 // bytes
)

// leaseKey names the file of a project whose id is promotable.
func leaseKey(cid string) string { return "projects/" + cid + "/leadership/lease.json" }

// promotable are the ids that can be a folder in every bucket. Those that agents make are 16 hex digits.
const promotable = "^[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}$"

var isPromotable = regexp.MustCompile(promotable).MatchString

// leaseWriter makes promotions and writes them to the bucket: first the table, then the file, then the table knows that the
// file is there. What a crash, or a bucket that is away, leaves between the two is repaired with the next heartbeat.
//
// The file has no compare-and-swap, so that writes of one process are made one after the other, each with what the table says
// then.
type leaseWriter struct {
	table  *dynamo.Table
	bucket *blob.Bucket
	mu     sync.Mutex
}

// promote makes a node primary. Its epoch is past that of the file too, which the tool may have renewed. With an error of the
// bucket the promotion counts and is not written yet.
func (w *leaseWriter) promote(ctx context.Context, cid, node string, seconds int64) (dynamo.Leadership, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	past, err := w.epoch(ctx, cid)
	if err != nil {
		return dynamo.Leadership{}, fault.New(fault.Unavailable, "The bucket cannot be read; try again").Because(err)
	}
	l, err := w.table.Promote(ctx, cid, node, seconds, past)
	if err != nil {
		return l, err
	}
	if err := w.write(ctx, l); err != nil {
		return l, fault.New(fault.Unavailable,
			"The promotion is stored, and its lease could not be written to the bucket; that is tried again with every heartbeat").Because(err)
	}
	return l, nil
}

// repair writes a promotion that is not known to be in the bucket.
func (w *leaseWriter) repair(ctx context.Context, l dynamo.Leadership) error {
	if l.Written == l.Epoch {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	l, err := w.table.Leadership(ctx, l.CanonicalID) // another one may have been made meanwhile
	if err != nil || l.Written == l.Epoch {
		return err
	}
	return w.write(ctx, l)
}

// epoch reads the file's; 0 when there is none, or none that can be read.
func (w *leaseWriter) epoch(ctx context.Context, cid string) (int64, error) {
	text, err := w.bucket.Get(ctx, leaseKey(cid), maxLease)
	if errors.Is(err, blob.ErrNotFound) || errors.Is(err, blob.ErrTooLarge) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	var f leaseFile
	if json.Unmarshal(text, &f) != nil || f.Epoch < 0 || f.Epoch > 1<<53 {
		return 0, nil
	}
	return f.Epoch, nil
}

func (w *leaseWriter) write(ctx context.Context, l dynamo.Leadership) error {
	text, err := json.MarshalIndent(leaseFile{
		CanonicalID: l.CanonicalID, PrimaryNodeID: l.Primary, IssuedAt: l.IssuedAt, ExpiresAt: l.ExpiresAt,
		LeaseSeconds: l.LeaseSeconds, Epoch: l.Epoch, Policy: leasePolicy, IssuedBy: issuer,
	}, "", "  ")
	if err != nil { // strings and numbers always encode
		return err
	}
	if err := w.bucket.Put(ctx, leaseKey(l.CanonicalID), text, "application/json"); err != nil {
		return err
	}
	return w.table.LeaseWritten(ctx, l.CanonicalID, l.Epoch)
}
