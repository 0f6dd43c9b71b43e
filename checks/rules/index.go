package rules

import (
	"iter"
	"slices"
	"strings"

	"cloud.google.com/go/iam/apiv1/iampb"

	"diagnose/internal/estate"
	"diagnose/internal/gcp"
	"diagnose/internal/iam"
)

// An Index is an estate as the rules read it: what belongs together is joined,
// and IAM was asked once about each binding and each target.
type Index struct {
	*estate.Estate
	Options

	facts
	context iam.Context

	numbers   map[string]string // project number to ID
	nodes     map[string]*node
	targets   map[string]*target // by name
	order     []*target
	addresses map[place]*target    // by root module and address
	functions map[string]*target   // v2 functions by canonical name
	hosts     map[string][]*target // by host of their URLs
	policies  map[string][]*estate.Policy
	strays    strays
	rosters   map[*iampb.Policy]*iam.Roster
	grants    []grant
	granted   map[string][]int // positions of grants by resource
	layers    map[layerKey]iam.Layer
	projects  map[bool][]string // with a policy, by whether named by number; nil until asked
	joints    map[*estate.Policy]joint
	known     *callers // nil until it is asked for
	before    *Index
	held      map[string]map[string]estate.Where // holders of nodes
	steps     int                                // taken where what is here is compared with each other

	ids      map[string]string // project ID to number; nil until asked
	emails   map[string]string // of service accounts by full name, where that has another ID
	disabled map[string]bool   // service accounts by e-mail
	graph    *becoming         // who can become which account; nil until asked
}

// A place is where a thing stands in configuration: two things at one place
// are one.
type place struct{ root, address string }

// A node is a project, folder or organization with what is below it.
type node struct {
	name     string // "projects/shop"
	title    string
	parent   *node
	services int // Cloud Run services below that a grant opens: neither ingress nor IAP shields them
	gen1     int
	all      int // targets below
	public   int
	findings int
	order    int
	self     *estate.Node // nil where only its name is known
}

// A target is a service or gen1 function with what is made of it here.
type target struct {
	*estate.Target
	name   string       // what tells it from every other one; its canonical name where that is known
	full   string       // canonical full resource name, "-" where a part is not known
	node   *node        // its project
	anyone iam.Decision // about a request without credential that ingress lets through
	public iam.Decision // about one from the internet
	front  bool         // a load balancer with IAP leads to it
}

// facts are what an estate and its parts have in common.
type facts struct {
	roles  iam.Roles
	groups iam.Groups
	rights map[string]given // by role, filled as they are asked for
}

func newIndex(e *estate.Estate, o Options) *Index {
	return indexWith(e, o, facts{iam.NewRoles(e.Roles), iam.NewGroups(e.Groups), map[string]given{}})
}

func indexWith(e *estate.Estate, o Options, shared facts) *Index {
	x := &Index{
		Estate: e, Options: o, facts: shared, context: iam.Context{Time: o.Now},
		numbers: map[string]string{}, nodes: map[string]*node{}, targets: map[string]*target{},
		addresses: map[place]*target{}, functions: map[string]*target{}, hosts: map[string][]*target{},
		policies: map[string][]*estate.Policy{}, granted: map[string][]int{}, layers: map[layerKey]iam.Layer{},
		rosters: map[*iampb.Policy]*iam.Roster{}, held: map[string]map[string]estate.Where{},
		joints: make(map[*estate.Policy]joint, len(e.Policies)), emails: map[string]string{}, disabled: map[string]bool{},
	}
	x.readNodes()
	x.readAccounts()
	for i := range e.Targets {
		x.addTarget(&e.Targets[i])
	}
	for i := range e.Policies {
		x.addPolicy(&e.Policies[i])
	}
	for i := range e.Policies {
		x.evaluate(&e.Policies[i])
	}
	x.count()
	x.findFronts()
	return x
}

func (x *Index) readNodes() {
	for _, n := range x.Nodes {
		if number, ok := strings.CutPrefix(n.Name, "projects/"); ok && n.ID != "" {
			x.numbers[number] = n.ID
		}
	}
	for i := range x.Targets {
		x.readNumber(&x.Targets[i])
	}
	for i, n := range x.Nodes {
		own := x.node(n.Name, "")
		own.title, own.self = n.Title, &x.Nodes[i]
		if n.Parent != "" {
			own.parent = x.node(n.Parent, "")
		}
	}
}

// readNumber learns the number of a target's project from its URL, which has
// it, where its name has the ID.
func (x *Index) readNumber(t *estate.Target) {
	id := gcp.Part(t.Name, "projects")
	if id == "" || strings.HasPrefix(id, "-") || gcp.IsNumber(id) {
		return
	}
	for _, u := range t.URLs {
		if number := gcp.ParseAddress(u).Number; number != "" && x.numbers[number] == "" {
			x.numbers[number] = id
		}
	}
}

