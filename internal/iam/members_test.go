package iam

import (
	"strings"
	"testing"
)

func TestMembers(t *testing.T) {
	const (
		user  = "user:ana@example.com"
		gmail = "user:ana@gmail.com"
	)
	groups := NewGroups(map[string][]string{
		"group:dev@example.com": {"user:ANA@example.com", "group:ops@example.com"},
		"group:ops@example.com": {mover, "group:dev@example.com"},
		"domain:listed.com":     {"user:ana@example.com"},
	})
	tests := []struct {
		member, caller string
		want           State
		kind           Kind
	}{
		{"user:Ana@Example.com", user, Granted, User},
		{"user:bob@example.com", user, NotGranted, User},
		{" user:ana@example.com ", user, Granted, User},
		{mover, mover, Granted, ServiceAccount},
		{"user:mover@shop.iam.gserviceaccount.com", mover, NotGranted, User},
		{"serviceAccount:ana@example.com", user, NotGranted, ServiceAccount},
		{"group:dev@example.com", user, Granted, Group},
		{"group:dev@example.com", mover, Granted, Group},
		{"group:ops@example.com", "user:carl@example.com", NotGranted, Group},
		{"group:other@example.com", user, Unknown, Group},
		{"domain:example.com", user, Granted, Domain},
		{"domain:example.com", gmail, NotGranted, Domain},
		{"domain:other.com", user, Unknown, Domain},
		{"domain:listed.com", user, Granted, Domain},
		{"domain:listed.com", "user:bob@listed.com", NotGranted, Domain},
		{"domain:example.com", mover, NotGranted, Domain},
		{"allUsers", user, Granted, AllUsers},
		{"allUsers", "allUsers", Granted, AllUsers},
		{"allAuthenticatedUsers", user, Granted, AllAuthenticatedUsers},
		{"allAuthenticatedUsers", mover, Granted, AllAuthenticatedUsers},
		{"allAuthenticatedUsers", "allUsers", NotGranted, AllAuthenticatedUsers},
		{"deleted:" + user + "?uid=123", user, NotGranted, User},
		{"deleted:" + mover + "?uid=123", mover, NotGranted, ServiceAccount},
		{"deleted:group:dev@example.com?uid=1", user, NotGranted, Group},
		{"principal://iam.googleapis.com/locations/global/workforcePools/p/subject/s", user, NotGranted, Workforce},
		{"principalSet://iam.googleapis.com/locations/global/workforcePools/p/*", user, NotGranted, Workforce},
		{"principal://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/subject/s", "principal://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/subject/s", NotGranted, Workload},
		{"principalSet://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/attribute.a/v", mover, NotGranted, Workload},
		{"principal://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p.svc.id.goog/subject/ns/n/sa/k", mover, NotGranted, Kubernetes},
		{"serviceAccount:p.svc.id.goog[ns/ksa]", mover, NotGranted, Kubernetes},
		{"principalSet://cloudresourcemanager.googleapis.com/projects/1/type/ServiceAccount", mover, Unknown, ServiceAccountSet},
		{"principalSet://cloudresourcemanager.googleapis.com/organizations/1/type/ServiceAccount", user, NotGranted, ServiceAccountSet},
		{"projectOwner:shop", user, NotGranted, Convenience},
		{"principal://agents.global.org-1.system.id.goog/resources/aiplatform/x", user, NotGranted, Agent},
		{"nonsense", user, Unknown, OtherMember},
		{"principalSet://goog/something/new", user, Unknown, OtherMember},
		{"user:\u212Aim@example.com", "user:kim@example.com", NotGranted, User}, // the Kelvin sign is no k
		{"allU\u017Fers", user, Unknown, OtherMember},                           // nor the long s an s
		{"user:ana@example.com", "user:\u00A0ana@example.com", NotGranted, User},
		{"user:ana@example.com", "ana@example.com", Unknown, User},
		{"principal://agents.global.project-1.system.id.goog/resources/run/projects/1/locations/r/services/s", mover, NotGranted, Agent},
		{"principalSet://agents.global.org-1.system.id.goog/attribute.platformContainer/run/projects/1", mover, NotGranted, Agent},
		{"principal://else.example.com/resources/aiplatform/x", mover, Unknown, OtherMember},
		{mover, "principal://agents.global.project-1.system.id.goog/resources/run/projects/1/locations/r/services/s", NotGranted, ServiceAccount},
		{"principalSet://goog/cloudIdentityCustomerId/C01", user, Unknown, Customer},
		{"", user, NotGranted, OtherMember},
	}
	for _, tt := range tests {
		m := ParseMember(tt.member)
		if m.Kind != tt.kind || m.String() != tt.member {
			t.Errorf("%q is of kind %d, want %d; it is printed as %q", tt.member, m.Kind, tt.kind, m)
		}
		if got, why := m.matches(IdentityOf(tt.caller), groups); got != tt.want {
			t.Errorf("%q for %s is %s (%s), want %s", tt.member, tt.caller, got, why, tt.want)
		}
	}
}

