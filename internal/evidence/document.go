package evidence

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"diagnose/internal/gcp"
)

// A Document is one kind of document of a case. One row of Documents is all
// that there is to know of it.
type Document struct {
	Names []string // file names in a case; the first is the one written
	Flag  string   // the flag that gives it
	What  string   // what it holds
	Make  string   // the command that makes it, "" where none does

	read  func(*Snapshot, Source, []byte) error
	write func(Snapshot) ([]byte, error) // nil, or nothing where it is unknown
	forms []form                         // how it is known by its content
	// join adds up two documents of the kind; nil where one alone counts.
	join func(into *Snapshot, more Snapshot)
}

// Documents lists the kinds of document of a case. Request fields have flags
// of their own and are not among them, apart from request.json itself.
var Documents []Document

// An init function, as the readers look into the table.
func init() { Documents = documents() }

func documents() []Document {
	return slices.Concat(requestDocuments(), resourceDocuments(), policyDocuments(), otherDocuments())
}

func requestDocuments() []Document {
	return []Document{{
		Names: []string{"request.json"}, Flag: "request",
		What: "the request",
		read: readRequest, write: writeRequest,
		forms: []form{{"a request", vague, either(has("url", "method"), has("principal"), has("headers"))}},
	}, {
		Names: []string{"token.jwt"}, Flag: "token-file",
		What: "the credential exactly as sent",
		read: readToken, write: writeToken,
	}, {
		Names: []string{"token.json"}, Flag: "claims",
		What: "a decoded token: header and claims, or the claims alone",
		read: readClaims, write: writeClaims,
		forms: []form{{"the claims of a token", vague, either(has("claims"), has("iss", "aud"))}},
	}}
}

func resourceDocuments() []Document {
	return []Document{{
		Names: []string{"function.json", "function.yaml"}, Flag: "function",
		What: "a Cloud Functions function, v2 or gen1",
		Make: "gcloud functions describe FUNCTION --region=REGION --format=json",
		read: readFunction, write: writeFunction,
		forms: []form{
			{"a function", certain, named("projects/*/locations/*/functions/*")},
			{"a function", telling, both(lacks("template"), either(has("buildConfig"), has("httpsTrigger"), has("entryPoint"),
				has("environment"), has("serviceConfig"), has("eventTrigger")))},
		},
	}, {
		Names: []string{"service.json", "service.yaml"}, Flag: "service",
		What: "a Cloud Run service, v2 or Knative",
		Make: "gcloud run services describe SERVICE --region=REGION --format=json",
		read: readService, write: writeService,
		forms: []form{
			{"a Knative service", certain, knativeKind},
			{"a Cloud Run service", certain, named("projects/*/locations/*/services/*")},
			{"a Cloud Run service", telling, has("template", "buildConfig")}, // one made from source has a buildConfig too
			{"a Cloud Run service", telling, either(has("terminalCondition"), has("template", "ingress"), has("latestReadyRevision"),
				has("ingress"), has("invokerIamDisabled"), has("uri"), has("defaultUriDisabled"), has("iapEnabled"), has("customAudiences"))},
		},
	}}
}

