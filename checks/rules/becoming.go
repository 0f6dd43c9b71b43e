package rules

import (
	"slices"
	"strings"

	"cloud.google.com/go/iam/apiv1/iampb"

	"diagnose/internal/estate"
	"diagnose/internal/gcp"
	"diagnose/internal/iam"
	"diagnose/internal/reach"
)

// A becoming is the graph of who can become which service account, with what
// its numbers stand for.
type becoming struct {
	x     *Index
	graph *reach.Graph

	at       map[string]reach.Place // by key of nodes, e-mail of accounts, name of targets
	names    []string               // by place
	nodes    []*node                // by place; nil for others
	targets  []*target              // by place; nil for others
	who      map[string]reach.Principal
	members  []iam.Member // by principal
	bindings []bound      // by Ref of a grant
	sources  []source
	given    map[shape]given
	ends     ends
	denied   map[limitKey]given
	walks    map[walkKey]found
	counts   map[walkKey]Reach
	every    []way // nil until asked
	nameless []*estate.Policy
}

// A bound is a binding and what it hangs on.
type bound struct {
	policy  *estate.Policy
	binding *estate.Binding
	on      string // full resource name, of an account with its e-mail
}

// A source is one member of one binding, with what that gives.
type source struct {
	principal reach.Principal
	ref       int32
	grants    []reach.Grant
}

// given are the rights that a binding gives, and those that it gives or may.
type given struct{ sure, may reach.Rights }

// add puts a right into what is given, by whether it is.
func (g *given) add(permission string, s iam.State) {
	right := reach.RightsOf(permission)
	if s == iam.Granted {
		g.sure |= right
	}
	if s != iam.NotGranted {
		g.may |= right
	}
}

// A shape tells apart what bindings give: by role, condition, and whether a
// member of such a form can use it at all.
type shape struct {
	role, expression string
	kind             iam.Kind
	deleted          bool
}

// becomings builds the graph, once.
func (x *Index) becomings() *becoming {
	if x.graph != nil {
		return x.graph
	}
	b := &becoming{
		x: x, graph: &reach.Graph{}, at: map[string]reach.Place{}, who: map[string]reach.Principal{},
		given: map[shape]given{}, denied: map[limitKey]given{},
		walks: map[walkKey]found{}, counts: map[walkKey]Reach{},
	}
	x.graph = b
	for _, n := range x.nodes {
		b.nodePlace(n)
	}
	b.addAccounts()
	for _, p := range x.inOrder() {
		b.addPolicy(p)
	}
	b.ends = b.findEnds()
	b.join()
	b.graph.Matters = func(p reach.Principal) bool { return b.ends.any(b.members[p]) }
	b.graph.Order = func(p, q reach.Place) int { return strings.Compare(b.names[p], b.names[q]) }
	if b.limited() {
		b.graph.Limit = b.limit
	}
	return b
}

// inOrder lists the policies by what they are of, whatever came first.
func (x *Index) inOrder() []*estate.Policy {
	out := make([]*estate.Policy, len(x.Policies))
	for i := range x.Policies {
		out[i] = &x.Policies[i]
	}
	slices.SortStableFunc(out, func(a, b *estate.Policy) int { return strings.Compare(a.Resource, b.Resource) })
	return out
}

func (b *becoming) place(parent reach.Place, name string, n *node, t *target) reach.Place {
	p := b.graph.AddPlace(parent)
	b.names, b.nodes, b.targets = append(b.names, name), append(b.nodes, n), append(b.targets, t)
	return p
}

func (b *becoming) nodePlace(n *node) reach.Place {
	key := nodeKey(n)
	if p, ok := b.at[key]; ok {
		return p
	}
	parent := reach.Nowhere
	if n.parent != nil && len(n.chain()) < maxChain {
		parent = b.nodePlace(n.parent)
	}
	b.at[key] = b.place(parent, n.name, n, nil)
	return b.at[key]
}

// identityKey is what is one principal, however it is written.
func identityKey(m iam.Member) string {
	if m.Kind == iam.User || m.Kind == iam.ServiceAccount || m.Kind == iam.Group || m.Kind == iam.Domain {
		return string(rune('0'+m.Kind)) + m.Value
	}
	return m.String()
}

