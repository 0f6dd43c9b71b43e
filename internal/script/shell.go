package script

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/syntax"
)

// variables are what is known of a shell's variables at one place.
type variables struct {
	values map[string]expand.Variable
	open   map[string]bool // set to what is not known
}

func newVariables(known map[string]string) *variables {
	v := &variables{map[string]expand.Variable{}, map[string]bool{}}
	for name, value := range known {
		v.set(name, value)
	}
	return v
}

func (v *variables) copy() *variables { return &variables{maps.Clone(v.values), maps.Clone(v.open)} }

func (v *variables) set(name, value string) {
	v.values[name] = expand.Variable{Set: true, Kind: expand.String, Str: value}
	delete(v.open, name)
}

// forget leaves a variable open.
func (v *variables) forget(name string) {
	delete(v.values, name)
	v.open[name] = true
}

// Get is for package expand.
func (v *variables) Get(name string) expand.Variable { return v.values[name] }

// Each is for package expand.
func (v *variables) Each(f func(string, expand.Variable) bool) {
	for name, value := range v.values {
		if !f(name, value) {
			return
		}
	}
}

// A walk goes through the commands of a shell script.
type walk struct {
	in     *effects
	vars   *variables
	first  int             // line of the script's first line in its file
	inside string          // what it depends on whether the commands run, "" where they do
	called map[string]bool // names of commands that the script runs
	depth  int             // of shells that this one is in
}

// maxDepth bounds shells in shells.
const maxDepth = 4

// shell reads a text of a POSIX shell that starts in a line of its file.
func (in *effects) shell(text string, first int, vars *variables) error {
	return (&walk{in: in, vars: vars, first: first}).run(text)
}

func (w *walk) run(text string) error {
	f, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(strings.NewReader(strings.ReplaceAll(text, "\r\n", "\n")), "")
	if err != nil {
		return fmt.Errorf("is not a shell script that can be read: %w", plain(err, w.first))
	}
	w.called = map[string]bool{}
	syntax.Walk(f, func(n syntax.Node) bool {
		if c, ok := n.(*syntax.CallExpr); ok && len(c.Args) > 0 {
			w.called[c.Args[0].Lit()] = true
		}
		return true
	})
	w.list(f.Stmts)
	return nil
}

// plain says where a script is broken, and quotes nothing of it.
func plain(err error, first int) error {
	if p, ok := err.(syntax.ParseError); ok { //nolint:errorlint // the parser returns it as it is
		return fmt.Errorf("line %d: %s", int(p.Pos.Line())+first-1, strings.SplitN(p.Text, "\n", 2)[0])
	}
	return fmt.Errorf("it is broken")
}

func (w *walk) line(n syntax.Node) int { return int(n.Pos().Line()) + w.first - 1 }

func (w *walk) list(list []*syntax.Stmt) {
	for _, s := range list {
		w.command(s.Cmd)
	}
}

// within reads commands of which it depends on something whether they run.
func (w *walk) within(why string, lists ...[]*syntax.Stmt) {
	outside := w.inside
	w.inside = cmp.Or(outside, why)
	for _, list := range lists {
		w.list(list)
	}
	w.inside = outside
}

func (w *walk) command(c syntax.Command) {
	switch c := c.(type) {
	case *syntax.CallExpr:
		w.call(c)
	case *syntax.DeclClause:
		for _, a := range c.Args {
			w.assign(a)
		}
	case *syntax.BinaryCmd:
		w.command(c.X.Cmd)
		if c.Op == syntax.OrStmt {
			w.within(fmt.Sprintf("only if the command before it in line %d fails", w.line(c)), []*syntax.Stmt{c.Y})
		} else {
			w.command(c.Y.Cmd)
		}
	case *syntax.Block:
		w.list(c.Stmts)
	case *syntax.Subshell:
		outside := w.vars
		w.vars = outside.copy()
		w.list(c.Stmts)
		w.vars = outside
	case *syntax.TimeClause:
		if c.Stmt != nil {
			w.command(c.Stmt.Cmd)
		}
	case *syntax.IfClause:
		w.list(c.Cond)
		for part := c; part != nil; part = part.Else {
			w.within(fmt.Sprintf("only if the condition in line %d holds", w.line(c)), part.Then)
		}
	case *syntax.CaseClause:
		for _, item := range c.Items {
			w.within(fmt.Sprintf("only in one of the cases of line %d", w.line(c)), item.Stmts)
		}
	case *syntax.WhileClause:
		w.within(fmt.Sprintf("only if the loop in line %d runs", w.line(c)), c.Cond, c.Do)
	case *syntax.ForClause:
		w.loop(c)
	case *syntax.FuncDecl:
		w.function(c)
	}
}

func (w *walk) loop(c *syntax.ForClause) {
	why := fmt.Sprintf("only if the loop in line %d runs", w.line(c))
	if i, ok := c.Loop.(*syntax.WordIter); ok {
		w.vars.forget(i.Name.Value)
		for _, item := range i.Items {
			if lit := item.Lit(); lit != "" && !strings.ContainsAny(lit, "*?[{") {
				why = "" // it does, at least once
			}
		}
	}
	w.within(why, c.Do)
}

func (w *walk) function(c *syntax.FuncDecl) {
	if c.Body == nil {
		return
	}
	why := ""
	if c.Name != nil && !w.called[c.Name.Value] {
		why = "only if " + c.Name.Value + " is called"
	}
	outside := w.vars
	w.vars = outside.copy()
	w.within(why, []*syntax.Stmt{c.Body})
	w.vars = outside
}

