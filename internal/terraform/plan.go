package terraform

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	tfjson "github.com/hashicorp/terraform-json"

	"diagnose/internal/estate"
	"diagnose/internal/evidence"
)

// A Plan is what a plan changes: the estate before it is applied, and after.
type Plan struct {
	Before, After *estate.Estate
	Resources     int // managed resources in the plan
}

// maxPlan bounds the size of a plan, in bytes.
const maxPlan = 256 << 20

// ReadPlan reads what `terraform show -json` prints. name is for errors, and
// for the places of findings.
func ReadPlan(data []byte, name string) (Plan, error) {
	switch {
	case bytes.HasPrefix(data, []byte("PK\x03\x04")):
		return Plan{}, fmt.Errorf("%s: is a plan in binary form; convert it with: terraform show -json %s > plan.json", name, name)
	case len(data) > maxPlan:
		return Plan{}, fmt.Errorf("%s: is larger than %d MB", name, maxPlan>>20)
	}
	var version struct {
		FormatVersion *string             `json:"format_version"`
		Errored       bool                `json:"errored"`
		Values        *tfjson.StateValues `json:"values"`
	}
	if err := json.Unmarshal(data, &version); err != nil {
		return Plan{}, fmt.Errorf("%s: %w; expected the output of terraform show -json", name, evidence.JSONError(data, err))
	}
	if version.FormatVersion == nil {
		return Plan{}, fmt.Errorf("%s: has no format_version; expected the output of terraform show -json", name)
	}
	if major, _, _ := strings.Cut(*version.FormatVersion, "."); major != "1" && major != "0" {
		return Plan{}, fmt.Errorf("%s: is a plan of format %s; formats 0.1 to 1.x are read", name, *version.FormatVersion)
	}
	var p tfjson.Plan
	if err := json.Unmarshal(data, &p); err != nil {
		return Plan{}, fmt.Errorf("%s: does not fit a Terraform plan: %s", name, firstLine(err))
	}
	if version.Values != nil && p.PlannedValues == nil && p.ResourceChanges == nil {
		return readState(version.Values, name), nil
	}
	r := newReader(&p, name)
	r.read()
	after := build(r.all, r.gone)
	after.Unread = append(after.Unread, r.unplanned(version.Errored)...)
	return Plan{Before: Build(r.before), After: after, Resources: len(r.all)}, nil
}

// readState takes what there is for what will be: terraform show -json prints
// it where no plan is named.
func readState(values *tfjson.StateValues, name string) Plan {
	r := newReader(&tfjson.Plan{}, name)
	r.addState(values.RootModule, false)
	e := Build(r.all)
	return Plan{Before: e, After: e, Resources: len(r.all)}
}

// unplanned says what a plan leaves out.
func (r *reader) unplanned(errored bool) []estate.Unread {
	at := estate.Where{File: r.file}
	switch {
	case errored:
		return []estate.Unread{{What: "what " + r.file + " does not plan", Reason: "terraform plan failed, so the plan is incomplete", Where: at}}
	case len(r.plan.DeferredChanges) > 0:
		return []estate.Unread{{What: "what " + r.file + " does not plan", Reason: "Terraform defers some changes to a later plan", Where: at}}
	case r.plan.Complete != nil && !*r.plan.Complete:
		return []estate.Unread{{What: "what " + r.file + " does not plan", Reason: "the plan is of a part of the configuration alone, as with -target", Where: at}}
	}
	return nil
}

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

// reader turns a plan into resources.
type reader struct {
	plan     *tfjson.Plan
	file     string
	config   map[string]*tfjson.ConfigResource // by module path and address in it
	modules  map[string]*module                // by path, "" for the root
	keys     map[string]*keys                  // of what there will be, by address without the last key
	all      []*Resource
	data     []*Resource
	before   []*Resource
	deferred string      // why the changes that are being read may not be made
	gone     []*Resource // what is destroyed, or replaced, as it was

	byAddress map[string]*Resource // what there will be
}

func newReader(p *tfjson.Plan, file string) *reader {
	return &reader{plan: p, file: file, config: map[string]*tfjson.ConfigResource{}, modules: map[string]*module{},
		keys: map[string]*keys{}, byAddress: map[string]*Resource{}}
}

// A module is one in the configuration, and how it is called.
type module struct {
	path   string // "module.a.module.b", without indexes
	config *tfjson.ConfigModule
	call   *tfjson.ModuleCall // nil for the root
	parent *module
}