// policyDocuments are those of IAM and of IAP.
func policyDocuments() []Document {
	return []Document{{
		Names: []string{"policy.json", "policy.yaml"}, Flag: "policy",
		What: "the allow policy of the Cloud Run service",
		Make: "gcloud run services get-iam-policy SERVICE --region=REGION --format=json",
		read: policyReader(servicePolicy), write: policyWriter(servicePolicy),
		forms: []form{{"an allow policy", vague, either(has("bindings"), has("etag"), has("auditConfigs"))}},
	}, {
		Names: []string{"function-policy.json", "function-policy.yaml"}, Flag: "function-policy",
		What: "the allow policy of the function resource",
		Make: "gcloud functions get-iam-policy FUNCTION --region=REGION --format=json",
		read: policyReader(functionPolicy), write: policyWriter(functionPolicy),
	}, {
		Names: []string{"iap-policy.json", "iap-policy.yaml"}, Flag: "iap-policy",
		What: "the allow policy of the service's IAP resource",
		Make: "gcloud iap web get-iam-policy --resource-type=cloud-run --service=SERVICE --region=REGION --format=json",
		read: policyReader(iapPolicy), write: policyWriter(iapPolicy),
		forms: []form{{"an allow policy of IAP", telling, onlyRoles("roles/iap.httpsResourceAccessor")}},
	}, {
		Names: []string{"iap-settings.json", "iap-settings.yaml"}, Flag: "iap-settings",
		What: "the settings of IAP for the service",
		Make: "gcloud iap settings get --project=PROJECT --resource-type=cloud-run --service=SERVICE --region=REGION --format=json",
		read: readIAPSettings, write: writeIAPSettings,
		forms: []form{{"settings of IAP", certain, either(namedPart("/iap_web"), has("accessSettings"), has("applicationSettings"))}},
	}, {
		Names: []string{"ancestor-policies.json", "ancestor-policies.yaml"}, Flag: "ancestor-policies",
		What: "the allow policies of project, folders and organization",
		Make: "gcloud projects get-ancestors-iam-policy PROJECT --format=json",
		read: readAncestors, write: writeAncestors,
		forms: []form{{"the policies of ancestors", certain, both(has("type", "id"), ancestorType)}},
	}, {
		Names: []string{"deny-policies.json", "deny-policies.yaml"}, Flag: "deny-policies",
		What: "IAM deny policies",
		Make: "gcloud iam policies get POLICY --kind=denypolicies --attachment-point=POINT --format=json",
		read: readDenyPolicies, write: writeDenyPolicies, join: joinDenyPolicies,
		forms: []form{
			{"a deny policy", certain, either(namedPart("/denypolicies/"), contains("rules", "denyRule"))},
			{"a list of deny policies", telling, has("policies")},
		},
	}, {
		Names: []string{"service-account-policies.json", "service-account-policies.yaml"}, Flag: "service-account-policies",
		What: "the allow policies of service accounts: who can become them",
		Make: accountsMake,
		read: readAccounts, write: writeAccounts,
		join:  joinLists(func(s *Snapshot) *Fact[[]AccountPolicy] { return &s.Accounts }),
		forms: []form{{"the policies of service accounts", certain, both(namedPart("/serviceAccounts/"), has("policy"))}},
	}, {
		Names: []string{"roles.json", "roles.yaml"}, Flag: "roles",
		What: "IAM roles, custom or newer than the built-in table",
		Make: "gcloud iam roles describe ROLE --project=PROJECT --format=json",
		read: readRoles, write: listWriter(roleFact), join: joinLists(roleFact),
		forms: []form{
			{"an IAM role", certain, both(either(named("roles/*"), named("*/*/roles/*")), lacks("policy"))},
			{"an IAM role", telling, either(has("includedPermissions"), has("roles"))},
		},
	}, {
		Names: []string{"groups.json", "groups.yaml"}, Flag: "groups",
		What: "members by group: or domain: member",
		Make: groupsMake,
		read: readGroups, write: writeGroups, join: joinGroups,
		forms: []form{
			{"memberships of a group", certain, either(named("groups/*/memberships/*"), has("preferredMemberKey"))},
			{"members by group", certain, groupKeys},
		},
	}}
}

func otherDocuments() []Document {
	return []Document{{
		Names: []string{"trigger.json", "trigger.yaml"}, Flag: "trigger",
		What: "an Eventarc trigger",
		Make: "gcloud eventarc triggers describe TRIGGER --location=REGION --format=json",
		read: readTrigger, write: writeTrigger,
		forms: []form{{"an Eventarc trigger", certain, either(namedPart("/triggers/"), has("eventFilters", "destination"))}},
	}, {
		Names: []string{"caller.json", "caller.yaml"}, Flag: "caller",
		What: "the configuration of a caller: Scheduler job, Tasks task or queue, Pub/Sub subscription, Eventarc trigger or pipeline, OpenAPI document, workflow",
		Make: "gcloud scheduler jobs describe JOB --location=REGION --format=json",
		read: readCaller, write: writeCaller,
		forms: callerForms(),
	}, {
		Names: []string{"project.json", "project.yaml"}, Flag: "project-file",
		What: "the project",
		Make: "gcloud projects describe PROJECT --format=json",
		read: readProject, write: writeProject,
		forms: []form{{"a project", telling, either(has("projectId"), has("projectNumber"))}},
	}, {
		Names: []string{"jwks.json"}, Flag: "jwks",
		What:  "the key set to verify the signature with",
		Make:  "curl https://www.googleapis.com/oauth2/v3/certs",
		read:  readKeys, // not written: a capture has the result of the verification
		forms: []form{{"a key set", telling, has("keys")}},
	}, {
		Names: []string{"tags.json", "tags.yaml"}, Flag: "tags",
		What: "the effective tags of the service",
		Make: "gcloud resource-manager tags bindings list --effective --parent=FULL_NAME --location=REGION --format=json",
		read: readTags, write: writeTags,
		forms: []form{{"effective tags", telling, either(has("namespacedTagKey"), has("tagKey"), has("effectiveTags"))}},
	}, {
		Names: []string{"response.http"}, Flag: "response",
		What: "the answer observed",
		Make: "curl -i URL",
		read: readResponse, write: writeResponse,
		forms: []form{{harName, certain, contains("log", `"entries"`)}},
	}, {
		Names: []string{"log.json", "log.yaml"}, Flag: "log",
		What: "Cloud Logging entries",
		Make: "gcloud logging read FILTER --format=json",
		read: readLogs, write: writeLogs, join: joinLogs,
		forms: []form{{"a log entry", telling, either(has("logName"), has("insertId"), has("textPayload"),
			has("jsonPayload"), has("protoPayload"), has("entries"))}},
	}}
}

