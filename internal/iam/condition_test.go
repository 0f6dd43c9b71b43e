package iam

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/type/expr"
)

func TestConditions(t *testing.T) {
	path, host := "/admin/users", "orders.example.com"
	c := Context{Time: now, Path: &path, Host: &host, TagsKnown: true, Tags: []Tag{{"1/env", "1/env/prod", "tagKeys/2", "tagValues/3"}}}
	tests := []struct {
		expression string
		want       State
		part       string
	}{
		{"", Granted, ""},
		{"true", Granted, ""},
		{"false", NotGranted, "false"},
		{`request.time < timestamp("2027-01-01T00:00:00Z")`, Granted, ""},
		{`request.time < timestamp("2026-11-01T00:00:00Z")`, NotGranted, `request.time < timestamp("2026-11-01T00:00:00Z")`},
		{`request.time >= date("2026-11-01")`, Granted, ""},
		{`request.time - timestamp("2026-11-23T11:00:00Z") < duration("2h")`, Granted, ""},
		{`request.time.getHours("Europe/Berlin") == 13`, Granted, ""},
		{`request.time.getHours("America/New_York") >= 9`, NotGranted, `request.time.getHours("America/New_York") >= 9`},
		{`request.time.getDayOfWeek("Europe/Berlin") in [1, 2, 3, 4, 5]`, Granted, ""},
		{`request.time.getFullYear() == 2026 && request.time.getMonth() == 10 && request.time.getDate() == 23`, Granted, ""},
		{`request.time.getHours("Mars/Base") == 1`, Unknown, `request.time.getHours("Mars/Base") == 1`},
		{`request.path.startsWith("/admin/")`, Granted, ""},
		{`request.path == "/x" || request.path.endsWith("users")`, Granted, ""},
		{`request.path.startsWith("/public")`, NotGranted, `request.path.startsWith("/public")`},
		{`request.path.matches("^/a.*s$")`, Granted, ""},
		{`request.path.extract("/admin/{what}") == "users"`, Granted, ""},
		{`request.path.extract("/{first}/") == "admin"`, Granted, ""},
		{`request.path.extract("/nothing/{x}") == ""`, Granted, ""},
		{`request.host == "orders.example.com"`, Granted, ""},
		{`!(request.host == "orders.example.com")`, NotGranted, `!(request.host == "orders.example.com")`},
		{`resource.matchTag("1/env", "prod")`, Granted, ""},
		{`resource.matchTag("1/env", "test")`, NotGranted, `resource.matchTag("1/env", "test")`},
		{`resource.matchTagId("tagKeys/2", "tagValues/3")`, Granted, ""},
		{`resource.hasTagKey("1/env") && resource.hasTagKeyId("tagKeys/2")`, Granted, ""},
		{`resource.hasTagKey("1/other")`, NotGranted, `resource.hasTagKey("1/other")`},
		{`request.path == "/x" ? true : request.host == "orders.example.com"`, Granted, ""},
		{`date("2026-11-23") <= request.time && request["path"] == "/admin/users"`, Granted, ""},
		// A plain test of what Cloud Run does not provide never grants.
		{`resource.name == "projects/p/locations/l/services/s"`, NotGranted, `resource.name == "projects/p/locations/l/services/s"`},
		{`resource.name.startsWith("projects/p")`, NotGranted, `resource.name.startsWith("projects/p")`},
		{`resource.name.extract("projects/{p}/") == "p"`, NotGranted, ""},
		{`resource["name"] == "x"`, NotGranted, ""},
		{`resource.service == "run.googleapis.com"`, NotGranted, `resource.service == "run.googleapis.com"`},
		{`resource.type in ["x", "y"]`, NotGranted, ""},
		{`"x" in request.auth.access_levels`, NotGranted, `"x" in request.auth.access_levels`},
		{`destination.port == 22`, NotGranted, `destination.port == 22`},
		{`request.path == "/admin/users" || resource.name == "x"`, Granted, ""},
		{`request.path == "/x" || resource.name == "x"`, NotGranted, `request.path == "/x"`},
		{`request.time < timestamp("2027-01-01T00:00:00Z") && resource.name == "x"`, NotGranted, `resource.name == "x"`},
		{`request.path == "/admin/users" ? resource.name == "x" : true`, NotGranted, `resource.name == "x"`},
		{`resource.type != "x" && resource.name == "y"`, NotGranted, `resource.name == "y"`},
		{`resource.name == "x" ? false : false`, NotGranted, "false"},
		// A guard on it is open.
		{`resource.type != "x"`, Unknown, `resource.type != "x"`},
		{`!(resource.type == "x")`, Unknown, `resource.type == "x"`},
		{`!(resource.type != "x")`, Unknown, `resource.type != "x"`},
		{`!resource.name.startsWith("projects/p")`, Unknown, `resource.name.startsWith("projects/p")`},
		{`!(destination.port == 443)`, Unknown, ""},
		{`!(resource.type == "x" && resource.name == "y")`, Unknown, ""},
		{`(resource.type == "x") == false`, Unknown, ""},
		{`(resource.type == "x" ? 1 : 2) == 2`, Unknown, ""},
		{`resource.name == ""`, Unknown, ""},
		{`resource.name.size() == 0`, Unknown, ""},
		{`size(resource.name) == 0.0`, Unknown, ""},
		{`request.auth.access_levels == []`, Unknown, ""},
		{`resource.type == null`, Unknown, ""},
		{`has(resource.name)`, Unknown, ""},
		{`["a"].all(x, x != resource.type)`, Unknown, ""},
		{`["a"] == ["a"].filter(x, x != resource.type)`, Unknown, ""},
		{`[resource.type != "a"] == [true]`, Unknown, ""},
		{`{"a": resource.type} == {"a": "b"}`, Unknown, ""},
		{`resource.type != "x" || resource.name.startsWith("y")`, Unknown, `resource.type != "x"`},
		{`resource.name == "x" ? false : true`, Unknown, ""},
		{`resource.name == "x" ? true : false`, Unknown, ""},
		{`resource.type != "x" && request.path == "/x"`, NotGranted, `request.path == "/x"`},
		{`resource.type != "x" || request.path == "/admin/users"`, Granted, ""},
		// An attribute of the request that is not there has its default.
		{`api.getAttribute("iam.googleapis.com/modifiedGrantsByRole", []).hasOnly(["roles/x"])`, Granted, ""},
		{`!api.getAttribute("iam.googleapis.com/modifiedGrantsByRole", []).hasOnly(["roles/x"])`, NotGranted, ""},
		{`api.getAttribute("iam.googleapis.com/modifiedGrantsByRole", ["roles/y"]).hasOnly(["roles/x"])`, NotGranted, ""},
		{`api.getAttribute("iam.googleapis.com/modifiedGrantsByRole", []).size() > 0`, NotGranted, ""},
		{`api.getAttribute("new.googleapis.com/x", []).hasOnly(["x"])`, Unknown, ""},
		{`api.getAttribute(request.path, "") == ""`, Unknown, ""},
		{`api.getAttribute("iam.googleapis.com/modifiedGrantsByRole", resource.name) == "x"`, Unknown, ""},
		// What this tool does not understand is open, and spoils no more than it must.
		{`request.time <`, Unknown, ""},
		{`1 + 1`, Unknown, ""},
		{`"a" == 1`, Unknown, ""},
		{`nosuch.thing == 1`, Unknown, ""},
		{`request.nosuch == 1`, Unknown, ""},
		{`request == resource`, Unknown, ""},
		{`newFunction(request.path)`, Unknown, "newFunction(request.path)"},
		{`!newFunction(request.path)`, Unknown, ""},
		{`newFunction(request.path) && request.path == "/x"`, NotGranted, `request.path == "/x"`},
		{`newFunction(resource.name) && true`, Unknown, ""},
		{`newFunction(request.path) || request.path == "/admin/users"`, Granted, ""},
		{`newFunction(request.path) ? true : false`, Unknown, ""},
		{`timestamp("yesterday") < request.time`, Unknown, ""},
		{`date("yesterday") < request.time`, Unknown, ""},
		{`request.hasTagKey("1/env")`, Unknown, ""},
		{`"x".matchTag("1/env", "prod")`, Unknown, ""},
		{`request.path.extract("no name") == ""`, Granted, ""},
		{`request.path.extract("}{") == ""`, Granted, ""},
		{`request.path.extract("/{first}?") == ""`, Granted, ""},
	}
	for _, tt := range tests {
		got := EvalCondition(&expr.Expr{Expression: tt.expression}, c)
		if got.State != tt.want || tt.part != "" && got.Part != tt.part {
			t.Errorf("%s\n\tis %s by %q (%s), want %s by %q", tt.expression, got.State, got.Part, got.Reason, tt.want, tt.part)
		}
		if got.State != Granted && got.Reason == "" {
			t.Errorf("%s is %s for no reason", tt.expression, got.State)
		}
		if strings.Contains(tt.expression, "newFunction") && got.State == Unknown && !got.Failed || tt.expression == "1 + 1" && !got.Failed {
			t.Errorf("%s is open, and not because it is not understood", tt.expression)
		}
	}
}

