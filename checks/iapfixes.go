package checks

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"cloud.google.com/go/iam/apiv1/iampb"
	"cloud.google.com/go/iap/apiv1/iappb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"diagnose/internal/caller"
	"diagnose/internal/credential"
	"diagnose/internal/evidence"
	"diagnose/internal/gcp"
	"diagnose/internal/iam"
)

// grantAccessor lets a caller pass IAP.
func (in *Invocation) grantAccessor(member string) []Fix { return in.grantAccessorAs(member, member) }

// grantAccessorAs is grantAccessor, with the member as Terraform has it.
func (in *Invocation) grantAccessorAs(member string, terraform any) []Fix {
	if in.bare || member == "" || !strings.Contains(member, ":") {
		return nil
	}
	_, who, _ := strings.Cut(member, ":")
	who, _, _ = strings.Cut(who, "@")
	return []Fix{{
		ID: "grant-iap-accessor", Summary: fmt.Sprintf("Grant %s on %s to %s", accessorRole, in.resource(), member),
		Commands: shell(in.iapName().AddBinding(member, accessorRole)),
		Terraform: terraformResource("google_iap_web_cloud_run_service_iam_member", in.serviceName().ID+"_accessor_"+who,
			gcp.Argument{Name: "project", Value: in.projectName().ID}, gcp.Argument{Name: "location", Value: in.serviceName().Location},
			gcp.Argument{Name: "cloud_run_service_name", Value: in.serviceName().ID}, gcp.Argument{Name: "role", Value: accessorRole}, gcp.Argument{Name: "member", Value: terraform}),
		apply: func(s evidence.Snapshot) evidence.Snapshot {
			s.IAPPolicy = changePolicy(s.IAPPolicy, func(p *iampb.Policy) {
				p.Bindings = append(p.Bindings, &iampb.Binding{Role: accessorRole, Members: []string{member}})
			})
			return s
		},
	}}
}

// grantAgent lets IAP's service agent invoke.
func (in *Invocation) grantAgent(agent string) Fix {
	f := in.grant(agent)
	f.ID = "grant-iap-agent"
	f.Summary = fmt.Sprintf("Grant %s on %s to IAP's service agent", in.invokerRole(), in.resource())
	return f
}

// iapMint proposes what IAP takes of the caller. Source:
// https://docs.cloud.google.com/iap/docs/authentication-howto.
func (in *Invocation) iapMint() []Fix {
	if in.bare {
		return nil
	}
	if in.request.Method == http.MethodOptions {
		return []Fix{in.allowOptions()}
	}
	if client := in.iapClient(); in.sent.config && client != "" {
		return []Fix{in.configure(client)}
	}
	_, who := in.iapIdentity()
	if strings.HasPrefix(who, "user:") {
		return []Fix{in.signIn(who)}
	}
	q := in.iapQuestion(iam.Identity{})
	a := account{email: ownAccount(who), may: true} // that it may pass is a question of its own
	if a.email == "" {
		a = in.callingAccount(q)
	}
	out := []Fix{in.callIAP(a, a.email == ownAccount(who))}
	if in.client == "browser" {
		if member := in.grantee(q, "user:"); member != "" {
			out = append([]Fix{in.signIn(member)}, out...)
		}
	}
	return out
}

// callIAP sends a token of a service account that IAP takes: an ID token where
// IAP's OAuth client is known, else a JWT for the URL that the account signs.
func (in *Invocation) callIAP(a account, own bool) Fix {
	id, summary, call := "mint-iap-token", "Send an ID token for IAP's OAuth client", in.iapIDToken(a)
	if call.apply == nil {
		id, summary, call = "sign-iap-token", "Send a JWT for the URL, signed by a service account", in.signedJWT(a)
	}
	switch {
	case own:
		summary += ", of " + a.email
	case a.may:
		summary += ", as an account that may pass IAP, such as " + a.email
	default:
		summary += ", of the new account " + a.email + " that IAP admits"
	}
	parts := []Fix{in.create(a)}
	if o, ok := in.outsider(); ok {
		parts = append(parts, in.impersonation(a, o.member, becomeRole(o)))
	}
	if !a.may {
		parts = append(parts, in.grantAccessorAs(a.member(), a.terraform("member", a.member()))...)
	}
	caution := "impersonation needs a token creator role on the service account; roles/owner does not include it"
	return joined(id, summary, caution, append(parts, call)...)
}

