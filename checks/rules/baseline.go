package rules

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// A Baseline is the findings of an earlier run, by fingerprint, each with a
// line that names it.
type Baseline map[string]string

// ReadBaseline reads what `gate` or `scan` wrote as JSON.
func ReadBaseline(data []byte) (Baseline, error) {
	var doc struct {
		SchemaVersion string `json:"schemaVersion"`
		Findings      []struct{ Rule, Resource, Member, Role, Fingerprint string }
	}
	if err := json.Unmarshal(data, &doc); err != nil || doc.SchemaVersion == "" {
		return nil, errors.New("is not a baseline; expected what --write-baseline or --format json writes")
	}
	out := Baseline{}
	for i, f := range doc.Findings {
		if f.Fingerprint == "" {
			return nil, fmt.Errorf("findings[%d] has no fingerprint; expected what --write-baseline writes", i)
		}
		out[f.Fingerprint] = fmt.Sprintf("%s on %s: %s %s", f.Rule, f.Resource, f.Member, f.Role)
	}
	return out, nil
}

// Compare leaves the findings that are new in a result, and returns how many
// stayed, and a line for each one that is gone, sorted.
func (b Baseline) Compare(r *Result) (unchanged int, gone []string) {
	now := map[string]bool{}
	for _, f := range r.Findings {
		now[f.Fingerprint] = true
	}
	r.Findings = slices.DeleteFunc(r.Findings, func(f Finding) bool {
		_, old := b[f.Fingerprint]
		if old {
			unchanged++
		}
		return old
	})
	for fingerprint, line := range b {
		if !now[fingerprint] {
			gone = append(gone, line)
		}
	}
	slices.Sort(gone)
	return unchanged, gone
}
