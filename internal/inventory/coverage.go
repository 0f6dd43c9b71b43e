package inventory

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"diagnose/internal/estate"
	"diagnose/internal/gcp"
)

// places are the nodes of the hierarchy.
type places struct {
	nodes   map[string]estate.Node
	ends    map[string]bool   // nodes above which nothing is
	numbers map[string]string // of projects by ID
	ids     map[string]string // of projects by number
}

func placesOf(b *batch) *places {
	p := &places{nodes: b.nodes, ends: b.ends, numbers: map[string]string{}, ids: map[string]string{}}
	for _, n := range b.nodes {
		if number, ok := strings.CutPrefix(n.Name, "projects/"); ok && n.ID != "" {
			p.numbers[n.ID], p.ids[number] = number, n.ID
		}
	}
	return p
}

// named puts a project's ID in place of its number.
func (p *places) named(name string) string {
	n, ok := gcp.ParseName(name)
	if !ok || p.ids[n.Project] == "" {
		return name
	}
	return cmp.Or(n.InProject(p.ids[n.Project]).Full(), name)
}

// maxAbove bounds the length of a path of nodes: folders are at most ten deep.
const maxAbove = 32

// above lists the nodes over a resource, its project first, and whether the
// last of them is known to be the top.
func (p *places) above(resource string) (chain []string, whole bool) {
	at := nodeOf(resource)
	if !strings.HasPrefix(resource, estate.NodeHost) {
		at = projectOf(resource)
	}
	if id := strings.TrimPrefix(at, "projects/"); p.numbers[id] != "" {
		at = "projects/" + p.numbers[id]
	}
	for ; at != "" && len(chain) < maxAbove; at = p.nodes[at].Parent {
		chain = append(chain, at)
	}
	top := chain[len(chain)-1]
	return chain, strings.HasPrefix(top, "organizations/") || p.ends[top]
}

// spellings lists the full names of a node: a project has an ID and a number.
func (p *places) spellings(node string) []string {
	out := []string{estate.NodeHost + node}
	if id := p.ids[strings.TrimPrefix(node, "projects/")]; id != "" {
		out = append(out, estate.NodeHost+"projects/"+id)
	}
	return out
}

// coverage says which policies the input shows, and which it must be taken to
// have left out because they are empty.
type coverage struct {
	*places
	known    map[string]bool // full names of those targets and nodes whose policy was read
	exported map[string]bool // tops below which policies of services were exported
	listed   map[string]bool // tops below which services were exported
	own      map[string]int  // targets without a known policy, by top
	nodes    map[string]bool // nodes without one
	tops     map[string]bool // nodes of which it is not known what is above
	bare     map[string]int  // targets that are known by name alone, by top
}

func coverageOf(e *estate.Estate, b *batch, p *places) *coverage {
	c := &coverage{places: p, exported: map[string]bool{}, listed: map[string]bool{}, own: map[string]int{}, nodes: map[string]bool{}, tops: map[string]bool{}, bare: map[string]int{}}
	asked := map[string]bool{}
	for _, t := range e.Targets {
		for _, name := range c.names(t) {
			asked[name] = true
		}
		chain, _ := p.above(t.Name)
		for _, n := range chain {
			for _, name := range p.spellings(n) {
				asked[name] = true
			}
		}
	}
	c.known = map[string]bool{}
	for name := range b.held.newest(asked) {
		c.known[name] = true
	}
	for project := range b.policies {
		c.exported[c.top(project)] = true
	}
	for project := range b.resources {
		c.listed[c.top(project)] = true
	}
	return c
}

// names lists the full names by which a target's policy may stand in the
// input.
func (c *coverage) names(t estate.Target) []string {
	out := []string{t.Name}
	if n, ok := gcp.ParseName(t.Name); ok && c.numbers[n.Project] != "" {
		out = append(out, n.InProject(c.numbers[n.Project]).Full())
	}
	return out
}

func (c *coverage) has(names []string) bool {
	return slices.ContainsFunc(names, func(n string) bool { return c.known[n] })
}

// top is the highest node that is known over a node, or that node itself.
func (c *coverage) top(node string) string {
	chain, _ := c.above(estate.NodeHost + node)
	return chain[len(chain)-1]
}

// missing says of which targets and nodes the policy is not known. An export
// leaves out what has none; that it has none is known of a target where
// policies of services of its organization were exported, or those of
// everything above it; and of a node where the organization's was, with them.
func (c *coverage) missing(e *estate.Estate) map[string]string {
	out := map[string]string{}
	for _, t := range e.Targets {
		chain, whole := c.above(t.Name)
		top := chain[len(chain)-1]
		exported := c.exported[top]
		all := whole
		for _, n := range chain {
			known := c.has(c.spellings(n))
			all = all && known
			if known || exported && c.has(c.spellings(top)) {
				continue
			}
			c.nodes[n] = true
			c.lacking(out, c.spellings(n), "the policy of "+n+" is not in the input")
		}
		if !whole {
			c.tops[top] = true
			c.lacking(out, c.spellings(top), "what is above "+top+" is not in the input")
		}
		if !c.has(c.names(t)) && !exported && !all {
			c.own[top]++
			c.lacking(out, c.names(t), "its policy is not in the input")
		}
	}
	return out
}

