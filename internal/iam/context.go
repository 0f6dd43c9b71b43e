package iam

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"cel.dev/cel-go/common/types"
)

// A Tag is one effective tag of the resource. An empty field is not known.
type Tag struct {
	NamespacedKey, NamespacedValue string // "123/env", "123/env/prod"
	Key, Value                     string // "tagKeys/1", "tagValues/2"
}

// A Context is what a condition can see of one request. What is not set is
// unknown; the zero Context knows nothing.
type Context struct {
	Time       time.Time
	Path, Host *string
	TagsKnown  bool
	Tags       []Tag
	// Permission is the one asked about: it says which attributes a condition
	// has. "" stands for run.routes.invoke.
	Permission string
	// Stop ends the work early where it returns true; what is not decided by
	// then is unknown. A nil Stop never does.
	Stop func() bool
}

// missing lists the inputs that references need and the context lacks.
func (c Context) missing(refs []string) []string {
	var out []string
	for _, ref := range refs {
		switch {
		case ref == "request.time" && c.Time.IsZero(), ref == "request.path" && c.Path == nil,
			ref == "request.host" && c.Host == nil:
			out = append(out, ref)
		case ref == tagNames && !c.tagged(func(t Tag) bool { return t.NamespacedKey != "" && t.NamespacedValue != "" }),
			ref == tagIDs && !c.tagged(func(t Tag) bool { return t.Key != "" && t.Value != "" }):
			out = append(out, "tags")
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// tagged reports whether the tags are known, each with what is asked of it.
func (c Context) tagged(has func(Tag) bool) bool {
	return c.TagsKnown && !slices.ContainsFunc(c.Tags, func(t Tag) bool { return !has(t) })
}

// plainPath reports whether a path has nothing that IAP would take out of it.
func (c Context) plainPath() bool {
	if c.Path == nil {
		return true
	}
	p := *c.Path
	clean := path.Clean("/" + p)
	return !strings.ContainsAny(p, ";%\\") && (p == clean || p == clean+"/")
}

func inputName(need string) string {
	if need == "tags" {
		return "the tags of the service"
	}
	return need
}

// facts says what the attributes of a false part are.
func (c Context) facts(refs []string) string {
	switch {
	case slices.Contains(refs, "request.time"):
		return " (the time is " + c.Time.UTC().Format(time.RFC3339) + ")"
	case slices.Contains(refs, "request.path"):
		return fmt.Sprintf(" (the path is %q)", *c.Path)
	case slices.Contains(refs, "request.host"):
		return fmt.Sprintf(" (the host is %q)", *c.Host)
	}
	return ""
}

func (c Context) variables() map[string]any {
	request := map[string]any{}
	if !c.Time.IsZero() {
		request["time"] = types.Timestamp{Time: c.Time}
	}
	if c.Path != nil {
		request["path"] = *c.Path
	}
	if c.Host != nil {
		request["host"] = *c.Host
	}
	tags := make([]string, 0, 4*len(c.Tags))
	for _, t := range c.Tags {
		tags = append(tags, "key:"+t.NamespacedKey, "value:"+t.NamespacedValue, "keyId:"+t.Key, "valueId:"+t.Key+"="+t.Value)
	}
	vars := map[string]any{"request": request, "resource": map[string]any{tagsField: tags}}
	for _, r := range roots[2:] {
		vars[r] = map[string]any{}
	}
	return vars
}

// key tells contexts apart.
func (c Context) key(denial bool) string {
	var b strings.Builder
	word := func(s string) { b.WriteString(strconv.Itoa(len(s))); b.WriteByte(':'); b.WriteString(s) }
	b.WriteString(strconv.FormatBool(denial))
	word(c.Permission)
	if !c.Time.IsZero() {
		word(c.Time.UTC().Format(time.RFC3339Nano))
	}
	for _, s := range []*string{c.Path, c.Host} {
		b.WriteByte('|')
		if s != nil {
			word(*s)
		}
	}
	b.WriteString(strconv.FormatBool(c.TagsKnown))
	for _, t := range c.Tags {
		for _, s := range []string{t.NamespacedKey, t.NamespacedValue, t.Key, t.Value} {
			word(s)
		}
	}
	return b.String()
}
