package script

import (
	"cmp"
	"path/filepath"
	"slices"
	"strings"

	"google.golang.org/genproto/googleapis/type/expr"

	"diagnose/internal/estate"
	"diagnose/internal/gcp"
)

// effects are what the commands of one file leave behind, in their order.
type effects struct {
	file   string
	config map[string]string // what "gcloud config set" said
	found  bool
	order  []string // names of targets
	at     map[string]*estate.Target
	rest   []estate.Policy
	unread []estate.Unread
}

func newEffects(file string) *effects {
	return &effects{file: file, config: map[string]string{}, at: map[string]*estate.Target{}}
}

// estate is everything of the file, or ErrNothing.
func (e *effects) estate() (*estate.Estate, error) {
	if !e.found {
		return nil, ErrNothing
	}
	out := &estate.Estate{Policies: e.rest, Unread: e.unread}
	for _, name := range e.order {
		out.Targets = append(out.Targets, *e.at[name])
	}
	return out, nil
}

func (e *effects) where(line int) estate.Where { return estate.Where{File: e.file, Line: line} }

// configure keeps a default of gcloud.
func (e *effects) configure(in *invocation) {
	if len(in.args) == 2 && in.maybe == "" {
		e.config[in.args[0].value()] = in.args[1].value()
	}
}

func (e *effects) project(in *invocation) string {
	if p, ok := in.flags["project"]; ok {
		return p.value()
	}
	return cmp.Or(e.config["project"], e.config["core/project"])
}

func (e *effects) region(in *invocation, group string) string {
	for _, flag := range []string{"region", "location"} {
		if r, ok := in.flags[flag]; ok {
			if strings.Contains(r.value(), ",") {
				return ""
			}
			return r.value()
		}
	}
	return e.config[group+"/region"]
}

// service names the service of a command.
func (e *effects) service(in *invocation) (gcp.Name, string) {
	id, apart := e.argument(in)
	return gcp.ServiceName(e.project(in), e.region(in, "run"), id), apart
}

func (e *effects) function(in *invocation) (gcp.Name, string) {
	id, apart := e.argument(in)
	return gcp.FunctionName(e.project(in), e.region(in, "functions"), id), apart
}

// argument is the first argument of a command, and how it stands there where
// it is not known.
func (e *effects) argument(in *invocation) (id, apart string) {
	if len(in.args) == 0 {
		return "", "the one of " + filepath.Base(e.file)
	}
	v := in.args[0].value()
	if full, ok := gcp.ParseName(v); ok {
		v = full.ID
	}
	return v, strings.ReplaceAll(in.args[0].shown(), "/", "|")
}

// target is the target with a name, made on first use. Nothing but its name is
// known of it until a command says more.
func (e *effects) target(name string, line int) *estate.Target {
	e.found = true
	t := e.at[name]
	if t == nil {
		t = &estate.Target{Name: name, Event: estate.No, Bare: true, Where: e.where(line)}
		e.at[name] = t
		e.order = append(e.order, name)
	}
	return t
}

// deployService is "run deploy" and "run services update".
func (e *effects) deployService(in *invocation) {
	in.maybeFlags(1)
	if p := in.flags["platform"].text; p == "gke" || p == "kubernetes" {
		return
	}
	n, apart := e.service(in)
	name := estate.Spelled(n, apart)
	t := e.target(name, in.words[0].line)
	e.openFlags(in, t.Name)
	e.setting(in, t, "ingress", func(w word) { t.Ingress = gcp.ParseIngress(w.value()) })
	for _, s := range []struct {
		flag string
		of   *estate.Truth
		to   estate.Truth
	}{
		{"iap", &t.IAP, estate.Yes}, {"no-iap", &t.IAP, estate.No}, {"default-url", &t.DefaultURL, estate.Yes},
		{"no-default-url", &t.DefaultURL, estate.No}, {"public", &t.IAP, estate.No}, {"invoker-iam-check", &t.Check, estate.Yes},
		{"no-invoker-iam-check", &t.Check, estate.No}, {"public", &t.Check, estate.No},
	} {
		if in.has(s.flag) {
			e.setting(in, t, s.flag, func(word) { *s.of = s.to })
		}
	}
	e.anyone(in, name, "roles/run.invoker", false)
}

