package laws

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// The one place that every world is about. What differs between worlds is the
// documents that describe it, not its names.
const (
	project   = "shop"
	number    = "123456789012"
	folder    = "7"
	org       = "1"
	region    = "europe-west1"
	name      = "orders"
	serviceID = "projects/shop/locations/europe-west1/services/orders"
	gen1ID    = "projects/shop/locations/europe-west1/functions/orders"
	hashHost  = "orders-ab12cd34ef-ew.a.run.app"
	longHost  = "orders-123456789012.europe-west1.run.app"
	gen1URL   = "https://europe-west1-shop.cloudfunctions.net/orders"
	iapAgent  = "serviceAccount:service-123456789012@gcp-sa-iap.iam.gserviceaccount.com"

	runInvoke  = "run.routes.invoke"
	gen1Invoke = "cloudfunctions.functions.invoke"
	iapAccess  = "iap.webServiceVersions.accessViaIAP"

	// As deny policies spell them.
	denyInvoke = "run.googleapis.com/routes.invoke"
	denyIAP    = "iap.googleapis.com/webServiceVersions.accessViaIAP"
)

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// A world is the evidence about one question: may who invoke the one service?
// Nil documents are unread.
type world struct {
	gen1     bool
	service  *service // of gen1, the function
	own      *policy
	above    []node // the project first
	noAbove  bool   // the list of ancestors is unread
	deny     []denial
	noDeny   bool
	roles    map[string][]string // permissions of custom roles; nil where deleted
	groups   map[string][]string
	tags     map[string]string
	iap      *policy
	settings *settings
	number   bool // the project's number is told by a document
	who      string
	source   string
	method   string
	path     string // "" where the request names no URL
}

type service struct {
	off, iap, deleted, noURL bool
	ingress                  string // "all", "internal", "balancer", "none"
}

type policy struct{ bindings []binding }

type binding struct {
	role    string
	members []string
	when    *cond
}

type node struct {
	kind, id string
	policy   *policy
}

// A denial is a deny policy of one rule.
type denial struct {
	on                                            string // "projects/shop"
	principals, exceptions, permissions, excepted []string
	when                                          *cond
}

// A cond is a condition: an atom where op is "".
type cond struct {
	op   string // "&&", "||", "!"
	atom string
	args []*cond
}

type settings struct{ options, foreign bool }

func (c *cond) String() string {
	switch {
	case c == nil:
		return ""
	case c.op == "":
		return c.atom
	case c.op == "!":
		return "!(" + c.args[0].String() + ")"
	}
	return "(" + c.args[0].String() + ") " + c.op + " (" + c.args[1].String() + ")"
}

func (b binding) String() string {
	text := b.role + " " + strings.Join(b.members, ",")
	if b.when != nil {
		text += " when " + b.when.String()
	}
	return text
}

func (p *policy) String() string {
	if p == nil {
		return "unread"
	}
	return fmt.Sprint(p.bindings)
}

func (d denial) String() string {
	text := fmt.Sprintf("%s denies %v to %v", d.on, d.permissions, d.principals)
	if len(d.exceptions)+len(d.excepted) > 0 {
		text += fmt.Sprintf(" except %v%v", d.exceptions, d.excepted)
	}
	if d.when != nil {
		text += " when " + d.when.String()
	}
	return text
}

// String tells the world in few lines, without what is usual.
func (w world) String() string {
	var out []string
	say := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	who := w.who
	if who == "" {
		who = "anonymous"
	}
	say("%s from %s %s %q, gen1 %t, project's number told %t", who, w.source, w.method, w.path, w.gen1, w.number)
	if w.service == nil {
		say("service unread")
	} else if *w.service != (service{ingress: "all"}) {
		say("service %+v", *w.service)
	}
	say("own %s", w.own)
	if w.noAbove {
		say("ancestors unread")
	}
	for _, n := range w.above {
		say("%s %s: %s", n.kind, n.id, n.policy)
	}
	if w.noDeny {
		say("deny policies unread")
	}
	for _, d := range w.deny {
		say("%s", d)
	}
	for _, k := range slices.Sorted(maps.Keys(w.roles)) {
		say("%s = %v", k, w.roles[k])
	}
	if len(w.groups) > 0 {
		say("groups %v", w.groups)
	}
	if w.tags != nil {
		say("tags %v", w.tags)
	}
	if w.service != nil && w.service.iap {
		say("IAP policy %s", w.iap)
		if w.settings != nil {
			say("IAP settings %+v", *w.settings)
		}
	}
	return "\t" + strings.Join(out, "\n\t")
}

