package gather_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cloud.google.com/go/asset/apiv1/assetpb"
	"cloud.google.com/go/iam/apiv1/iampb"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"diagnose/checks"
	"diagnose/internal/evidence"
	"diagnose/internal/gather"
	"diagnose/internal/gather/gathertest"
)

// load reads a story: testdata/NAME.txtar.
func load(t *testing.T, name string) evidence.Snapshot {
	t.Helper()
	s, err := evidence.Load(filepath.Join("testdata", name+".txtar"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func collect(t *testing.T, target string, server *gathertest.Server, change ...func(*gather.Options)) (evidence.Snapshot, error) {
	t.Helper()
	tg, err := gather.ParseTarget(target)
	if err != nil {
		t.Fatal(err)
	}
	o := gather.Options{Emulator: server.Address, Dial: server.Dial, Project: "shop", Timeout: 5 * time.Second}
	for _, f := range change {
		f(&o)
	}
	return gather.Collect(t.Context(), tg, o)
}

// overlay puts the facts that no API tells over what was gathered.
func overlay(live, disk evidence.Snapshot) evidence.Snapshot {
	live.Now, live.Request, live.Token, live.Caller = disk.Now, disk.Request, disk.Token, disk.Caller
	live.Keys, live.Response, live.Logs = disk.Keys, disk.Response, disk.Logs
	return live
}

const fullFunction = "projects/shop/locations/europe-west1/functions/orders"

func TestWholeStory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := load(t, "orders")
		server := gathertest.Pipe(t, gathertest.WorldOf(disk))
		server.Delay = time.Second
		live, err := collect(t, fullFunction, server)
		if err != nil {
			t.Fatal(err)
		}
		for name, known := range map[string]bool{
			"function": live.Function.Known(), "service": live.Service.Known(), "policy": live.Policy.Known(), "function policy": live.FunctionPolicy.Known(),
			"ancestors": live.Ancestors.Known(), "deny policies": live.DenyPolicies.Known(), "roles": live.Roles.Known(), "groups": live.Groups.Known(),
			"trigger": live.Trigger.Known(), "project": live.Project.Known(), "tags": live.Tags.Known(),
		} {
			if !known {
				t.Errorf("%s is unknown", name)
			}
		}
		if p, _ := live.Project.Get(); p != (evidence.Project{ID: "shop", Number: "424242"}) {
			t.Errorf("project %+v", p)
		}
		for i, a := range live.Ancestors.Or(nil) {
			want := disk.Ancestors.Or(nil)[i]
			got, _ := a.Policy.Get()
			if a.ID != want.ID || a.Type != want.Type || !proto.Equal(got, want.Policy.Or(nil)) {
				t.Errorf("ancestor %d is %s %s with %v", i, a.Type, a.ID, got)
			}
		}
		if got := live.Groups.Or(nil)["group:eng@example.com"]; len(got) != 2 {
			t.Errorf("group has %q", got)
		}
		for _, r := range live.Roles.Or(nil) {
			if strings.HasSuffix(r.GetName(), "/caller") != (len(r.GetIncludedPermissions()) == 1) {
				t.Errorf("role %s has %q", r.GetName(), r.GetIncludedPermissions())
			}
		}
		want, got := checks.Judge(disk, checks.Options{}), checks.Judge(overlay(live, disk), checks.Options{})
		if got.Decision != want.Decision || got.Basis != want.Basis || got.Headline() != want.Headline() {
			t.Errorf("live: %s %s %s\ndisk: %s %s %s", got.Decision, got.Basis, got.Headline(), want.Decision, want.Basis, want.Headline())
		}
		if n := server.Rounds(); n != 2 {
			t.Errorf("%d rounds of calls, want 2", n)
		}
		for _, m := range server.Requests() {
			if r, ok := m.(*iampb.GetIamPolicyRequest); ok && r.GetOptions().GetRequestedPolicyVersion() != 3 {
				t.Errorf("policy of %s asked for in version %d, want 3", r.GetResource(), r.GetOptions().GetRequestedPolicyVersion())
			}
		}
	})
}

