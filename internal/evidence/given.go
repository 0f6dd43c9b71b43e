package evidence

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"cloud.google.com/go/functions/apiv2/functionspb"

	"diagnose/internal/gcp"
)

// A Given is a document that was given without saying what it is.
type Given struct {
	Name string
	Data []byte
}

// Add reads documents, each known by its content, beside what the snapshot
// knows. Two documents for one place are an error, unless they are lists that
// add up. An error names the document.
func (s *Snapshot) Add(list []Given) error {
	flags := make([]string, len(list))
	for i, g := range list {
		var err error
		if flags[i], err = Recognize(g.Data); err != nil {
			return fmt.Errorf("%s %w", g.Name, err)
		}
	}
	for i, g := range list {
		if flags[i] == "policy" {
			var err error
			if flags[i], err = s.policyPlace(list, flags, i); err != nil {
				return fmt.Errorf("%s %w", g.Name, err)
			}
			if flags[i] != "policy" {
				s.Notes = append(s.Notes, fmt.Sprintf("%s was taken as --%s, because of the roles in it", g.Name, flags[i]))
			}
		}
	}
	for _, late := range []bool{false, true} { // which request of a HAR counts depends on the rest
		for i, g := range list {
			if late != (flags[i] == "response") {
				continue
			}
			if err := s.AddAs(flags[i], Source{Document: g.Name}, g.Data); err != nil {
				return err
			}
		}
	}
	return nil
}

// AddAs reads one document of a known kind beside what the snapshot knows.
func (s *Snapshot) AddAs(flag string, src Source, data []byte) error {
	one := Snapshot{asked: s.hosts()}
	if err := Read(flag, src, data, &one); err != nil {
		return err
	}
	if flag == "policy" {
		if err := one.doubtPolicy(); err != nil {
			return fmt.Errorf("%s %w", src.Document, err)
		}
	}
	if flag == "response" && one.Request.Known() && s.Request.Known() {
		s.addRequest(one.Request.Or(Request{}), src)
		one.Request = Fact[Request]{}
	}
	return s.merge(one, flag)
}

// hosts are those that the documents say are the target's.
func (s *Snapshot) hosts() []string {
	all := append([]string{s.Service.Or(nil).GetUri(), s.Function.Or(Function{}).GetUrl(),
		s.Function.Or(Function{}).GetServiceConfig().GetUri()}, s.Service.Or(nil).GetUrls()...)
	if u := s.Request.Or(Request{}).URL; u != nil {
		all = append(all, u.String())
	}
	var out []string
	for _, u := range all {
		if h := gcp.HostOf(u); h.Name != "" {
			out = append(out, h.Name)
		}
	}
	return out
}

// A placed fact says where it was read.
type placed interface {
	given() (document string, ok bool)
	Known() bool
}

func (f *Fact[T]) given() (string, bool) {
	return f.Source.Document, f.known || f.reason != nil || f.Source.Document != ""
}

// said goes over the facts of which another snapshot says something: what is
// known of each so far, where the other has it from, and what puts it there.
func (s *Snapshot) said(more *Snapshot, each func(was placed, document string, put func()) error) error {
	into, from := reflect.ValueOf(s).Elem(), reflect.ValueOf(more).Elem()
	for i := range into.NumField() {
		if !into.Field(i).CanSet() {
			continue
		}
		was, ok := into.Field(i).Addr().Interface().(placed)
		if !ok {
			continue
		}
		document, ok := from.Field(i).Addr().Interface().(placed).given()
		if !ok {
			continue
		}
		if err := each(was, document, func() { into.Field(i).Set(from.Field(i)) }); err != nil {
			return err
		}
	}
	if !more.Now.IsZero() {
		s.Now, s.NowFrom = more.Now, more.NowFrom
	}
	s.Notes = append(s.Notes, more.Notes...)
	s.Guessed = append(s.Guessed, more.Guessed...)
	return nil
}

