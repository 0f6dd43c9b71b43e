package evidence

import (
	"errors"
)

// A refusable fact is unknown for a reason.
type refusable interface {
	Reason() error
}

// refusables are the facts that an error can be read in place of, by the flag
// of their document. Ancestors and deny policies are known in part, and write
// that themselves.
var refusables = map[string]func(*Snapshot) refusable{
	"function":                 func(s *Snapshot) refusable { return s.Function },
	"service":                  func(s *Snapshot) refusable { return s.Service },
	"policy":                   func(s *Snapshot) refusable { return s.Policy },
	"function-policy":          func(s *Snapshot) refusable { return s.FunctionPolicy },
	"ancestor-policies":        func(s *Snapshot) refusable { return s.Ancestors },
	"deny-policies":            func(s *Snapshot) refusable { return s.DenyPolicies },
	"iap-policy":               func(s *Snapshot) refusable { return s.IAPPolicy },
	"iap-settings":             func(s *Snapshot) refusable { return s.IAPSettings },
	"service-account-policies": func(s *Snapshot) refusable { return s.Accounts },
	"roles":                    func(s *Snapshot) refusable { return s.Roles },
	"groups":                   func(s *Snapshot) refusable { return s.Groups },
	"trigger":                  func(s *Snapshot) refusable { return s.Trigger },
	"project-file":             func(s *Snapshot) refusable { return s.Project },
	"tags":                     func(s *Snapshot) refusable { return s.Tags },
}

// writeRefusal writes why a document could not be read, nil where nobody tried.
func writeRefusal(s Snapshot, flag string) ([]byte, error) {
	f, ok := refusables[flag]
	if !ok {
		return nil, nil
	}
	reason := f(&s).Reason()
	if reason == nil || errors.Is(reason, ErrNotGathered) {
		return nil, nil
	}
	return writeJSON(refusedAs(reason))
}
