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
		if e := c.Expressions[name]; r.neverAnyone(r.modules[modulePath(x.Address)], e, 0) {
			x.notAnyone = map[string]bool{name: true}
		}
	}
	x.Values, x.Unknown = r.fill(x, c.Expressions, x.Values, x.Unknown)
}

// refer notes which services and functions unknown attributes are names of.
func (r *reader) refer(x *Resource, expressions map[string]*tfjson.Expression, unknown any, path string) {
	home := r.modules[modulePath(x.Address)]
	for name, e := range expressions {
		mark := child(unknown, name)
		if e == nil || e.ExpressionData == nil || !anyUnknown(mark) {
			continue
		}
		for i, b := range e.NestedBlocks {
			r.refer(x, b, child(mark, strconv.Itoa(i)), path+name+".")
		}
		var found []string
		for _, ref := range distinctRefs(e.References) {
			if at := r.refersTo(home, x, ref, 0); at != "" && !slices.Contains(found, at) {
				found = append(found, at)
			}
		}
		if len(found) == 1 {
			x.refs[path+name] = found[0]
		}
	}
}

// refersTo follows a reference from a module to the service or function that
// it names, and returns its address, "" where it names none that is known.
func (r *reader) refersTo(m *module, x *Resource, ref string, depth int) string {
	if m == nil || depth > maxReferences {
		return ""
	}
	follow := func(m *module, e *tfjson.Expression) string {
		if e == nil || e.ExpressionData == nil {
			return ""
		}
		if refs := distinctRefs(e.References); len(refs) == 1 {
			return r.refersTo(m, x, refs[0], depth+1)
		}
		return ""
	}
	parts := strings.Split(withoutIndexes(ref), ".")
	switch {
	case parts[0] == "var" && len(parts) > 1 && m.call != nil:
		return follow(m.parent, m.call.Expressions[parts[1]])
	case parts[0] == "module" && len(parts) > 2:
		if inner := r.modules[join(m.path, "module."+parts[1])]; inner != nil && inner.config.Outputs[parts[2]] != nil {
			return follow(inner, inner.config.Outputs[parts[2]].Expression)
		}
	case kinds[parts[0]] != nil && len(parts) > 2:
		if o := r.instance(join(m.path, strings.Join(parts[:2], ".")), x, ref); o != nil {
			return o.Address
		}
	}
	return ""
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
	home := r.modules[modulePath(x.Address)]
	var found []string
	complete := true
	for _, ref := range distinctRefs(e.References) {
		s, ok := r.value(home, x, ref, 0)
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

// distinctRefs drops references that are the beginning of another one:
// Terraform lists "a.b.email" and "a.b".
func distinctRefs(refs []string) []string {
	var out []string
	for _, a := range refs {
		if !slices.ContainsFunc(refs, func(b string) bool {
			return b != a && strings.HasPrefix(b, a) && strings.ContainsAny(b[len(a):len(a)+1], ".[")
		}) && !slices.Contains(out, a) {
			out = append(out, a)
		}
	}
	return out
}

// modulePath is the path of the module that an address is in, without indexes.
func modulePath(address string) string {
	parts := strings.Split(withoutIndexes(address), ".")
	path := ""
	for i := 0; i+1 < len(parts) && parts[i] == "module"; i += 2 {
		path = join(path, "module."+parts[i+1])
	}
	return path
}

// maxReferences bounds how far a reference is followed through modules.
const maxReferences = 16

// value follows a reference from a module to a text that is known, or will be.
func (r *reader) value(m *module, x *Resource, ref string, depth int) (string, bool) {
	if m == nil || depth > maxReferences {
		return "", false
	}
	parts := strings.Split(withoutIndexes(ref), ".")
	switch {
	case parts[0] == "var" && len(parts) > 1:
		return r.variable(m, x, parts[1], depth)
	case parts[0] == "module" && len(parts) > 2:
		return r.output(m, x, parts[1], parts[2], depth)
	case parts[0] == "data" && len(parts) > 3:
		return r.attribute(join(m.path, strings.Join(parts[:3], ".")), x, parts[3], ref)
	case strings.HasPrefix(parts[0], "google_") && len(parts) > 2:
		return r.attribute(join(m.path, strings.Join(parts[:2], ".")), x, parts[2], ref)
	}
	return "", false
}

func (r *reader) variable(m *module, x *Resource, name string, depth int) (string, bool) {
	if m.call == nil {
		v := r.plan.Variables[name]
		if v == nil {
			return "", false
		}
		s, ok := v.Value.(string)
		return s, ok
	}
	return r.expression(m.parent, x, m.call.Expressions[name], depth)
}

func (r *reader) output(m *module, x *Resource, call, name string, depth int) (string, bool) {
	inner := r.modules[join(m.path, "module."+call)]
	if inner == nil || inner.config.Outputs[name] == nil {
		return "", false
	}
	return r.expression(inner, x, inner.config.Outputs[name].Expression, depth)
}

// expression is the text of an expression that is one literal or one
// reference.
func (r *reader) expression(m *module, x *Resource, e *tfjson.Expression, depth int) (string, bool) {
	if e == nil || e.ExpressionData == nil {
		return "", false
	}
	if s, ok := e.ConstantValue.(string); ok {
		return s, true
	}
	refs := distinctRefs(e.References)
	if len(refs) != 1 {
		return "", false
	}
	return r.value(m, x, refs[0], depth+1)
}

// attribute is an attribute of another resource: the one instance there is, or
// the one with the same key as the resource that refers to it.
func (r *reader) attribute(address string, x *Resource, name, ref string) (string, bool) {
	o := r.instance(address, x, ref)
	if o == nil {
		return "", false
	}
	return r.computed(o, name)
}

// instance is the one instance of a resource that there is, or the one with
// the same key as the resource that refers to it; nil where none is known.
func (r *reader) instance(address string, x *Resource, ref string) *Resource {
	instances := r.after[address]
	if len(instances) > 1 {
		key := indexOf(x.Address)
		if strings.HasSuffix(ref, "]") || strings.Contains(ref, "].") {
			key = indexOf(strings.Split(ref, "]")[0] + "]")
		}
		instances = slices.DeleteFunc(slices.Clone(instances), func(o *Resource) bool { return key == "" || indexOf(o.Address) != key })
	}
	if len(instances) != 1 {
		return nil
	}
	return instances[0]
}

// indexOf is the last index of an address, "" where it has none.
func indexOf(address string) string {
	i := strings.LastIndexByte(address, '[')
	if i < 0 || !strings.HasSuffix(address, "]") {
		return ""
	}
	return address[i:]
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
