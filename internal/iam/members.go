package iam

import (
	"regexp"
	"strings"
)

// A Kind is the form of a member. The zero Kind is a form that is not known.
type Kind int

// The forms of members, by
// https://docs.cloud.google.com/iam/docs/principal-identifiers.
const (
	OtherMember Kind = iota
	User
	ServiceAccount
	Group
	Domain
	Customer // everyone of a Cloud Identity or Workspace customer
	AllUsers
	AllAuthenticatedUsers
	Workforce         // a principal or set of workforce identity federation
	Workload          // a principal or set of workload identity federation
	Kubernetes        // a Kubernetes service account, in any of its forms
	ServiceAccountSet // every service account of a project, folder or organization
	ServiceAgentSet
	Agent       // an agent identity
	Convenience // projectOwner:, projectEditor:, projectViewer:
)

// A Member is one member of a binding, or one principal of a deny rule.
type Member struct {
	Kind    Kind
	Value   string // e-mail, domain, customer ID or pool, in lower case where case does not count
	Deleted bool
	UID     string // of a deleted member
	text    string
}

// String returns the member as it was written.
func (m Member) String() string { return m.text }

var prefixes = map[string]Kind{
	"user": User, "serviceaccount": ServiceAccount, "group": Group, "domain": Domain,
	"projectowner": Convenience, "projecteditor": Convenience, "projectviewer": Convenience,
}

// ParseMember reads a member of an allow policy. It reads anything: what it
// does not know is an OtherMember.
func ParseMember(s string) Member {
	m := Member{text: s}
	t := strings.TrimSpace(s)
	if rest, ok := cutFold(t, "deleted:"); ok {
		m.Deleted = true
		t = rest
		if i := strings.Index(t, "?uid="); i >= 0 {
			t, m.UID = t[:i], t[i+len("?uid="):]
		}
	}
	switch {
	case strings.EqualFold(t, "allUsers"):
		m.Kind = AllUsers
		return m
	case strings.EqualFold(t, "allAuthenticatedUsers"):
		m.Kind = AllAuthenticatedUsers
		return m
	case strings.HasPrefix(t, "principal://"), strings.HasPrefix(t, "principalSet://"):
		_, path, _ := strings.Cut(t, "://")
		m.Kind, m.Value = principalKind(path)
		return m
	}
	prefix, value, ok := strings.Cut(t, ":")
	if !ok {
		return m
	}
	m.Kind, m.Value = prefixes[strings.ToLower(prefix)], strings.ToLower(strings.TrimSpace(value))
	if m.Kind == ServiceAccount && strings.Contains(m.Value, ".svc.id.goog[") {
		m.Kind = Kubernetes
	}
	return m
}

func cutFold(s, prefix string) (string, bool) {
	if len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix) {
		return s[len(prefix):], true
	}
	return s, false
}

// principalKind reads the part behind principal:// or principalSet://.
func principalKind(path string) (Kind, string) {
	host, rest, _ := strings.Cut(path, "/")
	switch host {
	case "goog":
		return googPrincipal(rest)
	case "iam.googleapis.com":
		switch {
		case strings.Contains(rest, "/workforcePools/"):
			return Workforce, rest
		case strings.Contains(rest, "svc.id.goog"):
			return Kubernetes, rest
		case strings.Contains(rest, "/workloadIdentityPools/"):
			return Workload, rest
		case strings.Contains(rest, "/serviceAccounts/"):
			return ServiceAccount, strings.ToLower(rest[strings.LastIndexByte(rest, '/')+1:])
		}
	case "cloudresourcemanager.googleapis.com":
		switch {
		case strings.HasSuffix(rest, "/type/ServiceAccount"):
			return ServiceAccountSet, strings.TrimSuffix(rest, "/type/ServiceAccount")
		case strings.HasSuffix(rest, "/type/ServiceAgent"):
			return ServiceAgentSet, strings.TrimSuffix(rest, "/type/ServiceAgent")
		}
	case "agents.global", "agents":
		return Agent, path
	}
	if strings.HasPrefix(host, "agents.") || strings.Contains(rest, "resources/aiplatform") || strings.Contains(rest, "attribute.platformContainer") {
		return Agent, path
	}
	return OtherMember, path
}

