package report

import (
	"io"
	"strconv"
	"strings"

	"diagnose/checks"
)

// An Explanation is what is known of a check, a rule or a status, with an
// example of each side from the embedded stories.
type Explanation struct {
	Name  string // "token-audience", "401"
	Title string
	Doc   string   // what it means and why it happens, in paragraphs of lines
	First string   // what to do first, "" where the examples say it
	Logs  []string // the text that Cloud Logging has
	Place string   // "gate: token, refuses with 401"
	// Causes are the checks that lead to a status, the most likely first.
	Causes []Cause
	Wrong  Example // a story that fails at it
	Right  Example // a story that passes it
	// Repair is what makes the wrong one succeed.
	Repair     []checks.Fix
	Ref        string
	Confidence checks.Confidence
	gate       string
	refuses    string
}

// A Cause is a check that leads to a status, and a story in which it does.
type Cause struct {
	Check string `json:"check"`
	Title string `json:"title"`
	Story string `json:"story,omitempty"`
}

// An Example is one embedded story, and what is said of it. The zero Example is
// none.
type Example struct {
	Story string `json:"story"`
	Tells string `json:"tells"` // what happened
	Says  string `json:"says"`  // what the check says of it
}

// ExplainCheck is the explanation of a check or a rule.
func ExplainCheck(g checks.Gate, c checks.Check) Explanation {
	return Explanation{Name: c.ID, Title: c.Title, Doc: c.Doc, Place: place(g), Ref: c.Ref, Confidence: c.Confidence, gate: g.Name, refuses: g.Refuses}
}

// ExplainStatus is the explanation of a status.
func ExplainStatus(t checks.Topic) Explanation {
	return Explanation{Name: strconv.Itoa(t.Status), Title: t.Title, Doc: t.Doc, First: t.First, Logs: t.Logs,
		Ref: t.Ref, Confidence: t.Confidence}
}

// ExplainSaying is the explanation of a text that tells who wrote an answer.
func ExplainSaying(s checks.Saying) Explanation {
	return Explanation{Name: strconv.Quote(s.Text), Title: s.Author + " wrote this",
		Doc: "This text tells who wrote the answer: " + s.Author + ". " + capital(s.Basis) + ".", First: s.Fix, Confidence: checks.Reported}
}

func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

type wireTopic struct {
	SchemaVersion string    `json:"schemaVersion"`
	ID            string    `json:"id"` // as name
	Name          string    `json:"name"`
	Gate          string    `json:"gate,omitempty"`
	Refuses       string    `json:"refuses,omitempty"`
	Title         string    `json:"title"`
	Doc           string    `json:"doc"`
	First         string    `json:"first,omitempty"`
	Logs          []string  `json:"logs,omitempty"`
	Causes        []Cause   `json:"causes,omitempty"`
	Wrong         *Example  `json:"wrong,omitempty"`
	Right         *Example  `json:"right,omitempty"`
	Repair        []wireFix `json:"repair,omitempty"`
	Ref           string    `json:"ref"`
	Confidence    string    `json:"confidence"`
}

func topicJSON(e Explanation) wireTopic {
	out := wireTopic{SchemaVersion: schemaVersion, ID: e.Name, Name: e.Name, Gate: e.gate, Refuses: e.refuses, Title: e.Title, Doc: joinedLines(e.Doc),
		First: joinedLines(e.First), Logs: e.Logs, Causes: e.Causes, Ref: e.Ref, Confidence: e.Confidence.String()}
	if e.Wrong.Story != "" {
		out.Wrong = &e.Wrong
	}
	if e.Right.Story != "" {
		out.Right = &e.Right
	}
	for _, f := range e.Repair {
		out.Repair = append(out.Repair, fixJSON(f))
	}
	return out
}

// joinedLines makes one line of lines that are broken for reading.
func joinedLines(s string) string { return strings.Join(strings.Fields(s), " ") }

// Explain writes an explanation in a format.
func Explain(w io.Writer, format string, e Explanation, st Style) error {
	data := func() any { return topicJSON(e) }
	return emit(w, format, data, func() *page { return explanationPage(e) }, st)
}

func explanationPage(e Explanation) *page {
	p := &page{Title: e.Name}
	p.add(headline{Mark: mark{"·", "-", "explained", neutral}, Label: e.Name, Text: e.Title})
	for _, part := range strings.Split(e.Doc, ".\n") {
		p.add(paragraph{Text: strings.TrimSuffix(joinedLines(part), ".") + "."})
	}
	name, where, _ := strings.Cut(e.Place, ": ")
	p.add(facts{{Name: name, Values: []string{where}}, {Name: "log text", Values: e.Logs}, {Name: "known by", Values: []string{confidences[e.Confidence]}}})
	if e.First != "" {
		p.add(section{Title: "First"}, paragraph{Text: joinedLines(e.First)})
	}
	p.why(e)
	p.examples(e)
	if e.Ref != "" {
		p.add(links{{URL: e.Ref}})
	}
	return p
}

func (p *page) why(e Explanation) {
	if len(e.Causes) == 0 {
		return
	}
	var rows [][]string
	for _, c := range e.Causes {
		example := ""
		if c.Story != "" {
			example = "diagnose demo " + c.Story
		}
		rows = append(rows, []string{c.Check, c.Title, example})
	}
	p.add(section{Title: "Why", Note: "(the most likely first)"}, textGrid([]string{"check", "about", "example"}, rows))
}

func (p *page) examples(e Explanation) {
	for _, x := range []struct {
		title string
		Example
		tone tone
	}{{"Wrong", e.Wrong, bad}, {"Right", e.Right, good}} {
		if x.Story == "" {
			continue
		}
		p.add(section{Title: x.title}, facts{{Name: "what", Values: []string{joinedLines(x.Tells)}}, {Name: "answer", Values: []string{x.Says}, Tone: x.tone},
			{Name: "story", Values: []string{"diagnose demo " + x.Story}}})
		if x.title == "Wrong" && len(e.Repair) > 0 {
			p.add(section{Title: "Fix", Note: "(re-checked: the call then succeeds)"})
			for _, f := range e.Repair {
				p.add(list{Items: []item{{Text: f.Summary, Code: commands(shells(f.Commands)...)}}})
			}
		}
	}
}

// A Named is something that can be explained.
type Named struct {
	Name  string `json:"name"`
	Title string `json:"title"`
}

// Found lists what a word is a part of the name of.
func Found(w io.Writer, format, word string, list []Named, st Style) error {
	data := func() any {
		return struct {
			SchemaVersion string  `json:"schemaVersion"`
			Found         []Named `json:"found"`
		}{schemaVersion, list}
	}
	return emit(w, format, data, func() *page {
		p := &page{Title: word}
		rows := make([][]string, len(list))
		for i, n := range list {
			rows[i] = []string{n.Name, n.Title}
		}
		p.add(textGrid([]string{"name", "about"}, rows), links{{Command: "diagnose explain NAME"}})
		return p
	}, st)
}
