package main

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"cloud.google.com/go/run/apiv2/runpb"
	"go.yaml.in/yaml/v3"
	"golang.org/x/tools/txtar"

	"diagnose/checks"
	"diagnose/fixtures"
	"diagnose/internal/evidence"
	"diagnose/report"
)

// A cloud answers the commands that the tool prints as gcloud would, for a
// project in which one story is all that there is.
type cloud struct {
	files   map[string]string // of the story, by name
	service *runpb.Service
}

// A printed command is one kind that the tool prints to gather evidence: how it
// begins, the flag that takes what it prints, and what that is in a project that
// has nothing of the kind. "" is nothing that gcloud could print.
type printed struct {
	words, flag, member, nothing string
}

var printedCommands = []printed{
	{"gcloud run services describe", "service", "service", ""},
	{"gcloud functions describe", "function", "function", ""},
	{"gcloud run services get-iam-policy", "policy", "policy", `{"etag": "ACAB"}`},
	{"gcloud functions get-iam-policy", "function-policy", "function-policy", `{"etag": "ACAB"}`},
	{"gcloud projects get-ancestors-iam-policy", "ancestor-policies", "ancestor-policies", `[{"id": "shop", "type": "project", "policy": {"etag": "ACAB", "version": 1}}]`},
	{"gcloud projects describe", "project-file", "project", `{"createTime": "2020-01-01T00:00:00Z", "lifecycleState": "ACTIVE", "name": "Shop", "projectId": "shop", "projectNumber": "123456789012"}`},
	{"gcloud iam policies list", "deny-policies", "deny-policies", `[]`},
	{"gcloud iam policies get", "deny-policies", "deny-policies", ""},
	{"gcloud iam roles describe", "roles", "roles", ""},
	{"gcloud iam service-accounts get-iam-policy", "service-account-policies", "service-account-policies", `{"etag": "ACAB"}`},
	{"gcloud identity groups memberships list", "groups", "groups", `[]`},
	{"gcloud resource-manager tags bindings list", "tags", "tags", `[]`},
	{"gcloud iap web get-iam-policy --resource-type", "iap-policy", "iap-policy", `{"etag": "ACAB"}`},
	{"gcloud iap settings get", "iap-settings", "iap-settings", `{"name": "projects/123456789012/iap_web/cloud_run-europe-west1/services/orders"}`},
	{"gcloud logging read", "log", "", `[]`},
	{"gcloud eventarc triggers describe", "trigger", "trigger", ""},
	{"gcloud scheduler jobs describe", "caller", "caller", ""},
}

// unread are commands whose output nothing reads: they tell a person.
var unread = []string{
	"gcloud iam principal-access-boundary-policies list", // no document has these
	"gcloud iap web get-iam-policy --project",            // the policy of all of IAP's resources
	"gcloud auth print-identity-token",                   // a new token, not what was sent
	"gcloud auth application-default login",
	"gcloud org-policies describe",
	"curl", "diagnose ",
}

func printedAs(c checks.Command) (printed, bool) {
	line := strings.Join(c.Argv, " ")
	for _, p := range printedCommands {
		if strings.HasPrefix(line, p.words) {
			return p, true
		}
	}
	return printed{}, false
}

// answer is what the command prints, false where gcloud would find nothing.
func (c cloud) answer(cmd checks.Command, p printed) (string, bool) {
	text := c.files[p.member]
	switch {
	case p.flag == "service" && c.service != nil:
		text = knativeOf(c.service)
	case p.words == "gcloud iam policies list":
		text = withoutRules(text)
	case p.words == "gcloud iam policies get" || p.flag == "roles":
		text = elementNamed(text, cmd.Argv)
	case p.flag == "ancestor-policies":
		text = toTheTop(text)
	case p.flag == "groups":
		text = membersOf(text, cmd.Argv)
	case p.flag == "service-account-policies":
		text = ""
	}
	if text == "" && !placeholder.MatchString(strings.Join(cmd.Argv, " ")) {
		text = p.nothing
	}
	if cmd.Pipe != nil && text != "" { // jq, with a program that places its input
		text = strings.Replace(cmd.Pipe[1], ": .", ": "+text, 1)
	}
	return text, text != ""
}

// placeholder is a word that a person has to replace.
var placeholder = regexp.MustCompile(`[ =/:](SERVICE|FUNCTION|REGION|PROJECT_ID|PROJECT_NUMBER|ORGANIZATION_ID|POINT|GROUP|ROLE|ACCOUNT|FULL_NAME)\b`)

// withoutRules leaves of deny policies what a list has.
func withoutRules(text string) string {
	var out []map[string]any
	for _, m := range listOf(text) {
		delete(m, "rules")
		out = append(out, m)
	}
	return marshal(out)
}

// elementNamed is the element of a list whose name ends in a word of the command.
func elementNamed(text string, argv []string) string {
	for _, m := range listOf(text) {
		name, _ := m["name"].(string)
		if slices.ContainsFunc(argv, func(a string) bool { return a == name || strings.HasSuffix(name, "/"+a) }) {
			if argv[1] == "iam" && argv[2] == "policies" && m["rules"] == nil {
				m["rules"] = []any{map[string]any{"denyRule": map[string]any{"deniedPrincipals": []string{"principal://goog/subject/no@example.com"}, "deniedPermissions": []string{"run.googleapis.com/routes.invoke"}}}}
			}
			return marshal(m)
		}
	}
	return ""
}

