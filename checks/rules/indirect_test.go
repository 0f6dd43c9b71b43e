package rules

import (
	"fmt"
	"maps"
	"math/rand"
	"slices"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/iam/admin/apiv1/adminpb"
	denypb "cloud.google.com/go/iam/apiv2/iampb"
	"google.golang.org/genproto/googleapis/type/expr"

	"diagnose/checks"
	"diagnose/internal/estate"
)

// organizations is the number of random ones that TestIndirectReference judges.
const organizations = 2000

// powersOf says by hand what the roles of these tests allow.
var powersOf = map[string][]string{
	"roles/iam.serviceAccountTokenCreator":       {"access", "openid", "sign", "delegate"},
	"roles/iam.serviceAccountOpenIdTokenCreator": {"openid"},
	"roles/iam.workloadIdentityUser":             {"access", "openid"},
	"roles/iam.serviceAccountUser":               {"actAs"},
	"roles/iam.serviceAccountKeyAdmin":           {"key"},
	"roles/iam.serviceAccountAdmin":              {"setAccount"},
	"roles/iam.securityAdmin":                    {"setAccount", "setService", "setProject", "setFolder", "setOrganization"},
	"roles/resourcemanager.projectIamAdmin":      {"setProject"},
	"roles/resourcemanager.folderIamAdmin":       {"setFolder"},
	"roles/resourcemanager.organizationAdmin":    {"setProject", "setFolder", "setOrganization"},
	"roles/compute.instanceAdmin.v1":             {"deploy"},
	"roles/run.developer":                        {"deploy", "invoke"},
	"roles/run.invoker":                          {"invoke"},
	"roles/iap.httpsResourceAccessor":            {"iap"},
	"roles/cloudfunctions.invoker":               {"invokeGen1"},
	"organizations/1/roles/minter":               {"access"},
	"organizations/1/roles/caller":               {"invoke"},
	"organizations/1/roles/nothing":              nil,
	"roles/viewer":                               nil,
}

// customRoles are the definitions of those of powersOf.
var customRoles = []*adminpb.Role{
	{Name: "organizations/1/roles/minter", IncludedPermissions: []string{"iam.serviceAccounts.getAccessToken"}},
	{Name: "organizations/1/roles/caller", IncludedPermissions: []string{"run.routes.invoke"}},
	{Name: "organizations/1/roles/nothing", IncludedPermissions: []string{"run.services.get"}},
}

// Conditions of which one holds at the moment asked about, one is over, and
// one is about what is not known.
var (
	holds   = &expr.Expr{Expression: `request.time < timestamp("2100-01-01T00:00:00Z")`}
	over    = &expr.Expr{Expression: `request.time < timestamp("2001-01-01T00:00:00Z")`}
	unknown = &expr.Expr{Expression: `resource.matchTag("1/env", "prod")`}
)

// listed are the members of the groups.
var listed = map[string][]string{"group:g@example.com": {"user:a@example.com", "serviceAccount:sa0@one.iam.gserviceaccount.com"}}

// deniedAs names powers as deny policies do.
var deniedAs = map[string][]string{
	"access": {"iam.googleapis.com/serviceAccounts.getAccessToken"}, "openid": {"iam.googleapis.com/serviceAccounts.getOpenIdToken"},
	"sign":     {"iam.googleapis.com/serviceAccounts.signJwt", "iam.googleapis.com/serviceAccounts.signBlob"},
	"delegate": {"iam.googleapis.com/serviceAccounts.implicitDelegation"}, "key": {"iam.googleapis.com/serviceAccountKeys.create"},
	"actAs": {"iam.googleapis.com/serviceAccounts.actAs"}, "invoke": {"run.googleapis.com/routes.invoke"},
	"setAccount": {"iam.googleapis.com/serviceAccounts.setIamPolicy"},
}

// A naive organization: a project in a folder, and one beside the folder.
type naive struct {
	above    map[string][]string // by account, target or node: itself and what is above
	accounts []string            // member strings
	targets  []string
	bindings map[string][]estate.Binding // by resource
	denied   map[string]bool             // "node power member"
	// named is the member asked about: its first step goes by a binding that
	// names it. Other bindings are findings about whom they name.
	named string
	// gen1 makes the second target of each project a gen1 function, iap puts
	// IAP in front of the first, and groups tells who is in the group.
	gen1, iap, groups bool
}

