package checks

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"cloud.google.com/go/iam/apiv1/iampb"
	denypb "cloud.google.com/go/iam/apiv2/iampb"
	"cloud.google.com/go/iap/apiv1/iappb"

	"diagnose/internal/evidence"
	"diagnose/internal/iam"
)

// otherPolicies: what an allow policy may grant, to everyone and to whom IAM
// is asked about.
func (in *Invocation) otherPolicies() []possibility {
	var out []possibility
	role := in.invokerRole()
	members := in.askedAbout()
	grant := func(member string) *iampb.Policy {
		p := &iampb.Policy{Bindings: []*iampb.Binding{{Role: role, Members: []string{member}}}}
		if in.iap {
			p.Bindings = append(p.Bindings, &iampb.Binding{Role: accessorRole, Members: []string{member}})
		}
		return p
	}
	texts := func(l layer, m string) string {
		if m == "allUsers" {
			return "the policy of " + l.Resource + " does not make it public"
		}
		return "the policy of " + l.Resource + " does not grant it to " + m
	}
	for i, l := range in.layers {
		if l.Policy != nil {
			continue
		}
		for _, m := range members {
			out = append(out, possibility{l.document, texts(l, m), in.readPolicy(l),
				func(s evidence.Snapshot) evidence.Snapshot { return in.withLayer(s, i, grant(m)) }})
		}
		none := "the policy of " + l.Resource + " grants it"
		if i > 0 {
			none = hangAbove
		}
		out = append(out, possibility{l.document, none, in.readPolicy(l),
			func(s evidence.Snapshot) evidence.Snapshot { return in.withLayer(s, i, &iampb.Policy{}) }})
	}
	if in.Ancestors.Known() {
		return append(out, in.otherOrganization(grant)...)
	}
	for _, m := range members {
		out = append(out, possibility{"ancestor-policies.json", noneAbove(m), in.readAncestors(),
			func(s evidence.Snapshot) evidence.Snapshot {
				return in.withAncestors(s, grant(m), in.hung(&iampb.Policy{}))
			}})
	}
	return append(out, possibility{"ancestor-policies.json", hangAbove, in.readAncestors(),
		func(s evidence.Snapshot) evidence.Snapshot { return in.withAncestors(s, &iampb.Policy{}, unnamed) }})
}

// noneAbove is supposed of the policies above that no document has.
func noneAbove(member string) string {
	if member == "allUsers" {
		return "no policy of the project, its folders or its organization makes it public"
	}
	return "no policy of the project, its folders or its organization grants it to " + member
}

// hangAbove is supposed of deny policies on resources that are not known to be
// above the service.
const hangAbove = "the deny policies that were read are on resources above the service"

// otherOrganization: above a list that ends below an organization another one
// may stand than that which a deny policy hangs on, or that one, with a policy
// that was not read.
func (in *Invocation) otherOrganization(grant func(member string) *iampb.Policy) []possibility {
	if in.underOrganization() {
		return nil
	}
	suppose := func(text string, above []evidence.Ancestor) possibility {
		return possibility{"ancestor-policies.json", text, in.readAncestors(), func(s evidence.Snapshot) evidence.Snapshot {
			list := slices.DeleteFunc(slices.Clone(s.Ancestors.Or(nil)), func(a evidence.Ancestor) bool { return a.Missing })
			s.Ancestors = evidence.Known(append(list, above...), s.Ancestors.Source)
			return s
		}}
	}
	out := []possibility{suppose(hangAbove, unnamed)}
	if len(in.hung(nil)) == 0 {
		return out
	}
	for _, m := range in.askedAbout() {
		out = append(out, suppose(noneAbove(m), in.hung(grant(m))))
	}
	return out
}

// unnamed is an organization that no document names.
var unnamed = []evidence.Ancestor{{ID: "0", Type: "organization", Policy: evidence.Known(&iampb.Policy{}, extreme)}}

// hung lists the folders and the organization that deny policies hang on and
// that are not listed above the service. Each has the policy given.
func (in *Invocation) hung(p *iampb.Policy) []evidence.Ancestor {
	var out []evidence.Ancestor
	for _, d := range in.question(in.permission, in.identity).Deny {
		kind, id, _ := strings.Cut(d.Point, "/")
		listed := slices.ContainsFunc(out, func(a evidence.Ancestor) bool { return a.ID == id })
		if d.Attached == iam.Unknown && kind != "projects" && id != "" && !listed {
			out = append(out, evidence.Ancestor{ID: id, Type: strings.TrimSuffix(kind, "s"), Policy: evidence.Known(p, extreme)})
		}
	}
	return out
}

// askedAbout lists the members whose access matters to the verdict.
func (in *Invocation) askedAbout() []string {
	out := []string{"allUsers"}
	add := func(m string) {
		if m != "" && !slices.Contains(out, m) {
			out = append(out, m)
		}
	}
	add(in.principal)
	if in.iap {
		add(in.iapAgent())
	}
	if in.event || in.eventTrigger() {
		add(in.triggerMember())
	}
	return out
}

