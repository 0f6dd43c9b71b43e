package rules

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"diagnose/internal/gcp"
	"diagnose/internal/iam"
	"diagnose/internal/reach"
)

// accountsMissing says which policies of service accounts an inventory does
// not show, or not of whom: those of accounts that may invoke what not
// everybody may, or that can become one that does.
func (x *Index) accountsMissing() []string {
	if x.AccountPolicies == nil {
		return nil
	}
	b := x.becomings()
	matter := b.worthwhile()
	return append(b.policiesMissing(matter), b.namesMissing(matter)...)
}

// worthwhile lists the accounts that somebody gains by becoming them, by
// e-mail.
func (b *becoming) worthwhile() map[string]*node {
	out := map[string]*node{}
	add := func(p reach.Principal) {
		m := b.members[p]
		if m.Kind != iam.ServiceAccount || m.Deleted || b.noSource(p) {
			return
		}
		if home := b.x.homeOf(m.Value); home != nil {
			out[m.Value] = home
		}
	}
	for p, m := range b.members {
		if m.Kind == iam.ServiceAccount && b.ends.worth(m) {
			add(reach.Principal(p))
		}
	}
	for _, w := range b.allWays() {
		add(w.source.principal)
	}
	return out
}

// worth reports whether an account may be able to invoke a target that is not
// open to everybody.
func (e *ends) worth(m iam.Member) bool {
	for _, at := range e.of(m) {
		for _, t := range e.targets(at) {
			if !t.open() && e.x.may(m, t) != iam.NotGranted {
				return true
			}
		}
	}
	return false
}

func (b *becoming) policiesMissing(matter map[string]*node) []string {
	known, read := map[*node]bool{}, map[string]bool{}
	for project, k := range b.x.AccountPolicies {
		if n := b.x.nodes[b.x.canonical(project)]; n != nil {
			known[n] = k
		}
	}
	for _, p := range b.x.Policies {
		if email := b.x.accountOf(p.Resource); email != "" {
			read[email] = true
		}
	}
	missing := map[string][]string{}
	for _, email := range slices.Sorted(maps.Keys(matter)) {
		if home := matter[email]; !known[home] && !read[email] {
			chain := home.chain()
			top := chain[len(chain)-1].name
			missing[top] = append(missing[top], email)
		}
	}
	var out []string
	for _, top := range slices.Sorted(maps.Keys(missing)) {
		out = append(out, fmt.Sprintf("the policies of service accounts of %s are not in the input, and who can become %s is not known; "+
			"%s, or --complete where the input holds every policy", top, some(missing[top]), gcp.ExportAssets(top, "iam-policy")))
	}
	return out
}

// namesMissing says which policies are of an account that only its unique ID
// names, where it may be one that matters.
func (b *becoming) namesMissing(matter map[string]*node) []string {
	listed := map[string]bool{}
	for _, a := range b.x.Accounts {
		listed[a.Email] = true
	}
	open := map[*node]bool{}
	for email, home := range matter {
		open[home] = open[home] || !listed[email]
	}
	var names []string
	top := ""
	for _, p := range b.nameless {
		full := b.x.canonical(p.Resource)
		n := b.x.nodes[projectOf(full)]
		if n == nil || !open[n] && len(b.ends.wide) == 0 {
			continue
		}
		names = append(names, strings.TrimPrefix(full, "//"+gcp.IAMAPI+"/"))
		chain := n.chain()
		top = chain[len(chain)-1].name
	}
	if len(names) == 0 {
		return nil
	}
	slices.Sort(names)
	return []string{fmt.Sprintf("the e-mail of %s is not in the input, which has the policy by the account's unique ID; who can become it is not known; %s",
		some(slices.Compact(names)), gcp.ExportAssets(top, "resource"))}
}

// some lists the first few of names.
func some(names []string) string {
	const shown = 3
	out := strings.Join(names[:min(len(names), shown)], ", ")
	if more := len(names) - shown; more > 0 {
		out += fmt.Sprintf(" and %d more", more)
	}
	return out
}