const (
	orgNode, folderNode = "organizations/1", "folders/2"
	federated           = "principal://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/ci/subject/main"
	pubSubAgent         = "serviceAccount:service-123456@gcp-sa-pubsub.iam.gserviceaccount.com"
)

func newNaive(r *rand.Rand) *naive {
	n := &naive{above: map[string][]string{}, bindings: map[string][]estate.Binding{}, denied: map[string]bool{}}
	n.gen1, n.iap, n.groups = r.Intn(4) == 0, r.Intn(4) == 0, r.Intn(3) == 0
	n.above[orgNode] = []string{orgNode}
	n.above[folderNode] = []string{folderNode, orgNode}
	n.above["projects/one"] = []string{"projects/one", folderNode, orgNode}
	n.above["projects/two"] = []string{"projects/two", orgNode}
	for _, p := range []string{"one", "two"} {
		up := n.above["projects/"+p]
		for i := range 2 {
			a := fmt.Sprintf("serviceAccount:sa%d@%s.iam.gserviceaccount.com", i, p)
			n.accounts, n.above[a] = append(n.accounts, a), append([]string{a}, up...)
			t := fmt.Sprintf("//run.googleapis.com/projects/%s/locations/r/services/s%d", p, i)
			if i == 1 && n.gen1 {
				t = fmt.Sprintf("//cloudfunctions.googleapis.com/projects/%s/locations/r/functions/s%d", p, i)
			}
			n.targets, n.above[t] = append(n.targets, t), append([]string{t}, up...)
		}
	}
	roles, on := slices.Sorted(maps.Keys(powersOf)), slices.Sorted(maps.Keys(n.above))
	who := append([]string{iapAgents["one"], iapAgents["two"], "user:a@example.com", "group:g@example.com", federated, "allAuthenticatedUsers", pubSubAgent}, n.accounts...)
	for range 2 + r.Intn(7) {
		at := on[r.Intn(len(on))]
		b := estate.Binding{Role: roles[r.Intn(len(roles))], Members: []string{who[r.Intn(len(who))]}}
		if r.Intn(3) == 0 {
			b.Members = append(b.Members, who[r.Intn(len(who))])
		}
		b.Condition = []*expr.Expr{nil, nil, nil, nil, holds, over, unknown}[r.Intn(7)]
		n.bindings[at] = append(n.bindings[at], b)
	}
	powers := slices.Sorted(maps.Keys(deniedAs))
	for range r.Intn(3) {
		at, whom := []string{orgNode, folderNode, "projects/one"}[r.Intn(3)], who[[]int{2, 7, 8, 9}[r.Intn(4)]]
		n.denied[at+" "+powers[r.Intn(len(powers))]+" "+whom] = true
	}
	return n
}

// holds reports whether a member has a power on a resource by a binding there
// or above, and no deny policy takes it.
func (n *naive) holds(who, power, on string) bool {
	if n.isDenied(who, power, on) {
		return false
	}
	for _, at := range n.above[on] {
		for _, b := range n.bindings[at] {
			all := who != n.named || slices.Contains([]string{"invoke", "invokeGen1", "iap", "deploy"}, power)
			if n.gives(b, power) && (slices.Contains(b.Members, who) || all && n.covers(b.Members, who)) {
				return true
			}
		}
	}
	return false
}

// gives reports whether a binding gives a power for certain.
func (n *naive) gives(b estate.Binding, power string) bool {
	return slices.Contains(powersOf[b.Role], power) && (b.Condition == nil || b.Condition == holds)
}

func (n *naive) covers(members []string, who string) bool {
	for group, in := range listed {
		if n.groups && slices.Contains(members, group) && slices.Contains(in, who) {
			return true
		}
	}
	return slices.Contains(members, who) || who != federated && slices.Contains(members, "allAuthenticatedUsers")
}

func (n *naive) isDenied(who, power, on string) bool {
	return slices.ContainsFunc(n.above[on], func(at string) bool { return n.denied[at+" "+power+" "+who] })
}

