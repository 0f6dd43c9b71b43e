package checks

import (
	"cmp"
	"encoding/json"
	"regexp"
	"strings"

	"diagnose/internal/credential"
	"diagnose/internal/gcp"
	"diagnose/internal/iam"
)

// impersonate proposes to call with the token of a service account that the
// outsider may become: the right to become it, the grant, the call.
func (in *Invocation) impersonate(o outsider) []Fix {
	a, ok := in.become(o.member)
	if !ok {
		a = in.callingAccount(in.question(in.permission, iam.Identity{}))
	}
	aud := cmp.Or(in.audiences.Preferred(), gcp.ServiceURLWord)
	var parts []Fix
	parts = append(parts, in.create(a))
	if !a.known {
		parts = append(parts, in.impersonation(a, o.member, becomeRole(o)))
	}
	if !a.may {
		parts = append(parts, in.grantAccount(a))
	}
	call := in.outsideCall(o, a, aud)
	audience := in.audiences.Preferred()
	call.apply = in.call(a.member(), audience).apply
	summary := "Let the caller impersonate the service account " + a.email + ", and call with that account's ID token"
	if a.may && !a.known {
		summary = "Let the caller impersonate a service account that may invoke, such as " + a.email +
			", and call with that account's ID token"
	}
	out := []Fix{joined("impersonate-service-account", summary,
		"everyone who can be that caller can then do all that the account may do", append(parts, call)...)}
	if o.kind == iam.Workforce {
		out = append(out, in.iapForWorkforce(o))
	}
	return out
}

// becomeRole is the role on a service account that lets an outsider become it.
func becomeRole(o outsider) string {
	if o.kind == iam.Agent || o.kind == iam.Workforce {
		return "roles/iam.serviceAccountOpenIdTokenCreator"
	}
	return "roles/iam.workloadIdentityUser"
}

// outsideCall mints the account's token where the outsider runs, and calls.
func (in *Invocation) outsideCall(o outsider, a account, aud string) Fix {
	print := tokenOf(a.email, aud)
	switch {
	case o.from == credential.GitHub, in.client == "github-actions" && o.kind == iam.Workload:
		return Fix{Snippets: []Snippet{in.githubStep(a.email, o.provider, aud)}}
	case o.kind == iam.Kubernetes:
		annotate := Command{Argv: []string{"kubectl", "annotate", "serviceaccount", cmp.Or(o.name, "KSA"),
			"--namespace=" + cmp.Or(o.namespace, "NAMESPACE"), "iam.gke.io/gcp-service-account=" + a.email}}
		mint := metadataToken(aud)
		mint.Into, mint.Note = "TOKEN", "in the pod"
		return Fix{Commands: []Command{annotate, mint, in.callCommand()}}
	case o.kind == iam.Agent:
		return Fix{Snippets: []Snippet{generateIDToken(a.email, aud, "sent by the agent, with its own access token")}}
	case o.kind == iam.Workforce:
		return Fix{Commands: append(shell(gcp.LoginWorkforce()), print, in.callCommand())}
	}
	aws := strings.Contains(o.member, "/attribute.aws_") || in.sent.credential.Provider() == "AWS"
	return Fix{
		Commands: append(shell(gcp.CredentialConfig(o.provider, aws), gcp.LoginWorkload()), print, in.callCommand()),
		Snippets: []Snippet{generateIDToken(a.email, aud,
			"the same without gcloud, with the federated access token of "+o.provider)},
	}
}

// generateIDToken is the call that mints an account's ID token:
// https://docs.cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts/generateIdToken.
func generateIDToken(email, audience, where string) Snippet {
	body, _ := json.Marshal(map[string]any{"audience": audience, "includeEmail": true}) // two plain values: no error
	return Snippet{Language: "http", Where: where, Text: "POST " +
		"https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/" + email + ":generateIdToken\n" +
		"Authorization: Bearer ACCESS_TOKEN\nContent-Type: application/json\n\n" + string(body)}
}

// methodWord is a method that a shell takes as it is.
var methodWord = regexp.MustCompile(`^[A-Z]+$`)

// githubStep are the steps of a workflow that mint an account's ID token and
// call with it: https://github.com/google-github-actions/auth.
func (in *Invocation) githubStep(email, provider, audience string) Snippet {
	curl := "curl"
	if m := in.request.Method; m != "GET" && m != "OPTIONS" && methodWord.MatchString(m) {
		curl += " --request=" + m
	}
	lines := []string{
		"permissions:",
		"  id-token: write",
		"steps:",
		"- id: auth",
		"  uses: google-github-actions/auth@v3",
		"  with:",
		"    workload_identity_provider: " + quoted(provider),
		"    service_account: " + quoted(email),
		"    token_format: id_token",
		"    id_token_audience: " + quoted(audience),
		"    id_token_include_email: true",
		"- run: |",
		"    " + curl + ` -H "Authorization: Bearer $TOKEN" "$URL"`,
		"  env:",
		"    TOKEN: ${{ steps.auth.outputs.id_token }}",
		"    URL: " + quoted(in.callTarget()),
	}
	return Snippet{Language: "yaml", Where: "in the job of the workflow", Text: strings.Join(lines, "\n")}
}

// quoted is a string in YAML, as JSON has it.
func quoted(s string) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // a string encodes
	return strings.TrimSuffix(b.String(), "\n")
}

// iapForWorkforce is the way that Google documents for people of a workforce
// pool: https://docs.cloud.google.com/iap/docs/use-workforce-identity-federation.
func (in *Invocation) iapForWorkforce(o outsider) Fix {
	return Fix{
		ID: "iap-for-workforce", Summary: "Put IAP in front of the service, with the workforce pool as its identity source",
		Commands: shell(in.serviceName().Update("--iap"), in.iapName().AddBinding(o.member, accessorRole)),
		Snippets: []Snippet{{Language: "yaml", Where: "in the settings of IAP (gcloud iap settings set)",
			Text: "accessSettings:\n  identitySources:\n  - WORKFORCE_IDENTITY_FEDERATION\n" +
				"  workforceIdentitySettings:\n    workforcePools:\n    - " + quoted(cmp.Or(workforcePool(o.member), "POOL"))}},
		Caution: "diagnose cannot check how IAP treats a workforce identity",
	}
}

func workforcePool(member string) string {
	_, rest, ok := strings.Cut(member, "/workforcePools/")
	if pool, _, _ := strings.Cut(rest, "/"); ok {
		return pool
	}
	return ""
}
