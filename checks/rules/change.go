package rules

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"diagnose/checks"
	"diagnose/internal/estate"
)

// changeRules are about a change before it is applied, and about what was
// stated of it.
var changeRules = []Rule{planConflict, policyLost, accessExpectation, ignoreExpired}

var planConflict = Rule{
	ID: "plan-conflict", Title: "resources that overwrite each other's bindings",
	Severity: High, Confidence: checks.Documented,
	Ref: "https://registry.terraform.io/providers/hashicorp/google/latest/docs/resources/cloud_run_v2_service_iam",
	Doc: `An _iam_policy resource owns the whole policy, and an _iam_binding all members of its role. With another
resource for the same policy or role, each apply removes what the other one grants. Keep only one kind.`,
	Run: func(x *Index) []Finding {
		var out []Finding
		for _, name := range x.policyNames() {
			if idUnknown(name) {
				continue // resources whose names are not known yet need not be one
			}
			owners := x.owners(name)
			name = strings.TrimPrefix(name, v2Mark)
			for _, pair := range conflicts(owners) {
				a, b := pair[0], pair[1]
				f := Finding{Resource: name, GrantedOn: name, Role: a.binding.Role, Member: b.binding.Where.Address, Where: a.binding.Where,
					Message: fmt.Sprintf("%s and %s overwrite each other on %s: %s", addressWord(a), addressWord(b), shortName(name), conflict(a, b))}
				f.Unknown = a.binding.Maybe != "" || b.binding.Maybe != ""
				f.propose = func() []repair { return []repair{oneKind(name)} }
				out = append(out, f)
			}
		}
		return out
	},
}

// oneKind keeps resources from overwriting each other.
func oneKind(name string) repair {
	return repair{Fix: checks.Fix{
		ID: "one-kind-of-iam-resource", Caution: "not checked: you choose which of them stays",
		Summary: "Keep one kind of IAM resource for " + shortName(name) +
			": _iam_member for each member, or one _iam_binding for each role, or one _iam_policy",
	}}
}

