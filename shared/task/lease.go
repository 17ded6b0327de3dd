package task

import (
	"time"

	"github.com/bloom-runtime/bloom/shared/clock"
)

// LeaseStatus is the state of a lease.
type LeaseStatus string

// A lease is active from its grant on; it ends once.
const (
	LeaseActive   LeaseStatus = "active"
	LeaseReleased LeaseStatus = "released" // its worker reported success or an error
	LeaseExpired  LeaseStatus = "expired"  // it was not renewed in time
	LeaseFailed   LeaseStatus = "failed"   // it was given up: its worker was removed
)

// LeaseStatuses lists every state of a lease.
var LeaseStatuses = []LeaseStatus{LeaseActive, LeaseReleased, LeaseExpired, LeaseFailed}

// DefaultTTL is how long a lease lives without a heartbeat.
const DefaultTTL = 300 * time.Second

// Lease is the right of one worker to work on one task until ExpiresAt.
type Lease struct {
	ID        string // UUIDv7; unguessable, it is the fencing token
	TaskID    string
	WorkerID  string
	ContextID string
	N         int // ordinal among the leases of its task, from 1
	Status    LeaseStatus
	LeaseClock
	EndedAt clock.Millis // 0 while active
}

// CurrentLease returns the lease that counts, as it stands now; ok is false
// while no worker holds the task.
func (t Task) CurrentLease() (l Lease, ok bool) {
	if !t.Status.Held() {
		return Lease{}, false
	}
	return Lease{
		ID: t.LeaseID, TaskID: t.ID, WorkerID: t.WorkerID, ContextID: t.ContextID,
		N: t.LeaseCount, Status: LeaseActive, LeaseClock: t.Lease,
	}, true
}

// endLease returns the lease that counts with its end.
func (t Task) endLease(s LeaseStatus, now clock.Millis) *Lease {
	l, _ := t.CurrentLease()
	l.Status, l.EndedAt = s, now
	return &l
}