// notLive says why the APIs cannot tell a story.
var notLive = map[string]string{
	"deny-rules-unread": "live, the rules of a deny policy are read with it",
	"event-run-service": "the trigger of a service without a function is not looked for",
}

// TestStories runs the project's own fixtures through the server: what the
// APIs can tell gives the verdict that the documents give.
func TestStories(t *testing.T) {
	files, err := filepath.Glob("../../fixtures/*.txtar")
	if err != nil || len(files) == 0 {
		t.Skip("no fixtures")
	}
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".txtar"), func(t *testing.T) {
			t.Parallel()
			disk, err := evidence.Load(f)
			if err != nil {
				t.Fatal(err)
			}
			if !disk.Function.Known() && !disk.Service.Known() {
				t.Skip("names no function or service to look for")
			}
			if why := notLive[strings.TrimSuffix(filepath.Base(f), ".txtar")]; why != "" {
				t.Skip(why)
			}
			w := gathertest.WorldOf(disk)
			kind := "/services/"
			if disk.Function.Known() {
				kind = "/functions/"
			}
			synctest.Test(t, func(t *testing.T) {
				live, err := collect(t, "projects/"+w.Project+"/locations/"+w.Location+kind+w.Name, gathertest.Pipe(t, w))
				if err != nil {
					t.Fatal(err)
				}
				want, got := checks.Judge(disk, checks.Options{}), checks.Judge(overlay(live, disk), checks.Options{})
				if got.Decision != want.Decision || cause(got) != cause(want) {
					t.Errorf("live: %s by %s: %s\ndisk: %s by %s: %s", got.Decision, cause(got), got.Headline(), want.Decision, cause(want), want.Headline())
				}
			})
		})
	}
}

func cause(v checks.Verdict) string {
	f, _ := v.Cause()
	return f.Check
}

// reasons lists the reason of every unknown fact.
func reasons(s evidence.Snapshot) map[string]error {
	out := map[string]error{
		"function": s.Function.Reason(), "service": s.Service.Reason(), "policy": s.Policy.Reason(), "functionPolicy": s.FunctionPolicy.Reason(),
		"ancestors": s.Ancestors.Reason(), "deny": s.DenyPolicies.Reason(), "roles": s.Roles.Reason(), "groups": s.Groups.Reason(),
		"trigger": s.Trigger.Reason(), "project": s.Project.Reason(), "tags": s.Tags.Reason(),
	}
	// IAP is asked only where it is on.
	for name, r := range map[string]error{"iapPolicy": s.IAPPolicy.Reason(), "iapSettings": s.IAPSettings.Reason()} {
		if !errors.Is(r, evidence.ErrNotGathered) {
			out[name] = r
		}
	}
	for _, a := range s.Ancestors.Or(nil) {
		if r := a.Policy.Reason(); r != nil {
			out["ancestor "+a.Type] = r
		}
	}
	for k, v := range out {
		if v == nil {
			delete(out, k)
		}
	}
	return out
}

// A failure is a way in which one method fails, what the reason says of it, and
// a word of the remedy.
type failure struct {
	name  string
	fault gathertest.Fault
	says  string
	help  string
}

var failures = []failure{
	{"denied", gathertest.Deny, "permission denied: it needs ", "add-iam-policy-binding"},
	{"disabled", gathertest.Disabled, "is not enabled", "services enable"},
	{"quota", gathertest.Fail(codes.ResourceExhausted, "Quota exceeded for quota metric"), "the quota is used up", ""},
	{"unauthenticated", gathertest.Fail(codes.Unauthenticated, "Request had invalid authentication credentials"),
		"Google refused the credentials that diagnose uses", "auth application-default login"},
	{"hang", gathertest.Hang, "no answer in time", ""},
	{"unavailable", gathertest.Unavailable(1000), "the API did not answer (try again)", ""},
}

