package manifest

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
	"google.golang.org/genproto/googleapis/type/expr"

	"diagnose/internal/estate"
	"diagnose/internal/gcp"
	"diagnose/internal/yamldoc"
)

// An object is a Kubernetes object, as far as Config Connector's are read:
// https://docs.cloud.google.com/config-connector/docs/reference/overview.
type object struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Metadata   struct {
		Name        string            `json:"name"`
		Namespace   string            `json:"namespace"`
		Annotations map[string]string `json:"annotations"`
	} `json:"metadata"`
	Spec  spec              `json:"spec"`
	Items []json.RawMessage `json:"items"`
}

// A spec has the fields of every kind that is read.
type spec struct {
	ResourceID string    `json:"resourceID"`
	ProjectRef reference `json:"projectRef"`
	Location   string    `json:"location"`
	Region     string    `json:"region"`

	Ingress            string   `json:"ingress"`
	IngressSettings    string   `json:"ingressSettings"`
	InvokerIAMDisabled *bool    `json:"invokerIamDisabled"`
	IAPEnabled         *bool    `json:"iapEnabled"`
	DefaultURIDisabled *bool    `json:"defaultUriDisabled"`
	CustomAudiences    []string `json:"customAudiences"`

	EventTrigger  json.RawMessage `json:"eventTrigger"`
	ServiceConfig struct {
		IngressSettings string `json:"ingressSettings"`
	} `json:"serviceConfig"`

	ResourceRef reference       `json:"resourceRef"`
	Role        string          `json:"role"`
	Member      string          `json:"member"`
	MemberFrom  json.RawMessage `json:"memberFrom"`
	Condition   *condition      `json:"condition"`
	Bindings    []struct {
		Role      string            `json:"role"`
		Members   []json.RawMessage `json:"members"`
		Condition *condition        `json:"condition"`
	} `json:"bindings"`
}

// A reference names a resource: another object, or by External one that is
// not configured here.
type reference struct {
	Kind      string `json:"kind"`
	Name      string `json:"name"`
	Namespace string `json:"namespace"`
	External  string `json:"external"`
}

type condition struct {
	Expression  string `json:"expression"`
	Title       string `json:"title"`
	Description string `json:"description"`
}

func (c *condition) expr() *expr.Expr {
	if c == nil {
		return nil
	}
	return &expr.Expr{Expression: c.Expression, Title: c.Title, Description: c.Description}
}

// connector is the end of the API groups of Config Connector.
const connector = ".cnrm.cloud.google.com"

// kubernetes reads a list of objects, or one of Config Connector's.
func (r *reader) kubernetes(name string, d document, strict bool) (what string, err error) {
	var head struct{ APIVersion, Kind string }
	if json.Unmarshal(d.json, &head) != nil || head.APIVersion == "" {
		return "", errForeign
	}
	group, _, _ := strings.Cut(head.APIVersion, "/")
	switch {
	case head.Kind == "List" && head.APIVersion == "v1":
		return r.list(name, d, strict)
	case !strings.HasSuffix(group, connector):
		return "", errForeign
	}
	var o object
	read := r.connectorKinds()[head.Kind]
	if read == nil {
		return "", errForeign
	}
	if err := json.Unmarshal(d.json, &o); err != nil {
		return head.Kind, fmt.Errorf("is not a %s that Config Connector takes: %w", head.Kind, jsonPlace(err))
	}
	if o.Metadata.Name == "" {
		return head.Kind, fmt.Errorf("is a %s without metadata.name", head.Kind)
	}
	return "Config Connector " + head.Kind, read(&o, estate.Where{File: name, Line: d.line}, d.node)
}

// jsonPlace says of a decoding error where it is, and quotes no value.
func jsonPlace(err error) error {
	if t := (*json.UnmarshalTypeError)(nil); errors.As(err, &t) {
		return fmt.Errorf("%s is of another type", t.Field)
	}
	return errors.New("it cannot be read")
}

