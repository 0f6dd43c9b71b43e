package rules

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"diagnose/checks"
	"diagnose/internal/estate"
	"diagnose/internal/evidence"
	"diagnose/internal/iam"
)

// An Expectation states who must, or must not, be able to invoke what, or who
// alone may.
type Expectation struct {
	Principal string // a member, or a pattern over the members granted
	Target    string // full or short name of a service or function, its address, its URL, or a pattern of these
	Allowed   bool
	// Only are the members, or patterns of them, that alone may invoke the
	// target, where Others is set: then Principal and Allowed say nothing.
	Only   []string
	Others bool
	When   When
	Where  estate.Where

	// inside says that who comes through ingress counts, from wherever: the
	// question is who may invoke at all.
	inside bool
	of     string // the pattern that Principal, which it does not fit, has accounts of
}

// A When narrows an expectation to some requests. The zero When is about a
// request of which nothing is known; one of anyone is then from the internet.
type When struct {
	Path, Host string          // "" where not stated
	Source     evidence.Origin // "" leaves ingress out of what an account may do
	Time       time.Time       // the zero time is the moment judged at
}

var accessExpectation = Rule{
	ID: "access-expectation", Title: "an expectation that is not met",
	Severity: High, Confidence: checks.Documented,
	Ref: accessPage,
	Doc: `The configuration states who must, and who must not, be able to invoke what. The same engine that judges an invocation says
otherwise for the state after the change. A principal with * is about every member granted that fits it; a target that
matches nothing is a mistake in the configuration. What cannot be verified is not known, and never taken as met.`,
	Run: func(x *Index) []Finding {
		if len(x.Expectations) == 0 {
			return nil
		}
		all := x.withBare()
		var out []Finding
		for _, e := range x.Expectations {
			out = append(out, x.at(e.When).expectation(e, all)...)
		}
		return out
	},
}

// at is the index at the time, path and host of a request.
func (x *Index) at(w When) *Index {
	y := *x
	if !w.Time.IsZero() {
		y.context.Time = w.Time
	}
	if w.Path != "" {
		y.context.Path = &w.Path
	}
	if w.Host != "" {
		y.context.Host = &w.Host
	}
	return &y
}

// withBare lists the targets, and those services and functions of which only a
// policy is here.
func (x *Index) withBare() []*target {
	out := slices.Clone(x.order)
	seen := map[string]bool{}
	for i := range x.Policies {
		p := &x.Policies[i]
		g := grant{policy: p}
		x.placed(&g)
		if g.target != nil || g.kind != onTarget && g.kind != onEither || seen[x.key(p)] {
			continue
		}
		seen[x.key(p)] = true
		where := p.Where
		where.Address = "" // that of the policy is none of the service's
		t := &target{Target: &estate.Target{Name: p.Resource, Gen1: g.kind == onEither, Root: p.Root, Where: where, Bare: true}}
		t.name, t.full, t.node = x.key(p), x.canonical(p.Resource), g.node
		out = append(out, t)
	}
	return out
}

// expectation judges one expectation about the targets that it means.
func (x *Index) expectation(e Expectation, all []*target) []Finding {
	var sure, maybe []*target
	for _, t := range all {
		switch x.means(e.Target, t) {
		case iam.Granted:
			sure = append(sure, t)
		case iam.Unknown:
			maybe = append(maybe, t)
		}
	}
	if len(sure) > 0 && !isPattern(e.Target) {
		maybe = nil
	}
	var out []Finding
	for _, t := range sure {
		out = append(out, x.expected(e, t)...)
	}
	for _, t := range maybe {
		for _, f := range x.expected(e, t) {
			f.Message = fmt.Sprintf("it is unknown whether %s is %s; if so, %s", shortName(t.name), e.Target, f.Message)
			f.Severity, f.Unknown = Low, true
			out = append(out, f)
		}
	}
	if len(sure) > 0 || len(out) > 0 || len(maybe) > 0 && isPattern(e.Target) {
		return out
	}
	f := Finding{Resource: e.Target, Member: e.Principal, Where: e.Where}
	if f.Message = e.says() + ", but no such service is here"; len(maybe) > 0 {
		f.Message = fmt.Sprintf("%s; it is unknown whether %s is meant", e.says(), shortName(maybe[0].name))
		f.Severity, f.Unknown = Low, true
	}
	return append(out, f)
}

