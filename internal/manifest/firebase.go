package manifest

import (
	"encoding/json"
	"slices"
	"strings"

	"diagnose/internal/estate"
	"diagnose/internal/gcp"
	"diagnose/internal/yamldoc"
)

// An endpoint is a function of Firebase as its functions.yaml has it:
// https://github.com/firebase/firebase-tools/tree/main/src/deploy/functions.
type endpoint struct {
	ID              string          `json:"id"`
	Platform        string          `json:"platform"`
	Project         string          `json:"project"`
	Region          json.RawMessage `json:"region"`
	IngressSettings string          `json:"ingressSettings"`
	HTTPSTrigger    *struct {
		Invoker json.RawMessage `json:"invoker"`
	} `json:"httpsTrigger"`
	CallableTrigger json.RawMessage `json:"callableTrigger"`
}

// firebase reads Firebase's functions.yaml.
func (r *reader) firebase(name string, d document) (string, error) {
	var in struct {
		SpecVersion string              `json:"specVersion"`
		Endpoints   map[string]endpoint `json:"endpoints"`
	}
	if json.Unmarshal(d.json, &in) != nil || in.SpecVersion == "" || in.Endpoints == nil {
		return "", errForeign
	}
	nodes := yamldoc.Field(d.node, "endpoints")
	for id, f := range in.Endpoints {
		where := estate.Where{File: name, Line: d.line}
		if n := yamldoc.Field(nodes, id); n != nil {
			where.Line = max(n.Line-1, 1)
			if at := yamldoc.Field(yamldoc.Field(n, "httpsTrigger"), "invoker"); at != nil {
				where.Line = at.Line
			}
		}
		for _, region := range f.regions() {
			r.endpoint(gcp.FunctionName(f.Project, region, id), f, where)
		}
	}
	return "Firebase functions.yaml", nil
}

// regions are those of an endpoint; Firebase's default is us-central1.
func (f endpoint) regions() []string {
	if list := texts(f.Region); len(list) > 0 {
		return list
	}
	return []string{"us-central1"}
}

// texts are the elements of a list of texts, or the one text.
func texts(raw json.RawMessage) []string {
	var list []string
	if json.Unmarshal(raw, &list) == nil {
		return list
	}
	var one string
	if json.Unmarshal(raw, &one) == nil && one != "" {
		return []string{one}
	}
	return nil
}

func (r *reader) endpoint(n gcp.Name, f endpoint, where estate.Where) {
	called := f.HTTPSTrigger != nil || len(f.CallableTrigger) > 0
	function := estate.Spelled(n, "")
	t := estate.Target{
		Name: function, Function: function, Event: estate.TruthOf(!called), Check: estate.Yes, IAP: estate.No, Ingress: ingressOf(f.IngressSettings),
		DefaultURL: estate.Yes, CustomOK: true, Where: where,
	}
	b := estate.Binding{Role: "roles/run.invoker", Authority: estate.RoleAuthority, Where: where}
	if t.Gen1 = f.Platform == "gcfv1"; t.Gen1 {
		t.Function, b.Role = "", "roles/cloudfunctions.invoker"
	} else {
		s, _ := n.Service()
		t.Name = estate.Spelled(s, "")
	}
	r.After.Targets = append(r.After.Targets, t)
	if called {
		f.invokers(&b)
		r.After.Policies = append(r.After.Policies, estate.Policy{
			Resource: t.Name, Bindings: []estate.Binding{b}, Where: where, Partial: "only what Firebase sets is known of the policy",
		})
	}
}

// invokers are who may invoke an endpoint. What says nothing is public where
// the deployment creates the function, and stays as it is where it is there.
func (f endpoint) invokers(b *estate.Binding) {
	var list []string
	if f.HTTPSTrigger != nil {
		list = texts(f.HTTPSTrigger.Invoker)
	}
	switch {
	case len(list) == 0:
		b.Members, b.Maybe = []string{"allUsers"}, "if the function is new: Firebase's default"
	case slices.Contains(list, "public"):
		b.Members = []string{"allUsers"}
	default:
		for _, m := range list {
			switch {
			case m == "private":
			case strings.HasSuffix(m, "@"), !strings.Contains(m, "@"):
				b.Open, b.NotAnyone = "the project of "+m+" is not known", true
			default:
				b.Members = append(b.Members, "serviceAccount:"+m)
			}
		}
	}
}
