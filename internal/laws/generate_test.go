package laws

import (
	"math/rand/v2"
)

// A maker draws random worlds. The same seed draws the same worlds.
type maker struct{ *rand.Rand }

func newMaker(seed uint64) maker { return maker{rand.New(rand.NewPCG(seed, 1))} }

// one is true in one of n cases.
func (m maker) one(n int) bool { return m.IntN(n) == 0 }

func pick[T any](m maker, from ...T) T { return from[m.IntN(len(from))] }

const (
	ana    = "user:ana@example.com"
	bob    = "user:bob@other.example"
	mover  = "serviceAccount:mover@shop.iam.gserviceaccount.com"
	robot  = "serviceAccount:robot@elsewhere.iam.gserviceaccount.com"
	staff  = "group:staff@example.com"
	inner  = "group:inner@example.com"
	custom = "projects/shop/roles/caller"
	above  = "organizations/1/roles/caller"
)

func (m maker) member() string {
	return pick(m, "allUsers", "allUsers", "allAuthenticatedUsers", ana, ana, bob, mover, mover, robot, staff, inner,
		"domain:example.com", "domain:other.example",
		"user:Ana@Example.com", "user:anna@example.com", "serviceAccount:mover@elsewhere.iam.gserviceaccount.com",
		"deleted:user:ana@example.com?uid=123", "deleted:serviceAccount:mover@shop.iam.gserviceaccount.com?uid=1",
		"deleted:group:staff@example.com?uid=5",
		"projectOwner:shop", "projectEditor:shop",
		"principalSet://cloudresourcemanager.googleapis.com/projects/123456789012/type/ServiceAccount",
		"principalSet://cloudresourcemanager.googleapis.com/projects/999/type/ServiceAccount",
		"principal://iam.googleapis.com/locations/global/workforcePools/p/subject/ana@example.com",
		"principalSet://iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/p/*",
		"serviceAccount:shop.svc.id.goog[ns/mover]", iapAgent, iapAgent)
}

func (m maker) role() string {
	return pick(m, "roles/run.invoker", "roles/run.invoker", "roles/run.servicesInvoker", "roles/cloudfunctions.invoker",
		"roles/viewer", "roles/run.viewer", "roles/run.jobsExecutor", "roles/owner", "roles/editor", "roles/run.admin",
		"roles/run.developer", "roles/cloudfunctions.developer", "roles/firebase.admin", "roles/iam.securityAdmin",
		"roles/iap.httpsResourceAccessor", "roles/writer", custom, custom, above)
}

func (m maker) atom() *cond {
	return &cond{atom: pick(m,
		`request.time < timestamp("2026-01-01T00:00:00Z")`, `request.time < timestamp("2027-01-01T00:00:00Z")`,
		`request.path.startsWith("/a")`, `request.path == "/x"`, `request.host == "orders-ab12cd34ef-ew.a.run.app"`,
		`resource.matchTag("1/env", "prod")`, `resource.matchTag("1/env", "dev")`,
		`resource.name.startsWith("projects/shop")`, `resource.type == "run.googleapis.com/Service"`,
		`resource.type != "compute.googleapis.com/Instance"`, `destination.port == 443`,
		`resource.name == "x" ? false : true`, `someday(request.path)`,
		`api.getAttribute("iam.googleapis.com/modifiedGrantsByRole", []).hasOnly(["roles/run.invoker"])`)}
}

func (m maker) cond(depth int) *cond {
	if depth == 0 || m.one(2) {
		return m.atom()
	}
	if m.one(4) {
		return &cond{op: "!", args: []*cond{m.cond(depth - 1)}}
	}
	return &cond{op: pick(m, "&&", "||"), args: []*cond{m.cond(depth - 1), m.cond(depth - 1)}}
}

func (m maker) policy(conditions bool) *policy {
	p := &policy{}
	for range m.IntN(3) {
		b := binding{role: m.role()}
		for range 1 + m.IntN(2) {
			b.members = append(b.members, m.member())
		}
		if conditions && m.one(3) {
			b.when = m.cond(2)
		}
		p.bindings = append(p.bindings, b)
	}
	return p
}

func (m maker) denial() denial {
	d := denial{
		on: pick(m, "projects/shop", "projects/shop", "projects/123456789012", "folders/7", "organizations/1",
			"organizations/1", "organizations/2"),
		permissions: []string{pick(m, denyInvoke, denyInvoke, "run.googleapis.com/routes.*", denyIAP,
			"run.googleapis.com/services.get", "cloudfunctions.googleapis.com/functions.invoke")},
	}
	for range 1 + m.IntN(2) {
		d.principals = append(d.principals, m.denied())
	}
	if m.one(3) {
		d.exceptions = []string{m.denied()}
	}
	if m.one(8) {
		d.excepted = []string{denyInvoke}
	}
	if m.one(3) {
		d.when = &cond{atom: pick(m, `resource.matchTag("1/env", "prod")`, `resource.matchTag("1/env", "dev")`)}
		if m.one(3) {
			d.when = &cond{op: "!", args: []*cond{d.when}}
		}
	}
	return d
}

