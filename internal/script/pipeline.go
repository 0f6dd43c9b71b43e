package script

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"diagnose/internal/yamldoc"
)

func text(n *yaml.Node) string {
	if n == nil || n.Kind != yaml.ScalarNode {
		return ""
	}
	return n.Value
}

// items are the elements of a list, or of a mapping without its keys.
func items(n *yaml.Node) []*yaml.Node {
	switch {
	case n == nil:
		return nil
	case n.Kind == yaml.SequenceNode:
		return n.Content
	case n.Kind == yaml.MappingNode:
		var out []*yaml.Node
		for i := 1; i < len(n.Content); i += 2 {
			out = append(out, n.Content[i])
		}
		return out
	}
	return nil
}

// start is the line in which the text of a scalar begins.
func start(n *yaml.Node) int {
	if n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		return n.Line + 1
	}
	return n.Line
}

// environment adds the variables of a mapping to those around it.
func environment(around map[string]string, n *yaml.Node) map[string]string {
	out := map[string]string{}
	for k, v := range around {
		out[k] = v
	}
	if n != nil && n.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(n.Content); i += 2 {
			out[n.Content[i].Value] = actionsText(text(n.Content[i+1]), out)
		}
	}
	return out
}

// known are the variables whose values are.
func known(env map[string]string) map[string]string {
	out := map[string]string{}
	for k, v := range env {
		if !strings.Contains(v, mark) {
			out[k] = v
		}
	}
	return out
}

// A workflow of GitHub Actions:
// https://docs.github.com/actions/reference/workflow-syntax-for-github-actions
func workflow(in *effects, doc *yaml.Node) bool {
	env := environment(nil, yamldoc.Field(doc, "env"))
	is := false
	for _, job := range items(yamldoc.Field(doc, "jobs")) {
		steps := yamldoc.Field(job, "steps")
		is = is || steps != nil || yamldoc.Field(job, "uses") != nil
		maybe := ""
		if depends(yamldoc.Field(job, "if")) {
			maybe = "only if its job runs"
		}
		in.steps(items(steps), environment(env, yamldoc.Field(job, "env")), maybe)
	}
	return is
}

// An action made of steps.
func action(in *effects, doc *yaml.Node) bool {
	steps := yamldoc.Field(yamldoc.Field(doc, "runs"), "steps")
	in.steps(items(steps), nil, "")
	return steps != nil
}

func (e *effects) steps(list []*yaml.Node, env map[string]string, maybe string) {
	for _, s := range list {
		all := environment(env, yamldoc.Field(s, "env"))
		why := maybe
		if depends(yamldoc.Field(s, "if")) {
			why = "only if its step runs"
		}
		run, uses := yamldoc.Field(s, "run"), text(yamldoc.Field(s, "uses"))
		name, _, _ := strings.Cut(uses, "@")
		switch {
		case run != nil:
			e.script(run, all, why)
		case name == "google-github-actions/deploy-cloudrun":
			e.deployAction(yamldoc.Field(s, "with"), all, why)
		}
	}
}

// depends reports whether a condition asks for more than on what, and after
// what, the workflow runs.
func depends(condition *yaml.Node) bool {
	rest := plainCondition.ReplaceAllString(text(condition), "")
	return strings.ContainsAny(rest, "abcdefghijklmnopqrstuvwxyz")
}

var plainCondition = regexp.MustCompile(`'[^']*'|\b(github|needs)\.[\w.*-]+|\b(always|success|failure|cancelled|startsWith|contains|endsWith)\(|\b(true|format)\b`)

// script reads the text of a step.
func (e *effects) script(n *yaml.Node, env map[string]string, maybe string) {
	if !Mentions([]byte(text(n))) {
		return
	}
	w := &walk{in: e, vars: newVariables(known(env)), first: start(n), inside: maybe}
	if err := w.run(actionsText(text(n), env)); err != nil {
		e.found = true
		e.open("a script that speaks of gcloud", err.Error(), n.Line)
	}
}

var (
	actionsRef = regexp.MustCompile(`\$\{\{(.*?)\}\}`)
	// plainExpression can stand in a shell's word.
	plainExpression = regexp.MustCompile(`^[\w.-]+$`)
	actionsEnv      = regexp.MustCompile(`^env\.([A-Za-z_]\w*)$`)
)

// actionsText replaces ${{ … }} by what is known of it.
func actionsText(s string, env map[string]string) string {
	return actionsRef.ReplaceAllStringFunc(s, func(ref string) string {
		inner := strings.TrimSpace(actionsRef.FindStringSubmatch(ref)[1])
		if m := actionsEnv.FindStringSubmatch(inner); m != nil {
			if v, ok := env[m[1]]; ok {
				return v
			}
		}
		if !plainExpression.MatchString(inner) {
			inner = "…"
		}
		return unknown(inner)
	})
}

