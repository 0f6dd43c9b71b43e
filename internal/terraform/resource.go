// Package terraform reads what a Terraform plan, or configuration, says of who
// can invoke what, as an estate: the state after the change, and for a plan
// the one before. What is known only after apply is unknown there.
package terraform

import (
	"fmt"
	"strconv"

	"diagnose/internal/estate"
	"diagnose/internal/evidence"
	"diagnose/internal/gcp"
)

// A Resource is one instance of a resource of the Google provider, from a plan
// or from configuration. Its zero value has no attributes.
type Resource struct {
	Type    string
	Name    string
	Address string // with module and index
	Values  map[string]any
	// Unknown marks what of Values is known only after apply: true, or a map
	// or list that has the shape of the value.
	Unknown any
	// Said reports whether the configuration sets an attribute; nil where the
	// configuration is not there to look.
	Said      func(attribute string) bool
	Created   bool     // it does not exist yet, or is made again
	Replaced  bool     // it is made again
	Unchanged bool     // the plan leaves it as it is
	forgotten bool     // the plan leaves it as it is, and no longer manages it
	Defaults  Defaults // of its provider
	// maybe is why it may not be there at all, "" where it is.
	maybe string
	// refs are the addresses of the services and functions that unknown
	// attributes are names of, by path: "http_target.uri".
	refs map[string]string
	// named are the addresses of the services and functions that attributes may
	// be names of, where they are known.
	named map[string]string
	hints map[string]string // what an expression of an unknown attribute mentions
	spelt map[string]string // how an unknown attribute is written, and in which module
	// notAnyone names the unknown attributes whose members cannot be allUsers.
	notAnyone map[string]bool
	Where     estate.Where
}

// afterApply is why a value is not known.
const afterApply = "known after apply"

// child returns the part of an unknown mark below a key or position.
func child(unknown any, key string) any {
	switch u := unknown.(type) {
	case bool:
		return u
	case map[string]any:
		return u[key]
	case []any:
		if i, err := strconv.Atoi(key); err == nil && i < len(u) {
			return u[i]
		}
	}
	return nil
}

// anyUnknown reports whether an unknown mark covers anything.
func anyUnknown(unknown any) bool {
	switch u := unknown.(type) {
	case bool:
		return u
	case map[string]any:
		for _, v := range u {
			if anyUnknown(v) {
				return true
			}
		}
	case []any:
		for _, v := range u {
			if anyUnknown(v) {
				return true
			}
		}
	}
	return false
}

// text returns an attribute as text, and whether it is known. One that is not
// set is "" and known.
func (r *Resource) text(attribute string) (string, bool) {
	if v, ok := r.Values[attribute]; ok && v != nil {
		return textOf(v), true
	}
	return "", !anyUnknown(child(r.Unknown, attribute))
}

func textOf(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case nil:
		return ""
	}
	return fmt.Sprint(v)
}

// first returns the first of several attributes that has a text.
func (r *Resource) first(attributes ...string) string {
	for _, a := range attributes {
		if s, _ := r.text(a); s != "" {
			return s
		}
	}
	return ""
}

// project is the ID of the project that a resource is in, "" where it is not
// known: that of the provider where it says none.
func (r *Resource) project() string { return r.or("project", r.Defaults.Project) }

// region is the location that a resource is in, as project is its project.
func (r *Resource) region() string {
	if s := r.first("location", "region"); s != "" || r.open("location") {
		return s
	}
	return r.or("region", r.Defaults.Region)
}

// or is the last part of an attribute, and something else where it is not set.
func (r *Resource) or(attribute, unset string) string {
	if s := r.first(attribute); s != "" || r.open(attribute) {
		return gcp.Last(s)
	}
	return unset
}

// texts returns a list attribute, and whether all of it is known.
func (r *Resource) texts(attribute string) ([]string, bool) {
	list, _ := r.Values[attribute].([]any)
	var out []string
	for _, v := range list {
		if s := textOf(v); s != "" {
			out = append(out, s)
		}
	}
	return out, !anyUnknown(child(r.Unknown, attribute))
}

// answer returns a boolean attribute; unset stands for the one that is not
// set.
func (r *Resource) answer(attribute string, unset estate.Truth) estate.Truth {
	switch v := r.Values[attribute].(type) {
	case bool:
		return estate.TruthOf(v)
	case string:
		if v == "" {
			break
		}
		b, ok := evidence.Truth(v)
		if !ok {
			return estate.Unknown // a word that is no boolean says neither
		}
		return estate.TruthOf(b)
	}
	if r.open(attribute) {
		return estate.Unknown
	}
	return unset
}

// open reports whether an attribute is known only after apply. The provider
// marks so what it computes where nothing is set: then its default is known.
func (r *Resource) open(attribute string) bool {
	return anyUnknown(child(r.Unknown, attribute)) && (r.Said == nil || r.Said(attribute))
}

// block returns a nested block as a resource of its own, its first one where
// there are several, nil where there is none.
func (r *Resource) block(name string) *Resource {
	all := r.blocks(name)
	if len(all) == 0 {
		return nil
	}
	return all[0]
}

func (r *Resource) blocks(name string) []*Resource {
	if r == nil {
		return nil
	}
	mark := child(r.Unknown, name)
	make := func(v any, unknown any) *Resource {
		m, _ := v.(map[string]any)
		return &Resource{Type: r.Type, Address: r.Address, Values: m, Unknown: unknown, Where: r.Where}
	}
	switch v := r.Values[name].(type) {
	case []any:
		var out []*Resource
		for i, x := range v {
			out = append(out, make(x, child(mark, strconv.Itoa(i))))
		}
		return out
	case map[string]any:
		return []*Resource{make(v, mark)}
	}
	if mark == true {
		return []*Resource{make(map[string]any{}, true)}
	}
	return nil
}