// withLayer returns the evidence with the policy of one layer read.
func (in *Invocation) withLayer(s evidence.Snapshot, i int, p *iampb.Policy) evidence.Snapshot {
	switch {
	case i > 0:
		ancestors := slices.Clone(s.Ancestors.Or(nil))
		ancestors[i-1].Policy, ancestors[i-1].Missing = evidence.Known(p, extreme), false
		s.Ancestors = evidence.Known(ancestors, s.Ancestors.Source)
	case in.gen1:
		s.FunctionPolicy = evidence.Known(p, extreme)
	default:
		s.Policy = evidence.Known(p, extreme)
	}
	return s
}

// withAncestors returns the evidence with a project's policy and what is above
// it.
func (in *Invocation) withAncestors(s evidence.Snapshot, p *iampb.Policy, above []evidence.Ancestor) evidence.Snapshot {
	project := evidence.Ancestor{ID: in.projectName().ID, Type: "project", Policy: evidence.Known(p, extreme)}
	s.Ancestors = evidence.Known(slices.Concat([]evidence.Ancestor{project}, above), extreme)
	return s
}

// otherDenials: a deny policy may deny everyone.
func (in *Invocation) otherDenials() []possibility {
	if in.DenyPolicies.Known() {
		return nil
	}
	rule := &denypb.DenyRule{DeniedPrincipals: []string{"principalSet://goog/public:all"},
		DeniedPermissions: []string{"run.googleapis.com/*.*", "iap.googleapis.com/*.*"}}
	p := &denypb.Policy{Name: in.projectName().DenyParent() + "/supposed",
		Rules: []*denypb.PolicyRule{{Kind: &denypb.PolicyRule_DenyRule{DenyRule: rule}}}}
	return []possibility{{"deny-policies.json", "no deny policy denies " + in.permission + " to the caller", in.readDenyPolicies(),
		func(s evidence.Snapshot) evidence.Snapshot {
			s.DenyPolicies = evidence.Known([]*denypb.Policy{p}, extreme)
			return s
		}}}
}

// otherGroups: a domain that is matched by its name may have other members,
// and a domain can have service accounts:
// https://docs.cloud.google.com/iam/docs/principals-overview.
func (in *Invocation) otherGroups() []possibility {
	listed := in.Groups.Or(nil)
	empty, full := maps.Clone(listed), maps.Clone(listed)
	if listed == nil {
		empty, full = map[string][]string{}, map[string][]string{}
	}
	var gather []Command
	for _, m := range in.membersBound() {
		k := iam.ParseMember(m).Kind
		if k != iam.Group && k != iam.Domain || empty[m] != nil {
			continue
		}
		empty[m] = []string{}
		gather = append(gather, listMembers(m)...)
		if k == iam.Domain {
			full[m] = in.askedAbout()
		}
	}
	suppose := func(text string, groups map[string][]string) possibility {
		return possibility{"groups.json", text, gather, func(s evidence.Snapshot) evidence.Snapshot {
			s.Groups = evidence.Known(groups, extreme)
			return s
		}}
	}
	var out []possibility
	if len(empty) > len(listed) {
		out = append(out, suppose("the caller belongs to the groups and domains in the bindings", empty))
	}
	if len(full) > len(listed) {
		out = append(out, suppose("the caller does not belong to a domain in the bindings", full))
	}
	return out
}

// membersBound lists the members of every policy read that could let the
// caller in.
func (in *Invocation) membersBound() []string {
	policies := []*iampb.Policy{in.IAPPolicy.Or(nil)}
	for _, l := range in.layers {
		policies = append(policies, l.Policy)
	}
	var out []string
	for _, p := range policies {
		for _, b := range p.GetBindings() {
			out = append(out, b.GetMembers()...)
		}
	}
	return out
}

// otherIAP: what IAP's policy and settings may say where IAP is on.
func (in *Invocation) otherIAP() []possibility {
	if !in.iap {
		return nil
	}
	var out []possibility
	if !in.IAPPolicy.Known() {
		for _, m := range []string{"allUsers", in.principal, ""} {
			p := &iampb.Policy{}
			text := "IAP's policy admits the caller"
			if m != "" {
				p.Bindings = []*iampb.Binding{{Role: accessorRole, Members: []string{m}}}
				text = "IAP's policy does not admit " + m
			}
			out = append(out, possibility{"iap-policy.json", text, in.readIAPPolicy(),
				func(s evidence.Snapshot) evidence.Snapshot {
					s.IAPPolicy = evidence.Known(p, extreme)
					return s
				}})
		}
	}
	if in.IAPSettings.Known() {
		return out
	}
	for text, settings := range map[string]*iappb.AccessSettings{
		"IAP does not let OPTIONS pass":            optionsAllowed,
		"IAP asks for Google accounts only":        otherIdentities,
		"the token's audience is not one of IAP's": in.ownAudience(),
		"the token's audience is one of IAP's":     otherAudience,
	} {
		out = append(out, possibility{"iap-settings.json", text, in.readIAPSettings(),
			func(s evidence.Snapshot) evidence.Snapshot {
				s.IAPSettings = evidence.Known(&iappb.IapSettings{AccessSettings: settings}, extreme)
				return s
			}})
	}
	slices.SortFunc(out, func(a, b possibility) int { return cmp.Compare(a.text, b.text) })
	return out
}