func (x *Index) policyNames() []string {
	var names []string
	for i := range x.Policies {
		if n := x.key(&x.Policies[i]); !slices.Contains(names[max(0, len(names)-8):], n) {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// An owner is one Terraform resource and a role that it claims.
type owner struct{ binding *estate.Binding }

func addressWord(o owner) string {
	return cmp.Or(placeOf(o.binding.Where), "one resource")
}

// owners lists the resources that configure a policy, once for each role.
func (x *Index) owners(name string) []owner {
	type claimed struct {
		where estate.Where
		role  string
	}
	var out []owner
	seen := map[claimed]bool{}
	for _, p := range x.policies[name] {
		for i := range p.Bindings {
			x.steps++
			b := &p.Bindings[i]
			key := claimed{b.Where, b.Role}
			if b.Authority == estate.PolicyAuthority {
				key.role = "" // it claims all of them at once
			}
			if b.Authority != estate.NoAuthority && !seen[key] {
				seen[key] = true
				out = append(out, owner{b})
			}
		}
	}
	return out
}

// conflicts pairs each owner with the first one that overwrites it: of the
// whole policy, and of the members of its role. That one is in conflict with
// all the others, too.
func conflicts(owners []owner) [][2]owner {
	first := map[string]int{} // of those that own more than a member, by what they own
	for i, o := range owners {
		if o.binding.Authority == estate.MemberAuthority {
			continue
		}
		if _, taken := first[o.owned()]; !taken {
			first[o.owned()] = i
		}
	}
	var out [][2]owner
	for i, o := range owners {
		whole, any := first[wholePolicy]
		role, one := first[o.role()]
		if any && whole != i && conflict(o, owners[whole]) != "" {
			out = append(out, [2]owner{owners[min(i, whole)], owners[max(i, whole)]})
		}
		if one && role != i && o.binding.Authority != estate.PolicyAuthority && conflict(o, owners[role]) != "" {
			out = append(out, [2]owner{owners[min(i, role)], owners[max(i, role)]})
		}
	}
	return out
}

// wholePolicy is what an _iam_policy resource owns.
const wholePolicy = "the whole policy"

// owned is what an owner owns: all members of a role under one condition, or
// the whole policy.
func (o owner) owned() string {
	if o.binding.Authority == estate.PolicyAuthority {
		return wholePolicy
	}
	return o.role()
}

func (o owner) role() string { return o.binding.Role + "\x00" + o.binding.Condition.GetExpression() }

func conflict(a, b owner) string {
	x, y := a.binding, b.binding
	if x.Where == y.Where || x.Where.Address == y.Where.Address && x.Where.Address != "" {
		return ""
	}
	same := a.role() == b.role()
	switch {
	case x.Authority == estate.PolicyAuthority || y.Authority == estate.PolicyAuthority:
		return "one owns the whole policy"
	case same && x.Authority == estate.RoleAuthority && y.Authority == estate.RoleAuthority:
		return "each owns all members of " + x.Role
	case same && x.Authority != y.Authority:
		return "one owns all members of " + x.Role
	}
	return ""
}

var policyLost = Rule{
	ID: "policy-lost", Title: "a replaced service that loses its grants",
	Severity: High, Confidence: checks.Inferred,
	Ref: "https://github.com/hashicorp/terraform-provider-google/issues/18831",
	Doc: `Replacing a service deletes its policy with it. Terraform does not notice that in the same plan: Terraform
does not re-create an _iam_ resource that the plan leaves unchanged, and its members are refused until the next apply.
Let it be replaced together with the service.`,
	Run: func(x *Index) []Finding {
		var out []Finding
		for i := range x.Lost {
			l := &x.Lost[i]
			for _, b := range l.Policy.Bindings {
				if x.mayInvoke(b.Role) {
					out = append(out, x.lost(l, b))
				}
			}
		}
		return out
	},
}

// lost makes the finding of a binding that goes with its replaced target.
func (x *Index) lost(l *estate.Lost, b estate.Binding) Finding {
	key := x.key(&l.Policy)
	at := b.Where.Address
	f := Finding{
		Resource: key, GrantedOn: key, Role: b.Role, Member: strings.Join(b.Members, ", "), Where: b.Where, key: key,
		Condition: b.Condition.GetExpression(), target: x.targetOf(&l.Policy),
	}
	f.Message = fmt.Sprintf("the plan replaces %s and leaves %s as it is, so that %s has no %s on the new one until the next apply",
		l.Target, at, strings.Join(b.Members, ", "), b.Role)
	if l.Taken != "" {
		f.Message = fmt.Sprintf("the plan destroys %s and leaves %s as it is, so that %s has no %s on %s until the next apply",
			l.Taken, at, strings.Join(b.Members, ", "), b.Role, shortName(key))
	}
	if l.Maybe {
		f.Unknown = true
		f.Message = fmt.Sprintf("the plan destroys %s and makes %s, in no fixed order, so that %s may have no %s on %s until the next apply",
			l.Taken, at, strings.Join(b.Members, ", "), b.Role, shortName(key))
	}
	if f.target != nil {
		f.ResourceType, f.place = resourceType(f.target.full), f.target.node
	}
	if f.place != nil {
		f.Node = f.place.name
	}
	together := repair{
		Fix: checks.Fix{
			ID: "replace-together", Summary: "Replace " + at + " together with " + l.Target,
			Commands:  []checks.Command{{Argv: []string{"terraform", "apply", "-replace=" + at}}},
			Terraform: header(at) + "\n  lifecycle {\n    replace_triggered_by = [" + relative(l.Target) + "]\n  }\n}\n",
		},
		change: func(e *estate.Estate) {
			e.Policies = append(slices.Clone(e.Policies), l.Policy)
			e.Lost = nil
		},
	}
	if l.Taken == "" {
		f.propose = func() []repair { return []repair{together} }
	}
	return f
}

// relative is an address inside its own module, without the keys of instances.
func relative(address string) string {
	parts := strings.Split(address, ".")
	if len(parts) < 2 {
		return address
	}
	name, _, _ := strings.Cut(parts[len(parts)-1], "[")
	return parts[len(parts)-2] + "." + name
}

var ignoreExpired = Rule{
	ID: "ignore-expired", Title: "an ignore that has expired",
	Severity: Medium, Confidence: checks.Documented,
	Ref: accessPage,
	Doc: `The configuration ignored a finding until a day that has passed. Repair what was ignored, or set a new day with a reason.`,
	Run: func(x *Index) []Finding {
		var out []Finding
		for _, i := range x.Ignores {
			if i.expired(x.Now) {
				out = append(out, Finding{Resource: i.Resource, Member: i.Member, Role: i.Rule, Where: i.Where,
					Message: fmt.Sprintf("the ignore of %s (%s) expired on %s", orWord(i.Rule, "every rule"), i.Reason, i.Expires.UTC().Format("2006-01-02"))})
			}
		}
		return out
	},
}

func orWord(s, other string) string {
	if s == "" || s == "*" {
		return other
	}
	return s
}
