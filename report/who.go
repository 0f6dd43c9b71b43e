package report

import (
	"fmt"
	"io"
	"strings"

	"diagnose/checks"
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
	name = orDash(name[strings.LastIndexByte(name, '/')+1:])
	switch {
	case r.Public != "":
		return "anyone may invoke " + name + ": " + r.Public
	case len(r.Holders) == 0 && r.Complete:
		return "nobody that the evidence names may invoke " + name
	case !r.Complete:
		return "who may invoke " + name + " is not known: its own policy was not read"
	}
	return fmt.Sprintf("%s may invoke %s", count(len(r.Holders), "member"), name)
}

func holderRow(h checks.Holder) []string {
	note := h.Reason
	if h.Condition != "" {
		note = strings.TrimPrefix(note+"; if "+h.Condition, "; ")
	}
	if len(h.Via) > 0 {
		note = strings.TrimPrefix(note+"; members: "+strings.Join(h.Via, ", "), "; ")
	}
	return []string{h.Member, h.State.String(), h.Role, h.On, note}
}

func whoText(r checks.WhoReport, st Style) *page {
	p := &page{st: st}
	p.para("", whoHeadline(r))
	p.holders("", r.Holders)
	if len(r.Ineffective) > 0 {
		p.head("look like a grant, and are none")
		p.holders("", r.Ineffective)
	}
	if r.Denied != "" {
		p.head("deny policies")
		p.para("  ", r.Denied)
	}
	if len(r.Unread) > 0 {
		p.head("not read, and may grant more")
		for _, a := range r.Unread {
			p.para("- ", a.Text)
			p.commands("    ", a.Gather)
		}
	}
	return p
}

// holders writes a line for each member and, indented, how it comes to it.
func (p *page) holders(indent string, hs []checks.Holder) {
	for _, h := range hs {
		row := holderRow(h)
		o := map[iam.State]checks.Outcome{iam.Granted: checks.Pass, iam.Unknown: checks.Unknown, iam.NotGranted: checks.Fail}[h.State]
		p.para(indent+p.st.sign(o)+" ", row[0])
		p.para(indent+"    ", fmt.Sprintf("%s: %s on %s [%s%s]", row[1], row[2], row[3], h.Cite.Document, h.Cite.Pointer))
		if row[4] != "" {
			p.para(indent+"    ", row[4])
		}
	}
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