func TestConditionsOnTheUnknown(t *testing.T) {
	for expression, want := range map[string]State{
		`request.time < timestamp("2027-01-01T00:00:00Z")`: Unknown,
		`request.path == "/x"`:                             Unknown,
		`request.host == "x"`:                              Unknown,
		`resource.matchTag("1/env", "prod")`:               Unknown,
		`request.path == "/x" || true`:                     Granted,
		`request.path == "/x" && false`:                    NotGranted,
		`!(request.path == "/x")`:                          Unknown,
		`request.path == "/x" ? true : false`:              Unknown,
		`request.path == "/x" && resource.name == "y"`:     NotGranted,
	} {
		if got := EvalCondition(&expr.Expr{Expression: expression}, Context{}); got.State != want {
			t.Errorf("%s is %s (%s), want %s", expression, got.State, got.Reason, want)
		}
	}
}

func TestExpiry(t *testing.T) {
	end := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	for _, e := range []string{`request.time < timestamp("2026-12-01T00:00:00Z")`, `request.path == "/x" && request.time <= timestamp("2026-12-01T00:00:00Z")`,
		`request.time < date("2026-12-01") && !(request.path == "/x") && request.path == "/x" && true`,
		`date("2026-12-01") > request.time && request.time < timestamp("2027-12-01T00:00:00Z")`} {
		if got := EvalCondition(&expr.Expr{Expression: e}, Context{Time: now}).Expires; !got.Equal(end) {
			t.Errorf("%s expires %v, want %v", e, got, end)
		}
	}
	for _, e := range []string{
		`request.time > timestamp("2026-12-01T00:00:00Z")`, `date("2026-12-01") < request.time`,
		`request.time < date("2026-12-01") || true`, `!(request.time < date("2026-12-01"))`,
		`request.time < date(request.path)`, `request.time < timestamp("soon")`, `request.time == date("2026-12-01")`,
		`request.path < "2026-12-01"`, `request.time < request.time`, `request.path.endsWith("2026-12-01")`,
	} {
		if got := EvalCondition(&expr.Expr{Expression: e}, Context{Time: now}).Expires; !got.IsZero() {
			t.Errorf("%s expires %v", e, got)
		}
	}
}

