package inventory

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"unique"

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

// types are the asset types that can matter to an invocation. The policy of
// anything else grants nothing that is asked about here.
var types = []string{
	gcp.ServiceAsset, gcp.FunctionAsset, gcp.Gen1FunctionAsset, gcp.ProjectAsset, gcp.FolderAsset, gcp.OrganizationAsset,
	gcp.RoleAsset, gcp.TriggerAsset, gcp.JobAsset, gcp.SubscriptionAsset, gcp.QueueAsset, gcp.BackendServiceAsset,
	gcp.RegionBackendServiceAsset, gcp.EndpointGroupAsset,
}

// matters reports whether assets of a type are read.
func matters(kind []byte) bool {
	for _, t := range types {
		if string(kind) == t {
			return true
		}
	}
	return string(kind) == gcp.DenyPolicyAsset
}

// Types lists the asset types to ask for in an export or a live scan. A file
// may have deny policies as well, which are no type that the API knows.
func Types() []string { return slices.Clone(types) }

// An asset declares the fields that are read of one line, in both spellings.
// It is an Asset of an export, or a result of a search for policies.
type asset struct {
	name, kind string
	data       json.RawMessage // resource.data
	policy     json.RawMessage
	orgPolicy  json.RawMessage
	found      bool     // by a search, which may have left others out
	ancestors  []string // "projects/1", "folders/2", "organizations/3"
	parent     string   // full name
}

// errNoAsset reports a line that is JSON and no asset.
var errNoAsset = errors.New("is no asset: it has neither name nor asset type")

// parse reads a line. Keys are compared letter for letter, and of one that
// stands twice the last counts. plain says to use the standard parser alone.
func parse(data []byte, plain bool) (asset, error) {
	m := map[string]json.RawMessage{}
	if plain || !fields(data, func(key, value []byte) { m[string(key)] = value }) {
		clear(m)
		if err := json.Unmarshal(data, &m); err != nil {
			return asset{}, errors.New("is no JSON object")
		}
	}
	either := func(a, b string) json.RawMessage {
		if v, ok := m[a]; ok {
			return v
		}
		return m[b]
	}
	str := func(raw json.RawMessage) string {
		var s string
		if json.Unmarshal(raw, &s) != nil {
			return ""
		}
		return s
	}
	a := asset{name: str(m["name"]), kind: str(either("asset_type", "assetType")), policy: either("iam_policy", "iamPolicy"), orgPolicy: either("org_policy", "orgPolicy")}
	if a.kind == "" {
		return a, errNoAsset
	}
	if a.policy == nil && m["policy"] != nil { // a result of search-all-iam-policies
		a.policy, a.name, a.found = m["policy"], str(m["resource"]), true
	}
	var list []string
	if json.Unmarshal(m["ancestors"], &list) == nil {
		a.ancestors = list
	}
	if path := str(either("ancestry_path", "ancestryPath")); path != "" && a.ancestors == nil {
		a.ancestors = ancestryPath(path)
	}
	a.searched(m, str)
	if raw := bytes.TrimSpace(m["resource"]); bytes.HasPrefix(raw, []byte("{")) {
		a.resource(raw, plain)
	}
	return a, nil
}

// resource reads the content RESOURCE.
func (a *asset) resource(raw []byte, plain bool) {
	var parent []byte
	if !plain && fields(raw, func(key, value []byte) {
		switch string(key) {
		case "data":
			a.data = value
		case "parent":
			parent = value
		}
	}) {
		if json.Unmarshal(parent, &a.parent) != nil {
			a.parent = ""
		}
		return
	}
	a.data = nil
	var m map[string]json.RawMessage
	if json.Unmarshal(raw, &m) == nil {
		a.data = m["data"]
		if json.Unmarshal(m["parent"], &a.parent) != nil {
			a.parent = ""
		}
	}
}

