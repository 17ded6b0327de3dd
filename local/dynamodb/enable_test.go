package dynamodb

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/bloom-runtime/bloom/local/dynamodb/store"
)

// TestEnableFilled switches time to live on where items are: step by step, with a
// restart and writes between the steps, off, and on again by another attribute.
func TestEnableFilled(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	dir := t.TempDir()
	clk := newClock()
	s, err := Open(dir, Options{Now: clk.now, sweepEvery: never})
	if err != nil {
		t.Fatal(err)
	}
	c := client(s)
	table := createMain(t, c)
	const items = 3*enableItems + 100
	name := func(i int) string { return fmt.Sprintf("%04d", i) }
	fillWith(t, c, table, items, func(i int) item {
		it := item{"PK": str(name(i)), "SK": str("s"), "other": at(clk, time.Duration(i)*time.Hour)}
		if i%3 != 0 {
			it["ttl"] = at(clk, time.Duration(i)*time.Minute)
		}
		return it
	})
	// The first step is taken before the answer; the sweeper, which is woken then,
	// may be ahead of what follows. Take the steps it leaves.
	setTTL(t, c, table, "ttl", true)
	put(t, c, table, item{"PK": str("0001"), "SK": str("s"), "ttl": at(clk, time.Hour)})
	put(t, c, table, item{"PK": str("0800"), "SK": str("s"), "ttl": at(clk, time.Hour)})
	put(t, c, table, item{"PK": str("0800 new"), "SK": str("s"), "ttl": at(clk, time.Hour)})
	if _, err := c.DeleteItem(ctx, &sdk.DeleteItemInput{TableName: &table, Key: pksk("0799", "s")}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openServer(t, dir, Options{Now: clk.now, sweepEvery: never})
	c = client(s)
	waitEnabled(t, c, table)
	if n := checkExpiries(t, s, table); n < items/2 {
		t.Errorf("%d expiries", n)
	}
	setTTL(t, c, table, "ttl", false)
	if n := checkExpiries(t, s, table); n != 0 {
		t.Errorf("%d expiries are left", n)
	}
	setTTL(t, c, table, "other", true)
	wantError(t, tryTTL(c, table, "ttl", false), "ValidationException", "TimeToLive is active on a different AttributeName: current AttributeName is other")
	waitEnabled(t, c, table)
	checkExpiries(t, s, table)
	if _, err := c.DeleteTable(ctx, &sdk.DeleteTableInput{TableName: &table}); err != nil {
		t.Fatal(err)
	}
	createMain(t, c)
	if n := checkExpiries(t, s, table); n != 0 {
		t.Errorf("%d expiries of a table that was deleted", n)
	}
}

func waitEnabled(t testing.TB, c *sdk.Client, table string) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
		switch status := ttlStatus(t, c, table); {
		case status == types.TimeToLiveStatusEnabled:
			return
		case status != types.TimeToLiveStatusEnabling || time.Now().After(deadline):
			t.Fatalf("time to live is %s", status)
		}
	}
}

// TestEnableSteps holds that a step that was read before time to live was
// switched off, on, or moved on by somebody else does nothing.
func TestEnableSteps(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := openServer(t, t.TempDir(), Options{sweepEvery: never})
	c := client(s)
	name := createMain(t, c)
	fillWith(t, c, name, 10, func(i int) item { return item{"PK": str(fmt.Sprint(i)), "SK": str("s"), "ttl": num("1e12")} })
	id := s.catalog.Load().tables[name].ID
	enable := func() *table {
		t.Helper()
		if err := s.submit(ctx, &write{exec: func(w *writer) (func(), error) { return w.setTTL(id, "ttl", true) }}); err != nil {
			t.Fatal(err)
		}
		return s.catalog.Load().byID[id]
	}
	take := func(step *enableStep) {
		t.Helper()
		if err := s.submit(ctx, &write{exec: func(w *writer) (func(), error) { return w.enable(id, step) }}); err != nil {
			t.Fatal(err)
		}
	}
	old, err := s.readStep(enable())
	if err != nil || len(old.keys) != 10 {
		t.Fatalf("got %+v, %v", old, err)
	}
	if status := ttlStatus(t, c, name); status != types.TimeToLiveStatusEnabling {
		t.Errorf("got %s", status)
	}
	wantError(t, tryTTL(c, name, "ttl", true), "ValidationException", "TimeToLive is already enabled")
	wantError(t, tryTTL(c, name, "other", true), "ValidationException", "TimeToLive is active on a different AttributeName: current AttributeName is ttl")
	setTTL(t, c, name, "ttl", false)
	put(t, c, name, item{"PK": str("x"), "SK": str("s"), "ttl": num("1e12")})
	take(old)
	if n := checkExpiries(t, s, name); n != 0 {
		t.Errorf("%d expiries", n)
	}
	now := enable()
	take(old)
	if s.catalog.Load().byID[id].Enabling == nil {
		t.Fatal("an old step ended the enabling")
	}
	step, err := s.readStep(now)
	if err != nil {
		t.Fatal(err)
	}
	take(step)
	take(step)
	if n := checkExpiries(t, s, name); n != 11 || ttlStatus(t, c, name) != types.TimeToLiveStatusEnabled {
		t.Errorf("%d expiries, %s", n, ttlStatus(t, c, name))
	}
}

// TestUpgrade opens data as the first layout left it: without expiries.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	clk := newClock()
	s, err := Open(dir, Options{Now: clk.now, sweepEvery: never})
	if err != nil {
		t.Fatal(err)
	}
	c := client(s)
	table := createMain(t, c)
	setTTL(t, c, table, "ttl", true)
	fillWith(t, c, table, 2*enableItems, func(i int) item {
		return item{"PK": str(fmt.Sprint(i)), "SK": str("s"), "ttl": at(clk, time.Duration(i)*time.Hour)}
	})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	toFirstLayout(t, dir)
	s = openServer(t, dir, Options{Now: clk.now, sweepEvery: never})
	c = client(s)
	waitEnabled(t, c, table)
	if n := checkExpiries(t, s, table); n != 2*enableItems {
		t.Errorf("%d expiries", n)
	}
	clk.advance(10*time.Hour + time.Second)
	sweep(t, s)
	if n := len(partitions(t, c, table)); n != 2*enableItems-11 {
		t.Errorf("%d items are left", n)
	}
}

func toFirstLayout(t *testing.T, dir string) {
	t.Helper()
	st, err := store.Open(dir, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	b := st.NewBatch()
	b.DeleteRange([]byte{kindExpiry}, []byte{kindExpiry + 1})
	b.Set(keyVersion, []byte(layoutFirst))
	done := make(chan error, 1)
	st.Commit(b, func(err error) { done <- err })
	if err := errors.Join(<-done, st.Close()); err != nil {
		t.Fatal(err)
	}
}
