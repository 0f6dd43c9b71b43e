package checks

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"diagnose/internal/credential"
	"diagnose/internal/iam"
)

// An outsider is a caller for whom Google issues no ID token: a federated
// identity, a Kubernetes service account, an agent. It has to impersonate a
// service account:
// https://docs.cloud.google.com/iam/docs/federated-identity-supported-services.
type outsider struct {
	kind     iam.Kind // Workload, Workforce, Kubernetes or Agent
	member   string   // as a binding on a service account names it
	provider string   // resource name of the pool's provider, in capitals what is not known
	// The Kubernetes service account, "" where not known.
	namespace, name string
	from            credential.Kind
}

// federatedWhy says why a principal has no Google ID token, "" where it may
// have one.
func federatedWhy(member string) string {
	m := iam.ParseMember(member)
	if m.Deleted {
		return ""
	}
	switch m.Kind {
	case iam.Workforce:
		return "a workforce identity has no Google ID token: it must impersonate a service account, or pass IAP"
	case iam.Workload:
		return "a federated identity has no Google ID token: it must impersonate a service account"
	case iam.Kubernetes:
		return "a Kubernetes service account has no Google ID token: it must impersonate a Google service account"
	case iam.Agent:
		return "an agent identity has no ID token of accounts.google.com: it must impersonate a service account"
	}
	return ""
}

// outsider describes a caller without Google ID tokens, by the principal asked
// about or by the token that was sent.
func (in *Invocation) outsider() (outsider, bool) {
	if in.sent.supposed && federatedWhy(in.principal) != "" {
		return in.outsideMember(in.principal), true
	}
	c := in.sent.credential
	switch c.Kind {
	case credential.GitHub:
		return in.gitHub(c), true
	case credential.Kubernetes:
		return in.cluster(c), true
	case credential.STSToken:
		return in.outsideMember(in.pooled("", "/*")), true
	case credential.ForeignJWT:
		return in.foreignIssuer(c)
	}
	if in.client == "github-actions" && in.ownMember() == "" {
		return in.outsideMember(in.pooled("/attribute.repository/", "/attribute.repository/OWNER/REPOSITORY")), true
	}
	return outsider{}, false
}

// foreignIssuer tells agents and workloads from the providers that people sign
// in with, whose tokens no pool of workloads takes.
func (in *Invocation) foreignIssuer(c credential.Credential) (outsider, bool) {
	if domain, ok := strings.CutPrefix(c.Claims.Issuer, "https://agents.global."); ok {
		path, _ := strings.CutPrefix(c.Claims.Subject, "spiffe://")
		return outsider{kind: iam.Agent, member: "principal://" + cmp.Or(path, "agents.global."+domain), from: c.Kind}, true
	}
	if peopleProvider(c) {
		return outsider{}, false
	}
	o := in.outsideMember(in.pooled("", "/subject/"+cmp.Or(c.Claims.Subject, "SUBJECT")))
	o.from = c.Kind
	return o, true
}

// peopleProvider reports whether a token is of a provider that the users of an
// application sign in with.
func peopleProvider(c credential.Credential) bool {
	return slices.Contains([]string{"Auth0", "Okta", "Apple"}, c.Provider())
}

// gitHub names a repository's workflows as the usual mapping of attributes
// does.
func (in *Invocation) gitHub(c credential.Credential) outsider {
	repository, _ := c.Claims.Extra["repository"].(string)
	if rest, ok := strings.CutPrefix(c.Claims.Subject, "repo:"); ok && repository == "" {
		repository, _, _ = strings.Cut(rest, ":")
	}
	end := "/attribute.repository/" + cmp.Or(repository, "OWNER/REPOSITORY")
	o := in.outsideMember(in.pooled(end, end))
	o.from = c.Kind
	return o
}

var clusterAccount = regexp.MustCompile(`^system:serviceaccount:([a-z0-9][a-z0-9.-]*):([a-z0-9][a-z0-9.-]*)$`)

