// Package gather reads the evidence about one function or service from
// Google's APIs. It only reads, and has no opinion on what it reads: every
// document becomes a fact of a snapshot, and one that cannot be read an
// unknown fact with the reason.
//
// What the target's name alone tells is asked for at once; what needs the
// function's, the policies' or the hierarchy's answer follows in a second
// round. No other package of the tree uses the API clients.
package gather

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc/codes"

	"cloud.google.com/go/eventarc/apiv1/eventarcpb"
	"cloud.google.com/go/functions/apiv2/functionspb"
	"cloud.google.com/go/iam/apiv1/iampb"
	denypb "cloud.google.com/go/iam/apiv2/iampb"
	"cloud.google.com/go/iap/apiv1/iappb"
	"cloud.google.com/go/run/apiv2/runpb"
	"github.com/googleapis/gax-go/v2"

	"diagnose/internal/evidence"
	"diagnose/internal/gcp"
)

// Options says how to reach the APIs. The zero Options uses Application
// Default Credentials and the limits below.
type Options struct {
	Project, Region string   // as the user says; a target must not name others
	Defaults        Defaults // guesses, for what neither target nor user names
	// Scope is the widest resource that the caller can analyze policies on,
	// "organizations/1" or "folders/1". Where it is "", the hierarchy is asked
	// for and Policy Analyzer looks at the project only.
	Scope        string
	Impersonate  string // e-mail of a service account to read as
	QuotaProject string
	Emulator     string // host:port of an emulator of all APIs
	// Dial reaches the emulator. Where it is nil, TCP does.
	Dial func(ctx context.Context, address string) (net.Conn, error)

	Timeout     time.Duration // for everything; 0 stands for 20 s
	CallTimeout time.Duration // for one call; 0 stands for 10 s
	Log         func(Call)    // told of every finished call; may be called concurrently
	Now         func() time.Time
}

