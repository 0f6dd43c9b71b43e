package main

import (
	"io"

	"github.com/spf13/cobra"

	"diagnose/checks"
	"diagnose/report"
)

// whoFlags are the flags of evidence that say who may invoke: nothing of one
// request, and nothing of a credential.
var whoFlags = []string{"service", "function", "policy", "function-policy", "iap-policy", "iap-settings", "ancestor-policies",
	"deny-policies", "service-account-policies", "roles", "groups", "trigger", "project-file", "tags", "log", "url", "at", "offline"}

func (a *app) whoCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "who [FILE...|CASE|TARGET]",
		Short:   "Who can invoke this service, through which binding, on which resource?",
		Example: "  diagnose who --service service.json --policy policy.json --ancestor-policies ancestors.json",
		Args:    cobra.ArbitraryArgs,
	}
	in := a.evidenceFlags(c, whoFlags...)
	in.liveFlags(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		s, err := in.snapshot(c.Context(), args)
		if err != nil {
			return err
		}
		r := checks.Who(s)
		if !r.Answered && r.Public == "" {
			a.code = exitOpen
		}
		return a.print(func(w io.Writer, st report.Style) error { return report.Who(w, a.format, r, st) })
	}
	return c
}
