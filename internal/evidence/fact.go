// Package evidence holds what is known about one invocation: documents as
// Google's own tools print them, each a Fact that carries where it was read
// or why it could not be. It gathers nothing and judges nothing.
package evidence

import "errors"

// A Source says where a fact was read, so that a reader can look again.
type Source struct {
	Document string // member of a case, file, API URL, or "assets.ndjson:1042"
	Pointer  string // JSON pointer within the document, or ""
	Form     Form   // how the document spells its fields
}

// A Form is a spelling of a document that differs from the message it is read
// into. The zero Form is the message's own.
type Form string

// The forms.
const (
	Knative Form = "knative"
	Gen1    Form = "gen1"
)

// places says where a form keeps a field of the message.
var places = map[Form]map[string]string{
	Knative: {
		"/ingress":            "/metadata/annotations/run.googleapis.com~1ingress",
		"/invokerIamDisabled": "/metadata/annotations/run.googleapis.com~1invoker-iam-disabled",
		"/defaultUriDisabled": "/metadata/annotations/run.googleapis.com~1default-url-disabled",
		"/iapEnabled":         "/metadata/annotations/run.googleapis.com~1iap-enabled",
		"/customAudiences":    "/metadata/annotations/run.googleapis.com~1custom-audiences",
		"/uri":                "/status/url",
		"/terminalCondition":  "/status/conditions",
		"/traffic":            "/spec/traffic",
		"/trafficStatuses":    "/status/traffic",
		"/deleteTime":         "/metadata/deletionTimestamp",
	},
	Gen1: {
		"/serviceConfig/ingressSettings": "/ingressSettings",
		"/serviceConfig/securityLevel":   "/httpsTrigger/securityLevel",
		"/url":                           "/httpsTrigger/url",
		"/state":                         "/status",
	},
}

// At returns the source of a part of the same document. pointer names a field
// of the message; where the document spells it differently, the result points
// to where it is.
func (s Source) At(pointer string) Source {
	if place, ok := places[s.Form][pointer]; ok {
		pointer = place
	}
	return Source{Document: s.Document, Pointer: s.Pointer + pointer, Form: s.Form}
}

// ErrNotGathered is the reason of the zero Fact.
var ErrNotGathered = errors.New("not gathered")

// A Fact is a value read from a source, or the reason it could not be read.
// The zero Fact is unknown.
type Fact[T any] struct {
	Source Source
	value  T
	known  bool
	reason error
}

// Known returns the fact that v was read from src.
func Known[T any](v T, src Source) Fact[T] {
	return Fact[T]{Source: src, value: v, known: true}
}

// Unknown returns the fact that src could not be read, for the given reason.
// A nil reason stands for ErrNotGathered.
func Unknown[T any](reason error, src Source) Fact[T] {
	return Fact[T]{Source: src, reason: reason}
}

// Get returns the value and whether it is known. The value of an unknown fact
// is the zero value of its type.
func (f Fact[T]) Get() (T, bool) { return f.value, f.known }

// Known reports whether the fact's value was read.
func (f Fact[T]) Known() bool { return f.known }

// Reason returns why the fact is unknown: ErrNotGathered for the zero Fact,
// nil for a known one.
func (f Fact[T]) Reason() error {
	switch {
	case f.known:
		return nil
	case f.reason == nil:
		return ErrNotGathered
	}
	return f.reason
}

// Or returns the value, or fallback where the fact is unknown.
func (f Fact[T]) Or(fallback T) T {
	if f.known {
		return f.value
	}
	return fallback
}
