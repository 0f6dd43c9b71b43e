package main

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"diagnose/checks"
	"diagnose/checks/rules"
	"diagnose/internal/config"
	"diagnose/internal/evidence"
	"diagnose/internal/gather"
	"diagnose/report"
)

var update = flag.Bool("update", false, "rewrite what the documentation takes from the program")

// written compares a file with what it should hold, or writes it.
func written(t *testing.T, file, want string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("%s is not what the program says; go test ./cmd/diagnose -run %s -update rewrites it (-want +got):\n%s", file, t.Name(), diff)
	}
}

// TestSchema keeps the schema of the configuration, which editors read.
func TestSchema(t *testing.T) {
	schema, err := config.Schema(configNames())
	if err != nil {
		t.Fatal(err)
	}
	written(t, "../../docs/diagnose.schema.json", string(schema))
}

var section = regexp.MustCompile(`(?ms)^<!-- (\w+) -->$.*?^<!-- end -->$`)

// TestTables compares the tables of documents with what the program reads and
// asks for.
func TestTables(t *testing.T) {
	for file, table := range map[string]func() string{"documents.md": memberTable, "live.md": permissionTable} {
		data, err := os.ReadFile("../../docs/" + file)
		if err != nil {
			t.Fatal(err)
		}
		found := 0
		text := section.ReplaceAllStringFunc(string(data), func(block string) string {
			found++
			return "<!-- " + section.FindStringSubmatch(block)[1] + " -->\n" + table() + "<!-- end -->"
		})
		if found != 1 {
			t.Errorf("%s has %d tables that are written by this test, want 1", file, found)
		}
		written(t, "../../docs/"+file, text)
	}
}

func memberTable() string {
	var b strings.Builder
	b.WriteString("| member | flag | made by |\n|---|---|---|\n")
	for _, m := range evidence.Documents {
		made, flag := "", "`--"+m.Flag+"`"
		if m.Make != "" {
			made = "`" + strings.ReplaceAll(m.Make, "|", `\|`) + "`"
		}
		if m.Flag == "request" {
			flag = "`--url --method --header --source --principal --client --at`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", strings.Join(m.Names, "`, `"), flag, made)
	}
	return b.String()
}

func permissionTable() string {
	var b strings.Builder
	b.WriteString("| permission | role | on | without it |\n|---|---|---|---|\n")
	for _, m := range gather.Methods() {
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", m.Permission, m.Role, m.On, m.Without)
	}
	return b.String()
}

// TestChecksDocument compares docs/checks.md with the checks.
func TestChecksDocument(t *testing.T) {
	var b strings.Builder
	b.WriteString("# Checks\n\nThe gates of `diagnose invoke`, in the order of the request, and the questions of each, with a story in which it fails and one in which it passes. [Statuses](statuses.md) starts from what the caller sees.\n")
	for _, g := range checks.Path() {
		fmt.Fprintf(&b, "\n## %s\n", g.Name)
		if g.Refuses != "" && g.Refuses != "–" {
			fmt.Fprintf(&b, "\nRefuses with %s.\n", g.Refuses)
		}
		for _, c := range g.Checks {
			fmt.Fprintf(&b, "\n### %s: %s\n\n%s\n\n", c.ID, c.Title, c.Doc)
			e := explainCheck(g, c)
			for _, x := range []struct {
				word string
				report.Example
			}{{"Wrong", e.Wrong}, {"Right", e.Right}} {
				if x.Story != "" {
					fmt.Fprintf(&b, "- %s: %s `diagnose demo %s`\n", x.word, oneLine(x.Tells), x.Story)
				}
			}
			fmt.Fprintf(&b, "\nKnown by: %s. Source: <%s>\n", c.Confidence, c.Ref)
		}
	}
	written(t, "../../docs/checks.md", strings.ReplaceAll(b.String(), "\n\n\n", "\n\n"))
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// TestStatusesDocument compares docs/statuses.md with what explain says.
func TestStatusesDocument(t *testing.T) {
	var b strings.Builder
	b.WriteString("# Statuses\n\nWhat a caller sees, who answers it, and why. `diagnose explain STATUS` prints the same.\n")
	for _, topic := range checks.Topics() {
		b.WriteString("\n")
		if err := report.Explain(&b, "markdown", explainStatus(topic), report.Style{}); err != nil {
			t.Fatal(err)
		}
	}
	written(t, "../../docs/statuses.md", strings.ReplaceAll(b.String(), "## · ", "## "))
}

// TestRulesDocument compares docs/rules.md with the rules.
func TestRulesDocument(t *testing.T) {
	var b strings.Builder
	b.WriteString("# Rules\n\nWhat `diagnose gate` and `diagnose scan` find. Each is decided by what a binding really grants, not by the name of its role or member.\n\n| rule | severity | finds |\n|---|---|---|\n")
	for _, r := range rules.Rules() {
		fmt.Fprintf(&b, "| [%s](#%s) | %s | %s |\n", r.ID, r.ID, r.Severity, r.Title)
	}
	for _, r := range rules.Rules() {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\nKnown by: %s. Source: <%s>\n", r.ID, r.Doc, r.Confidence, r.Ref)
	}
	written(t, "../../docs/rules.md", b.String())
}