func TestOneFaultAtATime(t *testing.T) {
	disk := load(t, "orders")
	for method, lost := range map[string][]string{ // exactly these facts
		"GetFunction":                  {"function", "trigger"},
		"GetService":                   {"service"},
		"Run.GetIamPolicy":             nil, // the inventory has it too
		"Functions.GetIamPolicy":       {"functionPolicy"},
		"BatchGetEffectiveIamPolicies": {"ancestor project", "ancestor folder", "ancestor organization"},
		"AnalyzeIamPolicy":             {"roles", "groups"},
		"SearchAllResources":           {"project", "tags", "ancestor organization", "deny"},
		"ListPolicies":                 {"deny"},
		"GetPolicy":                    {"deny"},
		"GetTrigger":                   {"trigger"},
	} {
		for _, f := range failures {
			t.Run(method+"/"+f.name, func(t *testing.T) { withFault(t, disk, method, lost, f) })
		}
	}
}

// withFault collects a story while one method fails, and expects that exactly
// the given facts are lost and that no other decision comes of it.
func withFault(t *testing.T, disk evidence.Snapshot, method string, lost []string, f failure) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := gathertest.Pipe(t, gathertest.WorldOf(disk))
		server.Faults[method] = f.fault
		live, err := collect(t, fullFunction, server, func(o *gather.Options) { o.CallTimeout = time.Second })
		if err != nil {
			t.Fatal(err)
		}
		got := reasons(live)
		for _, l := range lost {
			r, ok := got[l]
			if !ok {
				t.Errorf("%s is known", l)
				continue
			}
			if l == "trigger" && method == "GetFunction" {
				continue
			}
			checkReason(t, l, r, f.says, f.help)
			delete(got, l)
		}
		delete(got, "trigger")
		for l, r := range got {
			t.Errorf("%s is lost too: %v", l, r)
		}
		want, verdict := checks.Judge(disk, checks.Options{}), checks.Judge(overlay(live, disk), checks.Options{})
		if verdict.Decision != want.Decision && verdict.Decision != checks.Undetermined {
			t.Errorf("%s: %s, where all documents say %s", verdict.Decision, verdict.Headline(), want.Decision)
		}
	})
}

func checkReason(t *testing.T, fact string, reason error, says, help string) {
	t.Helper()
	if !strings.Contains(reason.Error(), says) {
		t.Errorf("%s: %q does not say %q", fact, reason, says)
	}
	var u *gather.Unreadable
	if !errors.As(reason, &u) {
		t.Errorf("%s: no *Unreadable in %v", fact, reason)
		return
	}
	if strings.Contains(says, "it needs") && !strings.Contains(reason.Error(), strings.TrimRight(strings.Fields(u.Method.Permission)[0], ",")) {
		t.Errorf("%s: %q does not name the permission", fact, reason)
	}
	if !strings.Contains(strings.Join(u.Remedy, " "), help) {
		t.Errorf("%s: remedy %q lacks %q", fact, u.Remedy, help)
	}
}

// Where nothing could be read, that is the error, and no judgement.
func TestDeniedEverywhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := gathertest.Pipe(t, gathertest.WorldOf(load(t, "orders")))
		for _, m := range []string{"GetFunction", "GetService", "Run.GetIamPolicy", "Functions.GetIamPolicy", "BatchGetEffectiveIamPolicies", "SearchAllResources", "ListPolicies"} {
			server.Faults[m] = gathertest.Deny
		}
		_, err := collect(t, fullFunction, server)
		var u *gather.Unreachable
		if !errors.As(err, &u) || !strings.Contains(err.Error(), "nothing about function \"orders\" in europe-west1 of project shop could be read: permission denied") {
			t.Errorf("%v", err)
		}
		if got := strings.Join(u.Remedy, " "); got != "gcloud projects add-iam-policy-binding shop --member=MEMBER --role=roles/cloudfunctions.viewer --condition=None" {
			t.Errorf("remedy %s", got)
		}
		delete(server.Faults, "SearchAllResources")
		live, err := collect(t, fullFunction, server)
		if err != nil {
			t.Fatal(err)
		}
		if v := checks.Judge(overlay(live, load(t, "orders")), checks.Options{}); v.Decision != checks.Undetermined {
			t.Errorf("%s: %s", v.Decision, v.Headline())
		}
	})
}

func TestUnavailableTwiceThenSuccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := gathertest.Pipe(t, gathertest.WorldOf(load(t, "orders")))
		all := []string{"GetFunction", "GetService", "Run.GetIamPolicy", "Functions.GetIamPolicy", "BatchGetEffectiveIamPolicies", "AnalyzeIamPolicy", "SearchAllResources", "ListPolicies", "GetPolicy", "GetTrigger"}
		for _, m := range all {
			server.Faults[m] = gathertest.Unavailable(2)
		}
		live, err := collect(t, fullFunction, server)
		if err != nil {
			t.Fatal(err)
		}
		if r := reasons(live); len(r) > 0 {
			t.Errorf("unknown: %v", r)
		}
		for _, m := range all {
			if n := server.Calls(m); n < 3 {
				t.Errorf("%s was called %d times", m, n)
			}
		}
	})
}

func TestOverallDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := gathertest.Pipe(t, gathertest.WorldOf(load(t, "orders")))
		server.Faults["GetService"] = gathertest.Hang
		start := time.Now()
		live, err := collect(t, fullFunction, server, func(o *gather.Options) { o.Timeout = 400 * time.Millisecond })
		if err != nil {
			t.Fatal(err)
		}
		if d := time.Since(start); d != 400*time.Millisecond {
			t.Errorf("took %s", d)
		}
		if live.Service.Known() || !live.Function.Known() || !live.Policy.Known() {
			t.Errorf("unknown: %v", reasons(live))
		}
	})
}

func TestInterrupt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := gathertest.Pipe(t, gathertest.WorldOf(load(t, "orders")))
		server.Faults["GetService"] = gathertest.Hang
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(100*time.Millisecond, cancel)
		target, _ := gather.ParseTarget(fullFunction)
		start := time.Now()
		_, err := gather.Collect(ctx, target, gather.Options{Emulator: server.Address})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("error %v, want cancelled", err)
		}
		if d := time.Since(start); d != 100*time.Millisecond {
			t.Errorf("took %s", d)
		}
	})
}

func resource(kind, collection, region, name string) *assetpb.ResourceSearchResult {
	host, _, _ := strings.Cut(kind, "/")
	return &assetpb.ResourceSearchResult{AssetType: kind, Location: region, Name: "//" + host + "/projects/shop/locations/" + region + "/" + collection + "/" + name}
}

func TestNotFoundNamesWhatIsNear(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := gathertest.WorldOf(load(t, "orders"))
		w.Others = []*assetpb.ResourceSearchResult{
			resource("run.googleapis.com/Service", "services", "us-central1", "orders"),
			resource("run.googleapis.com/Service", "services", "us-central1", "billing"),
		}
		w.PageSize = 1
		for target, want := range map[string]string{
			"projects/shop/locations/europe-west1/functions/ordres": `no function "ordres" in europe-west1 of project shop; near it: orders in europe-west1, the service orders in us-central1`,
			"projects/shop/locations/europe-west4/services/orders":  `no service "orders" in europe-west4 of project shop; near it: orders in europe-west1, orders in us-central1`,
			"https://europe-west4-shop.cloudfunctions.net/ordres":   `no function "ordres" in europe-west4 of project shop; near it: orders in europe-west1`,
			"nothing-like-it": `no function or service "nothing-like-it" of project shop, nor anything with a similar name`,
			"orders":          "give --region, one of europe-west1, us-central1",
			"https://ordrs-ab12cd34ef-ew.a.run.app/x":                       `near it: orders in europe-west1`,
			"https://api.example.org/x":                                     "no domain mapping of project shop leads from api.example.org",
			"https://console.cloud.google.com/run/detail/us-east1/orders/m": `no service "orders" in us-east1`,
		} {
			_, err := collect(t, target, gathertest.Pipe(t, w))
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v\nwant %s", target, err, want)
			}
		}
	})
}