// writes reports whether a member may write the policy of a node above a
// resource.
func (n *naive) writes(who, on string) bool {
	for _, at := range n.above[on] {
		power := map[byte]string{'p': "setProject", 'f': "setFolder", 'o': "setOrganization"}[at[0]]
		if power != "" && n.holds(who, power, at) {
			return true
		}
	}
	return false
}

// becomes lists what a member has of each account, by trying every step until
// nothing more is gained: "t" its ID token, "d" its rights as a delegate, "f"
// all of it.
func (n *naive) becomes(who string) map[string]bool {
	have := map[string]bool{}
	for grown := true; grown; {
		size := len(have)
		for _, from := range append([]string{who}, n.accounts...) {
			full := from == who || have["f "+from]
			for _, a := range n.accounts {
				if full || have["d "+from] {
					n.gain(have, from, a, full)
				}
			}
		}
		grown = len(have) > size
	}
	return have
}

func (n *naive) gain(have map[string]bool, from, a string, full bool) {
	add := func(kinds string) {
		for _, k := range kinds {
			have[string(k)+" "+a] = true
		}
	}
	if n.holds(from, "openid", a) {
		add("t")
	}
	if n.holds(from, "delegate", a) {
		add("d")
	}
	if n.holds(from, "access", a) || n.holds(from, "sign", a) {
		add("tdf")
	}
	if !full {
		return
	}
	grants := slices.ContainsFunc([]string{"access", "openid", "sign"}, func(p string) bool { return !n.isDenied(from, p, a) })
	deploys := n.holds(from, "deploy", n.above[a][1])
	for _, t := range n.targets {
		deploys = deploys || n.above[t][1] == n.above[a][1] && n.updates(from, t)
	}
	if n.holds(from, "key", a) || grants && (n.holds(from, "setAccount", a) || n.writes(from, a)) || deploys && n.holds(from, "actAs", a) {
		add("tdf")
	}
}

// updates reports whether a member may change one service.
func (n *naive) updates(who, t string) bool {
	for _, at := range n.above[t] {
		for _, b := range n.bindings[at] {
			if b.Role == "roles/run.developer" && n.gives(b, "deploy") && n.covers(b.Members, who) {
				return true
			}
		}
	}
	return false
}

// mayInvoke reports whether a member may invoke by itself: federated ones have
// no Google ID token.
func (n *naive) mayInvoke(who, t string) bool {
	switch {
	case who == federated:
		return false
	case n.isGen1(t):
		return n.holds(who, "invokeGen1", t)
	case n.behindIAP(t):
		return n.holds(who, "iap", t) && n.holds(iapAgents[project(t)], "invoke", t)
	}
	return n.holds(who, "invoke", t)
}

func (n *naive) isGen1(t string) bool    { return strings.Contains(t, "/functions/") }
func (n *naive) behindIAP(t string) bool { return n.iap && strings.HasSuffix(t, "/s0") }

// project is the project of a target.
func project(t string) string { return strings.Split(t, "/")[4] }

// iapAgents let in those whom IAP lets through.
var iapAgents = map[string]string{
	"one": "serviceAccount:service-11@gcp-sa-iap.iam.gserviceaccount.com", "two": "serviceAccount:service-12@gcp-sa-iap.iam.gserviceaccount.com",
}

// indirect reports whether a member comes to invoke what it may not.
func (n *naive) indirect(who, t string) bool {
	n.named = who
	if n.mayInvoke(who, t) {
		return false
	}
	have := n.becomes(who)
	for _, a := range n.accounts {
		if have["t "+a] && n.mayInvoke(a, t) {
			return true
		}
	}
	for _, a := range append([]string{who}, n.accounts...) {
		if (a == who || have["f "+a]) && (!n.isGen1(t) && !n.behindIAP(t) && n.holds(a, "setService", t) ||
			n.isGen1(t) && n.holds(a, "setService", t) || n.writes(a, t)) && (n.isGen1(t) || !n.isDenied(a, "invoke", t)) {
			return true
		}
	}
	return false
}

