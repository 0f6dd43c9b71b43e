package rules

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// A Baseline is the findings of an earlier run, by fingerprint.
type Baseline map[string]earlier

// earlier is what an earlier finding was about.
type earlier struct {
	before, after string // the line that names it, without its members
	members       []string
}

func (b Baseline) add(f Finding) {
	e := b[f.Fingerprint]
	e.before, e.after = fmt.Sprintf("%s on %s: ", f.Rule, f.Resource), " "+f.Role
	e.members = append(e.members, f.subjects()...)
	b[f.Fingerprint] = e
}

func baselineOf(findings []Finding) Baseline {
	b := Baseline{}
	for _, f := range findings {
		b.add(f)
	}
	return b
}

// About lists the members that a finding is about, nil where it is about none.
func (f Finding) About() []string {
	if f.Members == nil && f.Member != "" {
		return []string{f.Member}
	}
	return f.Members
}

// subjects are those that a baseline tells apart: "" of a finding about none.
func (f Finding) subjects() []string {
	if list := f.About(); list != nil {
		return list
	}
	return []string{""}
}

// ReadBaseline reads what `gate` or `scan` wrote as JSON.
func ReadBaseline(data []byte) (Baseline, error) {
	var doc struct {
		SchemaVersion string `json:"schemaVersion"`
		Findings      []struct {
			Rule, Resource, Member, Role, Fingerprint string
			Members                                   []string
		}
	}
	if err := json.Unmarshal(data, &doc); err != nil || doc.SchemaVersion == "" {
		return nil, errors.New("is not a baseline; expected what --write-baseline or --format json writes")
	}
	out := Baseline{}
	for i, f := range doc.Findings {
		if f.Fingerprint == "" {
			return nil, fmt.Errorf("findings[%d] has no fingerprint; expected what --write-baseline writes", i)
		}
		out.add(Finding{
			Rule: f.Rule, Resource: f.Resource, Member: f.Member, Members: f.Members, Role: f.Role, Fingerprint: f.Fingerprint,
		})
	}
	return out, nil
}

// fresh leaves the findings that are new, with those of their members that
// are, and counts those that have none.
func (b Baseline) fresh(findings []Finding) (list []Finding, unchanged int) {
	for _, f := range findings {
		old, known := b[f.Fingerprint]
		if !known {
			list = append(list, f)
			continue
		}
		seen := membersSet(old.members)
		now := slices.DeleteFunc(slices.Clone(f.subjects()), func(m string) bool { return seen[m] })
		if len(now) == 0 {
			unchanged++
			continue
		}
		list = append(list, f.narrowed(now))
	}
	return list, unchanged
}

func membersSet(members []string) map[string]bool {
	set := make(map[string]bool, len(members))
	for _, m := range members {
		set[m] = true
	}
	return set
}

// narrowed is a finding about some of its members.
func (f Finding) narrowed(members []string) Finding {
	f.Member = members[0]
	if f.Members != nil {
		f.Members = members
		f.Message = f.says(members)
	}
	return f
}

// subject names members at the beginning of a sentence.
func subject(members []string) string {
	if n := len(members) - 1; n > 0 {
		return members[0] + " and " + counted(n, "more member")
	}
	return members[0]
}

// Compare leaves what is new in a result, member by member, and returns how
// many findings stayed as they were, and a line for each member that is gone,
// sorted.
func (b Baseline) Compare(r *Result) (unchanged int, gone []string) {
	now := baselineOf(r.Findings)
	r.Findings, unchanged = b.fresh(r.Findings)
	for fingerprint, old := range b {
		left := membersSet(now[fingerprint].members)
		for _, m := range old.members {
			if !left[m] {
				gone = append(gone, old.before+m+old.after)
			}
		}
	}
	slices.Sort(gone)
	return unchanged, gone
}
