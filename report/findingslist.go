package report

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"diagnose/checks/rules"
	"diagnose/internal/estate"
)

var severityTones = map[rules.Severity]tone{
	rules.Critical: grave, rules.High: bad, rules.Medium: caution, rules.Low: unsure, rules.Info: quiet,
}

// verdict is the sentence that matters, behind the word that sums it up.
func (f Findings) verdict() (label, sentence string, m mark) {
	n := f.AtLeast(f.FailOn)
	what := "finding"
	if f.Baseline != nil {
		what = "new finding"
	}
	none := "no " + what + " of severity " + f.FailOn.String() + " or above"
	switch open := f.Open(); {
	case n > 0:
		return "failed", fmt.Sprintf("%s of severity %s or above", plural(n, what), f.FailOn), mark{"✗", "X", "failed", bad}
	case len(f.Incomplete) > 0:
		return "incomplete", none + " in the part that was read", mark{"?", "?", "incomplete", unsure}
	case f.Undecided():
		return "not known", plural(open, "thing") + " could open or break invocation, and " + none, mark{"?", "?", "not known", unsure}
	case open > 0:
		return "passed, with " + plural(open, "thing") + " not known", none, mark{"!", "!", "passed", caution}
	}
	return "passed", none, mark{"✓", "+", "passed", good}
}

// Undecided reports whether a change neither fails nor passes: what is not
// known of it could open or break an invocation.
func (f Findings) Undecided() bool {
	return f.Command == "gate" && !f.AllowUnknown && f.AtLeast(f.FailOn) == 0 && f.Open() > 0
}

// notKnown says what is not known, why, and where it stands.
func notKnown(u estate.Unread) string {
	return u.What + ": " + u.Reason + whereSuffix(u.Where.File, u.Where.Line, u.Where.Address)
}