func (w *walk) assign(a *syntax.Assign) {
	switch {
	case a.Name == nil:
	case a.Array != nil && a.Index == nil:
		w.assignArray(a)
	case a.Naked: // export NAME
	case a.Value == nil && a.Index == nil:
		w.keep(a.Name.Value, "", a.Append)
	case a.Index != nil:
		w.vars.forget(a.Name.Value)
	default:
		fields := w.fields([]*syntax.Word{{Parts: []syntax.WordPart{&syntax.DblQuoted{Parts: parts(a.Value)}}}})
		value := ""
		if len(fields) == 1 {
			value = fields[0].text
		}
		w.keep(a.Name.Value, value, a.Append)
	}
}

// parts are the parts of a word, those of its quotes among them.
func parts(w *syntax.Word) []syntax.WordPart {
	var out []syntax.WordPart
	for _, p := range w.Parts {
		if q, ok := p.(*syntax.DblQuoted); ok {
			out = append(out, q.Parts...)
			continue
		}
		out = append(out, p)
	}
	return out
}

// keep sets a variable as far as that is known: where it depends on something,
// and was or may be something else, it is open.
func (w *walk) keep(name, value string, more bool) {
	old := w.vars.values[name]
	switch {
	case more && w.vars.open[name], more && old.Kind != expand.String && old.Set:
		w.vars.forget(name)
		return
	case more:
		value = old.Str + value
	}
	if strings.Contains(value, mark) || w.inside != "" && (!old.Set || old.Str != value) {
		w.vars.forget(name)
		return
	}
	w.vars.set(name, value)
}

func (w *walk) assignArray(a *syntax.Assign) {
	var list []*syntax.Word
	for _, e := range a.Array.Elems {
		if e.Index != nil || e.Value == nil {
			w.vars.forget(a.Name.Value)
			return
		}
		list = append(list, e.Value)
	}
	old := w.vars.values[a.Name.Value]
	v := expand.Variable{Set: true, Kind: expand.Indexed}
	if a.Append {
		v.List = append(v.List, old.List...)
	}
	for _, f := range w.fields(list) {
		v.List = append(v.List, f.text)
	}
	if w.inside != "" || a.Append && (w.vars.open[a.Name.Value] || old.Set && old.Kind != expand.Indexed) {
		w.vars.forget(a.Name.Value)
		return
	}
	w.vars.values[a.Name.Value] = v
	delete(w.vars.open, a.Name.Value)
}

// call reads one simple command.
func (w *walk) call(c *syntax.CallExpr) {
	for _, a := range c.Args {
		w.substituted(a)
	}
	if len(c.Args) == 0 {
		for _, a := range c.Assigns {
			if a.Value != nil {
				w.substituted(a.Value)
			}
			w.assign(a)
		}
		return
	}
	outside := w.vars
	if len(c.Assigns) > 0 { // they are for this command alone
		w.vars = outside.copy()
		for _, a := range c.Assigns {
			w.assign(a)
		}
	}
	words := w.fields(c.Args)
	w.vars = outside
	if len(words) == 0 {
		return
	}
	switch words[0].text {
	case "read", "mapfile", "readarray":
		for _, name := range words[1:] {
			w.vars.forget(name.text)
		}
	case "unset":
		for _, name := range words[1:] {
			w.vars.set(name.text, "")
		}
	case "source", ".":
		w.vars.sourced()
	default:
		w.run1(words)
	}
}

// sourced leaves open what another script may have set.
func (v *variables) sourced() {
	for name := range v.values {
		v.forget(name)
	}
}

// substituted reads the commands in $(…) of a word.
func (w *walk) substituted(word *syntax.Word) {
	syntax.Walk(word, func(n syntax.Node) bool {
		if s, ok := n.(*syntax.CmdSubst); ok {
			outside := w.vars
			w.vars = outside.copy()
			w.list(s.Stmts)
			w.vars = outside
			return false
		}
		return true
	})
}

// run1 takes a command, or that of the shell that it starts.
func (w *walk) run1(words []word) {
	words, maybe := unwrap(words)
	if len(words) > 1 && words[0].text == "eval" && w.depth < maxDepth {
		text := ""
		for _, a := range words[1:] {
			text += a.text + " "
		}
		_ = (&walk{in: w.in, vars: w.vars, first: words[0].line, inside: w.inside, depth: w.depth + 1}).run(text) // broken: no command
		return
	}
	if len(words) > 1 && isShell(words[0].text) && w.depth < maxDepth {
		for i, o := range words[1:] {
			if strings.HasPrefix(o.text, "-") && strings.HasSuffix(o.text, "c") && i+2 < len(words) {
				inner := &walk{in: w.in, vars: newVariables(nil), first: words[i+2].line, inside: w.inside, depth: w.depth + 1}
				_ = inner.run(words[i+2].text) // what is broken in there is no command
				return
			}
		}
	}
	w.in.do(command{words, cmp.Or(w.inside, maybe)})
	w.quoted(words)
}

// quoted reads a command that another one takes as one text, to run it.
func (w *walk) quoted(words []word) {
	if len(words) < 2 || isGcloud(words[0]) || slices.Contains(silent, words[0].text) || w.depth >= maxDepth {
		return
	}
	for _, a := range words[1:] {
		if strings.HasPrefix(strings.TrimSpace(a.text), "gcloud ") {
			why := "only if " + words[0].shown() + " runs it"
			_ = (&walk{in: w.in, vars: newVariables(nil), first: a.line, inside: cmp.Or(w.inside, why), depth: w.depth + 1}).run(a.text) // broken: no command
		}
	}
}

func isShell(name string) bool {
	for _, s := range shells {
		if name == s || strings.HasSuffix(name, "/"+s) {
			return true
		}
	}
	return false
}
