package iam

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/type/expr"
)

// stopped is the reason of what was not decided before a Stop.
const stopped = "the judgement was stopped before this was decided"

// A Condition is what became of a condition. The zero Condition is unknown.
type Condition struct {
	State      State     // Granted: it holds; NotGranted: it does not
	Part       string    // the smallest part that decided it, or left it open
	Reason     string    // what that part says against it
	Unprovided []string  // attributes in it that Cloud Run does not provide
	Needs      []string  // where unknown: the inputs that are missing, such as "request.path" or "tags"
	Expires    time.Time // the end that it sets to itself, zero where none
	Failed     bool      // the part that left it open is not understood, or too much work, for this tool
	only       string
}

// Only says in a few words what a simple condition limits a grant to, such as
// "only /admin/*", "only until 2027-01-01" or "only on host x". It is "" where
// there is no condition, and where the condition is not that simple.
func (c Condition) Only() string { return c.only }

// EvalCondition evaluates the condition of a binding in three values. A nil or
// empty condition holds. Granted and NotGranted are said only where they hold
// whatever the open parts are.
//
// Each part has a set of possible outcomes: true, false, or a failure. A part
// that is evaluated has one. A part that this tool cannot evaluate, for want
// of an input, of understanding or within its limits, has all three. So has a
// part on an attribute that Cloud Run does not provide, with one exception: a
// plain test of it that is not negated never counts as granting, and so is not
// true: https://docs.cloud.google.com/iam/docs/conditions-attribute-reference.
// Negated tests are left open, because people write them as guards for other
// types of resources, and what Cloud Run makes of a guard is not documented.
// The sets are combined by the rules of CEL for &&, ||, ! and ?:
// https://github.com/google/cel-spec/blob/master/doc/langdef.md.
func EvalCondition(e *expr.Expr, c Context) Condition {
	return decide(e, c, false)
}

// EvalDenial evaluates the condition of a deny rule. State is Granted where
// the condition lets the rule deny. One that is true, or that Google cannot
// evaluate, does, and only tags are known to it:
// https://docs.cloud.google.com/iam/docs/deny-overview. What this tool cannot
// evaluate is unknown.
func EvalDenial(e *expr.Expr, c Context) Condition {
	return decide(e, c, true)
}

func decide(e *expr.Expr, c Context, denial bool) Condition {
	text := strings.TrimSpace(e.GetExpression())
	switch {
	case text == "":
		return Condition{State: Granted}
	case c.Stop != nil && c.Stop():
		return Condition{Part: text, Reason: stopped}
	}
	return answer(text, c, denial)
}

// An outcome is a set of what may become of a part.
type outcome uint8

const (
	yes outcome = 1 << iota
	no
	fails
	open = yes | no | fails
)

// A result is what may become of a part, and what says so.
type result struct {
	can          outcome
	part, reason string
	needs        []string
	failed       bool
	interrupted  bool
}

// An evaluation is the evaluation of one condition in one context.
type evaluation struct {
	context Context
	denial  bool
	vars    map[string]any
	budget  uint64 // what is left of the work that one condition may cost
}

// evaluate evaluates a condition. A stopped evaluation says so.
func (p *parsed) evaluate(c Context, denial bool) (_ Condition, whole bool) {
	ev := evaluation{context: c, denial: denial, vars: c.variables(), budget: costLimit}
	r := ev.eval(p.root, false)
	out := Condition{Part: r.part, Reason: r.reason, Failed: r.failed, Expires: p.expires, only: p.only}
	for _, ref := range p.refs {
		if ev.provision(ref) == unprovided {
			out.Unprovided = append(out.Unprovided, ref)
		}
	}
	out.State = r.state()
	if denial {
		out.State = r.denies(len(out.Unprovided) > 0)
	}
	switch out.State {
	case Granted:
		out.Part, out.Reason, out.Failed = "", "", false
	case Unknown:
		out.Needs = r.needs
		if out.Reason == "" {
			out.Part, out.Reason = p.text, p.text+" uses an attribute that the condition of a deny rule does not have"
		}
	}
	return out, !r.interrupted
}

func (r result) state() State {
	switch {
	case r.can == yes:
		return Granted
	case r.never(yes):
		return NotGranted
	}
	return Unknown
}

// denies says whether a denial condition lets its rule deny. Google does not
// say whether a part on an attribute that is not there spoils a whole that is
// false without it.
func (r result) denies(foreign bool) State {
	switch {
	case r.never(no):
		return Granted
	case r.can == no && !foreign:
		return NotGranted
	}
	return Unknown
}

// eval evaluates a part. guard is set where it stands below a negation or
// decides between two others.
func (ev *evaluation) eval(n *node, guard bool) result {
	var r result
	switch n.op {
	case opAnd:
		r = both3(ev.eval(n.args[0], guard), ev.eval(n.args[1], guard))
	case opOr:
		r = either3(ev.eval(n.args[0], guard), ev.eval(n.args[1], guard))
	case opNot:
		r = not3(n, ev.eval(n.args[0], true))
	case opChoice:
		r = choice3(ev.eval(n.args[0], true), ev.eval(n.args[1], guard), ev.eval(n.args[2], guard))
	default:
		r = ev.leaf(n, guard)
	}
	if decided := r.can == yes || r.can == no || !guard && r.never(yes); decided {
		r.needs = nil
	}
	return r
}

