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
}

func holdersJSON(hs []checks.Holder) []wireHolder {
	out := []wireHolder{}
	for _, h := range hs {
		out = append(out, wireHolder{h.Member, h.State.String(), h.Role, h.On, wireCite{h.Cite.Document, h.Cite.Pointer}, h.Condition, append([]string{}, h.Via...), h.Reason})
	}
	return out
}

// Who writes who can invoke a target, in a format.
func Who(w io.Writer, format string, r checks.WhoReport, st Style) error {
	switch format {
	case "json":
		out := wireWho{schemaVersion, wireTarget(r.Target), r.Permission, r.Public != "", r.Public, holdersJSON(r.Holders), holdersJSON(r.Ineffective), []wireAssumption{}, r.Denied, r.Complete}
		for _, a := range r.Unread {
			out.Unread = append(out.Unread, wireAssumption{a.Check, a.Text, shells(a.Gather)})
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
	name = orDash(gcp.Last(name))
	granted := 0
	for _, h := range r.Holders {
		if h.State == iam.Granted {
			granted++
		}
	}
	open := ""
	if n := len(r.Holders) - granted; n > 0 {
		open = fmt.Sprintf("; of %s it is not known", count(n, "more member"))
	}
	switch {
	case r.Public != "":
		return "anyone may invoke " + name + ": " + r.Public
	case !r.Complete:
		return "who may invoke " + name + " is not known: its own policy was not read"
	case granted == 0:
		return "the policies read let nobody invoke " + name + open
	}
	return fmt.Sprintf("%s may invoke %s%s", count(granted, "member"), name, open)
}

func holderRow(h checks.Holder) []string {
	note := h.Reason
	if h.Condition != "" {
		note = strings.TrimPrefix(note+"; if "+h.Condition, "; ")
	}
	switch kind := iam.ParseMember(h.Member).Kind; {
	case len(h.Via) == 0 && (kind == iam.Group || kind == iam.Domain):
		note = strings.TrimPrefix(note+"; its members were not listed", "; ")
	case len(h.Via) > 0:
		note = strings.TrimPrefix(note+"; members: "+strings.Join(h.Via, ", "), "; ")
	}
	return []string{h.Member, h.State.String(), h.Role, h.On, note}
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
	p.holders("holding it:", r.Holders)
	p.holders("looking like a grant, and none:", r.Ineffective)
	if len(r.Unread) > 0 {
		p.head("not read, and may grant more:")
		seen := map[string]bool{}
		for _, a := range r.Unread {
			p.para("- ", a.Text)
			p.commands("    ", unseen(a.Gather, seen))
		}
	}
	return p
}

// stateOutcomes gives the states of a grant the symbols of outcomes.
var stateOutcomes = map[iam.State]checks.Outcome{iam.Granted: checks.Pass, iam.Unknown: checks.Unknown, iam.NotGranted: checks.Fail}

// holders writes each member with the way in which it comes to the permission.
func (p *page) holders(title string, hs []checks.Holder) {
	if len(hs) == 0 {
		return
	}
	p.head(title)
	var rows [][]string
	for _, h := range hs {
		s := symbols[stateOutcomes[h.State]]
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
	rows("Look like a grant, and are none", r.Ineffective)
	if r.Denied != "" {
		fmt.Fprintf(&b, "\n### Deny policies\n\n%s\n", md(r.Denied))
	}
	if len(r.Unread) > 0 {
		b.WriteString("\n### Not read, and may grant more\n\n")
		for _, a := range r.Unread {
			fmt.Fprintf(&b, "- %s\n\n%s\n", md(a.Text), fence("sh", shells(a.Gather)...))
		}
	}
	return b.String()
}
