package terraform

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	tfjson "github.com/hashicorp/terraform-json"

	"diagnose/internal/estate"
	"diagnose/internal/gcp"
)

// resolve fills in what is known only after apply, where the configuration
// refers to what the plan makes: the e-mail of a service account is known
// before it exists, and so is the name of a custom role.
func (r *reader) resolve(x *Resource) {
	c := r.config[withoutIndexes(x.Address)]
	if c == nil || !anyUnknown(x.Unknown) {
		return
	}
	x.refs = map[string]string{}
	r.refer(x, c.Expressions, x.Unknown, "")
	for _, name := range []string{"member", "members"} {
		if e := c.Expressions[name]; r.neverAnyone(r.site(x).module, e, 0) {
			x.notAnyone = map[string]bool{name: true}
		}
	}
	x.Values, x.Unknown = r.fill(x, c.Expressions, x.Values, x.Unknown)
}

// refer notes which services and functions unknown attributes are names of.
func (r *reader) refer(x *Resource, expressions map[string]*tfjson.Expression, unknown any, path string) {
	at := r.site(x)
	for name, e := range expressions {
		mark := child(unknown, name)
		if e == nil || e.ExpressionData == nil || !anyUnknown(mark) {
			continue
		}
		for i, b := range e.NestedBlocks {
			r.refer(x, b, child(mark, strconv.Itoa(i)), path+name+".")
		}
		var found []string
		refs, byKey := subjects(e.References)
		for _, ref := range refs {
			if o, ok := r.refersTo(at, ref, byKey, 0); ok && kinds[o.Type] != nil && isName(o.attribute, name) && !slices.Contains(found, o.Address) {
				found = append(found, o.Address)
			}
		}
		if len(found) == 1 {
			x.refs[path+name] = found[0]
		}
	}
}

// isName reports whether an attribute of a service or function tells which one
// it is to the attribute of another resource: "" is all of them.
func isName(of, attribute string) bool {
	switch attribute {
	case "project":
		return of == attribute
	case "location", "region":
		return of == "location" || of == "region"
	}
	return slices.Contains([]string{"", "name", "id", "service_config", "uri", "url", "urls", "status", "https_trigger_url"}, of)
}

// fill returns values and unknown marks with what could be resolved.
func (r *reader) fill(x *Resource, expressions map[string]*tfjson.Expression, values map[string]any, unknown any) (map[string]any, any) {
	marks := map[string]any{}
	if m, ok := unknown.(map[string]any); ok {
		for k, v := range m {
			marks[k] = v
		}
	}
	out := map[string]any{}
	for k, v := range values {
		out[k] = v
	}
	for name, e := range expressions {
		mark := marks[name]
		if unknown == true {
			mark = true
		}
		if e == nil || e.ExpressionData == nil || !anyUnknown(mark) {
			continue
		}
		switch {
		case len(e.NestedBlocks) > 0:
			out[name], marks[name] = r.fillBlocks(x, e.NestedBlocks, out[name], mark)
		default:
			r.fillValue(x, name, e, out, marks)
		}
	}
	if unknown == true {
		return out, marks
	}
	return out, marks
}

func (r *reader) fillBlocks(x *Resource, blocks []map[string]*tfjson.Expression, value, mark any) (any, any) {
	list, _ := value.([]any)
	values, marks := []any{}, []any{}
	for i, b := range blocks {
		var v map[string]any
		if i < len(list) {
			v, _ = list[i].(map[string]any)
		}
		filled, m := r.fill(x, b, v, child(mark, strconv.Itoa(i)))
		values, marks = append(values, filled), append(marks, m)
	}
	for i := len(blocks); i < len(list); i++ {
		values, marks = append(values, list[i]), append(marks, child(mark, strconv.Itoa(i)))
	}
	return values, marks
}

// isList names the attributes that hold several texts.
var isList = []string{"members", "custom_audiences", "permissions"}

