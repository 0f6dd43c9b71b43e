package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// manCommand prints a page for man, of the program or of one command.
func (a *app) manCommand() *cobra.Command {
	return &cobra.Command{
		Use: "man [COMMAND]", Short: "A page for man, of the program or of one command",
		Example: "  diagnose man | man -l -\n  diagnose man invoke > diagnose-invoke.1",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			of, rest, err := c.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return fmt.Errorf("there is no command %q", args[0])
			}
			return manPage(a.Stdout, of)
		},
	}
}

// manPage writes a command as a page of section 1.
func manPage(w io.Writer, c *cobra.Command) error {
	var b strings.Builder
	name := strings.ReplaceAll(c.CommandPath(), " ", "-")
	fmt.Fprintf(&b, ".TH %s 1 \"\" \"diagnose %s\"\n.SH NAME\n%s \\- %s\n", strings.ToUpper(name), release(), name, roff(c.Short))
	fmt.Fprintf(&b, ".SH SYNOPSIS\n.B %s\n", roff(c.UseLine()))
	if c.Long != "" {
		fmt.Fprintf(&b, ".SH DESCRIPTION\n.nf\n%s\n.fi\n", roff(c.Long))
	}
	if c.HasExample() {
		fmt.Fprintf(&b, ".SH EXAMPLES\n.nf\n%s\n.fi\n", roff(c.Example))
	}
	if c.HasAvailableSubCommands() {
		b.WriteString(".SH COMMANDS\n")
		for _, sub := range c.Commands() {
			if sub.IsAvailableCommand() {
				fmt.Fprintf(&b, ".TP\n.B %s\n%s\n", roff(sub.Name()), roff(sub.Short))
			}
		}
	}
	b.WriteString(".SH OPTIONS\n")
	eachGroup(c, func(title string, flags *pflag.FlagSet) {
		fmt.Fprintf(&b, ".SS %s\n", roff(title))
		flags.VisitAll(func(f *pflag.Flag) {
			value, usage := pflag.UnquoteUsage(f)
			short := ""
			if f.Shorthand != "" {
				short = "\\-" + f.Shorthand + ", "
			}
			fmt.Fprintf(&b, ".TP\n.B %s\\-\\-%s %s\n%s\n", short, roff(f.Name), roff(value), roff(usage))
		})
	})
	b.WriteString(".SH EXIT STATUS\n0 allowed or nothing found, 1 denied or findings, 2 bad usage or unreadable input, 3 no answer.\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// roff makes text of a man page: no line of it is taken as a request.
func roff(s string) string {
	lines := strings.Split(strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(s), "\n")
	for i, l := range lines {
		if strings.HasPrefix(l, ".") || strings.HasPrefix(l, "'") {
			lines[i] = `\&` + l
		}
	}
	return strings.Join(lines, "\n")
}
