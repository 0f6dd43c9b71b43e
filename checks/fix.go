package checks

import (
	"diagnose/internal/evidence"
)

// A Fix is a change that a person may choose to make.
type Fix struct {
	ID        string // "grant-service-invoker": the same change has the same ID
	Summary   string // a verb phrase: "Grant roles/run.servicesInvoker to …"
	Commands  []Command
	Snippets  []Snippet // what is to be written into a file or sent, and is no command
	Terraform string    // the same change as HCL, or ""
	Caution   string    // what else the change does, or why its effect is unverified
	Effect    Effect    // filled in by Judge
	// Remaining names the checks that fail, or are open, after the fix.
	Remaining []string
	// Gains and Loses are the members that can invoke after the fix and could
	// not before, and the other way round, where that was worked out.
	Gains, Loses []string

	check string // the check that offered it

	// apply returns the evidence as it is after the change; nil where the
	// change cannot be modelled.
	apply func(evidence.Snapshot) evidence.Snapshot
}

// An Effect says what a fix does to the decision when the judge is run again
// on the repaired evidence. The zero Effect claims nothing.
type Effect int

// The effects.
const (
	Unverified Effect = iota // cannot be modelled; the fix says why
	Progress                 // this failure is gone, another remains
	Opens                    // no failure remains, and a question does
	Leads                    // the invocation then succeeds
)

func (e Effect) String() string { return [...]string{"unverified", "progress", "open", "allowed"}[e] }

// A Snippet is text of a language that is no command to run: a part of a file,
// or a request.
type Snippet struct {
	Language string // "yaml", "json", "http"
	Where    string // what it belongs in: "in args of the http step"
	Text     string
}

// A Command is one command to run. Reporters quote its words for a shell.
type Command struct {
	Into      string   // where not "", its output is kept in this shell variable
	Argv      []string // words, unquoted
	Pipe      []string // a command that its output goes through; nil: none
	WithToken bool     // append -H "Authorization: Bearer $TOKEN"
	Note      string   // shown behind it as a comment
	Output    string   // the member of a case that its output is, "" where it is none
}
