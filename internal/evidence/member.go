package evidence

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"diagnose/internal/caller"
	"diagnose/internal/credential"
)

// A Member is one document of a case: its file names, the flag that gives it,
// what it holds, and the command that makes it.
type Member struct {
	Names []string
	Flag  string
	What  string
	Make  string
	read  func(*Snapshot, Source, []byte) error
}

// Members lists the documents of a case. Request fields have flags of their
// own and are not among them, apart from request.json itself.
var Members = []Member{
	{[]string{"request.json"}, "request", what["request"], "", readRequest},
	{[]string{"token.jwt"}, "token-file", what["token-file"], "", readToken},
	{[]string{"token.json"}, "claims", what["claims"], "", readClaims},
	{[]string{"function.json", "function.yaml"}, "function", what["function"], "gcloud functions describe FUNCTION --region=REGION --format=json", readFunction},
	{[]string{"service.json", "service.yaml"}, "service", what["service"], "gcloud run services describe SERVICE --region=REGION --format=json", readService},
	{[]string{"policy.json", "policy.yaml"}, "policy", what["policy"], "gcloud run services get-iam-policy SERVICE --region=REGION --format=json", policyReader(func(s *Snapshot) *policyFact { return &s.Policy })},
	{[]string{"function-policy.json", "function-policy.yaml"}, "function-policy", what["function-policy"], "gcloud functions get-iam-policy FUNCTION --region=REGION --format=json", policyReader(func(s *Snapshot) *policyFact { return &s.FunctionPolicy })},
	{[]string{"ancestor-policies.json", "ancestor-policies.yaml"}, "ancestor-policies", what["ancestor-policies"], "gcloud projects get-ancestors-iam-policy PROJECT --format=json", readAncestors},
	{[]string{"deny-policies.json", "deny-policies.yaml"}, "deny-policies", what["deny-policies"], "gcloud iam policies get POLICY --kind=denypolicies --attachment-point=POINT --format=json", readDenyPolicies},
	{[]string{"roles.json", "roles.yaml"}, "roles", what["roles"], "gcloud iam roles describe ROLE --project=PROJECT --format=json", readRoles},
	{[]string{"groups.json"}, "groups", what["groups"], "gcloud identity groups memberships list --group-email=GROUP --format=json", readGroups},
	{[]string{"trigger.json", "trigger.yaml"}, "trigger", what["trigger"], "gcloud eventarc triggers describe TRIGGER --location=REGION --format=json", readTrigger},
	{[]string{"caller.json", "caller.yaml"}, "caller", what["caller"], "gcloud scheduler jobs describe JOB --location=REGION --format=json", readCaller},
	{[]string{"project.json", "project.yaml"}, "project-file", what["project-file"], "gcloud projects describe PROJECT --format=json", readProject},
	{[]string{"jwks.json"}, "jwks", what["jwks"], "curl https://www.googleapis.com/oauth2/v3/certs", readKeys},
	{[]string{"tags.json"}, "tags", what["tags"], "gcloud resource-manager tags bindings list --effective --parent=FULL_NAME --location=REGION --format=json", readTags},
	{[]string{"response.http"}, "response", what["response"], "curl -i URL", readResponse},
	{[]string{"log.json", "log.yaml"}, "log", what["log"], "gcloud logging read FILTER --format=json", readLogs},
}

// what says what each member holds, by its flag.
var what = map[string]string{
	"request":           "the request",
	"token-file":        "the credential exactly as sent",
	"claims":            "a decoded token: header and claims, or the claims alone",
	"function":          "a Cloud Functions function, v2 or gen1",
	"service":           "a Cloud Run service, v2 or Knative",
	"policy":            "the allow policy of the Cloud Run service",
	"function-policy":   "the allow policy of the function resource",
	"ancestor-policies": "the allow policies of project, folders and organization",
	"deny-policies":     "IAM deny policies",
	"roles":             "IAM roles, custom or newer than the built-in table",
	"groups":            "members by group: or domain: member",
	"trigger":           "an Eventarc trigger",
	"caller":            "the configuration of a caller: Scheduler job, Tasks task or queue, Pub/Sub subscription, Eventarc trigger, OpenAPI document, workflow",
	"project-file":      "the project",
	"jwks":              "the key set to verify the signature with",
	"tags":              "the effective tags of the service",
	"response":          "the answer observed",
	"log":               "Cloud Logging entries",
}

