package inventory

import (
	"cmp"
	"encoding/json"
	"errors"
	"math/big"
	"slices"
	"strings"

	"cloud.google.com/go/iam/admin/apiv1/adminpb"
	denypb "cloud.google.com/go/iam/apiv2/iampb"
	"google.golang.org/genproto/googleapis/type/expr"
	"google.golang.org/protobuf/encoding/protojson"

	"diagnose/internal/caller"
	"diagnose/internal/estate"
	"diagnose/internal/evidence"
	"diagnose/internal/gcp"
	"diagnose/internal/iam"
)

// A batch is what a part of the input held.
type batch struct {
	estate.Estate
	nodes   map[string]estate.Node
	ends    map[string]bool // nodes above which nothing is
	texts   map[string]string
	places  map[string]bool // ancestors that were added
	callers []stamped[estate.Caller]
	roles   []stamped[*adminpb.Role]
	deny    []stamped[estate.Deny]
	fronts  []stamped[estate.Front]
	users   []stamped[estate.Account]
	gone    map[string]stamp // assets that were deleted
	pages   []page

	resources map[string]bool // projects of which content RESOURCE of services was exported
	policies  map[string]bool // projects of which policies of services were exported
	accounts  map[string]bool // projects of which policies of service accounts were exported
	held      holders         // resources whose whole policy was read
	matter    map[string]bool // roles, by whether they may matter
	searched  bool            // a search or a feed told a part
	assets    int
	public    int
}

func newBatch() batch {
	return batch{
		nodes: map[string]estate.Node{}, ends: map[string]bool{}, texts: map[string]string{}, places: map[string]bool{},
		gone: map[string]stamp{}, resources: map[string]bool{}, policies: map[string]bool{}, accounts: map[string]bool{},
		matter: map[string]bool{},
	}
}

// keep makes one text of those that stand in thousands of bindings.
func (b *batch) keep(s string) string {
	if t, ok := b.texts[s]; ok {
		return t
	}
	s = strings.Clone(s)
	b.texts[s] = s
	return s
}

// add reads one asset into the batch.
func (b *batch) add(a asset, w estate.Where) error {
	b.assets++
	b.place(a)
	b.searched = b.searched || a.origin != exported
	if a.deleted {
		b.gone[a.name] = later(b.gone[a.name], stamp{a.updated, w})
		return nil
	}
	if !isNull(a.policy) {
		if err := b.addPolicy(a, w); err != nil {
			return err
		}
	}
	if len(a.orgPolicy) > 0 {
		if err := b.addOrgPolicy(a, w); err != nil {
			return err
		}
	}
	if isNull(a.data) {
		b.addBare(a, w)
		return nil
	}
	return b.addData(a, w)
}

func (b *batch) addData(a asset, w estate.Where) error {
	at := stamp{a.updated, w}
	switch a.kind {
	case gcp.ServiceAsset, gcp.FunctionAsset, gcp.Gen1FunctionAsset:
		return b.addTarget(a, w)
	case gcp.ProjectAsset, gcp.FolderAsset, gcp.OrganizationAsset:
		return b.addNode(a, w)
	case gcp.RoleAsset:
		return b.addRole(a, at)
	case gcp.ServiceAccountAsset:
		return b.addAccount(a, at)
	case gcp.BackendServiceAsset, gcp.RegionBackendServiceAsset, gcp.EndpointGroupAsset:
		b.addFront(a, at)
	case gcp.DenyPolicyAsset:
		p := &denypb.Policy{}
		if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(a.data, p); err != nil {
			return errors.New("its data is not a deny policy")
		}
		b.deny = append(b.deny, stamped[estate.Deny]{at, a.name, estate.Deny{Policy: p}})
	default:
		return b.addCaller(a, at)
	}
	return nil
}

// addBare adds a target that is known by name alone.
func (b *batch) addBare(a asset, w estate.Where) {
	if !isNull(a.policy) || len(a.orgPolicy) > 0 {
		return // those that have a policy are found by it
	}
	if a.kind == gcp.ServiceAsset || a.kind == gcp.Gen1FunctionAsset {
		b.Targets = append(b.Targets, bare(a.name, a.kind, stamp{a.updated, w}))
	}
}

