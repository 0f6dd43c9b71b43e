package checks

import (
	"fmt"
	"slices"
	"time"

	"diagnose/internal/evidence"
	"diagnose/internal/iam"
)

// A policyChange is one member added to or removed from a role that invokes,
// as an audit entry of SetIamPolicy shows it.
type policyChange struct {
	evidence.BindingDelta
	by, agent string
	at        time.Time
	cite      evidence.Source
}

func (c policyChange) removed() bool { return c.Action == "REMOVE" }

// String tells the change: "on 2026-11-23 11:00 UTC ana@example.com removed
// roles/run.invoker from allUsers with FirebaseCLI/15".
func (c policyChange) String() string {
	s := "somebody"
	if c.by != "" {
		s = c.by
	}
	if !c.at.IsZero() {
		s = "on " + c.at.UTC().Format("2006-01-02 15:04 UTC") + " " + s
	}
	if c.removed() {
		s += fmt.Sprintf(" removed %s from %s", c.Role, c.Member)
	} else {
		s += fmt.Sprintf(" gave %s to %s", c.Role, c.Member)
	}
	if c.agent != "" {
		s += " with " + c.agent
	}
	return s
}

// policyChanges lists what the audit log shows of the grants that let the
// caller in, or everybody, the latest first. Of a caller who is not known,
// every grant counts.
func (in *Invocation) policyChanges() []policyChange {
	var out []policyChange
	for i, e := range in.Logs.Or(nil) {
		if e.Change == nil || !in.ownPolicy(e.Change.Resource) {
			continue
		}
		for _, d := range e.Change.Deltas {
			c := policyChange{d, e.Change.By, e.Change.UserAgent, e.Timestamp, in.LogSource(i)}
			if carries, _ := in.roles.Carries(d.Role, in.permission); carries != iam.NotGranted && in.lets(d.Member) {
				out = append(out, c)
			}
		}
	}
	slices.SortStableFunc(out, func(a, b policyChange) int { return b.at.Compare(a.at) })
	return out
}

// ownPolicy reports whether a resource's policy can let the caller in: it is
// the target's own, or one above it.
func (in *Invocation) ownPolicy(resource string) bool {
	if n := parsed(resource); n.Collection == "services" || n.Collection == "functions" {
		return in.name.ID == "" || n.ID == in.name.ID
	}
	return true
}

func (in *Invocation) lets(member string) bool {
	return in.principal == "" || slices.Contains([]string{in.principal, "allUsers", "allAuthenticatedUsers"}, member)
}

// lost returns the change that explains a missing grant at a moment: the
// latest one before it took the grant away. A zero moment is any.
func (in *Invocation) lost(at time.Time) (policyChange, bool) {
	for _, c := range in.policyChanges() {
		if at.IsZero() || !c.at.After(at) {
			return c, c.removed()
		}
	}
	return policyChange{}, false
}

// late returns the first change after a moment that gave the grant.
func (in *Invocation) late(at time.Time) (policyChange, bool) {
	changes := in.policyChanges()
	slices.Reverse(changes)
	for _, c := range changes {
		if !at.IsZero() && c.at.After(at) {
			return c, !c.removed()
		}
	}
	return policyChange{}, false
}
