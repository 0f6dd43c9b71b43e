package credential

import (
	"strings"
	"time"

	"diagnose/internal/gcp"
)

const googleIssuer = "https://accounts.google.com"

// issuers tells the kinds of JWT apart by their issuer. A base matches itself
// and every issuer below it. That only https://accounts.google.com counts for
// Cloud Run, and the bare form for Google's libraries:
// https://docs.cloud.google.com/functions/docs/troubleshooting.
var issuers = []struct {
	base string
	kind Kind
}{
	{"https://securetoken.google.com", Firebase},
	{"https://session.firebase.google.com", Firebase},
	{"https://cloud.google.com/iap", IAPAssertion},
	{"https://sts.googleapis.com", STSToken},
	{"sts.googleapis.com", STSToken},
	{"https://token.actions.githubusercontent.com", GitHub},
	{"https://container.googleapis.com", Kubernetes},
	{"https://kubernetes.default.svc", Kubernetes},
	{"https://kubernetes.default.svc.cluster.local", Kubernetes},
	{"kubernetes/serviceaccount", Kubernetes},
}

// kindOf tells the kind of a JWT by its claims.
func kindOf(c Claims) Kind {
	if c.Issuer == googleIssuer || c.Issuer == "accounts.google.com" {
		return IDToken
	}
	for _, i := range issuers {
		if c.Issuer == i.base || strings.HasPrefix(c.Issuer, i.base+"/") {
			return i.kind
		}
	}
	switch {
	case strings.HasPrefix(c.Subject, "system:serviceaccount:"):
		return Kubernetes
	case gcp.IsServiceAccount(c.Issuer):
		return SelfSigned
	}
	return ForeignJWT
}

// Person reports whether the claims tell that the token is a person's: by its
// e-mail, else by a hosted domain or by an OAuth client as its authorized
// party. False does not mean a service account; see ServiceAccount.
func (c Credential) Person() bool {
	k := c.Claims
	switch {
	case k.Email != "":
		return !gcp.IsServiceAccount(k.Email)
	case c.ServiceAccount():
		return false
	case k.HostedDomain != "":
		return true
	}
	return strings.HasSuffix(k.AuthorizedParty, gcp.OAuthClientSuffix) ||
		len(k.Audience) == 1 && k.AuthorizedParty == k.Audience[0]
}

// ServiceAccount reports whether the claims tell that the token is a service
// account's: by its e-mail, by a self-signed issuer, by the instance that
// asked for it, or by a subject that is its own authorized party, as
// https://docs.cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts/generateIdToken
// shows. Where Person is false too, the claims do not tell.
func (c Credential) ServiceAccount() bool {
	k := c.Claims
	switch {
	case k.Email != "":
		return gcp.IsServiceAccount(k.Email)
	case c.Kind == SelfSigned:
		return true
	case c.onInstance(), gcp.IsServiceAccount(k.AuthorizedParty):
		return true
	}
	return c.Kind == IDToken && k.AuthorizedParty != "" && k.AuthorizedParty == k.Subject
}

// onInstance reports whether the metadata server of a VM minted the token.
func (c Credential) onInstance() bool {
	google, _ := c.Claims.Extra["google"].(map[string]any)
	_, ok := google["compute_engine"]
	return ok
}

// Who returns the member string of the Google account that the credential
// names, "user:…" or "serviceAccount:…", or "" where it names none. An e-mail
// that another issuer vouches for is no Google account.
func (c Credential) Who() string {
	email := strings.ToLower(c.Claims.Email)
	switch c.Kind {
	case IDToken, AccessToken:
	case SelfSigned:
		email = strings.ToLower(c.Claims.Issuer)
	case IAPAssertion:
		if !strings.HasPrefix(c.Claims.Subject, "accounts.google.com:") {
			return ""
		}
	default:
		return ""
	}
	switch {
	case email == "":
		return ""
	case gcp.IsServiceAccount(email):
		return "serviceAccount:" + email
	}
	return "user:" + email
}

// clients names what holds or mints a credential of a kind.
var clients = map[Kind]string{
	GitHub: "github-actions", Kubernetes: "gke", Firebase: "firebase-sdk", IAPAssertion: "iap", SelfSigned: "service-account-key",
}

// Client guesses what minted the credential, in the names of the client field
// of request.json, or "" where nothing tells.
func (c Credential) Client() string {
	if name, ok := clients[c.Kind]; ok {
		return name
	}
	switch {
	case c.onInstance():
		return "metadata-server"
	case len(c.Claims.Audience) == 1 && c.Claims.Audience[0] == gcp.GcloudClient:
		return "gcloud"
	}
	return ""
}

// providers names identity providers by how the host of their issuer ends.
var providers = []struct{ host, name string }{
	{"gitlab.com", "GitLab"},
	{"login.microsoftonline.com", "Microsoft Entra ID"},
	{"sts.windows.net", "Microsoft Entra ID"},
	{"amazonaws.com", "AWS"},
	{"auth0.com", "Auth0"},
	{"okta.com", "Okta"},
	{"oidc.circleci.com", "CircleCI"},
	{"agent.buildkite.com", "Buildkite"},
	{"app.terraform.io", "HCP Terraform"},
	{"appleid.apple.com", "Apple"},
}

// Provider names the identity provider of a JWT of another issuer, or returns
// "" where the issuer is not a known one.
func (c Credential) Provider() string {
	if c.Kind != ForeignJWT {
		return ""
	}
	host, _, _ := strings.Cut(strings.TrimPrefix(strings.ToLower(c.Claims.Issuer), "https://"), "/")
	for _, p := range providers {
		if host == p.host || strings.HasSuffix(host, "."+p.host) {
			return p.name
		}
	}
	return ""
}

// Synthetic returns a correct Google ID token of a member for an audience, as
// a supposition: it has no signature to verify or send. A member that is
// neither a user nor a service account gives a token without e-mail.
func Synthetic(member, audience string, now time.Time) Credential {
	issued, expires := now, now.Add(time.Hour)
	c := Credential{Kind: IDToken, Clean: true, Supposed: true, Header: Header{Algorithm: "RS256"}, Claims: Claims{
		Issuer: googleIssuer, IssuedAt: &issued, Expiry: &expires,
	}}
	if kind, email, _ := strings.Cut(member, ":"); kind == "user" || kind == "serviceAccount" {
		verified := true
		c.Claims.Email, c.Claims.EmailVerified = email, &verified
	}
	if audience != "" {
		c.Claims.Audience = []string{audience}
	}
	return c
}