// iapClient is an OAuth client that IAP accepts in an ID token, "" where it is
// not known. Where the settings were not read, the client that the caller
// chose is taken.
func (in *Invocation) iapClient() string {
	oauth := in.iapAccessSettings().GetOauthSettings()
	if id := oauth.GetClientId().GetValue(); id != "" {
		return id
	}
	if clients := oauth.GetProgrammaticClients(); len(clients) > 0 {
		return clients[0]
	}
	for _, aud := range in.iapSent().credential.Claims.Audience {
		if strings.HasSuffix(aud, gcp.OAuthClientSuffix) && aud != gcp.GcloudClient && aud != gcp.ADCClient && !in.IAPSettings.Known() {
			return aud
		}
	}
	return ""
}

func (in *Invocation) iapIDToken(a account) Fix {
	client := in.iapClient()
	if client == "" {
		return Fix{}
	}
	return Fix{Commands: []Command{tokenOf(a.email, client), in.callCommand()},
		apply: func(s evidence.Snapshot) evidence.Snapshot { return withToken(s, a.member(), client) }}
}

// signedJWT is a JWT that an account signs for the URL that is called.
func (in *Invocation) signedJWT(a account) Fix {
	target := in.callTarget()
	if u, err := url.Parse(target); err == nil {
		u.RawQuery = ""
		target = u.String()
	}
	sign := Command{Argv: gcp.SignJWT(a.email, in.projectID())}
	read := Command{Into: "TOKEN", Argv: []string{"cat", "TOKEN_FILE"}}
	claims := fmt.Sprintf("{\n  \"iss\": %[1]s,\n  \"sub\": %[1]s,\n  \"aud\": %[2]s,\n"+
		"  \"iat\": SECONDS_NOW,\n  \"exp\": SECONDS_IN_AN_HOUR\n}", quoted(a.email), quoted(target))
	return Fix{
		Commands: []Command{sign, read, in.callCommand()},
		Snippets: []Snippet{{Language: "json", Where: "CLAIMS_FILE", Text: claims}},
		apply: func(s evidence.Snapshot) evidence.Snapshot {
			return withCredential(s, selfSigned(a.email, target, s.Now))
		},
	}
}

// selfSigned is a JWT as a service account signs it itself, as a supposition.
func selfSigned(email, audience string, now time.Time) credential.Credential {
	expires := now.Add(time.Hour)
	return credential.Credential{Kind: credential.SelfSigned, Clean: true, Supposed: true,
		Header: credential.Header{Algorithm: "RS256"}, Claims: credential.Claims{Issuer: email, Subject: email,
			Audience: []string{audience}, IssuedAt: &now, Expiry: &expires}}
}

// signIn is what a person does with a browser.
func (in *Invocation) signIn(member string) Fix {
	return Fix{
		ID: "sign-in", Summary: "Open the URL in a browser and sign in as " + strings.TrimPrefix(member, "user:"),
		Caution: "IAP takes no ID token that gcloud prints for a person",
		apply: func(s evidence.Snapshot) evidence.Snapshot {
			s.Token, s.Caller = evidence.Fact[credential.Credential]{}, evidence.Fact[caller.Caller]{}
			return changeRequest(s, func(r *evidence.Request) { r.Headers, r.Principal = nil, member })
		},
	}
}

// allowOptions lets IAP pass preflights, which have no credential by design.
func (in *Invocation) allowOptions() Fix {
	return Fix{
		ID: "allow-options", Summary: "Let IAP pass OPTIONS without a credential",
		Commands: shell(in.iapName().SetIAPSettings()),
		Snippets: []Snippet{{Language: "yaml", Where: "SETTINGS_FILE",
			Text: "accessSettings:\n  corsSettings:\n    allowHttpOptions: true"}},
		Caution: "the container must then answer OPTIONS itself",
		apply: func(s evidence.Snapshot) evidence.Snapshot {
			base := s.IAPSettings.Or(nil)
			if base == nil {
				base = &iappb.IapSettings{}
			}
			s.IAPSettings = evidence.Known(edit(base, func(p *iappb.IapSettings) {
				if p.AccessSettings == nil {
					p.AccessSettings = &iappb.AccessSettings{}
				}
				p.AccessSettings.CorsSettings = &iappb.CorsSettings{AllowHttpOptions: wrapperspb.Bool(true)}
			}), repaired)
			return s
		},
	}
}