// says repeats an expectation.
func (e Expectation) says() string {
	switch {
	case e.Others && len(e.Only) == 0:
		return "the configuration says that nobody may invoke " + e.Target
	case e.Others:
		return fmt.Sprintf("the configuration says that only %s may invoke %s", strings.Join(e.Only, ", "), e.Target)
	}
	return fmt.Sprintf("the configuration expects that %s %s invoke %s", e.Principal, e.verb(), e.Target)
}

func (e Expectation) verb() string {
	if e.Allowed {
		return "must"
	}
	return "must not"
}

// expected judges an expectation about one target: for each member granted
// that its pattern fits, where it has one.
func (x *Index) expected(e Expectation, t *target) []Finding {
	members, open := []string{e.Principal}, ""
	switch e.inside = e.Others || isPattern(e.Principal); {
	case e.Others:
		members, open = x.others(e, t)
	case e.inside:
		members, open = x.fitting(e, t)
	}
	var out []Finding
	for _, m := range members {
		one := e
		if one.Principal = m; !e.Others && !matches(e.Principal, m) {
			one.of = e.Principal
		}
		if f, bad := x.unexpected(one, t); bad {
			out = append(out, f)
		}
	}
	if len(out) > 0 || len(members) > 0 && open == "" || open == "" && !e.Allowed {
		return out
	}
	f := aboutTarget(t, "%s, but no member that fits the pattern has access", e.claim(t))
	f.Member, f.Where = e.Principal, e.Where
	if open != "" {
		f.Message = fmt.Sprintf("%s, but it is unknown who has access: %s", e.claim(t), open)
		f.Severity, f.Unknown = Low, true
	}
	return []Finding{f}
}

// claim says what an expectation claims of one target.
func (e Expectation) claim(t *target) string {
	who := e.Principal
	switch {
	case who == "" && len(e.Only) == 0:
		return "nobody must be able to invoke " + shortName(t.name)
	case who == "":
		return "only " + strings.Join(e.Only, ", ") + " must be able to invoke " + shortName(t.name)
	}
	return fmt.Sprintf("%s %s be able to invoke %s", who, e.verb(), shortName(t.name))
}

func (x *Index) unexpected(e Expectation, t *target) (Finding, bool) {
	d := x.expectedOf(e, t)
	want := iam.NotGranted
	if e.Allowed {
		want = iam.Granted
	}
	if d.State == want {
		return Finding{}, false
	}
	f := aboutTarget(t, "%s: %s", e.claim(t), x.because(t, d))
	f.Member, f.Where = e.Principal, e.Where
	if d.State == iam.Unknown {
		f.Message = fmt.Sprintf("%s, but it is unknown whether that is so: %s", e.claim(t), d.Reason)
		f.Severity, f.Unknown = Low, true
	}
	if e.Others || e.of != "" {
		e.Principal = e.of
		f.Message += "; " + e.says()
	}
	if e.Allowed && e.When == (When{}) {
		f.propose = func() []repair { return []repair{x.grantInvoker(t, e.Principal)} }
	}
	return f, true
}

// expectedOf decides about the principal of an expectation: through ingress
// where the source of the request is stated. Where it is not, anyone comes from
// the internet, but for the question who else may invoke at all.
func (x *Index) expectedOf(e Expectation, t *target) iam.Decision {
	d := x.door(t)
	if isAnyone(e.Principal) {
		d = x.publicDoor(t)
	}
	out := d.Admit(iam.IdentityOf(e.Principal))
	switch {
	case e.When.Source != "":
		d.Internet, d.Outside = e.When.admitted(t)
		return d.FromInternet(out)
	case isAnyone(e.Principal) && !e.inside:
		return d.FromInternet(out)
	}
	return out
}

// admitted says whether ingress admits a request from where an expectation
// says, and else why not.
func (w When) admitted(t *target) (iam.State, string) {
	from := "a request from " + w.Source.Word()
	switch {
	case w.Source == evidence.GoogleService && (t.Gen1 || w.Host != "" && !onDefaultURL(w.Host)) && t.Ingress != estate.IngressAll:
		return iam.Unknown, "whether ingress admits " + from + " here is not known"
	case w.Source.Passes(t.Ingress):
		return iam.Granted, ""
	case t.Ingress == estate.UnknownIngress:
		return iam.Unknown, "its ingress setting is unknown"
	}
	return iam.NotGranted, "ingress " + t.Ingress.String() + " does not admit " + from
}
