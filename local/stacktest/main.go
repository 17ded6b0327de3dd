package stacktest

import (
	"flag"
	"os"
	"testing"
)

// Main runs a package's tests and removes the programs that were built for
// them. Tests that mostly wait (for a lease to lapse, for a slow server) run
// beside each other whatever the number of cores.
func Main(m *testing.M, cleanup ...func()) {
	flag.Parse()
	if err := flag.Set("test.parallel", "16"); err != nil {
		panic(err)
	}
	code := m.Run()
	for _, f := range cleanup {
		f()
	}
	RemoveBuilds()
	os.Exit(code)
}