func (in *Invocation) cluster(c credential.Credential) outsider {
	o := outsider{kind: iam.Kubernetes, from: c.Kind}
	if m := clusterAccount.FindStringSubmatch(c.Claims.Subject); m != nil {
		o.namespace, o.name = m[1], m[2]
	}
	pool := in.projectName().ID + ".svc.id.goog"
	for _, a := range c.Claims.Audience {
		if strings.HasSuffix(a, ".svc.id.goog") {
			pool = a
		}
	}
	o.member = fmt.Sprintf("serviceAccount:%s[%s/%s]", pool, cmp.Or(o.namespace, "NAMESPACE"), cmp.Or(o.name, "KSA"))
	return o
}

var (
	poolName    = regexp.MustCompile(`projects/([^/]+)/locations/global/workloadIdentityPools/([^/]+)`)
	poolAccount = regexp.MustCompile(`workloadIdentityPools/([a-z0-9.:-]+\.svc\.id\.goog)/subject` +
		`/ns/([a-z0-9][a-z0-9.-]*)/sa/([a-z0-9][a-z0-9.-]*)$`)
	legacyForm = regexp.MustCompile(`^serviceAccount:[a-z0-9.:-]+\.svc\.id\.goog` +
		`\[([a-z0-9][a-z0-9.-]*)/([a-z0-9][a-z0-9.-]*)\]$`)
)

const workloadPool = "projects/PROJECT_NUMBER/locations/global/workloadIdentityPools/POOL"

// outsideMember describes a federated principal by its member string.
func (in *Invocation) outsideMember(member string) outsider {
	o := outsider{kind: iam.ParseMember(member).Kind, member: member, provider: workloadPool + "/providers/PROVIDER"}
	if pool := poolName.FindString(member); pool != "" {
		o.provider = pool + "/providers/" + cmp.Or(in.providerOf(pool), "PROVIDER")
	}
	// The documented form of a link is the one with the namespace:
	// https://docs.cloud.google.com/kubernetes-engine/docs/how-to/workload-identity.
	if m := poolAccount.FindStringSubmatch(member); m != nil {
		o.namespace, o.name = m[2], m[3]
		o.member = fmt.Sprintf("serviceAccount:%s[%s/%s]", m[1], m[2], m[3])
	} else if m := legacyForm.FindStringSubmatch(member); m != nil {
		o.namespace, o.name = m[1], m[2]
	}
	return o
}

// pooled returns the member of a workload identity pool that the policies name
// and that has the given end, else one in the only pool that they name, else
// one in a pool to be named.
func (in *Invocation) pooled(end, otherwise string) string {
	number := cmp.Or(in.projectNumber(), "PROJECT_NUMBER")
	pool := strings.Replace(workloadPool, "PROJECT_NUMBER", number, 1)
	for _, l := range in.layers {
		for _, b := range l.Policy.GetBindings() {
			for _, m := range b.GetMembers() {
				if iam.ParseMember(m).Kind != iam.Workload {
					continue
				}
				if end != "" && strings.HasSuffix(m, end) {
					return m
				}
				if found := poolName.FindString(m); found != "" {
					pool = found
				}
			}
		}
	}
	pool = cmp.Or(in.audiencePool(), pool)
	if strings.HasPrefix(otherwise, "/subject/") {
		return "principal://iam.googleapis.com/" + pool + otherwise
	}
	return "principalSet://iam.googleapis.com/" + pool + otherwise
}

// audiencePool is the workload identity pool that the token is for, "" where
// it is for another audience: the default audience of a pool's token names its
// provider, https://docs.cloud.google.com/iam/docs/workload-identity-federation-with-deployment-pipelines.
func (in *Invocation) audiencePool() string {
	return poolName.FindString(strings.Join(in.sent.credential.Claims.Audience, " "))
}

// providerOf is the provider of a pool that the token is for, "" where it is
// for another audience.
func (in *Invocation) providerOf(pool string) string {
	for _, a := range in.sent.credential.Claims.Audience {
		if _, rest, ok := strings.Cut(a, pool+"/providers/"); ok {
			return rest
		}
	}
	return ""
}
