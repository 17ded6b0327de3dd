package dynamodb

import (
	"strings"
	"testing"
	"time"
)

func TestParseFaults(t *testing.T) {
	t.Parallel()
	everything := Faults{
		PartitionLimits: true, Throttles: 0.02, Overlaps: true, Conflicts: 0.02, Unprocessed: 0.1, ShortPages: 0.2,
		IndexLag: 100 * time.Millisecond, TableLag: 50 * time.Millisecond, Redelivered: 0.2, Latency: 5 * time.Millisecond, LostAnswers: 0.02,
	}
	some := everything
	some.Seed, some.LostAnswers, some.IndexLag = 9, 0, time.Second
	for text, want := range map[string]Faults{
		"":    {},
		"all": everything,
		"seed=7,throttle,conflicts=0.05,lag=200ms":  {Seed: 7, Throttles: 0.02, Conflicts: 0.05, IndexLag: 200 * time.Millisecond},
		" lost=0 , all,seed=9,lag=1s ":              some,
		"limits,overlaps":                           {PartitionLimits: true, Overlaps: true},
		"pages=1,unprocessed=0.5,stale=1ms":         {ShortPages: 1, Unprocessed: 0.5, TableLag: time.Millisecond},
		"latency=20ms,redeliver=0.25,lost=0.125":    {Latency: 20 * time.Millisecond, Redelivered: 0.25, LostAnswers: 0.125},
		"seed=18446744073709551615,throttle=0.0001": {Seed: 1<<64 - 1, Throttles: 0.0001},
	} {
		got, err := ParseFaults(text)
		if err != nil || got != want {
			t.Errorf("%q: %+v %v, want %+v", text, got, err, want)
		}
		again, err := ParseFaults(got.String())
		if err != nil || again != got {
			t.Errorf("%q is written as %q, which is read as %+v %v", text, got.String(), again, err)
		}
	}
	for text, want := range map[string]string{
		"al":            `there is no fault "al"; there are all, seed, limits,`,
		"all=1":         `there is no fault "all"`,
		"seed":          `the seed of the faults must be a whole number, not ""`,
		"seed=-1":       `not "-1"`,
		"throttle=2":    "the rate of the fault throttle must be from 0 to 1, not 2",
		"throttle=NaN":  "not NaN",
		"lost=often":    `the rate of the fault lost must be a number from 0 to 1, not "often"`,
		"lag=200":       `the time of the fault lag must be a time such as 200ms, not "200"`,
		"lag=2h":        "the time of the fault lag must be from 0 to 1m0s, not 2h0m0s",
		"limits=yes":    "the fault limits takes no value",
		"seed=1,,all":   `there is no fault ""`,
		"conflicts=0,x": `there is no fault "x"`,
	} {
		got, err := ParseFaults(text)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %+v %v, want …%s…", text, got, err, want)
		}
	}
}
