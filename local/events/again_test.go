package events

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	lambdaevents "github.com/aws/aws-lambda-go/events"

	"github.com/bloom-runtime/bloom/local/template"
)

// TestDeliveredTwice: each batch comes once more, whole, before the next.
func TestDeliveredTwice(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.put(numbered(7)...)
	var s seen
	o := w.options(template.Stream{BatchSize: 3}, func(e lambdaevents.DynamoDBEvent) error {
		s.add(strings.Join(keysOf(e), " "))
		return nil
	})
	o.Redelivered = 1
	r := w.start(o)
	all := numbered(7)
	one, two, three := strings.Join(all[:3], " "), strings.Join(all[3:6], " "), all[6]
	s.wait(t, one, one, two, two, three, three)
	r.Stop()
	w.put("later")
	w.start(o)
	s.wait(t, one, one, two, two, three, three, "later", "later")
}

// TestWhichBatchesComeTwice: by the seed.
func TestWhichBatchesComeTwice(t *testing.T) {
	t.Parallel()
	draws := func(rate float64, seed uint64) (got []bool, hits int) {
		a := newAgain(Options{Redelivered: rate, Seed: seed})
		for range 1000 {
			got = append(got, a.draw())
			if got[len(got)-1] {
				hits++
			}
		}
		return got, hits
	}
	first, hits := draws(0.2, 1)
	if hits < 150 || hits > 250 {
		t.Errorf("%d of 1000 at the rate 0.2", hits)
	}
	if again, _ := draws(0.2, 1); !slices.Equal(first, again) {
		t.Error("the same seed drew otherwise")
	}
	if other, _ := draws(0.2, 2); slices.Equal(first, other) {
		t.Error("another seed drew the same")
	}
	if _, never := draws(0, 1); never != 0 {
		t.Errorf("%d of 1000 when it is off", never)
	}
}

// TestSecondDeliveryFails: then the batch is tried again, as one that failed.
func TestSecondDeliveryFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.put("a")
	var s seen
	o := w.options(template.Stream{BatchSize: 3}, func(e lambdaevents.DynamoDBEvent) error {
		s.add(keysOf(e)...)
		if len(s.all()) == 2 {
			return errors.New("not twice")
		}
		return nil
	})
	o.Redelivered = 1
	w.start(o)
	s.wait(t, "a", "a", "a", "a")
}

// TestDeliveredTwiceInAWindow: the second time begins with the state of before the first.
func TestDeliveredTwiceInAWindow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.put("a")
	got := make(chan lambdaevents.DynamoDBTimeWindowEvent, 100)
	o := w.options(template.Stream{TumblingWindow: time.Second}, func(e lambdaevents.DynamoDBTimeWindowEvent) (lambdaevents.DynamoDBTimeWindowEventResponse, error) {
		got <- e
		state := map[string]string{"calls": e.State["calls"] + "x"}
		return lambdaevents.DynamoDBTimeWindowEventResponse{TimeWindowEventResponseProperties: lambdaevents.TimeWindowEventResponseProperties{State: state}}, nil
	})
	o.Redelivered = 1
	w.start(o)
	for n, want := range []string{"", "", "x"} {
		e := <-got
		if e.State["calls"] != want || e.IsFinalInvokeForWindow != (n == 2) {
			t.Errorf("call %d: got %+v, want the state %q", n, e, want)
		}
	}
}
