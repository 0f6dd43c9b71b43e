package checks

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"diagnose/internal/credential"
	"diagnose/internal/evidence"
	"diagnose/internal/gcp"
	"diagnose/internal/iam"
)

var tokenGate = Gate{"token", "401", []Check{
	tokenFormat, tokenIssuer, tokenSignature, tokenExpiry, tokenIssuedAt, tokenAudience, tokenEmail,
}}

// The states of an audience in the words of this gate.
const (
	acceptedState = iam.Granted
	doubtfulState = iam.Unknown
)

// needKeys gives the keys that verify a signature.
var needKeys = []Command{{Argv: []string{"diagnose", "invoke", "--jwks", "https://www.googleapis.com/oauth2/v3/certs"}}}

// tokenCheck makes a check that runs only where a JWT is to be judged.
func tokenCheck(c Check, run func(*Invocation, credential.Credential) Finding) Check {
	if c.Ref == "" {
		c.Ref = "https://docs.cloud.google.com/run/docs/troubleshooting"
	}
	c.Run = func(in *Invocation) Finding {
		t := in.sent.credential
		switch {
		case in.iap:
			return notApplicable(iapJudges)
		case in.gen1 && in.delivery:
			return notApplicable("events reach a gen1 function without a token")
		case !in.sent.known || !t.JWT():
			return notApplicable("no token to judge")
		case in.sent.supposed || in.sent.config && c.ID != "token-audience":
			return notApplicable(in.sentWhat())
		}
		f := run(in, t)
		if f.Outcome == Unknown && in.isPublic() {
			return notApplicable(f.Message + "; the service is public, so this does not matter")
		}
		return f
	}
	return c
}

// rejectToken is a failure of the token itself, with a new token as its fix.
func (in *Invocation) rejectToken(message string, pointer string) Finding {
	return in.refuse(withFixes(fail(message, rejected, in.sent.source.At(pointer)), in.mint()))
}

var tokenFormat = tokenCheck(Check{
	ID: "token-format", Title: "token format", Confidence: Documented,
	Doc: `An ID token is a JWT: three parts of base64url, a JSON header and JSON claims. Copying can break it: a line break, a
quotation mark, "Bearer" twice.`,
}, func(in *Invocation, t credential.Credential) Finding {
	switch {
	case t.Kind == credential.MalformedJWT || t.Kind == credential.JWE:
		return in.rejectToken("the token is not a well-formed JWT: "+t.Problem, "")
	case !t.Clean && in.sent.selection != nil:
		return in.rejectToken("the token was damaged in copying: "+strings.Join(t.Repairs, ", "), "")
	case len(t.Repairs) > 0:
		return warn("Cloud Run would refuse the token exactly as it is in the file: "+strings.Join(t.Repairs, ", "), in.sent.source)
	}
	return pass("three parts, header and claims are JSON", in.sent.source)
})

var tokenIssuer = tokenCheck(Check{
	ID: "token-issuer", Title: "token issuer", Confidence: Documented,
	Doc: `Only https://accounts.google.com issues tokens that Cloud Run accepts. Tokens of Firebase, of GitHub, Kubernetes or
another identity provider, IAP's assertion and a JWT that a service account signed itself are refused; they must be
exchanged for a Google-signed ID token. A custom audience does not widen the accepted issuers.`,
	Ref: "https://docs.cloud.google.com/functions/docs/troubleshooting",
}, func(in *Invocation, t credential.Credential) Finding {
	switch {
	case t.Kind == credential.MalformedJWT || t.Kind == credential.JWE:
		return notApplicable("the claims cannot be read")
	case t.Claims.Issuer == "" && t.Signature == credential.SignatureUnknown:
		return assume("token.jwt", "the claims given have no issuer", "Google issued the token")
	case t.Kind == credential.IDToken:
		return pass("iss is "+t.Claims.Issuer, in.sent.source.At("/iss"))
	}
	return in.rejectToken(fmt.Sprintf("iss must be \"https://accounts.google.com\", but is %q: %s", t.Claims.Issuer, an(t.Kind.String())), "/iss")
})

