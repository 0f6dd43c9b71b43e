package checks

import (
	"slices"

	"diagnose/internal/evidence"
	"diagnose/internal/iam"
)

// A possibility is what a document that was not read may hold. A verdict is
// proven where no possibility turns it: the judge is asked again with each of
// them, so that no check has to know what it does not know.
type possibility struct {
	document string // the kind of document, a member of a case
	text     string // what is supposed instead, a clause
	gather   []Command
	apply    func(evidence.Snapshot) evidence.Snapshot
}

// extreme is the source of a supposed document.
var extreme = evidence.Source{Document: "supposed"}

// possibilities lists what the documents that were not read may hold, one for
// each kind of document of a case and each way in which it could matter.
func (in *Invocation) possibilities() []possibility {
	return slices.Concat(
		in.otherRequests(), in.otherMoments(), in.otherServices(), in.otherFunctions(), in.otherPolicies(),
		in.otherDenials(), in.otherGroups(), in.otherIAP(), in.otherProjects(), in.otherCallers(),
	)
}

// weigh says what the decision rests on: every possibility that turns it is
// an assumption, and so is what no document settles.
func (in *Invocation) weigh(v *Verdict) {
	switch v.Decision {
	case Allowed:
		v.Assumptions = append(v.Assumptions, in.turningAllowed(v.Findings)...)
	case Denied:
		v.Assumptions = in.turningDenied(v.Findings)
	default:
		return
	}
	v.Assumptions = distinct(append(v.Assumptions, in.standing()...))
	v.Basis = Proven
	if len(v.Assumptions) > 0 {
		v.Basis = Assumed
	}
}

// turningAllowed lists what would stop a request that nothing stops. What a
// check already supposes of a document is not said twice.
func (in *Invocation) turningAllowed(findings []Finding) []Assumption {
	var out []Assumption
	for _, p := range in.possibilities() {
		if in.stopped() {
			break
		}
		after := in.supposing(p)
		if d, _ := conclude(after); d == Allowed {
			continue
		}
		i := slices.IndexFunc(after, func(f Finding) bool { return f.stops() })
		if i < 0 {
			i = slices.IndexFunc(after, func(f Finding) bool { return f.admits })
		}
		said := slices.ContainsFunc(findings[i].Assumes, func(a Assumption) bool { return a.Document == p.document })
		if !said {
			out = append(out, Assumption{Check: after[i].Check, Document: p.document, Text: p.text, Gather: p.gather})
		}
	}
	return out
}

// turningDenied lists what would lift the refusal. One refusal that nothing
// lifts is enough; else those of the cause are told.
func (in *Invocation) turningDenied(findings []Finding) []Assumption {
	turning := map[int][]Assumption{}
	var failing []int
	for i, f := range findings {
		if f.Outcome == Fail {
			failing = append(failing, i)
			turning[i] = slices.Clone(f.Assumes)
		}
	}
	for _, p := range in.possibilities() {
		if in.stopped() {
			break
		}
		after := in.supposing(p)
		for _, i := range failing {
			if after[i].Outcome != Fail {
				turning[i] = append(turning[i], Assumption{Check: findings[i].Check, Document: p.document, Text: p.text, Gather: p.gather})
			}
		}
	}
	for _, i := range failing {
		if len(turning[i]) == 0 {
			return nil
		}
	}
	return turning[failing[0]]
}

func (in *Invocation) stopped() bool { return in.stop != nil && in.stop() }

func (in *Invocation) supposing(p possibility) []Finding {
	s := p.apply(*in.Snapshot)
	other := resolve(&s, in.stop)
	other.bare = true
	return other.answers()
}

// standing lists what no document settles: what stands between the caller and
// the service.
func (in *Invocation) standing() []Assumption {
	var out []Assumption
	add := func(text string) { out = append(out, Assumption{Check: "route-host", Text: text}) }
	for _, g := range in.Guessed {
		add(g)
	}
	switch name := in.ownName(); {
	case in.ownHostFix() != nil: // the check supposes that no domain mapping is there
	case name != "":
		add(name + " leads to this service, and what is in between does not change the request")
	case in.port() != "":
		add("port " + in.port() + " of " + in.host.Name + " leads to this service")
	}
	switch in.request.Origin {
	case evidence.LoadBalancer, evidence.InternalLoadBalancer:
		add("the load balancer leads to this service and does not change the request")
	}
	return out
}

// momentFrom is what says the moment judged at, where the evidence does not
// tell.
func (in *Invocation) momentFrom() string {
	if !in.request.Time.IsZero() && in.request.Time.Equal(in.Now) {
		return "request.json"
	}
	return "now"
}

// invokerRole is the smallest role that lets a caller invoke the target.
func (in *Invocation) invokerRole() string {
	if in.gen1 {
		return "roles/cloudfunctions.invoker"
	}
	return iam.MinimalInvoker
}
