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
	switch format {
	case "json":
		out := wireWho{schemaVersion, wireTarget(r.Target), r.Permission, r.Public != "", r.Public, holdersJSON(r.Holders), holdersJSON(r.Ineffective), []wireAssumption{}, r.Denied, append([]string{}, r.Notes...), r.Complete}
		for _, a := range r.Unread {
			out.Unread = append(out.Unread, wireAssumption{a.Check, a.Document, a.Text, shells(a.Gather)})
		}
		return writeJSON(w, out)
	case "markdown":
		return write(w, whoMarkdown(r))
	case "html":
		return writeHTML(w, "Who can invoke", whoMarkdown(r))
	}
	return whoText(r, st).send(w)
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
	text := count(may, "member") + " may invoke " + name
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
		text += fmt.Sprintf("; %s only for some requests", count(only, "member"))
	}
	if open > 0 {
		text += fmt.Sprintf("; of %s it is not known", count(open, "more member"))
	}
	return text
}

func holderRow(h checks.Holder) []string {
	note := h.Reason
	switch {
	case h.Condition == "":
	case h.Standing == checks.OnlyIf:
		note = h.Only
	default:
		note = strings.TrimPrefix(note+"; if "+h.Condition, "; ")
	}
	if h.Group != "" {
		note = strings.TrimPrefix(note+"; as a member of "+h.Group, "; ")
	}
	switch kind := iam.ParseMember(h.Member).Kind; {
	case len(h.Via) == 0 && (kind == iam.Group || kind == iam.Domain):
		note = strings.TrimPrefix(note+"; its members were not listed", "; ")
	case len(h.Via) > 0:
		note = strings.TrimPrefix(note+"; members: "+strings.Join(h.Via, ", "), "; ")
	}
	return []string{h.Member, standingWord(h), h.Role, h.On, note}
}

// standingWord is what a member may do, in a word or two.
func standingWord(h checks.Holder) string {
	return map[checks.Standing]string{checks.May: "may", checks.OnlyIf: "only if", checks.Barred: "denied", checks.Unsure: "unknown"}[h.Standing]
}

func whoText(r checks.WhoReport, st Style) *page {
	p := &page{st: st}
	color := bold
	if r.Public != "" {
		color = symbols[checks.Warn].color
	}
	p.painted(color, "", whoHeadline(r))
	p.fact("permission", r.Permission)
	p.fact("service", r.Target.Service)
	p.fact("function", r.Target.Function)
	p.fact("denied", r.Denied)
	for _, n := range r.Notes {
		p.para("! ", n)
	}
	p.holders("who may invoke:", r.Holders)
	p.holders("look like a grant but are not:", r.Ineffective)
	if len(r.Unread) > 0 {
		p.head("not read, and could change this list:")
		seen := map[string]bool{}
		for _, a := range r.Unread {
			p.para("- ", a.Text)
			p.commands("    ", unseen(a.Gather, seen))
		}
	}
	return p
}

// standingOutcomes gives what a member may do the symbols of outcomes.
var standingOutcomes = map[checks.Standing]checks.Outcome{
	checks.May: checks.Pass, checks.OnlyIf: checks.Warn, checks.Barred: checks.Fail, checks.Unsure: checks.Unknown,
}

// holders writes each member with the way in which it comes to the permission.
func (p *page) holders(title string, hs []checks.Holder) {
	if len(hs) == 0 {
		return
	}
	p.head(title)
	var rows [][]string
	for _, h := range hs {
		s := symbols[standingOutcomes[h.Standing]]
		sign := s.sign
		if p.st.ASCII {
			sign = s.ascii
		}
		row := holderRow(h)
		text := Clean(row[0]) + "\n" + Clean(row[2]+" on "+row[3])
		if row[4] != "" {
			text += "\n" + Clean(row[4])
		}
		if see := cites([]evidence.Source{h.Cite}); see != "" {
			text += "\nsee " + Clean(see)
		}
		rows = append(rows, []string{p.st.paint(s.color, sign+" "+row[1]), text})
	}
	p.table(nil, rows)
}

func whoMarkdown(r checks.WhoReport) string {
	var b strings.Builder
	fmt.Fprintf(&b, "## %s\n\n", md(whoHeadline(r)))
	rows := func(title string, hs []checks.Holder) {
		if len(hs) == 0 {
			return
		}
		if title != "" {
			fmt.Fprintf(&b, "\n### %s\n\n", title)
		}
		b.WriteString("| member | state | role | on | note |\n|---|---|---|---|---|\n")
		for _, h := range hs {
			row := holderRow(h)
			for i := range row {
				row[i] = md(orDash(row[i]))
			}
			fmt.Fprintf(&b, "| %s |\n", strings.Join(row, " | "))
		}
	}
	rows("", r.Holders)
	rows("Look like a grant but are not", r.Ineffective)
	if r.Denied != "" {
		fmt.Fprintf(&b, "\n### Deny policies\n\n%s\n", md(r.Denied))
	}
	if len(r.Unread) > 0 {
		b.WriteString("\n### Not read, and could change this list\n\n")
		for _, a := range r.Unread {
			fmt.Fprintf(&b, "- %s\n\n%s\n", md(a.Text), fence("sh", shells(a.Gather)...))
		}
	}
	return b.String()
}
