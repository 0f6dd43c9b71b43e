package credential_test

import (
	"testing"
	"time"

	"diagnose/internal/credential"
	"diagnose/internal/credential/credentialtest"
)

func TestIdentity(t *testing.T) {
	google := func(extra claims) string {
		extra["iss"] = "https://accounts.google.com"
		return credentialtest.Sign(extra)
	}
	const gcloud = "32555940559.apps.googleusercontent.com"
	for name, c := range map[string]struct {
		raw             string
		who             string
		person, account bool
		client          string
	}{
		"user":               {google(claims{"email": "Ada@Example.com", "aud": gcloud, "azp": gcloud, "sub": "1"}), "user:ada@example.com", true, false, "gcloud"},
		"user without email": {google(claims{"aud": gcloud, "azp": gcloud, "sub": "1"}), "", true, false, "gcloud"},
		"hosted domain":      {google(claims{"hd": "example.com", "aud": "x", "sub": "1"}), "", true, false, ""},
		"service account":    {google(claims{"email": sa, "aud": service, "azp": "1", "sub": "1"}), "serviceAccount:" + sa, false, true, ""},
		"account, no email":  {google(claims{"aud": service, "azp": "1", "sub": "1"}), "", false, true, ""},
		"account via gcloud": {google(claims{"email": sa, "aud": gcloud, "azp": gcloud}), "serviceAccount:" + sa, false, true, "gcloud"},
		"instance":           {google(claims{"aud": service, "google": claims{"compute_engine": claims{"zone": "z"}}}), "", false, true, "metadata-server"},
		"organization only":  {google(claims{"aud": service, "google": claims{"organization_number": 1}}), "", false, false, ""},
		"compute default":    {google(claims{"email": "1-compute@developer.gserviceaccount.com"}), "serviceAccount:1-compute@developer.gserviceaccount.com", false, true, ""},
		"look-alike domain":  {google(claims{"email": "x@evilgserviceaccount.com"}), "user:x@evilgserviceaccount.com", true, false, ""},
		"nothing told":       {google(claims{"aud": service, "sub": "1"}), "", false, false, ""},
		"self-signed":        {credentialtest.Sign(claims{"iss": sa, "sub": sa, "aud": service}), "serviceAccount:" + sa, false, true, "service-account-key"},
		"Firebase user":      {credentialtest.Sign(claims{"iss": "https://securetoken.google.com/p", "email": "a@gmail.com"}), "", true, false, "firebase-sdk"},
		"IAP external user":  {credentialtest.Sign(claims{"iss": "https://cloud.google.com/iap", "sub": "securetoken.google.com/p:1", "email": "a@b.c"}), "", true, false, "iap"},
		"GitHub":             {credentialtest.Sign(claims{"iss": "https://token.actions.githubusercontent.com", "sub": "repo:a/b"}), "", false, false, "github-actions"},
		"opaque":             {"s3cr3t", "", false, false, ""},
		"none":               {"", "", false, false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := credential.Decode(c.raw)
			if got.Who() != c.who || got.Person() != c.person || got.ServiceAccount() != c.account || got.Client() != c.client {
				t.Errorf("got %q, person %v, service account %v, client %q", got.Who(), got.Person(), got.ServiceAccount(), got.Client())
			}
		})
	}
}

func TestProvider(t *testing.T) {
	for issuer, want := range map[string]string{
		"https://gitlab.com":                               "GitLab",
		"https://login.microsoftonline.com/tenant/v2.0":    "Microsoft Entra ID",
		"https://sts.windows.net/tenant/":                  "Microsoft Entra ID",
		"https://cognito-idp.eu-west-1.amazonaws.com/pool": "AWS",
		"https://acme.eu.auth0.com/":                       "Auth0",
		"https://notgitlab.com":                            "",
		"https://example.org/gitlab.com":                   "",
		"https://accounts.google.com":                      "",
	} {
		if got := credential.Decode(credentialtest.Sign(claims{"iss": issuer})).Provider(); got != want {
			t.Errorf("provider of %s is %q, want %q", issuer, got, want)
		}
	}
}

func TestSynthetic(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for member, email := range map[string]string{
		"serviceAccount:" + sa:                  sa,
		"user:a@example.com":                    "a@example.com",
		"principal://iam.googleapis.com/pool/x": "",
		"group:eng@example.com":                 "",
		"allAuthenticatedUsers":                 "",
		"deleted:serviceAccount:a@b.c?uid=1":    "",
	} {
		c := credential.Synthetic(member, service, now)
		if c.Kind != credential.IDToken || !c.Supposed || !c.JWT() || c.Claims.Email != email || c.Claims.Audience[0] != service || c.ForRequest() != "" {
			t.Errorf("%s: got %s of %q for %q", member, c.Kind, c.Claims.Email, c.Claims.Audience)
		}
		if problems := credential.ClaimProblems(c, now); len(problems) != 0 {
			t.Errorf("%s: a correct token has problems: %v", member, problems)
		}
	}
}