var tokenSignature = tokenCheck(Check{
	ID: "token-signature", Title: "token signature", Confidence: Documented,
	Doc: `The signature must verify with RS256 and one of Google's current keys. Cloud Run replaces the signature of the token it
passes on by SIGNATURE_REMOVED_BY_GOOGLE, so a token that a container received cannot be used again.`,
}, func(in *Invocation, t credential.Credential) Finding {
	keys, known := in.Keys.Get()
	switch {
	case t.Signature == credential.SignatureRemoved:
		return in.rejectToken("Cloud Run removed the signature: a container received this token and passed it on", "")
	case t.Signature == credential.SignatureMissing:
		return in.rejectToken("the token has no signature", "")
	case t.Signature == credential.SignatureUndecodable:
		return in.rejectToken("the signature is not base64url, so it cannot be valid", "")
	case t.Kind == credential.MalformedJWT || t.Kind == credential.JWE:
		return notApplicable("the token cannot be read")
	case t.Header.Algorithm != "" && t.Header.Algorithm != "RS256":
		return in.rejectToken(fmt.Sprintf("alg must be RS256, but is %q", t.Header.Algorithm), "/header/alg")
	case t.Signature == credential.SignatureUnknown:
		return assume("token.jwt", "a decoded token has no signature to verify", "the signature is Google's")
	case !known && t.Verified == nil:
		return assume("jwks.json", "no key set was given, so the signature was not verified"+reasonOf(in.Keys), "the signature is Google's", needKeys...)
	}
	switch v := credential.Verify(t, keys); v.State {
	case credential.Valid:
		return pass("verified with key "+v.KeyID, in.sent.source, in.Keys.Source)
	case credential.NoSuchKey:
		f := in.rejectToken(fmt.Sprintf("no key of the key set has the kid %q of the token", t.Header.KeyID), "/header/kid")
		f.Assumes = append(f.Assumes, Assumption{Document: "jwks.json", Text: "the key set has the keys that Google used at the time of the call", Gather: needKeys})
		return f
	case credential.Unverified:
		return assume("jwks.json", "the signature was not verified: "+v.Reason, "the signature is Google's", needKeys...)
	default:
		return in.rejectToken("the signature does not verify: "+v.Reason, "")
	}
})

// soon is the time before expiry from which on a token is worth a warning: the
// clock skew that Google allows is not documented.
const soon = 5 * time.Minute

var tokenExpiry = tokenCheck(Check{
	ID: "token-expiry", Title: "token expiry", Confidence: Documented,
	Doc: `ID tokens live for one hour. A client that keeps one works for an hour and then gets 401. The clock skew that Google allows is not
documented.`,
}, func(in *Invocation, t credential.Credential) Finding {
	exp := t.Claims.Expiry
	if exp == nil {
		return in.missingTime(t, "exp", "the token has not expired")
	}
	left := exp.Sub(in.Now)
	switch {
	case left <= 0:
		return in.rejectToken(fmt.Sprintf("the token expired %s ago, at %s", credential.Duration(-left), exp.UTC().Format(time.RFC3339)), "/exp")
	case left < soon:
		return warn(fmt.Sprintf("the token expires in %s", credential.Duration(left)), in.sent.source.At("/exp"))
	}
	return pass(fmt.Sprintf("expires in %s", credential.Duration(left)), in.sent.source.At("/exp"))
})

// missingTime answers for a time claim that is absent: in a whole token that
// is a fault, in decoded claims it may have been left out.
func (in *Invocation) missingTime(t credential.Credential, claim, assumption string) Finding {
	if t.Kind == credential.MalformedJWT || t.Kind == credential.JWE {
		return notApplicable("the claims cannot be read")
	}
	if t.Signature == credential.SignatureUnknown {
		return assume("token.jwt", "the claims given have no "+claim, assumption)
	}
	if claim == "iat" {
		return warn("the token has no iat", in.sent.source)
	}
	return in.rejectToken("the token has no "+claim, "")
}

var tokenIssuedAt = tokenCheck(Check{
	ID: "token-issued-at", Title: "token issue time", Confidence: Inferred,
	Doc: `A token issued in the future, or not valid yet (nbf), comes from a clock that is wrong. The skew that Google allows is
not documented; a few minutes at most are likely.`,
}, func(in *Invocation, t credential.Credential) Finding {
	start, claim := t.Claims.IssuedAt, "iat"
	if nbf := t.Claims.NotBefore; nbf != nil && (start == nil || nbf.After(*start)) {
		start, claim = nbf, "nbf"
	}
	if start == nil {
		return in.missingTime(t, "iat", "the token is already valid")
	}
	ahead := start.Sub(in.Now)
	switch {
	case ahead > soon:
		return in.rejectToken(fmt.Sprintf("%s lies %s in the future: the clock that minted the token, or this one, is wrong", claim, credential.Duration(ahead)), "/"+claim)
	case ahead > 0:
		return warn(fmt.Sprintf("%s lies %s in the future; Google does not document the clock skew that it allows", claim, credential.Duration(ahead)), in.sent.source.At("/"+claim))
	}
	return pass(fmt.Sprintf("issued %s ago", credential.Duration(-ahead)), in.sent.source.At("/"+claim))
})

