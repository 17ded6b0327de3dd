// Package clock holds the one notion of time that the domain uses: whole
// milliseconds since the Unix epoch, as on the wire and in the table.
package clock

import "time"

// Millis is a moment, in milliseconds since the Unix epoch. The zero value
// means "not set".
type Millis int64

// Now tells the present moment. It is passed to whatever needs the time, so
// that a test can decide what time it is.
type Now func() Millis

// System is the machine's wall clock.
func System() Millis { return Millis(time.Now().UnixMilli()) }

// Add returns the moment d later, rounded down to a millisecond.
func (m Millis) Add(d time.Duration) Millis { return m + Millis(d.Milliseconds()) }

// Sub returns the time from earlier to m.
func (m Millis) Sub(earlier Millis) time.Duration {
	return time.Duration(m-earlier) * time.Millisecond
}

// Time returns m as a time.Time in UTC.
func (m Millis) Time() time.Time { return time.UnixMilli(int64(m)).UTC() }
