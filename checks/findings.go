package checks

import (
	"cmp"
	"errors"

	"diagnose/internal/evidence"
)

// The texts that Cloud Logging keeps of refused requests, by
// https://docs.cloud.google.com/run/docs/troubleshooting. The words are
// crossed: "not authenticated" goes with 403 and "not authorized" with 401.
const (
	notAuthenticated = "The request was not authenticated. Either allow unauthenticated invocations or set the proper Authorization header."
	notAuthorized    = "The request was not authorized to invoke this service."
	invalidToken     = `Bearer error="invalid_token" error_description="The access token could not be verified"`
)

// rejected is the answer to a credential that was read and refused.
var rejected = Answer{Status: 401, WWWAuthenticate: invalidToken, Log: notAuthorized}

func pass(message string, cites ...evidence.Source) Finding {
	return Finding{Outcome: Pass, Message: message, Cites: cites}
}

func warn(message string, cites ...evidence.Source) Finding {
	return Finding{Outcome: Warn, Message: message, Cites: cites}
}

func notApplicable(message string) Finding {
	return Finding{Outcome: NotApplicable, Message: message}
}

func fail(message string, a Answer, cites ...evidence.Source) Finding {
	return Finding{Outcome: Fail, Message: message, Answer: a, Cites: cites}
}

// unknown is an open question that only the named commands can settle.
func unknown(message string, gather ...Command) Finding {
	return Finding{Message: message, Gather: gather}
}

// assume is an open question that may be taken to have its usual answer.
// document is the member of a case that would tell, "" where none can.
func assume(document, message, assumption string, gather ...Command) Finding {
	return Finding{Message: message, Gather: gather, Assumes: []Assumption{{Document: document, Text: assumption, Gather: gather}}}
}

// reasonOf says why a fact is unknown, where there is more to say than that it
// was not gathered.
func reasonOf[T any](f evidence.Fact[T]) string {
	if err := f.Reason(); err != nil && !errors.Is(err, evidence.ErrNotGathered) {
		return " (" + err.Error() + ")"
	}
	return ""
}

// subject names a principal in a sentence.
func subject(member string) string { return cmp.Or(member, "the caller") }