func googPrincipal(rest string) (Kind, string) {
	kind, value, _ := strings.Cut(rest, "/")
	switch kind {
	case "subject":
		return User, strings.ToLower(value)
	case "group":
		return Group, strings.ToLower(value)
	case "cloudIdentityCustomerId":
		return Customer, value
	case "public:all":
		return AllUsers, ""
	}
	return OtherMember, rest
}

// CanPresentIDToken says whether a member can show a Google-signed ID token of
// its own, and if not what to do instead. Rules:
// https://docs.cloud.google.com/iam/docs/federated-identity-supported-services.
func (m Member) CanPresentIDToken() (State, string) {
	if m.Deleted {
		return NotGranted, "it is deleted; an account made again under the same e-mail is another one"
	}
	switch m.Kind {
	case User, ServiceAccount, Group, Domain, Customer, AllUsers, AllAuthenticatedUsers, ServiceAccountSet, ServiceAgentSet:
		return Granted, ""
	case Workforce:
		return NotGranted, "a workforce identity has no Google ID token; it must pass IAP instead"
	case Workload:
		return NotGranted, "a federated identity has no Google ID token; it must impersonate a service account"
	case Kubernetes:
		return NotGranted, "a Kubernetes service account has no Google ID token; link it to a Google service account and grant that one"
	case Convenience:
		return NotGranted, "projectOwner:, projectEditor: and projectViewer: mean something only for Cloud Storage and BigQuery"
	case Agent:
		return Unknown, "an agent identity is reported to work through Agent Gateway only"
	}
	return Unknown, "members of this form are not documented for Cloud Run"
}

// Broad reports whether a member stands for more than one account that is
// named.
func (m Member) Broad() bool {
	switch m.Kind {
	case AllUsers, AllAuthenticatedUsers, Domain, Customer, ServiceAccountSet, ServiceAgentSet:
		return true
	}
	return false
}

