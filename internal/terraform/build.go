package terraform

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"slices"
	"strings"

	"cloud.google.com/go/iam/admin/apiv1/adminpb"
	denypb "cloud.google.com/go/iam/apiv2/iampb"
	"google.golang.org/genproto/googleapis/type/expr"

	"diagnose/internal/caller"
	"diagnose/internal/estate"
	"diagnose/internal/evidence"
	"diagnose/internal/gcp"
)

// Defaults are the provider's, for resources that do not say. Those of two
// resources are the same, known or not, where both have one provider.
type Defaults struct {
	Project, Region string
	provider        string // which configuration of the provider it is, "" where that is not known
}

// unknownPart stands in a resource name for a part that is not known.
const unknownPart = "-"

// Build makes an estate of resources. Names of one project, folder or
// organization are taken as written.
func Build(resources []*Resource) *estate.Estate { return build(resources, nil) }

// build is Build after a change that destroys, or replaces, some resources,
// which are given as they were.
func build(resources, gone []*Resource) *estate.Estate { return newBuilder().build(resources, gone) }

func (b *builder) build(resources, gone []*Resource) *estate.Estate {
	for _, r := range resources {
		if f := kinds[r.Type]; f != nil {
			f(b, r)
		}
	}
	b.readGone(gone)
	for _, r := range resources {
		b.grants(r)
	}
	b.empty()
	slices.SortStableFunc(b.e.Policies, func(x, y estate.Policy) int { return cmp.Compare(x.Resource, y.Resource) })
	return b.e
}

func newBuilder() *builder {
	return &builder{e: &estate.Estate{}, made: map[string]*Resource{}, names: map[string]string{}, here: map[string]bool{},
		ids: map[string][]int{}, written: map[string][]*Resource{}}
}

// empty adds the policies of targets that are new and have nothing bound.
func (b *builder) empty() {
	bound := map[string]bool{}
	for _, p := range b.e.Policies {
		bound[p.Of] = true
	}
	for _, t := range b.e.Targets {
		at := t.Where.Address
		if r := b.made[at]; r == nil || !r.Created {
			continue
		}
		if !bound[at] {
			b.e.Policies = append(b.e.Policies, estate.Policy{Resource: t.Name, Of: at})
		}
	}
}

type builder struct {
	e       *estate.Estate
	made    map[string]*Resource   // what targets are made of, by address
	names   map[string]string      // of targets, by address
	here    map[string]bool        // names of targets, and of their functions
	ids     map[string][]int       // positions of targets by their short names
	written map[string][]*Resource // what targets are made of, by how a name is written that is not known
	gone    gone
	steps   int // taken where resources are compared with each other
}

// kinds are the resource types that are no grants.
var kinds = map[string]func(*builder, *Resource){
	"google_cloud_run_service":            (*builder).runV1,
	"google_cloud_run_v2_service":         (*builder).runV2,
	"google_cloudfunctions_function":      (*builder).gen1,
	"google_cloudfunctions2_function":     (*builder).functionV2,
	"google_project_iam_custom_role":      (*builder).customRole,
	"google_organization_iam_custom_role": (*builder).customRole,
	"google_iam_deny_policy":              (*builder).denyPolicy,
	"google_project":                      (*builder).project,
	"google_org_policy_policy":            (*builder).orgPolicy,
	"google_organization_policy":          (*builder).legacyOrgPolicy,
	"google_folder_organization_policy":   (*builder).legacyOrgPolicy,
	"google_project_organization_policy":  (*builder).legacyOrgPolicy,
	"google_cloud_scheduler_job":          (*builder).schedulerJob,
	"google_pubsub_subscription":          (*builder).subscription,
	"google_eventarc_trigger":             (*builder).trigger,
	"google_cloud_tasks_queue":            (*builder).queue,

	"google_compute_backend_service":               (*builder).backend,
	"google_compute_region_backend_service":        (*builder).backend,
	"google_compute_region_network_endpoint_group": (*builder).endpointGroup,
}

// A maker makes the name of a service or function.
type maker func(project, location, id string) gcp.Name

// name makes a full resource name as the estate spells it.
func (b *builder) name(r *Resource, of maker, id string) string {
	return estate.Spelled(b.parts(r, of, id))
}

