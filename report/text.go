package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/olekukonko/tablewriter"
	"github.com/olekukonko/tablewriter/pkg/twwidth"
	"github.com/olekukonko/tablewriter/renderer"
	"github.com/olekukonko/tablewriter/tw"

	"diagnose/checks"
)

// This file owns how the tool speaks to a terminal:
//
//   - the sentence that matters comes first, then what it rests on;
//   - an observed answer that the evidence does not account for comes before
//     everything else;
//   - passes are counted, not listed, and nothing is said twice;
//   - commands stand on lines of their own, unwrapped, ready to paste;
//   - a symbol never stands without its word, and colour only repeats it;
//   - everything else fits 80 columns;
//   - no capital at the start of a sentence and no period at its end.

// columns is the width of text where the style names none.
const columns = 80

// The colours, as SGR parameters.
const (
	bold = "1"
	dim  = "2"
)

type symbol struct{ sign, ascii, word, color string }

var symbols = map[checks.Outcome]symbol{
	checks.Pass:          {"√", "+", "pass", "32"},
	checks.Warn:          {"‼", "!", "warn", "33"},
	checks.Fail:          {"×", "x", "fail", "31"},
	checks.Unknown:       {"?", "?", "unknown", "36"},
	checks.NotApplicable: {"·", "-", "n/a", dim},
}

var decisionColor = map[checks.Decision]string{checks.Allowed: "1;32", checks.Denied: "1;31", checks.Undetermined: "1;33"}

// plainSigns replaces what the tool itself writes beyond ASCII.
var plainSigns = strings.NewReplacer("√", "+", "‼", "!", "×", "x", "·", "-", "–", "-", "…", "...", "\ufffd", "?")

func (st Style) width() int {
	if st.Width == 0 {
		return columns
	}
	return st.Width
}

func (st Style) paint(color, s string) string {
	if !st.Color || s == "" {
		return s
	}
	return "\x1b[" + color + "m" + s + "\x1b[0m"
}

// sign is the symbol of an outcome with its word.
func (st Style) sign(o checks.Outcome) string {
	s := symbols[o]
	if st.ASCII {
		return st.paint(s.color, s.ascii+" "+s.word)
	}
	return st.paint(s.color, s.sign+" "+s.word)
}

// A page is text under construction.
type page struct {
	strings.Builder
	st  Style
	err error // of the first table that could not be laid out
}

// para writes a wrapped paragraph, its first line behind lead and the others
// indented to it.
func (p *page) para(lead, s string) { p.painted("", lead, s) }

func (p *page) painted(color, lead, s string) {
	indent := strings.Repeat(" ", twwidth.Width(lead))
	for _, line := range wrap(p.plain(Clean(s)), p.st.width()-len(indent)) {
		if color != "" {
			line = p.st.paint(color, line)
		}
		p.WriteString(lead + line + "\n")
		lead = indent
	}
}

// fact writes a name and its value, of which an empty one is left out.
func (p *page) fact(name, value string) {
	if value == "" {
		return
	}
	p.para(p.st.paint(dim, fmt.Sprintf("%-10s ", name)), value)
}

// wrap breaks text between words. A word that is longer than a line, such as a
// URL, is broken behind one of its marks or else where the line ends.
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
		for twwidth.Width(line) > width {
			head := breakWord(line, width)
			out, line = append(out, head), line[len(head):]
		}
	}
	if line != "" || len(out) == 0 {
		out = append(out, line)
	}
	return out
}

// breakWord returns as much of a word as fits, up to a mark in its second half
// where there is one.
func breakWord(w string, width int) string {
	end := 0
	for i, r := range w {
		if next := i + len(string(r)); end == 0 || twwidth.Width(w[:next]) <= width {
			end = next
		} else {
			break
		}
	}
	if i := strings.LastIndexAny(w[:end], "/.-@?&=,:"); i > end/2 {
		return w[:i+1]
	}
	return w[:end]
}

func (p *page) head(title string) {
	p.WriteString("\n" + p.st.paint(bold, title) + "\n")
}

func (p *page) commands(indent string, cs []checks.Command) {
	for _, c := range cs {
		p.WriteString(indent + Shell(c) + "\n")
	}
}

// more names the command that explains a check.
func (p *page) more(check string) {
	if check != "" {
		p.WriteString("\nmore: diagnose explain " + Clean(check) + "\n")
	}
}

// noLines makes tablewriter align columns, and draw nothing.
var noLines = tw.Rendition{
	Borders: tw.Border{Left: tw.Off, Right: tw.Off, Top: tw.Off, Bottom: tw.Off},
	Settings: tw.Settings{
		Separators: tw.Separators{BetweenColumns: tw.Off, BetweenRows: tw.Off, ShowHeader: tw.Off, ShowFooter: tw.Off},
		Lines:      tw.Lines{ShowHeaderLine: tw.Off, ShowFooterLine: tw.Off, ShowTop: tw.Off, ShowBottom: tw.Off},
	},
}

// table lays rows out in columns. The last column is wrapped, line by line, to
// what the others leave. A header may be nil.
func (p *page) table(header []string, rows [][]string) {
	if len(rows) == 0 {
		return
	}
	last := len(rows[0]) - 1
	left := p.st.width()
	for i := range last {
		width := 0
		for _, row := range rows {
			width = max(width, twwidth.Width(row[i]))
		}
		if header != nil {
			width = max(width, twwidth.Width(header[i]))
		}
		left -= width + 2
	}
	t := tablewriter.NewTable(&p.Builder, tablewriter.WithRenderer(renderer.NewBlueprint(noLines)),
		tablewriter.WithPadding(tw.Padding{Left: "", Right: "  ", Overwrite: true}),
		tablewriter.WithRowAutoWrap(tw.WrapNone), tablewriter.WithHeaderAutoFormat(tw.Off), tablewriter.WithHeaderAutoWrap(tw.WrapNone),
		tablewriter.WithHeaderAlignment(tw.AlignLeft), tablewriter.WithRowAlignment(tw.AlignLeft), tablewriter.WithTrimLine(tw.Off))
	if header != nil {
		t.Header(header)
	}
	for _, row := range rows {
		cells := append([]string(nil), row...)
		var lines []string
		for _, l := range strings.Split(p.plain(row[last]), "\n") {
			lines = append(lines, wrap(l, left)...)
		}
		cells[last] = strings.Join(lines, "\n")
		p.fail(t.Append(cells))
	}
	p.fail(t.Render())
}

func (p *page) fail(err error) {
	if p.err == nil && err != nil {
		p.err = fmt.Errorf("laying out a table: %w", err)
	}
}

// plain spells what the tool itself writes beyond ASCII otherwise, where the
// terminal shows nothing else.
func (p *page) plain(s string) string {
	if p.st.ASCII {
		return plainSigns.Replace(s)
	}
	return s
}

// send writes the page without the padding that a table leaves at the end of
// its lines.
func (p *page) send(w io.Writer) error {
	if p.err != nil {
		return p.err
	}
	lines := strings.Split(p.String(), "\n")
	for i, l := range lines {
		lines[i] = strings.TrimRight(l, " ")
	}
	return write(w, strings.Join(lines, "\n"))
}