// findFronts follows load balancers with IAP to the services behind them.
func (x *Index) findFronts() {
	for _, t := range x.order {
		t.front = t.FrontIAP == estate.Yes
	}
	for _, b := range x.Fronts {
		if b.IAP != estate.Yes {
			continue
		}
		for _, g := range x.Fronts {
			if g.Service == "" || g.Project != b.Project || !slices.Contains(b.Groups, g.Name) {
				continue
			}
			if t := x.named(g.Service, g.Project); t != nil {
				t.front = true
			}
		}
	}
}

// node returns the node with a name. One whose ID is not known is that of its
// root module alone.
func (x *Index) node(name, root string) *node {
	name = x.canonical(name)
	if !whole(name) && root != "" {
		name += " of " + root
	}
	if x.nodes[name] == nil {
		x.nodes[name] = &node{name: name, order: len(x.nodes)}
	}
	return x.nodes[name]
}

func (x *Index) addTarget(in *estate.Target) {
	t := &target{Target: in, full: x.canonical(in.Name)}
	t.name = t.full
	if x.targets[t.full] != nil && whole(t.full) {
		return // the same one, exported twice
	}
	if at := in.Where.Address; at != "" && (idUnknown(t.full) || x.targets[t.full] != nil) {
		t.name = at
		if x.targets[at] != nil {
			t.name = in.Root + "/" + at
		}
	}
	if x.targets[t.name] != nil && in.Root != "" && !whole(t.full) {
		t.name = apartIn(t.full, in.Root)
	}
	if x.targets[t.name] != nil {
		return
	}
	if p := projectOf(t.full); p != "" {
		t.node = x.node(p, in.Root)
	}
	x.targets[t.name] = t
	x.order = append(x.order, t)
	if in.Where.Address != "" {
		x.addresses[place{in.Root, in.Where.Address}] = t
	}
	if in.Function != "" && whole(in.Function) {
		x.functions[x.canonical(in.Function)] = t
	}
	for _, u := range in.URLs {
		if h := gcp.ParseAddress(u); h.Host != "" && h.Function == "" {
			x.hosts[h.Host] = append(x.hosts[h.Host], t)
		}
	}
}

// above lists the nodes over a target, its project first.
func (t *target) above() []*node { return t.node.chain() }

// maxChain bounds the length of a path of nodes: folders are at most ten deep.
const maxChain = 32

// chain lists a node and those above it.
func (n *node) chain() []*node {
	var out []*node
	for ; n != nil && len(out) < maxChain; n = n.parent {
		out = append(out, n)
	}
	return out
}

// under reports whether a node is another one, or below it.
func (n *node) under(top *node) bool {
	for range maxChain {
		if n == nil || n == top {
			break
		}
		n = n.parent
	}
	return n != nil && n == top
}

func (t *target) permission() string {
	if t.Gen1 {
		return iam.FunctionsInvoke
	}
	return iam.RunInvoke
}

// behind reports whether IAP stands before a target.
func (t *target) behind() bool { return t.IAP == estate.Yes && !t.Gen1 }

// shielded reports whether ingress is known to keep the internet out.
func (t *target) shielded() bool {
	return t.Ingress == estate.IngressInternal || t.Ingress == estate.IngressNone
}

// count decides for each target whether anyone may invoke it, and counts the
// targets below each node.
func (x *Index) count() {
	for _, t := range x.order {
		door := x.publicDoor(t)
		t.anyone = door.Admit(iam.Anonymous())
		t.public = door.FromInternet(t.anyone)
		if t.gone() {
			continue
		}
		for _, n := range t.above() {
			n.all++
			switch {
			case t.shielded() || t.behind():
			case t.Gen1:
				n.gen1++
			default:
				n.services++
			}
			if t.open() {
				n.public++
			}
		}
	}
}

// gone reports whether a target was deleted, so that nobody invokes it.
func (t *target) gone() bool { return t.Deleted == estate.Yes }

// open reports whether anyone may invoke a target, from the internet.
func (t *target) open() bool { return t.public.State == iam.Granted }

// free reports whether those whom ingress lets through need no credential.
func (t *target) free() bool { return t.anyone.State == iam.Granted }

// eachGrant goes through the grants in the order in which they were read. One
// on a service that was deleted grants nothing any more.
func (x *Index) eachGrant() iter.Seq[*grant] {
	return func(yield func(*grant) bool) {
		for i := range x.grants {
			g := &x.grants[i]
			if g.kind != onNode && g.target != nil && g.target.gone() {
				continue
			}
			if !yield(g) {
				return
			}
		}
	}
}

// grantsOn goes through the grants on one resource.
func (x *Index) grantsOn(key string) iter.Seq[*grant] {
	return func(yield func(*grant) bool) {
		for _, i := range x.granted[key] {
			if !yield(&x.grants[i]) {
				return
			}
		}
	}
}