// parts is the name of what an attribute identifies, and what tells it apart
// where its ID is not known: the address of the resource that says so, or that
// it mentions and that is not here. A / separates nothing there.
func (b *builder) parts(r *Resource, of maker, id string) (n gcp.Name, apart string) {
	raw := r.first(id)
	project := cmp.Or(gcp.Part(raw, "projects"), gcp.Part(raw, "namespaces"), r.project())
	location := cmp.Or(gcp.Part(raw, "locations"), r.region())
	n = of(project, location, gcp.Last(raw))
	apart = r.Address
	if hint := r.hints[id]; strings.Contains(r.Type, "_iam_") && strings.Contains(hint, "google_") && b.made[hint] == nil {
		apart = hint
	}
	return n, strings.ReplaceAll(apart, "/", "|")
}

// service is the full name of a Cloud Run service.
func (b *builder) service(r *Resource, id string) string { return b.name(r, gcp.ServiceName, id) }

// function is the full name of a function.
func (b *builder) function(r *Resource, id string) string { return b.name(r, gcp.FunctionName, id) }

// node is the full name of a project, folder or organization, which an
// attribute identifies.
func (b *builder) node(r *Resource, collection, attribute string) string {
	id := gcp.Last(r.first(attribute))
	if collection == "projects" {
		return estate.Spelled(gcp.ProjectName(cmp.Or(id, r.project())), "")
	}
	return estate.Spelled(gcp.NodeName(collection, id), r.hints[attribute])
}

func (b *builder) add(t estate.Target, r *Resource) {
	t.Where = r.Where
	b.made[r.Address], b.names[r.Address] = r, t.Name
	b.here[t.Name], b.here[t.Function] = true, true
	if text := r.spelt["name"]; text != "" {
		b.written[text] = append(b.written[text], r)
	}
	for _, id := range []string{gcp.Last(t.Name), gcp.Last(t.Function)} {
		if at := b.ids[id]; id != "" && (len(at) == 0 || at[len(at)-1] != len(b.e.Targets)) {
			b.ids[id] = append(at, len(b.e.Targets))
		}
	}
	b.e.Targets = append(b.e.Targets, t)
}

// ingress reads an attribute, which each of the provider's resources spells as
// its API does; all traffic is the default of each:
// https://registry.terraform.io/providers/hashicorp/google/latest/docs/resources/cloud_run_v2_service.
func ingress(r *Resource, attribute string) estate.Ingress {
	if r == nil {
		return estate.IngressAll
	}
	s, _ := r.text(attribute)
	switch {
	case s != "":
		return gcp.ParseIngress(s)
	case r.open(attribute):
		return estate.UnknownIngress
	}
	return estate.IngressAll
}

// runV1 reads the annotations that a v1 service has as a Knative one has them.
func (b *builder) runV1(r *Resource) {
	meta := r.block("metadata")
	notes := &Resource{}
	if meta != nil {
		m, _ := meta.Values["annotations"].(map[string]any)
		notes.Values, notes.Unknown = m, child(meta.Unknown, "annotations")
		if notes.Unknown == true && m != nil {
			notes.Unknown = nil
		}
	}
	if notes.Unknown == true && !r.open("metadata") {
		notes.Unknown = nil // the provider computes it, and nothing is set
	}
	const prefix = gcp.RunAPI + "/"
	t := estate.Target{Name: b.service(r, "name"), Event: estate.No, Ingress: ingress(notes, prefix+"ingress"), Check: notes.answer(prefix+"invoker-iam-disabled", estate.No).Not(),
		IAP: notes.answer(prefix+"iap-enabled", estate.No), DefaultURL: notes.answer(prefix+"default-url-disabled", estate.No).Not(), CustomOK: true}
	if notes.Unknown == true {
		t.Ingress, t.Check, t.IAP, t.DefaultURL, t.CustomOK = 0, 0, 0, 0, false
	}
	if list, ok := notes.text(prefix + "custom-audiences"); ok && list != "" {
		t.CustomOK = json.Unmarshal([]byte(list), &t.Custom) == nil
	}
	t.URLs = []string{placeholder(t.Name)}
	if s := r.block("status"); s != nil && s.first("url") != "" {
		t.URLs = []string{s.first("url")}
	}
	b.add(t, r)
}

