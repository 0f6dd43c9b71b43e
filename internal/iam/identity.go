package iam

import (
	"strings"

	"diagnose/internal/gcp"
)

// An Identity is who makes a request, as far as it is known. The zero Identity
// is not known: only allUsers matches it for certain.
type Identity struct {
	Anonymous    bool   // the request has no credential
	Google       bool   // a Google account or service account, though its e-mail may not be known
	Member       Member // user: or serviceAccount:, or a set of accounts; its Kind OtherMember where not known
	HostedDomain string // the hd claim
	Project      string // the number of the project of a service account, "" where not known
}

// Anonymous is the identity of a request without credential.
func Anonymous() Identity { return Identity{Anonymous: true} }

// IdentityOf returns the identity that a member string names. "allUsers" is
// the anonymous one.
func IdentityOf(member string) Identity {
	m := ParseMember(member)
	switch m.Kind {
	case AllUsers:
		return Anonymous()
	case User, ServiceAccount:
		return Identity{Member: m, Google: !m.Deleted}
	}
	return Identity{Member: m}
}

func (id Identity) known() bool { return id.Member.text != "" }

// set reports whether the identity stands for everyone of a group, domain or
// other set, whoever of them calls.
func (id Identity) set() bool {
	switch id.Member.Kind {
	case Group, Domain, Customer, AllAuthenticatedUsers, ServiceAccountSet, ServiceAgentSet:
		return true
	}
	return false
}

// coversSet says whether a member covers everyone of a set.
func (m Member) coversSet(set Member) (State, string) {
	switch {
	case m.Kind == set.Kind && m.Value == set.Value, m.Kind == AllAuthenticatedUsers:
		return Granted, ""
	case m.Kind == User, m.Kind == ServiceAccount:
		return NotGranted, m.text + " is one account, not all of " + set.text
	case set.Kind == AllAuthenticatedUsers:
		return NotGranted, m.text + " is not everyone with a Google account"
	}
	return Unknown, "whether " + m.text + " covers all of " + set.text + " is not known"
}

// matches says whether a member covers an identity, and why where it does not
// for certain.
func (m Member) matches(id Identity, groups Groups) (State, string) {
	switch {
	case m.Deleted:
		return NotGranted, m.text + " is deleted"
	case m.Kind == AllUsers:
		return Granted, ""
	case id.Anonymous:
		return NotGranted, "the request has no credential"
	case m.text == "":
		return NotGranted, "the member is empty"
	}
	if can, why := m.CanPresentIDToken(); can == NotGranted {
		return NotGranted, why
	}
	if can, why := id.Member.CanPresentIDToken(); id.known() && can == NotGranted {
		return NotGranted, why
	}
	if id.set() {
		return m.coversSet(id.Member)
	}
	switch m.Kind {
	case Group:
		return groups.contains(m, id)
	case Domain:
		if id.known() && groups.lists(m) {
			return groups.contains(m, id)
		}
	}
	return m.covers(id)
}

// covers says whether a member covers a caller who has a token, without asking
// any group.
func (m Member) covers(id Identity) (State, string) {
	switch m.Kind {
	case AllUsers:
		return Granted, ""
	case AllAuthenticatedUsers:
		if id.Google {
			return Granted, ""
		}
		return Unknown, "it is unknown whether the caller is a Google account"
	case User, ServiceAccount:
		return m.sameAccount(id)
	case Domain:
		return m.inDomain(id)
	case Customer:
		return Unknown, "it is unknown whether " + m.text + " covers the caller"
	case ServiceAccountSet, ServiceAgentSet:
		return m.inSet(id)
	}
	return Unknown, undocumented
}

func (m Member) sameAccount(id Identity) (State, string) {
	switch {
	case !id.known():
		return Unknown, "the caller's e-mail is unknown"
	case id.Member.Kind == OtherMember:
		return Unknown, undocumented
	case id.Member.Kind == m.Kind && id.Member.Value == m.Value:
		return Granted, ""
	case sameAgentElsewhere(m, id.Member):
		return Unknown, m.text + " and " + id.Member.text + " are the service agents of two universes of Google Cloud; " +
			"it is unknown which one the service is in"
	}
	return NotGranted, "the caller is " + id.Member.text
}

// sameAgentElsewhere reports whether two e-mails are those of one service
// agent in two universes. Which one a service uses goes by its universe, which
// no document names.
func sameAgentElsewhere(a, b Member) bool {
	return a.Kind == ServiceAccount && b.Kind == ServiceAccount && gcp.SameAgentElsewhere(a.Value, b.Value)
}

// inSet decides the sets of all service accounts, or all service agents, of a
// resource. Only the set of a project is decided: an e-mail names the ID of a
// project and the set its number.
func (m Member) inSet(id Identity) (State, string) {
	unknown := "it is unknown whether the caller's project is in " + m.text
	if id.Member.Kind == User {
		return NotGranted, "the caller is not a service account"
	}
	kind, number, _ := strings.Cut(m.Value, "/")
	if gcp.NamedAsAgent(id.Member.Value) || m.Kind == ServiceAgentSet {
		return Unknown, "it is unknown whether a service agent is in " + m.text
	}
	project := id.Project
	if a := gcp.ParseAccount(id.Member.Value); project == "" && a.Kind == gcp.ComputeAccount {
		project = a.Project
	}
	switch {
	case kind != "projects" || !gcp.IsNumber(number) || !gcp.IsNumber(project):
		return Unknown, unknown
	case number == project:
		return Granted, ""
	}
	return NotGranted, "the caller is a service account of project " + project
}

// consumer are the domains of consumer accounts, which belong to no customer.
var consumer = map[string]bool{"gmail.com": true, "googlemail.com": true}

// inDomain decides a domain: member. Service accounts are not members of a
// domain; a secondary domain belongs to the same customer, and only the
// directory knows which.
func (m Member) inDomain(id Identity) (State, string) {
	if !id.known() {
		return Unknown, "the caller's e-mail is unknown"
	}
	_, domain, _ := strings.Cut(id.Member.Value, "@")
	switch {
	case id.Member.Kind == OtherMember:
		return Unknown, undocumented
	case id.Member.Kind != User:
		return NotGranted, "service accounts are not members of a domain"
	case lower(id.HostedDomain) == m.Value || domain == m.Value:
		return Granted, ""
	case consumer[domain]:
		return NotGranted, "a consumer account does not belong to a domain"
	}
	return Unknown, "whether " + domain + " is a secondary domain of " + m.Value + " is not known"
}
