package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"diagnose/checks"
	"diagnose/internal/bounded"
	"diagnose/internal/evidence"
	"diagnose/internal/probe"
)

// A sending holds the flags of a probe.
type sending struct {
	on   bool
	body string
	probe.Options

	failed bool // it was sent and not answered
}

func (in *input) probeFlags(c *cobra.Command) {
	in.send = &sending{}
	f := c.Flags()
	f.BoolVar(&in.send.on, "probe", false, "send the request for real, with the token, and compare the answer")
	f.StringArrayVar(&in.send.Hosts, "probe-host", nil, "a further `HOST` of the target that a probe may send the token to; repeatable")
	f.StringVar(&in.send.body, "probe-body", "", "a `FILE` with the body to send")
	f.DurationVar(&in.send.Options.Timeout, "probe-timeout", 15*time.Second, "how long to wait for the answer")
}

// exit is the exit code of an invocation that was probed: what was seen of it
// counts before what was predicted.
func (s *sending) exit(v checks.Verdict) int {
	switch {
	case !s.on:
		return exitOf(v.Decision)
	case s.failed:
		return exitOpen
	}
	if seen := v.Observed.Shows(); seen != checks.Undetermined {
		return exitOf(seen)
	}
	return exitOf(v.Decision)
}

// probe sends the request where that was asked for, and puts the answer into
// the evidence. What is judged then is the moment of the probe.
func (in *input) probe(ctx context.Context, s evidence.Snapshot) (evidence.Snapshot, error) {
	switch {
	case !in.send.on:
		return s, nil
	case in.at != "":
		return s, errors.New("--probe asks now, and --at judges another moment: give one of them")
	case in.offline:
		return s, errors.New("--probe sends a request, and --offline sends none: give one of them")
	case s.Request.Or(evidence.Request{}).Principal != "" && probe.Token(s) == "":
		return s, hint(fmt.Errorf("--probe has no token of %s to send: give it with --token-file, or leave --principal out",
			s.Request.Or(evidence.Request{}).Principal), "gcloud auth print-identity-token --impersonate-service-account=E-MAIL --audiences=URL --include-email")
	case s.Response.Known():
		return s, errors.New("--probe gets an answer, and the evidence has one already: leave it or --probe out")
	}
	o := in.send.Options
	if in.send.body != "" {
		var err error
		if o.Body, err = bounded.File(in.send.body, evidence.MaxDocument); err != nil {
			return s, fmt.Errorf("--probe-body: %w", err)
		}
	}
	r, err := probe.Send(ctx, s, o)
	if err != nil {
		return s, &failure{err}
	}
	s.Now, s.NowFrom = time.Now().UTC(), "now"
	s.Logs = evidence.Fact[[]evidence.LogEntry]{}
	s.Request = evidence.Known(r.Sent, evidence.Source{Document: "probe of " + r.URL})
	if in.send.failed = r.Failed != ""; in.send.failed {
		in.app.say("probe: %s, after %s", r.Failed, r.Duration.Round(time.Millisecond))
		return s, nil
	}
	in.app.say("probe: %s %s answered %d in %s", r.Method, r.URL, r.Response.Status, r.Duration.Round(time.Millisecond))
	if r.Redirect != "" {
		in.app.say("probe: the answer leads to %s, which was not followed", r.Redirect)
	}
	if r.Cut != "" {
		in.app.say("probe: %s", r.Cut)
	}
	s.Response = evidence.Known(r.Response, evidence.Source{Document: "probe of " + r.URL})
	return s, nil
}
