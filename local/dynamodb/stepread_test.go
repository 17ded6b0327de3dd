package dynamodb

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// getStep is a GetItem, a BatchGetItem or a TransactGetItems.
type getStep struct {
	verb       string // get, batch, transact
	keys       []vMap // one for a get
	projection []path
	consistent bool
}

func (g *getStep) repeated() bool {
	seen := map[[2]string]bool{}
	for _, k := range g.keys {
		if seen[key(k)] {
			return true
		}
		seen[key(k)] = true
	}
	return false
}

func (g *getStep) foretell(m *model) answer {
	if g.repeated() {
		return answer{text: "ValidationException"}
	}
	each := 0.5
	switch {
	case g.verb == "transact":
		each = 2
	case g.consistent:
		each = 1
	}
	var found []string
	for _, k := range g.keys {
		is := m.items[key(k)]
		if is != nil && g.projection != nil {
			is = project(is, g.projection)
		}
		if is != nil || g.verb != "batch" {
			found = append(found, shownItem(is))
		}
	}
	if g.verb == "batch" { // answers in any order
		slices.Sort(found)
	}
	used := modelUnits{table: each * float64(len(g.keys))}
	return answer{"ok " + strings.Join(found, ", "), used.String()}
}

func (g *getStep) send(c *sdk.Client, table string) answer {
	ctx := context.Background()
	s := &scope{}
	projection := projectionText(s, g.projection)
	var found []string
	var units string
	switch g.verb {
	case "get":
		out, err := c.GetItem(ctx, &sdk.GetItemInput{TableName: &table, Key: toAWSItem(g.keys[0]), ProjectionExpression: projection,
			ExpressionAttributeNames: s.names, ConsistentRead: &g.consistent, ReturnConsumedCapacity: wantUnits})
		if err != nil {
			return failed(err)
		}
		found, units = append(found, shownAWS(out.Item)), shown(out.ConsumedCapacity)
	case "batch":
		wanted := types.KeysAndAttributes{ProjectionExpression: projection, ExpressionAttributeNames: s.names, ConsistentRead: &g.consistent}
		for _, k := range g.keys {
			wanted.Keys = append(wanted.Keys, toAWSItem(k))
		}
		out, err := c.BatchGetItem(ctx, &sdk.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{table: wanted}, ReturnConsumedCapacity: wantUnits})
		if err != nil {
			return failed(err)
		}
		for _, it := range out.Responses[table] {
			found = append(found, shownAWS(it))
		}
		slices.Sort(found)
		units = shown(&out.ConsumedCapacity[0])
	default:
		in := &sdk.TransactGetItemsInput{ReturnConsumedCapacity: wantUnits}
		for _, k := range g.keys {
			in.TransactItems = append(in.TransactItems, types.TransactGetItem{Get: &types.Get{TableName: &table, Key: toAWSItem(k),
				ProjectionExpression: projection, ExpressionAttributeNames: s.names}})
		}
		out, err := c.TransactGetItems(ctx, in)
		if err != nil {
			return failed(err)
		}
		for _, r := range out.Responses {
			found = append(found, shownAWS(r.Item))
		}
		units = shown(&out.ConsumedCapacity[0])
	}
	return answer{text: "ok " + strings.Join(found, ", "), units: units}
}

func shownAWS(it item) string {
	if it == nil {
		return "none"
	}
	return shownItem(fromAWSItem(it))
}

func projectionText(s *scope, paths []path) *string {
	if paths == nil {
		return nil
	}
	parts := make([]string, len(paths))
	for i, p := range paths {
		parts[i] = s.path(p)
	}
	return aws.String(strings.Join(parts, ", "))
}

// pagesStep is a Query or, without a hash, a Scan, read to its end.
type pagesStep struct {
	index      string
	hash       any // nil for a scan
	op         string
	low, top   any // operands of op, on the sort key
	filter     condition
	projection []path
	count      bool
	limit      int32
	reverse    bool
}

// exact tells whether the order of the items, and so what is on each page, is
// known: a query of the table. Entries of one key may have any order.
func (p *pagesStep) exact() bool { return p.index == "" && p.hash != nil }

func (p *pagesStep) matches(entry vMap) bool {
	ix := modelIndexes[p.index]
	if p.hash != nil && !equalValues(entry[ix.hash], p.hash) {
		return false
	}
	switch v := entry[ix.rng]; p.op {
	case "":
		return true
	case "BETWEEN":
		return compare(v, ">=", p.low) && compare(v, "<=", p.top)
	case "begins_with":
		return strings.HasPrefix(v.(string), p.low.(string))
	default:
		return compare(v, p.op, p.low)
	}
}

func (p *pagesStep) foretell(m *model) answer {
	if bad := p.unprojected(); bad {
		return answer{text: "ValidationException"}
	}
	var pages pageTexts
	var found []vMap
	scanned := int32(0)
	entries := m.entries(p.index)
	if p.reverse {
		slices.Reverse(entries)
	}
	for _, entry := range entries {
		if !p.matches(entry) {
			continue
		}
		scanned++
		if p.filter == nil || p.filter.holds(entry) {
			is := entry
			if p.projection != nil {
				is = project(entry, p.projection)
			}
			found = append(found, is)
		}
		if scanned == p.limit {
			pages.add(p, found, len(found), scanned, vMap{"PK": entry["PK"], "SK": entry["SK"]})
			found, scanned = nil, 0
		}
	}
	pages.add(p, found, len(found), scanned, nil)
	return answer{pages.text(p), strings.Join(slices.Repeat([]string{p.unitsOfPage()}, pages.n), "; ")}
}