// bare is a target of which the name is all that is known.
func bare(name, kind string, at stamp) estate.Target {
	return estate.Target{Name: name, Gen1: kind == gcp.Gen1FunctionAsset, Bare: true, Where: at.where, Updated: at.time}
}

// addCaller adds a caller. Most jobs, subscriptions and queues call no
// service, and are left out.
func (b *batch) addCaller(a asset, at stamp) error {
	list, err := caller.Parse(withName(a))
	if err != nil && strings.HasPrefix(err.Error(), "does not fit") {
		return errors.New("its data " + err.Error())
	}
	for _, c := range list {
		b.callers = append(b.callers, stamped[estate.Caller]{at, a.name, estate.Caller{Caller: c, Where: at.where}})
	}
	return nil
}

// addRole adds a custom role. One whose permissions are not shown, as in a
// list, stays unknown.
func (b *batch) addRole(a asset, at stamp) error {
	r := &adminpb.Role{}
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(a.data, r); err != nil {
		return errors.New("its data does not fit an IAM role")
	}
	if len(r.GetIncludedPermissions()) == 0 && !r.GetDeleted() && r.GetStage() != adminpb.Role_DISABLED {
		return nil
	}
	name := strings.TrimPrefix(a.name, "//"+gcp.IAMAPI+"/")
	role := &adminpb.Role{Name: name, IncludedPermissions: relevant(r.GetIncludedPermissions()), Deleted: r.GetDeleted(), Stage: r.GetStage()}
	b.roles = append(b.roles, stamped[*adminpb.Role]{at, a.name, role})
	return nil
}

// withName puts the asset's name into a document that has none.
func withName(a asset) []byte {
	var m object
	if json.Unmarshal(a.data, &m) != nil || m["name"] != nil {
		return a.data
	}
	_, name, _ := strings.Cut(strings.TrimPrefix(a.name, "//"), "/")
	m["name"], _ = json.Marshal(name)
	out, err := json.Marshal(m)
	if err != nil {
		return a.data
	}
	return out
}

// asked are the permissions that the way through IAP and IAM asks for, and
// those by which one becomes an account that has them.
var asked = append(iam.Becoming(), iam.RunInvoke, iam.FunctionsInvoke, iam.AccessViaIAP)

// relevant keeps of a role's permissions those that are asked about.
func relevant(permissions []string) []string {
	out := []string{}
	for _, p := range permissions {
		if slices.Contains(asked, p) {
			out = append(out, p)
		}
	}
	return out
}

func (b *batch) addTarget(a asset, w estate.Where) error {
	var t estate.Target
	if a.kind == gcp.ServiceAsset {
		s, err := evidence.DecodeService(a.data)
		if err != nil {
			return errors.New("its data " + err.Error())
		}
		t = estate.OfService(s, w)
		t.Name = a.name
	} else {
		f, err := evidence.ParseFunction(a.data)
		if err != nil {
			return errors.New("its data " + err.Error())
		}
		t = estate.OfFunction(f, w)
		if t.Gen1 {
			t.Name = a.name
		} else {
			t.Function = a.name
		}
	}
	t.Updated = a.updated
	if a.origin == exported {
		b.resources[b.keep(projectOf(a.name))] = true
	}
	b.Targets = append(b.Targets, t)
	return nil
}

// projectOf is the node that a resource is in: "projects/shop".
func projectOf(name string) string { return "projects/" + gcp.Part(name, "projects") }

// nodeOf returns "projects/1" for a full name of Resource Manager.
func nodeOf(full string) string { return strings.TrimPrefix(full, estate.NodeHost) }

