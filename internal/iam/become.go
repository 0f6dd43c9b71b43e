package iam

import "strings"

// mayUse says whether a member can use the permission asked about at all, and
// why where it cannot.
func (q Query) mayUse(m Member) (State, string) {
	if invokes(q.Permission) {
		return m.CanPresentIDToken()
	}
	return m.canCallAPIs()
}

// canCallAPIs says whether a member can call Google's APIs, which federated
// identities and agents can:
// https://docs.cloud.google.com/iam/docs/principal-identifiers.
func (m Member) canCallAPIs() (State, string) {
	switch {
	case m.Deleted, m.Kind == Convenience:
		return m.CanPresentIDToken()
	case m.Kind == OtherMember:
		return Unknown, "Google does not document members of this form"
	}
	return Granted, ""
}

// covers says whether a member covers the identity asked about.
func (q Query) covers(m Member) (State, string) {
	id := q.Identity
	if invokes(q.Permission) || id.Anonymous || m.Kind == AllUsers || m.text == "" {
		return m.matches(id, q.Groups)
	}
	for _, side := range []Member{m, id.Member} {
		if can, why := side.canCallAPIs(); can == NotGranted && side.text != "" {
			return NotGranted, why
		}
	}
	if m.external() || id.Member.external() {
		return m.coversExternal(id.Member)
	}
	return m.matches(id, q.Groups)
}

// external reports whether a member is an identity that is no Google account.
func (m Member) external() bool {
	switch m.Kind {
	case Workforce, Workload, Kubernetes, Agent:
		return true
	}
	return false
}

// coversExternal decides where one of two members is no Google account.
// allAuthenticatedUsers has none of other identity providers in it.
func (m Member) coversExternal(id Member) (State, string) {
	pool, whole := strings.CutSuffix(m.Value, "*")
	switch {
	case m.Kind == OtherMember || id.Kind == OtherMember:
		return Unknown, "whether " + m.text + " covers the caller is not known"
	case m.Kind != id.Kind:
		return NotGranted, "the caller is " + id.text
	case m.text == id.text, m.Value == id.Value && m.Value != "":
		return Granted, ""
	case whole && strings.HasPrefix(id.Value, pool):
		return Granted, ""
	case single(m) && single(id) && m.form() == id.form():
		return NotGranted, "the caller is " + id.text
	}
	return Unknown, "whether " + m.text + " covers the caller is not known"
}

// single reports whether a member that is no Google account is one identity.
func single(m Member) bool { return m.form() != "principalSet" }

// form is what stands before the first colon.
func (m Member) form() string {
	form, _, _ := strings.Cut(strings.TrimSpace(m.text), ":")
	return form
}
