package checks

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"diagnose/internal/credential"
	"diagnose/internal/gcp"
)

var iapToken = iapCheck(Check{
	ID: "iap-token", Title: "token for IAP", Ref: iapHowTo, Confidence: Documented,
	Doc: `IAP refuses a token that has expired, is not valid yet, is not signed by Google, has no e-mail, or is for
another audience. An ID token must be for IAP's OAuth client, or for one listed in
accessSettings.oauthSettings.programmaticClients; a JWT that a service account signed must be for the URL that is
called.`,
}, func(in *Invocation) Finding {
	if _, open := in.iapOpen(); open {
		return notApplicable("IAP asks for no token")
	}
	got := in.iapSent()
	c := got.credential
	if !got.known || c.Kind != credential.IDToken && c.Kind != credential.SelfSigned {
		return notApplicable("no token for IAP to judge")
	}
	if got.supposed {
		return notApplicable("IAP is not asked about a token of this kind")
	}
	return worst(in.iapTokenFindings(got))
})

// iapTokenFindings answers each question about a token that IAP asks.
func (in *Invocation) iapTokenFindings(got sent) []Finding {
	c := got.credential
	if got.config {
		return []Finding{in.iapAudience(got)}
	}
	refuse := func(message, pointer string) Finding {
		return withFixes(fail(message, Answer{Status: 401}, got.source.At(pointer)), in.iapMint())
	}
	out := []Finding{in.iapSignature(got, refuse)}
	for _, p := range credential.ClaimProblems(c, in.Now) {
		out = append(out, refuse("IAP refuses the token: "+in.timeProblem(p), "/"+p.Claim))
	}
	if c.Claims.Email == "" && c.Kind == credential.IDToken {
		out = append(out, refuse("IAP needs the email claim, and the token has none", ""))
	}
	return append(out, in.iapAudience(got))
}

// timeProblem says what is wrong with a time claim.
func (in *Invocation) timeProblem(p credential.ClaimProblem) string {
	switch {
	case p.Value.IsZero():
		return "it has no " + p.Claim
	case p.Claim == "exp":
		return "it expired " + credential.Duration(p.Off) + " ago"
	}
	return p.Claim + " is " + credential.Duration(p.Off) + " in the future"
}

// iapSignature judges who signed. The keys of a service account are in no
// document of a case.
func (in *Invocation) iapSignature(got sent, refuse func(string, string) Finding) Finding {
	c := got.credential
	keys, known := in.Keys.Get()
	switch {
	case c.Signature == credential.SignatureRemoved:
		return refuse("IAP refuses the token: Cloud Run removed its signature, so a container received it and passed it on", "")
	case c.Signature == credential.SignatureMissing, c.Signature == credential.SignatureUndecodable:
		return refuse("IAP refuses the token: its signature is "+c.Signature.String(), "")
	case c.Kind == credential.SelfSigned:
		return assume("jwks.json", "the signature was not verified", "the service account "+c.Claims.Issuer+" signed the token")
	case c.Signature == credential.SignatureUnknown, !known && c.Verified == nil:
		return assume("jwks.json", "the signature was not verified", "the signature is Google's", needKeys...)
	}
	switch v := credential.Verify(c, keys); v.State {
	case credential.Valid:
		return pass("verified with key "+v.KeyID, got.source, in.Keys.Source)
	case credential.Unverified:
		return assume("jwks.json", "the signature was not verified: "+v.Reason, "the signature is Google's", needKeys...)
	case credential.NoSuchKey:
		f := refuse(fmt.Sprintf("IAP refuses the token: no key of the key set has its kid %q", c.Header.KeyID), "/header/kid")
		f.Assumes = []Assumption{{Document: "jwks.json", Text: "the key set has the keys that Google used at the time of the call", Gather: needKeys}}
		return f
	default:
		return refuse("IAP refuses the token: its signature does not verify: "+v.Reason, "")
	}
}

