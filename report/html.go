package report

import (
	"html/template"
	"io"
	"strings"
)

// pageTemplate is one self-contained page: no script, no network.
var pageTemplate = template.Must(template.New("page").Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{{.Title}}</title><style>
:root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse;width:100%}td,th{text-align:left;vertical-align:top;padding:.3rem .6rem;border-bottom:1px solid #8884}td:not(:last-child){white-space:nowrap}
pre{background:#8882;padding:.7rem;overflow-x:auto;border-radius:.4rem}h2{margin-top:0}
</style></head><body>{{range .Blocks}}{{if .Head}}<h{{.Level}}>{{.Head}}</h{{.Level}}>{{else if .Code}}<pre>{{.Code}}</pre>{{else if .Rows}}<table>{{range $i, $r := .Rows}}<tr>{{range $r}}{{if $i}}<td>{{.}}</td>{{else}}<th>{{.}}</th>{{end}}{{end}}</tr>{{end}}</table>{{else if .Items}}<ul>{{range .Items}}<li>{{.}}</li>{{end}}</ul>{{else}}<p>{{.Text}}</p>{{end}}{{end}}</body></html>
`))

// A block is one element of a page.
type block struct {
	Head  string
	Level int
	Text  string
	Code  string
	Items []string
	Rows  [][]string
}

var unescape = strings.NewReplacer("@<!-- -->", "@", "&amp;", "&", "\\~", "~", "\\$", "$", "\\!", "!", "\\\\", "\\", "\\`", "`", "\\*", "*", "\\_", "_", "&lt;", "<", "&gt;", ">", "\\[", "[", "\\]", "]", "\\|", "|", "\\#", "#", "**", "")

// writeHTML renders the Markdown of this package, and only that, as a page.
// Text is escaped by the template.
func writeHTML(w io.Writer, title, markdown string) error {
	var blocks []block
	last := func() *block {
		if len(blocks) == 0 {
			blocks = append(blocks, block{})
		}
		return &blocks[len(blocks)-1]
	}
	code := ""
	for _, line := range strings.Split(markdown, "\n") {
		switch {
		case code != "" && line == code:
			code = ""
		case code != "":
			last().Code += line + "\n"
		case strings.HasPrefix(line, "```"):
			code = line[:strings.LastIndexByte(line, '`')+1]
			blocks = append(blocks, block{})
		case strings.HasPrefix(line, "#"):
			level := len(line) - len(strings.TrimLeft(line, "#"))
			blocks = append(blocks, block{Head: unescape.Replace(strings.TrimSpace(line[level:])), Level: level})
		case strings.HasPrefix(line, "|---"):
		case strings.HasPrefix(line, "| "):
			if last().Rows == nil {
				blocks = append(blocks, block{})
			}
			cells := strings.Split(strings.Trim(line, "| "), " | ")
			for i := range cells {
				cells[i] = unescape.Replace(cells[i])
			}
			last().Rows = append(last().Rows, cells)
		case strings.HasPrefix(line, "- "), len(line) > 2 && line[0] >= '1' && line[0] <= '9' && strings.HasPrefix(line[1:], ". "):
			if last().Items == nil {
				blocks = append(blocks, block{})
			}
			_, item, _ := strings.Cut(line, " ")
			last().Items = append(last().Items, unescape.Replace(item))
		case strings.TrimSpace(line) != "":
			blocks = append(blocks, block{Text: unescape.Replace(line)})
		}
	}
	return pageTemplate.Execute(w, struct {
		Title  string
		Blocks []block
	}{title, blocks})
}
