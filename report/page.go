package report

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"diagnose/checks"
)

// A page is a report before it has a format: what is said, in the order in
// which a person reads it. It is built once from a result; each format lays
// the same page out in its own way.
type page struct {
	Title  string // names the page among others, where a format has a place for it
	Blocks []block
}

// A block is one element of a page: a headline, paragraph, facts, section, list,
// code, marks, grid, links or folded.
type block any

// A tone says how to take what is said. The zero tone is plain.
type tone int

// The tones.
const (
	neutral tone = iota
	good
	caution
	bad
	grave  // worse than bad
	unsure // not known
	quiet  // of little weight
)

// String names the tone, for the classes of the HTML page.
func (t tone) String() string {
	return [...]string{"neutral", "good", "caution", "bad", "grave", "unsure", "quiet"}[t]
}

// A mark is a symbol, with the word that says the same.
type mark struct {
	Sign, ASCII, Word string
	Tone              tone
}

type (
	// A headline is the sentence that can be forwarded: a mark, what was
	// answered ("401", or a word), and the cause.
	headline struct {
		Mark  mark
		Label string
		Text  string
	}
	// A paragraph is plain text.
	paragraph struct {
		Tone tone
		Text string
	}
	// Facts are names with values, aligned. One without values is left out.
	facts []fact
	fact  struct {
		Name   string
		Of     string // what the values are of: "aud"
		Values []string
		Tone   tone
		Detail bool // the table shows it only where everything is asked for
	}
	// A section begins a part of the page.
	section struct{ Title, Note string }
	// A list is of items, the most important first. The table shows the first
	// Keep of them and the number of the others, all where Keep is 0, and only
	// their number where it is negative.
	list struct {
		Numbered bool
		Items    []item
		Keep     int
		More     string // what leads to the others: "or"; "" is "and"
	}
	item struct {
		Tone  tone
		Label string // a word in front, in the tone
		Text  string
		Notes []string
		Code  []code
		After string // a note behind the code
		// Detail says that the table shows the code and what is behind it only
		// where everything is asked for.
		Detail bool
	}
	// Code is commands or a part of a file, one line a command, never wrapped.
	code struct {
		Language string // "sh", "hcl", "yaml", …
		Where    string // what it belongs in, "" for commands
		Lines    []string
	}
	// Marks are many outcomes in one line.
	marks struct {
		Title string
		List  []named
		Note  string
	}
	named struct {
		Name string
		Mark mark
	}
	// A grid is rows under a header, which may be nil. A marked row stands out.
	grid struct {
		Header []string
		Rows   []row
	}
	row struct {
		Tone  tone
		Cells []cell
	}
	// A cell is a mark, or text of one or more lines.
	cell struct {
		Mark  *mark
		Lines []string
	}
	// Links lead on: addresses and commands.
	links []link
	link  struct {
		URL     string // "" for a command
		Command string
	}
	// Folded is what the table shows only where everything is asked for.
	folded struct {
		Title  string
		Blocks []block
	}
)

func (p *page) add(bs ...block) { p.Blocks = append(p.Blocks, bs...) }

// Known returns the facts that have a value.
func (fs facts) Known() facts {
	var out facts
	for _, f := range fs {
		if f.Values = slices.DeleteFunc(slices.Clone(f.Values), func(v string) bool { return v == "" }); len(f.Values) > 0 {
			out = append(out, f)
		}
	}
	return out
}

// say is a cell of text lines, of which empty ones are left out.
func say(lines ...string) cell {
	return cell{Lines: slices.DeleteFunc(slices.Clone(lines), func(l string) bool { return l == "" })}
}

func (c cell) text() string {
	if c.Mark != nil {
		return c.Mark.Sign + " " + c.Mark.Word
	}
	return strings.Join(c.Lines, "; ")
}

// textGrid is a grid of cells of one line.
func textGrid(header []string, rows [][]string) grid {
	g := grid{Header: header}
	for _, r := range rows {
		var cells []cell
		for _, c := range r {
			cells = append(cells, cell{Lines: []string{c}})
		}
		g.Rows = append(g.Rows, row{Cells: cells})
	}
	return g
}

// commands is code of the shell.
func commands(lines ...string) []code {
	if len(lines) == 0 {
		return nil
	}
	return []code{{Language: "sh", Lines: lines}}
}

// A format is one way to write a report: a page laid out, or, where layout is
// nil, the data as JSON.
type format struct {
	name   string
	layout func(io.Writer, *page, Style) error
}

var formats = []format{{"table", layText}, {"json", nil}, {"markdown", layMarkdown}, {"html", layHTML}}

// Formats lists the formats of Invoke and the other reports.
var Formats = formatNames()

func formatNames() []string {
	out := make([]string, len(formats))
	for i, f := range formats {
		out[i] = f.name
	}
	return out
}

// emit writes a report in a format: its data, or the page built from it.
func emit(w io.Writer, name string, data func() any, build func() *page, st Style) error {
	i := slices.IndexFunc(formats, func(f format) bool { return f.name == name })
	switch {
	case i < 0:
		return CheckFormat(name, Formats)
	case formats[i].layout == nil:
		return writeJSON(w, data())
	}
	return formats[i].layout(w, build(), st)
}

// CheckFormat returns an error that lists the formats where f is none of them.
func CheckFormat(f string, formats []string) error {
	if !slices.Contains(formats, f) {
		return fmt.Errorf("unknown format %q; the formats are %s", f, strings.Join(formats, ", "))
	}
	return nil
}

// marksOf are the marks of the outcomes, in gcloud's symbols.
var marksOf = map[checks.Outcome]mark{
	checks.Pass:          {"✓", "+", "pass", good},
	checks.Warn:          {"!", "!", "warn", caution},
	checks.Fail:          {"✗", "X", "fail", bad},
	checks.Unknown:       {"?", "?", "unknown", unsure},
	checks.NotApplicable: {"·", "-", "n/a", quiet},
}

// assumed marks a question that was not checked and is taken to have its usual
// answer.
var assumed = mark{"?", "?", "assumed", unsure}

// markOf is the mark of a finding.
func markOf(f checks.Finding) mark {
	if f.Outcome == checks.Unknown && len(f.Assumes) > 0 {
		return assumed
	}
	return marksOf[f.Outcome]
}
