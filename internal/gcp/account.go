package gcp

import (
	"regexp"
	"slices"
	"strings"
)

// An AccountKind says who made a service account. The zero AccountKind is not
// known: another universe, or no service account at all.
type AccountKind int

// The kinds of service account:
// https://docs.cloud.google.com/iam/docs/service-account-types.
const (
	UnknownAccount   AccountKind = iota
	UserAccount                  // made by a user in a project
	ComputeAccount               // the default one of Compute Engine
	AppEngineAccount             // the default one of App Engine
	ServiceAgent                 // Google's own
)

// An Account is the e-mail of a service account, taken apart.
type Account struct {
	Kind    AccountKind
	Email   string // in lower case
	Project string // ID of the project it is in, or number of the one it is for; "" where the e-mail does not tell
}

const (
	accountDomain = ".gserviceaccount.com"
	iamDomain     = ".iam" + accountDomain
	computeSuffix = "-compute@developer" + accountDomain
)

// agentProjects are the projects of Google's own in which service agents are,
// besides those that start with gcp-sa-:
// https://docs.cloud.google.com/iam/docs/service-agents.
var agentProjects = []string{
	"bigquery-data-connectors", "bigquery-encryption", "cloud-cdn-fill", "cloud-filer", "cloud-memcache-sa",
	"cloud-ml.google.com", "cloud-redis", "cloud-tpu", "cloudbuild", "cloudcomposer-accounts", "compute-system",
	"container-analysis", "container-engine-robot", "containerregistry", "dataflow-service-producer-prod",
	"dataproc-accounts", "dlp-api", "endpoints-portal", "firebase-rules", "gae-api-prod.google.com", "gcf-admin-robot",
	"gcp-gae-service", "genomics-api.google.com", "gs-project-accounts", "remotebuildexecution",
	"security-center-api", "serverless-robot-prod", "service-consumer-management", "service-networking",
	"sourcerepo-service-accounts", "storage-transfer-service", "trifacta-gcloud-prod",
}

var numbered = regexp.MustCompile(`^service-\d{6,}$`)

var agentName = regexp.MustCompile(`^(?:[a-z-]+-)?(\d+)$`)

// ParseAccount takes the e-mail of a service account apart.
func ParseAccount(email string) Account {
	a := Account{Email: strings.ToLower(email)}
	name, domain, ok := strings.Cut(a.Email, "@")
	if !ok || name == "" {
		return a
	}
	switch domain {
	case "developer" + accountDomain:
		a.Kind = ComputeAccount
		a.Project, ok = strings.CutSuffix(name, "-compute")
		if !ok || !IsNumber(a.Project) {
			a.Project = "" // an older form, which does not name its project
		}
		return a
	case "appspot" + accountDomain:
		a.Kind, a.Project = AppEngineAccount, name
		return a
	case "cloudservices" + accountDomain, "cloudbuild" + accountDomain, "system" + accountDomain:
		return a.agent(name)
	}
	if home, ok := strings.CutSuffix(domain, iamDomain); ok {
		a.in(name, home)
	}
	return a
}

// in reads an e-mail of the domain HOME.iam.gserviceaccount.com.
func (a *Account) in(name, home string) {
	if strings.HasPrefix(home, "gcp-sa-") && !strings.Contains(home, ".") || slices.Contains(agentProjects, home) {
		*a = a.agent(name)
		return
	}
	project, rest, scoped := strings.Cut(home, ".")
	switch {
	case numbered.MatchString(name):
		// The agent of a service that is not in the list, or a user's account
		// that is called like one.
	case !scoped:
		a.Kind, a.Project = UserAccount, project
	case strings.Contains(rest, "."):
		// example.com:shop, https://docs.cloud.google.com/iam/docs/service-account-types
		a.Kind, a.Project = UserAccount, rest+":"+project
	}
	// One label more, as in shop.s3ns, is another universe.
}