func TestUnknownCaller(t *testing.T) {
	for member, want := range map[string]State{
		"allUsers": Granted, "allAuthenticatedUsers": Granted, mover: Unknown, "group:g@example.com": Unknown, "domain:example.com": Unknown,
	} {
		if got, _ := ParseMember(member).matches(Identity{Google: true}, Groups{}); got != want {
			t.Errorf("%s for a Google account without e-mail is %s, want %s", member, got, want)
		}
	}
	if got, _ := ParseMember("allAuthenticatedUsers").matches(Identity{}, Groups{}); got != Unknown {
		t.Errorf("allAuthenticatedUsers for nobody known is %s", got)
	}
}

func TestHostedDomain(t *testing.T) {
	id := IdentityOf("user:ana@mail.example.com")
	id.HostedDomain = "example.com"
	if got, why := ParseMember("domain:example.com").matches(id, Groups{}); got != Granted {
		t.Errorf("a user of the hosted domain is %s: %s", got, why)
	}
}

func TestNearMiss(t *testing.T) {
	tests := []struct{ member, caller, want string }{
		{"serviceAccount:moevr@shop.iam.gserviceaccount.com", mover, "looks like a typo"},
		{"serviceAccount:mover@shop-dev.iam.gserviceaccount.com", mover, "another project"},
		{"deleted:" + mover + "?uid=1", mover, "account is deleted"},
		{"user:mover@shop.iam.gserviceaccount.com", mover, "prefix"},
		{"serviceAccount:service-1@gcp-sa-pubsub.iam.gserviceaccount.com", "serviceAccount:service-22222@gcp-sa-pubsub.iam.gserviceaccount.com", "another project number"},
		{"user:an.a@gmail.com", "user:ana@googlemail.com", "spelt"},
		{mover, mover, ""},
		{"serviceAccount:mo\u200Bver@shop.iam.gserviceaccount.com", mover, "invisible character"},
		{"serviceAccount:m\u043Ever@shop.iam.gserviceaccount.com", mover, "Cyrillic"},
		{"serviceAccount:other\u200B@shop.iam.gserviceaccount.com", mover, ""},
		{"serviceAccount:an\u200Bentirely.different@shop.iam.gserviceaccount.com", mover, ""},
		{"serviceAccount:movers12@shop.iam.gserviceaccount.com", mover, ""},
		{"serviceAccount:entirely@different.iam.gserviceaccount.com", mover, ""},
		{"allUsers", mover, ""},
		{"group:mover@shop.iam.gserviceaccount.com", mover, ""},
	}
	for _, tt := range tests {
		got := NearMiss(ParseMember(tt.member), IdentityOf(tt.caller))
		if (tt.want == "") != (got == "") || !strings.Contains(got, tt.want) {
			t.Errorf("%s beside %s: %q, want %q", tt.member, tt.caller, got, tt.want)
		}
	}
}

// A set of all service accounts of a project names it by its number, which an
// e-mail seldom shows.
func TestServiceAccountSets(t *testing.T) {
	const set = "principalSet://cloudresourcemanager.googleapis.com/projects/1/type/ServiceAccount"
	for _, tt := range []struct {
		member, caller, project string
		want                    State
	}{
		{set, mover, "", Unknown},
		{set, mover, "1", Granted},
		{set, mover, "2", NotGranted},
		{set, mover, "shop", Unknown},
		{set, "serviceAccount:1-compute@developer.gserviceaccount.com", "", Granted},
		{set, "serviceAccount:2-compute@developer.gserviceaccount.com", "", NotGranted},
		{set, "serviceAccount:service-1@gcp-sa-pubsub.iam.gserviceaccount.com", "1", Unknown},
		{set, "user:ana@example.com", "1", NotGranted},
		{strings.Replace(set, "projects/1", "projects/shop", 1), mover, "1", Unknown},
		{strings.Replace(set, "projects/1", "folders/1", 1), mover, "1", Unknown},
		{strings.Replace(set, "projects/1", "organizations/1", 1), mover, "1", Unknown},
		{strings.Replace(set, "ServiceAccount", "ServiceAgent", 1), mover, "1", Unknown},
		{strings.Replace(set, "ServiceAccount", "ServiceAgent", 1), "user:ana@example.com", "", NotGranted},
	} {
		id := IdentityOf(tt.caller)
		id.Project = tt.project
		if got, why := ParseMember(tt.member).matches(id, Groups{}); got != tt.want || (got == Granted) != (why == "") {
			t.Errorf("%s in project %q, for %s: %s (%s), want %s", tt.caller, tt.project, tt.member, got, why, tt.want)
		}
	}
	if got, _ := ParseMember(set).matches(Identity{Google: true}, Groups{}); got != Unknown {
		t.Errorf("an account that is not known is %s", got)
	}
}