// What is beyond the limits of this tool is open, and says so.
func TestHostileConditions(t *testing.T) {
	nested := "true"
	for _, v := range strings.Split("abcdefgh", "") {
		nested = "[1, 2, 3, 4, 5, 6, 7, 8, 9].all(" + v + ", " + nested + ")"
	}
	path := "/x"
	for e, want := range map[string]string{
		strings.Repeat("(", 10000):                               "nested deeper",
		strings.Repeat("(", 500) + strings.Repeat(")", 500):      "nested deeper",
		"!" + strings.Repeat("(!", 500) + "true":                 "nested deeper",
		strings.Repeat("true && ", 5000) + "true":                "longer than",
		strings.Repeat("a", 1<<20):                               "longer than",
		nested:                                                   "steps",
		"request.path == '/y' || " + nested:                      "steps",
		strings.Repeat(nested+" && ", 20) + "true":               "steps",
		"request.path == '/x' && !(" + nested + ") && " + nested: "steps",
	} {
		got := EvalCondition(&expr.Expr{Expression: e}, Context{Time: now, Path: &path})
		if got.State != Unknown || !strings.Contains(got.Reason, want) || !got.Failed {
			t.Errorf("%.40s… is %s for the reason %q, want one with %q", e, got.State, got.Reason, want)
		}
		if d := EvalDenial(&expr.Expr{Expression: e}, Context{}).State; d != Unknown && !strings.Contains(e, "request.path") {
			t.Errorf("%.40s… in a denial condition is %s", e, d)
		}
	}
}