// deployAction is Google's action that deploys a service:
// https://github.com/google-github-actions/deploy-cloudrun
func (e *effects) deployAction(with *yaml.Node, env map[string]string, maybe string) {
	service := yamldoc.Field(with, "service")
	if service == nil || yamldoc.Field(with, "job") != nil {
		return
	}
	line := service.Line
	words := []word{{"gcloud", line}, {"run", line}, {"deploy", line}, {actionsText(service.Value, env), line}}
	for key, flag := range map[string]string{"region": "--region=", "project_id": "--project="} {
		if n := yamldoc.Field(with, key); text(n) != "" {
			words = append(words, word{flag + actionsText(n.Value, env), n.Line})
		}
	}
	if flags := yamldoc.Field(with, "flags"); text(flags) != "" {
		for i, l := range strings.Split(flags.Value, "\n") {
			for _, f := range strings.Fields(actionsText(l, env)) {
				words = append(words, word{strings.Trim(f, `"'`), start(flags) + i})
			}
		}
	}
	e.do(command{words, maybe})
}

// cloudBuild reads a pipeline of Cloud Build:
// https://docs.cloud.google.com/build/docs/build-config-file-schema
func cloudBuild(in *effects, doc *yaml.Node) bool {
	env := map[string]string{}
	if s := yamldoc.Field(doc, "substitutions"); s != nil && s.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(s.Content); i += 2 {
			env[s.Content[i].Value] = s.Content[i+1].Value
		}
	}
	is := false
	for _, s := range items(yamldoc.Field(doc, "steps")) {
		image := text(yamldoc.Field(s, "name"))
		is = is || image != "" && (yamldoc.Field(s, "args") != nil || yamldoc.Field(s, "script") != nil || yamldoc.Field(s, "entrypoint") != nil)
		if script := yamldoc.Field(s, "script"); script != nil {
			in.substituted(script, env)
			continue
		}
		in.buildStep(s, image, env)
	}
	return is
}

// buildStep reads the arguments of a step: those of gcloud, or a shell's.
func (e *effects) buildStep(s *yaml.Node, image string, env map[string]string) {
	entry := filepath.Base(text(yamldoc.Field(s, "entrypoint")))
	args := items(yamldoc.Field(s, "args"))
	switch {
	case entry == "gcloud", entry == "." && filepath.Base(strings.SplitN(image, ":", 2)[0]) == "gcloud":
		words := []word{{"gcloud", s.Line}}
		for _, a := range args {
			words = append(words, word{substitute(text(a), env), start(a)})
		}
		if len(args) > 0 {
			words[0].line = args[0].Line
		}
		e.do(command{words, ""})
	case isShell(entry):
		for i, a := range args {
			if i > 0 && strings.HasPrefix(text(args[i-1]), "-") && strings.HasSuffix(text(args[i-1]), "c") {
				e.substituted(a, env)
				return
			}
		}
	}
}

var substitution = regexp.MustCompile(`\$\$|\$\{?([A-Z_][A-Z0-9_]*)\}?`)

// substitute replaces the substitutions of Cloud Build: a trigger may give
// another value than the file.
func substitute(s string, env map[string]string) string {
	return substitution.ReplaceAllStringFunc(s, func(ref string) string {
		name := strings.Trim(ref, "${}")
		if ref == "$$" {
			return "$"
		}
		if v, ok := env[name]; ok {
			return usually + v
		}
		return unknown(name)
	})
}

// substituted reads the script of a step, whose substitutions come first.
func (e *effects) substituted(n *yaml.Node, env map[string]string) {
	if !Mentions([]byte(text(n))) {
		return
	}
	s := substitution.ReplaceAllStringFunc(text(n), func(ref string) string {
		name := strings.Trim(ref, "${}")
		_, ok := env[name]
		switch {
		case ref == "$$":
			return "$"
		case ok || strings.HasPrefix(name, "_") || slices.Contains(builtin, name):
			return substitute(ref, env)
		}
		return ref // a variable of the shell
	})
	if err := (&walk{in: e, vars: newVariables(nil), first: start(n)}).run(s); err != nil {
		e.found = true
		e.open("a script that speaks of gcloud", err.Error(), n.Line)
	}
}

// builtin are the substitutions that Cloud Build makes itself.
var builtin = []string{
	"PROJECT_ID", "PROJECT_NUMBER", "BUILD_ID", "LOCATION", "TRIGGER_NAME", "COMMIT_SHA", "REVISION_ID", "SHORT_SHA", "REPO_NAME",
	"REPO_FULL_NAME", "BRANCH_NAME", "TAG_NAME", "REF_NAME",
}

// packageScripts reads the scripts of a package.json of npm.
func packageScripts(in *effects, doc *yaml.Node) {
	for _, s := range items(yamldoc.Field(doc, "scripts")) {
		if Mentions([]byte(text(s))) {
			_ = in.shell(s.Value, s.Line, newVariables(nil)) // a broken line is none of gcloud's
		}
	}
}

// gitlab reads the scripts of the jobs of GitLab:
// https://docs.gitlab.com/ci/yaml/#script
func gitlab(in *effects, doc *yaml.Node) {
	env := environment(nil, yamldoc.Field(doc, "variables"))
	for _, job := range items(doc) {
		all := environment(env, yamldoc.Field(job, "variables"))
		vars := newVariables(known(all))
		for _, key := range []string{"before_script", "script", "after_script"} {
			lines := items(yamldoc.Field(job, key))
			if one := yamldoc.Field(job, key); text(one) != "" {
				lines = []*yaml.Node{one}
			}
			for _, l := range lines {
				if l.Kind == yaml.ScalarNode {
					_ = (&walk{in: in, vars: vars, first: start(l)}).run(l.Value) // a broken line is none of gcloud's
				}
			}
		}
	}
}
