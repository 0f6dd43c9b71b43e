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

	reportTemplate = template.Must(template.New("report").Funcs(template.FuncMap{
		"kind": kind, "clean": Clean, "lines": cleanLines, "address": address.MatchString,
	}).Parse(reportHTML))
)

// kind names a block for the template.
func kind(b block) string { return strings.TrimPrefix(fmt.Sprintf("%T", b), "report.") }

// layHTML lays a page out as one self-contained file: no network, and no
// script but its own, which copies.
func layHTML(w io.Writer, p *page, _ Style) error {
	hash := sha256.Sum256([]byte(reportJS))
	err := reportTemplate.Execute(w, struct {
		*page
		Style      template.CSS
		Script     template.JS
		ScriptHash string
	}{p, template.CSS(reportCSS), template.JS(reportJS), "'sha256-" + base64.StdEncoding.EncodeToString(hash[:]) + "'"})
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
