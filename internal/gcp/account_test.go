package gcp

import "testing"

func TestParseAccount(t *testing.T) {
	tests := []struct {
		email   string
		kind    AccountKind
		project string
	}{
		{"job@shop.iam.gserviceaccount.com", UserAccount, "shop"},
		{"Job@Shop.iam.gserviceaccount.com", UserAccount, "shop"},
		{"a@shop.example.com.iam.gserviceaccount.com", UserAccount, "example.com:shop"},
		{"123-compute@developer.gserviceaccount.com", ComputeAccount, "123"},
		{"123-abc@developer.gserviceaccount.com", ComputeAccount, ""},
		{"shop@appspot.gserviceaccount.com", AppEngineAccount, "shop"},
		{"service-123@gcp-sa-iap.iam.gserviceaccount.com", ServiceAgent, "123"},
		{"service-123@serverless-robot-prod.iam.gserviceaccount.com", ServiceAgent, "123"},
		{"service-123@gcf-admin-robot.iam.gserviceaccount.com", ServiceAgent, "123"},
		{"123@cloudservices.gserviceaccount.com", ServiceAgent, "123"},
		{"123@cloudbuild.gserviceaccount.com", ServiceAgent, "123"},
		{"service-org-123@security-center-api.iam.gserviceaccount.com", ServiceAgent, ""},
		{"service-123456789012@new-robot.iam.gserviceaccount.com", UnknownAccount, ""},
		{"a@shop.s3ns.iam.gserviceaccount.com", UnknownAccount, ""},
		{"service-1@gcp-sa-iap.s3ns-system.iam.gserviceaccount.com", UnknownAccount, ""},
		{"1-compute@developer.s3ns-system.iam.gserviceaccount.com", UnknownAccount, ""},
		{"ann@example.com", UnknownAccount, ""},
		{"a@evilgserviceaccount.com", UnknownAccount, ""},
		{"", UnknownAccount, ""},
	}
	for _, tt := range tests {
		if a := ParseAccount(tt.email); a.Kind != tt.kind || a.Project != tt.project {
			t.Errorf("ParseAccount(%q) = %+v", tt.email, a)
		}
	}
}

func TestMadeAccounts(t *testing.T) {
	for email, kind := range map[string]AccountKind{
		ComputeDefault("12"): ComputeAccount, AppEngineDefault("shop"): AppEngineAccount,
		IAPAgent("12"): ServiceAgent, PubSubAgent("12"): ServiceAgent,
		UserMade("a", "shop"): UserAccount, UserMade("a", "example.com:shop"): UserAccount,
	} {
		if a := ParseAccount(email); a.Kind != kind || a.Project == "" || !IsServiceAccount(email) {
			t.Errorf("%q is %+v", email, a)
		}
	}
	for _, s := range []string{ComputeDefault(""), AppEngineDefault(""), IAPAgent(""), PubSubAgent(""), UserMade("", "p"), UserMade("a", ""), UserMade("a", "s3ns:p")} {
		if s != "" {
			t.Errorf("%q is made of nothing", s)
		}
	}
	if !IsPubSubAgent(PubSubAgent("1")) || IsPubSubAgent(IAPAgent("1")) || IsServiceAccount("a@evilgserviceaccount.com") {
		t.Error("an agent is taken for another")
	}
	if AccountProject(IAPAgent("1")) != "" || AccountProject(ComputeDefault("1")) != "1" || !IsServiceAgent(IAPAgent("1")) {
		t.Error("the project of an account is wrong")
	}
}

func TestAgentsElsewhere(t *testing.T) {
	google, other := IAPAgent("12"), "service-12@gcp-sa-iap.s3ns.iam.gserviceaccount.com"
	for _, tt := range []struct {
		a, b string
		want bool
	}{
		{google, other, true}, {other, google, true}, {google, google, false}, {google, IAPAgent("13"), false},
		{google, PubSubAgent("12"), false}, {"a@p.iam.gserviceaccount.com", "a@p.s3ns.iam.gserviceaccount.com", false},
	} {
		if got := SameAgentElsewhere(tt.a, tt.b); got != tt.want {
			t.Errorf("SameAgentElsewhere(%q, %q) = %v", tt.a, tt.b, got)
		}
	}
	for _, s := range []string{"service-@p", "service-x@p", "12@p", ""} {
		if NamedAsAgent(s) {
			t.Errorf("%q is named as an agent", s)
		}
	}
}
