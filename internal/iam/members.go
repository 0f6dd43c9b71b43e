package iam

import (
	"strings"

	"diagnose/internal/gcp"
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
	ServiceAgentSet   // every service agent of one of them
	Agent             // an agent identity
	Convenience       // projectOwner:, projectEditor:, projectViewer:
)

// A Member is one member of a binding, or one principal of a deny rule.
type Member struct {
	Kind    Kind
	Value   string // e-mail, domain, customer ID or pool, in lower case where case does not count
	Deleted bool
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
	t := strings.Trim(s, " \t\r\n")
	if rest, ok := cutFold(t, "deleted:"); ok {
		m.Deleted = true
		t, _, _ = strings.Cut(rest, "?uid=")
	}
	switch lower(t) {
	case "allusers":
		m.Kind = AllUsers
		return m
	case "allauthenticatedusers":
		m.Kind = AllAuthenticatedUsers
		return m
	}
	switch {
	case strings.HasPrefix(t, "principal://"), strings.HasPrefix(t, "principalSet://"):
		_, path, _ := strings.Cut(t, "://")
		m.Kind, m.Value = principalKind(path)
		return m
	}
	prefix, value, ok := strings.Cut(t, ":")
	if !ok {
		return m
	}
	m.Kind, m.Value = prefixes[lower(prefix)], lower(strings.Trim(value, " \t\r\n"))
	if m.Kind == ServiceAccount && strings.Contains(m.Value, ".svc.id.goog[") {
		m.Kind = Kubernetes
	}
	return m
}

// lower changes the letters A to Z only: another letter that Unicode folds to
// one of them, such as the Kelvin sign, makes another name.
func lower(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return r - 'A' + 'a'
		}
		return r
	}, s)
}

func cutFold(s, prefix string) (string, bool) {
	if len(s) >= len(prefix) && lower(s[:len(prefix)]) == prefix {
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
			return ServiceAccount, lower(gcp.Last(rest))
		}
	case "cloudresourcemanager.googleapis.com":
		switch {
		case strings.HasSuffix(rest, "/type/ServiceAccount"):
			return ServiceAccountSet, strings.TrimSuffix(rest, "/type/ServiceAccount")
		case strings.HasSuffix(rest, "/type/ServiceAgent"):
			return ServiceAgentSet, strings.TrimSuffix(rest, "/type/ServiceAgent")
		}
	}
	// The trust domain of agents names an organization or a project:
	// https://docs.cloud.google.com/run/docs/ai/authenticate-agents.
	if strings.HasPrefix(host, "agents.") {
		return Agent, path
	}
	return OtherMember, path
}

func googPrincipal(rest string) (Kind, string) {
	kind, value, _ := strings.Cut(rest, "/")
	switch kind {
	case "subject":
		return User, lower(value)
	case "group":
		return Group, lower(value)
	case "cloudIdentityCustomerId":
		return Customer, value
	case "public:all":
		return AllUsers, ""
	}
	return OtherMember, rest
}

const undocumented = "Google does not document members of this form for Cloud Run"

// CanPresentIDToken says whether a member can show a Google-signed ID token of
// its own, and if not what to do instead. Rules:
// https://docs.cloud.google.com/iam/docs/federated-identity-supported-services,
// and for agents
// https://googlecloudplatform.github.io/iam-federation-tools/adk-cloudrun.
func (m Member) CanPresentIDToken() (State, string) {
	if m.Deleted {
		return NotGranted, "it is deleted; a new account with the same e-mail is a different one"
	}
	switch m.Kind {
	case User, ServiceAccount, Group, Domain, Customer, AllUsers, AllAuthenticatedUsers,
		ServiceAccountSet, ServiceAgentSet:
		return Granted, ""
	case Workforce:
		return NotGranted, "a workforce identity has no Google ID token; it must pass IAP instead"
	case Workload:
		return NotGranted, "a federated identity has no Google ID token; it must impersonate a service account"
	case Kubernetes:
		return NotGranted, "a Kubernetes service account has no Google ID token; " +
			"link it to a Google service account and grant that one"
	case Convenience:
		return NotGranted, "projectOwner:, projectEditor: and projectViewer: " +
			"mean something only for Cloud Storage and BigQuery"
	case Agent:
		return NotGranted, "an agent identity's token is not one of accounts.google.com; " +
			"it must impersonate a service account"
	}
	return Unknown, undocumented
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
