package dynamo

import (
	"fmt"
	"strconv"
	"time"

	"github.com/bloom-runtime/bloom/shared/awsconf"
	"github.com/bloom-runtime/bloom/shared/clock"
)

// ReadSettings reads what the template gives every function: TABLE_NAME,
// PARTITIONS and RETENTION_DAYS.
func ReadSettings(getenv func(string) string) (Settings, error) {
	s := Settings{Name: getenv("TABLE_NAME"), Now: clock.System}
	if s.Name == "" {
		return s, fmt.Errorf("TABLE_NAME must be set")
	}
	partitions, err := strconv.Atoi(getenv("PARTITIONS"))
	if err != nil || partitions < 1 {
		return s, fmt.Errorf("PARTITIONS must be a number from 1")
	}
	days, err := strconv.Atoi(getenv("RETENTION_DAYS"))
	if err != nil || days < 0 {
		return s, fmt.Errorf("RETENTION_DAYS must be a number from 0")
	}
	s.Partitions, s.Retention = partitions, time.Duration(days)*24*time.Hour
	return s, nil
}

// FromEnv opens the table of a function's environment. It makes no call.
func FromEnv(getenv func(string) string) (*Table, error) {
	s, err := ReadSettings(getenv)
	if err != nil {
		return nil, err
	}
	cfg, err := awsconf.FromEnv(awsconf.DynamoDB)
	if err != nil {
		return nil, err
	}
	return Open(cfg, s), nil
}