func (n *naive) estate() *estate.Estate {
	e := &estate.Estate{PoliciesComplete: true, TargetsComplete: true, Roles: customRoles, Nodes: []estate.Node{
		{Name: orgNode}, {Name: folderNode, Parent: orgNode},
		{Name: "projects/11", ID: "one", Parent: folderNode}, {Name: "projects/12", ID: "two", Parent: orgNode},
	}}
	for _, t := range n.targets {
		e.Targets = append(e.Targets, estate.Target{Name: t, Check: estate.Yes, IAP: estate.TruthOf(n.behindIAP(t)), Ingress: estate.IngressAll, Gen1: n.isGen1(t)})
	}
	for _, a := range n.accounts {
		e.Accounts = append(e.Accounts, estate.Account{Name: resourceNamed(a), Email: strings.TrimPrefix(a, "serviceAccount:")})
	}
	for _, at := range slices.Sorted(maps.Keys(n.bindings)) {
		e.Policies = append(e.Policies, estate.Policy{Resource: resourceNamed(at), Bindings: n.bindings[at]})
	}
	if n.groups {
		e.Groups = listed
	}
	for i, d := range slices.Sorted(maps.Keys(n.denied)) {
		part := strings.Split(d, " ")
		principal := "principal://goog/subject/" + strings.TrimPrefix(part[2], "user:")
		if sa, ok := strings.CutPrefix(part[2], "serviceAccount:"); ok {
			principal = "principal://iam.googleapis.com/projects/-/serviceAccounts/" + sa
		}
		on := strings.ReplaceAll("cloudresourcemanager.googleapis.com/"+part[0], "/", "%2F")
		e.Deny = append(e.Deny, estate.Deny{Policy: &denypb.Policy{
			Name: fmt.Sprintf("policies/%s/denypolicies/d%d", on, i),
			Rules: []*denypb.PolicyRule{{Kind: &denypb.PolicyRule_DenyRule{DenyRule: &denypb.DenyRule{
				DeniedPermissions: deniedAs[part[1]], DeniedPrincipals: []string{principal},
			}}}},
		}})
	}
	return e
}

func resourceNamed(at string) string {
	if email, ok := strings.CutPrefix(at, "serviceAccount:"); ok {
		_, host, _ := strings.Cut(email, "@")
		project, _, _ := strings.Cut(host, ".")
		return "//iam.googleapis.com/projects/" + project + "/serviceAccounts/" + email
	}
	if strings.HasPrefix(at, "//") {
		return at
	}
	return estate.NodeHost + at
}

// Whoever the rule names is whom a plain search names that tries every step,
// in random organizations with folders, deny policies and circles.
func TestIndirectReference(t *testing.T) {
	found := 0
	for seed := range int64(organizations) {
		n := newNaive(rand.New(rand.NewSource(seed)))
		x := newIndex(n.estate(), Options{Now: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)})
		b := x.becomings()
		for _, target := range n.targets {
			got, want := membersOf(b, b.ways(x.targets[target])), map[string]bool{}
			for _, list := range n.bindings {
				for _, g := range list {
					for _, m := range g.Members {
						if m != pubSubAgent && !strings.Contains(m, "gcp-sa-iap") && n.indirect(m, target) {
							want[m] = true
						}
					}
				}
			}
			if !maps.Equal(got, want) {
				t.Fatalf("seed %d, %s: got %v, want %v\nbindings %v\ndenied %v", seed, target, got, want, n.bindings, n.denied)
			}
			found += len(want)
		}
	}
	if found < organizations/2 {
		t.Errorf("only %d ways in %d organizations", found, organizations)
	}
}

func membersOf(b *becoming, ways []way) map[string]bool {
	out := map[string]bool{}
	for _, w := range ways {
		if !w.unknown {
			out[b.members[w.source.principal].String()] = true
		}
	}
	return out
}

