package main

import (
	"io"

	"github.com/spf13/cobra"

	"diagnose/checks"
	"diagnose/checks/rules"
	"diagnose/report"
)

// whoFlags are the flags of evidence that say who may invoke: nothing of one
// request, and nothing of a credential.
var whoFlags = []string{"service", "function", "policy", "function-policy", "iap-policy", "iap-settings", "ancestor-policies",
	"deny-policies", "service-account-policies", "roles", "groups", "trigger", "project-file", "tags", "log", "url", "at", "offline"}

func (a *app) whoCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "who [FILE...|CASE|TARGET]",
		Short: "Who can invoke this service, through which binding, on which resource?",
		Example: "  diagnose who --service service.json --policy policy.json --ancestor-policies ancestors.json\n" +
			"  diagnose who --indirect case/",
		Args: cobra.ArbitraryArgs,
	}
	in := a.evidenceFlags(c, whoFlags...)
	in.liveFlags(c)
	indirect := c.Flags().Bool("indirect", false, "also who can become somebody who may invoke, by the policies of service accounts and above")
	c.RunE = func(c *cobra.Command, args []string) error {
		s, err := in.snapshot(c.Context(), args)
		if err != nil {
			return err
		}
		r := checks.Who(s)
		if *indirect {
			b := rules.Become(s)
			r.Becomers = &b
			if len(b.List) == 0 && len(b.Unread) > 0 {
				a.code = exitOpen
			}
		}
		if !r.Answered && r.Public == "" {
			a.code = exitOpen
		}
		return a.print(func(w io.Writer, st report.Style) error { return report.Who(w, a.format, r, st) })
	}
	return c
}
