package report

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"strings"
)

var (
	//go:embed page/report.html
	reportHTML string
	//go:embed page/report.css
	reportCSS string
	//go:embed page/report.js
	reportJS string
	//go:embed page/copy.js
	copyJS string

	reportTemplate = template.Must(template.New("report").Funcs(template.FuncMap{
		"kind": kind, "clean": Clean, "lines": cleanLines, "address": address.MatchString,
	}).Parse(reportHTML))
)

// kind names a block for the template.
func kind(b block) string { return strings.TrimPrefix(fmt.Sprintf("%T", b), "report.") }

// A dress is the style and the script of a page. The page needs no network: its
// policy lets only its own script run, by hash.
type dress struct {
	Style      template.CSS
	Script     template.JS
	ScriptHash string
}

// dressed is a dress whose script begins with what both pages have: how to copy.
func dressed(css, js string) dress {
	js = copyJS + js
	hash := sha256.Sum256([]byte(js))
	return dress{template.CSS(css), template.JS(js), "'sha256-" + base64.StdEncoding.EncodeToString(hash[:]) + "'"}
}

// layHTML lays a page out as one self-contained file.
func layHTML(w io.Writer, p *page, _ Style) error {
	err := reportTemplate.Execute(w, struct {
		*page
		dress
	}{p, dressed(reportCSS, reportJS)})
	if err != nil {
		return fmt.Errorf("writing the page: %w", err)
	}
	return nil
}

func cleanLines(c code) string {
	lines := make([]string, len(c.Lines))
	for i, l := range c.Lines {
		lines[i] = Clean(l)
	}
	return strings.Join(lines, "\n")
}