func (r *reader) read() {
	if r.plan.Config != nil && r.plan.Config.RootModule != nil {
		r.addModule(&module{config: r.plan.Config.RootModule})
	}
	for _, c := range r.plan.ResourceChanges {
		r.addChange(c)
	}
	for _, d := range r.plan.DeferredChanges {
		if d != nil && d.ResourceChange != nil {
			r.deferred = "only in a later plan, since Terraform defers it"
			r.addChange(d.ResourceChange)
		}
	}
	r.deferred = ""
	if len(r.plan.ResourceChanges) == 0 && r.plan.PlannedValues != nil {
		r.addState(r.plan.PlannedValues.RootModule, false)
	}
	if r.plan.PriorState != nil && r.plan.PriorState.Values != nil {
		r.addState(r.plan.PriorState.Values.RootModule, true)
	}
	r.readProviders()
	for _, x := range r.data {
		r.resolve(x) // first: policies refer to them
	}
	for _, x := range r.all {
		r.resolve(x)
	}
}

func (r *reader) addModule(m *module) {
	if strings.Count(m.path, "module.") > 32 {
		return
	}
	r.modules[m.path] = m
	for _, c := range m.config.Resources {
		r.config[join(m.path, c.Address)] = c
	}
	for name, call := range m.config.ModuleCalls {
		if call.Module != nil {
			r.addModule(&module{path: join(m.path, "module."+name), config: call.Module, call: call, parent: m})
		}
	}
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func (r *reader) addChange(c *tfjson.ResourceChange) {
	if c.Change == nil || c.DeposedKey != "" || !strings.HasPrefix(c.Type, "google_") {
		return // what is deposed is left of an earlier replacement
	}
	where := estate.Where{File: r.file, Address: c.Address}
	a, data := c.Change.Actions, c.Mode == tfjson.DataResourceMode
	known, hidden := withoutSensitive(c.Change.Before, nil, c.Change.BeforeSensitive)
	before, existed := known.(map[string]any)
	was := &Resource{Type: c.Type, Name: c.Name, Address: c.Address, Values: before, Unknown: hidden, Where: where}
	if existed && !data && !a.Create() && r.deferred == "" {
		r.before = append(r.before, was)
		if a.Delete() || a.Replace() {
			r.gone = append(r.gone, was)
		}
	}
	known, unknown := withoutSensitive(c.Change.After, c.Change.AfterUnknown, c.Change.AfterSensitive)
	after, ok := known.(map[string]any)
	switch {
	case a.Forget() && existed && !data:
		left := *was // it stays as it is, and nothing manages it any more
		left.Unchanged, left.forgotten = true, true
		r.keep(&left, false)
		return
	case a.Delete() || a.Forget() || !ok:
		return
	}
	x := &Resource{Type: c.Type, Name: c.Name, Address: c.Address, Values: after, Unknown: unknown, Where: where, Said: r.said(c.Address),
		Created: a.Create() || a.Replace(), Replaced: a.Replace(), Unchanged: a.NoOp(), maybe: r.deferred}
	r.keep(x, data)
}

// keep files a resource; a data source serves references alone.
func (r *reader) keep(x *Resource, data bool) {
	r.byAddress[x.Address] = x
	r.note(x.Address)
	if data {
		r.data = append(r.data, x)
	} else {
		r.all = append(r.all, x)
	}
}

// addState adds the resources of a state: all of them where a plan has values
// and no changes, else the data sources, which are read before planning.
func (r *reader) addState(m *tfjson.StateModule, dataOnly bool) {
	if m == nil {
		return
	}
	for _, s := range m.Resources {
		data := s.Mode == tfjson.DataResourceMode
		if !strings.HasPrefix(s.Type, "google_") || dataOnly && !data || data && r.byAddress[s.Address] != nil {
			continue
		}
		values, hidden := withoutSensitive(s.AttributeValues, nil, stateMarks(s))
		known, _ := values.(map[string]any)
		r.keep(&Resource{Type: s.Type, Name: s.Name, Address: s.Address, Values: known, Unknown: hidden, Where: estate.Where{File: r.file, Address: s.Address}}, data)
	}
	for _, child := range m.ChildModules {
		r.addState(child, dataOnly)
	}
}

// stateMarks are the marks of what is sensitive in a state.
func stateMarks(s *tfjson.StateResource) any {
	var out any
	if len(s.SensitiveValues) == 0 || json.Unmarshal(s.SensitiveValues, &out) != nil {
		return nil
	}
	return out
}

// said reports whether the configuration sets an attribute; nil where the plan
// does not hold the configuration of the resource.
func (r *reader) said(address string) func(string) bool {
	c := r.config[withoutIndexes(address)]
	if c == nil {
		return nil
	}
	return func(attribute string) bool { return c.Expressions[attribute] != nil }
}