// place adds what an asset says of the hierarchy above it: also which ID a
// project has, where the name has the one and the ancestors have the number.
func (b *batch) place(a asset) {
	chain := a.ancestors
	if len(chain) == 0 && a.parent != "" && strings.HasPrefix(a.name, estate.NodeHost) {
		chain = []string{nodeOf(a.name), nodeOf(a.parent)}
	}
	if len(chain) == 0 {
		return
	}
	id := gcp.Part(a.name, "projects")
	key := strings.Join(chain, " ") + " " + id
	if b.places[key] {
		return
	}
	b.places[key] = true
	for i, name := range chain {
		n := estate.Node{Name: b.keep(name)}
		if i+1 < len(chain) {
			n.Parent = b.keep(chain[i+1])
		} else if len(a.ancestors) > 0 {
			b.ends[n.Name] = true
		}
		if i == 0 && strings.HasPrefix(name, "projects/") && id != "" && name != "projects/"+id {
			n.ID = b.keep(id)
		}
		b.node(n)
	}
}

// node adds what is known of a node.
func (b *batch) node(n estate.Node) {
	old := b.nodes[n.Name]
	old.Name, old.ID, old.Title, old.Parent = n.Name, cmp.Or(old.ID, n.ID), cmp.Or(old.Title, n.Title), cmp.Or(old.Parent, n.Parent)
	if n.Where.File != "" {
		old.Where = n.Where
	}
	b.nodes[n.Name] = old
}

func (b *batch) addNode(a asset, w estate.Where) error {
	var d struct {
		ProjectNumber                json.RawMessage // a number in some exports and a text in others
		ProjectID, Name, DisplayName string
		Parent                       json.RawMessage
	}
	if json.Unmarshal(a.data, &d) != nil {
		return errors.New("its data does not fit a project, folder or organization")
	}
	number := whole(strings.Trim(string(d.ProjectNumber), `"`))
	n := estate.Node{Name: nodeOf(a.name), ID: d.ProjectID, Title: cmp.Or(d.DisplayName, d.Name), Where: w}
	if strings.HasPrefix(n.Name, "projects/") {
		if id := strings.TrimPrefix(n.Name, "projects/"); !gcp.IsNumber(id) {
			n.ID = cmp.Or(n.ID, id)
			if number != "" {
				n.Name = "projects/" + number
			}
		}
	}
	if strings.HasPrefix(n.Title, "projects/") || strings.HasPrefix(n.Title, "folders/") || strings.HasPrefix(n.Title, "organizations/") {
		n.Title = ""
	}
	var parent struct {
		Type string
		ID   json.RawMessage
	}
	var text string
	switch {
	case json.Unmarshal(d.Parent, &text) == nil && text != "":
		n.Parent = text
	case json.Unmarshal(d.Parent, &parent) == nil && len(parent.ID) > 0:
		n.Parent = parent.Type + "s/" + whole(strings.Trim(string(parent.ID), `"`))
	case len(a.ancestors) > 1:
		n.Parent = a.ancestors[1]
	case a.parent != "":
		n.Parent = nodeOf(a.parent)
	}
	b.node(n)
	return nil
}

// whole writes a number without the fraction and exponent that some tools give
// every number: "4.24242e5" is "424242".
func whole(number string) string {
	if gcp.IsNumber(number) || number == "" {
		return number
	}
	if r, ok := new(big.Rat).SetString(number); ok && r.IsInt() && len(number) < 40 {
		return r.Num().String()
	}
	return number
}

// An orgListPolicy is the list of an organization policy, in both spellings.
type orgListPolicy struct {
	AllowedValues      []string
	AllowedValuesSnake []string `json:"allowed_values"`
}

func (p orgListPolicy) values() []string { return append(p.AllowedValues, p.AllowedValuesSnake...) }

func (b *batch) addOrgPolicy(a asset, w estate.Where) error {
	var list []struct {
		Constraint      string
		ListPolicy      orgListPolicy
		ListPolicySnake orgListPolicy `json:"list_policy"`
	}
	if json.Unmarshal(a.orgPolicy, &list) != nil {
		return errors.New("its organization policy does not fit one")
	}
	for _, p := range list {
		if allowed := append(p.ListPolicy.values(), p.ListPolicySnake.values()...); len(allowed) > 0 && strings.HasSuffix(p.Constraint, "constraints/iam.allowedPolicyMemberDomains") {
			b.Domains = append(b.Domains, estate.AllowedMembers{Resource: nodeOf(a.name), Customers: allowed})
		}
	}
	return nil
}

