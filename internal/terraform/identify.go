package terraform

import (
	"cmp"
	"strings"

	"diagnose/internal/estate"
	"diagnose/internal/gcp"
)

// identifying are the attributes by which a resource says what its policy is
// of, by family.
var identifying = map[string]string{
	"google_cloud_run_service": "service", "google_cloud_run_v2_service": "name", "google_cloudfunctions_function": "cloud_function",
	"google_cloudfunctions2_function": "cloud_function", "google_iap_web_cloud_run_service": "cloud_run_service_name",
}

// of finds the address of the target that a policy is of, "" where none here
// is known to be: the one that the resource refers to, the one of its name, or
// the only one that its name fits as far as it is known.
func (b *builder) of(r *Resource, on, prefix string) string {
	attribute := identifying[prefix]
	if attribute == "" {
		return "" // a node
	}
	if at := b.referred(r, attribute); at != "" {
		return at
	}
	if at := b.spelt(r, attribute, on); at != "" {
		return at
	}
	var fits []string
	for _, i := range b.ids[gcp.Last(on)] {
		b.steps++
		t := b.e.Targets[i]
		name := t.Name
		switch {
		case strings.HasPrefix(prefix, "google_iap"):
			n, _ := gcp.ParseName(t.Name)
			name = estate.Spelled(gcp.IAPName(n.Project, n.Location, n.ID), "")
		case prefix == "google_cloudfunctions2_function":
			name = t.Function
		}
		if name == on && !strings.Contains(on, "/"+unknownPart) {
			return t.Where.Address
		}
		if sameOne(name, on) && samePlace(r, b.made[t.Where.Address], on, name) {
			fits = append(fits, t.Where.Address)
		}
	}
	if len(fits) != 1 {
		return ""
	}
	return fits[0]
}

// referred finds the address of the target that an attribute refers to: where
// its value is known, the one whose name it is.
func (b *builder) referred(r *Resource, attribute string) string {
	if at := r.refs[attribute]; b.made[at] != nil {
		return at
	}
	name := gcp.Last(r.first(attribute))
	if at := r.named[attribute]; b.made[at] != nil && name != "" && gcp.Last(b.made[at].first("name")) == name {
		return at
	}
	if at := r.hints[attribute] + anyIndex; b.made[at] != nil {
		return at // the one that stands for all
	}
	return ""
}

// spelt finds the address of the one target whose name is written alike, "" where
// there is none, or several.
func (b *builder) spelt(r *Resource, attribute, on string) string {
	var fits []string
	for _, t := range b.written[r.spelt[attribute]] {
		if b.steps++; samePlace(r, t, on, b.names[t.Address]) {
			fits = append(fits, t.Address)
		}
	}
	if len(fits) != 1 {
		return ""
	}
	return fits[0]
}

// samePlace reports whether a policy, which is of one name, is known to be in
// the project and location of a target, which has another.
func samePlace(r, target *Resource, on, name string) bool {
	for _, x := range []struct {
		collection string
		attributes []string
	}{{"projects", []string{"project"}}, {"locations", []string{"location", "region"}}} {
		a, b := gcp.Part(on, x.collection), gcp.Part(name, x.collection)
		if a != b || a == "" && !alike(r, target, x.attributes) {
			return false
		}
	}
	return true
}

// alike reports whether two resources are known to have one value, which is
// not known itself: each has it from the same provider, they spell it alike, or
// one refers to the other.
func alike(r, target *Resource, attributes []string) bool {
	said := false
	for _, a := range attributes {
		if at := cmp.Or(r.refs[a], r.hints[a]); at != "" && at == target.Address {
			return true
		}
		for _, b := range attributes {
			if r.spelt[a] != "" && r.spelt[a] == target.spelt[b] {
				return true
			}
		}
		said = said || r.Said == nil || target.Said == nil || r.Said(a) || target.Said(a)
	}
	return !said && r.Defaults.provider != "" && r.Defaults.provider == target.Defaults.provider
}

// sameOne reports whether two names of one configuration may be of one thing:
// their IDs are known and equal, and no part that is known of both differs.
func sameOne(a, b string) bool {
	x, y := strings.Split(a, "/"), strings.Split(b, "/")
	if len(x) != len(y) || x[len(x)-1] != y[len(y)-1] || strings.HasPrefix(x[len(x)-1], unknownPart) {
		return false
	}
	for i := range x {
		if x[i] != y[i] && x[i] != unknownPart && y[i] != unknownPart {
			return false
		}
	}
	return true
}
