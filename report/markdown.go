package report

import (
	"fmt"
	"io"
	"regexp"
	"strings"
)

// escape keeps text from being read as Markdown or HTML.
var escape = strings.NewReplacer("\\", "\\\\", "`", "\\`", "*", "\\*", "_", "\\_", "<", "&lt;", ">", "&gt;",
	"[", "\\[", "]", "\\]", "|", "\\|", "#", "\\#", "~", "\\~", "$", "\\$", "&", "&amp;", "!", "\\!")

// mention is an @ that GitHub would take for the start of a name.
var mention = regexp.MustCompile(`(^|[^A-Za-z0-9])@`)

// address is a URL, which Markdown takes for one by itself, so that nothing in
// it is escaped.
var address = regexp.MustCompile(`^https://[A-Za-z0-9./#?=&%_:-]+$`)

func md(s string) string { return mention.ReplaceAllString(escape.Replace(Clean(s)), "${1}@<!-- -->") }

// fence writes a code block whose fence no line of it can close.
func fence(language string, lines ...string) string {
	ticks := "```"
	for _, l := range lines {
		for strings.Contains(l, ticks) {
			ticks += "`"
		}
	}
	return ticks + language + "\n" + strings.Join(lines, "\n") + "\n" + ticks + "\n"
}

// layMarkdown lays a page out for a ticket.
func layMarkdown(w io.Writer, p *page, _ Style) error {
	var m markdown
	m.blocks(p.Blocks, 2)
	return write(w, strings.TrimLeft(m.String(), "\n"))
}

// A markdown is text under construction.
type markdown struct{ strings.Builder }

// blocks writes each block; a section has a heading of the level below.
func (m *markdown) blocks(bs []block, level int) {
	for _, b := range bs {
		switch b := b.(type) {
		case headline:
			fmt.Fprintf(m, "\n%s %s\n", strings.Repeat("#", level), joined(" ", b.Mark.Sign, md(b.Label))+": "+md(b.Text))
		case paragraph:
			m.gap()
			m.WriteString(md(b.Text) + "\n")
		case facts:
			m.facts(b.Known())
		case section:
			fmt.Fprintf(m, "\n%s %s\n", strings.Repeat("#", level+1), md(strings.TrimSpace(b.Title+" "+b.Note)))
		case list:
			m.list(b)
		case marks:
			m.marks(b)
		case links:
			m.links(b)
		case grid:
			m.grid(b)
		case folded:
			m.blocks(append([]block{section{Title: b.Title}}, b.Blocks...), level)
		}
	}
}

func (m *markdown) gap() { m.WriteString("\n") }

func (m *markdown) facts(fs facts) {
	m.gap()
	for _, f := range fs {
		values := make([]string, len(f.Values))
		for i, v := range f.Values {
			values[i] = md(v)
		}
		fmt.Fprintf(m, "- **%s:** %s\n", md(joined(" ", f.Name, f.Of)), strings.Join(values, ", "))
	}
}

func (m *markdown) list(l list) {
	m.gap()
	for i, x := range l.Items {
		lead, indent := "- ", "  "
		if l.Numbered {
			lead = fmt.Sprintf("%d. ", i+1)
			indent = strings.Repeat(" ", len(lead))
		}
		label := ""
		if x.Label != "" {
			label = "**" + md(x.Label) + "** "
		}
		fmt.Fprintf(m, "%s%s%s\n", lead, label, md(x.Text))
		for _, n := range x.Notes {
			fmt.Fprintf(m, "\n%s%s\n", indent, md(n))
		}
		for _, c := range x.Code {
			m.code(c, indent)
		}
		if x.After != "" {
			m.WriteString(indent + md(x.After) + "\n")
		}
	}
}

// code writes a fenced block, all of it behind the indent of its item.
func (m *markdown) code(c code, indent string) {
	if c.Where != "" {
		fmt.Fprintf(m, "\n%s%s:\n", indent, md(c.Where))
	}
	m.gap()
	block := fence(c.Language, strings.Split(cleanLines(c), "\n")...)
	for _, l := range strings.SplitAfter(strings.TrimSuffix(block, "\n"), "\n") {
		m.WriteString(indent + l)
	}
	m.WriteString("\n\n")
}

func (m *markdown) marks(b marks) {
	list := make([]string, len(b.List))
	for i, n := range b.List {
		list[i] = n.Mark.Sign + " " + md(n.Name)
	}
	fmt.Fprintf(m, "\n**%s** %s\n", md(b.Title), strings.Join(list, " · "))
}

func (m *markdown) links(ls links) {
	var out []string
	for _, l := range ls {
		switch {
		case l.URL == "":
			out = append(out, "`"+strings.ReplaceAll(Clean(l.Command), "`", "'")+"`")
		case address.MatchString(l.URL):
			out = append(out, "<"+l.URL+">")
		default:
			out = append(out, md(l.URL))
		}
	}
	fmt.Fprintf(m, "\n%s\n", strings.Join(out, " · "))
}

func (m *markdown) grid(g grid) {
	if len(g.Rows) == 0 {
		return
	}
	header := g.Header
	if header == nil {
		header = make([]string, len(g.Rows[0].Cells))
	}
	fmt.Fprintf(m, "\n| %s |\n|%s\n", strings.Join(header, " | "), strings.Repeat("---|", len(header)))
	for _, r := range g.Rows {
		cells := make([]string, len(r.Cells))
		for i, c := range r.Cells {
			if cells[i] = md(orDash(c.text())); c.Mark != nil {
				cells[i] = c.Mark.Sign + " " + c.Mark.Word
			}
			if r.Tone == bad && i == 0 {
				cells[i] = "**" + cells[i] + "**"
			}
		}
		fmt.Fprintf(m, "| %s |\n", strings.Join(cells, " | "))
	}
}

func orDash(s string) string {
	if s == "" {
		return "–"
	}
	return s
}

// joined joins the parts that are not empty.
func joined(sep string, parts ...string) string {
	var out []string
	for _, p := range parts {
		if p != "" {
			out = append(out, p)
		}
	}
	return strings.Join(out, sep)
}
