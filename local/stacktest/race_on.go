//go:build race

package stacktest

// raceEnabled says that the race detector is on in this test, so the programs
// under test get it too.
const raceEnabled = true