func FuzzEvalCondition(f *testing.F) {
	for _, s := range append(someExprs, `request.time.getHours("UTC") in [1]`, `resource.matchTag("a","b")`, `request.path.extract("{x}")`, `!(a) ? b : c`) {
		f.Add(s)
	}
	path := "/x"
	f.Fuzz(func(t *testing.T, s string) {
		if got := EvalCondition(&expr.Expr{Expression: s}, Context{Time: now, Path: &path}); got.State != Granted && got.Reason == "" {
			t.Errorf("%q is %s for no reason", s, got.State)
		}
	})
}

func TestNeeds(t *testing.T) {
	for expression, want := range map[string][]string{
		`request.path == "/x"`: {"request.path"},
		`request.host == "x" && request.time < date("2027-01-01")`:            {"request.host", "request.time"},
		`resource.matchTag("1/env", "prod") || request.path == "/x"`:          {"request.path", "tags"},
		`resource.matchTagId("a", "b") && newFunction()`:                      {"tags"},
		`request.path == "/x" && false || resource.hasTagKey("a")`:            {"tags"},
		`request.path == "/x" && resource.name == "y" || request.host == "z"`: {"request.host"},
		`!(request.path == "/x" && false) && request.host == "z"`:             {"request.host"},
		`request.path == "/x" || true`:                                        nil,
		`request.path == "/x" && resource.name == "x"`:                        nil,
		`newFunction()`: nil,
	} {
		if got := EvalCondition(&expr.Expr{Expression: expression}, Context{}); !slices.Equal(got.Needs, want) {
			t.Errorf("%s needs %v, want %v", expression, got.Needs, want)
		}
	}
}

// A tag of which only one of the two names is known says nothing of the other.
func TestTagsInPart(t *testing.T) {
	names, ids := []Tag{{NamespacedKey: "1/env", NamespacedValue: "1/env/prod"}}, []Tag{{Key: "tagKeys/2", Value: "tagValues/3"}}
	for _, tt := range []struct {
		tags       []Tag
		expression string
		want       State
	}{
		{names, `resource.matchTag("1/env", "prod")`, Granted},
		{names, `resource.matchTag("1/env", "test")`, NotGranted},
		{names, `resource.matchTagId("tagKeys/2", "tagValues/3")`, Unknown},
		{ids, `resource.hasTagKeyId("tagKeys/2")`, Granted},
		{ids, `resource.hasTagKey("1/env")`, Unknown},
		{nil, `resource.hasTagKey("1/env")`, NotGranted},
	} {
		if got := EvalCondition(&expr.Expr{Expression: tt.expression}, Context{TagsKnown: true, Tags: tt.tags}); got.State != tt.want {
			t.Errorf("%s with %v is %s (%s), want %s", tt.expression, tt.tags, got.State, got.Reason, tt.want)
		}
	}
}

