package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/bloom-runtime/bloom/local/backup"
	"github.com/bloom-runtime/bloom/local/datadir"
)

// subcommand is a command of the program beside serving.
type subcommand func(ctx context.Context, args []string, lookup func(string) (string, bool), stdout, stderr io.Writer) int

var subcommands = map[string]subcommand{"backup": runBackup, "restore": runRestore}

func runBackup(ctx context.Context, args []string, lookup func(string) (string, bool), stdout, stderr io.Writer) int {
	data, file, status := readPaths("backup", "to", "`file` to write the backup to; one that is there is replaced", args, lookup, stderr)
	if data == "" {
		return status
	}
	began := time.Now()
	sum, err := backup.Make(ctx, data, file)
	if err != nil {
		say(stderr, err)
		return 1
	}
	_, _ = fmt.Fprintf(stdout, "backup of %s in %s: %s, in %v\n", data, file, contents(sum), time.Since(began).Round(time.Millisecond))
	return 0
}

func runRestore(ctx context.Context, args []string, lookup func(string) (string, bool), stdout, stderr io.Writer) int {
	data, file, status := readPaths("restore", "from", "`file` that holds the backup", args, lookup, stderr)
	if data == "" {
		return status
	}
	began := time.Now()
	sum, err := backup.Restore(ctx, file, data)
	if err != nil {
		say(stderr, err)
		return 1
	}
	_, _ = fmt.Fprintf(stdout, "restored %s from the backup of %s: %s, in %v\n",
		data, time.UnixMilli(sum.Created).UTC().Format(time.RFC3339), contents(sum), time.Since(began).Round(time.Millisecond))
	return 0
}

func contents(s backup.Summary) string {
	return fmt.Sprintf("%d entries of the table, %d of the objects, %d large objects, %d bytes", s.TableEntries, s.ObjectEntries, s.LargeObjects, s.Bytes)
}

// readPaths reads a command's two flags: the data folder and a file. data is "" when there is nothing to do but to end with
// status.
func readPaths(name, fileFlag, usage string, args []string, lookup func(string) (string, bool), stderr io.Writer) (data, file string, status int) {
	where := ".bloom"
	if v, _ := lookup("BLOOM_DATA"); v != "" {
		where = v
	}
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&data, "data", where, "the data `folder` (BLOOM_DATA)")
	flags.StringVar(&file, fileFlag, "", usage)
	err := flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return "", "", 0
	case err != nil:
	case flags.NArg() > 0:
		err = fmt.Errorf("the argument %q is not understood; %s -h lists the flags", flags.Arg(0), name)
	case data == "":
		err = errors.New("-data must name a folder")
	case file == "":
		err = fmt.Errorf("-%s must name the file of the backup", fileFlag)
	default:
		return data, file, 0
	}
	say(stderr, err)
	return "", "", 2
}

// takeBackups answers the backup command while the stack runs. A folder that can hold no socket has its stack serve without.
func takeBackups(data *datadir.Dir, at stores, log *slog.Logger, undo *closers) {
	server, err := backup.Listen(data, func() (*backup.Snapshot, error) { return snapshot(at), nil })
	if err != nil {
		log.Warn("the backup command will have to wait until the stack is stopped", "error", err)
		return
	}
	undo.add(server.Close)
}

// snapshot is the present moment of the embedded stores: the table, then the objects.
func snapshot(at stores) *backup.Snapshot {
	snap := &backup.Snapshot{Release: func() {}}
	takeTable := func() {
		if at.table != nil {
			snap.Table = at.table.View()
		}
	}
	release := func() {
		if snap.Table != nil {
			snap.Table.Release()
		}
	}
	if at.objects == nil {
		takeTable()
		snap.Release = release
		return snap
	}
	all := at.objects.Snapshot(takeTable)
	snap.Objects, snap.Files = all.View, all.Files
	snap.Release = func() {
		release()
		all.Release()
	}
	return snap
}