// What a finding says: the target and its project, the path, and a repair that
// was judged again. What was not read is said; agents and those who may invoke
// anyway are left out.
func TestIndirectFinding(t *testing.T) {
	const service = "//run.googleapis.com/projects/shop/locations/r/services/billing"
	const invoker, middle = "orders@shop.iam.gserviceaccount.com", "deploy@shop.iam.gserviceaccount.com"
	const ends = ", which may invoke services/billing in projects/shop, through "
	account := func(id string) string { return "//iam.googleapis.com/projects/shop/serviceAccounts/" + id }
	bound := func(on, role, member string) estate.Policy {
		return estate.Policy{Resource: on, Bindings: []estate.Binding{{Role: role, Members: []string{member}}}}
	}
	keys := bound(account("111"), "roles/iam.serviceAccountKeyAdmin", "serviceAccount:"+middle)
	const user, creator = "user:m@gmail.com", "roles/iam.serviceAccountTokenCreator"
	for name, c := range map[string]struct {
		policies []estate.Policy // the first is what the finding is about
		want     string
		path     []string // permissions
	}{
		"a token": {[]estate.Policy{bound(account("111"), "roles/iam.serviceAccountOpenIdTokenCreator", user)},
			"high " + user + " can become " + invoker + ends + "roles/iam.serviceAccountOpenIdTokenCreator on serviceAccounts/" + invoker,
			[]string{"iam.serviceAccounts.getOpenIdToken"}},
		"two steps": {[]estate.Policy{bound(account(middle), creator, federated), keys},
			"high " + federated + " can become " + middle + ", and through it " + invoker + ends + creator + " on serviceAccounts/" + middle,
			[]string{"iam.serviceAccounts.getAccessToken", "iam.serviceAccountKeys.create"}},
		"an ID token takes no second step": {[]estate.Policy{bound(account(middle), "roles/iam.serviceAccountOpenIdTokenCreator", user), keys}, "", nil},
		"a deployment": {[]estate.Policy{bound(account("111"), "roles/iam.serviceAccountUser", user),
			bound(estate.NodeHost+"projects/shop", "roles/compute.instanceAdmin.v1", user)},
			"high " + user + " can become " + invoker + ends + "roles/iam.serviceAccountUser on serviceAccounts/" + invoker,
			[]string{"compute.instances.create", "iam.serviceAccounts.actAs"}},
		"attaching alone": {[]estate.Policy{bound(account("111"), "roles/iam.serviceAccountUser", user)}, "", nil},
		"a policy": {[]estate.Policy{bound(service, "roles/iam.securityAdmin", user)},
			"medium " + user + " can let itself in to services/billing in projects/shop, through roles/iam.securityAdmin on services/billing",
			[]string{"run.services.setIamPolicy"}},
		"who may invoke anyway": {[]estate.Policy{bound(account("111"), creator, user), bound(service, "roles/run.invoker", user)}, "", nil},
		"a service agent":       {[]estate.Policy{bound(account("111"), creator, pubSubAgent)}, "", nil},
		"a role that was not read": {[]estate.Policy{bound(account("111"), "projects/shop/roles/minter", user)},
			"low " + user + " may be able to become " + invoker + ends + "projects/shop/roles/minter on serviceAccounts/" + invoker +
				"; not known: the custom role projects/shop/roles/minter was not read", []string{"iam.serviceAccounts.getOpenIdToken"}},
	} {
		e := &estate.Estate{
			PoliciesComplete: true, TargetsComplete: true,
			Nodes:    []estate.Node{{Name: "projects/424242", ID: "shop", Parent: orgNode}, {Name: orgNode}},
			Targets:  []estate.Target{{Name: service, Check: estate.Yes, IAP: estate.No, Ingress: estate.IngressAll}},
			Accounts: []estate.Account{{Name: account("111"), Email: invoker}},
			Policies: append(c.policies, bound(service, "roles/run.invoker", "serviceAccount:"+invoker)),
		}
		got, path, first := "", []string(nil), c.policies[0].Bindings[0]
		for _, f := range Judge(e, Options{}).Findings {
			if f.Rule != grantIndirect.ID || f.Member != first.Members[0] || f.Role != first.Role {
				continue
			}
			got = f.Severity.String() + " " + f.Message
			for _, s := range f.Path {
				path = append(path, s.Permission)
			}
			if f.Resource != service || len(f.Fixes) != 1 || f.Fixes[0].Effect != checks.Leads || len(f.Members) != 1 {
				t.Errorf("%s: about %s, fixes %+v, members %v", name, f.Resource, f.Fixes, f.Members)
			}
		}
		if got != c.want || !slices.Equal(path, c.path) {
			t.Errorf("%s: got %q by %v\nwant %q by %v", name, got, path, c.want, c.path)
		}
	}
}