// A service agent of the same name in another universe may be the caller's:
// no document names the universe.
func TestUniverses(t *testing.T) {
	const (
		agent  = "serviceAccount:service-1@gcp-sa-iap.iam.gserviceaccount.com"
		abroad = "serviceAccount:service-1@gcp-sa-iap.s3ns-system.iam.gserviceaccount.com"
	)
	for _, tt := range []struct {
		member, caller string
		want           State
		near           string
	}{
		{abroad, agent, Unknown, ""},
		{agent, abroad, Unknown, ""},
		{abroad, abroad, Granted, ""},
		{strings.Replace(abroad, "service-1", "service-2", 1), agent, NotGranted, ""},
		{strings.Replace(abroad, "iap", "pubsub", 1), agent, NotGranted, "another project"},
		{"serviceAccount:mover@shop.s3ns.iam.gserviceaccount.com", mover, NotGranted, "another project"},
	} {
		got, why := ParseMember(tt.member).matches(IdentityOf(tt.caller), Groups{})
		if got != tt.want {
			t.Errorf("%s for %s is %s (%s), want %s", tt.member, tt.caller, got, why, tt.want)
		}
		if near := NearMiss(ParseMember(tt.member), IdentityOf(tt.caller)); (near == "") != (tt.near == "") || !strings.Contains(near, tt.near) {
			t.Errorf("%s beside %s: %q, want %q", tt.member, tt.caller, near, tt.near)
		}
	}
}

func TestSuspicious(t *testing.T) {
	for member, want := range map[string]string{
		mover:                            "",
		"allUsers":                       "",
		"deleted:" + mover + "?uid=1":    "",
		"user:an\u200Ba@example.com":     "an invisible character (U+200B)",
		"user:ana@example.com\u202E":     "an invisible character (U+202E)",
		"user:ana@example.com\U000E0041": "an invisible character (U+E0041)",
		"user:ana\uFE0F@example.com":     "an invisible character (U+FE0F)",
		"user:ana\u3164@example.com":     "an invisible character (U+3164)",
		"user:ana\u00A0@example.com":     "an invisible character (U+00A0)",
		"user:\u0430na@example.com":      "not ASCII (U+0430, Cyrillic)",
		"user:\u212Aim@example.com":      "not ASCII (U+212A, Latin)",
		"user:ana\u2011b@example.com":    "a character that is not ASCII (U+2011)",
		"user:ana\u007F@example.com":     "an invisible character (U+007F)",
		" user:ana@example.com":          "a space",
		"user:ana\xff@example.com":       "not text",
		"principalSet://iam.googleapis.com/locations/global/workforcePools/p/attribute.d/Ventes Qu\u00E9bec":   "",
		"principalSet://iam.googleapis.com/locations/global/workforcePools/p/attribute.d/Ventes\u200BQu\u00E9": "U+200B",
	} {
		if got := Suspicious(member); (want == "") != (got == "") || !strings.Contains(got, want) {
			t.Errorf("%+q %q, want %q", member, got, want)
		}
	}
}

// The reason says what to do instead.
func TestCanPresentIDToken(t *testing.T) {
	for member, want := range map[string]struct {
		can State
		why string
	}{
		mover: {Granted, ""},
		"principalSet://cloudresourcemanager.googleapis.com/projects/1/type/ServiceAccount": {Granted, ""},
		"deleted:" + mover:                     {NotGranted, "deleted"},
		"projectViewer:shop":                   {NotGranted, "Cloud Storage"},
		"projectEditor:shop":                   {NotGranted, "Cloud Storage"},
		"nonsense":                             {Unknown, "Google does not document"},
		"serviceAccount:p.svc.id.goog[ns/ksa]": {NotGranted, "link it"},
		"principal://agents.global.org-1.system.id.goog/resources/aiplatform/projects/1/locations/r/reasoningEngines/2": {NotGranted, "must impersonate a service account"},
		"principal://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/subject/s":                  {NotGranted, "must impersonate a service account"},
		"principal://iam.googleapis.com/locations/global/workforcePools/p/subject/s":                                    {NotGranted, "IAP"},
	} {
		if got, why := ParseMember(member).CanPresentIDToken(); got != want.can || !strings.Contains(why, want.why) || (why == "") != (want.why == "") {
			t.Errorf("%s: %s (%s), want %s (%s)", member, got, why, want.can, want.why)
		}
	}
}

func FuzzParseMember(f *testing.F) {
	for _, s := range append(someMembers, "principal://goog/subject/a@b.c", "principalSet://goog/public:all", "deleted:principal://x?uid=") {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		m := ParseMember(s)
		if m.String() != s {
			t.Errorf("%q is printed as %q", s, m)
		}
		m.matches(IdentityOf(mover), NewGroups(map[string][]string{"group:x@y.z": {s}}))
		NearMiss(m, IdentityOf(mover))
	})
}