// asideLine counts what was not read and does not matter, "" where there is
// nothing.
func (f Findings) asideLine() string {
	n := len(f.Summary.Aside)
	if n == 0 {
		return ""
	}
	return plural(n, "thing") + " more could not be read and can neither open nor break invocation, such as " +
		f.Summary.Aside[0].What
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	if strings.HasSuffix(noun, "y") {
		noun = strings.TrimSuffix(noun, "y") + "ie"
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// Bounds of what a terminal shows in full.
const (
	maxListed = 50
	maxUnread = 20
)

// listPage tells what gate or scan found.
func listPage(f Findings, st Style) *page {
	p := &page{Title: "diagnose " + f.Command}
	label, sentence, m := f.verdict()
	p.add(headline{Mark: m, Label: label, Text: sentence})
	rows := facts{{Name: "judged", Values: []string{f.judged()}}, {Name: "missing", Values: f.Incomplete}}
	if d := f.Baseline; d != nil {
		known := fmt.Sprintf("%d new, %d gone, %d unchanged", d.New, d.Gone, d.Unchanged)
		rows = append(rows, fact{Name: "baseline", Values: []string{known}})
	}
	p.add(rows)
	p.counts(f)
	p.changes(f)
	p.listed(f, st)
	if u := f.Summary.Unread; len(u) > 0 {
		l := list{Keep: maxUnread}
		for _, x := range u {
			l.Items = append(l.Items, item{Text: notKnown(x)})
		}
		p.add(section{Title: "Not known, so not judged"}, l)
	}
	if line := f.asideLine(); line != "" {
		p.add(section{Title: "Not read, and without effect"}, paragraph{Text: line})
	}
	if len(f.Result.Findings) > 0 {
		p.add(links{{Command: "diagnose explain " + f.Result.Findings[0].Rule}})
	}
	return p
}

// listed lists the findings; those that are ignored only where everything is
// asked for.
func (p *page) listed(f Findings, st Style) {
	l := list{Keep: maxListed}
	ignored := list{}
	for _, x := range f.Result.Findings {
		if x.Suppressed == "" {
			l.Items = append(l.Items, ruleItem(x))
		} else {
			ignored.Items = append(ignored.Items, ruleItem(x))
		}
	}
	if len(l.Items) > 0 {
		p.add(section{Title: "Findings"}, l)
	}
	if n := len(ignored.Items); n > 0 {
		p.add(section{Title: plural(n, "finding") + " ignored, each with a reason", Note: "(-v for all)"},
			folded{Title: "Ignored", Blocks: []block{ignored}})
	}
}

func (f Findings) judged() string {
	s := plural(f.Summary.Services, "Cloud Run service")
	if f.Summary.Functions > 0 {
		s += " and " + plural(f.Summary.Functions, "gen1 function")
	}
	s += fmt.Sprintf(", %d of them public", f.Summary.Public)
	if n := f.Summary.PublicUnknown; n > 0 {
		s += fmt.Sprintf(", not known of %d", n)
	}
	return s
}

// counts counts by rule, the most severe first, and by project.
func (p *page) counts(f Findings) {
	type count struct {
		rule     string
		severity rules.Severity
		n, reach int
		unknown  bool // the reach of one of them
	}
	var counts []*count
	for _, x := range f.Result.Findings {
		if x.Suppressed != "" {
			continue
		}
		i := slices.IndexFunc(counts, func(c *count) bool { return c.rule == x.Rule && c.severity == x.Severity })
		if i < 0 {
			counts = append(counts, &count{rule: x.Rule, severity: x.Severity})
			i = len(counts) - 1
		}
		counts[i].n++
		counts[i].reach += x.Reach.Services
		counts[i].unknown = counts[i].unknown || !x.Reach.Known
	}
	var rows [][]string
	for _, c := range counts {
		reach := reachWord(rules.Reach{Services: c.reach, Known: !c.unknown})
		rows = append(rows, []string{c.severity.String(), c.rule, strconv.Itoa(c.n), reach})
	}
	g := textGrid([]string{"severity", "rule", "findings", "reach"}, rows)
	for i, c := range counts {
		g.Rows[i].Tone = severityTones[c.severity]
	}
	p.add(g, exposed(f))
}

// exposed lists the projects with the most public services, where there are
// several.
func exposed(f Findings) grid {
	top := slices.DeleteFunc(slices.Clone(f.Summary.Exposure), func(e rules.Exposure) bool {
		return e.Public == 0 || !strings.HasPrefix(e.Name, "projects/")
	})
	if len(top) < 2 {
		return grid{}
	}
	slices.SortStableFunc(top, func(a, b rules.Exposure) int { return cmp.Compare(b.Public, a.Public) })
	var rows [][]string
	for _, e := range top[:min(len(top), 10)] {
		name := cmp.Or(e.Title, strings.TrimPrefix(e.Name, "projects/"))
		rows = append(rows, []string{name, strconv.Itoa(e.Public), strconv.Itoa(e.Targets)})
	}
	return textGrid([]string{"most exposed project", "public", "of"}, rows)
}

// changes tells who can invoke after a change and could not before, and the
// other way round.
func (p *page) changes(f Findings) {
	var l list
	for _, c := range f.Changes {
		name := shortName(c.Target)
		if len(c.Gained) > 0 {
			l.Items = append(l.Items, item{Tone: caution, Label: "+", Text: "opens " + name + " to " + strings.Join(c.Gained, ", ")})
		}
		if len(c.Lost) > 0 {
			l.Items = append(l.Items, item{Tone: bad, Label: "-", Text: "cuts off " + strings.Join(c.Lost, ", ") + " from " + name})
		}
		if c.Open != "" {
			l.Items = append(l.Items, item{Tone: unsure, Label: "?", Text: name + ": " + c.Open})
		}
	}
	if len(l.Items) > 0 {
		p.add(section{Title: "Who can invoke after this change, against before"}, l)
	}
}

// shortName names a resource for a sentence.
func shortName(full string) string {
	parts := strings.Split(strings.TrimPrefix(full, "//"), "/")
	if len(parts) < 3 {
		return full
	}
	return strings.Join(parts[len(parts)-2:], "/")
}

// ruleItem tells one finding, where it is, and its first fix.
func ruleItem(x rules.Finding) item {
	out := item{Tone: severityTones[x.Severity], Label: x.Severity.String(), Text: x.Message}
	where := whereSuffix(x.Where.File, x.Where.Line, x.Where.Address)
	out.Notes = append(out.Notes, "rule "+x.Rule+", on "+cmp.Or(x.GrantedOn, x.Resource)+reachSuffix(x.Reach)+where)
	if x.Condition != "" {
		out.Notes = append(out.Notes, "if "+x.Condition)
	}
	if x.Suppressed != "" {
		out.Notes = append(out.Notes, "ignored: "+x.Suppressed)
		return out
	}
	for _, fix := range x.Fixes[:min(len(x.Fixes), 1)] {
		y := fixItem(fix)
		out.Notes = append(out.Notes, "fix: "+y.Text)
		out.Code = y.Code
	}
	return out
}

func reachSuffix(r rules.Reach) string {
	switch {
	case !r.Known:
		return ""
	case r.Services == 1:
		return ", opens 1 service"
	}
	return fmt.Sprintf(", opens %d services", r.Services)
}

func whereSuffix(file string, line int, address string) string {
	if file != "" && line > 0 {
		file += ":" + strconv.Itoa(line)
	}
	if where := joined(" in ", address, file); where != "" {
		return ", see " + where
	}
	return ""
}