// addFront reads what stands before services: backends of load balancers, and
// the endpoint groups that lead to Cloud Run.
func (b *batch) addFront(a asset, at stamp) {
	var d struct {
		Name     string
		IAP      struct{ Enabled bool }
		Backends []struct{ Group string }
		CloudRun struct{ Service string }
	}
	if json.Unmarshal(a.data, &d) != nil {
		return
	}
	f := estate.Front{Project: gcp.Part(a.name, "projects")}
	if a.kind == gcp.EndpointGroupAsset {
		if d.CloudRun.Service == "" {
			return // machines stand behind it
		}
		f.Name, f.Service = d.Name, d.CloudRun.Service
		b.fronts = append(b.fronts, stamped[estate.Front]{at, a.name, f})
		return
	}
	f.IAP = estate.TruthOf(d.IAP.Enabled)
	for _, g := range d.Backends {
		f.Groups = append(f.Groups, gcp.Last(g.Group))
	}
	b.fronts = append(b.fronts, stamped[estate.Front]{at, a.name, f})
}

// A policyDocument is what is read of an allow policy.
type policyDocument struct {
	Bindings []struct {
		Role      string
		Members   []string
		Condition *expression
	}
}

type expression struct{ Expression, Title, Description, Location string }

func (b *batch) addPolicy(a asset, w estate.Where) error {
	var projects map[string]bool
	switch a.kind {
	case gcp.ServiceAsset, gcp.FunctionAsset, gcp.Gen1FunctionAsset:
		projects = b.policies
	case gcp.ServiceAccountAsset:
		projects = b.accounts
	case gcp.ProjectAsset, gcp.FolderAsset, gcp.OrganizationAsset:
	default:
		return nil
	}
	out := estate.Policy{Resource: a.name, Where: w, Updated: a.updated}
	if !b.irrelevant(a.policy) {
		var p policyDocument
		if err := json.Unmarshal(a.policy, &p); err != nil {
			return errors.New("its policy does not fit an allow policy")
		}
		b.bindings(p, &out)
	}
	if projects != nil && a.origin == exported {
		if project := projectOf(a.name); !projects[project] {
			projects[b.keep(project)] = true
		}
	}
	if a.origin == searched {
		out.Partial = "a search may show only the bindings that it asked for"
	} else {
		b.held.add(a.name, a.updated)
	}
	if len(out.Bindings) > 0 || a.origin == searched {
		b.Policies = append(b.Policies, out)
		if a.kind == gcp.Gen1FunctionAsset { // a service is told by the name of the policy
			b.Targets = append(b.Targets, bare(a.name, a.kind, stamp{a.updated, w}))
		}
	}
	return nil
}

// bindings adds those that can matter.
func (b *batch) bindings(p policyDocument, out *estate.Policy) {
	for _, x := range p.Bindings {
		if !b.matters([]byte(x.Role)) {
			continue
		}
		y := estate.Binding{Role: b.keep(x.Role), Members: make([]string, len(x.Members)), Where: out.Where}
		for i, m := range x.Members {
			y.Members[i] = b.keep(m)
			if m == "allUsers" || m == "allAuthenticatedUsers" {
				b.public++
			}
		}
		if c := x.Condition; c != nil && c.Expression != "" {
			y.Condition = &expr.Expr{Expression: c.Expression, Title: c.Title, Description: c.Description}
		}
		out.Bindings = append(out.Bindings, y)
	}
}

// predefined answers which predefined roles can matter.
var predefined = iam.NewRoles(nil)

// mayMatter reports whether a binding of a role can give an invoke permission,
// or looks as if it did. Custom roles may; their definition can come later.
func mayMatter(role string) bool {
	if !strings.HasPrefix(role, "roles/") || strings.HasSuffix(strings.ToLower(role), "invoker") {
		return true
	}
	for _, p := range asked {
		if s, _ := predefined.Carries(role, p); s != iam.NotGranted {
			return true
		}
	}
	return false
}

// matters is mayMatter, asked once for each role.
func (b *batch) matters(role []byte) bool {
	may, known := b.matter[string(role)]
	if !known {
		may = mayMatter(string(role))
		b.matter[string(role)] = may
	}
	return may
}