// toTheTop are the policies of ancestors as gcloud prints them: up to the
// organization.
func toTheTop(text string) string {
	list := listOf(text)
	if n := len(list); n == 0 || list[n-1]["type"] == "organization" {
		return text
	}
	return marshal(append(list, map[string]any{"id": "567890123456", "type": "organization", "policy": map[string]any{"etag": "ACAB"}}))
}

// membersOf are the memberships of a group as gcloud lists them.
func membersOf(text string, argv []string) string {
	var groups map[string][]string
	if json.Unmarshal([]byte(text), &groups) != nil {
		return ""
	}
	for name, members := range groups {
		if !slices.Contains(argv, "--group-email="+strings.TrimPrefix(name, "group:")) {
			continue
		}
		list := []map[string]any{}
		for i, m := range members {
			list = append(list, map[string]any{"name": fmt.Sprintf("groups/01/memberships/%d", i), "roles": []any{map[string]any{"name": "MEMBER"}},
				"preferredMemberKey": map[string]any{"id": m[strings.Index(m, ":")+1:]}})
		}
		return marshal(list)
	}
	return ""
}

func listOf(text string) []map[string]any {
	var list []map[string]any
	if json.Unmarshal([]byte(text), &list) != nil {
		var one map[string]any
		if json.Unmarshal([]byte(text), &one) == nil {
			list = append(list, one)
		}
	}
	return list
}

func marshal(v any) string {
	out, _ := json.Marshal(v)
	if string(out) == "null" {
		return ""
	}
	return string(out)
}

// knativeOf is a service as gcloud prints it.
func knativeOf(svc *runpb.Service) string {
	parts := strings.Split(svc.GetName(), "/")
	note := map[string]string{}
	set := func(name, value string, on bool) {
		if on {
			note["run.googleapis.com/"+name] = value
		}
	}
	ingress := strings.ToLower(strings.TrimPrefix(svc.GetIngress().String(), "INGRESS_TRAFFIC_"))
	ingress = map[string]string{"internal_load_balancer": "internal-and-cloud-load-balancing", "internal_only": "internal", "unspecified": "all"}[ingress] + map[bool]string{true: ingress}[ingress == "all" || ingress == "none"]
	set("ingress", ingress, true)
	set("ingress-status", ingress, true)
	set("invoker-iam-disabled", "true", svc.GetInvokerIamDisabled())
	set("default-url-disabled", "true", svc.GetDefaultUriDisabled())
	set("iap-enabled", "true", svc.GetIapEnabled())
	set("custom-audiences", marshal(svc.GetCustomAudiences()), len(svc.GetCustomAudiences()) > 0)
	set("urls", marshal(svc.GetUrls()), len(svc.GetUrls()) > 0)
	var spec, status []any
	for _, t := range svc.GetTraffic() {
		spec = append(spec, map[string]any{"percent": t.GetPercent(), "tag": t.GetTag(), "revisionName": t.GetRevision(), "latestRevision": t.GetRevision() == ""})
	}
	for _, t := range svc.GetTrafficStatuses() {
		status = append(status, map[string]any{"percent": t.GetPercent(), "tag": t.GetTag(), "revisionName": t.GetRevision(), "url": t.GetUri()})
	}
	ready := map[string]any{"type": "Ready", "message": svc.GetTerminalCondition().GetMessage(),
		"status": map[runpb.Condition_State]string{runpb.Condition_CONDITION_SUCCEEDED: "True", runpb.Condition_CONDITION_FAILED: "False"}[svc.GetTerminalCondition().GetState()]}
	meta := map[string]any{"name": parts[len(parts)-1], "namespace": "123456789012", "annotations": note, "labels": map[string]string{}}
	if len(parts) == 6 {
		meta["labels"] = map[string]string{"cloud.googleapis.com/location": parts[3]}
	}
	return marshal(map[string]any{"apiVersion": "serving.knative.dev/v1", "kind": "Service", "metadata": meta,
		"spec":   map[string]any{"traffic": spec, "template": map[string]any{"spec": map[string]any{"serviceAccountName": svc.GetTemplate().GetServiceAccount()}}},
		"status": map[string]any{"url": svc.GetUri(), "latestReadyRevisionName": svc.GetLatestReadyRevision(), "traffic": status, "conditions": []any{ready}}})
}

// cloudOf is the cloud of a story.
func cloudOf(t *testing.T, story fixtures.Story) cloud {
	t.Helper()
	s, err := story.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	c := cloud{files: map[string]string{}, service: s.Service.Or(nil)}
	for _, f := range txtar.Parse(story.Data).Files {
		name, _, _ := strings.Cut(f.Name, ".")
		c.files[name] = string(f.Data)
	}
	return c
}