func (b *becoming) principal(m iam.Member) reach.Principal {
	key := identityKey(m)
	if m.Deleted {
		key = "deleted:" + m.String()
	}
	p, ok := b.who[key]
	if ok {
		return p
	}
	p = b.graph.AddPrincipal()
	b.who[key], b.members = p, append(b.members, m)
	if m.Kind == iam.ServiceAccount && !m.Deleted {
		if home := b.x.homeOf(m.Value); home != nil {
			b.accountPlace(m.Value, home)
		}
	}
	return p
}

// homeOf is the project of a service account as its e-mail tells, nil where
// that is not known here.
func (x *Index) homeOf(email string) *node {
	if x.disabled[email] {
		return nil
	}
	return x.nodes[x.canonical("projects/"+gcp.AccountProject(email))]
}

// readAccounts learns the e-mails of the accounts that were listed.
func (x *Index) readAccounts() {
	for _, a := range x.Accounts {
		x.emails[x.canonical(a.Name)] = a.Email
		x.disabled[a.Email] = x.disabled[a.Email] || a.Disabled
	}
}

// accountPlace is the place of a service account.
func (b *becoming) accountPlace(email string, home *node) reach.Place {
	if p, ok := b.at[email]; ok {
		return p
	}
	parent := reach.Nowhere
	if home != nil {
		parent = b.nodePlace(home)
	}
	p := b.place(parent, email, nil, nil)
	b.at[email] = p
	if !b.x.disabled[email] {
		b.graph.AddAccount(b.principal(iam.ParseMember("serviceAccount:"+email)), p)
	}
	return p
}

// addAccounts adds the accounts that were listed.
func (b *becoming) addAccounts() {
	for _, a := range b.x.Accounts {
		b.accountPlace(a.Email, b.x.nodes[projectOf(b.x.canonical(a.Name))])
	}
}

// addPolicy adds what the bindings of one policy give.
func (b *becoming) addPolicy(p *estate.Policy) {
	base := grant{policy: p}
	b.x.placed(&base)
	at, mask := reach.Nowhere, reach.Rights(0)
	on := b.x.canonical(p.Resource)
	switch {
	case base.kind == onNode:
		at, mask = b.nodePlace(base.node), onNodes(base.node)
	case base.kind == onTarget && base.target != nil:
		at, mask = b.targetPlace(base.target), onService(base.target)
		on = base.target.full
	case base.kind == onFunction && base.node != nil:
		at, mask = b.nodePlace(base.node), reach.RightsOf(iam.UpdateFunction)
	case base.kind == elsewhere:
		email := b.x.accountOf(p.Resource)
		if email == "" {
			if isAccount(p.Resource) {
				b.nameless = append(b.nameless, p)
			}
			return
		}
		at, mask = b.accountPlace(email, b.x.nodes[projectOf(on)]), onAccounts
		on = cut(on) + email
	default:
		return
	}
	for i := range p.Bindings {
		b.bind(bound{p, &p.Bindings[i], on}, at, mask)
	}
}

// cut takes the last element off a name.
func cut(name string) string { return name[:strings.LastIndexByte(name, '/')+1] }

// isAccount reports whether a full resource name is that of a service account.
func isAccount(resource string) bool {
	return strings.HasPrefix(resource, "//"+gcp.IAMAPI+"/") && strings.Contains(resource, "/serviceAccounts/")
}

// accountOf is the e-mail of the service account that a policy is of, "" where
// it is of none, or of one of which only the unique ID is known.
func (x *Index) accountOf(resource string) string {
	if !isAccount(resource) {
		return ""
	}
	id := gcp.Last(resource)
	if strings.Contains(id, "@") {
		return strings.ToLower(id)
	}
	return x.emails[x.canonical(resource)]
}

// bind adds what one binding gives to each of its members on a place.
func (b *becoming) bind(at bound, on reach.Place, mask reach.Rights) {
	if r := b.x.rightsOf(at.binding.Role); r.may&mask == 0 {
		return
	}
	ref := int32(len(b.bindings))
	b.bindings = append(b.bindings, at)
	for _, s := range at.binding.Members {
		m := iam.ParseMember(s)
		g := b.givenTo(at.binding, m)
		if at.binding.Maybe != "" {
			g.sure = 0
		}
		if g.may&mask == 0 {
			continue
		}
		p := b.principal(m)
		list := b.places(on, ref, given{g.sure & mask, g.may & mask})
		for _, r := range list {
			b.graph.Grant(p, r)
		}
		b.sources = append(b.sources, source{p, ref, list})
	}
}