// accounts lists the projects of which it is known that a service account
// without a policy in the input has an empty one: policies of service accounts
// of the organization were exported, or those of everything above.
func (c *coverage) accounts(b *batch, complete bool) map[string]bool {
	exported, asked := map[string]bool{}, map[string]bool{}
	for project := range b.accounts {
		exported[c.top(project)] = true
	}
	projects := slices.DeleteFunc(slices.Sorted(maps.Keys(b.nodes)), func(n string) bool { return !strings.HasPrefix(n, "projects/") })
	for _, p := range projects {
		chain, _ := c.above(estate.NodeHost + p)
		for _, n := range chain {
			for _, name := range c.spellings(n) {
				asked[name] = true
			}
		}
	}
	read := b.held.newest(asked)
	held := func(name string) bool { _, ok := read[name]; return ok }
	out := map[string]bool{}
	for _, p := range projects {
		chain, whole := c.above(estate.NodeHost + p)
		all := whole && !slices.ContainsFunc(chain, func(n string) bool { return !slices.ContainsFunc(c.spellings(n), held) })
		out[p] = complete || all || exported[chain[len(chain)-1]]
	}
	return out
}

func (c *coverage) lacking(out map[string]string, names []string, why string) {
	for _, n := range names {
		out[n] = cmp.Or(out[n], why)
	}
}

// counted reports whether the services below every node with a grant are
// listed.
func (c *coverage) counted(e *estate.Estate) bool {
	if len(c.listed) == 0 || slices.ContainsFunc(e.Targets, func(t estate.Target) bool { return t.Bare }) {
		return false
	}
	for _, p := range e.Policies {
		if strings.HasPrefix(p.Resource, estate.NodeHost) && !c.listed[c.top(nodeOf(p.Resource))] {
			return false
		}
	}
	return true
}

// policies says which policies are missing, and what gives them.
func (c *coverage) policies() []string {
	var out []string
	for _, top := range slices.Sorted(maps.Keys(c.own)) {
		out = append(out, fmt.Sprintf("the whole IAM policy of %s of %s is not in the input, so that who can invoke is not known; "+
			"%s, or --complete where the input holds every policy",
			countOf(c.own[top], "service or function", "services and functions"), top, gcp.ExportAssets(top, "iam-policy")))
	}
	if nodes := slices.Sorted(maps.Keys(c.nodes)); len(nodes) > 0 {
		names := strings.Join(nodes[:min(len(nodes), 3)], ", ")
		if more := len(nodes) - 3; more > 0 {
			names += fmt.Sprintf(" and %d more", more)
		}
		top := c.top(nodes[0])
		out = append(out, fmt.Sprintf("the IAM policy of %s is not in the input, and what it grants is not known; %s, or --complete where it has none",
			names, gcp.ExportAssets(top, "iam-policy")))
	}
	if tops := slices.Sorted(maps.Keys(c.tops)); len(tops) > 0 {
		out = append(out, fmt.Sprintf("what is above %s is not in the input, and what is granted there is not known; "+
			"an export names it in ancestors", strings.Join(tops[:min(len(tops), 3)], ", ")))
	}
	return out
}

// resources says which services are known by their policy alone, and what
// gives the rest.
func (c *coverage) resources(e *estate.Estate) []string {
	var out []string
	for _, t := range e.Targets {
		if t.Bare {
			chain, _ := c.above(t.Name)
			c.bare[chain[len(chain)-1]]++
		}
	}
	const what = "reach, ingress, IAP and the invoker check are unknown"
	for _, top := range slices.Sorted(maps.Keys(c.bare)) {
		out = append(out, fmt.Sprintf("the settings of %s of %s are not in the input: %s; %s",
			countOf(c.bare[top], "service or function", "services and functions"), top, what, gcp.ExportAssets(top, "resource")))
	}
	switch {
	case len(e.Targets) > 0 && len(c.listed) == 0 && len(out) == 0:
		top := c.top(projectOf(e.Targets[0].Name))
		out = append(out, "whether the input lists every service of "+top+" is not known, nor the reach of a grant above one: a search or a feed may leave some out; "+
			gcp.ExportAssets(top, "resource"))
	case len(e.Targets) == 0:
		top := ""
		for _, n := range e.Nodes {
			if strings.HasPrefix(n.Name, "organizations/") {
				top = n.Name
			}
		}
		out = append(out, "no service or function is in the input: "+what+"; "+gcp.ExportAssets(top, "resource"))
	}
	return out
}
