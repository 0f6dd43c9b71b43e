package report

import (
	"fmt"
	"strings"

	"diagnose/checks"
)

// escape keeps text from being read as Markdown or HTML.
var escape = strings.NewReplacer("\\", "\\\\", "`", "\\`", "*", "\\*", "_", "\\_", "<", "&lt;", ">", "&gt;", "[", "\\[", "]", "\\]", "|", "\\|", "#", "\\#", "@", "&#64;")

func md(s string) string { return escape.Replace(Clean(s)) }

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
	if v.Expected != nil {
		fmt.Fprintf(&b, "- **Expected:** %s\n", md(answerWord(v.Expected)+suffix(v.Expected)))
	}
	b.WriteString("\n| gate | check | outcome | finding |\n|---|---|---|---|\n")
	for _, f := range v.Findings {
		if f.Outcome != checks.NotApplicable {
			fmt.Fprintf(&b, "| %s | %s | %s %s | %s |\n", f.Gate, f.Check, symbols[f.Outcome].sign, symbols[f.Outcome].word, md(f.Message))
		}
	}
	markdownFixes(&b, v)
	if len(v.Assumptions) > 0 {
		b.WriteString("\n### Assumed\n\n")
		for _, a := range v.Assumptions {
			fmt.Fprintf(&b, "- %s\n", md(a.Text))
			if len(a.Gather) > 0 {
				b.WriteString("\n" + fence("sh", shells(a.Gather)...) + "\n")
			}
		}
	}
	if v.Observed != nil && len(v.Observed.Explanations) > 0 {
		b.WriteString("\n### What would explain the answer\n\n")
		for i, e := range v.Observed.Explanations {
			fmt.Fprintf(&b, "%d. %s (%s)\n", i+1, md(e.Text), e.Check)
		}
	}
	return b.String()
}

func orDash(s string) string {
	if s == "" {
		return "–"
	}
	return s
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
		if x.Terraform != "" {
			lines := strings.Split(x.Terraform, "\n")
			for i := range lines {
				lines[i] = Clean(lines[i])
			}
			b.WriteString(fence("hcl", lines...) + "\n")
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
				one(x, effectWords[x.Effect])
			}
		}
	}
}