// setting takes what a flag sets; where the command may not run, that is not
// known.
func (e *effects) setting(in *invocation, t *estate.Target, flag string, set func(word)) {
	w, ok := in.flags[flag]
	switch {
	case !ok:
	case in.maybe != "" || !w.known():
		reason := cmp.Or(in.maybe, w.shown()+" is not known")
		e.open("whether --"+flag+" counts for "+label(t.Name), reason, in.at[flag])
	default:
		set(w)
		t.Where.Line = in.at[flag]
	}
}

// openFlags lists what may be flags that nothing tells.
func (e *effects) openFlags(in *invocation, name string) {
	for _, w := range in.open {
		e.open("the flags of gcloud "+strings.Join(in.group, " ")+" for "+label(name), w.shown()+" is not known", w.line)
	}
}

func (e *effects) open(what, reason string, line int) {
	e.unread = append(e.unread, estate.Unread{What: what, Reason: reason, Where: e.where(line)})
}

// label names a resource in a sentence: "services/web", or as it is written.
func label(full string) string {
	parts := strings.Split(full, "/")
	if rest, ok := strings.CutPrefix(parts[len(parts)-1], "-"); ok {
		return rest
	}
	return strings.Join(parts[max(0, len(parts)-2):], "/")
}

// anyone takes --allow-unauthenticated and its opposite.
func (e *effects) anyone(in *invocation, name, role string, function bool) {
	b := estate.Binding{Role: role, Members: []string{"allUsers"}, Maybe: in.maybe, Authority: estate.MemberAuthority}
	switch w := in.flags["allow-unauthenticated"]; {
	case in.has("no-allow-unauthenticated"):
		e.unbind(name, role, "allUsers", in)
	case in.has("allow-unauthenticated") && w.known():
		e.bind(name, b, in.at["allow-unauthenticated"], function)
	case in.has("allow-unauthenticated"):
		b.Maybe = "only if " + w.shown() + " is true"
		e.bind(name, b, in.at["allow-unauthenticated"], function)
	}
}

// deployFunction is "functions deploy": of the second generation unless the
// command says otherwise.
func (e *effects) deployFunction(in *invocation) {
	in.maybeFlags(1)
	n, apart := e.function(in)
	function, first := estate.Spelled(n, apart), in.has("no-gen2")
	name, role := function, "roles/cloudfunctions.invoker"
	if !first {
		s, _ := n.Service()
		name, role = estate.Spelled(s, apart), "roles/run.invoker"
	}
	t := e.target(name, in.words[0].line)
	if t.Gen1 = first; first {
		t.Check, t.IAP = estate.Yes, estate.No
	} else {
		t.Function, t.DefaultURL = function, estate.Yes
	}
	for flag := range in.flags {
		if strings.HasPrefix(flag, "trigger-") && flag != "trigger-http" && flag != "trigger-location" {
			t.Event = estate.Yes
		}
	}
	e.openFlags(in, name)
	e.setting(in, t, "ingress-settings", func(w word) { t.Ingress = gcp.ParseIngress(w.value()) })
	e.anyone(in, name, role, false)
}

// bind adds a binding on a resource.
func (e *effects) bind(on string, b estate.Binding, line int, v2 bool) {
	e.found = true
	b.Where = e.where(line)
	e.rest = append(e.rest, estate.Policy{
		Resource: on, Bindings: []estate.Binding{b}, Where: b.Where, V2Function: v2,
		Partial: "only what the commands grant is known of the policy",
	})
}

// unbind takes away what an earlier command of the file has granted.
func (e *effects) unbind(on, role, member string, in *invocation) {
	e.found = true
	if in.maybe != "" || member == "" || role == "" {
		return
	}
	e.rest = slices.DeleteFunc(e.rest, func(p estate.Policy) bool {
		b := p.Bindings[0]
		return p.Resource == on && b.Role == role && slices.Equal(b.Members, []string{member}) && b.Condition == nil
	})
}

// binding is that of an add-iam-policy-binding command.
func (e *effects) binding(in *invocation, role string) estate.Binding {
	b := estate.Binding{Role: role, Maybe: in.maybe, Authority: estate.MemberAuthority, Condition: conditionOf(in)}
	if w, ok := in.flags["role"]; ok && role == "" {
		if b.Role = w.value(); !w.known() {
			b.Role, b.Open = "", w.shown()+" is not known"
		}
	}
	switch w := in.flags["member"]; {
	case w.known():
		b.Members = []string{w.text}
	default:
		b.Open = cmp.Or(b.Open, w.shown()+" is not known")
		b.NotAnyone = strings.Contains(strings.TrimLeft(w.text, usually), ":") && !strings.HasPrefix(strings.TrimLeft(w.text, usually), mark)
	}
	if _, ok := in.flags["condition-from-file"]; ok && b.Maybe == "" {
		b.Maybe = "only under the condition of a file"
	}
	return b
}