// Which attributes there are goes by the permission.
func TestConditionsOfOtherPermissions(t *testing.T) {
	path := "/x"
	for _, tt := range []struct {
		permission, expression string
		want                   State
	}{
		{RunInvoke, `"x" in request.auth.access_levels`, NotGranted},
		{AccessViaIAP, `"x" in request.auth.access_levels`, Unknown},
		{AccessViaIAP, `request.path == "/x"`, Granted},
		{AccessViaIAP, `request.path == "/y"`, NotGranted},
		{FunctionsInvoke, `request.path == "/x"`, Unknown},
		{MintIDToken, `resource.name == "x"`, Unknown},
		{MintIDToken, `request.time < date("2027-01-01")`, Granted},
		{"run.services.setIamPolicy", `api.getAttribute("iam.googleapis.com/modifiedGrantsByRole", []).hasOnly(["x"])`, Unknown},
	} {
		c := Context{Permission: tt.permission, Path: &path, Time: now}
		if got := EvalCondition(&expr.Expr{Expression: tt.expression}, c); got.State != tt.want {
			t.Errorf("%s for %s is %s (%s), want %s", tt.expression, tt.permission, got.State, got.Reason, tt.want)
		}
	}
}

// IAP takes parameters and relative parts out of a path and asks again.
func TestPathsThatIAPReadsTwice(t *testing.T) {
	for path, want := range map[string]State{
		"/a/b": Granted, "/a/b/": Granted, "/a;v=1/b": Unknown, "/a/../b": Unknown, "/a/%2e%2e/b": Unknown, "/a//b": Unknown,
	} {
		condition := &expr.Expr{Expression: `request.path.startsWith("/a") || request.host == "h"`}
		if got := EvalCondition(condition, Context{Permission: AccessViaIAP, Path: &path}); got.State != want {
			t.Errorf("at IAP, %s is %s, want %s", path, got.State, want)
		}
		if got := EvalCondition(condition, Context{Permission: RunInvoke, Path: &path}); got.State != Granted {
			t.Errorf("at Cloud Run, %s is %s, want granted", path, got.State)
		}
	}
}

func TestDenialConditions(t *testing.T) {
	path := "/x"
	c := Context{Time: now, Path: &path, TagsKnown: true, Tags: []Tag{{"1/env", "1/env/prod", "tagKeys/2", "tagValues/3"}}}
	for expression, want := range map[string]State{
		"":                                    Granted,
		`resource.matchTag("1/env", "prod")`:  Granted,
		`!resource.matchTag("1/env", "prod")`: NotGranted,
		`resource.name == "x"`:                Granted, // Google cannot evaluate it
		`!(resource.type == "x")`:             Granted,
		`request.path == "/y"`:                Granted,
		`resource.type == "x" || resource.hasTagKey("a")`: Granted,
		`resource.type == "x" && resource.hasTagKey("a")`: Unknown,
		`newFunction()`: Unknown,
		`newFunction() || resource.matchTag("1/env", "prod")`: Granted,
		`resource.matchTag("1/env"`:                           Unknown,
	} {
		got := EvalDenial(&expr.Expr{Expression: expression}, c)
		if got.State != want || got.State == Unknown && got.Reason == "" {
			t.Errorf("%s is %s (%s), want %s", expression, got.State, got.Reason, want)
		}
	}
	if got := EvalDenial(&expr.Expr{Expression: `resource.hasTagKey("a")`}, Context{}); got.State != Unknown || !slices.Equal(got.Needs, []string{"tags"}) {
		t.Errorf("tags that were not read are %s and need %v", got.State, got.Needs)
	}
}

