package dynamodb

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// What a fault's name alone stands for, and each of those that "all" turns on.
const (
	defaultThrottles   = 0.02
	defaultConflicts   = 0.02
	defaultUnprocessed = 0.1
	defaultShortPages  = 0.2
	defaultIndexLag    = 100 * time.Millisecond
	defaultTableLag    = 50 * time.Millisecond
	defaultRedelivered = 0.2
	defaultLatency     = 5 * time.Millisecond
	defaultLostAnswers = 0.02
)

type (
	namedSwitch struct {
		name string
		on   *bool
	}
	namedRate struct {
		name      string
		rate      *float64
		otherwise float64
	}
	namedSpan struct {
		name      string
		span      *time.Duration
		otherwise time.Duration
	}
)

func (f *Faults) switches() []namedSwitch {
	return []namedSwitch{{"limits", &f.PartitionLimits}, {"overlaps", &f.Overlaps}}
}

func (f *Faults) rates() []namedRate {
	return []namedRate{
		{"throttle", &f.Throttles, defaultThrottles},
		{"conflicts", &f.Conflicts, defaultConflicts},
		{"unprocessed", &f.Unprocessed, defaultUnprocessed},
		{"pages", &f.ShortPages, defaultShortPages},
		{"redeliver", &f.Redelivered, defaultRedelivered},
		{"lost", &f.LostAnswers, defaultLostAnswers},
	}
}

func (f *Faults) spans() []namedSpan {
	return []namedSpan{
		{"lag", &f.IndexLag, defaultIndexLag},
		{"stale", &f.TableLag, defaultTableLag},
		{"latency", &f.Latency, defaultLatency},
	}
}

// ParseFaults reads faults as a person writes them: names parted by commas, each
// with its rate or time where the default does not suit, such as
// "seed=7,throttle,conflicts=0.05,lag=200ms". "all" turns every one on; what is
// named beside it counts instead, and "lost=0" turns one off. "" is no faults.
//
//	seed=N              of the draws; 0 when it is not given
//	limits              PartitionLimits
//	throttle[=RATE]     Throttles
//	overlaps            Overlaps
//	conflicts[=RATE]    Conflicts
//	unprocessed[=RATE]  Unprocessed
//	pages[=RATE]        ShortPages
//	lag[=TIME]          IndexLag
//	stale[=TIME]        TableLag
//	redeliver[=RATE]    Redelivered
//	latency[=TIME]      Latency
//	lost[=RATE]         LostAnswers
//
// The error is one sentence.
func ParseFaults(text string) (Faults, error) {
	var f Faults
	if strings.TrimSpace(text) == "" {
		return f, nil
	}
	parts := strings.Split(text, ",")
	for _, part := range parts {
		if strings.TrimSpace(part) == "all" {
			f.all()
		}
	}
	for _, part := range parts {
		name, given, hasValue := strings.Cut(strings.TrimSpace(part), "=")
		if name == "all" && !hasValue {
			continue
		}
		if err := f.set(name, given, hasValue); err != nil {
			return Faults{}, err
		}
	}
	return f, f.Check()
}

func (f *Faults) all() {
	for _, s := range f.switches() {
		*s.on = true
	}
	for _, r := range f.rates() {
		*r.rate = r.otherwise
	}
	for _, s := range f.spans() {
		*s.span = s.otherwise
	}
}

func (f *Faults) set(name, given string, hasValue bool) (err error) {
	if name == "seed" {
		if f.Seed, err = strconv.ParseUint(given, 10, 64); err != nil {
			return fmt.Errorf("the seed of the faults must be a whole number, not %q", given)
		}
		return nil
	}
	for _, s := range f.switches() {
		if s.name != name {
			continue
		}
		if hasValue {
			return fmt.Errorf("the fault %s takes no value, so %q is not understood", name, given)
		}
		*s.on = true
		return nil
	}
	for _, r := range f.rates() {
		if r.name != name {
			continue
		}
		if *r.rate = r.otherwise; hasValue {
			if *r.rate, err = strconv.ParseFloat(given, 64); err != nil {
				return fmt.Errorf("the rate of the fault %s must be a number from 0 to 1, not %q", name, given)
			}
		}
		return nil
	}
	for _, s := range f.spans() {
		if s.name != name {
			continue
		}
		if *s.span = s.otherwise; hasValue {
			if *s.span, err = time.ParseDuration(given); err != nil {
				return fmt.Errorf("the time of the fault %s must be a time such as 200ms, not %q", name, given)
			}
		}
		return nil
	}
	return errors.New(f.unknown(name))
}

func (f *Faults) unknown(name string) string {
	known := []string{"all", "seed"}
	for _, s := range f.switches() {
		known = append(known, s.name)
	}
	for _, r := range f.rates() {
		known = append(known, r.name)
	}
	for _, s := range f.spans() {
		known = append(known, s.name)
	}
	return fmt.Sprintf("there is no fault %q; there are %s", name, strings.Join(known, ", "))
}

// String writes f as ParseFaults reads it: "" for none.
func (f Faults) String() string {
	var parts []string
	for _, s := range f.switches() {
		if *s.on {
			parts = append(parts, s.name)
		}
	}
	for _, r := range f.rates() {
		if *r.rate != 0 {
			parts = append(parts, fmt.Sprintf("%s=%g", r.name, *r.rate))
		}
	}
	for _, s := range f.spans() {
		if *s.span != 0 {
			parts = append(parts, fmt.Sprintf("%s=%v", s.name, *s.span))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return strings.Join(append([]string{fmt.Sprintf("seed=%d", f.Seed)}, parts...), ",")
}