func TestTargetsThatNeedASearch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := load(t, "orders")
		w := gathertest.WorldOf(disk)
		spec, err := structpb.NewStruct(map[string]any{"spec": map[string]any{"routeName": "orders"}})
		if err != nil {
			t.Fatal(err)
		}
		mapping := resource("run.googleapis.com/DomainMapping", "domainmappings", "europe-west1", "shop.example.org")
		mapping.VersionedResources = []*assetpb.VersionedResource{{Version: "v1", Resource: spec}}
		w.Others = []*assetpb.ResourceSearchResult{resource("run.googleapis.com/Service", "services", "us-central1", "billing"), mapping}
		for _, target := range []string{"orders", "https://shop.example.org/x", "shop.example.org", "https://orders-ab12cd34ef-ew.a.run.app/x?y=z", "https://orders-424242.europe-west1.run.app", "https://europe-west1-shop.cloudfunctions.net/orders/x", "https://tag---orders-ab12cd34ef-ew.a.run.app"} {
			live, err := collect(t, target, gathertest.Pipe(t, w))
			if err != nil {
				t.Errorf("%s: %v", target, err)
				continue
			}
			if svc, _ := live.Service.Get(); svc.GetName() != disk.Service.Or(nil).GetName() || !live.Function.Known() {
				t.Errorf("%s: found %q, function %v", target, svc.GetName(), live.Function.Reason())
			}
			r, _ := live.Request.Get()
			if (strings.HasPrefix(target, "https:") || strings.Contains(target, ".org")) != (r.URL != nil) {
				t.Errorf("%s: request %v", target, r.URL)
			}
		}
	})
}

// TestSearchDenied: without the search, the name and region still do.
func TestSearchDenied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := gathertest.Pipe(t, gathertest.WorldOf(load(t, "orders")))
		server.Faults["SearchAllResources"] = gathertest.Deny
		if _, err := collect(t, "orders", server); err != nil {
			t.Errorf("without a region: %v", err)
		}
		server.Faults["ListServices"], server.Faults["ListFunctions"] = gathertest.Deny, gathertest.Deny
		if _, err := collect(t, "orders", server); err == nil || !strings.Contains(err.Error(), "give its name and --region") {
			t.Errorf("without a region: %v", err)
		}
		if _, err := collect(t, "orders", server, func(o *gather.Options) { o.Region = "europe-west1" }); err != nil {
			t.Errorf("with a region: %v", err)
		}
	})
}

func TestHiddenConditions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := load(t, "orders")
		disk.Policy = evidence.Known(&iampb.Policy{Version: 1, Bindings: []*iampb.Binding{{Role: "roles/run.invoker_withcond_0123456789abcdef", Members: []string{"user:ann@example.com"}}}}, disk.Policy.Source)
		live, err := collect(t, fullFunction, gathertest.Pipe(t, gathertest.WorldOf(disk)))
		if err != nil {
			t.Fatal(err)
		}
		if v := checks.Judge(overlay(live, disk), checks.Options{}); v.Decision != checks.Undetermined {
			t.Errorf("%s: %s", v.Decision, v.Headline())
		}
	})
}

func TestEmptyPolicyIsKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := load(t, "orders")
		disk.Policy = evidence.Known(&iampb.Policy{}, disk.Policy.Source)
		live, err := collect(t, fullFunction, gathertest.Pipe(t, gathertest.WorldOf(disk)))
		if err != nil {
			t.Fatal(err)
		}
		if p, ok := live.Policy.Get(); !ok || len(p.GetBindings()) != 0 {
			t.Errorf("policy %v, known %v", p, ok)
		}
	})
}

func TestPages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := gathertest.WorldOf(load(t, "orders"))
		w.PageSize = 1
		server := gathertest.Pipe(t, w)
		live, err := collect(t, fullFunction, server)
		if err != nil {
			t.Fatal(err)
		}
		if n := server.Calls("SearchAllResources"); n < 3 {
			t.Errorf("%d pages of the search", n)
		}
		if d := live.DenyPolicies.Or(nil); len(d) != 2 {
			t.Errorf("%d deny policies, want 2", len(d))
		}
	})
}