// conditionOf reads --condition, "" and None for none:
// https://docs.cloud.google.com/sdk/gcloud/reference/projects/add-iam-policy-binding
func conditionOf(in *invocation) *expr.Expr {
	text := in.flags["condition"].value()
	_, text, ok := strings.Cut(text, "expression=")
	if !ok {
		return nil
	}
	for _, next := range []string{",title=", ",description="} {
		text, _, _ = strings.Cut(text, next)
	}
	return &expr.Expr{Expression: text}
}

func (e *effects) bindService(in *invocation) {
	in.maybeFlags(1)
	n, apart := e.service(in)
	name := estate.Spelled(n, apart)
	e.target(name, in.words[0].line)
	e.bind(name, e.binding(in, ""), lineOf(in), false)
}

func (e *effects) unbindService(in *invocation) {
	n, apart := e.service(in)
	e.unbind(estate.Spelled(n, apart), in.flags["role"].value(), in.flags["member"].value(), in)
}

// lineOf is the line of the member that a command grants.
func lineOf(in *invocation) int { return cmp.Or(in.at["member"], in.words[0].line) }

// bindFunction binds on a function. Where the file deploys it as one of the
// second generation, and by default, that counts for nothing.
func (e *effects) bindFunction(in *invocation) {
	in.maybeFlags(1)
	n, apart := e.function(in)
	name := estate.Spelled(n, apart)
	s, _ := n.Service()
	e.bind(name, e.binding(in, ""), lineOf(in), e.at[estate.Spelled(s, apart)] != nil)
}

func (e *effects) unbindFunction(in *invocation) {
	n, apart := e.function(in)
	e.unbind(estate.Spelled(n, apart), in.flags["role"].value(), in.flags["member"].value(), in)
}

// bindInvoker grants the invocation of a function of either generation.
func (e *effects) bindInvoker(in *invocation) {
	in.maybeFlags(1)
	name, role := e.invoked(in)
	e.target(name, in.words[0].line)
	e.bind(name, e.binding(in, role), lineOf(in), false)
}

func (e *effects) unbindInvoker(in *invocation) {
	name, role := e.invoked(in)
	e.unbind(name, role, in.flags["member"].value(), in)
}

// invoked is what add-invoker-policy-binding grants on: a gen1 function that
// the file deploys as such, else the service of the function.
func (e *effects) invoked(in *invocation) (name, role string) {
	n, apart := e.function(in)
	if t := e.at[estate.Spelled(n, apart)]; t != nil && t.Gen1 {
		return t.Name, "roles/cloudfunctions.invoker"
	}
	s, _ := n.Service()
	return estate.Spelled(s, apart), "roles/run.invoker"
}

func (e *effects) bindNode(in *invocation) {
	in.maybeFlags(1)
	b := e.binding(in, "")
	id, apart := e.argument(in)
	collection := in.group[len(in.group)-2]
	n := gcp.NodeName(collection, id)
	e.bind(estate.Spelled(n, apart), b, lineOf(in), false)
}

func (e *effects) bindIAP(in *invocation) {
	if w := in.flags["resource-type"]; w.value() != "cloud-run" || in.flags["service"].text == "" {
		return
	}
	s := gcp.ServiceName(e.project(in), e.region(in, "run"), in.flags["service"].value())
	n, _ := s.IAP()
	e.bind(estate.Spelled(n, in.flags["service"].shown()), e.binding(in, ""), lineOf(in), false)
}

// setPolicy replaces a policy by a file, which may say anything.
func (e *effects) setPolicy(in *invocation) {
	e.found = true
	in.maybeFlags(2)
	what, file := "a resource", "a file"
	if len(in.args) > 0 {
		what = in.args[0].shown()
	}
	if len(in.args) > 1 {
		file = in.args[1].shown()
	}
	e.open("who may invoke "+what, "gcloud "+strings.Join(in.group, " ")+" takes the policy from "+file, in.words[0].line)
}
