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
	*wireBecomers
}

// wireBecomers are there where they were asked for.
type wireBecomers struct {
	Indirect       []wireBecomer    `json:"indirect,omitzero"`
	IndirectUnread []wireAssumption `json:"indirectUnread,omitzero"`
}

type wireBecomer struct {
	Member  string     `json:"member"`
	Answer  string     `json:"answer"` // may, unknown
	Message string     `json:"message"`
	Path    []wireStep `json:"path"`
}

func becomersJSON(b *checks.Becomers) *wireBecomers {
	if b == nil {
		return nil
	}
	out := &wireBecomers{Indirect: []wireBecomer{}, IndirectUnread: []wireAssumption{}}
	for _, x := range b.List {
		one := wireBecomer{Member: x.Member, Answer: checks.May.String(), Message: x.Text, Path: stepsJSON(x.Path)}
		if x.Unsure {
			one.Answer = checks.Unsure.String()
		}
		out.Indirect = append(out.Indirect, one)
	}
	for _, a := range b.Unread {
		out.IndirectUnread = append(out.IndirectUnread, wireAssumption{a.Check, a.Document, a.Text, shells(a.Gather)})
	}
	return out
}

func stepsJSON(list []checks.Step) []wireStep {
	var out []wireStep
	for _, s := range list {
		out = append(out, wireStep{s.Principal, s.Permission, s.Role, s.On})
	}
	return out
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
		wireBecomers: becomersJSON(r.Becomers),
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
	p.becomers(r.Becomers, st)
	if len(r.Unread) > 0 {
		p.add(section{Title: "Not read, and could change this list"}, unread(r.Unread, st.reading(checks.Verdict{})))
	}
	return p
}

// becomers writes who can become somebody who may invoke, with the way.
func (p *page) becomers(b *checks.Becomers, st Style) {
	if b == nil {
		return
	}
	g := grid{}
	for _, x := range b.List {
		m, lines := standingMarks[checks.May], []string{x.Text}
		if x.Unsure {
			m = standingMarks[checks.Unsure]
		}
		for _, s := range x.Path {
			lines = append(lines, stepText(s))
		}
		g.Rows = append(g.Rows, row{Cells: []cell{{Mark: &m}, say(lines...)}})
	}
	p.add(section{Title: "Who can become one that may invoke"})
	if len(b.List) == 0 {
		p.add(paragraph{Text: "nobody that the policies read name"})
	} else {
		p.add(g)
	}
	if len(b.Unread) > 0 {
		p.add(section{Title: "Not read, and could name more who can become one"})
		p.add(unread(b.Unread, st.reading(checks.Verdict{})))
	}
}

// stepText is one binding on the way.
func stepText(s checks.Step) string {
	return fmt.Sprintf("%s has %s through %s on %s", s.Principal, s.Permission, s.Role, s.On)
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
