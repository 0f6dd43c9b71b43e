package script

import (
	"path/filepath"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/syntax"
)

// fields expands words as a shell does, without its quotes and split where it
// splits. What is not known stays marked.
func (w *walk) fields(list []*syntax.Word) []word {
	cfg := &expand.Config{Env: w.vars}
	var out []word
	for _, one := range list {
		line := w.line(one)
		fields, err := expand.Fields(cfg, &syntax.Word{Parts: w.settled(one.Parts)})
		if err != nil {
			out = append(out, word{unknown("…"), line})
			continue
		}
		for _, f := range fields {
			out = append(out, word{f, line})
		}
	}
	return out
}

// settled replaces what a shell that runs would have to tell by marks.
func (w *walk) settled(list []syntax.WordPart) []syntax.WordPart {
	out := slices.Clone(list)
	for i, p := range out {
		switch p := p.(type) {
		case *syntax.DblQuoted:
			out[i] = &syntax.DblQuoted{Dollar: p.Dollar, Parts: w.settled(p.Parts)}
		case *syntax.ParamExp:
			out[i] = w.parameter(p)
		case *syntax.CmdSubst:
			out[i] = &syntax.Lit{Value: unknown("$(…)")}
		case *syntax.ArithmExp, *syntax.ProcSubst, *syntax.ExtGlob:
			out[i] = &syntax.Lit{Value: unknown("…")}
		}
	}
	return out
}

// parameter is a variable as it stands, or what is known in its place: a
// default, where nothing in the script sets it.
func (w *walk) parameter(p *syntax.ParamExp) syntax.WordPart {
	if p.Param == nil {
		return &syntax.Lit{Value: unknown("…")}
	}
	name := p.Param.Value
	if v := w.vars.values[name]; v.Set {
		return p
	}
	if e := p.Exp; e != nil && e.Word != nil && !w.vars.open[name] {
		switch e.Op {
		case syntax.DefaultUnset, syntax.DefaultUnsetOrNull, syntax.AssignUnset, syntax.AssignUnsetOrNull:
			text := ""
			for _, f := range w.fields([]*syntax.Word{e.Word}) {
				text = strings.TrimPrefix(text+" "+f.text, " ")
			}
			return &syntax.Lit{Value: usually + strings.ReplaceAll(text, usually, "")}
		}
	}
	return &syntax.Lit{Value: unknown(name)}
}

// wrappers run the command behind them, after some options and arguments.
var wrappers = map[string]int{
	"sudo": 0, "time": 0, "exec": 0, "command": 0, "nohup": 0, "env": 0, "nice": 0, "ionice": 0, "timeout": 1, "stdbuf": 0, "xvfb-run": 0,
}

// silent are commands whose arguments are no commands.
var silent = []string{
	"echo", "printf", "print", "cat", "grep", "egrep", "log", "info", "warn", "error", "die", "which", "type", "test", "[", "[[", "hash",
	"apt-get", "apt", "apk", "yum", "dnf", "brew", "pip", "npm", "sed", "awk", "alias", "man", "read", "export", "cd", "ls", "rm", "trap", ":",
}

// unwrap finds the command that another one runs. maybe says that it takes the
// word of one that is not known here.
func unwrap(words []word) (inner []word, maybe string) {
	for len(words) > 1 {
		skip, ok := wrappers[filepath.Base(words[0].text)]
		if !ok {
			break
		}
		words = words[1:]
		for len(words) > 1 && (strings.HasPrefix(words[0].text, "-") || strings.Contains(words[0].text, "=")) {
			if words[0].text == "-v" || words[0].text == "-V" { // command -v asks where it is
				return nil, ""
			}
			words = words[1:]
		}
		words = words[min(skip, len(words)):]
	}
	if len(words) == 0 || isGcloud(words[0]) || slices.Contains(silent, words[0].text) {
		return words, ""
	}
	for i, w := range words {
		if isGcloud(w) && i+2 < len(words) {
			return words[i:], "only if " + words[0].shown() + " runs it"
		}
	}
	return words, ""
}

func isGcloud(w word) bool {
	base := filepath.Base(w.text)
	return base == "gcloud" || base == "gcloud.cmd"
}