func both3(a, b result) result {
	can := (a.can | b.can) & no
	if a.can&yes != 0 && b.can&yes != 0 {
		can |= yes
	}
	if a.can&fails != 0 && b.can&^no != 0 || b.can&fails != 0 && a.can&^no != 0 {
		can |= fails
	}
	by := a
	if b.never(yes) && !a.never(yes) || a.can == yes {
		by = b
	}
	return a.with(b, can, by)
}

func either3(a, b result) result {
	can := (a.can | b.can) & yes
	if a.can&no != 0 && b.can&no != 0 {
		can |= no
	}
	if a.can&fails != 0 && b.can&^yes != 0 || b.can&fails != 0 && a.can&^yes != 0 {
		can |= fails
	}
	by := a
	if a.never(yes) && !b.never(yes) {
		by = b
	}
	return a.with(b, can, by)
}

// never reports whether an outcome is impossible.
func (r result) never(o outcome) bool { return r.can&o == 0 }

// with joins two parts: by says why.
func (r result) with(other result, can outcome, by result) result {
	needs := slices.Concat(r.needs, other.needs)
	slices.Sort(needs)
	return result{
		can: can, part: by.part, reason: by.reason, failed: by.failed,
		needs: slices.Compact(needs), interrupted: r.interrupted || other.interrupted,
	}
}

func not3(n *node, r result) result {
	can := r.can & fails
	if r.can&yes != 0 {
		can |= no
	}
	if r.can&no != 0 {
		can |= yes
	}
	if r.can == yes {
		r.part, r.reason = n.part, n.part+" is false"
	}
	r.can = can
	return r
}

func choice3(test, then, otherwise result) result {
	r := result{can: test.can & fails}
	by := test
	switch {
	case test.can == no:
		by = otherwise
	case test.can == yes, then.never(yes) && otherwise.never(yes):
		by = then
	}
	if test.can&yes != 0 {
		r = r.with(then, r.can|then.can, by)
	}
	if test.can&no != 0 {
		r = r.with(otherwise, r.can|otherwise.can, by)
	}
	return r.with(test, r.can, by)
}

// leaf evaluates a part without boolean structure.
func (ev *evaluation) leaf(n *node, guard bool) result {
	if ev.context.Stop != nil && ev.context.Stop() {
		return result{can: open, part: n.part, reason: stopped, interrupted: true}
	}
	for _, ref := range n.refs {
		switch ev.provision(ref) {
		case unprovided:
			return ev.unprovidedLeaf(n, ref, guard)
		case unheard:
			reason := fmt.Sprintf("%s uses %s, whose value is unknown here", n.part, ref)
			return result{can: open, part: n.part, reason: reason}
		}
	}
	if n.fault != "" {
		return result{can: open, part: n.part, reason: n.fault, failed: true}
	}
	if needs := ev.context.missing(n.refs); len(needs) > 0 {
		reason := fmt.Sprintf("%s depends on %s, which is unknown", n.part, inputName(needs[0]))
		return result{can: open, part: n.part, reason: reason, needs: needs}
	}
	return ev.run(n)
}

func (ev *evaluation) unprovidedLeaf(n *node, ref string, guard bool) result {
	switch {
	case ev.denial:
		return result{can: fails, part: n.part, reason: n.part + " uses " + ref + ", which denial conditions do not have"}
	case n.fault != "":
		return result{can: open, part: n.part, reason: n.fault, failed: true}
	case guard || !n.plain:
		reason := n.part + " uses " + ref + ", which Cloud Run is not documented to provide: " +
			"it is unknown how Google treats a check of it"
		return result{can: open, part: n.part, reason: reason}
	}
	reason := fmt.Sprintf("%s uses %s, which Cloud Run does not provide, so it never grants", n.part, ref)
	return result{can: no | fails, part: n.part, reason: reason}
}

// run evaluates a part whose inputs are known.
func (ev *evaluation) run(n *node) result {
	if ev.budget == 0 {
		return result{can: open, part: n.part, reason: tooCostly, failed: true}
	}
	out, details, err := n.program.Eval(ev.vars)
	if cost := details.ActualCost(); cost != nil {
		ev.budget -= min(ev.budget, *cost)
	}
	if err != nil {
		reason := n.part + " cannot be evaluated: " + firstLine(err.Error())
		if strings.Contains(err.Error(), "cost limit exceeded") {
			reason = tooCostly
		}
		return result{can: open, part: n.part, reason: reason, failed: true}
	}
	switch b, ok := out.Value().(bool); {
	case !ok:
		return result{can: open, part: n.part, reason: n.part + " is not a yes-or-no expression", failed: true}
	case b:
		return result{can: yes, part: n.part}
	}
	return result{can: no, part: n.part, reason: n.part + " is false" + ev.context.facts(n.refs)}
}

// conditionDocument says what would settle a condition that is unknown.
func conditionDocument(c Condition) Document {
	switch {
	case slices.Contains(c.Needs, "tags"):
		return TagBindings
	case len(c.Needs) > 0:
		return RequestDetails
	}
	return UndocumentedFact
}