var tokenAudience = tokenCheck(Check{
	ID: "token-audience", Title: "token audience", Confidence: Documented,
	Doc: `The aud claim must be exactly a URL of the service, without a path, tag or query: a run.app URL, for a function also
its cloudfunctions.net URL with the function's name, or a custom audience, letter for letter. For people gcloud's own client
id is accepted as well. A gen1 function accepts its cloudfunctions.net URL only.`,
	Ref: "https://docs.cloud.google.com/run/docs/configuring/custom-audiences",
}, func(in *Invocation, t credential.Credential) Finding {
	src := in.sent.source.At("/aud")
	if in.sent.config {
		src = in.sent.source
	}
	switch {
	case t.Kind == credential.MalformedJWT || t.Kind == credential.JWE:
		return notApplicable("the claims cannot be read")
	case in.sent.config && len(t.Claims.Audience) == 0:
		return unknown("the configuration of the caller does not show the audience of its token")
	case in.host.Kind == gcp.APIHost:
		return notApplicable("a Google API is called, not a service")
	case len(t.Claims.Audience) == 0 && t.Signature == credential.SignatureUnknown:
		return assume("token.jwt", "the claims given have no aud", "the audience names the service")
	}
	return in.audienceFinding(t, src)
})

func (in *Invocation) audienceFinding(t credential.Credential, src evidence.Source) Finding {
	var best AudienceMatch
	auds := t.Claims.Audience
	if len(auds) == 0 {
		auds = []string{""}
	}
	for i, aud := range auds {
		if a := in.audiences.Accepts(aud, t.Person()); i == 0 || rank(a.State) > rank(best.State) {
			best = a
		}
	}
	switch best.State {
	case iam.Granted:
		if len(auds) > 1 {
			return warn(best.Reason+", among several audiences; Google's tokens have one", src)
		}
		f := pass(best.Reason, src)
		if best.Supposed != "" {
			f.Assumes = []Assumption{{Text: best.Supposed}}
			f.Fixes = in.mint()
		}
		return f
	case iam.Unknown:
		f := Finding{Message: best.Reason, Cites: []evidence.Source{src}}
		if !in.Service.Known() || in.gen1 && !in.Function.Known() { // else Google does not document it
			f.Gather = in.describe()
		}
		if in.isPublic() {
			f.Outcome = Warn
			return f
		}
		f.Fixes = in.mint()
		return f
	}
	f := fail(best.Reason, rejected, src)
	f.Compared = Comparison{"aud", t.Claims.Audience, in.audiences.List(), strings.TrimSuffix(best.Reason, in.audiences.wanted())}
	if best.Custom {
		f.Assumes = in.noCustomAudience()
	}
	f.Fixes = in.mint()
	if in.customizable(auds[0]) && t.Kind == credential.IDToken && !in.bare {
		f.Fixes = append(f.Fixes, in.addCustomAudience(auds[0]))
		if strings.HasSuffix(auds[0], gcp.OAuthClientSuffix) { // whose tokens can have no other audience
			slices.Reverse(f.Fixes)
		}
	}
	return in.refuse(f)
}

// noCustomAudience is what the refusal of an audience rests on while the
// service was not read.
func (in *Invocation) noCustomAudience() []Assumption {
	return []Assumption{{Document: "service.json", Text: "the service has no custom audience like this", Gather: in.describeService()}}
}

// customizable reports whether an audience can be made one of the service's: a
// name that is no URL of another service.
func (in *Invocation) customizable(aud string) bool {
	kind := gcp.HostOf(aud).Kind
	return !in.gen1 && in.Service.Known() && aud != "" && aud != gcp.GcloudClient && aud != gcp.ADCClient &&
		(kind == gcp.CustomHost || kind == gcp.NoHost)
}

func rank(s iam.State) int {
	return map[iam.State]int{iam.NotGranted: 0, iam.Unknown: 1, iam.Granted: 2}[s]
}

var tokenEmail = tokenCheck(Check{
	ID: "token-email", Title: "e-mail in the token", Confidence: Inferred,
	Doc: `IAM members are e-mails. diagnose cannot match a token without an e-mail claim with a member; whether Cloud Run
matches it by its subject is not documented, and IAP refuses it. Mint it with include-email, or format=full at the metadata
server.`,
	Ref: "https://docs.cloud.google.com/iam/docs/create-short-lived-credentials-direct",
}, func(in *Invocation, t credential.Credential) Finding {
	switch {
	case t.Kind != credential.IDToken:
		return notApplicable("not a Google ID token")
	case t.Claims.Email == "":
		f := warn("the token has no email claim, so its account cannot be matched with a member", in.sent.source)
		f.Fixes = in.mint()
		return f
	case t.Claims.EmailVerified != nil && !*t.Claims.EmailVerified:
		return warn(fmt.Sprintf("email is %s, not verified", t.Claims.Email), in.sent.source.At("/email_verified"))
	}
	return pass("email is "+t.Claims.Email, in.sent.source.At("/email"))
})
