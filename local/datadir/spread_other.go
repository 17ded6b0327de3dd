//go:build !linux

package datadir

// spread is for ext4 only.
func spread(string) {}
