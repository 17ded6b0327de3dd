package template

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// function reads an AWS::Serverless::Function.
// https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/sam-resource-function.html
func (b *builder) function(id string, own props, metadata *node) {
	merged := merge(b.globals.get("Function"), own.n)
	for _, k := range own.n.keys {
		own.seen[k] = true // asked for below, under the merged properties
	}
	p := newProps(own.owner, own.path, merged, own.errs)
	p.inert(inertFunction...)
	p.only("PackageType", "Zip")
	f := Function{
		LogicalID:   id,
		Name:        metadata.get("Function").text,
		Timeout:     p.seconds("Timeout", 3, 1, 900),
		Concurrency: p.integer("ReservedConcurrentExecutions", 0, 1, 1_000_000),
	}
	if f.Name == "" {
		b.fail("line %d: %s: Metadata.Function, the name of its folder, is missing", own.n.line, own.owner)
	}
	env := p.object("Environment")
	f.Env = env.strings("Variables")
	env.done()
	events := p.object("Events")
	for _, name := range events.n.keys {
		events.seen[name] = true
		e := newProps(own.owner+", event "+name, "", events.n.fields[name], own.errs)
		b.event(&f, name, e)
		e.done()
	}
	p.done()
	b.stack.Functions = append(b.stack.Functions, f)
}

func (b *builder) event(f *Function, name string, e props) {
	typ := e.must("Type", "Api", "Schedule", "ScheduleV2", "DynamoDB")
	p := e.object("Properties")
	switch typ {
	case "Api":
		b.route(f, p)
	case "Schedule", "ScheduleV2":
		b.schedule(f, name, typ, p)
	case "DynamoDB":
		b.stream(f, name, p)
	default:
		return // said already
	}
	p.done()
}

func (b *builder) schedule(f *Function, name, typ string, p props) {
	key := map[string]string{"Schedule": "Schedule", "ScheduleV2": "ScheduleExpression"}[typ]
	p.inert("Description", "RetryPolicy", "DeadLetterConfig", "FlexibleTimeWindow", "PermissionsBoundary", "RoleArn", "OmitName")
	expression := p.must(key)
	every, err := rate(expression)
	if err != nil && expression != "" {
		p.fail(key, "%s", err)
	}
	s := Schedule{Name: p.text("Name", name), Every: every, Input: p.text("Input", "")}
	if s.Input != "" && !json.Valid([]byte(s.Input)) {
		p.fail("Input", "is not JSON")
	}
	enabled := p.boolean("Enabled", true)
	if p.text("State", "ENABLED", "ENABLED", "DISABLED") == "ENABLED" && enabled {
		f.Schedules = append(f.Schedules, s)
	}
}

var rateForm = regexp.MustCompile(`^rate\((\d+) (minute|hour|day)(s?)\)$`)

// rate reads `rate(1 minute)`, `rate(5 minutes)`.
// https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html
func rate(expression string) (time.Duration, error) {
	m := rateForm.FindStringSubmatch(expression)
	if m == nil {
		return 0, fmt.Errorf("is %q; one machine knows rate(N minutes|hours|days)", expression)
	}
	n, err := strconv.Atoi(m[1])
	if err != nil || n < 1 || n > 100_000 || (n == 1) != (m[3] == "") {
		return 0, fmt.Errorf("is %q: a rate is a whole number above 0, with minute for 1 and minutes for more", expression)
	}
	unit := map[string]time.Duration{"minute": time.Minute, "hour": time.Hour, "day": 24 * time.Hour}[m[2]]
	return time.Duration(n) * unit, nil
}

// stream reads a DynamoDB event source; the defaults are Lambda's.
// https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-params.html
func (b *builder) stream(f *Function, name string, p props) {
	s := Stream{
		Name:             name,
		TableLogicalID:   p.ref("Stream"),
		BatchSize:        p.integer("BatchSize", 100, 1, 10_000),
		Window:           p.seconds("MaximumBatchingWindowInSeconds", 0, 0, 300),
		TumblingWindow:   p.seconds("TumblingWindowInSeconds", 0, 0, 900),
		StartingPosition: p.must("StartingPosition", "TRIM_HORIZON", "LATEST"),
		Retries:          p.integer("MaximumRetryAttempts", -1, -1, 10_000),
		MaximumRecordAge: p.seconds("MaximumRecordAgeInSeconds", -1, -1, 604_800),
		BisectOnError:    p.boolean("BisectBatchOnFunctionError", false),
	}
	if p.n.get("Stream").kind == absent {
		p.fail("Stream", "is missing")
	}
	if s.MaximumRecordAge < 0 {
		s.MaximumRecordAge = -1
	}
	for _, kind := range p.texts("FunctionResponseTypes") {
		s.ReportBatchItemFailures = kind == "ReportBatchItemFailures"
	}
	p.only("ParallelizationFactor", "1")
	p.inert("MetricsConfig")
	failure := p.object("DestinationConfig")
	onFailure := failure.object("OnFailure")
	onFailure.inert("Type")
	s.OnFailure = onFailure.text("Destination", "")
	onFailure.done()
	failure.done()
	criteria := p.object("FilterCriteria")
	for _, filter := range criteria.list("Filters") {
		pattern := filter.must("Pattern")
		if !json.Valid([]byte(pattern)) || !strings.HasPrefix(strings.TrimSpace(pattern), "{") {
			filter.fail("Pattern", "is not a JSON object")
		}
		s.Filters = append(s.Filters, pattern)
		filter.done()
	}
	criteria.done()
	if p.boolean("Enabled", true) {
		f.Streams = append(f.Streams, s)
	}
}
