package report

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/olekukonko/tablewriter"
	"github.com/olekukonko/tablewriter/pkg/twwidth"
	"github.com/olekukonko/tablewriter/renderer"
	"github.com/olekukonko/tablewriter/tw"
)

// This file owns how the tool speaks to a terminal:
//
//   - the sentence that matters comes first, then what it rests on;
//   - commands stand on lines of their own, unwrapped, ready to paste;
//   - no word is broken: an e-mail, a URL or a resource name stays whole, even
//     where it is longer than the line;
//   - a symbol never carries the meaning alone, and colour only repeats it;
//   - everything else fits the columns.

// columns is the width of text where the style names none.
const columns = 80

// The colours, as SGR parameters, after gcloud's.
const (
	bold = "1"
	dim  = "2"
)

var colors = map[tone]string{good: "32", caution: "33", bad: "31", grave: "1;31", unsure: "33", quiet: dim}

// plainSigns replaces what the tool itself writes beyond ASCII.
var plainSigns = strings.NewReplacer("✓", "+", "✗", "X", "·", "-", "–", "-", "…", "...", "→", "->", "\ufffd", "?")

func (st Style) width() int {
	if st.Width == 0 {
		return columns
	}
	return st.Width
}

func (st Style) paint(color, s string) string {
	if !st.Color || s == "" || color == "" {
		return s
	}
	return "\x1b[" + color + "m" + s + "\x1b[0m"
}

// sign is the symbol of a mark.
func (st Style) sign(m mark) string {
	if st.ASCII {
		return st.paint(colors[m.Tone], m.ASCII)
	}
	return st.paint(colors[m.Tone], m.Sign)
}

// plain makes text safe, and spells what the tool itself writes beyond ASCII
// otherwise where the terminal shows nothing else.
func (st Style) plain(s string) string {
	if s = Clean(s); st.ASCII {
		return plainSigns.Replace(s)
	}
	return s
}

// A sheet is text under construction.
type sheet struct {
	strings.Builder
	st     Style
	indent string // of what stands below a section
}

// layText lays a page out for a terminal.
func layText(w io.Writer, p *page, st Style) error {
	s := &sheet{st: st}
	if err := s.blocks(p.Blocks); err != nil {
		return err
	}
	lines := strings.Split(s.String(), "\n")
	for i, l := range lines {
		lines[i] = strings.TrimRight(l, " ") // a table leaves padding
	}
	return write(w, strings.Join(lines, "\n"))
}

