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

// finish makes the estate, the same whatever the order of the lines was.
func (r *reader) finish() (*estate.Estate, Stats, error) {
	r.wait()
	if r.stop != nil {
		return nil, r.snapshot(), r.stop
	}
	if err := r.ctx.Err(); err != nil {
		return nil, r.snapshot(), err
	}
	all := newBatch()
	sources := map[*source]bool{}
	for _, w := range r.workers {
		all.join(&w.batch)
		r.stats.Lines += w.lines
		r.stats.Odd += w.oddly
		r.stats.Oddities = append(r.stats.Oddities, w.odds...)
		for _, s := range w.sources {
			sources[s] = true
		}
		w.batch = batch{}
	}
	r.workers = nil
	r.stats.Assets, r.stats.Public = all.assets, all.public
	r.foreign(slices.Collect(maps.Keys(sources)))
	r.pages(all.pages)
	e := r.estate(&all)
	slices.Sort(r.stats.Incomplete)
	return e, r.snapshot(), nil
}

// join adds what another worker read.
func (b *batch) join(o *batch) {
	b.Estate.Add(&o.Estate)
	for _, n := range o.nodes {
		b.node(n)
	}
	maps.Copy(b.ends, o.ends)
	maps.Copy(b.resources, o.resources)
	maps.Copy(b.policies, o.policies)
	maps.Copy(b.accounts, o.accounts)
	for name, s := range o.gone {
		b.gone[name] = later(b.gone[name], s)
	}
	b.callers, b.roles = append(b.callers, o.callers...), append(b.roles, o.roles...)
	b.deny, b.fronts = append(b.deny, o.deny...), append(b.fronts, o.fronts...)
	b.users = append(b.users, o.users...)
	b.pages, b.held = append(b.pages, o.pages...), append(b.held, o.held...)
	b.assets += o.assets
	b.public += o.public
	b.searched = b.searched || o.searched
}

// foreign puts one sentence in place of the lines of inputs that have no
// asset.
func (r *reader) foreign(sources []*source) {
	slices.SortFunc(sources, func(a, b *source) int { return cmp.Compare(a.name, b.name) })
	for _, s := range sources {
		if s.assets.Load() > 0 || s.name == "" || s.broken() {
			continue
		}
		r.stats.Foreign = append(r.stats.Foreign, s.foreign())
		r.stats.Odd -= s.odd
		r.stats.Oddities = slices.DeleteFunc(r.stats.Oddities, func(o Oddity) bool { return o.Where.File == s.name })
		r.stats.Incomplete = slices.DeleteFunc(r.stats.Incomplete, func(why string) bool { return strings.HasPrefix(why, s.name+" ") })
		if s.named {
			r.stats.Incomplete = append(r.stats.Incomplete, s.foreign())
		}
	}
	r.stats.Oddities = first(r.stats.Oddities)
	slices.SortFunc(r.stats.Oddities, byPlace)
}

// pages says of answers of the REST API whose next page is not in the input.
func (r *reader) pages(list []page) {
	further, last := map[string]bool{}, map[string]bool{}
	for _, p := range list {
		if p.next != "" {
			further[p.content] = true
		} else {
			last[p.content], last[""] = true, true
		}
	}
	for content := range further {
		if !last[content] && content != "" {
			r.stats.Incomplete = append(r.stats.Incomplete, "the input has answers of the REST API about "+content+
				" with a nextPageToken, and not the page that follows: read on until an answer has none")
		}
	}
}

// estate makes one estate of what was read.
func (r *reader) estate(b *batch) *estate.Estate {
	e := &b.Estate
	e.Nodes = slices.SortedFunc(maps.Values(b.nodes), func(x, y estate.Node) int { return cmp.Compare(x.Name, y.Name) })
	e.Callers, e.Roles = newest(b.callers, b.gone), newest(b.roles, b.gone)
	e.Deny, e.Fronts = newest(b.deny, b.gone), newest(b.fronts, b.gone)
	e.Accounts = newest(b.users, b.gone)
	p := placesOf(b)
	e.Policies = b.newestPolicies()
	for i := range e.Policies {
		if r.Complete {
			e.Policies[i].Partial = ""
		}
	}
	addMentioned(e)
	for i := range e.Targets {
		t := &e.Targets[i]
		t.Name, t.Function = p.named(t.Name), p.named(t.Function)
	}
	e.Targets = newestTargets(e.Targets, b.gone)
	e.JoinFunctions()
	for i := range e.Targets {
		if t := &e.Targets[i]; t.Event == estate.Yes && !t.Gen1 && t.TriggerAccount == "" {
			// https://docs.cloud.google.com/eventarc/docs/roles-permissions
			if n := p.numbers[gcp.Part(t.Name, "projects")]; n != "" {
				t.TriggerAccount = gcp.ComputeDefault(n)
			}
		}
	}
	r.complete(e, b, p)
	return e
}

// newestPolicies keeps the policies that are the state of their resources: one
// of which nothing matters supersedes an older one too.
func (b *batch) newestPolicies() []estate.Policy {
	names := map[string]bool{}
	for _, p := range b.Policies {
		names[p.Resource] = true
	}
	last := b.held.newest(names)
	out := slices.DeleteFunc(b.Policies, func(p estate.Policy) bool {
		return !p.Updated.IsZero() && p.Updated.UnixNano() < last[p.Resource] || outdated(b.gone, p.Resource, p.Updated)
	})
	slices.SortStableFunc(out, func(x, y estate.Policy) int {
		return cmp.Or(cmp.Compare(x.Resource, y.Resource), byWhere(x.Where, y.Where))
	})
	return out
}

// addMentioned adds the targets of which only the policy was read.
func addMentioned(e *estate.Estate) {
	have := make(map[string]bool, len(e.Targets))
	for _, t := range e.Targets {
		have[t.Name] = true
	}
	for _, x := range e.Policies {
		n, ok := gcp.ParseName(x.Resource)
		if !ok || n.AssetType() != gcp.ServiceAsset || have[x.Resource] {
			continue
		}
		e.Targets = append(e.Targets, bare(x.Resource, gcp.ServiceAsset, stamp{x.Updated, x.Where}))
	}
}

// newestTargets sorts targets so that of each the newest comes first, and what
// is known by name alone last.
func newestTargets(list []estate.Target, gone map[string]stamp) []estate.Target {
	list = slices.DeleteFunc(list, func(t estate.Target) bool {
		return outdated(gone, cmp.Or(t.Function, t.Name), t.Updated) || outdated(gone, t.Name, t.Updated)
	})
	slices.SortStableFunc(list, func(a, b estate.Target) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), order(a.Bare, b.Bare), cmp.Compare(a.Function, b.Function),
			b.Updated.Compare(a.Updated), byWhere(a.Where, b.Where))
	})
	return list
}

func order(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// complete says what the estate does not show.
func (r *reader) complete(e *estate.Estate, b *batch, p *places) {
	whole := len(r.stats.Incomplete) == 0 && r.stats.Odd == 0
	c := coverageOf(e, b, p)
	e.TargetsComplete = whole && c.counted(e)
	e.PoliciesComplete = whole
	e.AccountPolicies = c.accounts(b, r.Complete)
	if !r.Complete {
		e.PoliciesMissing = c.missing(e)
		r.stats.Missing = append(r.stats.Missing, c.policies()...)
	}
	if !r.Complete || slices.ContainsFunc(e.Targets, func(t estate.Target) bool { return t.Bare }) {
		r.stats.Missing = append(r.stats.Missing, c.resources(e)...)
	}
}

// countOf writes a number with what it counts.
func countOf(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprint(n) + " " + many
}