// searched reads the place of a search result, which names it apart.
func (a *asset) searched(m map[string]json.RawMessage, str func(json.RawMessage) string) {
	if a.ancestors != nil || m["project"] == nil {
		return
	}
	var folders []string
	if json.Unmarshal(m["folders"], &folders) != nil {
		folders = nil
	}
	for _, s := range append(append([]string{str(m["project"])}, folders...), str(m["organization"])) {
		if s != "" {
			a.ancestors = append(a.ancestors, s)
		}
	}
}

// ancestryPath turns "organization/1/folder/2/project/3" round.
func ancestryPath(path string) []string {
	parts := strings.Split(path, "/")
	var out []string
	for i := len(parts) - 2; i >= 0; i -= 2 {
		out = append(out, strings.TrimSuffix(parts[i], "s")+"s/"+parts[i+1])
	}
	return out
}

// A batch is what a part of the input held.
type batch struct {
	estate.Estate
	resources             bool     // content RESOURCE was seen of what can be invoked
	governed              []string // nodes whose policies were read
	odd                   []Oddity
	lines, assets, public int
}

// keep interns what stands in thousands of bindings.
func keep(s string) string { return unique.Make(s).Value() }

// add reads one asset into the batch.
func (b *batch) add(a asset, w estate.Where) error {
	b.assets++
	b.place(a)
	if len(a.policy) > 0 && string(a.policy) != "null" {
		if err := b.addPolicy(a, w); err != nil {
			return err
		}
	}
	if len(a.orgPolicy) > 0 {
		if err := b.addOrgPolicy(a, w); err != nil {
			return err
		}
	}
	if len(a.data) == 0 || string(a.data) == "null" {
		return nil
	}
	switch a.kind {
	case gcp.ServiceAsset, gcp.FunctionAsset, gcp.Gen1FunctionAsset:
		return b.addTarget(a, w)
	case gcp.ProjectAsset, gcp.FolderAsset, gcp.OrganizationAsset:
		return b.addNode(a, w)
	case gcp.RoleAsset:
		return b.addRole(a)
	case gcp.BackendServiceAsset, gcp.RegionBackendServiceAsset, gcp.EndpointGroupAsset:
		b.addFront(a)
	case gcp.DenyPolicyAsset:
		p := &denypb.Policy{}
		if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(a.data, p); err != nil {
			return errors.New("its data does not fit a deny policy")
		}
		b.Deny = append(b.Deny, estate.Deny{Policy: p})
	default:
		return b.addCaller(a, w)
	}
	return nil
}

// addCaller adds a caller. Most jobs, subscriptions and queues call no
// service, and are left out.
func (b *batch) addCaller(a asset, w estate.Where) error {
	list, err := caller.Parse(withName(a))
	if err != nil && strings.HasPrefix(err.Error(), "does not fit") {
		return errors.New("its data " + err.Error())
	}
	for _, c := range list {
		b.Callers = append(b.Callers, estate.Caller{Caller: c, Where: w})
	}
	return nil
}

// addRole adds a custom role. One whose permissions are not shown, as in a
// list, stays unknown.
func (b *batch) addRole(a asset) error {
	r := &adminpb.Role{}
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(a.data, r); err != nil {
		return errors.New("its data does not fit an IAM role")
	}
	if len(r.GetIncludedPermissions()) == 0 && !r.GetDeleted() && r.GetStage() != adminpb.Role_DISABLED {
		return nil
	}
	b.Roles = append(b.Roles, &adminpb.Role{Name: strings.TrimPrefix(a.name, "//"+gcp.IAMAPI+"/"), IncludedPermissions: relevant(r.GetIncludedPermissions()), Deleted: r.GetDeleted(), Stage: r.GetStage()})
	return nil
}

