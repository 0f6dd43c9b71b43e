package main

import (
	"errors"
	"io"

	"github.com/spf13/cobra"

	"diagnose/checks"
	"diagnose/report"
)

func (a *app) invokeCommand() *cobra.Command {
	var opts checks.Options
	c := &cobra.Command{
		Use:   "invoke [FILE...|CASE|TARGET]",
		Short: "Would this invocation succeed or fail, why, and what repairs it?",
		Example: `  diagnose invoke service.yaml policy.yaml token.jwt
  diagnose invoke curl.txt answer.http
  diagnose invoke case/
  diagnose invoke --service service.json --policy policy.json --token-file token.jwt
  diagnose invoke --service service.json --policy policy.json --principal serviceAccount:a@p.iam.gserviceaccount.com
  diagnose invoke --response answer.http
  diagnose invoke orders --region europe-west1 --token-file token.jwt
  diagnose invoke https://orders-ab12cd34ef-ew.a.run.app/ --token-env TOKEN --probe`,
		Args: cobra.ArbitraryArgs,
	}
	in := a.evidenceFlags(c)
	in.liveFlags(c)
	in.probeFlags(c)
	c.Flags().BoolVar(&opts.Strict, "strict", false, "accept no assumption: answer undetermined instead")
	each := c.Flags().String("each", "", "judge each case in this `FOLDER` or .ndjson file, and write one line of JSON for each")
	c.RunE = func(c *cobra.Command, args []string) error {
		if *each != "" {
			if len(args) > 0 || in.any() {
				return errors.New("--each names all that is judged: give no other evidence with it")
			}
			return a.each(c.Context(), *each, opts)
		}
		s, err := in.snapshot(c.Context(), args)
		if err != nil {
			return err
		}
		if s, err = in.probe(c.Context(), s); err != nil {
			return err
		}
		opts.Stop = func() bool { return c.Context().Err() != nil }
		v := checks.Judge(s, opts)
		if err := c.Context().Err(); err != nil {
			return err
		}
		a.code = in.send.exit(v)
		return a.print(func(w io.Writer, st report.Style) error { return report.Invoke(w, a.format, v, st) })
	}
	return c
}

func exitOf(d checks.Decision) int {
	switch d {
	case checks.Allowed:
		return exitAllowed
	case checks.Denied:
		return exitDenied
	}
	return exitOpen
}
