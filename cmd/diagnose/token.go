package main

import (
	"bytes"
	"errors"
	"io"
	"os"

	"cloud.google.com/go/run/apiv2/runpb"
	"github.com/spf13/cobra"

	"diagnose/checks"
	"diagnose/internal/credential"
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
	c.RunE = func(c *cobra.Command, args []string) (err error) {
		if len(args) == 1 {
			if len(*in.documents["token-file"]) > 0 {
				return errors.New("the token is given twice: as an argument and with --token-file")
			}
			if args, err = in.tokenArgument(args); err != nil {
				return err
			}
		}
		s, err := in.snapshot(c.Context(), args)
		if errors.Is(err, errNoInput) {
			return hint(errors.New("no token was given"), "gcloud auth print-identity-token | diagnose token -", "diagnose token token.jwt")
		}
		if err != nil {
			return err
		}
		t, ok := tokenOf(s)
		if !ok {
			return errors.New("no token was given: name a file, -, --token-env or --claims")
		}
		s.Token = evidence.Known(t, s.Token.Source)
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

// tokenArgument reads the argument of the command. One that shows a request is
// a document, and every other is the token.
func (in *input) tokenArgument(args []string) ([]string, error) {
	if args[0] == "-" {
		g, err := in.app.readInput()
		if err != nil {
			return nil, err
		}
		in.app.Stdin = bytes.NewReader(g.Data) // it is read again as what it is
		if showsRequest(g.Data) {
			return args, nil
		}
	} else if data, err := os.ReadFile(args[0]); err == nil && showsRequest(data) {
		return args, nil
	}
	*in.documents["token-file"] = args
	return nil, nil
}

// showsRequest reports whether a document shows a request that was sent, or
// the claims of a token.
func showsRequest(data []byte) bool {
	flag, err := evidence.Recognize(data)
	return err == nil && (flag == "request" || flag == "response" || flag == "claims")
}

// tokenOf is the credential that was given, or else the one that a request
// shows.
func tokenOf(s evidence.Snapshot) (credential.Credential, bool) {
	if t, ok := s.Token.Get(); ok {
		return t, true
	}
	sel := credential.FromHeaders(s.Request.Or(evidence.Request{}).Headers)
	return sel.Credential, sel.Header != "" && !sel.Redacted
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