func (a Account) agent(name string) Account {
	a.Kind = ServiceAgent
	if m := agentName.FindStringSubmatch(name); m != nil && !strings.HasPrefix(name, "service-org-") &&
		!strings.HasPrefix(name, "service-folder-") {
		a.Project = m[1]
	}
	return a
}

// IsServiceAccount reports whether an e-mail is that of a service account, of
// whatever kind and universe.
func IsServiceAccount(email string) bool {
	_, domain, ok := strings.Cut(strings.ToLower(email), "@")
	return ok && strings.HasSuffix("."+domain, accountDomain)
}

// IsServiceAgent reports whether an e-mail is that of a service account of
// Google's own. False does not mean a user's: see ParseAccount.
func IsServiceAgent(email string) bool { return ParseAccount(email).Kind == ServiceAgent }

// NamedAsAgent reports whether an e-mail is called as the service agents of
// projects are, service-NUMBER. An account of a user's can be called so too.
func NamedAsAgent(email string) bool {
	name, _, _ := strings.Cut(strings.ToLower(email), "@")
	number, ok := strings.CutPrefix(name, "service-")
	return ok && IsNumber(number)
}

// SameAgentElsewhere reports whether two e-mails are those of one service agent
// in two universes of Google Cloud: service-1@P.iam.gserviceaccount.com and
// service-1@P.U.iam.gserviceaccount.com.
func SameAgentElsewhere(a, b string) bool {
	parts := func(email string) (name, project, universe string) {
		name, domain, _ := strings.Cut(strings.ToLower(email), "@")
		project, universe, _ = strings.Cut(strings.TrimSuffix(domain, iamDomain), ".")
		return name, project, universe
	}
	name, project, universe := parts(a)
	otherName, otherProject, otherUniverse := parts(b)
	return NamedAsAgent(a) && name == otherName && project == otherProject && universe != otherUniverse
}

// AccountProject is the project that a service account is in: its ID, or the
// number for the default account of Compute Engine. It is "" for Google's own,
// and where it is not known.
func AccountProject(email string) string {
	a := ParseAccount(email)
	if a.Kind == ServiceAgent {
		return ""
	}
	return a.Project
}

// ComputeDefault is the default service account of Compute Engine, "" where
// the project's number is not known.
func ComputeDefault(number string) string { return ifKnown(number, number+computeSuffix) }

// AppEngineDefault is the default service account of App Engine, "" where the
// project's ID is not known.
func AppEngineDefault(project string) string {
	return ifKnown(project, project+"@appspot"+accountDomain)
}

// UserMade is the e-mail of a service account that a user makes in a project,
// "" where a part of it is not known. Source:
// https://docs.cloud.google.com/iam/docs/service-accounts-create.
func UserMade(id, project string) string {
	if domain, name, ok := strings.Cut(project, ":"); ok {
		if !strings.Contains(domain, ".") {
			return "" // the prefix of another universe
		}
		project = name + "." + domain
	}
	return ifKnown(id, ifKnown(project, id+"@"+project+iamDomain))
}

// The service agents that a call passes, by
// https://docs.cloud.google.com/iam/docs/service-agents.
const (
	iapAgentDomain    = "gcp-sa-iap" + iamDomain
	pubSubAgentDomain = "gcp-sa-pubsub" + iamDomain
)

// IAPAgent is the service agent with which IAP calls Cloud Run, "" where the
// project's number is not known.
func IAPAgent(number string) string { return ifKnown(number, "service-"+number+"@"+iapAgentDomain) }

// PubSubAgent is the service agent of Pub/Sub, "" where the project's number
// is not known.
func PubSubAgent(number string) string {
	return ifKnown(number, "service-"+number+"@"+pubSubAgentDomain)
}

// IsPubSubAgent reports whether an e-mail is that of Pub/Sub's service agent.
func IsPubSubAgent(email string) bool {
	return strings.HasSuffix(strings.ToLower(email), "@"+pubSubAgentDomain)
}

func ifKnown(part, s string) string {
	if part == "" || s == "" {
		return ""
	}
	return s
}
