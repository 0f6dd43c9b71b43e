package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"diagnose/internal/bounded"
	"diagnose/internal/credential"
	"diagnose/internal/evidence"
	"diagnose/internal/jwkscache"
	"diagnose/report"
)

// An input is what the flags say of the evidence.
type input struct {
	app       *app
	reads     []string             // the flags of evidence that the command reads, nil for all
	documents map[string]*[]string // by flag
	url       string
	method    string
	headers   []string
	source    string
	member    string // --principal
	client    string
	at        string
	token     string // refused: a secret in the arguments
	env       string
	offline   bool

	live     *live // nil for a command that takes no live target
	gathered bool  // a live target was read
	send     *sending
}

// evidenceFlags declares the flags that give evidence: one for each document of
// a case, and one for each field of the request. Where reads are named, the
// command has these alone.
func (a *app) evidenceFlags(c *cobra.Command, reads ...string) *input {
	in := &input{app: a, reads: reads, documents: map[string]*[]string{}}
	f := c.Flags()
	for _, m := range evidence.Documents {
		switch {
		case m.Flag == "request":
		case in.read(m.Flag):
			in.documents[m.Flag] = f.StringArray(m.Flag, nil, m.What+" (`FILE` or -)")
		default:
			in.documents[m.Flag] = new([]string)
		}
	}
	for _, field := range []struct {
		value      *string
		name, what string
	}{
		{&in.env, "token-env", "name of the environment `VARIABLE` with the credential"},
		{&in.url, "url", "the `URL` called"},
		{&in.method, "method", "the `METHOD` of the request"},
		{&in.source, "source", "`WHERE` the request comes from: internet, vpc, load-balancer, internal-load-balancer, google-service, perimeter"},
		{&in.member, "principal", "the `MEMBER` to ask about, assuming that it sends a correct token"},
		{&in.client, "client", "`WHAT` made the request, such as gcloud or cloud-scheduler"},
		{&in.at, "at", "the `TIME` to judge at, RFC 3339 (default: that of the request, the log entry or the response, else now)"},
	} {
		if in.read(field.name) {
			f.StringVar(field.value, field.name, "", field.what)
		}
	}
	if in.read("header") {
		f.StringArrayVar(&in.headers, "header", nil, "a `HEADER` of the request, \"Name: value\" or @FILE; repeatable")
	}
	f.BoolVar(&in.offline, "offline", false, "fetch nothing, not even a key set")
	f.StringVar(&in.token, "token", "", "")
	f.Lookup("token").Hidden = true
	return in
}

// read reports whether the command reads what a flag of evidence gives.
func (in *input) read(flag string) bool {
	return len(in.reads) == 0 || slices.Contains(in.reads, flag)
}

const tokenHint = "put the token into a file for --token-file, into a variable for --token-env, or pipe it: --token-file -"

// errSecretArgument refuses a token among the arguments.
var errSecretArgument = hint(errors.New("a token is not taken as an argument: other users of the machine can read the arguments of a command"), tokenHint)

// demoPrefix starts the name of an embedded case.
const demoPrefix = "demo:"

// errNoInput reports that nothing was given to judge.
var errNoInput = errors.New("no case, target or evidence was given")

// snapshot reads the case named by the arguments, if any, and puts what the
// flags give over it.
func (in *input) snapshot(ctx context.Context, args []string) (evidence.Snapshot, error) {
	var s evidence.Snapshot
	if in.token != "" {
		return s, errSecretArgument
	}
	for flag, list := range in.documents {
		if slices.ContainsFunc(*list, givenSecret) {
			return s, hint(fmt.Errorf("--%s names a file: %w", flag, errSecretArgument), tokenHint)
		}
	}
	if len(args) == 0 && !in.any() && in.app.piped() {
		args = []string{"-"}
	}
	if len(args) == 0 && !in.any() {
		return s, hint(errNoInput, "diagnose invoke FILE..., for any mix of documents: a token, a curl command line, an answer, "+
			"a log entry, what gcloud describes", "diagnose invoke service.yaml policy.yaml token.jwt", "diagnose demo shows what it answers")
	}
	s, err := in.gatherGiven(ctx, args)
	if err != nil {
		return s, err
	}
	if err := in.readRequest(&s); err != nil {
		return s, err
	}
	var at time.Time
	if in.at != "" {
		at = s.Request.Or(evidence.Request{}).Time
	}
	now := time.Now().UTC()
	if in.gathered {
		now = s.Now // when it was read
	}
	s.Settle(at, now)
	for _, note := range s.Notes {
		in.app.say("note: %s", note)
	}
	if in.gathered {
		in.addGoogleKeys(ctx, &s)
	}
	return s, nil
}

// any reports whether a flag gives evidence.
func (in *input) any() bool {
	for _, v := range in.documents {
		if len(*v) > 0 {
			return true
		}
	}
	return in.app.handed != nil || in.env != "" || in.url+in.method+in.source+in.member+in.client != "" || len(in.headers) > 0
}

// load reads a case from disk or from the embedded ones.
func (in *input) load(name string) (evidence.Snapshot, error) {
	story, ok := strings.CutPrefix(name, demoPrefix)
	if !ok {
		return evidence.Load(name)
	}
	f, err := readStory(story)
	if err != nil {
		return evidence.Snapshot{}, err
	}
	return f.Snapshot()
}