// asked are the commands of a verdict that gather evidence.
func asked(v checks.Verdict) []checks.Command {
	var out []checks.Command
	for _, f := range v.Findings {
		out = append(out, f.Gather...)
	}
	for _, a := range v.Assumptions {
		out = append(out, a.Gather...)
	}
	return out // an explanation of what was observed may ask to read again what is out of date
}

// without is a story without some of its documents.
func without(story fixtures.Story, drop func(name string) bool) ([]byte, bool) {
	a := txtar.Parse(story.Data)
	n := len(a.Files)
	a.Files = slices.DeleteFunc(a.Files, func(f txtar.File) bool { return drop(f.Name) })
	return txtar.Format(a), len(a.Files) < n
}

// follow runs what the tool prints and gives it the output, until it asks for
// nothing that can be had. It reports a command that is asked for again after
// its output was given, and one whose output is not understood.
func follow(t *testing.T, c cloud, s evidence.Snapshot, yamlToo bool) checks.Verdict {
	t.Helper()
	done := map[string]bool{}
	for {
		v := checks.Judge(s, checks.Options{NoFixes: true})
		now := map[string]bool{} // lines and kinds of this round
		for _, cmd := range asked(v) {
			line := report.Shell(cmd)
			p, known := printedAs(cmd)
			switch {
			case !known && !slices.ContainsFunc(unread, func(u string) bool { return strings.HasPrefix(strings.Join(cmd.Argv, " "), u) }):
				t.Errorf("no test knows what this prints: %s", line)
				continue
			case !known || now[line]:
				continue
			case done[line]:
				if p.flag != "log" { // a log need not have the entry
					t.Errorf("asked for again after it was given: %s", line)
				}
				continue
			}
			out, ok := c.answer(cmd, p)
			if !ok || now[p.flag] {
				continue
			}
			now[line], now[p.flag], done[line] = true, true, true
			give(t, &s, p, line, out, yamlToo && cmd.Pipe == nil)
		}
		if len(now) == 0 {
			return v
		}
	}
}

// give hands the output of a command to the tool: by its flag, which has to be
// the one that is found by content, unless the output says nothing.
func give(t *testing.T, s *evidence.Snapshot, p printed, line, out string, asYAML bool) {
	t.Helper()
	data := []byte(out)
	if asYAML {
		var v any
		if err := json.Unmarshal(data, &v); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if data, _ = yaml.Marshal(v); strings.HasPrefix(out, "[]") {
			data = []byte("[]\n")
		}
	}
	flag, err := evidence.Recognize(data)
	vague := strings.Contains(out, `"etag": "ACAB"`) || strings.HasPrefix(out, "[]")
	if !vague && (err != nil || flag != p.flag) && p.flag != "function-policy" {
		t.Errorf("%s prints what is recognized as %q, want %q (%v):\n%s", line, flag, p.flag, err, data)
	}
	src := evidence.Source{Document: p.flag + ".json"}
	err = s.AddAs(p.flag, src, data)
	if err != nil && strings.Contains(err.Error(), "give one of them") { // a newer one takes its place
		var newer evidence.Snapshot
		err = newer.AddAs(p.flag, src, data)
		s.Replace(newer)
	}
	if err != nil {
		t.Errorf("%s: what it prints is refused: %v\n%s", line, err, data)
	}
}

// gatherable are the documents of a story that commands can read again. What
// calls has to be named by somebody.
func gatherable(name string) bool {
	base, _, _ := strings.Cut(name, ".")
	return base != "caller" && base != "trigger" && slices.ContainsFunc(printedCommands, func(p printed) bool { return p.member == base })
}

// Of every story, without each of its documents and without all of them, what
// the tool asks for is what answers: it never asks for the same again, and with
// the answers the verdict is that of the whole story.
func TestGatherCommandsAnswer(t *testing.T) {
	for _, name := range fixtures.Names() {
		story, err := fixtures.Read(name)
		if err != nil {
			t.Fatal(err)
		}
		c := cloudOf(t, story)
		drops := map[string]func(string) bool{"nothing": func(string) bool { return false }}
		if !strings.Contains(string(story.Data), "eventTrigger") {
			drops["all"] = gatherable
		}
		for _, f := range txtar.Parse(story.Data).Files {
			if gatherable(f.Name) && !strings.Contains(string(f.Data), "eventTrigger") { // which says who calls
				drops[f.Name] = func(n string) bool { return n == f.Name }
			}
		}
		for what, drop := range drops {
			t.Run(name+" without "+what, func(t *testing.T) {
				data, some := without(story, drop)
				s, err := evidence.LoadArchive(data, name+".txtar")
				if err != nil {
					t.Skip(err) // nothing is left
				}
				whole, err := story.Snapshot()
				if err != nil {
					t.Fatal(err)
				}
				s.Now, s.NowFrom = whole.Now, whole.NowFrom
				got := follow(t, c, s, len(what)%2 == 0)
				want := follow(t, c, whole, false)
				if some && got.Decision != want.Decision {
					t.Errorf("after all that was asked for: %s (%s), and with the whole story %s", got.Decision, headline(got), want.Decision)
				}
			})
		}
	}
}

func headline(v checks.Verdict) string {
	f, _ := v.Cause()
	return f.Check + ": " + f.Message
}
