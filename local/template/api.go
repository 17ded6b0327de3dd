package template

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// api reads the AWS::Serverless::Api; there can be one.
// https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/sam-resource-api.html
func (b *builder) api(id string, own props, _ *node) {
	b.apis = append(b.apis, id)
	if len(b.apis) > 1 {
		b.fail("line %d: resource %s: one machine serves one API, and %s is there already", own.n.line, id, b.apis[0])
		return
	}
	for _, k := range own.n.keys {
		own.seen[k] = true // asked for below, under the merged properties
	}
	p := newProps(own.owner, own.path, merge(b.globals.get("Api"), own.n), own.errs)
	p.inert(inertAPI...)
	a := b.newAPI(id)
	a.Stage = p.must("StageName")
	a.BinaryMediaTypes = unescapeAll(p.texts("BinaryMediaTypes"))
	b.auth(a, p.object("Auth"))
	for _, m := range p.list("MethodSettings") {
		b.methodSetting(a, m)
	}
	responses := p.object("GatewayResponses")
	for _, typ := range responses.n.keys {
		r := responses.object(typ)
		a.GatewayResponses[typ] = gatewayResponse(r)
		r.done()
	}
	p.only("CacheClusterEnabled", "false")
	p.done()
}

func (b *builder) newAPI(id string) *API {
	b.stack.API = &API{LogicalID: id, GatewayResponses: map[string]GatewayResponse{}}
	return b.stack.API
}

// unescapeAll undoes the JSON pointer escapes (~1 for /) that CloudFormation
// wants in places where a name is part of a path.
func unescapeAll(in []string) []string {
	for i := range in {
		in[i] = unescape(in[i])
	}
	return in
}

func unescape(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(s, "~1", "/"), "~0", "~")
}

func (b *builder) auth(a *API, p props) {
	p.inert("AddDefaultAuthorizerToCorsPreflight", "AddApiKeyRequiredToCorsPreflight")
	b.byName = p.text("DefaultAuthorizer", "")
	b.keyed = p.boolean("ApiKeyRequired", false)
	all := p.object("Authorizers")
	for _, name := range all.n.keys {
		b.schemes[name] = authorizer(name, all.object(name))
	}
	if b.byName != "" {
		if s, ok := b.schemes[b.byName]; ok {
			a.Authorizer = &s
		} else {
			p.fail("DefaultAuthorizer", "names %s, which is not among Authorizers", b.byName)
		}
	}
	p.done()
}

// authorizer reads a Lambda authorizer; the defaults are SAM's.
// https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/sam-property-api-lambdatokenauthorizer.html
func authorizer(name string, p props) Authorizer {
	p.only("FunctionPayloadType", "TOKEN")
	p.only("AuthorizationScopes", "none")
	p.inert("FunctionInvokeRole", "DisableFunctionDefaultPermissions")
	s := Authorizer{Name: name, Function: p.ref("FunctionArn")}
	if p.n.get("FunctionArn").kind == absent {
		p.fail("FunctionArn", "is missing: one machine knows Lambda authorizers only")
	}
	id := p.object("Identity")
	s.Header = id.text("Header", "Authorization")
	s.TTL = id.seconds("ReauthorizeEvery", 300, 0, 3600)
	id.done()
	p.done()
	return s
}

// methodSetting reads what throttles; logging and metrics are the cloud's.
func (b *builder) methodSetting(a *API, p props) {
	p.inert("DataTraceEnabled", "LoggingLevel", "MetricsEnabled")
	p.only("CachingEnabled", "false")
	t := MethodThrottle{
		Method: strings.ToUpper(p.must("HttpMethod")),
		Path:   settingPath(p.must("ResourcePath")),
		Rate:   p.number("ThrottlingRateLimit", -1, 0, 1e6),
		Burst:  p.integer("ThrottlingBurstLimit", -1, 0, 1_000_000),
	}
	if (t.Rate < 0) != (t.Burst < 0) {
		p.fail("ThrottlingRateLimit", "and ThrottlingBurstLimit go together")
	}
	if t.Rate >= 0 && t.Burst >= 0 {
		a.MethodThrottles = append(a.MethodThrottles, t)
	}
	p.done()
}

// settingPath reads /~1tasks~1{id} as /tasks/{id}; the root is "/".
// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-properties-apigateway-stage-methodsetting.html
func settingPath(s string) string {
	return "/" + strings.TrimPrefix(unescape(strings.TrimPrefix(s, "/")), "/")
}

var pathForm = regexp.MustCompile(`^(/|(/([A-Za-z0-9._~:@!$&'()*,;=-]+|\{[A-Za-z0-9._:-]+\+?\}))+)$`)

var methods = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "ANY"}