func (m maker) denied() string {
	return pick(m, "principalSet://goog/public:all", "principalSet://goog/public:all",
		"principal://goog/subject/ana@example.com",
		"principal://goog/subject/bob@other.example", "principalSet://goog/group/staff@example.com",
		"principal://iam.googleapis.com/projects/-/serviceAccounts/mover@shop.iam.gserviceaccount.com",
		"principal://iam.googleapis.com/projects/-/serviceAccounts/service-123456789012@gcp-sa-iap.iam.gserviceaccount.com",
		"principalSet://goog/cloudIdentityCustomerId/C012abc", "deleted:principal://goog/subject/ana@example.com?uid=5")
}

// world draws one. Most documents are read, so that most answers are certain.
func (m maker) world() world {
	w := world{
		gen1: m.one(6), own: m.policy(true), who: pick(m, "", ana, bob, mover, robot), source: "internet", method: "GET",
		path: pick(m, "/a", "/x", "/"), number: !m.one(3), above: m.ancestors(),
	}
	w.service = &service{off: m.one(12), iap: m.one(6), ingress: "all", deleted: m.one(40), noURL: m.one(40)}
	if m.one(6) {
		w.service.ingress = pick(m, "internal", "balancer", "none")
		w.source = pick(m, "internet", "vpc", "google-service", "perimeter", "internal-load-balancer")
	}
	if m.one(8) {
		w.own = nil
	}
	if m.one(6) {
		w.noAbove, w.above = true, nil
	}
	w.documents(m)
	switch {
	case w.gen1:
		w.plainGen1()
	case m.one(12):
		w.service = nil
	case m.one(12) && !w.service.noURL:
		w.path = ""
	}
	return w
}

func (m maker) ancestors() []node {
	all := []node{
		{"project", project, m.policy(true)}, {"folder", folder, m.policy(true)}, {"organization", org, m.policy(true)},
	}
	switch {
	case m.one(4):
		all = all[:1+m.IntN(2)] // provably not whole
	case m.one(3):
		all = []node{all[0], all[2]}
	}
	if m.one(8) {
		all[m.IntN(len(all))].policy = nil
	}
	return all
}

// documents draws what is beside the policies.
func (w *world) documents(m maker) {
	if w.noDeny = m.one(5); !w.noDeny && m.one(3) {
		for range 1 + m.IntN(2) {
			w.deny = append(w.deny, m.denial())
		}
	}
	w.roles, w.groups = map[string][]string{}, map[string][]string{}
	for _, r := range []string{custom, above} {
		if m.one(3) {
			continue
		}
		w.roles[r] = pick(m, nil, []string{"run.services.get"}, []string{runInvoke, gen1Invoke}, []string{runInvoke},
			[]string{iapAccess, runInvoke})
	}
	for _, g := range []string{staff, inner} {
		if !m.one(3) {
			w.groups[g] = pick(m, []string{}, []string{ana}, []string{bob, mover}, []string{inner}, []string{staff, robot},
				[]string{iapAgent})
		}
	}
	if m.one(2) {
		w.tags = pick(m, map[string]string{}, map[string]string{"1/env": "prod"}, map[string]string{"1/env": "dev"})
	}
	if w.service.iap {
		w.method = pick(m, "GET", "OPTIONS")
		if !m.one(3) {
			w.iap = m.iapPolicy()
		}
		if !m.one(3) {
			w.settings = &settings{options: m.one(3), foreign: m.one(6)}
		}
	}
}

// iapPolicy is likelier to let somebody pass than any other policy.
func (m maker) iapPolicy() *policy {
	p := m.policy(false)
	if !m.one(3) {
		b := binding{role: "roles/iap.httpsResourceAccessor", members: []string{m.member()}}
		if m.one(4) {
			b.when = &cond{atom: pick(m, `request.path.startsWith("/a")`, `request.time < timestamp("2026-01-01T00:00:00Z")`)}
		}
		p.bindings = append(p.bindings, b)
	}
	return p
}

// plainGen1 takes away what a gen1 function does not have: a switch for the
// check, IAP, a default URL of its own, conditions in its own policy.
func (w *world) plainGen1() {
	w.service = &service{ingress: w.service.ingress}
	if w.service.ingress == "none" {
		w.service.ingress = "all"
	}
	if w.source == "google-service" {
		w.source = "vpc"
	}
	w.iap, w.settings, w.method = nil, nil, "GET"
	if w.own != nil {
		for i := range w.own.bindings {
			w.own.bindings[i].when = nil
		}
	}
}