func (o Options) withDefaults() Options {
	if o.Timeout <= 0 {
		o.Timeout = 20 * time.Second
	}
	if o.CallTimeout <= 0 {
		o.CallTimeout = 10 * time.Second
	}
	o.CallTimeout = min(o.CallTimeout, o.Timeout)
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// Collect reads everything about a target. It fails where nothing can be
// known: an *Unreachable where nothing could be read, a *Missing target, one
// that is not unique, an *Elsewhere, a *Contradiction, ctx cancelled. A document
// that cannot be read fails nothing; it is an unknown fact whose reason is an
// *Unreadable.
func Collect(ctx context.Context, t Target, o Options) (evidence.Snapshot, error) {
	o = o.withDefaults()
	user := ctx
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	c, t, err := newCollector(ctx, t, o)
	if err != nil {
		return evidence.Snapshot{}, err
	}
	defer c.clients.close()
	s, err := c.collect(ctx, t)
	if user.Err() != nil {
		return evidence.Snapshot{}, fmt.Errorf("reading %s: %w", t, user.Err())
	}
	return s, err
}

// newCollector settles the target and who reads, and sees that the reader's
// credentials give a token: without one every call would fail alike.
func newCollector(ctx context.Context, t Target, o Options) (*collector, Target, error) {
	r, err := readerOf(ctx, o)
	if err != nil {
		return nil, t, err
	}
	if o.Defaults.Project == "" {
		o.Defaults.Project, o.Defaults.ProjectFrom = r.project, "the credentials"
	}
	c := &collector{Options: o}
	if t, err = c.settle(t); err != nil {
		if r.close != nil {
			r.close()
		}
		return nil, t, err
	}
	r.countFor(t.Project)
	if r.check != nil {
		if err := r.check(ctx); err != nil {
			return nil, t, err
		}
	}
	c.clients = newClients(ctx, r.options)
	return c, t, nil
}

type collector struct {
	Options
	*clients
}

// later starts f and returns how to wait for its answer.
func later[T any](f func() T) func() T {
	var out T
	done := make(chan struct{})
	go func() {
		defer close(done)
		out = f()
	}()
	return func() T {
		<-done
		return out
	}
}

// all runs the functions at the same time.
func all(fs ...func()) {
	var wg sync.WaitGroup
	for _, f := range fs {
		wg.Go(f)
	}
	wg.Wait()
}

func (c *collector) collect(ctx context.Context, t Target) (evidence.Snapshot, error) {
	place := later(func() hierarchy { return c.lookup(ctx, t) })
	if !t.complete() {
		var err error
		if t, err = c.find(ctx, t, place()); err != nil {
			return evidence.Snapshot{}, err
		}
	}
	r := c.firstRound(ctx, t, place)
	if t.hashed() {
		found, err := c.confirm(ctx, t, r, place)
		if err != nil {
			return evidence.Snapshot{}, err
		}
		if found != t {
			t, r = found, c.firstRound(ctx, found, place)
		}
	}
	if err := c.contradicted(t, place); err != nil {
		return evidence.Snapshot{}, err
	}
	s := c.read(ctx, t, r, place)
	other, err := c.unclear(ctx, t, s, place)
	if err == nil && other != t {
		s = c.read(ctx, other, c.firstRound(ctx, other, place), place)
		t = other
	}
	if err == nil {
		err = c.untold(t, s, place)
	}
	if err != nil {
		return evidence.Snapshot{}, err
	}
	c.prune(&s, t, place)
	s.Guessed = guessed(t, s)
	if t.custom {
		s.Domain = t.URL.Host // find goes by the mappings alone
	}
	return s, nil
}

// guessed says which parts of the target were taken from a default and are
// confirmed by nothing: a service that lists the URL asked about is the one.
func guessed(t Target, s evidence.Snapshot) []string {
	service, known := s.Service.Get()
	if t.hashed() && known && len(urlsOf(service)) > 0 && leads(service, t.URL) {
		return nil
	}
	var out []string
	if by := from(t.projectFrom); by != "" {
		out = append(out, "the target is in project "+t.Project+by)
	}
	switch by := from(t.regionFrom); {
	case t.hinted:
		out = append(out, "the target is in "+t.Location+" (from the letters in its URL)")
	case by != "":
		out = append(out, "the target is in "+t.Location+by)
	}
	if t.hashed() && t.projectFrom == "--project" {
		out = append(out, gcp.Origin(t.URL)+" is a URL of the target")
	}
	return out
}

// read reads what the first round asked for and what follows from its answers.
func (c *collector) read(ctx context.Context, t Target, r round, place func() hierarchy) evidence.Snapshot {
	deny := later(func() evidence.Fact[[]*denypb.Policy] { return c.denyPolicies(ctx, t, r.deny, place) })
	s := evidence.Snapshot{Now: c.Now()}
	if t.URL != nil {
		s.Request = evidence.Known(evidence.Request{URL: t.URL}, evidence.Source{Document: "command line"})
	}

	s.Function = ofService(t, r.function())
	service, renamed := c.serviceOf(t, s.Function)
	if renamed {
		r.service, r.policy, r.effective = c.readService(ctx, t, service, place)
	}
	above := later(func() []scoped { return c.aboveProject(ctx, t, service, place()) })
	trigger := later(func() evidence.Fact[*eventarcpb.Trigger] { return c.trigger(ctx, s.Function) })
	iap := later(func() proxied { return c.iap(ctx, t, service, r.service, place) })
	analysis := later(func() analysis {
		return c.analyze(ctx, c.question(t, s.Function, service, r, above, place), renamed || gcp.IsNumber(t.Project))
	})

	s.Service, s.Policy, s.FunctionPolicy = r.service(), r.policy(), r.functionPolicy()
	s.Trigger, s.DenyPolicies = trigger(), deny()
	s.IAPPolicy, s.IAPSettings = iap().policy, iap().settings
	s.Project, s.Tags = place().project(t), place().tags(service)
	s.Ancestors = ancestors(t, place(), append(r.effective(), above()...))
	s.Policy = ownPolicy(s.Policy, service, place(), r.effective())
	s.Roles, s.Groups = analysis().roles, analysis().groups
	return s
}

// confirm sees that the URL leads to the service that was looked for by its
// name: the hash form does not say in which project that is, and only hints at
// the region.
func (c *collector) confirm(ctx context.Context, t Target, r round, place func() hierarchy) (Target, error) {
	svc := r.service()
	s, known := svc.Get()
	switch {
	case known && leads(s, t.URL):
		return t, nil
	case known && !t.hinted:
		return t, &Elsewhere{t, urlsOf(s)[:1]}
	case !known && !(t.hinted && notFound(svc.Reason())):
		return t, nil
	}
	t.Location = ""
	return c.find(ctx, t, place())
}

// round is what the target's name alone lets read.
type round struct {
	function       func() evidence.Fact[evidence.Function]
	functionPolicy func() evidence.Fact[*iampb.Policy]
	service        func() evidence.Fact[*runpb.Service]
	policy         func() evidence.Fact[*iampb.Policy]
	effective      func() []scoped
	deny           func() denyList
}

func (c *collector) firstRound(ctx context.Context, t Target, place func() hierarchy) round {
	var r round
	r.function = later(func() evidence.Fact[evidence.Function] { return c.function(ctx, t.functionName()) })
	r.functionPolicy = later(func() evidence.Fact[*iampb.Policy] { return c.functionPolicy(ctx, t.functionName()) })
	r.service, r.policy, r.effective = c.readService(ctx, t, t.serviceName(), place)
	r.deny = later(func() denyList { return c.listDeny(ctx, "projects/"+t.Project) })
	return r
}

// ofService drops a function that has only the name in common with the
// service that was asked about.
func ofService(t Target, f evidence.Fact[evidence.Function]) evidence.Fact[evidence.Function] {
	fn, ok := f.Get()
	if t.Kind == ServiceKind && (!ok || gcp.Last(fn.GetServiceConfig().GetService()) != t.Name) {
		return evidence.Fact[evidence.Function]{}
	}
	return f
}

func (c *collector) readService(
	ctx context.Context, t Target, name string, place func() hierarchy,
) (func() evidence.Fact[*runpb.Service], func() evidence.Fact[*iampb.Policy], func() []scoped) {
	scopes := []string{"projects/" + t.Project}
	if c.Scope != "" {
		scopes = append(scopes, c.Scope)
	}
	return later(func() evidence.Fact[*runpb.Service] { return c.service(ctx, name) }),
		later(func() evidence.Fact[*iampb.Policy] { return c.servicePolicy(ctx, name) }),
		later(func() []scoped { return c.effectivePolicies(ctx, t, indexed(name, place), scopes) })
}

// indexed is a name as the asset inventory has it, with the project's ID. A
// number is looked up there first; it stays where that fails.
func indexed(name string, place func() hierarchy) string {
	n, ok := gcp.ParseName(name)
	if !ok || !gcp.IsNumber(n.Project) {
		return name
	}
	if id := place().id; id != "" {
		n = n.InProject(id)
	}
	return n.String()
}

// serviceOf names the Cloud Run service of the target, and whether that is
// another one than its name let expect.
func (c *collector) serviceOf(t Target, f evidence.Fact[evidence.Function]) (name string, renamed bool) {
	guess := t.serviceName()
	fn, ok := f.Get()
	named := fn.GetServiceConfig().GetService()
	if !ok || named == "" || gcp.Last(named) == gcp.Last(guess) {
		return guess, false
	}
	return t.location() + "/services/" + gcp.Last(named), true
}

// unclear is the error where neither a function nor a service of the name
// exists, or one of each that have nothing to do with each other. A URL that
// names the wrong region is one of the function or service of that name
// elsewhere, which is returned: it is asked for and not there.
func (c *collector) unclear(ctx context.Context, t Target, s evidence.Snapshot, place func() hierarchy) (Target, error) {
	service, function := notFound(s.Service.Reason()), absent(s.Function.Reason(), t, place)
	if service && (function || t.Kind == ServiceKind) || function && t.Kind == FunctionKind {
		listed, err := c.listed(ctx, t)
		at := t
		at.Location = ""
		if m := matching(at, append(place().targets(), listed...)); t.URL != nil && len(m) == 1 && m[0].Location != t.Location {
			return m[0], nil
		}
		return t, missing(t, place(), listed, err)
	}
	if service && t.Kind == AnyKind && !s.Function.Known() {
		return t, fmt.Errorf("there is no service %q in %s of project %s, and it is unknown whether there is a function of that name: %w",
			gcp.ServiceID(t.Name), t.Location+from(t.regionFrom), t.Project+from(t.projectFrom), s.Function.Reason())
	}
	svc, both := s.Service.Get()
	if t.Kind == AnyKind && gen1(s) && both && !managed(svc) {
		return t, fmt.Errorf("%q is a gen1 function and also a Cloud Run service: name the one as %s or the other as %s", t.Name, t.functionName(), t.serviceName())
	}
	return t, nil
}

// untold is the error where nothing at all could be read about the target.
func (c *collector) untold(t Target, s evidence.Snapshot, place func() hierarchy) error {
	if s.Service.Known() || s.Function.Known() || s.Policy.Known() || s.FunctionPolicy.Known() || place().err == nil {
		return nil
	}
	reasons := []error{s.Service.Reason(), s.Policy.Reason()}
	if t.Kind == FunctionKind {
		reasons = []error{s.Function.Reason(), s.FunctionPolicy.Reason()}
	}
	return unreachable(t.String(), append(reasons, place().err))
}

// absent reports whether there is no such function: it was not found, or Cloud
// Functions is off in the target's own project and the inventory has none.
func absent(err error, t Target, place func() hierarchy) bool {
	if !isOff(err) {
		return notFound(err)
	}
	t.Kind = FunctionKind
	return functionsOff(err, t, place()) && len(matching(t, place().targets())) == 0
}

func isOff(err error) bool {
	var u *Unreadable
	return errors.As(err, &u) && u.Reason == "SERVICE_DISABLED"
}

// functionsOff reports whether an API is off in the target's project, and not
// in one that the reader's calls count for.
func functionsOff(err error, t Target, h hierarchy) bool {
	var u *Unreadable
	if !isOff(err) || !errors.As(err, &u) || u.consumer() == "" {
		return false
	}
	return slices.Contains([]string{t.Project, h.id, h.number}, u.consumer())
}

func notFound(err error) bool {
	var u *Unreadable
	return errors.As(err, &u) && u.Code == codes.NotFound
}

func gen1(s evidence.Snapshot) bool {
	fn, ok := s.Function.Get()
	return ok && fn.GetEnvironment() == functionspb.Environment_GEN_1
}

// managed reports whether Cloud Functions made a service.
func managed(s *runpb.Service) bool { return s.GetLabels()["goog-managed-by"] == "cloudfunctions" }

// prune drops what does not apply: a plain service has no function, and a
// gen1 function no service, save one that is being upgraded.
func (c *collector) prune(s *evidence.Snapshot, t Target, place func() hierarchy) {
	if !s.Function.Known() && (s.Function.Reason() == evidence.ErrNotGathered || absent(s.Function.Reason(), t, place)) {
		s.Function, s.FunctionPolicy = evidence.Fact[evidence.Function]{}, evidence.Fact[*iampb.Policy]{}
	}
	if svc, _ := s.Service.Get(); gen1(*s) && !managed(svc) {
		s.Service, s.Policy = evidence.Fact[*runpb.Service]{}, evidence.Fact[*iampb.Policy]{}
		s.IAPPolicy, s.IAPSettings = evidence.Fact[*iampb.Policy]{}, evidence.Fact[*iappb.IapSettings]{}
	}
}

// fact reads one document.
func fact[T any](ctx context.Context, c *collector, m Method, name, url string, f func(context.Context, gax.CallOption) (T, error)) evidence.Fact[T] {
	src := evidence.Source{Document: url}
	v, err := call(ctx, c, m, name, f)
	if err != nil {
		return evidence.Unknown[T](err, src)
	}
	return evidence.Known(v, src)
}

func (c *collector) function(ctx context.Context, name string) evidence.Fact[evidence.Function] {
	return fact(ctx, c, getFunction, name, "https://cloudfunctions.googleapis.com/v2/"+name, func(ctx context.Context, o gax.CallOption) (evidence.Function, error) {
		client, err := c.functions()
		if err != nil {
			return evidence.Function{}, err
		}
		fn, err := client.GetFunction(ctx, &functionspb.GetFunctionRequest{Name: name}, o)
		gen1 := fn.GetEnvironment() == functionspb.Environment_GEN_1
		return evidence.Function{Function: fn, EventOnly: gen1 && fn.GetEventTrigger() != nil && fn.GetUrl() == ""}, err
	})
}

func (c *collector) functionPolicy(ctx context.Context, name string) evidence.Fact[*iampb.Policy] {
	return fact(ctx, c, getFunctionPolicy, name, "https://cloudfunctions.googleapis.com/v2/"+name+":getIamPolicy", func(ctx context.Context, o gax.CallOption) (*iampb.Policy, error) {
		client, err := c.functions()
		if err != nil {
			return nil, err
		}
		return client.GetIamPolicy(ctx, policyRequest(name), o)
	})
}

func (c *collector) service(ctx context.Context, name string) evidence.Fact[*runpb.Service] {
	return fact(ctx, c, getService, name, "https://run.googleapis.com/v2/"+name, func(ctx context.Context, o gax.CallOption) (*runpb.Service, error) {
		client, err := c.run()
		if err != nil {
			return nil, err
		}
		return client.GetService(ctx, &runpb.GetServiceRequest{Name: name}, o)
	})
}

func (c *collector) servicePolicy(ctx context.Context, name string) evidence.Fact[*iampb.Policy] {
	return fact(ctx, c, getServicePolicy, name, "https://run.googleapis.com/v2/"+name+":getIamPolicy", func(ctx context.Context, o gax.CallOption) (*iampb.Policy, error) {
		client, err := c.run()
		if err != nil {
			return nil, err
		}
		return client.GetIamPolicy(ctx, policyRequest(name), o)
	})
}

// policyRequest asks for version 3: in an older one conditions are hidden.
func policyRequest(name string) *iampb.GetIamPolicyRequest {
	return &iampb.GetIamPolicyRequest{Resource: name, Options: &iampb.GetPolicyOptions{RequestedPolicyVersion: 3}}
}

// trigger reads the Eventarc trigger of an event-driven function.
func (c *collector) trigger(ctx context.Context, f evidence.Fact[evidence.Function]) evidence.Fact[*eventarcpb.Trigger] {
	fn, _ := f.Get()
	name := fn.GetEventTrigger().GetTrigger()
	if name == "" {
		return evidence.Fact[*eventarcpb.Trigger]{}
	}
	return fact(ctx, c, getTrigger, name, "https://eventarc.googleapis.com/v1/"+name, func(ctx context.Context, o gax.CallOption) (*eventarcpb.Trigger, error) {
		client, err := c.triggers()
		if err != nil {
			return nil, err
		}
		return client.GetTrigger(ctx, &eventarcpb.GetTriggerRequest{Name: name}, o)
	})
}
