package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"diagnose/internal/credential"
	"diagnose/internal/evidence"
	"diagnose/internal/gather"
	"diagnose/internal/gcp"
	"diagnose/internal/jwkscache"
	"diagnose/report"
)

// A live holds the flags that say how to read a target from Google's APIs.
type live struct {
	gather.Options
}

// liveFlags declares the flags of commands that take a live target.
func (in *input) liveFlags(c *cobra.Command) {
	in.live = &live{}
	f := c.Flags()
	f.StringVar(&in.live.Project, "project", "", "the `PROJECT` of a live target (default: that of gcloud, then of the credentials)")
	f.StringVar(&in.live.Region, "region", "", "the `REGION` of a live target (default: that of gcloud, else it is searched for)")
	f.StringVar(&in.live.Scope, "scope", "", "the widest `RESOURCE` that you may analyze policies on, as organizations/1 (default: what is found)")
	f.StringVar(&in.live.Impersonate, "impersonate-service-account", "", "the `E-MAIL` of a service account to read as")
	f.StringVar(&in.live.QuotaProject, "quota-project", "", "the `PROJECT` whose quota the calls use")
	f.DurationVar(&in.live.Timeout, "timeout", 20*time.Second, "how long to read a live target at most")
}

// emulatorVariable names the variable that sends all calls to an emulator.
const emulatorVariable = "DIAGNOSE_EMULATOR_HOST"

// gather reads a live target.
func (in *input) gather(ctx context.Context, name string) (evidence.Snapshot, error) {
	if in.offline {
		return evidence.Snapshot{}, fmt.Errorf("%q is neither a folder nor a .txtar file, and --offline reads no live target", name)
	}
	target, err := gather.ParseTarget(name)
	if err != nil {
		return evidence.Snapshot{}, hint(fmt.Errorf("%q is neither a case nor a target: %w", name, err), "diagnose demo --list names the embedded cases, for "+demoPrefix+"NAME")
	}
	o, err := in.live.options(in.app)
	if err != nil {
		return evidence.Snapshot{}, err
	}
	s, err := gather.Collect(ctx, target, o)
	return s, answerless(err)
}

// options are those of the flags, completed by gcloud's settings.
func (l *live) options(a *app) (gather.Options, error) {
	o := l.Options
	if o.Timeout < 0 {
		return o, fmt.Errorf("--timeout must be a positive duration such as 20s; it is %s", o.Timeout)
	}
	if o.Scope != "" && !gather.IsScope(o.Scope) {
		return o, fmt.Errorf("--scope must be organizations/NUMBER, folders/NUMBER or projects/PROJECT, not %q", o.Scope)
	}
	a.reader(&o)
	return o, nil
}

// reader completes who reads by gcloud's settings, and where.
func (a *app) reader(o *gather.Options) {
	o.Defaults = gather.FindDefaults(a.Getenv)
	o.Impersonate = cmp.Or(o.Impersonate, o.Defaults.Impersonate)
	o.QuotaProject = cmp.Or(o.QuotaProject, o.Defaults.QuotaProject)
	o.Emulator = a.Getenv(emulatorVariable)
	if a.verbose {
		o.Log = func(c gather.Call) { a.say("%s", c) }
	}
}

// answerless says what an error of a live read means for the exit code: bad
// usage where the target or a flag is wrong, else that there is no answer.
func answerless(err error) error {
	var missing *gather.Missing
	var contradiction *gather.Contradiction
	var unreachable *gather.Unreachable
	switch {
	case err == nil || errors.As(err, &missing) || errors.As(err, &contradiction):
		return err
	case errors.As(err, &unreachable):
		return &failure{hint(err, gcp.Spell(unreachable.Remedy),
			"or judge documents instead: diagnose invoke --service service.json --policy policy.json --token-file token.jwt")}
	}
	return &failure{err}
}

// say writes a line to stderr, where nobody asked for quiet.
func (a *app) say(format string, args ...any) {
	if !a.quiet {
		a.mu.Lock()
		defer a.mu.Unlock()
		fmt.Fprintf(a.Stderr, "diagnose: %s\n", report.Clean(fmt.Sprintf(format, args...)))
	}
}

// keysFor reads the key set at a URL, from the cache where that holds it. A
// cached set that lacks the token's key is fetched anew.
func (in *input) keysFor(ctx context.Context, address string, token credential.Credential) (jwkscache.Document, error) {
	cache := jwkscache.Default()
	d, err := cache.Get(ctx, address)
	if err != nil || !d.Cached || d.Stale != nil {
		return d, err
	}
	set, err := credential.ParseKeySet(d.Keys)
	if err == nil && token.Header.KeyID != "" && !set.Has(token.Header.KeyID) {
		if fresh, err := cache.Fetch(ctx, address); err == nil {
			return fresh, nil
		}
	}
	return d, nil
}

// addGoogleKeys adds Google's key set where a live target is judged with a
// token and no key set was given. Without it the signature is unknown.
func (in *input) addGoogleKeys(ctx context.Context, s *evidence.Snapshot) {
	token := s.Token.Or(credential.Credential{})
	if sel := credential.FromHeaders(s.Request.Or(evidence.Request{}).Headers); sel.Header != "" && !sel.Redacted {
		token = sel.Credential
	}
	if s.Keys.Known() || in.offline || token.Kind != credential.IDToken || in.app.Getenv(emulatorVariable) != "" {
		return
	}
	src := evidence.Source{Document: jwkscache.Google}
	d, err := in.keysFor(ctx, jwkscache.Google, token)
	if err != nil {
		s.Keys = evidence.Unknown[credential.KeySet](err, src)
		return
	}
	if d.Stale != nil {
		in.app.say("Google's keys as of %s are used: %s", d.Fetched.Format(time.RFC3339), d.Stale)
	}
	if err := evidence.Read("jwks.json", src, d.Keys, s); err != nil {
		s.Keys = evidence.Unknown[credential.KeySet](err, src)
	}
}

// looksLikePath reports whether a name that leads to no file was meant as one.
// A URL never was, whatever it ends in.
func looksLikePath(name string) bool {
	n, resource := gcp.ParseName(strings.TrimSuffix(name, "/"))
	switch {
	case strings.Contains(name, "://") || strings.HasPrefix(name, "//") || resource && n.Project != "":
		return false
	case strings.HasSuffix(name, ".txtar"):
		return true
	case isHost(name):
		return false
	}
	return strings.HasSuffix(name, "/") || strings.HasPrefix(name, ".") ||
		strings.HasPrefix(name, "/") || strings.HasSuffix(name, ".json") || strings.HasSuffix(name, ".yaml")
}

// isHost reports whether a name without a scheme begins with a host: a name
// with a dot in front of a path, such as api.example.com/openapi.json, or one
// of Google's.
func isHost(name string) bool {
	host, path, _ := strings.Cut(name, "/")
	return gcp.ParseHost(host).FrontEnd() || path != "" && !strings.HasPrefix(name, ".") && strings.Contains(host, ".")
}