// list reads the objects of a Kubernetes List.
func (r *reader) list(name string, d document, strict bool) (string, error) {
	var o object
	if err := json.Unmarshal(d.json, &o); err != nil {
		return "", errForeign
	}
	known := ""
	items := yamldoc.Field(d.node, "items")
	for i, raw := range o.Items {
		one := document{raw, &yaml.Node{}, d.line}
		if items != nil && i < len(items.Content) {
			one.node, one.line = items.Content[i], items.Content[i].Line
		}
		switch what, err := r.document(name, one, strict); {
		case err == nil:
			known = cmp.Or(known, what)
		case errors.Is(err, errForeign):
		case strict:
			r.unread(name, &placed{name, one.line, err})
		default:
			return what, &placed{name, one.line, err}
		}
	}
	if known == "" {
		return "", errForeign
	}
	return known, nil
}

type connectorReader func(o *object, where estate.Where, node *yaml.Node) error

// connectorKinds lists the kinds that are read.
func (r *reader) connectorKinds() map[string]connectorReader {
	return map[string]connectorReader{
		"RunService":              r.runService,
		"CloudFunctionsFunction":  r.gen1Function,
		"CloudFunctions2Function": r.v2Function,
		"IAMPolicy":               r.connectorPolicy(estate.PolicyAuthority),
		"IAMPartialPolicy":        r.connectorPolicy(estate.MemberAuthority),
		"IAMPolicyMember":         r.connectorMember,
	}
}

// project is the project of an object: the one that it refers to, that its
// annotation names, or that its namespace is called after.
// https://docs.cloud.google.com/config-connector/docs/how-to/organizing-resources/overview
func (o *object) project() string {
	return cmp.Or(gcp.Last(o.Spec.ProjectRef.External), o.Spec.ProjectRef.Name, o.Metadata.Annotations["cnrm.cloud.google.com/project-id"], o.Metadata.Namespace)
}

// id is the name of what an object configures.
func (o *object) id() string { return cmp.Or(o.Spec.ResourceID, o.Metadata.Name) }

func (o *object) location() string { return cmp.Or(gcp.Last(o.Spec.Location), o.Spec.Region) }

// said is the answer that a field gives, and the default where it is not set.
func said(b *bool, unset estate.Truth) estate.Truth {
	if b == nil {
		return unset
	}
	return estate.TruthOf(*b)
}

// ingressOf reads an ingress setting; all traffic is the default.
func ingressOf(s string) estate.Ingress {
	if s == "" {
		return estate.IngressAll
	}
	return gcp.ParseIngress(s)
}

func (r *reader) runService(o *object, where estate.Where, _ *yaml.Node) error {
	t := estate.Target{
		Name: estate.Spelled(gcp.ServiceName(o.project(), o.location(), o.id()), ""), Event: estate.No, Ingress: ingressOf(o.Spec.Ingress),
		Check: said(o.Spec.InvokerIAMDisabled, estate.No).Not(), IAP: said(o.Spec.IAPEnabled, estate.No),
		DefaultURL: said(o.Spec.DefaultURIDisabled, estate.No).Not(), Custom: o.Spec.CustomAudiences, CustomOK: true, Where: where,
	}
	r.keep(o, t)
	return nil
}

func (r *reader) gen1Function(o *object, where estate.Where, _ *yaml.Node) error {
	t := estate.Target{
		Name: estate.Spelled(gcp.FunctionName(o.project(), o.location(), o.id()), ""), Gen1: true, Event: o.event(), Check: estate.Yes, IAP: estate.No,
		Ingress: ingressOf(o.Spec.IngressSettings), CustomOK: true, Where: where,
	}
	r.keep(o, t)
	return nil
}

func (r *reader) v2Function(o *object, where estate.Where, _ *yaml.Node) error {
	n := gcp.FunctionName(o.project(), o.location(), o.id())
	service, _ := n.Service()
	t := estate.Target{
		Name: estate.Spelled(service, ""), Function: estate.Spelled(n, ""), Event: o.event(), Check: estate.Yes, IAP: estate.No, DefaultURL: estate.Yes,
		Ingress: ingressOf(o.Spec.ServiceConfig.IngressSettings), CustomOK: true, Where: where,
	}
	r.keep(o, t)
	return nil
}

// event reports whether an event source calls a function.
func (o *object) event() estate.Truth {
	return estate.TruthOf(len(o.Spec.EventTrigger) > 0 && string(o.Spec.EventTrigger) != "null")
}

// keep keeps a target, to be found by references to its object.
func (r *reader) keep(o *object, t estate.Target) {
	if r.objects == nil {
		r.objects = map[string]estate.Target{}
	}
	r.objects[o.Kind+" "+o.Metadata.Namespace+"/"+o.Metadata.Name] = t
	r.After.Targets = append(r.After.Targets, t)
}