// merge adds what one document said.
func (s *Snapshot) merge(one Snapshot, flag string) error {
	d, _ := find(flag)
	return s.said(&one, func(was placed, document string, put func()) error {
		before, ok := was.given()
		switch {
		case !ok:
			put()
		case d.join != nil:
			d.join(s, one)
		default:
			return fmt.Errorf("%s and %s are both %s: give one of them", before, document, thing(d.What))
		}
		return nil
	})
}

// Replace puts what other documents say over what is known.
func (s *Snapshot) Replace(over Snapshot) {
	// The visit refuses nothing.
	_ = s.said(&over, func(was placed, document string, put func()) error {
		if old, _ := was.given(); was.Known() && old != document {
			s.Notes = append(s.Notes, fmt.Sprintf("%s takes the place of %s", document, old))
		}
		put()
		return nil
	})
}

// thing is what a document holds without its details.
func thing(what string) string {
	what, _, _ = strings.Cut(what, ":")
	what, _, _ = strings.Cut(what, ",")
	return what
}

// Policies of their own have few roles: those of Cloud Run and of functions,
// and custom ones. Every other role is bound on a project or above it, and so
// are the agents of Google's services.
//
// https://docs.cloud.google.com/iam/docs/understanding-roles
func ownRole(role string) bool {
	return strings.HasPrefix(role, "roles/run.") && role != "roles/run.serviceAgent" || strings.HasPrefix(role, functionRoles) ||
		!strings.HasPrefix(role, "roles/")
}

const functionRoles = "roles/cloudfunctions."

// doubtPolicy looks whether the policy of a service is a project's by its
// roles. Google's agents have theirs on the project alone, so that such a policy
// is refused; one with another role of projects is noted.
func (s *Snapshot) doubtPolicy() error {
	other := ""
	for _, b := range s.Policy.Or(nil).GetBindings() {
		role := b.GetRole()
		if strings.HasSuffix(strings.ToLower(role), "serviceagent") && strings.HasPrefix(role, "roles/") {
			return fmt.Errorf("is the policy of a project, as it grants %s; expected %s: pass it with --ancestor-policies", role, what("policy"))
		}
		if !ownRole(role) {
			other = role
		}
	}
	if other != "" {
		s.Notes = append(s.Notes, fmt.Sprintf("%s grants %s, as a project's policy does: it is judged as the service's own; give a project's with --ancestor-policies",
			s.Policy.Source.Document, other))
	}
	return nil
}

// policyPlace says whose an allow policy is, which does not say it itself: by
// its roles, and by the other documents.
func (s *Snapshot) policyPlace(list []Given, flags []string, i int) (string, error) {
	var one Snapshot
	if err := Read("policy", Source{}, list[i].Data, &one); err != nil {
		return "policy", nil // Read says it again
	}
	var roles []string
	for _, b := range one.Policy.Or(nil).GetBindings() {
		roles = append(roles, b.GetRole())
	}
	all := func(is func(string) bool) bool {
		return len(roles) > 0 && !slices.ContainsFunc(roles, func(r string) bool { return !is(r) })
	}
	service := s.Service.Known() || slices.Contains(flags, "service")
	switch {
	case all(func(r string) bool { return strings.HasPrefix(r, "roles/iam.") }):
		return "", fmt.Errorf("is the policy of a service account and does not say of which one; %s", accountHint)
	case slices.ContainsFunc(roles, func(r string) bool { return !ownRole(r) }):
		return "ancestor-policies", nil
	case all(func(r string) bool { return strings.HasPrefix(r, functionRoles) && !service }), !service && s.gen1Among(list, flags):
		return "function-policy", nil
	}
	return "policy", nil
}

// gen1Among reports whether the function that is given is a gen1 function.
func (s *Snapshot) gen1Among(list []Given, flags []string) bool {
	f := s.Function
	if i := slices.Index(flags, "function"); i >= 0 {
		var one Snapshot
		if Read("function", Source{}, list[i].Data, &one) == nil {
			f = one.Function
		}
	}
	return f.Or(Function{}).GetEnvironment() == functionspb.Environment_GEN_1
}