func TestOnly(t *testing.T) {
	for expression, want := range map[string]string{
		"":                                   "",
		`request.path.startsWith("/admin/")`: "only /admin/*",
		`request.path == "/a"`:               "only /a",
		`request.path.endsWith(".js") || request.path == "/a"`: "only *.js or /a",
		`request.host == "x"`:                                                    "only on host x",
		`request.host.endsWith(".example.com")`:                                  "only on host *.example.com",
		`request.time < timestamp("2027-01-01T00:00:00Z")`:                       "only until 2027-01-01",
		`timestamp("2027-01-01T12:00:00Z") >= request.time`:                      "only until 2027-01-01T12:00:00Z",
		`request.time > date("2026-01-01") && request.time < date("2027-01-01")`: "only from 2026-01-01 and until 2027-01-01",
		`request.path.startsWith("/a/") && request.time < date("2027-01-01")`:    "only /a/* and until 2027-01-01",
		`resource.matchTag("1/env", "prod")`:                                     "only with the tag 1/env=prod",
		`resource.hasTagKey("1/env")`:                                            "only with the tag 1/env",
		`request.host == "x" || request.path == "/x"`:                            "",
		`!(request.path == "/x")`:                                                "",
		`request.path != "/x"`:                                                   "",
		`request.path.startsWith("")`:                                            "",
		`request.path == request.host`:                                           "",
		`request.path == "/x" && resource.name == "y"`:                           "",
		`request.time < request.time`:                                            "",
		`resource.hasTagKey(request.path)`:                                       "",
		`resource.name == "x"`:                                                   "",
		`true`:                                                                   "",
		`broken (`:                                                               "",
	} {
		if got := EvalCondition(&expr.Expr{Expression: expression}, Context{}).Only(); got != want {
			t.Errorf("%s is %q, want %q", expression, got, want)
		}
	}
}

// A context that differs has an answer of its own, and a store that is full
// starts anew.
func TestAnswersAreKept(t *testing.T) {
	var s store
	const e = `request.path == "/1"`
	for round := range 3 {
		for _, p := range []string{"/1", "/2", "/3", "/4", "/5", "/6"} {
			want := NotGranted
			if p == "/1" {
				want = Granted
			}
			if got := answer(e, Context{Path: &p}, false); got.State != want {
				t.Errorf("round %d: %s on %s is %s", round, e, p, got.State)
			}
		}
	}
	if first, second := s.get(e), s.get(e); first != second {
		t.Error("a condition is parsed twice")
	}
	for i := range 5000 {
		s.get(fmt.Sprintf("true && %d < 1", i))
	}
	if len(s.parsed) == 5000 || s.bytes > storeLimit {
		t.Errorf("the store keeps %d conditions of %d bytes", len(s.parsed), s.bytes)
	}
	var kept answerStore
	last := question{text: e}
	kept.add(last, Condition{State: Granted})
	for i := range 300_000 {
		kept.add(question{text: fmt.Sprint(i)}, Condition{})
		if _, ok := kept.get(last); i%1000 == 0 && !ok {
			t.Fatalf("what is asked for all the time is gone after %d answers", i)
		}
	}
	if _, ok := kept.get(question{text: "0"}); ok || kept.bytes > answerLimit {
		t.Errorf("the first of many answers is kept; %d bytes", kept.bytes)
	}
}

func TestStop(t *testing.T) {
	e := &expr.Expr{Expression: `1 < 2 && 2 < 3 && 3 < 4`}
	for calls := range 4 {
		left := calls
		got := EvalCondition(e, Context{Stop: func() bool { left--; return left < 0 }})
		if got.State != Unknown || got.Reason != stopped {
			t.Errorf("stopped at call %d, it is %s (%s)", calls, got.State, got.Reason)
		}
	}
	if got := EvalCondition(e, Context{}); got.State != Granted {
		t.Errorf("an answer that was stopped is kept: %s", got.State)
	}
}
