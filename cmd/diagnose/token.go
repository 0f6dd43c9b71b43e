package main

import (
	"errors"
	"io"

	"cloud.google.com/go/run/apiv2/runpb"
	"github.com/spf13/cobra"

	"diagnose/checks"
	"diagnose/internal/evidence"
	"diagnose/internal/gcp"
	"diagnose/report"
)

func (a *app) tokenCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "token [FILE|-]",
		Short: "What is this token, is it acceptable to Cloud Run, for which audience?",
		Example: `  gcloud auth print-identity-token | diagnose token -
  diagnose token token.jwt --audience https://orders-ab12cd34ef-ew.a.run.app --jwks google`,
		Args: cobra.MaximumNArgs(1),
	}
	in := a.evidenceFlags(c)
	audience := c.Flags().String("audience", "", "the `URL` or custom audience that the token must be for")
	c.RunE = func(c *cobra.Command, args []string) error {
		if len(args) == 1 {
			if *in.documents["token-file"] != "" {
				return errors.New("the token is given twice: as an argument and with --token-file")
			}
			*in.documents["token-file"] = args[0]
		}
		s, err := in.snapshot(c.Context(), nil)
		if errors.Is(err, errNoInput) {
			return hint(errors.New("no token was given"), "gcloud auth print-identity-token | diagnose token -", "diagnose token token.jwt")
		}
		if err != nil {
			return err
		}
		t, ok := s.Token.Get()
		if !ok {
			return errors.New("no token was given: name a file, -, --token-env or --claims")
		}
		if *audience != "" {
			if s, err = accepting(s, *audience); err != nil {
				return err
			}
		}
		v := checks.JudgeToken(onlyToken(s), s.Service.Known() || s.Function.Known() || s.Request.Or(evidence.Request{}).URL != nil)
		a.code = exitOf(v.Decision)
		return a.print(func(w io.Writer, st report.Style) error {
			return report.Token(w, a.format, t, v, s.Now, st)
		})
	}
	return c
}

// accepting returns the evidence of a service that accepts an audience: one at
// a URL of Google's, or else one with a custom audience.
func accepting(s evidence.Snapshot, audience string) (evidence.Snapshot, error) {
	if s.Service.Known() || s.Function.Known() {
		return s, errors.New("--audience is for a token alone: a service or function names the audiences that it accepts itself")
	}
	var r evidence.Request
	if err := r.SetURL(audience); err == nil {
		if gcp.ParseHost(r.URL.Host).FrontEnd() {
			s.Request = evidence.Known(r, evidence.Source{Document: "--audience"})
			return s, nil
		}
	}
	s.Service = evidence.Known(&runpb.Service{CustomAudiences: []string{audience}}, evidence.Source{Document: "--audience"})
	return s, nil
}

// onlyToken keeps the request's headers out of a question about the token.
func onlyToken(s evidence.Snapshot) evidence.Snapshot {
	if r, ok := s.Request.Get(); ok {
		r.Headers, r.Principal = nil, ""
		s.Request = evidence.Known(r, s.Request.Source)
	}
	return s
}
