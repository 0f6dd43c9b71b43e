package report

import (
	"fmt"
	"io"
	"strings"

	"diagnose/checks"
	"diagnose/internal/evidence"
	"diagnose/internal/gcp"
	"diagnose/internal/iam"
)

type wireWho struct {
	SchemaVersion string           `json:"schemaVersion"`
	Target        wireTarget       `json:"target"`
	Permission    string           `json:"permission"`
	Public        bool             `json:"public"`
	PublicBecause string           `json:"publicBecause"`
	Holders       []wireHolder     `json:"holders"`
	Ineffective   []wireHolder     `json:"ineffective"`
	Unread        []wireAssumption `json:"unread"`
	Denied        string           `json:"denied"`
	Notes         []string         `json:"notes"`
	Complete      bool             `json:"complete"`
}

type wireHolder struct {
	Member    string   `json:"member"`
	State     string   `json:"state"`
	Role      string   `json:"role"`
	On        string   `json:"on"`
	Cite      wireCite `json:"cite"`
	Condition string   `json:"condition"`
	Via       []string `json:"members"`
	Reason    string   `json:"reason"`
	Answer    string   `json:"answer"` // may, only-if, denied, unknown
	Only      string   `json:"only"`
	Group     string   `json:"group"`
}

func holdersJSON(hs []checks.Holder) []wireHolder {
	out := []wireHolder{}
	for _, h := range hs {
		out = append(out, wireHolder{h.Member, h.State.String(), h.Role, h.On, wireCite{h.Cite.Document, h.Cite.Pointer}, h.Condition, append([]string{}, h.Via...), h.Reason, h.Standing.String(), h.Only, h.Group})
	}
	return out
}

// Who writes who can invoke a target, in a format.
func Who(w io.Writer, format string, r checks.WhoReport, st Style) error {
	return emit(w, format, func() any { return whoJSON(r) }, func() *page { return whoPage(r, st) }, st)
}

func whoJSON(r checks.WhoReport) wireWho {
	out := wireWho{
		SchemaVersion: schemaVersion, Target: wireTarget(r.Target), Permission: r.Permission,
		Public: r.Public != "", PublicBecause: r.Public,
		Holders: holdersJSON(r.Holders), Ineffective: holdersJSON(r.Ineffective), Unread: []wireAssumption{},
		Denied: r.Denied, Notes: append([]string{}, r.Notes...), Complete: r.Complete,
	}
	for _, a := range r.Unread {
		out.Unread = append(out.Unread, wireAssumption{a.Check, a.Document, a.Text, shells(a.Gather)})
	}
	return out
}

func whoHeadline(r checks.WhoReport) string {
	name := r.Target.Service
	if name == "" {
		name = r.Target.Function
	}
	if name = gcp.Last(name); name == "" {
		name = "the service"
	}
	may, only, open := 0, 0, 0
	for _, h := range r.Holders {
		switch h.Standing {
		case checks.May:
			may++
		case checks.OnlyIf:
			only++
		case checks.Unsure:
			open++
		}
	}
	text := plural(may, "member") + " may invoke " + name
	switch {
	case r.Public != "":
		return "anyone may invoke " + name + ": " + r.Public
	case !r.Answered && len(r.Holders) == 0:
		return "who may invoke " + name + " is not known: the policy that lets callers in was not read"
	case may == 0:
		text = "nobody that the policies name may invoke " + name + " without a condition"
		if only == 0 {
			text = "the policies read let nobody invoke " + name
		}
	}
	if only > 0 {
		text += fmt.Sprintf("; %s only for some requests", plural(only, "member"))
	}
	if open > 0 {
		text += fmt.Sprintf("; of %s it is not known", plural(open, "more member"))
	}
	return text
}

// holderNote says what else there is to know of a member: why, on which
// condition, through which group, and who is in it.
func holderNote(h checks.Holder) string {
	note := h.Reason
	switch {
	case h.Condition == "":
	case h.Standing == checks.OnlyIf:
		note = h.Only
	default:
		note = joined("; ", note, "if "+h.Condition)
	}
	if h.Group != "" {
		note = joined("; ", note, "as a member of "+h.Group)
	}
	switch kind := iam.ParseMember(h.Member).Kind; {
	case len(h.Via) == 0 && (kind == iam.Group || kind == iam.Domain):
		note = joined("; ", note, "its members were not listed")
	case len(h.Via) > 0:
		note = joined("; ", note, "members: "+strings.Join(h.Via, ", "))
	}
	return note
}

// standingMarks say what a member may do.
var standingMarks = map[checks.Standing]mark{
	checks.May:    {"✓", "+", "may", good},
	checks.OnlyIf: {"!", "!", "only if", caution},
	checks.Barred: {"✗", "X", "denied", bad},
	checks.Unsure: {"?", "?", "unknown", unsure},
}

// whoPage lists who may invoke a target, what looks like a grant, and what was
// not read.
func whoPage(r checks.WhoReport, st Style) *page {
	p := &page{Title: "Who can invoke"}
	m := mark{"·", "-", "who", neutral}
	if r.Public != "" {
		m = mark{"!", "!", "public", caution}
	}
	p.add(headline{Mark: m, Label: m.Word, Text: whoHeadline(r)}, facts{
		{Name: "permission", Values: []string{r.Permission}},
		{Name: "service", Values: []string{r.Target.Service}},
		{Name: "function", Values: []string{r.Target.Function}},
		{Name: "denied", Values: []string{r.Denied}},
	})
	for _, n := range r.Notes {
		p.add(paragraph{Tone: caution, Text: "note: " + n})
	}
	p.holders("Who may invoke", r.Holders)
	p.holders("Look like a grant but are not", r.Ineffective)
	if len(r.Unread) > 0 {
		p.add(section{Title: "Not read, and could change this list"})
		p.unread(r.Unread, st.reading(checks.Verdict{}))
	}
	return p
}

// holders writes each member with the way in which it comes to the permission.
func (p *page) holders(title string, hs []checks.Holder) {
	if len(hs) == 0 {
		return
	}
	g := grid{}
	for _, h := range hs {
		m, see := standingMarks[h.Standing], ""
		if s := cites([]evidence.Source{h.Cite}); s != "" {
			see = "see " + s
		}
		g.Rows = append(g.Rows, row{Cells: []cell{{Mark: &m}, say(h.Member, h.Role+" on "+h.On, holderNote(h), see)}})
	}
	p.add(section{Title: title}, g)
}