func TestDescribe(t *testing.T) {
	now := time.Unix(1795000000, 0)
	for name, c := range map[string]struct {
		of   credential.Credential
		want credential.Description
	}{
		"valid": {credential.Decode(credentialtest.Sign(claims{"iss": "https://accounts.google.com", "email": sa, "aud": service, "exp": now.Unix() + 41*60})),
			credential.Description{What: "Google ID token", Whose: "serviceAccount:" + sa, For: service, Until: "expires in 41 m"}},
		"expired": {credential.Decode(credentialtest.Sign(claims{"iss": "https://accounts.google.com", "sub": "7", "aud": []string{"a", "b"}, "exp": now.Unix() - 12*60})),
			credential.Description{What: "Google ID token", Whose: "subject 7", For: "a, b", Until: "expired 12 m ago"}},
		"no expiry": {credential.Decode(credentialtest.Sign(claims{"iss": "https://gitlab.com", "sub": "7"})),
			credential.Description{What: "JWT of GitLab", Whose: "subject 7", Until: "has no expiry"}},
		"supposed": {credential.Synthetic("user:a@b.c", "x", now), credential.Description{What: "supposed Google ID token", Whose: "user:a@b.c", For: "x", Until: "expires in 1 h"}},
		"opaque":   {credential.Decode("s3cr3t"), credential.Description{What: "opaque string"}},
		"none":     {credential.Credential{}, credential.Description{What: "no credential"}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := c.of.Describe(now); got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}

func TestClaimProblemsListsAll(t *testing.T) {
	now := time.Unix(1795000000, 0)
	at := func(payload claims) []string {
		var out []string
		for _, p := range credential.ClaimProblems(credential.Decode(credentialtest.Sign(payload)), now) {
			out = append(out, p.String())
		}
		return out
	}
	for name, c := range map[string]struct {
		claims claims
		want   []string
	}{
		"fine":        {claims{"exp": now.Unix() + 60, "iat": now.Unix()}, nil},
		"within skew": {claims{"exp": now.Unix() + 60, "iat": now.Unix() + 120}, nil},
		"just over":   {claims{"exp": now.Unix()}, []string{"exp is 2026-11-18T11:06:40Z, 0 s before 2026-11-18T11:06:40Z"}},
		"all at once": {claims{"exp": now.Unix() - 720, "iat": now.Unix() + 3600, "nbf": now.Unix() + 7200}, []string{
			"exp is 2026-11-18T10:54:40Z, 12 m before 2026-11-18T11:06:40Z",
			"iat is 2026-11-18T12:06:40Z, 1 h after 2026-11-18T11:06:40Z",
			"nbf is 2026-11-18T13:06:40Z, 2 h after 2026-11-18T11:06:40Z"}},
		"no exp": {claims{"iss": "x"}, []string{"exp is missing"}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := at(c.claims); len(got) != len(c.want) {
				t.Fatalf("got %q, want %q", got, c.want)
			} else {
				for i := range got {
					if got[i] != c.want[i] {
						t.Errorf("got %q, want %q", got[i], c.want[i])
					}
				}
			}
		})
	}
	inPart, err := credential.FromClaims([]byte(`{"aud":"x"}`))
	if problems := credential.ClaimProblems(inPart, now); err != nil || len(problems) != 0 {
		t.Errorf("claims given in part lack nothing, got %v, %v", problems, err)
	}
}

func TestDurations(t *testing.T) {
	const min, max = time.Duration(-1 << 63), time.Duration(1<<63 - 1)
	for d, want := range map[time.Duration]string{
		0: "0 s", 59 * time.Second: "59 s", 12 * time.Minute: "12 m", 3*time.Hour + 20*time.Minute: "3 h 20 m", time.Hour + time.Second: "1 h",
		49 * time.Hour: "2 d", 800 * 24 * time.Hour: "2 years", -12 * time.Minute: "-12 m", min: "more than 292 years", max: "more than 292 years",
	} {
		if got := credential.Duration(d); got != want {
			t.Errorf("Duration(%d) is %q, want %q", d, got, want)
		}
	}
	for d, want := range map[time.Duration]string{time.Minute: "1 m ago", -time.Minute: "in 1 m", min: "in more than 292 years", 0: "0 s ago"} {
		if got := credential.Ago(d); got != want {
			t.Errorf("Ago(%d) is %q, want %q", d, got, want)
		}
	}
}