// clone copies a world, so that a part of the copy can be changed.
func (w world) clone() world {
	if w.service != nil {
		s := *w.service
		w.service = &s
	}
	w.own, w.iap = w.own.clone(), w.iap.clone()
	w.above = slices.Clone(w.above)
	for i := range w.above {
		w.above[i].policy = w.above[i].policy.clone()
	}
	w.deny = slices.Clone(w.deny)
	w.roles, w.groups, w.tags = maps.Clone(w.roles), maps.Clone(w.groups), maps.Clone(w.tags)
	return w
}

func (p *policy) clone() *policy {
	if p == nil {
		return nil
	}
	out := &policy{bindings: slices.Clone(p.bindings)}
	for i := range out.bindings {
		out.bindings[i].members = slices.Clone(out.bindings[i].members)
	}
	return out
}

// policies are all allow policies that were read.
func (w *world) policies() []*policy {
	out := []*policy{w.own, w.iap}
	for _, n := range w.above {
		out = append(out, n.policy)
	}
	return slices.DeleteFunc(out, func(p *policy) bool { return p == nil })
}

// simpler are the worlds with one thing less.
func (w world) simpler() []world {
	var out []world
	add := func(change func(*world)) {
		c := w.clone()
		change(&c)
		out = append(out, c)
	}
	for i, p := range w.policies() {
		for j, b := range p.bindings {
			add(func(c *world) { q := c.policies()[i]; q.bindings = slices.Delete(q.bindings, j, j+1) })
			for k := range b.members {
				if len(b.members) > 1 {
					add(func(c *world) { m := &c.policies()[i].bindings[j].members; *m = slices.Delete(*m, k, k+1) })
				}
			}
			for _, less := range b.when.simpler() {
				add(func(c *world) { c.policies()[i].bindings[j].when = less })
			}
		}
	}
	for i, d := range w.deny {
		add(func(c *world) { c.deny = slices.Delete(c.deny, i, i+1) })
		add(func(c *world) { c.deny[i].exceptions, c.deny[i].excepted = nil, nil })
		for j := range d.principals {
			if len(d.principals) > 1 {
				add(func(c *world) { c.deny[i].principals = slices.Delete(slices.Clone(d.principals), j, j+1) })
			}
		}
		for _, less := range d.when.simpler() {
			add(func(c *world) { c.deny[i].when = less })
		}
	}
	for k := range w.roles {
		add(func(c *world) { delete(c.roles, k) })
	}
	for k := range w.groups {
		add(func(c *world) { delete(c.groups, k) })
	}
	add(func(c *world) { c.tags = nil })
	add(func(c *world) { c.settings = nil })
	add(func(c *world) { c.number = false })
	add(func(c *world) { c.source, c.method = "internet", "GET" })
	return append(out, w.whole()...)
}

// whole are the worlds with one document in its plainest form.
func (w world) whole() []world {
	var out []world
	add := func(change func(*world)) {
		c := w.clone()
		change(&c)
		out = append(out, c)
	}
	add(func(c *world) { c.service = &service{ingress: "all"} })
	add(func(c *world) { c.service = &service{ingress: "all", iap: w.service != nil && w.service.iap} })
	add(func(c *world) { c.own = &policy{} })
	add(func(c *world) { c.iap = &policy{} })
	add(func(c *world) { c.noAbove, c.above = false, plainAbove() })
	for i := range w.above {
		add(func(c *world) { c.above[i].policy = &policy{} })
	}
	add(func(c *world) { c.noDeny, c.deny = false, nil })
	add(func(c *world) { c.gen1 = false })
	add(func(c *world) { c.path = "/a" })
	return out
}

func plainAbove() []node {
	return []node{{"project", project, &policy{}}, {"organization", org, &policy{}}}
}

func (c *cond) simpler() []*cond {
	if c == nil {
		return nil
	}
	out := append([]*cond{nil}, c.args...)
	for i, a := range c.args {
		for _, less := range a.simpler() {
			if less != nil {
				args := slices.Clone(c.args)
				args[i] = less
				out = append(out, &cond{op: c.op, args: args})
			}
		}
	}
	return out
}

// size orders worlds: a shrunk one is smaller, and has fewer questions.
func (w world) size() int {
	n := len(w.String()) + 200*len(decide(w).turners)
	if w.service == nil {
		n += 100
	}
	return n
}

// shrink drops what a fault does not need: still says whether a world has it.
func shrink(w world, still func(world) bool) world {
	for again := true; again; {
		again = false
		for _, c := range w.simpler() {
			if c.size() < w.size() && still(c) {
				w, again = c, true
				break
			}
		}
	}
	return w
}