// A refPolicy is a policy whose resource a reference names.
type refPolicy struct {
	of     reference
	home   string // the namespace that a reference without one is in
	owner  *object
	policy estate.Policy
}

func (r *reader) connectorMember(o *object, where estate.Where, _ *yaml.Node) error {
	b := estate.Binding{Role: o.Spec.Role, Condition: o.Spec.Condition.expr(), Authority: estate.MemberAuthority, Where: where}
	switch {
	case o.Spec.Member != "":
		b.Members = []string{o.Spec.Member}
	case o.Spec.MemberFrom != nil:
		b.Open, b.NotAnyone = "the member is that of another object", true
	default:
		return fmt.Errorf("is an %s without member", o.Kind)
	}
	if b.Role == "" {
		return fmt.Errorf("is an %s without role", o.Kind)
	}
	r.refer(o, []estate.Binding{b}, where)
	return nil
}

func (r *reader) connectorPolicy(a estate.Authority) connectorReader {
	return func(o *object, where estate.Where, node *yaml.Node) error {
		var out []estate.Binding
		lines := bindingLines(yamldoc.Field(node, "spec"))
		for i, x := range o.Spec.Bindings {
			b := estate.Binding{Role: x.Role, Condition: x.Condition.expr(), Authority: a, Where: where}
			if i < len(lines) {
				b.Where.Line = lines[i]
			}
			for _, raw := range x.Members {
				if m := memberOf(raw); m != "" {
					b.Members = append(b.Members, m)
				} else {
					b.Open, b.NotAnyone = "a member is that of another object", true
				}
			}
			out = append(out, b)
		}
		r.refer(o, out, where)
		return nil
	}
}

// memberOf reads a member, written as a text or as an object.
func memberOf(raw json.RawMessage) string {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text
	}
	var in struct{ Member string }
	if json.Unmarshal(raw, &in) == nil {
		return in.Member
	}
	return ""
}

func (r *reader) refer(o *object, bindings []estate.Binding, where estate.Where) {
	p := estate.Policy{Bindings: bindings, Where: where, Partial: "only what Config Connector manages here is known of the policy"}
	if o.Kind == "IAMPolicy" {
		p.Partial = ""
	}
	r.refs = append(r.refs, refPolicy{o.Spec.ResourceRef, cmp.Or(o.Spec.ResourceRef.Namespace, o.Metadata.Namespace), o, p})
}

// bindReferences finds the resource of each policy that refers to one. What is
// none of a service, function, project, folder or organization is left out:
// nothing on it lets anyone invoke.
func (r *reader) bindReferences() {
	for _, p := range r.refs {
		if p.policy.Resource = r.referred(p); p.policy.Resource == "" {
			continue
		}
		p.policy.V2Function = p.of.Kind == "CloudFunctions2Function"
		r.After.Policies = append(r.After.Policies, p.policy)
	}
}

func (r *reader) referred(p refPolicy) string {
	id := cmp.Or(gcp.Last(p.of.External), p.of.Name)
	full, named := gcp.ParseName(p.of.External)
	whole := named && full.Project != "" && full.Location != ""
	t, here := r.objects[p.of.Kind+" "+p.home+"/"+p.of.Name]
	switch p.of.Kind {
	case "RunService":
		switch {
		case here && p.of.External == "":
			return t.Name
		case whole:
			return estate.Spelled(gcp.ServiceName(full.Project, full.Location, full.ID), "")
		}
		return estate.Spelled(gcp.ServiceName(p.owner.project(), "", id), "")
	case "CloudFunctionsFunction", "CloudFunctions2Function":
		switch {
		case here && p.of.External == "":
			return cmp.Or(t.Function, t.Name)
		case whole:
			return estate.Spelled(gcp.FunctionName(full.Project, full.Location, full.ID), "")
		}
		return estate.Spelled(gcp.FunctionName(p.owner.project(), "", id), "")
	case "Project":
		return estate.Spelled(gcp.ProjectName(cmp.Or(id, p.owner.project())), "")
	case "Folder":
		return estate.Spelled(gcp.NodeName("folders", id), "")
	case "Organization":
		return estate.Spelled(gcp.NodeName("organizations", id), "")
	}
	return ""
}
