package report

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"diagnose/checks"
	"diagnose/internal/evidence"
)

// verdictText tells a verdict: the decision and what it rests on, the gates,
// and what to do.
func verdictText(v checks.Verdict, st Style) *page {
	p := &page{st: st}
	if o := v.Observed; o != nil && (o.Agrees != checks.Agrees || o.Note != "") {
		p.painted(symbols[checks.Warn].color, "", "observed "+observed(*o, v.Expected))
		p.WriteString("\n")
	}
	p.painted(decisionColor[v.Decision], "", v.Decision.String()+": "+v.Headline())
	p.rests(v)
	p.gates(v)
	p.next(v)
	p.fixes(v)
	p.assumptions(v.Assumptions)
	p.explanations(v.Observed)
	p.more(deciding(v))
	return p
}

// deciding is the check that the decision turns on, "" where none is named.
func deciding(v checks.Verdict) string {
	if f, ok := v.Cause(); ok {
		return f.Check
	}
	for _, f := range v.Findings {
		if v.Decision == checks.Allowed && f.Outcome == checks.Pass && f.Message == v.Headline() {
			return f.Check
		}
	}
	return ""
}

// observed says what was seen and where, who wrote it, and how it stands to
// what the documents predict.
func observed(o checks.Observation, want *checks.Answer) string {
	s := "an answer"
	if o.Status != 0 {
		s = strconv.Itoa(o.Status)
	}
	if see := cites([]evidence.Source{o.Source}); see != "" {
		s += " (" + see + ")"
	}
	if o.Author != "" {
		s += ", written by " + o.Author
	}
	if o.AuthorBasis != "" {
		s += ": " + o.AuthorBasis
	}
	if o.Note != "" {
		s += "; " + o.Note
	}
	switch o.Agrees {
	case checks.Agrees:
		return s + "; as predicted"
	case checks.Disagrees:
		return s + "; the documents predict that " + answerWord(want) + ": one of the two is out of date or of another request"
	}
	return s
}

// answerWord says in a clause who answers what.
func answerWord(a *checks.Answer) string {
	switch {
	case a == nil:
		return "nobody can be named who answers"
	case a.Status == 0:
		return "the container answers"
	}
	s := fmt.Sprintf("%s answers %d", cmp.Or(a.Author, "Google"), a.Status)
	for _, also := range a.Also {
		s += fmt.Sprintf(" or %d", also)
	}
	return s
}

// judgedAt says which moment was judged, "" where none was.
func judgedAt(m checks.Moment) string {
	if m.Time.IsZero() {
		return ""
	}
	return fmt.Sprintf("as of %s (%s)", m.Time.UTC().Format(time.RFC3339), m.From)
}

// suffix says what else shows of an answer.
func suffix(a *checks.Answer) string {
	s := ""
	if a.Log != "" {
		s += fmt.Sprintf(", logged as %q", a.Log)
	} else if a.Status == 404 {
		s += ", and nothing in the log"
	}
	if a.Location != "" {
		s += ", to " + a.Location
	}
	return s
}

