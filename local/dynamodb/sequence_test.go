package dynamodb

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	streamtypes "github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"
	"pgregory.net/rapid"
)

// sequences are random requests to one table, on every server there is.
type sequences struct {
	tb      testing.TB
	table   string
	model   *model
	servers []server
}

type server struct {
	name    string
	c       *sdk.Client
	streams *dynamodbstreams.Client
}

// TestSequences sends random requests to the embedded server and holds each
// answer, in the end also the contents, the indexes and the stream, against a
// model of maps and, if AWS_ENDPOINT_URL_DYNAMODB names one, against AWS's
// DynamoDB Local. A failure is shrunk, and says how to run it again.
func TestSequences(t *testing.T) {
	t.Parallel()
	tb := t
	c, s := newClient(t)
	servers := []server{{"embedded", c, streamsClient(s)}}
	if localURL != "" {
		local, streams := localClients()
		servers = append(servers, server{"DynamoDB Local", local, streams})
	}
	var tables atomic.Int64
	rapid.Check(t, func(t *rapid.T) {
		q := &sequences{tb: tb, table: fmt.Sprint("table-", tables.Add(1)), model: newModel(), servers: servers}
		q.open(t)
		t.Repeat(map[string]func(*rapid.T){
			"put":           func(t *rapid.T) { q.do(t, drawSingleWrite(t, "put")) },
			"update":        func(t *rapid.T) { q.do(t, drawSingleWrite(t, "update")) },
			"update again":  func(t *rapid.T) { q.do(t, drawSingleWrite(t, "update")) },
			"delete":        func(t *rapid.T) { q.do(t, drawSingleWrite(t, "delete")) },
			"batch":         func(t *rapid.T) { q.do(t, drawBatch(t)) },
			"transaction":   func(t *rapid.T) { q.do(t, drawTransaction(t)) },
			"get":           func(t *rapid.T) { q.do(t, drawGet(t, "get")) },
			"get a batch":   func(t *rapid.T) { q.do(t, drawGet(t, "batch")) },
			"get at once":   func(t *rapid.T) { q.do(t, drawGet(t, "transact")) },
			"query":         func(t *rapid.T) { q.do(t, drawPages(t, true)) },
			"query as well": func(t *rapid.T) { q.do(t, drawPages(t, true)) },
			"scan":          func(t *rapid.T) { q.do(t, drawPages(t, false)) },
		})
		q.compareContents(t)
		q.compareStreams(t)
		q.close(t)
	})
}

func (q *sequences) open(t *rapid.T) {
	for _, s := range q.servers {
		if _, err := s.c.CreateTable(context.Background(), mainTable(q.table)); err != nil {
			t.Fatal(err)
		}
	}
}

func (q *sequences) close(t *rapid.T) {
	for _, s := range q.servers {
		if _, err := s.c.DeleteTable(context.Background(), &sdk.DeleteTableInput{TableName: &q.table}); err != nil {
			t.Fatal(err)
		}
	}
}

// do sends one request to all and compares.
func (q *sequences) do(t *rapid.T, step sequenceStep) {
	if len(q.servers) > 1 && q.parts(step) {
		return
	}
	want := step.foretell(q.model)
	report := fmt.Sprintf("\n model: %s for %s", want.text, want.units)
	agreed := true
	for i, s := range q.servers {
		got := step.send(s.c, q.table)
		report += fmt.Sprintf("\n %s: %s for %s", s.name, got.text, got.units)
		local := i > 0
		agreed = agreed && (got.text == want.text || local && excused(step, got.text, want.text)) &&
			(got.units == want.units || local && excusedUnits(step, got.units, want.units))
	}
	if !agreed {
		t.Fatalf("%s%s", shownStep(step), report)
	}
}

// parts tells whether the step would leave DynamoDB Local with other items: there
// an update that only removes makes an item.
func (q *sequences) parts(step sequenceStep) bool {
	makes := func(w *modelWrite) bool {
		return w.verb == "update" && w.update.onlyRemoves() && q.model.items[key(w.item)] == nil
	}
	switch step := step.(type) {
	case *modelWrite:
		return makes(step)
	case transactionStep:
		return slices.ContainsFunc(step, makes)
	}
	return false
}

// shownStep is the request, as the SDK would send it.
func shownStep(step sequenceStep) string {
	switch step := step.(type) {
	case transactionStep:
		return shownWrites(step)
	case batchStep:
		return shownWrites(step)
	case *modelWrite:
		return shownWrites([]*modelWrite{step})
	}
	return fmt.Sprintf("%+v", step)
}

func shownWrites(writes []*modelWrite) string {
	parts := make([]string, len(writes))
	for i, w := range writes {
		s := &scope{}
		parts[i] = w.verb + " " + shownItem(w.item)
		if w.update != nil {
			parts[i] += " " + w.update.text(s)
		}
		if w.cond != nil {
			parts[i] += " IF " + w.cond.text(s)
		}
		parts[i] += " WITH " + shownItem(fromAWSItem(s.values))
	}
	return strings.Join(parts, "; ")
}