// readDocuments reads the documents that flags give.
func (in *input) readDocuments(ctx context.Context, s *evidence.Snapshot) error {
	stdin := ""
	for _, m := range evidence.Documents {
		list := in.documents[m.Flag]
		if list == nil {
			continue
		}
		for _, v := range *list {
			if v == "-" && stdin != "" {
				return fmt.Errorf("--%s and --%s both read standard input", stdin, m.Flag)
			}
			if v == "-" {
				stdin = m.Flag
			}
		}
	}
	for _, m := range evidence.Documents {
		if list := in.documents[m.Flag]; list != nil {
			for _, v := range *list {
				if err := in.readDocument(ctx, m, v, s); err != nil {
					return err
				}
			}
		}
	}
	if in.env == "" {
		return nil
	}
	value := in.app.Getenv(in.env)
	if value == "" {
		return fmt.Errorf("--token-env: the variable %s is not set", in.env)
	}
	return s.AddAs("token-file", evidence.Source{Document: "$" + in.env}, []byte(value))
}

func (in *input) readDocument(ctx context.Context, m evidence.Document, name string, s *evidence.Snapshot) error {
	data, err := in.open(ctx, m.Flag, name, s)
	if err != nil {
		return err
	}
	if err := s.AddAs(m.Flag, evidence.Source{Document: name}, data); err != nil {
		return fmt.Errorf("--%s %w", m.Flag, err)
	}
	return nil
}

func (in *input) open(ctx context.Context, flag, name string, s *evidence.Snapshot) ([]byte, error) {
	switch {
	case name == "-":
		g, err := in.app.readInput()
		return g.Data, err
	case flag == "jwks" && name == "google":
		name = jwkscache.Google
	}
	if flag == "jwks" && strings.Contains(name, "://") {
		if in.offline {
			return nil, errors.New("--jwks names a URL, and --offline fetches none")
		}
		d, err := in.keysFor(ctx, name, s.Token.Or(credential.Credential{}))
		if err != nil {
			return nil, &failure{hint(fmt.Errorf("--jwks: %w", err), "without --jwks the signature is taken as unknown")}
		}
		return d.Keys, nil
	}
	data, err := bounded.File(name, evidence.MaxDocument)
	if err != nil {
		return nil, fmt.Errorf("--%s: %w", flag, err)
	}
	return data, nil
}

// readRequest puts the flags of the request over the one of the case.
func (in *input) readRequest(s *evidence.Snapshot) error {
	if in.url+in.method+in.source+in.member+in.client+in.at == "" && len(in.headers) == 0 {
		return nil
	}
	r := s.Request.Or(evidence.Request{})
	src := s.Request.Source
	if src.Document == "" {
		src.Document = "flags"
	}
	if in.method != "" {
		r.Method = strings.ToUpper(in.method)
	}
	for _, set := range []struct {
		flag, value string
		apply       func(string) error
	}{{"url", in.url, r.SetURL}, {"source", in.source, r.SetOrigin}, {"principal", in.member, r.SetPrincipal}, {"client", in.client, r.SetClient}, {"at", in.at, r.SetTime}} {
		if set.value == "" {
			continue
		}
		if err := set.apply(set.value); err != nil {
			return fmt.Errorf("--%s: %w", set.flag, err)
		}
	}
	for _, h := range in.headers {
		if err := in.addHeader(&r, h); err != nil {
			return err
		}
	}
	s.Request = evidence.Known(r, src)
	return nil
}

// addHeader adds one header, or those of a file.
func (in *input) addHeader(r *evidence.Request, h string) error {
	if r.Headers == nil {
		r.Headers = http.Header{}
	}
	if name, ok := strings.CutPrefix(h, "@"); ok {
		data, err := bounded.File(name, evidence.MaxDocument)
		if err != nil {
			return fmt.Errorf("--header: %w", err)
		}
		for i, l := range strings.Split(string(data), "\n") {
			if strings.TrimSpace(l) == "" {
				continue
			}
			if err := addLine(r.Headers, l); err != nil {
				return fmt.Errorf("--header: %s: line %d %w", name, i+1, err)
			}
		}
		return nil
	}
	one := http.Header{}
	if err := addLine(one, h); err != nil {
		return fmt.Errorf("--header %w", err)
	}
	for name, values := range one {
		if holdsSecret(name, values[0]) {
			return hint(fmt.Errorf("--header %s is not taken with a credential: other users of the machine can read the arguments of a command", report.Clean(name)),
				"put the headers into a file for --header @FILE, or the token into one for --token-file")
		}
		r.Headers[name] = append(r.Headers[name], values...)
	}
	return nil
}

func addLine(h http.Header, line string) error {
	name, value, ok := strings.Cut(line, ":")
	if name = strings.TrimSpace(name); !ok || name == "" || strings.ContainsAny(name, " \t") {
		return errors.New(`must be "Name: value" or @FILE`)
	}
	h.Add(name, strings.TrimSpace(value))
	return nil
}

// holdsSecret reports whether a header that stands among the arguments holds a
// credential, and not what people write in its place.
func holdsSecret(name, value string) bool {
	if name == credential.Authorization || name == credential.Serverless {
		sel := credential.FromHeaders(http.Header{name: {value}})
		return value != "" && !sel.Redacted && sel.Malformed != "has no token after Bearer"
	}
	sel := credential.FromHeaders(http.Header{credential.Authorization: {"Bearer " + value}})
	if credential.SecretHeader(name) {
		return value != "" && !sel.Redacted
	}
	return isSecret(value)
}

// givenSecret reports whether a credential stands where the name of a file
// belongs. A file that is there is a file, whatever its name looks like:
// expired.jwt has the beginning of a JWT. So is a name too short for a token.
func givenSecret(value string) bool {
	if _, err := os.Stat(value); err == nil || len(value) < shortestToken && strings.Count(value, ".") < 2 {
		return false
	}
	return isSecret(value)
}

// shortestToken is less than any token of Google's has.
const shortestToken = 40

// isSecret reports whether a value is a credential by its form.
func isSecret(value string) bool {
	switch credential.Decode(value).Kind {
	case credential.None, credential.Opaque, credential.Several:
		return false
	}
	return true
}
