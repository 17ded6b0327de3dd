package stacktest

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"
)

// Measured says when and on what figures were measured.
func Measured() string {
	return fmt.Sprintf("Measured %s on %s, %d cores, %s/%s, %s.",
		time.Now().Format("2006-01-02"), cpuModel(), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version())
}

func cpuModel() string {
	raw, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "an unknown processor"
	}
	for line := range strings.Lines(string(raw)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "an unknown processor"
}
