package evidence

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	denypb "cloud.google.com/go/iam/apiv2/iampb"
	"google.golang.org/protobuf/encoding/protojson"

	"diagnose/internal/gcp"
)

// UnreadRules is the reason of deny policies that are known to exist, and of
// which some have no rules here: gcloud iam policies list prints none, and to
// read a policy takes a permission of its own.
type UnreadRules struct {
	Names []string         // full names of those without rules
	Read  []*denypb.Policy // those with rules
	Why   error            // why the rules were not read, nil where only a list was given
}

func (e *UnreadRules) Error() string {
	ids := make([]string, len(e.Names))
	for i, n := range e.Names {
		ids[i] = gcp.Last(n)
	}
	list := strings.Join(ids, ", ")
	if e.Why != nil {
		return fmt.Sprintf("the rules of the deny policies %s were not read: %s", list, e.Why)
	}
	return fmt.Sprintf("a list leaves the rules of deny policies out: read %s with gcloud iam policies get", list)
}

func (e *UnreadRules) Unwrap() error { return e.Why }

// SomeDenyPolicies is the reason of deny policies of which some were read,
// where it is not known whether there are others.
type SomeDenyPolicies struct {
	Read []*denypb.Policy
	Why  error // why not all of them are known
}

func (e *SomeDenyPolicies) Error() string { return e.Why.Error() }

func (e *SomeDenyPolicies) Unwrap() error { return e.Why }

// errAlone is the reason where policies were given one by one, or a page of
// them.
var errAlone = errors.New("deny policies were given, but not the list that says whether there are others")

// DenyPoliciesRead lists the deny policies whose rules were read, also where
// those of others were not.
func (s *Snapshot) DenyPoliciesRead() []*denypb.Policy {
	d, _ := denySetOf(s.DenyPolicies)
	return d.read
}

// A denySet is what is known of the deny policies above a service.
type denySet struct {
	read  []*denypb.Policy
	names []string // those without rules
	list  bool     // a list says that there are no others
	why   error    // why a part was refused, nil where none was
	rules error    // why rules were refused, nil where none were
}

// denySetOf takes a fact apart. It is false where no document was given.
func denySetOf(f Fact[[]*denypb.Policy]) (denySet, bool) {
	var unread *UnreadRules
	var some *SomeDenyPolicies
	switch {
	case f.known:
		return denySet{read: f.value, list: true}, true
	case errors.As(f.reason, &unread):
		return denySet{read: unread.Read, names: unread.Names, list: true, rules: unread.Why}, true
	case errors.As(f.reason, &some) && some.Why == errAlone:
		return denySet{read: some.Read}, true
	case some != nil:
		return denySet{read: some.Read, list: true, why: some.Why}, true
	}
	return denySet{why: f.reason}, f.reason != nil
}

// fact puts a set together again.
func (d denySet) fact(src Source) Fact[[]*denypb.Policy] {
	if d.read == nil {
		d.read = []*denypb.Policy{}
	}
	switch {
	case len(d.names) > 0:
		return Unknown[[]*denypb.Policy](&UnreadRules{d.names, d.read, d.rules}, src)
	case d.why != nil && len(d.read) == 0:
		return Unknown[[]*denypb.Policy](d.why, src)
	case d.why != nil:
		return Unknown[[]*denypb.Policy](&SomeDenyPolicies{d.read, d.why}, src)
	case !d.list:
		return Unknown[[]*denypb.Policy](&SomeDenyPolicies{d.read, errAlone}, src)
	}
	return Known(d.read, src)
}

// SomeOf is the fact of deny policies of which the rules of some were not read,
// by their names, and a part of which was refused; rules and why say why, nil
// where nothing was.
func SomeOf(read []*denypb.Policy, names []string, rules, why error, src Source) Fact[[]*denypb.Policy] {
	return denySet{read, names, true, why, rules}.fact(src)
}

// WithDenyPolicy returns the evidence in which one of the deny policies read is
// another one.
func (s Snapshot) WithDenyPolicy(i int, p *denypb.Policy) Snapshot {
	set, _ := denySetOf(s.DenyPolicies)
	set.read = slices.Clone(set.read)
	set.read[i] = p
	s.DenyPolicies = set.fact(s.DenyPolicies.Source)
	return s
}