func (b *builder) runV2(r *Resource) {
	t := estate.Target{Name: b.service(r, "name"), Event: estate.No, Ingress: ingress(r, "ingress"), Check: r.answer("invoker_iam_disabled", estate.No).Not(),
		IAP: r.answer("iap_enabled", estate.No), DefaultURL: r.answer("default_uri_disabled", estate.No).Not()}
	t.Custom, t.CustomOK = r.texts("custom_audiences")
	t.CustomOK = t.CustomOK || !r.open("custom_audiences")
	if t.URLs, _ = r.texts("urls"); len(t.URLs) == 0 {
		t.URLs = []string{cmp.Or(r.first("uri"), placeholder(t.Name))}
	}
	b.add(t, r)
}

// placeholder is the URL of a service that does not exist yet: it takes part
// in no match but with itself.
func placeholder(name string) string {
	location, project := cmp.Or(gcp.Part(name, "locations"), unknownPart), cmp.Or(gcp.Part(name, "projects"), unknownPart)
	id := gcp.ServiceID(gcp.Last(name))
	if strings.HasPrefix(id, unknownPart) {
		sum := sha256.Sum256([]byte(name))
		id = "unknown-" + hex.EncodeToString(sum[:6])
	}
	return "https://" + id + ".known-after-apply." + location + "." + project + ".invalid"
}

func (b *builder) gen1(r *Resource) {
	t := estate.Target{Name: b.function(r, "name"), Gen1: true, Event: estate.No, Ingress: ingress(r, "ingress_settings"), Check: estate.Yes, IAP: estate.No, CustomOK: true}
	if len(r.blocks("event_trigger")) > 0 {
		t.Event = estate.Yes
	}
	if u := r.first("https_trigger_url"); u != "" {
		t.URLs = []string{u}
	} else if u := functionURL(t.Name); u != "" {
		t.URLs = []string{u}
	}
	b.add(t, r)
}

// functionURL is the cloudfunctions.net URL of a function, "" where a part of
// its name is not known.
func functionURL(name string) string {
	n, _ := gcp.ParseName(name)
	return gcp.FunctionURL(n)
}

func (b *builder) functionV2(r *Resource) {
	n, apart := b.parts(r, gcp.FunctionName, "name")
	function := estate.Spelled(n, apart)
	config := r.block("service_config")
	service, _ := n.Service()
	if config != nil && config.first("service") != "" {
		service.ID = gcp.Last(config.first("service"))
	}
	t := estate.Target{Name: estate.Spelled(service, gcp.ServiceID(apart)), Function: function, Event: estate.No,
		Ingress: ingress(config, "ingress_settings"), IAP: estate.No, DefaultURL: estate.Yes}
	if r.Created {
		t.Check, t.CustomOK = estate.Yes, true // the resource cannot set them otherwise
	}
	t.URLs = []string{placeholder(t.Name)}
	if config != nil && config.first("uri") != "" {
		t.URLs = []string{config.first("uri")}
	}
	if u := cmp.Or(r.first("url"), functionURL(function)); u != "" {
		t.URLs = append(t.URLs, u)
	}
	if e := r.block("event_trigger"); e != nil {
		t.Event = estate.Yes
		t.TriggerAccount, _ = e.text("service_account_email")
	}
	b.add(t, r)
}

func (b *builder) customRole(r *Resource) {
	permissions, known := r.texts("permissions")
	if !known {
		b.unread(r, "the permissions of custom role "+r.Address)
		return
	}
	name := roleName(r)
	if name == "" {
		b.unread(r, "the name of custom role "+r.Address)
		return
	}
	b.e.Roles = append(b.e.Roles, &adminpb.Role{Name: name, IncludedPermissions: permissions})
}

func roleName(r *Resource) string {
	id := r.first("role_id")
	if id == "" {
		return ""
	}
	if org := r.first("org_id"); org != "" {
		return "organizations/" + gcp.Last(org) + "/roles/" + id
	}
	return "projects/" + cmp.Or(r.project(), unknownPart) + "/roles/" + id
}

func (b *builder) unread(r *Resource, what string) {
	b.e.Unread = append(b.e.Unread, estate.Unread{What: what, Reason: afterApply, Where: r.Where})
}