func callerForms() []form {
	return []form{
		{"a caller", telling, has("caller")},
		{"a Cloud Scheduler job", certain, both(namedPart("/jobs/"), either(has("httpTarget"), has("pubsubTarget"), has("appEngineHttpTarget")))},
		{"a Cloud Tasks task", certain, namedPart("/tasks/")},
		{"a Cloud Tasks queue", certain, named("projects/*/locations/*/queues/*")},
		{"a Pub/Sub subscription", certain, named("projects/*/subscriptions/*")},
		{"an Eventarc pipeline", certain, either(named("projects/*/locations/*/pipelines/*"), has("destinations"))},
		{"an OpenAPI document", certain, either(has("swagger"), has("openapi"))},
		{"a Cloud Scheduler job", telling, has("schedule")},
		{"a Cloud Tasks queue", telling, has("rateLimits")},
		{"a Cloud Tasks task", telling, has("httpRequest", "scheduleTime")},
		{"a Pub/Sub subscription", telling, has("pushConfig")},
	}
}

// what says what the document of a flag holds.
func what(flag string) string {
	d, _ := find(flag)
	return d.What
}

// Written returns the document as a capture holds it: without credentials,
// environment and build. Of one that could not be read it says why. It is nil
// where nobody tried.
func (d Document) Written(s Snapshot) ([]byte, error) {
	if d.write == nil {
		return nil, nil
	}
	data, err := d.write(s)
	if err == nil && data == nil {
		data, err = writeRefusal(s, d.Flag)
	}
	if err != nil {
		return nil, fmt.Errorf("writing %s: %w", d.Names[0], err)
	}
	return data, nil
}

// MaxDocument bounds the size of one document, in bytes.
const MaxDocument = 32 << 20

// IsMember reports whether a name is that of a document of a case.
func IsMember(name string) bool {
	_, ok := find(name)
	return ok
}

// Read adds one document to a snapshot. name is one of the names of Documents
// or a flag of theirs. Its errors name the document and what was expected, and
// quote no value of it.
func Read(name string, src Source, data []byte, s *Snapshot) error {
	m, ok := find(name)
	if !ok {
		return fmt.Errorf("%s: no such document of a case%s", src.Document, suggest(name))
	}
	if len(data) > MaxDocument {
		return fmt.Errorf("%s: larger than %d MB; expected %s", src.Document, MaxDocument>>20, m.What)
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

func find(name string) (Document, bool) {
	for _, m := range Documents {
		if slices.Contains(m.Names, name) || m.Flag == name {
			return m, true
		}
	}
	return Document{}, false
}

// suggest names the document that a name resembles.
func suggest(name string) string {
	best, least := "", 4
	for _, m := range Documents {
		for _, n := range m.Names {
			if d := gcp.Distance(name, n); d < least {
				best, least = n, d
			}
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %s?", best)
}

// ignored are files that may stand in a case beside its documents.
func ignored(name string) bool {
	base := path.Base(name)
	switch {
	case strings.HasPrefix(base, "."), strings.HasSuffix(base, ".md"):
		return true
	}
	return slices.Contains([]string{"want", "args", "want.json"}, base)
}