// readDenyPolicies reads a list, which is taken as all that there are, or one
// policy by itself, beside which there may be others.
func readDenyPolicies(s *Snapshot, src Source, data []byte) error {
	var set denySet
	err := into(&s.DenyPolicies, src, data, func(doc []byte) ([]*denypb.Policy, error) {
		m, err := object(doc)
		if err == nil && len(m) == 0 {
			set.list = true
			return nil, nil // {} is what listing no policies prints
		}
		set.list = err != nil || m["policies"] != nil && !cutShort(doc)
		list, err := elements(doc, "policies")
		if err != nil {
			return nil, err
		}
		for i, raw := range list {
			if err := set.add(raw); err != nil {
				return nil, fmt.Errorf("element %d %w", i, err)
			}
		}
		return nil, nil
	})
	if err == nil && s.DenyPolicies.known {
		s.DenyPolicies = set.fact(src)
	}
	return err
}

// add reads one element of a list. A refusal stands for what was not listed.
func (d *denySet) add(raw []byte) error {
	if err := refusal(raw); err != nil {
		d.why = err
		return nil
	}
	p := &denypb.Policy{}
	if err := require(raw, "deny-policies"); err != nil {
		return err
	}
	if err := decode(raw, p, "etag", "createTime", "updateTime"); err != nil {
		return err
	}
	if len(p.GetRules()) == 0 {
		d.names = append(d.names, p.GetName())
	} else {
		d.read = append(d.read, p)
	}
	return nil
}

// joinDenyPolicies adds up deny policies. A list shows them without their
// rules, and each that was read itself fills its place in it.
func joinDenyPolicies(into *Snapshot, more Snapshot) {
	a, _ := denySetOf(into.DenyPolicies)
	b, _ := denySetOf(more.DenyPolicies)
	all := denySet{read: slices.Concat(a.read, b.read), list: a.list || b.list, why: a.why, rules: a.rules}
	if all.why == nil {
		all.why = b.why
	}
	if all.rules == nil {
		all.rules = b.rules
	}
	for _, name := range slices.Concat(a.names, b.names) {
		read := slices.ContainsFunc(all.read, func(p *denypb.Policy) bool { return samePolicy(p.GetName(), name) })
		if !read && !slices.Contains(all.names, name) {
			all.names = append(all.names, name)
		}
	}
	into.DenyPolicies = all.fact(bothOf(into.DenyPolicies.Source, more.DenyPolicies.Source))
}

// samePolicy reports whether two names are of one deny policy. A project has
// an ID and a number, and only one project is above a service.
func samePolicy(a, b string) bool {
	onA, idA, okA := gcp.ParseDenyPolicy(a)
	onB, idB, okB := gcp.ParseDenyPolicy(b)
	if !okA || !okB {
		return a == b
	}
	same := onA == onB || onA.Collection == "projects" && onB.Collection == "projects" && gcp.IsNumber(onA.ID) != gcp.IsNumber(onB.ID)
	return idA == idB && same
}

// writeDenyPolicies writes those whose rules were not read by name alone, so
// that they are known to be there, and a refusal in place of what is not known.
func writeDenyPolicies(s Snapshot) ([]byte, error) {
	set, ok := denySetOf(s.DenyPolicies)
	if !ok || len(set.read)+len(set.names) == 0 && set.why != nil {
		return nil, nil
	}
	out := []any{}
	for _, name := range set.names {
		set.read = append(slices.Clone(set.read), &denypb.Policy{Name: name})
	}
	for _, p := range set.read {
		raw, err := protojson.Marshal(p)
		if err != nil {
			return nil, err
		}
		out = append(out, json.RawMessage(raw))
	}
	if !set.list && set.why == nil {
		if len(out) == 1 {
			return writeJSON(out[0])
		}
		set.why = errAlone
	}
	if set.why != nil {
		out = append(out, refusedAs(set.why))
	}
	return writeJSON(out)
}