// unreadCall notes what is not known of a caller: it opens nothing.
func (b *builder) unreadCall(r *Resource, what string) {
	b.e.Unread = append(b.e.Unread, estate.Unread{What: what, Reason: afterApply, Where: r.Where, Aside: true})
}

func (b *builder) denyPolicy(r *Resource) {
	p := &denypb.Policy{}
	if parent := r.first("parent"); parent != "" {
		point, err := url.PathUnescape(parent)
		if err != nil {
			point = parent
		}
		p.Name = "policies/" + url.PathEscape(point) + "/denypolicies/" + cmp.Or(r.first("name"), unknownPart)
	}
	for _, rule := range r.blocks("rules") {
		d := rule.block("deny_rule")
		if d == nil {
			continue
		}
		out := &denypb.DenyRule{}
		out.DeniedPrincipals, _ = d.texts("denied_principals")
		out.ExceptionPrincipals, _ = d.texts("exception_principals")
		out.DeniedPermissions, _ = d.texts("denied_permissions")
		out.ExceptionPermissions, _ = d.texts("exception_permissions")
		if c := d.block("denial_condition"); c != nil {
			out.DenialCondition = &expr.Expr{Expression: c.first("expression"), Title: c.first("title")}
		}
		if anyUnknown(d.Unknown) {
			// What is denied to whom is not known: it shields nothing for
			// certain.
			b.unread(r, "a rule of deny policy "+r.Address)
			continue
		}
		p.Rules = append(p.Rules, &denypb.PolicyRule{Kind: &denypb.PolicyRule_DenyRule{DenyRule: out}})
	}
	b.e.Deny = append(b.e.Deny, estate.Deny{Policy: p})
}

func (b *builder) project(r *Resource) {
	id := r.first("project_id")
	if id == "" {
		return
	}
	n := estate.Node{Name: "projects/" + id, ID: id, Title: r.first("name"), Where: r.Where}
	if number := r.first("number"); number != "" {
		n.Name = "projects/" + number
	}
	switch folder, org := r.first("folder_id"), r.first("org_id"); {
	case folder != "":
		n.Parent = "folders/" + gcp.Last(folder)
	case org != "":
		n.Parent = "organizations/" + gcp.Last(org)
	}
	b.e.Nodes = append(b.e.Nodes, n)
}

// allowedMembers is the constraint that restricts the members of policies, by
// https://docs.cloud.google.com/resource-manager/docs/organization-policy/restricting-domains.
const allowedMembers = "iam.allowedPolicyMemberDomains"

func (b *builder) orgPolicy(r *Resource) {
	if !strings.HasSuffix(r.first("name"), allowedMembers) {
		return
	}
	a := estate.AllowedMembers{Resource: strings.Split(r.first("parent")+"/policies", "/policies")[0]}
	for _, rule := range r.block("spec").blocks("rules") {
		if v := rule.block("values"); v != nil {
			list, _ := v.texts("allowed_values")
			a.Customers = append(a.Customers, list...)
		}
	}
	b.e.Domains = append(b.e.Domains, a)
}

func (b *builder) legacyOrgPolicy(r *Resource) {
	if !strings.HasSuffix(r.first("constraint"), allowedMembers) {
		return
	}
	a := estate.AllowedMembers{}
	for _, k := range []struct{ attribute, prefix string }{{"org_id", "organizations/"}, {"folder", "folders/"}, {"project", "projects/"}} {
		if v := r.first(k.attribute); v != "" {
			a.Resource = k.prefix + gcp.Last(v)
		}
	}
	if allow := r.block("list_policy").block("allow"); allow != nil {
		a.Customers, _ = allow.texts("values")
	}
	b.e.Domains = append(b.e.Domains, a)
}

// call reads a caller from the document that its API would hold, so that its
// defaults are stated in one place.
func (b *builder) call(r *Resource, doc map[string]any) {
	data, err := json.Marshal(doc)
	if err != nil {
		return
	}
	list, err := caller.Parse(data)
	if err != nil {
		return // it calls no service
	}
	for _, c := range list {
		c.Pointer = ""
		b.e.Callers = append(b.e.Callers, estate.Caller{Caller: c, Of: b.calls(r), Where: r.Where})
	}
}