func (r *reader) fillValue(x *Resource, name string, e *tfjson.Expression, out, marks map[string]any) {
	at := r.site(x)
	var found []string
	complete := true
	refs, byKey := subjects(e.References)
	for _, ref := range refs {
		s, ok := r.value(at, name, ref, byKey)
		if !ok {
			complete = false
			continue
		}
		found = append(found, s)
	}
	if name == "member" || name == "members" {
		for i, s := range found {
			if gcp.IsServiceAccount(s) && !strings.Contains(s, ":") {
				found[i] = "serviceAccount:" + s // an e-mail stands behind no other prefix
			}
		}
	}
	switch {
	case len(found) == 0:
	case slices.Contains(isList, name):
		// Literals beside the references are not in the plan: the list may be
		// longer.
		list, _ := out[name].([]any)
		for _, s := range found {
			list = append(list, s)
		}
		out[name], marks[name] = list, true
	case complete && len(found) == 1:
		out[name] = found[0]
		delete(marks, name)
	}
}

// value follows a reference to a text that is known, or will be. One of which
// the attribute is not told is to what an attribute of that name takes.
func (r *reader) value(at site, name, ref string, byKey bool) (string, bool) {
	o, ok := r.refersTo(at, ref, byKey, 0)
	if !ok {
		return "", false
	}
	if o.attribute != "" {
		return r.computed(o.Resource, o.attribute)
	}
	taken := map[string][]string{
		"google_service_account":              {"email", "member", "members", "service_account", "service_account_email"},
		"google_project_iam_custom_role":      {"id", "role"},
		"google_organization_iam_custom_role": {"id", "role"},
		"google_iam_policy":                   {"policy_data", "policy_data"},
	}[o.Type]
	if len(taken) == 0 || !slices.Contains(taken[1:], name) {
		return "", false
	}
	return r.computed(o.Resource, taken[0])
}

// computed is an attribute that is known, or that follows from those that are.
func (r *reader) computed(o *Resource, name string) (string, bool) {
	if s, known := o.text(name); s != "" && known {
		return s, true
	}
	s := compute(o, name)
	return s, s != ""
}

// compute is what the provider will compute for an attribute of a resource,
// "" where that cannot be told.
func compute(o *Resource, name string) string {
	project := o.project()
	b := &builder{}
	switch o.Type {
	case "google_service_account":
		id := o.first("account_id")
		if id == "" || project == "" {
			return ""
		}
		email := gcp.UserMade(id, project)
		return map[string]string{"email": email, "member": "serviceAccount:" + email, "name": "projects/" + project + "/serviceAccounts/" + email, "id": "projects/" + project + "/serviceAccounts/" + email}[name]
	case "google_project_iam_custom_role", "google_organization_iam_custom_role":
		if name == "id" || name == "name" {
			return roleName(o)
		}
	case "google_compute_region_network_endpoint_group":
		if (name == "id" || name == "self_link") && o.first("name") != "" {
			return "networkEndpointGroups/" + o.first("name")
		}
	case "google_project":
		if id := o.first("project_id"); name == "id" && id != "" {
			return "projects/" + id
		}
	case "google_cloud_run_service", "google_cloud_run_v2_service":
		full := b.service(o, "name")
		return map[string]string{"id": strings.TrimPrefix(full, estate.RunHost), "uri": placeholder(full), "status": placeholder(full),
			"location": gcp.Part(full, "locations"), "project": gcp.Part(full, "projects")}[name]
	case "google_cloudfunctions2_function", "google_cloudfunctions_function":
		full := b.function(o, "name")
		location := gcp.Part(full, "locations")
		return map[string]string{"id": strings.TrimPrefix(full, estate.FunctionsHost), "location": location, "region": location,
			"project": gcp.Part(full, "projects")}[name]
	case "google_iam_policy":
		if name == "policy_data" {
			return policyData(o)
		}
	}
	switch name {
	case "project":
		return project
	case "region", "location":
		return o.region()
	}
	return ""
}

// policyData is the document that data google_iam_policy makes of its blocks,
// "" where one of them is not known.
func policyData(o *Resource) string {
	type binding struct {
		Role      string            `json:"role"`
		Members   []string          `json:"members"`
		Condition map[string]string `json:"condition,omitempty"`
	}
	var out struct {
		Bindings []binding `json:"bindings"`
	}
	for _, b := range o.blocks("binding") {
		if anyUnknown(b.Unknown) {
			return ""
		}
		x := binding{Role: b.first("role")}
		x.Members, _ = b.texts("members")
		if c := b.block("condition"); c != nil {
			x.Condition = map[string]string{"expression": c.first("expression"), "title": c.first("title")}
		}
		out.Bindings = append(out.Bindings, x)
	}
	data, err := json.Marshal(out)
	if err != nil || len(out.Bindings) == 0 {
		return ""
	}
	return string(data)
}