// excused tells whether DynamoDB Local may answer so: localFaults has it, or
// both are right.
func excused(step sequenceStep, got, want string) bool {
	if pages, ok := step.(*pagesStep); ok {
		return got == withoutEmptyEnd(want) || pages.hash == nil && pages.unprojected()
	}
	if _, transaction := step.(transactionStep); !transaction {
		return false
	}
	return strings.Contains(want, "ValidationError") && got == "ValidationException" ||
		want == "ValidationException" && strings.HasPrefix(got, "TransactionCanceledException")
}

// withoutEmptyEnd is the answer of who knows at its last item that nothing
// follows. That is allowed: a LastEvaluatedKey need not mean that there is more.
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_Query.html
func withoutEmptyEnd(pages string) string {
	rest, ok := strings.CutSuffix(pages, ";  (0 of 0) to none")
	if !ok {
		return pages
	}
	return rest[:strings.LastIndex(rest, " to {")] + " to none"
}

// excusedUnits tells whether the step's units differ only in what DynamoDB Local
// counts wrong: transactions, deletes in batches, reads that find nothing, items
// with a part of an index's key.
func excusedUnits(step sequenceStep, gotUnits, want string) bool {
	switch step := step.(type) {
	case transactionStep:
		return true
	case batchStep:
		return slices.ContainsFunc(step, func(w *modelWrite) bool { return w.verb == "delete" }) || tablePart(gotUnits) == tablePart(want)
	case *modelWrite:
		return tablePart(gotUnits) == tablePart(want)
	case *getStep:
		return step.verb == "batch"
	case *pagesStep:
		if want == "" && step.hash == nil {
			return true
		}
		if got, ok := strings.CutSuffix(want, "; "+step.unitsOfPage()); ok && got == gotUnits {
			return true
		}
		wants, gots := strings.Split(want, "; "), strings.Split(gotUnits, "; ")
		for i := range gots {
			if len(wants) != len(gots) || gots[i] != wants[i] && !strings.HasPrefix(gots[i], "0 =") {
				return false
			}
		}
		return true
	}
	return false
}

// tablePart is what a request used of the table alone.
func tablePart(units string) string {
	_, rest, _ := strings.Cut(units, "= ")
	table, _, _ := strings.Cut(rest, " +")
	return table
}

// compareContents scans the table and every index.
func (q *sequences) compareContents(t *rapid.T) {
	for _, index := range slices.Sorted(maps.Keys(modelIndexes)) {
		q.do(t, &pagesStep{index: index})
	}
}

// compareStreams compares the records of each item, in their order.
func (q *sequences) compareStreams(t *rapid.T) {
	want := fmt.Sprint(q.model.records)
	for _, s := range q.servers {
		if got := fmt.Sprint(recordsByItem(q.tb, s, q.table)); got != want {
			t.Fatalf("%s: stream\n got  %s\n want %s", s.name, got, want)
		}
	}
}

func recordsByItem(t testing.TB, s server, table string) map[[2]string][]string {
	r := newReaderOf(t, s.streams, table)
	found := map[[2]string][]string{}
	it := r.iterator(streamtypes.ShardIteratorTypeTrimHorizon, nil)
	for {
		records, next := r.get(it, 1000)
		if len(records) == 0 {
			return found
		}
		for _, rec := range records {
			k := key(fromStream(rec.Dynamodb.Keys))
			found[k] = append(found[k], fmt.Sprint(rec.EventName, " ", shownItem(fromStream(rec.Dynamodb.OldImage)), " -> ", shownItem(fromStream(rec.Dynamodb.NewImage))))
		}
		it = next
	}
}

func fromStream(m map[string]streamtypes.AttributeValue) vMap {
	if len(m) == 0 {
		return nil
	}
	it := item{}
	for name, v := range m {
		it[name] = streamValue(v)
	}
	return fromAWSItem(it)
}

// streamValue turns a value of the streams' SDK into one of the tables'.
func streamValue(v streamtypes.AttributeValue) types.AttributeValue {
	switch v := v.(type) {
	case *streamtypes.AttributeValueMemberS:
		return &types.AttributeValueMemberS{Value: v.Value}
	case *streamtypes.AttributeValueMemberN:
		return &types.AttributeValueMemberN{Value: v.Value}
	case *streamtypes.AttributeValueMemberB:
		return &types.AttributeValueMemberB{Value: v.Value}
	case *streamtypes.AttributeValueMemberBOOL:
		return &types.AttributeValueMemberBOOL{Value: v.Value}
	case *streamtypes.AttributeValueMemberNS:
		return &types.AttributeValueMemberNS{Value: v.Value}
	case *streamtypes.AttributeValueMemberSS:
		return &types.AttributeValueMemberSS{Value: v.Value}
	case *streamtypes.AttributeValueMemberL:
		l := &types.AttributeValueMemberL{}
		for _, e := range v.Value {
			l.Value = append(l.Value, streamValue(e))
		}
		return l
	case *streamtypes.AttributeValueMemberM:
		m := item{}
		for name, e := range v.Value {
			m[name] = streamValue(e)
		}
		return &types.AttributeValueMemberM{Value: m}
	}
	return &types.AttributeValueMemberNULL{Value: true}
}