func (p *pagesStep) unitsOfPage() string {
	var used modelUnits
	if p.index == "" {
		used.table = 0.5
	} else {
		used.index(p.index, 0.5)
	}
	return used.String()
}

// unprojected tells whether the step asks an index for what it does not hold.
func (p *pagesStep) unprojected() bool {
	ix := modelIndexes[p.index]
	if ix.project == nil {
		return false
	}
	held := append([]string{"PK", "SK", ix.hash, ix.rng}, ix.project...)
	wanted := p.projection
	if p.filter != nil {
		wanted = append(slices.Clone(wanted), p.filter.paths()...)
	}
	return slices.ContainsFunc(wanted, func(at path) bool { return !slices.Contains(held, at.top()) })
}

// pageTexts are the pages of an exact step; of others what is on all together.
type pageTexts struct {
	pages          []string
	items          []string
	count, scanned int
	n              int // pages
}

func (t *pageTexts) add(p *pagesStep, found []vMap, count int, scanned int32, last vMap) {
	t.n++
	t.count += count
	t.scanned += int(scanned)
	if p.count {
		found = nil
	}
	if p.exact() {
		t.pages = append(t.pages, fmt.Sprintf("%s (%d of %d) to %s", shownItems(found), count, scanned, shownItem(last)))
		return
	}
	for _, m := range found {
		t.items = append(t.items, shownItem(m))
	}
}

func (t *pageTexts) text(p *pagesStep) string {
	if p.exact() {
		return strings.Join(t.pages, "; ")
	}
	slices.Sort(t.items)
	return fmt.Sprintf("%s (%d of %d)", strings.Join(t.items, ", "), t.count, t.scanned)
}

func (p *pagesStep) keyCondition(s *scope) *string {
	ix := modelIndexes[p.index]
	text := s.path(path{ix.hash}) + " = " + s.value(p.hash)
	switch p.op {
	case "":
	case "BETWEEN":
		text += " AND " + s.path(path{ix.rng}) + " BETWEEN " + s.value(p.low) + " AND " + s.value(p.top)
	case "begins_with":
		text += " AND begins_with(" + s.path(path{ix.rng}) + ", " + s.value(p.low) + ")"
	default:
		text += " AND " + s.path(path{ix.rng}) + " " + p.op + " " + s.value(p.low)
	}
	return &text
}

func (p *pagesStep) send(c *sdk.Client, table string) answer {
	s := &scope{}
	in := &sdk.QueryInput{TableName: &table, ReturnConsumedCapacity: wantUnits, ScanIndexForward: aws.Bool(!p.reverse)}
	if p.index != "" {
		in.IndexName = &p.index
	}
	if p.hash != nil {
		in.KeyConditionExpression = p.keyCondition(s)
	}
	if p.filter != nil {
		in.FilterExpression = aws.String(p.filter.text(s))
	}
	in.ProjectionExpression = projectionText(s, p.projection)
	if p.count {
		in.Select = types.SelectCount
	}
	if p.limit > 0 {
		in.Limit = &p.limit
	}
	in.ExpressionAttributeNames, in.ExpressionAttributeValues = s.names, s.values
	var pages pageTexts
	var units []string
	for {
		out, err := p.page(c, in)
		if err != nil {
			return failed(err)
		}
		var found []vMap
		for _, it := range out.Items {
			found = append(found, fromAWSItem(it))
		}
		var last vMap
		if out.LastEvaluatedKey != nil {
			last = fromAWSItem(out.LastEvaluatedKey)
		}
		pages.add(p, found, int(out.Count), out.ScannedCount, last)
		units = append(units, shown(out.ConsumedCapacity))
		if in.ExclusiveStartKey = out.LastEvaluatedKey; in.ExclusiveStartKey == nil || len(units) > 100 {
			return answer{text: pages.text(p), units: strings.Join(units, "; ")}
		}
	}
}

// page sends the query, or the scan of the same parameters.
func (p *pagesStep) page(c *sdk.Client, in *sdk.QueryInput) (*sdk.QueryOutput, error) {
	if p.hash != nil {
		return c.Query(context.Background(), in)
	}
	out, err := c.Scan(context.Background(), &sdk.ScanInput{TableName: in.TableName, IndexName: in.IndexName, FilterExpression: in.FilterExpression,
		ProjectionExpression: in.ProjectionExpression, ExpressionAttributeNames: in.ExpressionAttributeNames, ExpressionAttributeValues: in.ExpressionAttributeValues,
		Select: in.Select, Limit: in.Limit, ExclusiveStartKey: in.ExclusiveStartKey, ReturnConsumedCapacity: in.ReturnConsumedCapacity})
	if err != nil {
		return nil, err
	}
	return &sdk.QueryOutput{Items: out.Items, Count: out.Count, ScannedCount: out.ScannedCount, LastEvaluatedKey: out.LastEvaluatedKey, ConsumedCapacity: out.ConsumedCapacity}, nil
}
