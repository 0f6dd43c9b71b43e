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

// verdictPage tells a verdict: the cause and what it rests on, what explains
// the answer that was seen, how to repair it, what was checked and what was
// not.
func verdictPage(v checks.Verdict, st Style) *page {
	p := &page{Title: "Invocation: " + v.Decision.String()}
	r := st.reading(v)
	p.headlines(v)
	p.add(verdictFacts(v))
	p.causes(v, r)
	p.next(v, r)
	p.fixes(v)
	p.checked(v)
	p.notChecked(v, r)
	p.add(linksOf(v), allChecks(v))
	return p
}

// headlines says what the verdict is. An answer that was seen, and that the
// documents do not lead to, comes first.
func (p *page) headlines(v checks.Verdict) {
	o := v.Observed
	switch {
	case o == nil:
	case o.Agrees == checks.Disagrees || o.Agrees != checks.Agrees && v.Decision == checks.Undetermined:
		p.add(headline{Mark: seenMark(v), Label: seenLabel(*o), Text: seen(*o, v.Expected)})
	}
	if o != nil && v.Decision == checks.Undetermined {
		p.add(paragraph{Text: rests(v) + ": " + causeText(v, v.Headline())})
		return
	}
	p.add(headline{Mark: decisionMark(v), Label: decisionLabel(v), Text: causeText(v, v.Headline())})
	text := rests(v)
	if decisionLabel(v) == v.Decision.String() { // the headline says it already
		text = basis(v)
	}
	p.add(paragraph{Tone: quiet, Text: text})
}

// causeText is the headline, without what is accepted where that stands in the
// facts below it.
func causeText(v checks.Verdict, headline string) string {
	f, ok := v.Cause()
	if c := f.Compared; ok && c.Says != "" && len(c.Accepted) > 0 {
		return strings.Replace(headline, f.Message, c.Says, 1)
	}
	return headline
}

func seenMark(v checks.Verdict) mark {
	if v.Observed.Agrees == checks.Disagrees {
		return marksOf[checks.Warn]
	}
	return marksOf[checks.Unknown]
}

func seenLabel(o checks.Observation) string {
	if o.Status == 0 {
		return "an answer"
	}
	return strconv.Itoa(o.Status)
}

// seen says where an answer was seen, who wrote it, and how it stands to what
// the documents predict.
func seen(o checks.Observation, want *checks.Answer) string {
	s := "seen in " + cmp.Or(cites([]evidence.Source{o.Source}), "the evidence")
	if o.Author != "" {
		s += ", written by " + o.Author
	}
	if o.AuthorBasis != "" {
		s += ": " + o.AuthorBasis
	}
	if o.Note != "" {
		s += "; " + o.Note
	}
	if o.Agrees == checks.Disagrees {
		s += "; but the documents predict that " + answers(want) + ": one of the two is out of date or of another request"
	}
	return s
}

func decisionMark(v checks.Verdict) mark {
	return marksOf[map[checks.Decision]checks.Outcome{
		checks.Allowed: checks.Pass, checks.Denied: checks.Fail, checks.Undetermined: checks.Unknown}[v.Decision]]
}

// decisionLabel is the status that the caller gets, or the decision.
func decisionLabel(v checks.Verdict) string {
	if v.Decision == checks.Denied && v.Expected != nil && v.Expected.Status != 0 {
		return strconv.Itoa(v.Expected.Status)
	}
	return v.Decision.String()
}

// rests says who decides, and what the decision rests on.
func rests(v checks.Verdict) string {
	s := v.Decision.String()
	if v.Decision == checks.Denied && v.Expected != nil && v.Expected.Author != "" {
		s += " by " + v.Expected.Author
	}
	if v.Decision == checks.Undetermined {
		return s + ": " + basis(v)
	}
	return s + ", " + basis(v)
}

// basis says what a decision rests on, in the same words in every format.
func basis(v checks.Verdict) string {
	switch n := len(v.Assumptions); {
	case v.Decision == checks.Undetermined:
		return "not enough evidence"
	case v.Basis == checks.Proven:
		return "certain: nothing unread could change this"
	case n == 1:
		return "likely: 1 thing was not checked (below)"
	default:
		return fmt.Sprintf("likely: %d things were not checked (below)", n)
	}
}