// iapAudience judges for whom the token is.
func (in *Invocation) iapAudience(got sent) Finding {
	c, src := got.credential, got.source.At("/aud")
	auds := c.Claims.Audience
	if len(auds) == 0 {
		return withFixes(fail("IAP refuses the token: it has no audience", Answer{Status: 401}, src), in.iapMint())
	}
	if c.Kind == credential.SelfSigned {
		return in.iapURLAudience(auds, got)
	}
	oauth := in.iapAccessSettings().GetOauthSettings()
	accepted := slices.Clone(oauth.GetProgrammaticClients())
	if id := oauth.GetClientId().GetValue(); id != "" {
		accepted = append(accepted, id)
	}
	isClient := strings.HasSuffix(auds[0], gcp.OAuthClientSuffix)
	switch {
	case slices.ContainsFunc(auds, func(a string) bool { return slices.Contains(accepted, a) }):
		return pass(fmt.Sprintf("aud %q is one of IAP's", auds[0]), src, in.IAPSettings.Source.At("/accessSettings/oauthSettings"))
	case oauth.GetClientId().GetValue() == "" && isClient:
		return assume("iap-settings.json", fmt.Sprintf("it is unknown whether aud %q is IAP's OAuth client", auds[0]), fmt.Sprintf("%q is IAP's OAuth client, or one of its programmatic clients", auds[0]), in.readIAPSettings()...)
	case isClient:
		f := withFixes(fail(fmt.Sprintf("IAP refuses the token: aud %q is not one of %q", auds[0], accepted), Answer{Status: 401}, src), in.iapMint())
		f.Compared = Comparison{"aud", auds, accepted, fmt.Sprintf("IAP refuses the token: aud %q is not one of its own", auds[0])}
		return f
	}
	return withFixes(fail(fmt.Sprintf("IAP refuses the token: aud %q is not IAP's OAuth client", auds[0]), Answer{Status: 401}, src), in.iapMint())
}

// iapURLAudience judges the audience of a JWT that a service account signed:
// it must be the URL, or a pattern of it that ends in /*.
func (in *Invocation) iapURLAudience(auds []string, got sent) Finding {
	src := got.source.At("/aud")
	if in.url == nil {
		return assume("request.json", "the URL of the request is unknown", "the token's audience is the URL that is called")
	}
	called := in.url.Scheme + "://" + in.url.Host + in.url.Path
	for _, a := range auds {
		prefix, pattern := strings.CutSuffix(a, "*")
		if strings.TrimSuffix(a, "/") == strings.TrimSuffix(called, "/") || pattern && strings.HasPrefix(called, prefix) {
			return pass("aud is the URL", src)
		}
	}
	if u, err := url.Parse(auds[0]); err == nil && u.Host == in.url.Host {
		return assume("", fmt.Sprintf("Google does not document whether IAP accepts aud %q for %s", auds[0], called), "IAP takes an audience of the same host")
	}
	return withFixes(fail(fmt.Sprintf("IAP refuses the token: aud must be %s, but is %q", called, auds[0]), Answer{Status: 401}, src), in.iapMint())
}

// worst returns the finding that weighs most, with what the others suppose.
func worst(fs []Finding) Finding {
	best := fs[0]
	var assumes []Assumption
	for _, f := range fs {
		if f.weight() > best.weight() {
			best = f
		}
		if f.Outcome == Unknown {
			assumes = append(assumes, f.Assumes...)
		}
	}
	if best.Outcome != Fail {
		best.Assumes = assumes
	}
	return best
}

// weight ranks findings by how much they stand in the way.
func (f Finding) weight() int {
	switch {
	case f.Outcome == Fail:
		return 4
	case f.Outcome == Unknown && len(f.Assumes) == 0:
		return 3
	case f.Outcome == Unknown:
		return 2
	case f.Outcome == Warn:
		return 1
	}
	return 0
}