// destinations are the attributes by which a caller refers to what it calls.
var destinations = []string{
	"http_target.uri", "push_config.push_endpoint", "destination.cloud_run_service.service", "destination.cloud_function",
	"http_target.uri_override.host",
}

// calls finds the address of the target that a caller refers to, "" where it
// refers to none here.
func (b *builder) calls(r *Resource) string {
	for _, d := range destinations {
		if at := r.refs[d]; b.made[at] != nil {
			return at
		}
	}
	return ""
}

func (b *builder) location(r *Resource) string {
	return "projects/" + cmp.Or(r.project(), unknownPart) + "/locations/" + cmp.Or(r.region(), unknownPart)
}

// token spells the block of a token, which is named alike in every resource.
func (b *builder) token(r *Resource, doc map[string]any, target *Resource, url string) {
	if _, known := target.text(url); !known {
		b.unreadCall(r, "what "+r.Address+" calls")
	}
	if t := target.block("oidc_token"); t != nil {
		if _, known := t.text("service_account_email"); !known {
			b.unreadCall(r, "which account "+r.Address+" calls as")
		}
		doc["oidcToken"] = map[string]any{"serviceAccountEmail": t.first("service_account_email"), "audience": t.first("audience")}
	}
	if t := target.block("oauth_token"); t != nil {
		doc["oauthToken"] = map[string]any{"serviceAccountEmail": t.first("service_account_email")}
	}
}

func (b *builder) schedulerJob(r *Resource) {
	h := r.block("http_target")
	if h == nil {
		return
	}
	doc := map[string]any{"uri": h.first("uri")}
	b.token(r, doc, h, "uri")
	b.call(r, map[string]any{"name": b.location(r) + "/jobs/" + r.first("name"), "schedule": "-", "httpTarget": doc})
}

func (b *builder) subscription(r *Resource) {
	p := r.block("push_config")
	if p == nil {
		return
	}
	doc := map[string]any{"pushEndpoint": cmp.Or(p.first("push_endpoint"), unknownPart)}
	b.token(r, doc, p, "push_endpoint")
	b.call(r, map[string]any{"name": "projects/" + cmp.Or(r.project(), unknownPart) + "/subscriptions/" + r.first("name"), "pushConfig": doc})
}

func (b *builder) trigger(r *Resource) {
	d := r.block("destination")
	if d == nil {
		return
	}
	doc := map[string]any{}
	if s := d.block("cloud_run_service"); s != nil {
		doc["cloudRun"] = map[string]any{"service": cmp.Or(s.first("service"), unknownPart), "region": s.first("region")}
	}
	if f := d.first("cloud_function"); f != "" {
		doc["cloudFunction"] = f
	}
	b.call(r, map[string]any{"name": b.location(r) + "/triggers/" + r.first("name"), "destination": doc, "serviceAccount": r.first("service_account")})
}

func (b *builder) queue(r *Resource) {
	h := r.block("http_target")
	if h == nil {
		return
	}
	doc := map[string]any{}
	if o := h.block("uri_override"); o != nil {
		override := map[string]any{"host": o.first("host")}
		if p := o.block("path_override"); p != nil {
			override["pathOverride"] = map[string]any{"path": p.first("path")}
		}
		doc["uriOverride"] = override
	}
	b.token(r, doc, h, "uri_override")
	b.call(r, map[string]any{"name": b.location(r) + "/queues/" + r.first("name"), "httpTarget": doc})
}

func (b *builder) backend(r *Resource) {
	f := estate.Front{Project: r.project(), IAP: estate.No}
	if iap := r.block("iap"); iap != nil {
		f.IAP = iap.answer("enabled", estate.Yes) // older providers have no enabled
	}
	for _, x := range r.blocks("backend") {
		f.Groups = append(f.Groups, gcp.Last(x.first("group")))
	}
	b.e.Fronts = append(b.e.Fronts, f)
}

func (b *builder) endpointGroup(r *Resource) {
	if run := r.block("cloud_run"); run != nil {
		b.e.Fronts = append(b.e.Fronts, estate.Front{Project: r.project(), Name: r.first("name"), Service: run.first("service")})
	}
}

// A granted names the resources whose policies a family of resource types
// configures.
type granted struct {
	prefix string
	on     func(*builder, *Resource) string
}

