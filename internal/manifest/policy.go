package manifest

import (
	"fmt"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"

	"diagnose/internal/estate"
	"diagnose/internal/evidence"
	"diagnose/internal/gcp"
	"diagnose/internal/yamldoc"
)

// A looseFile is a policy document, which does not name its resource.
type looseFile struct {
	file     string
	bindings []estate.Binding
}

// policy reads an allow policy, whose resource is found when all is read.
func (r *reader) policy(name string, d document) error {
	p, err := evidence.AllowPolicy(d.json)
	if err != nil {
		return err
	}
	lines := bindingLines(d.node)
	l := looseFile{file: name}
	for i, b := range p.GetBindings() {
		at := estate.Where{File: name, Line: d.line}
		if i < len(lines) {
			at.Line = lines[i]
		}
		l.bindings = append(l.bindings, estate.Binding{Role: b.GetRole(), Members: b.GetMembers(), Condition: b.GetCondition(), Where: at})
	}
	r.policies = append(r.policies, l)
	return nil
}

// bindingLines are the lines of the bindings of a policy.
func bindingLines(n *yaml.Node) []int {
	bindings := yamldoc.Field(n, "bindings")
	if bindings == nil {
		return nil
	}
	var out []int
	for _, b := range bindings.Content {
		out = append(out, b.Line)
	}
	return out
}

// fullName completes the name of a service, function, project, folder or
// organization. A short name is that of a service.
func fullName(name string) (string, error) {
	if name == "" {
		return "", nil
	}
	n, ok := gcp.ParseName(name)
	if ok && n.Collection == "" {
		n = gcp.ServiceName("", "", n.ID)
	}
	if full := estate.Spelled(n, ""); ok && n.ID != "" && full != "" {
		return full, nil
	}
	return "", fmt.Errorf("%q names no resource that has a policy here; expected a service's name, "+
		"projects/P/locations/L/services/S, projects/P/locations/L/functions/F, projects/P, folders/N or organizations/N", name)
}

// bindPolicies finds the resource of each policy file: the service or function
// whose name the file's name starts with, or else the only one in its folder,
// or of all. A policy for which nothing tells is judged as that of a service
// of its own, and listed as such: who hands a public one to a gate wants to
// know.
func (r *reader) bindPolicies() {
	for _, p := range r.policies {
		on := r.target
		if on == "" {
			on = r.resourceOf(p.file)
		}
		if on == "" {
			on = estate.Spelled(gcp.ServiceName("", "", ""), filepath.Base(p.file))
			if strings.Contains(filepath.Base(p.file), "function") {
				on = estate.Spelled(gcp.FunctionName("", "", ""), filepath.Base(p.file))
			}
			r.After.Unread = append(r.After.Unread, estate.Unread{What: "the resource of the policy in " + p.file, Where: estate.Where{File: p.file},
				Reason: "it is judged as that of a service: give --target, name the file SERVICE-policy.json, or put it into a folder with that one service"})
		}
		r.After.Policies = append(r.After.Policies, estate.Policy{Resource: on, Bindings: p.bindings, Where: estate.Where{File: p.file}})
	}
}

func (r *reader) resourceOf(file string) string {
	base := strings.TrimSuffix(filepath.Base(file), filepath.Ext(file))
	ofFunction := strings.Contains(base, "function-policy") || strings.Contains(base, "function.policy")
	var named, near []estate.Target
	for _, t := range r.After.Targets {
		id := gcp.Last(t.Name)
		for _, end := range []string{"-policy", ".policy", "_policy", "-iam", ".iam", "-iam-policy", ".iam-policy", "-function-policy"} {
			if base == id+end {
				named = append(named, t)
			}
		}
		if filepath.Dir(t.Where.File) == filepath.Dir(file) {
			near = append(near, t)
		}
	}
	if len(named) == 0 {
		named = near
	}
	if len(named) == 0 {
		named = r.After.Targets
	}
	if len(named) == 2 && named[0].Name == named[1].Name {
		named = named[:1] // a function and its service
	}
	if len(named) != 1 {
		return ""
	}
	if ofFunction && r.function(named[0].Name) != "" {
		return r.function(named[0].Name)
	}
	return named[0].Name
}

// function is the v2 function in front of a service, "" where none is known.
func (r *reader) function(service string) string {
	for _, t := range r.After.Targets {
		if t.Name == service && t.Function != "" {
			return t.Function
		}
	}
	return ""
}