// answers says in a clause who answers what.
func answers(a *checks.Answer) string {
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

// verdictFacts lists what was sent and what is accepted, who calls what, and
// what the caller and the log show.
func verdictFacts(v checks.Verdict) facts {
	cause, _ := v.Cause()
	c := cause.Compared
	known := strings.Contains(v.Headline(), v.Principal) || repeats(v, v.Principal[strings.Index(v.Principal, ":")+1:])
	out := facts{
		{Name: "sent", Of: c.Of, Values: c.Sent, Tone: bad},
		{Name: "accepted", Of: c.Of, Values: c.Accepted, Tone: good},
		{Name: "caller", Values: []string{v.Principal}, Detail: known},
		{Name: "url", Values: []string{v.Target.URL}, Detail: cause.Gate != "route" || repeats(v, v.Target.URL)},
		{Name: "see", Values: []string{cites(cause.Cites)}, Detail: len(c.Sent) > 0},
	}
	if a := v.Expected; a != nil {
		out = append(out, fact{Name: "answer", Values: []string{answers(a) + redirect(*a)}, Detail: a.Location == ""},
			fact{Name: "seen", Values: []string{agreement(v.Observed)}},
			fact{Name: "log", Values: []string{logged(*a)}, Detail: true})
	}
	return append(out, fact{Name: "judged", Values: []string{judgedAt(v.JudgedAt)}, Detail: givenMoment(v.JudgedAt.From)})
}

// repeats reports whether a command of the repair shows a text anyway.
func repeats(v checks.Verdict, text string) bool {
	return slices.ContainsFunc(v.Repair, func(id string) bool {
		f, _ := v.Fix(id)
		return strings.Contains(strings.Join(shells(f.Commands), " "), text)
	})
}

// agreement says where the predicted answer was seen, and what tells who wrote
// it.
func agreement(o *checks.Observation) string {
	if o == nil || o.Agrees != checks.Agrees {
		return ""
	}
	s := "as predicted, in " + cites([]evidence.Source{o.Source})
	if o.AuthorBasis != "" {
		s += " (" + o.AuthorBasis + ")"
	}
	if o.Note != "" {
		s += "; " + o.Note
	}
	return s
}

func redirect(a checks.Answer) string {
	if a.Location == "" {
		return ""
	}
	return ", to " + a.Location
}

// logged is what the request log shows of a refusal.
func logged(a checks.Answer) string {
	switch {
	case a.Log != "":
		return strconv.Quote(a.Log)
	case a.Status == 404:
		return "nothing is logged"
	}
	return ""
}

// judgedAt says which moment was judged, "" where none was.
func judgedAt(m checks.Moment) string {
	if m.Time.IsZero() {
		return ""
	}
	return fmt.Sprintf("as of %s (%s)", m.Time.UTC().Format(time.RFC3339), m.From)
}

// givenMoment reports whether nobody wonders which moment was judged: it is
// now, or the case names it.
func givenMoment(from string) bool { return from == "now" || from == "request.json" }

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

// checked folds the checks to one line, a mark for each gate that applies.
func (p *page) checked(v checks.Verdict) {
	m := marks{Title: "Checked", Note: "(-v)"}
	for _, f := range v.Findings {
		one := named{f.Gate, markOf(f)}
		switch last := len(m.List) - 1; {
		case last < 0 || m.List[last].Name != f.Gate:
			m.List = append(m.List, one)
		case weight[one.Mark] > weight[m.List[last].Mark]:
			m.List[last] = one
		}
	}
	m.List = slices.DeleteFunc(m.List, func(n named) bool {
		return n.Mark == marksOf[checks.NotApplicable] || n.Name == "answer" && n.Mark == marksOf[checks.Pass]
	})
	if len(m.List) > 0 {
		p.add(m)
	}
}

// weight orders the marks of the checks of a gate: the heaviest is that of the
// gate.
var weight = map[mark]int{
	marksOf[checks.NotApplicable]: 0, assumed: 1, marksOf[checks.Pass]: 2,
	marksOf[checks.Warn]: 3, marksOf[checks.Unknown]: 4, marksOf[checks.Fail]: 5,
}

// allChecks lists every check with its answer.
func allChecks(v checks.Verdict) folded {
	g := grid{Header: []string{"gate", "outcome", "check"}}
	gate := ""
	for _, f := range v.Findings {
		m := markOf(f)
		c, _, _ := checks.Find(f.Check)
		see := ""
		if s := cites(f.Cites); s != "" {
			see = "see " + s
		}
		name := f.Gate
		if name == gate {
			name = ""
		}
		gate = f.Gate
		r := row{Cells: []cell{{Lines: []string{name}}, {Mark: &m},
			say(fmt.Sprintf("%s (%s)", cmp.Or(c.Title, f.Check), f.Check), f.Message, see)}}
		if f.Outcome == checks.Fail || f.Outcome == checks.Warn {
			r.Tone = m.Tone
		} else if f.Outcome == checks.NotApplicable {
			r.Tone = quiet
		}
		g.Rows = append(g.Rows, r)
	}
	return folded{Title: "All checks, in the order of the request", Blocks: []block{g}}
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

// linksOf leads to the page of Google's that states the rule, and to the
// explanation of the check.
func linksOf(v checks.Verdict) links {
	id := deciding(v)
	if id == "" {
		return nil
	}
	out := links{{Command: "diagnose explain " + id}}
	if c, _, ok := checks.Find(id); ok && v.Decision != checks.Allowed {
		status := 0
		if v.Expected != nil {
			status = v.Expected.Status
		} else if v.Observed != nil {
			status = v.Observed.Status
		}
		out = slices.Insert(out, 0, link{URL: anchored(c.Ref, status)})
	}
	return out
}

// anchors are those of https://docs.cloud.google.com/run/docs/troubleshooting,
// which the front end's own log entries name too.
var anchors = map[int]string{401: "#401", 403: "#unauthorized-client", 404: "#404"}

// anchored leads to the part of a page about a status.
func anchored(ref string, status int) string {
	if strings.HasSuffix(ref, "/run/docs/troubleshooting") {
		return ref + anchors[status]
	}
	return ref
}