// grantedOn lists the families, each with _iam_member, _iam_binding and
// _iam_policy.
var grantedOn = []granted{
	{"google_cloud_run_service", func(b *builder, r *Resource) string { return b.service(r, "service") }},
	{"google_cloud_run_v2_service", func(b *builder, r *Resource) string { return b.service(r, "name") }},
	{"google_cloudfunctions_function", func(b *builder, r *Resource) string { return b.function(r, "cloud_function") }},
	{"google_cloudfunctions2_function", func(b *builder, r *Resource) string { return b.function(r, "cloud_function") }},
	{"google_iap_web_cloud_run_service", func(b *builder, r *Resource) string {
		return b.name(r, gcp.IAPName, "cloud_run_service_name")
	}},
	{"google_project", func(b *builder, r *Resource) string { return b.node(r, "projects", "project") }},
	{"google_folder", func(b *builder, r *Resource) string { return b.node(r, "folders", "folder") }},
	{"google_organization", func(b *builder, r *Resource) string { return b.node(r, "organizations", "org_id") }},
}

func (b *builder) grants(r *Resource) {
	for _, g := range grantedOn {
		kind, ok := strings.CutPrefix(r.Type, g.prefix+"_iam_")
		if !ok {
			continue
		}
		on := g.on(b, r)
		p := estate.Policy{
			Resource: on, Of: b.of(r, on, g.prefix), Where: r.Where, V2Function: g.prefix == "google_cloudfunctions2_function",
			Partial: "only what Terraform manages here is known of the policy",
		}
		target := b.made[p.Of]
		if target != nil && target.Created && !p.V2Function || kind == "policy" && r.maybe == "" {
			p.Partial = ""
		}
		switch kind {
		case "member":
			p.Bindings = []estate.Binding{binding(r, estate.MemberAuthority, "member")}
		case "binding":
			p.Bindings = []estate.Binding{binding(r, estate.RoleAuthority, "members")}
		case "policy":
			p.Bindings = policyBindings(r)
		default:
			return
		}
		if r.forgotten {
			for i := range p.Bindings {
				p.Bindings[i].Authority = estate.NoAuthority
			}
		}
		if target != nil && target.Replaced && r.Unchanged && !p.V2Function && !strings.HasPrefix(g.prefix, "google_iap") {
			b.e.Lost = append(b.e.Lost, estate.Lost{Policy: p, Target: target.Address})
			return
		}
		if p, left := b.left(r, p, target); left {
			b.e.Policies = append(b.e.Policies, p)
		}
	}
}

// binding reads one role and its members.
func binding(r *Resource, a estate.Authority, attribute string) estate.Binding {
	out := estate.Binding{Authority: a, Where: r.Where, Maybe: r.maybe}
	role, known := r.text("role")
	out.Role = role
	open := !known
	if attribute == "member" {
		m, known := r.text(attribute)
		if m != "" {
			out.Members = []string{m}
		}
		open = open || !known
	} else {
		list, known := r.texts(attribute)
		out.Members, open = list, open || !known
	}
	if c := r.block("condition"); c != nil {
		out.Condition = &expr.Expr{Expression: c.first("expression"), Title: c.first("title"), Description: c.first("description")}
		if _, known := c.text("expression"); !known {
			open = true
		}
	}
	if open {
		out.Open = r.Address + " is " + afterApply
		out.NotAnyone = known && out.Condition == nil && r.notAnyone[attribute]
	}
	return out
}

// policyBindings reads the JSON of data google_iam_policy.
func policyBindings(r *Resource) []estate.Binding {
	text, _ := r.text("policy_data")
	p, err := evidence.AllowPolicy([]byte(text))
	if text == "" || err != nil {
		return []estate.Binding{{Authority: estate.PolicyAuthority, Where: r.Where, Maybe: r.maybe, Open: r.Address + " is " + afterApply}}
	}
	var out []estate.Binding
	for _, x := range p.GetBindings() {
		out = append(out, estate.Binding{
			Role: x.GetRole(), Members: x.GetMembers(), Condition: x.GetCondition(), Authority: estate.PolicyAuthority, Where: r.Where, Maybe: r.maybe,
		})
	}
	return out
}