func (s *sheet) blocks(bs []block) error {
	for _, b := range bs {
		switch b := b.(type) {
		case headline:
			s.headline(b)
		case paragraph:
			s.para(s.indent, s.indent, b.Text, colors[b.Tone])
		case facts:
			s.facts(b.Known())
		case section:
			s.gap()
			s.para("", "", strings.TrimSpace(b.Title+" "+b.Note), bold)
			s.indent = "  "
		case list:
			s.list(b)
		case marks:
			s.marks(b)
		case links:
			s.links(b)
		case grid:
			if err := s.grid(b); err != nil {
				return fmt.Errorf("laying out a table: %w", err)
			}
		case folded:
			if s.st.Verbose {
				if err := s.blocks(append([]block{section{Title: b.Title}}, b.Blocks...)); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// gap leaves a line empty, but not at the top.
func (s *sheet) gap() {
	if s.Len() > 0 && !strings.HasSuffix(s.String(), "\n\n") {
		s.WriteString("\n")
	}
}

// para writes a wrapped paragraph, its first line behind first and the others
// behind rest.
func (s *sheet) para(first, rest, text, color string) {
	lead := first
	for _, line := range wrap(s.st.plain(text), s.st.width()-twwidth.Width(rest)) {
		s.WriteString(lead + s.st.paint(color, line) + "\n")
		lead = rest
	}
}

func (s *sheet) headline(h headline) {
	label := s.st.plain(h.Label)
	lead := s.st.sign(h.Mark) + " " + s.st.paint(strong(h.Mark.Tone), label) + "  "
	s.para(lead, strings.Repeat(" ", 4+twwidth.Width(label)), h.Text, bold)
	s.indent = "  "
}

// strong is the colour of a tone, in bold.
func strong(t tone) string {
	if c := colors[t]; c != "" && !strings.HasPrefix(c, bold+";") {
		return bold + ";" + c
	}
	return colors[t]
}

func (s *sheet) facts(fs facts) {
	if !s.st.Verbose {
		fs = slices.DeleteFunc(fs, func(f fact) bool { return f.Detail })
	}
	name, of := 0, 0
	for _, f := range fs {
		name, of = max(name, len(f.Name)), max(of, len(f.Of))
	}
	for _, f := range fs {
		lead := s.indent + s.st.paint(dim, fmt.Sprintf("%-*s", name+2, f.Name))
		rest := strings.Repeat(" ", len(s.indent)+name+2)
		if f.Of != "" {
			lead, rest = lead+fmt.Sprintf("%-*s", of+2, f.Of), rest+strings.Repeat(" ", of+2)
		}
		for _, v := range f.Values {
			s.para(lead, rest, v, colors[f.Tone])
			lead = rest
		}
	}
}

func (s *sheet) list(l list) {
	items, rest := l.Items, 0
	if keep := max(l.Keep, 0); l.Keep != 0 && len(items) > keep && !s.st.Verbose {
		items, rest = items[:keep], len(items)-keep
	}
	for i, x := range items {
		lead, below := s.indent, s.indent
		if l.Numbered {
			lead, below = fmt.Sprintf("%s%d. ", s.indent, i+1), s.indent+"   "
		}
		hang := below
		if x.Label != "" {
			label := s.st.plain(x.Label)
			lead += s.st.paint(strong(x.Tone), label) + " "
			hang += strings.Repeat(" ", twwidth.Width(label)+1)
			below += "  "
		}
		if x.Text != "" {
			s.para(lead, hang, x.Text, "")
		}
		for _, n := range x.Notes {
			s.para(below, below, n, "")
		}
		if x.Detail && !s.st.Verbose {
			continue
		}
		for _, c := range x.Code {
			s.code(c, below+"  ")
		}
		if x.After != "" {
			s.para(below+"  ", below+"  ", x.After, dim)
		}
	}
	if rest > 0 {
		s.para(s.indent, s.indent, fmt.Sprintf("%s %d more: -v shows all", cmp.Or(l.More, "and"), rest), dim)
	}
}

// code writes lines as they are, behind a line that says what they belong in.
func (s *sheet) code(c code, indent string) {
	if c.Where != "" {
		s.para(indent, indent, c.Where+":", dim)
		indent += "  "
	}
	for _, l := range c.Lines {
		s.WriteString(indent + Clean(l) + "\n")
	}
}

// marks writes outcomes one behind the other, and breaks between them only.
func (s *sheet) marks(m marks) {
	s.gap()
	line := s.st.paint(bold, s.st.plain(m.Title))
	width := twwidth.Width(m.Title)
	put := func(plain, painted string) {
		if width+2+twwidth.Width(plain) > s.st.width() {
			s.WriteString(line + "\n")
			line, width = "", 0
		}
		line, width = line+"  "+painted, width+2+twwidth.Width(plain)
	}
	for _, n := range m.List {
		put("x "+n.Name, s.st.sign(n.Mark)+" "+s.st.plain(n.Name))
	}
	if m.Note != "" {
		put(m.Note, s.st.paint(dim, s.st.plain(m.Note)))
	}
	s.WriteString(line + "\n")
}

func (s *sheet) links(ls links) {
	if len(ls) == 0 {
		return
	}
	line := ""
	for _, l := range ls {
		one := s.st.plain(l.URL + l.Command)
		switch both := line + s.st.plain(" · ") + one; {
		case line == "":
			line = one
		case twwidth.Width(both) <= s.st.width():
			line = both
		default:
			s.WriteString(line + "\n")
			line = one
		}
	}
	s.WriteString(line + "\n")
}

// noLines makes tablewriter align columns, and draw nothing.
var noLines = tw.Rendition{
	Borders: tw.Border{Left: tw.Off, Right: tw.Off, Top: tw.Off, Bottom: tw.Off},
	Settings: tw.Settings{
		Separators: tw.Separators{BetweenColumns: tw.Off, BetweenRows: tw.Off, ShowHeader: tw.Off, ShowFooter: tw.Off},
		Lines:      tw.Lines{ShowHeaderLine: tw.Off, ShowFooterLine: tw.Off, ShowTop: tw.Off, ShowBottom: tw.Off},
	},
}

// grid lays rows out in columns. The last column is wrapped, line by line, to
// what the others leave.
func (s *sheet) grid(g grid) error {
	if len(g.Rows) == 0 {
		return nil
	}
	if g.Header != nil {
		s.gap()
	}
	rows, left := s.cells(g)
	t := tablewriter.NewTable(&s.Builder, tablewriter.WithRenderer(renderer.NewBlueprint(noLines)),
		tablewriter.WithPadding(tw.Padding{Left: "", Right: "  ", Overwrite: true}),
		tablewriter.WithRowAutoWrap(tw.WrapNone), tablewriter.WithHeaderAutoFormat(tw.Off),
		tablewriter.WithHeaderAutoWrap(tw.WrapNone), tablewriter.WithHeaderAlignment(tw.AlignLeft),
		tablewriter.WithRowAlignment(tw.AlignLeft), tablewriter.WithTrimLine(tw.Off))
	if g.Header != nil {
		t.Header(g.Header)
	}
	for _, r := range rows {
		last := len(r) - 1
		var lines []string
		for _, l := range strings.Split(r[last], "\n") {
			lines = append(lines, wrap(l, left)...)
		}
		r[last] = strings.Join(lines, "\n")
		if err := t.Append(r); err != nil {
			return err
		}
	}
	return t.Render()
}

// cells writes the cells of a grid, and says how many columns the last one
// has. A first cell in the tone of its row is painted.
func (s *sheet) cells(g grid) ([][]string, int) {
	rows := make([][]string, len(g.Rows))
	widths := make([]int, len(g.Rows[0].Cells))
	for i, h := range g.Header {
		widths[i] = twwidth.Width(h)
	}
	for i, r := range g.Rows {
		for j, c := range r.Cells {
			t := ""
			if c.Mark != nil {
				t = s.st.sign(*c.Mark) + s.st.paint(colors[c.Mark.Tone], " "+c.Mark.Word)
			} else {
				t = s.cellText(c)
				if j == 0 && r.Tone != neutral && !strings.Contains(t, "\n") {
					t = s.st.paint(colors[r.Tone], t)
				}
			}
			rows[i] = append(rows[i], t)
			widths[j] = max(widths[j], twwidth.Width(t))
		}
	}
	left := s.st.width()
	for _, w := range widths[:len(widths)-1] {
		left -= w + 2
	}
	return rows, left
}

func (s *sheet) cellText(c cell) string {
	lines := make([]string, len(c.Lines))
	for i, l := range c.Lines {
		lines[i] = s.st.plain(l)
	}
	return strings.Join(lines, "\n")
}

// wrap breaks text between words, and never inside one: a word that is longer
// than a line stands on a line of its own.
func wrap(s string, width int) []string {
	width = max(width, 16)
	var out []string
	line := ""
	for _, w := range strings.Fields(s) {
		switch {
		case line == "":
			line = w
		case twwidth.Width(line)+1+twwidth.Width(w) <= width:
			line += " " + w
		default:
			out, line = append(out, line), w
		}
	}
	return append(out, line)
}