// An Identity is who makes a request, as far as it is known. The zero Identity
// is not known: only allUsers matches it for certain.
type Identity struct {
	Anonymous    bool   // the request carries no credential
	Google       bool   // a Google account or service account, though its e-mail may not be known
	Member       Member // user: or serviceAccount:, its Kind OtherMember where not known
	HostedDomain string // the hd claim
	Subject      string // the sub claim
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

// Groups lists the members of groups and domains by member string. A listed
// entry is complete; one that is not listed is unknown.
type Groups map[string][]string

func (g Groups) members(m Member) ([]string, bool) {
	prefix := "group:"
	if m.Kind == Domain {
		prefix = "domain:"
	}
	for k, v := range g {
		if strings.EqualFold(k, prefix+m.Value) {
			return v, true
		}
	}
	return nil, false
}

// matches says whether a member covers an identity, and why where it does not
// for certain.
func (m Member) matches(id Identity, groups Groups) (State, string) {
	return m.covers(id, groups, map[string]bool{})
}

func (m Member) covers(id Identity, groups Groups, seen map[string]bool) (State, string) {
	if m.Deleted {
		return NotGranted, m.text + " is deleted"
	}
	if m.Kind == AllUsers {
		return Granted, ""
	}
	if id.Anonymous {
		return NotGranted, "the request carries no credential"
	}
	if can, why := m.CanPresentIDToken(); can == NotGranted {
		return NotGranted, why
	}
	if can, why := id.Member.CanPresentIDToken(); id.known() && can == NotGranted {
		return NotGranted, why
	}
	switch m.Kind {
	case AllAuthenticatedUsers:
		if id.Google {
			return Granted, ""
		}
		return Unknown, "whether the caller is a Google account is not known"
	case User, ServiceAccount:
		return m.sameAccount(id)
	case Group:
		return m.listed(id, groups, seen)
	case Domain:
		return m.inDomain(id, groups, seen)
	case Customer, ServiceAgentSet:
		return Unknown, "whether " + m.text + " covers the caller is not known"
	case ServiceAccountSet:
		if id.Member.Kind == User {
			return NotGranted, "the caller is no service account"
		}
		return Unknown, "whether the caller's project is in " + m.text + " is not known"
	}
	return m.sameText(id)
}

func (m Member) sameAccount(id Identity) (State, string) {
	switch {
	case !id.known():
		return Unknown, "the caller's e-mail is not known"
	case id.Member.Kind == m.Kind && id.Member.Value == m.Value:
		return Granted, ""
	}
	return NotGranted, "the caller is " + id.Member.text
}

func (m Member) sameText(id Identity) (State, string) {
	if id.known() && id.Member.text == m.text {
		return Unknown, "members of this form are not documented for Cloud Run"
	}
	if id.Member.Kind == User || id.Member.Kind == ServiceAccount {
		return NotGranted, "the caller is " + id.Member.text
	}
	return Unknown, "members of this form are not documented for Cloud Run"
}

func (m Member) listed(id Identity, groups Groups, seen map[string]bool) (State, string) {
	members, ok := groups.members(m)
	if !ok {
		return Unknown, "the members of " + m.text + " are not known"
	}
	if seen[m.Value] {
		return NotGranted, ""
	}
	seen[m.Value] = true
	state, why := NotGranted, "the caller is not in "+m.text
	for _, s := range members {
		switch st, w := ParseMember(s).covers(id, groups, seen); st {
		case Granted:
			return Granted, ""
		case Unknown:
			state, why = Unknown, w
		}
	}
	return state, why
}

// consumer are the domains of consumer accounts, which belong to no customer.
var consumer = map[string]bool{"gmail.com": true, "googlemail.com": true}

// inDomain decides a domain: member. Service accounts are not members of a
// domain; a secondary domain belongs to the same customer, and only the
// directory knows which.
func (m Member) inDomain(id Identity, groups Groups, seen map[string]bool) (State, string) {
	if !id.known() {
		return Unknown, "the caller's e-mail is not known"
	}
	if _, ok := groups.members(m); ok {
		return m.listed(id, groups, seen)
	}
	_, domain, _ := strings.Cut(id.Member.Value, "@")
	switch {
	case id.Member.Kind != User:
		return NotGranted, "service accounts are not members of a domain"
	case strings.EqualFold(id.HostedDomain, m.Value) || domain == m.Value:
		return Granted, ""
	case consumer[domain]:
		return NotGranted, "a consumer account is in no domain"
	}
	return Unknown, "whether " + domain + " is a secondary domain of " + m.Value + " is not known"
}

var serviceAgentNumber = regexp.MustCompile(`^(service-)?\d+(-|$)`)

// NearMiss says why a member looks like an identity and is not it, or "".
func NearMiss(m Member, id Identity) string {
	if !id.known() || m.Broad() || m.Kind == Group {
		return ""
	}
	if m.Deleted && m.Value == id.Member.Value {
		return "that is the tombstone of a deleted account; the one of the same e-mail is another"
	}
	if m.Deleted || m.Kind != User && m.Kind != ServiceAccount {
		return ""
	}
	if m.Value == id.Member.Value {
		if m.Kind != id.Member.Kind {
			return "the caller is " + id.Member.text + ": the prefix is another"
		}
		return ""
	}
	ml, md, _ := strings.Cut(m.Value, "@")
	il, idd, _ := strings.Cut(id.Member.Value, "@")
	switch {
	case ml == il && md != idd && m.Kind == ServiceAccount:
		return "the caller is the one of the same name in another project, " + id.Member.Value
	case md == idd && serviceAgentNumber.MatchString(ml) && serviceAgentNumber.MatchString(il):
		return "the caller is that of another project number, " + id.Member.Value
	case consumer[md] && consumer[idd] && strings.ReplaceAll(ml, ".", "") == strings.ReplaceAll(il, ".", ""):
		return "the caller's e-mail is spelt " + id.Member.Value
	case distance(m.Value, id.Member.Value) <= 2:
		return "the caller is " + id.Member.Value + ": the e-mails differ by a letter or two"
	}
	return ""
}

// distance is the number of letters to insert, delete, change or swap between
// two strings, counted up to 3.
func distance(a, b string) int {
	if len(a)-len(b) > 2 || len(b)-len(a) > 2 {
		return 3
	}
	prev2, prev, cur := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		cur[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				cur[j] = min(cur[j], prev2[j-2]+1)
			}
		}
		prev2, prev, cur = prev, cur, prev2
	}
	return prev[len(b)]
}
