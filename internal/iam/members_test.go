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
		{"serviceAccount:moevr@shop.iam.gserviceaccount.com", mover, "differ by a letter"},
		{"serviceAccount:mover@shop-dev.iam.gserviceaccount.com", mover, "another project"},
		{"deleted:" + mover + "?uid=1", mover, "tombstone"},
		{"user:mover@shop.iam.gserviceaccount.com", mover, "prefix"},
		{"serviceAccount:service-1@gcp-sa-pubsub.iam.gserviceaccount.com", "serviceAccount:service-22222@gcp-sa-pubsub.iam.gserviceaccount.com", "another project number"},
		{"user:an.a@gmail.com", "user:ana@googlemail.com", "spelt"},
		{mover, mover, ""},
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
