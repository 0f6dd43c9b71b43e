package report

import (
	"fmt"
	"regexp"
	"strings"

	"diagnose/checks"
)

// escape keeps text from being read as Markdown or HTML.
var escape = strings.NewReplacer("\\", "\\\\", "`", "\\`", "*", "\\*", "_", "\\_", "<", "&lt;", ">", "&gt;", "[", "\\[", "]", "\\]", "|", "\\|", "#", "\\#", "~", "\\~", "$", "\\$", "&", "&amp;", "!", "\\!")

// mention is an @ that GitHub would take for the start of a name.
var mention = regexp.MustCompile(`(^|[^A-Za-z0-9])@`)

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

// markdown writes a verdict for a ticket.
func markdown(v checks.Verdict) string {
	var b strings.Builder
	fmt.Fprintf(&b, "## %s: %s\n\n", v.Decision, md(v.Headline()))
	if o := v.Observed; o != nil {
		fmt.Fprintf(&b, "- **Observed:** %s\n", md(observed(*o, v.Expected)))
	}
	fmt.Fprintf(&b, "- **Target:** %s\n- **Principal:** %s\n- **Basis:** %s\n", md(orDash(v.Target.URL)), md(orDash(v.Principal)), v.Basis)
	if at := judgedAt(v.JudgedAt); at != "" {
		fmt.Fprintf(&b, "- **Judged:** %s\n", md(at))
	}
	if v.Expected != nil {
		fmt.Fprintf(&b, "- **Expected:** %s\n", md(answerWord(v.Expected)+suffix(v.Expected)))
	}
	if v.NoRepair != "" {
		fmt.Fprintf(&b, "- **Repair:** none: %s\n", md(v.NoRepair))
	}
	b.WriteString("\n| gate | check | outcome | finding |\n|---|---|---|---|\n")
	for _, f := range v.Findings {
		if f.Outcome != checks.NotApplicable {
			fmt.Fprintf(&b, "| %s | %s | %s %s | %s |\n", f.Gate, f.Check, symbols[f.Outcome].sign, symbols[f.Outcome].word, md(f.Message))
		}
	}
	if next := openCommands(v); len(next) > 0 {
		b.WriteString("\n### To be read next\n\n" + fence("sh", shells(next)...))
	}
	markdownFixes(&b, v)
	if len(v.Assumptions) > 0 {
		b.WriteString("\n### Assumed\n\n")
	}
	seen := map[string]bool{}
	for _, a := range v.Assumptions {
		markdownItem(&b, a.Text, unseen(a.Gather, seen))
	}
	if v.Observed != nil && len(v.Observed.Explanations) > 0 {
		b.WriteString("\n### What would explain the observed answer\n\n")
		for _, e := range v.Observed.Explanations {
			markdownItem(&b, explanation(e), unseen(e.Gather, seen))
		}
	}
	return b.String()
}

func markdownItem(b *strings.Builder, text string, cs []checks.Command) {
	fmt.Fprintf(b, "- %s\n", md(text))
	if len(cs) > 0 {
		b.WriteString("\n" + fence("sh", shells(cs)...) + "\n")
	}
}

func orDash(s string) string {
	if s == "" {
		return "–"
	}
	return s
}

// cleanLines makes each line of a text safe to print.
func cleanLines(text string) []string {
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = Clean(lines[i])
	}
	return lines
}

func markdownFixes(b *strings.Builder, v checks.Verdict) {
	written := map[string]bool{}
	one := func(x checks.Fix, label string) {
		if written[x.ID] {
			return
		}
		written[x.ID] = true
		fmt.Fprintf(b, "**%s** (%s)\n\n", md(x.Summary), label)
		if len(x.Commands) > 0 {
			b.WriteString(fence("sh", shells(x.Commands)...) + "\n")
		}
		for _, s := range x.Snippets {
			fmt.Fprintf(b, "%s:\n\n%s\n", md(s.Where), fence(s.Language, cleanLines(s.Text)...))
		}
		if x.Terraform != "" {
			b.WriteString(fence("hcl", cleanLines(x.Terraform)...) + "\n")
		}
		if x.Caution != "" {
			fmt.Fprintf(b, "%s\n\n", md(x.Caution))
		}
	}
	title := "\n### Repair\n\n"
	for _, id := range v.Repair {
		if x, ok := v.Fix(id); ok {
			b.WriteString(title)
			title = ""
			one(x, "makes it succeed")
		}
	}
	title = "\n### Other fixes\n\n"
	for _, f := range v.Findings {
		if f.Outcome != checks.Fail && f.Outcome != checks.Unknown {
			continue
		}
		for _, x := range f.Fixes {
			if !written[x.ID] {
				b.WriteString(title)
				title = ""
				one(x, md(effectWord(x)))
			}
		}
	}
}
