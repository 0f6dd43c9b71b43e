package report

import (
	"slices"
	"strings"

	"diagnose/checks"
	"diagnose/internal/evidence"
)

// This file writes what a person does next: the causes to look into, the
// fixes, and how to read what was not read.

// causes lists what could have brought about the answer that was seen.
func (p *page) causes(v checks.Verdict, r *reading) {
	if v.Observed == nil || len(v.Observed.Explanations) == 0 {
		return
	}
	l := list{Numbered: true}
	for _, e := range v.Observed.Explanations {
		l.Items = append(l.Items, item{Text: explanation(e), Code: commands(r.read(e.Gather)...)})
	}
	p.add(section{Title: "Possible causes of the " + seenLabel(*v.Observed) + ", most likely first"}, l,
		list{Items: again(nil, r)})
}

// explanation is its text, the check that would decide it, and where to look.
func explanation(e checks.Explanation) string {
	s := e.Text
	if e.Check != "" {
		s += " (" + e.Check + ")"
	}
	if see := cites(e.Cites); see != "" {
		s += ", see " + see
	}
	return s
}

// next lists the commands that read what an undetermined verdict needs. Where
// an answer was seen, its causes lead there.
func (p *page) next(v checks.Verdict, r *reading) {
	if v.Decision != checks.Undetermined || v.Observed != nil && len(v.Observed.Explanations) > 0 {
		return
	}
	var l list
	for _, f := range v.Findings {
		if f.Outcome != checks.Unknown || len(f.Assumes) > 0 {
			continue
		}
		if lines := r.read(f.Gather); len(lines) > 0 {
			l.Items = append(l.Items, item{Code: commands(lines...)})
		}
	}
	if l.Items = again(l.Items, r); len(l.Items) > 0 {
		p.add(section{Title: "Next, run"}, l)
	}
}

// notChecked lists what the decision takes for granted, with the commands that
// would tell, by the document that they make.
func (p *page) notChecked(v checks.Verdict, r *reading) {
	if len(v.Assumptions) == 0 {
		return
	}
	if v.Decision != checks.Undetermined {
		p.add(section{Title: "Not checked, taken as true.", Note: "To be sure, run:"}, unread(v.Assumptions, r))
		return
	}
	p.add(folded{Title: "Not checked either", Blocks: []block{unread(v.Assumptions, r)}})
}

// unread lists what was not read, and how to read it and to ask again.
func unread(as []checks.Assumption, r *reading) list {
	var l list
	at := map[string]int{}
	for _, a := range as {
		lines := r.read(a.Gather)
		i, ok := at[outputOf(a.Gather)]
		if !ok {
			at[outputOf(a.Gather)] = len(l.Items)
			l.Items = append(l.Items, item{Text: a.Text, Code: commands(lines...)})
			continue
		}
		l.Items[i].Notes = append(l.Items[i].Notes, a.Text)
		l.Items[i].Code = append(l.Items[i].Code, commands(lines...)...)
	}
	l.Items = again(l.Items, r)
	return l
}

// outputOf names what the commands make, so that what one document tells
// stands together.
func outputOf(cs []checks.Command) string {
	for _, c := range cs {
		if c.Output != "" {
			return c.Output
		}
	}
	if len(cs) > 0 {
		return Shell(cs[0])
	}
	return ""
}

// A reading is the commands that read documents, each shown once, and the
// documents that they make.
type reading struct {
	style Style
	seen  map[string]bool   // lines that were shown
	made  map[string]string // the command that makes a file
	flags [][]string
	told  int  // of the flags, those that a command line was written with
	log   bool // an observed log entry must stay, so that no log is read again
}

func (st Style) reading(v checks.Verdict) *reading {
	return &reading{style: st, seen: map[string]bool{}, made: map[string]string{}, log: v.Observed != nil && v.Observed.Source.Pointer != ""}
}

// read writes commands that were not shown yet, each with the file that keeps
// its output, and notes the flag that reads it.
func (r *reading) read(cs []checks.Command) []string {
	var out []string
	for _, c := range cs {
		if flags := ownFlags(c); flags != nil && flags[0] == "--at" { // nothing tells the moment but the caller
			continue
		} else if flags != nil {
			r.note(flags)
			continue
		}
		line := r.kept(c, cs)
		if line != "" && !r.seen[line] {
			r.seen[line] = true
			out = append(out, line)
		}
	}
	return out
}

// lists are the members of a case that hold what several commands print, and
// the jq program that puts it together.
var lists = map[string]string{"roles.json": ".", "deny-policies.json": "flatten", "groups.json": "add"}