// rests says what the decision rests on and whom and what it is about.
func (p *page) rests(v checks.Verdict) {
	switch {
	case v.Decision == checks.Undetermined:
		p.fact("basis", "open: the evidence does not answer every question")
	case v.Basis == checks.Assumed:
		p.fact("basis", fmt.Sprintf("assumed: it rests on %s below", count(len(v.Assumptions), "assumption")))
	default:
		p.fact("basis", "proven: no document that was not read could turn it")
	}
	if v.Expected != nil {
		p.fact("expected", answerWord(v.Expected)+suffix(v.Expected))
	}
	if o := v.Observed; o != nil && o.Agrees == checks.Agrees && o.Note == "" {
		p.fact("observed", observed(*o, v.Expected))
	}
	if v.NoRepair != "" {
		p.fact("repair", "none: "+v.NoRepair)
	}
	p.fact("caller", v.Principal)
	p.fact("url", v.Target.URL)
	p.fact("judged", judgedAt(v.JudgedAt))
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// gates writes what fails, is open or is not right in full, the rest as a
// number. A sentence that was already said is not said again.
func (p *page) gates(v checks.Verdict) {
	var rows [][]string
	said := v.Headline()
	for start := 0; start < len(v.Findings); {
		end := start
		for end < len(v.Findings) && v.Findings[end].Gate == v.Findings[start].Gate {
			end++
		}
		rows = append(rows, p.gate(v.Findings[start:end], &said)...)
		start = end
	}
	p.WriteString("\n")
	p.table(nil, rows)
}

func (p *page) gate(fs []checks.Finding, said *string) [][]string {
	var rows [][]string
	name := fs[0].Gate
	row := func(sign, text string) {
		rows = append(rows, []string{name, sign, text})
		name = ""
	}
	add := func(o checks.Outcome, text string) { row(p.st.sign(o), text) }
	passed, assumed, idle := 0, 0, 0
	for _, f := range fs {
		switch {
		case p.st.Verbose:
			add(f.Outcome, findingText(f, said))
		case f.Outcome == checks.Pass:
			passed++
		case f.Outcome == checks.NotApplicable:
			idle++
		case f.Outcome == checks.Unknown && len(f.Assumes) > 0:
			assumed++
		default:
			add(f.Outcome, findingText(f, said))
		}
	}
	other := ""
	if len(rows) > 0 {
		other = "other "
	}
	switch {
	case passed > 0 && assumed > 0:
		add(checks.Pass, fmt.Sprintf("%s, %d assumed", count(passed, other+"check"), assumed))
	case passed > 0:
		add(checks.Pass, count(passed, other+"check"))
	case assumed > 0:
		row(p.st.paint(symbols[checks.Unknown].color, "? assumed"), count(assumed, other+"check"))
	case idle > 0 && other == "":
		add(checks.NotApplicable, Clean(fs[0].Message))
	}
	return rows
}

// findingText is the question, the answer to it, and where to look.
func findingText(f checks.Finding, said *string) string {
	c, _, _ := checks.Find(f.Check)
	s := fmt.Sprintf("%s (%s)", cmp.Or(c.Title, f.Check), f.Check)
	if !strings.Contains(*said, f.Message) {
		s += "\n" + Clean(f.Message)
		*said += "\n" + f.Message
	}
	if see := cites(f.Cites); see != "" {
		s += "\nsee " + Clean(see)
	}
	return s
}

// cites lists places, each once.
func cites(cs []evidence.Source) string {
	var out []string
	for _, c := range cs {
		if s := strings.TrimSpace(c.Document + " " + c.Pointer); c.Document != "" && !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return strings.Join(out, ", ")
}

// fixes writes the repair, which was proved, and then the other fixes.
func (p *page) fixes(v checks.Verdict) {
	var repair, other []checks.Fix
	written := map[string]bool{}
	for _, id := range v.Repair {
		if f, ok := v.Fix(id); ok {
			written[id] = true
			repair = append(repair, f)
		}
	}
	for _, f := range v.Findings {
		for _, x := range f.Fixes {
			if !written[x.ID] && (f.Outcome == checks.Fail || f.Outcome == checks.Unknown) {
				written[x.ID] = true
				other = append(other, x)
			}
		}
	}
	switch len(repair) {
	case 0:
	case 1:
		p.head("this makes it succeed, proved by judging again:")
	default:
		p.head("these together make it succeed, proved by judging again:")
	}
	for _, f := range repair {
		p.fix(f, "")
	}
	if len(other) > 0 {
		p.head(map[bool]string{true: "other fixes:", false: "fixes:"}[len(repair) > 0])
	}
	for _, f := range other {
		p.fix(f, effectWord(f))
	}
}

// effectWord says what a fix does and what then remains.
func effectWord(f checks.Fix) string {
	remains := cmp.Or(strings.Join(f.Remaining, ", "), "see the other fixes")
	switch f.Effect {
	case checks.Leads:
		return "allowed: the call then succeeds"
	case checks.Opens:
		return "open: nothing is known to fail then; not known: " + remains
	case checks.Progress:
		return "progress: needed, but not enough alone; what remains: " + remains
	}
	return "unverified"
}

func (p *page) fix(f checks.Fix, effect string) {
	summary := f.Summary
	if effect != "" {
		summary += " [" + effect + "]"
	}
	p.para("- ", summary)
	p.commands("    ", f.Commands)
	for _, s := range f.Snippets {
		p.snippet(s)
	}
	if f.Caution != "" {
		p.para("    note: ", f.Caution)
	}
	if f.Terraform != "" && p.st.Verbose {
		for _, l := range strings.Split(f.Terraform, "\n") {
			p.WriteString("    " + Clean(l) + "\n")
		}
	}
}

// snippet writes text that is no command, behind a line that says what it is.
func (p *page) snippet(s checks.Snippet) {
	p.para("    ", s.Language+", "+s.Where+":")
	for _, l := range strings.Split(s.Text, "\n") {
		p.WriteString("      " + Clean(l) + "\n")
	}
}

// assumptions writes each with the command that would tell, which is shown
// where it is first needed.
func (p *page) assumptions(as []checks.Assumption) {
	if len(as) == 0 {
		return
	}
	p.head("assumed, and the command that would tell:")
	seen := map[string]bool{}
	for _, a := range as {
		p.para("- ", a.Text)
		p.commands("    ", unseen(a.Gather, seen))
	}
}

// unseen returns the commands that were not shown yet, and marks them.
func unseen(cs []checks.Command, seen map[string]bool) []checks.Command {
	var out []checks.Command
	for _, c := range cs {
		if s := Shell(c); !seen[s] {
			seen[s] = true
			out = append(out, c)
		}
	}
	return out
}

func (p *page) next(v checks.Verdict) {
	if next := openCommands(v); len(next) > 0 {
		p.head("to be read next:")
		p.commands("    ", next)
	}
}

// openCommands lists the commands that read what an undetermined verdict
// needs.
func openCommands(v checks.Verdict) []checks.Command {
	if v.Decision != checks.Undetermined {
		return nil
	}
	seen := map[string]bool{}
	var next []checks.Command
	for _, f := range v.Findings {
		if f.Outcome == checks.Unknown && len(f.Assumes) == 0 {
			next = append(next, unseen(f.Gather, seen)...)
		}
	}
	return next
}

// explanation is its text, the check that would decide it, and where to look.
func explanation(e checks.Explanation) string {
	text := e.Text
	if e.Check != "" {
		text += " (" + e.Check + ")"
	}
	if see := cites(e.Cites); see != "" {
		text += ", see " + see
	}
	return text
}

// explanations writes what could account for the observed answer.
func (p *page) explanations(o *checks.Observation) {
	if o == nil || len(o.Explanations) == 0 {
		return
	}
	p.head("what would explain the observed answer, the most likely first:")
	for _, e := range o.Explanations {
		p.para("- ", explanation(e))
		p.commands("    ", e.Gather)
	}
}