// route reads an event of type Api.
// https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/sam-property-function-api.html
func (b *builder) route(f *Function, p props) {
	r := Route{Method: strings.ToUpper(p.must("Method")), Path: p.must("Path"), KeyRequired: b.keyed}
	if r.Method == "*" {
		r.Method = "ANY"
	}
	if !slices.Contains(methods, r.Method) {
		p.fail("Method", "is %q; one machine knows %s", r.Method, strings.Join(methods, ", "))
	}
	if !pathForm.MatchString(r.Path) || strings.Contains(strings.TrimSuffix(r.Path, "+}"), "+}") {
		p.fail("Path", "is %q; it must be like /a/{b}, and a {name+} may only come last", r.Path)
	}
	r.Timeout = time.Duration(p.integer("TimeoutInMillis", 29_000, 50, 29_000)) * time.Millisecond
	if api := p.n.get("RestApiId"); api.kind != absent && len(b.apis) > 0 && p.ref("RestApiId") != b.apis[0] {
		p.fail("RestApiId", "must name %s", b.apis[0])
	} else if api.kind == absent && len(b.apis) > 0 {
		p.fail("RestApiId", "is missing: without it the route goes to an API of its own, beside %s", b.apis[0])
	}
	b.routeAuth(&r, p.object("Auth"))
	key := r.Method + " " + r.Path
	if other, taken := b.routes[key]; taken {
		p.fail("Path", "with this method belongs to %s already", other)
	}
	b.routes[key] = f.LogicalID
	f.Routes = append(f.Routes, r)
}

func (b *builder) routeAuth(r *Route, p props) {
	p.inert("InvokeRole")
	name := p.text("Authorizer", b.byName)
	r.KeyRequired = p.boolean("ApiKeyRequired", b.keyed)
	r.Open = name == "NONE" || name == ""
	if !r.Open && name != b.byName {
		p.fail("Authorizer", "is %s; one machine knows the DefaultAuthorizer and NONE", name)
	}
	p.done()
}

// usagePlan reads the plan's numbers. CloudFormation cannot divide by 60, so a
// plan that is meant by the minute says so in Metadata.RequestsPerMinute.
func (b *builder) usagePlan(id string, p props, metadata *node) {
	p.inert("ApiStages", "Description", "Tags", "UsagePlanName")
	for _, stage := range p.list("ApiStages") {
		if stage.n.get("Throttle").kind != absent {
			stage.fail("Throttle", "is not supported on one machine")
		}
	}
	plan := Plan{LogicalID: id}
	if m := newProps(p.owner, "Metadata.", metadata, p.errs); metadata.get("RequestsPerMinute").kind != absent {
		p.inert("Throttle")
		plan.Burst = m.integer("RequestsPerMinute", 0, 1, 100_000_000)
		plan.RequestsPerMinute = float64(plan.Burst)
	} else {
		t := p.object("Throttle")
		plan.RequestsPerMinute = 60 * t.number("RateLimit", 0, 0, 1e6)
		plan.Burst = t.integer("BurstLimit", 0, 0, 1_000_000)
		t.done()
	}
	if plan.RequestsPerMinute == 0 || plan.Burst == 0 {
		b.fail("line %d: %s: a plan without Throttle (RateLimit and BurstLimit above 0) holds nobody back", p.n.line, p.owner)
	}
	b.plan(plan)
}

func (b *builder) plan(p Plan) {
	if b.stack.API == nil {
		b.fail("resource %s: there is no AWS::Serverless::Api for this plan", p.LogicalID)
		return
	}
	b.stack.API.UsagePlans = append(b.stack.API.UsagePlans, p)
}

func (b *builder) gatewayResponse(id string, p props, _ *node) {
	p.inert("RestApiId")
	typ := p.must("ResponseType")
	r := gatewayResponse(p)
	if b.stack.API == nil {
		b.fail("resource %s: there is no AWS::Serverless::Api for this response", id)
		return
	}
	b.stack.API.GatewayResponses[typ] = r
}

// gatewayResponse reads both forms: SAM's, where headers stand under
// ResponseParameters.Headers, and CloudFormation's, where they are named
// gatewayresponse.header.<name>.
func gatewayResponse(p props) GatewayResponse {
	r := GatewayResponse{
		Status: p.integer("StatusCode", 0, 100, 599), Templates: p.strings("ResponseTemplates"), Headers: map[string]string{},
	}
	parameters := p.take("ResponseParameters")
	sam := parameters.get("Headers")
	for _, k := range parameters.keys {
		if name, ok := strings.CutPrefix(k, "gatewayresponse.header."); ok {
			r.Headers[name] = parameters.fields[k].text
		}
	}
	for _, k := range sam.keys {
		r.Headers[k] = sam.fields[k].text
	}
	return r
}

// finishAPI makes the implicit API where routes have no explicit one, and
// checks what only the whole template can tell.
func (b *builder) finishAPI() {
	if len(b.routes) > 0 && b.stack.API == nil {
		// https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/sam-specification-generated-resources-api.html
		b.newAPI("ServerlessRestApi").Stage = "Prod"
	}
	if b.stack.API == nil || b.stack.API.Authorizer == nil {
		return
	}
	if id := b.stack.API.Authorizer.Function; id != "" {
		if _, ok := b.stack.Function(id); !ok {
			b.errs = append(b.errs, fmt.Errorf("resource %s: its authorizer %s is not a function of this template", b.stack.API.LogicalID, id))
		}
	}
}
