package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"diagnose/fixtures"
	"diagnose/internal/evidence"
	"diagnose/report"
)

// flagGroups are the parts of a command's help, in the order in which people
// look for them. A flag that none names is under "Other flags".
var flagGroups = []struct {
	title string
	flags []string
}{
	{"The call", []string{"url", "method", "header", "source", "principal", "client", "at"}},
	{"The token", []string{"token-file", "token-env", "claims", "audience", "jwks"}},
	{"The target", []string{"service", "function", "project-file", "tags"}},
	{"Who may invoke", []string{"policy", "function-policy", "ancestor-policies", "deny-policies", "roles", "groups",
		"iap-policy", "iap-settings", "service-account-policies", "indirect"}},
	{"Who calls", []string{"caller", "trigger"}},
	{"What was observed", []string{"response", "log"}},
	{"A live target", []string{"project", "region", "scope", "impersonate-service-account", "quota-project", "timeout", "read-time", "resume", "offline"}},
	{"Send the request", []string{"probe", "probe-host", "probe-body", "probe-timeout"}},
	{"What is judged", []string{"each", "export", "complete", "only-new", "target", "exclude", "var", "var-file", "config"}},
	{"Repair the sources", []string{"fix", "write"}},
	{"What fails", []string{"strict", "fail-on", "allow-unknown", "baseline", "write-baseline", "report-only"}},
	{"The report", []string{"format", "output", "color", "quiet", "verbose", "write-expectations", "help"}},
}

// helpWidth is how wide help is: no wider than a terminal of the usual size.
const helpWidth = 80

// usage writes how a command is used, with its flags in groups.
func usage(c *cobra.Command) error {
	w := c.OutOrStderr()
	fmt.Fprintf(w, "Usage:\n")
	if c.Runnable() {
		fmt.Fprintf(w, "  %s\n", c.UseLine())
	}
	if c.HasAvailableSubCommands() {
		fmt.Fprintf(w, "  %s COMMAND\n", c.CommandPath())
	}
	if c.HasExample() {
		fmt.Fprintf(w, "\nExamples:\n%s\n", c.Example)
	}
	listed(w, "Commands", c, (*cobra.Command).IsAvailableCommand)
	writeFlags(w, c)
	listed(w, "More help, by diagnose help TOPIC", c, (*cobra.Command).IsAdditionalHelpTopicCommand)
	return nil
}

// listed writes the subcommands of a kind.
func listed(w io.Writer, title string, c *cobra.Command, is func(*cobra.Command) bool) {
	for i, sub := range slices.DeleteFunc(slices.Clone(c.Commands()), func(s *cobra.Command) bool { return !is(s) }) {
		if i == 0 {
			fmt.Fprintf(w, "\n%s:\n", title)
		}
		fmt.Fprintf(w, "  %-12s %s\n", sub.Name(), sub.Short)
	}
}

// writeFlags writes the flags of a command in their groups.
func writeFlags(w io.Writer, c *cobra.Command) {
	eachGroup(c, func(title string, flags *pflag.FlagSet) {
		fmt.Fprintf(w, "\n%s:\n%s", title, flags.FlagUsagesWrapped(helpWidth))
	})
}

// eachGroup goes over the groups of a command's flags.
func eachGroup(c *cobra.Command, each func(title string, flags *pflag.FlagSet)) {
	left := map[string]*pflag.Flag{}
	add := func(f *pflag.Flag) {
		if !f.Hidden {
			left[f.Name] = f
		}
	}
	c.LocalFlags().VisitAll(add)
	c.InheritedFlags().VisitAll(add)
	for _, g := range flagGroups {
		set := pflag.NewFlagSet(g.title, pflag.ContinueOnError)
		set.SortFlags = false
		for _, name := range g.flags {
			if f := left[name]; f != nil {
				set.AddFlag(f)
				delete(left, name)
			}
		}
		if set.HasFlags() {
			each(g.title, set)
		}
	}
	rest := pflag.NewFlagSet("rest", pflag.ContinueOnError)
	for _, f := range left {
		rest.AddFlag(f)
	}
	if rest.HasFlags() {
		each("Other flags", rest)
	}
}

// documentsTopic is the help about documents: what is read, and which command
// makes it.
func documentsTopic() *cobra.Command {
	var b strings.Builder
	b.WriteString("A case is a folder, or one txtar file, with any of these documents. Each can also be\ngiven by its flag, or by name alone: " +
		"diagnose FILE... knows a document by what\nit has. What is missing is unknown.\n")
	for _, d := range evidence.Documents {
		flag := "--" + d.Flag
		if d.Flag == "request" {
			flag = "--url --method --header --source --principal --client --at"
		}
		fmt.Fprintf(&b, "\n%s  (%s)\n    %s\n", strings.Join(d.Names, ", "), flag, d.What)
		if d.Make != "" {
			fmt.Fprintf(&b, "    $ %s\n", d.Make)
		}
	}
	return &cobra.Command{Use: "documents", Short: "The documents that are read, and the commands that make them", Long: b.String()}
}

// helpCommand is the help of a command or topic. An unknown one is an error.
func helpCommand() *cobra.Command {
	return &cobra.Command{
		Use: "help [COMMAND]", Short: "Help about a command or topic",
		ValidArgsFunction: func(c *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
			var out []string
			for _, sub := range c.Root().Commands() {
				if !sub.Hidden {
					out = append(out, sub.Name()+"\t"+sub.Short)
				}
			}
			return out, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(c *cobra.Command, args []string) error {
			of, rest, err := c.Root().Find(args)
			if err != nil || of == nil || len(args) > 0 && (of == c.Root() || len(rest) == len(args)) {
				var names []string
				for _, sub := range c.Root().Commands() {
					names = append(names, sub.Name())
				}
				return hint(fmt.Errorf("there is no help about %q", strings.Join(args, " ")), near(args[0], names), "diagnose --help lists the commands",
					"diagnose explain "+args[0]+", if it is a check, a rule, a status or a log text")
			}
			of.InitDefaultHelpFlag()
			return of.Help()
		},
	}
}

// completions completes the values of flags, and the names of stories.
func completions(root *cobra.Command) {
	values := map[string][]string{"format": report.FindingFormats, "color": {"auto", "always", "never"}, "client": evidence.Clients, "fail-on": severities()}
	for _, o := range evidence.Origins {
		values["source"] = append(values["source"], string(o))
	}
	for _, c := range append(root.Commands(), root) {
		c.Flags().VisitAll(func(f *pflag.Flag) { completeFlag(c, f.Name, values[f.Name]) })
		c.PersistentFlags().VisitAll(func(f *pflag.Flag) { completeFlag(c, f.Name, values[f.Name]) })
		if name := c.Name(); name == "invoke" || name == "who" || name == "token" {
			c.ValidArgsFunction = completeCase
		}
	}
}

func completeFlag(c *cobra.Command, name string, values []string) {
	if values != nil {
		// The one error is that the flag has a function already.
		_ = c.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
	}
}

// completeCase completes the name of an embedded case, and else a file.
func completeCase(_ *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
	if begun == "" || !strings.HasPrefix(demoPrefix, begun) && !strings.HasPrefix(begun, demoPrefix) {
		return nil, cobra.ShellCompDirectiveDefault
	}
	var out []string
	for _, name := range fixtures.Names() {
		if strings.HasPrefix(demoPrefix+name, begun) {
			out = append(out, demoPrefix+name)
		}
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}
