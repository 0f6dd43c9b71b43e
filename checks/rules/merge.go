package rules

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"diagnose/checks"
	"diagnose/internal/estate"
)

// A sameness tells the findings apart that one finding cannot stand for.
type sameness struct {
	resource, on, role, condition, text, suppressed string
	where                                           estate.Where
	severity                                        Severity
	unknown                                         bool
}

// merged makes one finding of those about the members of one binding of which
// it says the same.
func (x *Index) merged(found []Finding) []Finding {
	at := map[sameness]int{}
	parts := make([][]Finding, 0, len(found))
	for _, f := range found {
		f.Message = x.placedMessage(f)
		if f.grant == nil || f.Members != nil {
			parts = append(parts, []Finding{f})
			continue
		}
		key := sameness{
			f.Resource, f.GrantedOn, f.Role, f.Condition, strings.ReplaceAll(f.Message, f.Member, memberWord), f.Suppressed,
			f.Where, f.Severity, f.Unknown,
		}
		i, ok := at[key]
		if !ok {
			i = len(parts)
			at[key] = i
			parts = append(parts, nil)
		}
		parts[i] = append(parts[i], f)
	}
	out := make([]Finding, len(parts))
	for i, p := range parts {
		out[i] = p[0]
		if p[0].grant != nil && p[0].Members == nil {
			out[i] = together(p)
		}
	}
	return out
}

// memberWord stands for the member in a text that is about any.
const memberWord = "\x00"

// counts are the numbers in a message that change with what is below a node.
var counts = regexp.MustCompile(`\d+ (more )?services?`)

// together is one finding for those of several members.
func together(parts []Finding) Finding {
	f := parts[0]
	seen := map[string]bool{}
	for _, p := range parts {
		if !seen[p.Member] {
			seen[p.Member] = true
			f.Members = append(f.Members, p.Member)
		}
	}
	sample, of := f.Message, f.Member
	f.says = func(members []string) string { return about(sample, of, members) }
	f.Message = f.says(f.Members)
	f.detail = counts.ReplaceAllString(strings.ReplaceAll(sample, of, memberWord), "")
	if len(parts) > 1 && f.propose != nil {
		f.propose = func() []repair { return repairAll(parts) }
	}
	return f
}

// plural turns what is said of one member into what is said of several.
var plural = strings.NewReplacer(" was deleted, but still has ", " were deleted, but still have ", " has ", " have ")

// about says of members what a text says of one of them.
func about(text, of string, members []string) string {
	before, after, found := strings.Cut(text, of)
	if len(members) == 1 || !found {
		return strings.Replace(text, of, members[0], 1)
	}
	if before == "" { // they are the subject
		verb, rest, _ := strings.Cut(strings.TrimPrefix(after, " "), " ")
		after = plural.Replace(" "+verb+" ") + rest
		if verb == "was" {
			after = plural.Replace(" " + verb + " " + rest)
		}
	}
	return before + subject(members) + after
}

// placedMessage is a message that names the project of what it is about.
func (x *Index) placedMessage(f Finding) string {
	if f.target == nil || f.target.node == nil || strings.Contains(f.Message, f.target.node.name) {
		return f.Message
	}
	return strings.Replace(f.Message, shortName(f.target.name), x.placedName(f.target), 1)
}

// The members of one finding for which commands are listed, and for which a
// fix is judged again.
const (
	maxCommanded = 10
	maxJudged    = 50
)

// repairAll joins the repairs of the findings of several members.
func repairAll(parts []Finding) []repair {
	var members []string
	var each [][]repair
	for _, p := range parts {
		members = append(members, p.Member)
		each = append(each, p.propose())
	}
	var out []repair
	for i, r := range each[0] {
		one := parts[0].Member
		r.Summary = strings.Replace(r.Summary, one, subject(members), 1)
		r.Commands = slices.Clone(r.Commands)
		changes := []func(*estate.Estate){r.change}
		for k, others := range each[1:] {
			if i >= len(others) || others[i].ID != r.ID {
				return nil // they are repaired in different ways
			}
			if k+1 < maxCommanded {
				r.Commands = append(r.Commands, others[i].Commands...)
			}
			changes = append(changes, others[i].change)
		}
		r.Commands = distinct(r.Commands)
		if more := len(parts) - maxCommanded; more > 0 {
			r.Caution = joined(r.Caution, "and so for "+counted(more, "more member"))
		}
		out = append(out, changed(r, changes))
	}
	return out
}

// changed puts the changes of several repairs into one, where each can be
// modelled and they are few.
func changed(r repair, changes []func(*estate.Estate)) repair {
	if r.change == nil {
		return r
	}
	if len(changes) > maxJudged || slices.ContainsFunc(changes, func(c func(*estate.Estate)) bool { return c == nil }) {
		r.change = nil
		r.Caution = joined(r.Caution, fmt.Sprintf("not checked for all of its %d members", len(changes)))
		return r
	}
	r.change = func(e *estate.Estate) {
		for _, c := range changes {
			c(e)
		}
	}
	return r
}

// distinct leaves the first of equal commands.
func distinct(list []checks.Command) []checks.Command {
	seen := map[string]bool{}
	return slices.DeleteFunc(list, func(c checks.Command) bool {
		key := strings.Join(c.Argv, " ")
		old := seen[key]
		seen[key] = true
		return old
	})
}