// withName puts the asset's name into a document that has none.
func withName(a asset) []byte {
	var m map[string]json.RawMessage
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

// relevant keeps of a role's permissions those that are asked about.
func relevant(permissions []string) []string {
	out := []string{}
	for _, p := range permissions {
		if p == iam.RunInvoke || p == iam.FunctionsInvoke {
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
	b.resources = true
	b.Targets = append(b.Targets, t)
	return nil
}

// nodeOf returns "projects/1" for a full name of Resource Manager.
func nodeOf(full string) string { return strings.TrimPrefix(full, estate.NodeHost) }

// place adds what an asset says of the hierarchy above it: also which ID a
// project has, where the name has the one and the ancestors have the number.
func (b *batch) place(a asset) {
	chain := a.ancestors
	if len(chain) == 0 && a.parent != "" && strings.HasPrefix(a.name, estate.NodeHost) {
		chain = []string{nodeOf(a.name), nodeOf(a.parent)}
	}
	for i, name := range chain {
		n := estate.Node{Name: keep(name)}
		if i+1 < len(chain) {
			n.Parent = keep(chain[i+1])
		}
		if id := gcp.Part(a.name, "projects"); i == 0 && strings.HasPrefix(name, "projects/") && id != "" && name != "projects/"+id {
			n.ID = keep(id)
		}
		b.Nodes = append(b.Nodes, n)
	}
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
	number := strings.Trim(string(d.ProjectNumber), `"`)
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
	var parent struct{ Type, ID string }
	var text string
	switch {
	case json.Unmarshal(d.Parent, &text) == nil && text != "":
		n.Parent = text
	case json.Unmarshal(d.Parent, &parent) == nil && parent.ID != "":
		n.Parent = parent.Type + "s/" + parent.ID
	case len(a.ancestors) > 1:
		n.Parent = a.ancestors[1]
	case a.parent != "":
		n.Parent = nodeOf(a.parent)
	}
	b.Nodes = append(b.Nodes, n)
	return nil
}

// predefined answers which predefined roles can matter.
var predefined = iam.NewRoles(nil)

// mayMatter reports whether a binding of a role can give an invoke permission,
// or looks as if it did. Custom roles may; their definition can come later.
func mayMatter(role string) bool {
	if !strings.HasPrefix(role, "roles/") || strings.HasSuffix(strings.ToLower(role), "invoker") {
		return true
	}
	for _, p := range []string{iam.RunInvoke, iam.FunctionsInvoke} {
		if s, _ := predefined.Carries(role, p); s != iam.NotGranted {
			return true
		}
	}
	return false
}

func (b *batch) addPolicy(a asset, w estate.Where) error {
	switch a.kind {
	case gcp.ServiceAsset, gcp.FunctionAsset, gcp.Gen1FunctionAsset, gcp.ProjectAsset, gcp.FolderAsset, gcp.OrganizationAsset:
	default:
		return nil
	}
	b.Estate.PoliciesComplete = b.Estate.PoliciesComplete || !a.found
	var p struct {
		Bindings []struct {
			Role      string
			Members   []string
			Condition *struct{ Expression, Title, Description, Location string }
		}
	}
	if err := json.Unmarshal(a.policy, &p); err != nil {
		return errors.New("its policy does not fit an allow policy")
	}
	if strings.HasPrefix(a.name, estate.NodeHost) {
		b.governed = append(b.governed, keep(nodeOf(a.name)))
	}
	out := estate.Policy{Resource: a.name, Where: w}
	for _, x := range p.Bindings {
		if !mayMatter(x.Role) {
			continue
		}
		y := estate.Binding{Role: keep(x.Role), Members: make([]string, len(x.Members)), Where: w}
		for i, m := range x.Members {
			y.Members[i] = keep(m)
			if m == "allUsers" || m == "allAuthenticatedUsers" {
				b.public++
			}
		}
		if c := x.Condition; c != nil && c.Expression != "" {
			y.Condition = &expr.Expr{Expression: c.Expression, Title: c.Title, Description: c.Description}
		}
		out.Bindings = append(out.Bindings, y)
	}
	if len(out.Bindings) > 0 {
		b.Policies = append(b.Policies, out)
	}
	return nil
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
func (b *batch) addFront(a asset) {
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
		b.Fronts = append(b.Fronts, f)
		return
	}
	f.IAP = estate.No
	if d.IAP.Enabled {
		f.IAP = estate.Yes
	}
	for _, g := range d.Backends {
		f.Groups = append(f.Groups, gcp.Last(g.Group))
	}
	b.Fronts = append(b.Fronts, f)
}
