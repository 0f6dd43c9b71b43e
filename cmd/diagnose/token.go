package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"strings"

	"cloud.google.com/go/run/apiv2/runpb"
	"github.com/spf13/cobra"

	"diagnose/checks"
	"diagnose/internal/bounded"
	"diagnose/internal/credential"
	"diagnose/internal/evidence"
	"diagnose/internal/gcp"
	"diagnose/report"
)

// tokenFlags are the flags of evidence that say something about a token alone.
var tokenFlags = []string{"token-file", "token-env", "claims", "header", "jwks", "service", "function", "url", "at", "offline"}

func (a *app) tokenCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "token [FILE...|CASE|-]",
		Short: "What is this token, is it acceptable to Cloud Run, for which audience?",
		Example: `  gcloud auth print-identity-token | diagnose token -
  diagnose token token.jwt --audience https://orders-ab12cd34ef-ew.a.run.app --jwks google
  diagnose token token.jwt service.yaml`,
		Args: cobra.ArbitraryArgs,
	}
	in := a.evidenceFlags(c, tokenFlags...)
	audience := c.Flags().String("audience", "", "the `URL` or custom audience that the token must be for")
	c.RunE = func(c *cobra.Command, args []string) error {
		s, err := in.readToken(c.Context(), args)
		if err == nil && *audience != "" {
			s, err = accepting(s, *audience)
		}
		if err != nil {
			return err
		}
		t := s.Token.Or(credential.Credential{})
		v := checks.JudgeToken(onlyToken(s), s.Service.Known() || s.Function.Known() || s.Request.Or(evidence.Request{}).URL != nil)
		a.code = exitOf(v.Decision)
		return a.print(func(w io.Writer, st report.Style) error {
			return report.Token(w, a.format, t, v, s.Now, st)
		})
	}
	return c
}

// readToken reads the credential, and the documents that it is compared with.
func (in *input) readToken(ctx context.Context, args []string) (evidence.Snapshot, error) {
	if len(args) == 1 && !isCase(args[0]) && !in.hasToken() {
		var err error
		if args, err = in.tokenArgument(args); err != nil {
			return evidence.Snapshot{}, err
		}
	}
	s, err := in.snapshot(ctx, args)
	if errors.Is(err, errNoInput) {
		return s, hint(errors.New("no token was given"), "gcloud auth print-identity-token | diagnose token -", "diagnose token token.jwt")
	}
	if err != nil {
		return s, err
	}
	t, ok := tokenOf(s)
	if !ok {
		return s, errors.New("no token was given: name a file, -, --token-env or --claims")
	}
	s.Token = evidence.Known(t, s.Token.Source)
	return s, nil
}

// isCase reports whether an argument names a whole case.
func isCase(name string) bool {
	info, err := os.Stat(name)
	return strings.HasPrefix(name, demoPrefix) || strings.HasSuffix(name, ".txtar") || err == nil && info.IsDir()
}

// hasToken reports whether a flag gives the credential, so that an argument is
// something to compare it with.
func (in *input) hasToken() bool {
	return len(*in.documents["token-file"])+len(*in.documents["claims"])+len(in.headers) > 0 || in.env != ""
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
	} else if data, err := bounded.File(args[0], evidence.MaxDocument); err == nil && showsRequest(data) {
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

// accepting returns the evidence of a service that accepts one audience: a URL
// of Google's, or else a custom audience.
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
	only := &runpb.Service{Urls: []string{audience}} // so that no other is accepted
	s.Service = evidence.Known(only, evidence.Source{Document: "--audience"})
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
