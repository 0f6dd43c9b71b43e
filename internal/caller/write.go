package caller

import (
	"encoding/json"
	"errors"
	"slices"
	"time"

	"diagnose/internal/credential"
)

// tokenNames name the kinds of token in a document.
var tokenNames = [...]string{"unknown", "none", "id-token", "access-token"}

// A kept is a caller as a capture writes it: what was read of its
// configuration, in which bodies and headers with secrets stand as well.
type kept struct {
	Kind           string     `json:"kind,omitempty"`
	Name           string     `json:"name,omitempty"`
	Project        string     `json:"project,omitempty"`
	URL            string     `json:"url,omitempty"`
	Method         string     `json:"method,omitempty"`
	Service        string     `json:"service,omitempty"`
	Token          string     `json:"token"`
	ServiceAccount string     `json:"serviceAccount,omitempty"`
	Audience       string     `json:"audience,omitempty"`
	Pointer        string     `json:"pointer,omitempty"`
	Note           string     `json:"note,omitempty"`
	LastStatus     int        `json:"lastStatus,omitempty"`
	LastAttempt    *time.Time `json:"lastAttempt,omitempty"`
}

// Kept is the document that a case keeps of a caller: Parse reads it again. It
// has no credential.
func Kept(c Caller) any {
	k := kept{
		c.Kind, c.Name, c.Project, credential.Scrub(c.URL), c.Method, c.Service, tokenNames[c.Token], c.ServiceAccount,
		credential.Scrub(c.Audience), c.Pointer, c.Note, c.LastStatus, nil,
	}
	if !c.LastAttempt.IsZero() {
		k.LastAttempt = &c.LastAttempt
	}
	return map[string]kept{"caller": k}
}

// parseKept reads what Kept wrote.
func parseKept(doc []byte) (Caller, error) {
	var in struct{ Caller kept }
	err := json.Unmarshal(doc, &in)
	k := in.Caller
	token := slices.Index(tokenNames[:], k.Token)
	if err != nil || token < 0 {
		return Caller{}, errors.New("is not a caller as capture writes it")
	}
	c := Caller{
		k.Kind, k.Name, k.Project, k.URL, k.Method, k.Service, TokenKind(token), k.ServiceAccount,
		k.Audience, k.Pointer, k.Note, k.LastStatus, time.Time{},
	}
	if k.LastAttempt != nil {
		c.LastAttempt = *k.LastAttempt
	}
	return c, nil
}