// places puts rights where they count. A right to the policies of folders
// counts for those below an organization, and one to change a service for what
// may be deployed in its project.
func (b *becoming) places(on reach.Place, ref int32, g given) []reach.Grant {
	folder := reach.RightsOf(iam.SetFolderPolicy)
	out := []reach.Grant{{Place: on, Sure: g.sure, May: g.may, Ref: ref}}
	if n := b.nodes[on]; n != nil && strings.HasPrefix(n.name, "organizations/") && g.may&folder != 0 {
		out[0].Sure, out[0].May = g.sure&^folder, g.may&^folder
		for _, c := range b.x.foldersBelow(n) {
			out = append(out, reach.Grant{Place: b.nodePlace(c), Sure: g.sure & folder, May: g.may & folder, Ref: ref})
		}
	}
	if t := b.targets[on]; t != nil && t.node != nil {
		out = append(out, reach.Grant{Place: b.nodePlace(t.node), Sure: g.sure.Deploys(), May: g.may.Deploys(), Ref: ref})
		out[0].Sure, out[0].May = g.sure.Opens(), g.may.Opens()
	}
	return slices.DeleteFunc(out, func(r reach.Grant) bool { return r.May == 0 })
}

// foldersBelow lists the folders directly below an organization.
func (x *Index) foldersBelow(top *node) []*node {
	var out []*node
	for _, n := range x.nodes {
		if n.parent == top && strings.HasPrefix(n.name, "folders/") {
			out = append(out, n)
		}
	}
	slices.SortFunc(out, func(a, b *node) int { return strings.Compare(a.name, b.name) })
	return out
}

func (b *becoming) targetPlace(t *target) reach.Place {
	key := "target " + t.name
	if p, ok := b.at[key]; ok {
		return p
	}
	parent := reach.Nowhere
	if t.node != nil {
		parent = b.nodePlace(t.node)
	}
	b.at[key] = b.place(parent, t.name, nil, t)
	return b.at[key]
}

// The rights that count on each kind of resource.
var (
	everywhere = reach.RightsOf(iam.Becoming()...)
	onAccounts = reach.RightsOf(iam.MintIDToken, iam.MintAccessToken, iam.SignJWT, iam.SignBlob, iam.Delegate, iam.CreateKey,
		iam.SetAccountPolicy, iam.ActAs)
)

func onNodes(n *node) reach.Rights {
	switch {
	case strings.HasPrefix(n.name, "projects/"):
		return everywhere &^ reach.RightsOf(iam.SetFolderPolicy, iam.SetOrganizationPolicy)
	case strings.HasPrefix(n.name, "folders/"):
		return everywhere &^ reach.RightsOf(iam.SetOrganizationPolicy)
	}
	return everywhere
}

func onService(t *target) reach.Rights {
	if t.Gen1 {
		return reach.RightsOf(iam.UpdateFunction, iam.SetFunctionPolicy)
	}
	return reach.RightsOf(iam.UpdateService, iam.SetServicePolicy)
}

// rightsOf says which rights a role has, conditions and members aside.
func (x *Index) rightsOf(role string) given {
	g, ok := x.facts.rights[role]
	if ok || role == "" {
		return g
	}
	for _, p := range iam.Becoming() {
		s, _ := x.roles.Carries(role, p)
		g.add(p, s)
	}
	x.facts.rights[role] = g
	return g
}

// givenTo asks internal/iam what a binding gives to a member, once for each
// shape.
func (b *becoming) givenTo(in *estate.Binding, m iam.Member) given {
	key := shape{in.Role, in.Condition.GetExpression(), m.Kind, m.Deleted}
	g, ok := b.given[key]
	if ok {
		return g
	}
	role := b.x.rightsOf(in.Role)
	for _, p := range iam.Becoming() {
		if role.may&reach.RightsOf(p) != 0 {
			g.add(p, b.x.holding(in, m, p).State)
		}
	}
	b.given[key] = g
	return g
}

// holding is what a binding gives of a permission to a member, deny policies
// aside.
func (x *Index) holding(in *estate.Binding, m iam.Member, permission string) iam.Holding {
	q := iam.Question{Query: x.query(permission), Layers: []iam.Layer{{Policy: &iampb.Policy{
		Bindings: []*iampb.Binding{{Role: in.Role, Members: []string{m.String()}, Condition: in.Condition}},
	}}}}
	return q.Holdings()[0]
}