// TestLogHoldsNoSecret: calls are logged, and what an API says about a secret
// does not get out.
func TestLogHoldsNoSecret(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := gathertest.Pipe(t, gathertest.WorldOf(load(t, "orders")))
		token := "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJlLW9mLXRoZS10b2tlbg"
		server.Faults["GetService"] = gathertest.Fail(codes.Internal, "cannot use Bearer "+token+" nor ya29.a0AfH6SM-secret nor AIzaSyA1234567890abc")
		var mu sync.Mutex
		var log strings.Builder
		live, err := collect(t, fullFunction, server, func(o *gather.Options) {
			o.Log = func(c gather.Call) { mu.Lock(); defer mu.Unlock(); log.WriteString(c.String() + "\n") }
		})
		if err != nil {
			t.Fatal(err)
		}
		text := log.String() + live.Service.Reason().Error()
		for _, secret := range []string{"eyJ", "c2lnbm", "ya29", "AIza"} {
			if strings.Contains(text, secret) {
				t.Errorf("log or error holds %s: %s", secret, text)
			}
		}
		if !strings.Contains(text, "run.services.get projects/shop/locations/europe-west1/services/orders: Internal in ") {
			t.Errorf("log: %s", text)
		}
	})
}

func TestParseTargetRefuses(t *testing.T) {
	for target, want := range map[string]string{
		"":                                "not one that diagnose knows",
		"projects/p/services/s":           "not one that diagnose knows",
		"two words":                       "not one that diagnose knows",
		"https://":                        "broken",
		"https://user:pw@orders.run.app/": "user name or password",
		"https://run.googleapis.com/v2/x": "Google API",
		"https://europe-west1-shop.cloudfunctions.net/":                           "has no function's name",
		"//run.googleapis.com/projects/p/locations/l/functions/f":                 "has no functions",
		"//run.googleapis.com/projects/p/locations/l/workerPools/w":               "has no workerPools",
		"projects/p/locations/l/services/-":                                       "names no service",
		"folders/1":                                                               "has no folders",
		"https://console.cloud.google.com/storage/browser":                        "another page",
		"//cloudfunctions.googleapis.com/projects/p/locations/l/services/orders/": "has no services",
	} {
		if _, err := gather.ParseTarget(target); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", target, err, want)
		}
	}
}

func TestDefaults(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("active_config", "work\n")
	write("configurations/config_work", "[core]\naccount = a@example.com\nproject = from-config\n[run]\nregion = europe-west1\n")
	write("configurations/config_other", "[core]\nproject = other\n[functions]\nregion=us-central1\n")
	for _, test := range []struct {
		env                       map[string]string
		project, from, region, by string
	}{
		{nil, "from-config", "gcloud property core/project", "europe-west1", "gcloud property run/region"},
		{map[string]string{"GOOGLE_CLOUD_PROJECT": "gcp"}, "gcp", "GOOGLE_CLOUD_PROJECT", "europe-west1", "gcloud property run/region"},
		{map[string]string{"GOOGLE_CLOUD_PROJECT": "gcp", "CLOUDSDK_CORE_PROJECT": "sdk", "CLOUDSDK_RUN_REGION": "r"}, "sdk", "CLOUDSDK_CORE_PROJECT", "r", "CLOUDSDK_RUN_REGION"},
		{map[string]string{"CLOUDSDK_ACTIVE_CONFIG_NAME": "other"}, "other", "gcloud property core/project", "us-central1", "gcloud property functions/region"},
		{map[string]string{"CLOUDSDK_ACTIVE_CONFIG_NAME": "../x"}, "", "", "", ""},
	} {
		got := gather.FindDefaults(func(k string) string {
			if k == "CLOUDSDK_CONFIG" {
				return dir
			}
			return test.env[k]
		})
		if want := (gather.Defaults{Project: test.project, ProjectFrom: test.from, Region: test.region, RegionFrom: test.by}); got != want {
			t.Errorf("%v: %+v, want %+v", test.env, got, want)
		}
	}
}