// kept is a command with the file that keeps its output. Commands that make
// one file together are written in one line, that of the first.
func (r *reading) kept(c checks.Command, cs []checks.Command) string {
	flag := flagOf(c.Output)
	if flag == "" || r.log && flag == "log" {
		return Shell(c)
	}
	var same []string
	note := ""
	for _, x := range cs {
		if x.Output != c.Output {
			continue
		}
		if x.Note != "" {
			note = "  # " + Clean(x.Note)
		}
		x.Note = "" // behind the file, or the file would be a part of it
		if line := Shell(x); !slices.Contains(same, line) {
			same = append(same, line)
		}
	}
	whole := Shell(c)
	c.Note = ""
	line := Shell(c)
	if program, ok := lists[c.Output]; ok && len(same) > 1 {
		line = "{ " + strings.Join(same, "; ") + "; } | jq -s " + Quote(program)
	}
	if by, ok := r.made[c.Output]; ok && by != line { // another command makes that file
		return whole
	}
	r.made[c.Output] = line
	r.note([]string{"--" + flag, c.Output})
	return line + " > " + Quote(c.Output) + note
}

func (r *reading) note(flags []string) {
	if !slices.ContainsFunc(r.flags, func(f []string) bool { return f[0] == flags[0] }) {
		r.flags = append(r.flags, flags)
	}
}

// ownFlags are the flags of a command that runs this tool again.
func ownFlags(c checks.Command) []string {
	if len(c.Argv) < 3 || c.Argv[0] != "diagnose" {
		return nil
	}
	name, value, ok := strings.Cut(c.Argv[2], "=")
	if !ok {
		return c.Argv[2:]
	}
	return []string{name, value}
}

func flagOf(member string) string {
	for _, d := range evidence.Documents {
		if member != "" && slices.Contains(d.Names, member) {
			return d.Flag
		}
	}
	return ""
}

// rerun is the user's own command line with what was read, "" where nothing
// was since the last one.
func (r *reading) rerun() string {
	if len(r.flags) == r.told {
		return ""
	}
	r.told = len(r.flags)
	own := r.style.Command
	if len(own) == 0 {
		own = []string{"diagnose", "invoke"}
	}
	argv := slices.Clone(own)
	for _, f := range r.flags {
		argv = append(without(argv, f[0]), f...)
	}
	return quoted(argv)
}

// without leaves a flag and its value out of a command line.
func without(argv []string, flag string) []string {
	var out []string
	for i := 0; i < len(argv); i++ {
		switch {
		case argv[i] == flag:
			i++
		case !strings.HasPrefix(argv[i], flag+"="):
			out = append(out, argv[i])
		}
	}
	return out
}

// again adds the command that judges with what was read to the last item.
func again(items []item, r *reading) []item {
	line := r.rerun()
	switch last := len(items) - 1; {
	case line == "":
	case last == 0 && items[0].Text != "" && len(items[last].Code) == 1:
		items[last].Code[0].Lines = append(items[last].Code[0].Lines, line)
	default:
		items = append(items, item{Text: "then judge again:", Code: commands(line)})
	}
	return items
}

// fixes writes the repair, which was re-checked, and then the other fixes.
func (p *page) fixes(v checks.Verdict) {
	var repair, other []item
	written := map[string]bool{}
	for _, id := range v.Repair {
		if f, ok := v.Fix(id); ok {
			written[id] = true
			repair = append(repair, fixItem(f))
		}
	}
	for _, f := range v.Findings {
		for _, x := range f.Fixes {
			if !written[x.ID] && (f.Outcome == checks.Fail || f.Outcome == checks.Unknown || f.Outcome == checks.Warn) {
				written[x.ID] = true
				y := fixItem(x)
				y.Text += " (" + effectWord(x) + ")"
				other = append(other, y)
			}
		}
	}
	keep := 0
	switch {
	case len(repair) > 0:
		p.add(section{"Fix", "(re-checked: the call then succeeds)"}, list{Numbered: len(repair) > 1, Items: repair})
		keep = -1
		for i := range other {
			other[i].Label, other[i].Detail = "or", true
		}
	case v.NoRepair != "":
		keep = 1
		p.add(section{Title: "Fix"}, paragraph{Text: "none that diagnose could check: " + v.NoRepair})
	case len(other) > 0:
		p.add(section{Title: "Fix"})
	}
	if len(other) > 0 {
		p.add(list{Items: other, Keep: keep, More: "or"})
	}
}

// effectWord says what a fix does and what then remains.
func effectWord(f checks.Fix) string {
	remains := strings.Join(f.Remaining, ", ")
	switch f.Effect {
	case checks.Leads:
		return "re-checked: the call then succeeds"
	case checks.Opens:
		return joined("; still not known: ", "then nothing is known to fail", remains)
	case checks.Progress:
		return joined("; what remains: ", "needed, but not enough alone", remains)
	}
	return "not re-checked"
}

func fixItem(f checks.Fix) item {
	x := item{Text: f.Summary, Code: commands(shells(f.Commands)...)}
	for _, s := range f.Snippets {
		x.Code = append(x.Code, code{s.Language, s.Language + ", " + s.Where, strings.Split(s.Text, "\n")})
	}
	if f.Terraform != "" {
		hcl := strings.Split(strings.TrimSuffix(f.Terraform, "\n"), "\n")
		x.Code = append(x.Code, code{Language: "hcl", Lines: hcl})
	}
	if f.Caution != "" {
		x.After = "note: " + f.Caution
	}
	return x
}
