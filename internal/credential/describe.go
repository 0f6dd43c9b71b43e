package credential

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// A Description says in words what a credential is. Parts that the credential
// does not tell are "".
type Description struct {
	What  string // "Google ID token"
	Whose string // "serviceAccount:…", or "subject 1234"
	For   string // the audience
	Until string // "expires in 41 m", "expired 12 m ago", "has no expiry"
}

// Describe says what the credential is, whose, for whom and until when.
func (c Credential) Describe(now time.Time) Description {
	d := Description{What: c.Kind.String(), Whose: c.Who(), For: strings.Join(c.Claims.Audience, ", ")}
	if p := c.Provider(); p != "" {
		d.What = "JWT of " + p
	}
	if c.Supposed {
		d.What = "supposed " + d.What
	}
	switch {
	case d.Whose != "":
	case c.Claims.Subject != "":
		d.Whose = "subject " + c.Claims.Subject
	default:
		d.Whose = c.Claims.Email
	}
	switch e := c.Claims.Expiry; {
	case e != nil && e.After(now):
		d.Until = "expires " + Ago(now.Sub(*e))
	case e != nil:
		d.Until = "expired " + Ago(now.Sub(*e))
	case c.whole():
		d.Until = "has no expiry"
	}
	return d
}

// whole reports whether all claims of the token can be read, so that an absent
// one is absent indeed.
func (c Credential) whole() bool {
	return c.JWT() && c.Problem == "" && c.Signature != SignatureUnknown
}

// Skew is the clock skew within which a time claim in the future is no
// problem. What Google allows is not documented; a few minutes are likely.
const Skew = 5 * time.Minute

// A ClaimProblem is a time claim for which a token is refused at a moment.
type ClaimProblem struct {
	Claim string        // "exp", "iat", "nbf"
	Value time.Time     // zero where the claim is missing
	Now   time.Time     // the moment
	Off   time.Duration // how far the moment is beyond the claim, or before it
}

// String says the problem with both values.
func (p ClaimProblem) String() string {
	value, now := p.Value.UTC().Format(time.RFC3339), p.Now.UTC().Format(time.RFC3339)
	switch {
	case p.Value.IsZero():
		return p.Claim + " is missing"
	case p.Claim == "exp":
		return fmt.Sprintf("exp is %s, %s before %s", value, Duration(p.Off), now)
	}
	return fmt.Sprintf("%s is %s, %s after %s", p.Claim, value, Duration(p.Off), now)
}

// ClaimProblems returns every time claim that fails at a moment, not only the
// first: exp missing or not in the future, iat or nbf further in the future
// than Skew. A missing exp is no problem of claims that were given in part.
func ClaimProblems(c Credential, now time.Time) []ClaimProblem {
	var out []ClaimProblem
	switch e := c.Claims.Expiry; {
	case e != nil && !e.After(now):
		out = append(out, ClaimProblem{"exp", *e, now, now.Sub(*e)})
	case e == nil && c.whole():
		out = append(out, ClaimProblem{Claim: "exp", Now: now})
	}
	for _, start := range []struct {
		claim string
		at    *time.Time
	}{{"iat", c.Claims.IssuedAt}, {"nbf", c.Claims.NotBefore}} {
		if start.at != nil && start.at.Sub(now) > Skew {
			out = append(out, ClaimProblem{start.claim, *start.at, now, start.at.Sub(now)})
		}
	}
	return out
}

const (
	day  = 24 * time.Hour
	year = 365 * day
)

// Duration writes a duration as people say it: "12 m", "3 h 20 m", "2 d". It
// rounds towards zero.
func Duration(d time.Duration) string {
	switch {
	case d == math.MinInt64 || d == math.MaxInt64: // what time.Sub returns where the difference does not fit
		return "more than 292 years"
	case d < 0:
		return "-" + Duration(-d)
	case d < time.Minute:
		return fmt.Sprintf("%d s", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%d m", d/time.Minute)
	case d < day && d%time.Hour < time.Minute:
		return fmt.Sprintf("%d h", d/time.Hour)
	case d < day:
		return fmt.Sprintf("%d h %d m", d/time.Hour, d%time.Hour/time.Minute)
	case d < 2*year:
		return fmt.Sprintf("%d d", d/day)
	}
	return fmt.Sprintf("%d years", d/year)
}

// Ago says how long ago something was: "12 m ago", or "in 41 m" for a negative
// duration.
func Ago(d time.Duration) string {
	switch {
	case d == math.MinInt64:
		return "in " + Duration(d)
	case d < 0:
		return "in " + Duration(-d)
	}
	return Duration(d) + " ago"
}