// maxMember bounds the size of one document.
const maxMember = 32 << 20

// Read adds one document to a snapshot. member is one of the names of Members
// or a flag of theirs. Its errors name the document and what was expected, and
// quote no value of it.
func Read(member string, src Source, data []byte, s *Snapshot) error {
	m, ok := find(member)
	if !ok {
		return fmt.Errorf("%s: no such member of a case%s", src.Document, suggest(member))
	}
	if len(data) > maxMember {
		return fmt.Errorf("%s: larger than %d MB; expected %s", src.Document, maxMember>>20, m.What)
	}
	data, err := decodeText(data)
	if err == nil && strings.TrimSpace(string(data)) == "" && m.Names[0] != "token.jwt" {
		err = fmt.Errorf("is empty; expected %s", m.What)
		if m.Make != "" {
			err = fmt.Errorf("is empty; expected %s, as %q prints it", m.What, m.Make)
		}
	}
	if err == nil {
		err = m.read(s, src, data)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", src.Document, err)
	}
	return nil
}

func find(member string) (Member, bool) {
	for _, m := range Members {
		if slices.Contains(m.Names, member) || m.Flag == member {
			return m, true
		}
	}
	return Member{}, false
}

// suggest names the member that a name resembles.
func suggest(name string) string {
	best, least := "", 4
	for _, m := range Members {
		for _, n := range m.Names {
			if d := distance(name, n); d < least {
				best, least = n, d
			}
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %s?", best)
}

// ignored are files that may stand in a case beside its members.
func ignored(name string) bool {
	base := path.Base(name)
	switch {
	case strings.HasPrefix(base, "."), strings.HasSuffix(base, ".md"), strings.HasSuffix(base, ".txt"):
		return true
	}
	return base == "want" || base == "args" || base == "want.json"
}

// distance is the number of letters to insert, delete or change between two
// names.
func distance(a, b string) int {
	prev := make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		cur := make([]int, len(b)+1)
		cur[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, prev[j-1]+cost)
		}
		prev = cur
	}
	return prev[len(b)]
}

// maxWords bounds the words of a header's value: a damaged one may hold
// several tokens with words before them, and a text has more.
const maxWords = 12

func readToken(s *Snapshot, src Source, data []byte) error {
	c := credential.Decode(string(data))
	if c.Kind == credential.None {
		return fmt.Errorf("is empty; expected a JWT or another credential")
	}
	if !c.JWT() && len(strings.Fields(string(data))) > maxWords {
		if name, flag := Kind(data); flag != "" {
			return fmt.Errorf("holds %s, not a credential: pass it with --%s", name, flag)
		}
		return fmt.Errorf("holds a text, not a credential; expected a JWT or another credential exactly as sent")
	}
	s.Token = Known(c, src)
	return nil
}

func readClaims(s *Snapshot, src Source, data []byte) error {
	if c := credential.Decode(string(data)); c.JWT() {
		return fmt.Errorf("holds an encoded token; pass it with --token-file (token.jwt)")
	}
	doc, err := toJSON(data)
	if err != nil {
		return err
	}
	c, err := credential.FromClaims(doc)
	if err != nil {
		return err
	}
	s.Token = Known(c, src)
	return nil
}

func readKeys(s *Snapshot, src Source, data []byte) error {
	keys, err := credential.ParseKeySet(data)
	if err != nil {
		return err
	}
	s.Keys = Known(keys, src)
	return nil
}

func readCaller(s *Snapshot, src Source, data []byte) error {
	doc, err := toJSON(data)
	if err != nil {
		return err
	}
	callers, err := caller.Parse(doc)
	if err != nil {
		return wrongKind(doc, err, "caller")
	}
	c := callers[0]
	for _, other := range callers[1:] {
		if other.URL != c.URL || other.Audience != c.Audience || other.Token != c.Token {
			c.Note = strings.TrimPrefix(fmt.Sprintf("%s; the first of %d calls in the document is judged", c.Note, len(callers)), "; ")
			break
		}
	}
	s.Caller = Known(c, src)
	return nil
}
