package credential_test

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"diagnose/internal/credential"
	"diagnose/internal/credential/credentialtest"
)

type claims = map[string]any

const (
	sa      = "caller@shop.iam.gserviceaccount.com"
	service = "https://orders-ab12.a.run.app"
)

func idToken() string {
	return credentialtest.Sign(claims{"iss": "https://accounts.google.com", "aud": service, "sub": "104", "azp": "104", "email": sa,
		"email_verified": true, "iat": 1795000000, "exp": 1795003600})
}

func b64(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

// dataFile reads one of the inputs made by others, or skips the test.
func dataFile(t *testing.T, name string) []byte {
	t.Helper()
	root := os.Getenv("DIAGNOSE_DATA")
	if root == "" {
		t.Skip("DIAGNOSE_DATA does not name the folder of inputs made by others")
	}
	b, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestDecodeKinds(t *testing.T) {
	issued := func(iss string) string { return credentialtest.Sign(claims{"iss": iss, "sub": "1", "aud": "x"}) }
	for name, c := range map[string]struct {
		raw  string
		want credential.Kind
	}{
		"nothing":              {"", credential.None},
		"white space":          {" \r\n", credential.None},
		"the word Bearer":      {"Bearer ", credential.None},
		"ID token":             {idToken(), credential.IDToken},
		"bare issuer":          {issued("accounts.google.com"), credential.IDToken},
		"issuer with slash":    {issued("https://accounts.google.com/"), credential.ForeignJWT},
		"issuer in capitals":   {issued("https://Accounts.google.com"), credential.ForeignJWT},
		"issuer as prefix":     {issued("https://accounts.google.com.example.org"), credential.ForeignJWT},
		"access token":         {"ya29.a0AfH6SMBexample", credential.AccessToken},
		"federated":            {"ya29.d.b0Aexample", credential.STSToken},
		"STS JWT":              {issued("https://sts.googleapis.com"), credential.STSToken},
		"STS look-alike":       {issued("https://sts.googleapis.com.example.org"), credential.ForeignJWT},
		"refresh token":        {"1//0gexample", credential.RefreshToken},
		"API key":              {"AIzaSyExampleExampleExampleExample", credential.APIKey},
		"self-signed":          {credentialtest.Sign(claims{"iss": sa, "sub": sa, "aud": service}), credential.SelfSigned},
		"look-alike SA issuer": {issued("x@notgserviceaccount.com"), credential.ForeignJWT},
		"Firebase":             {issued("https://securetoken.google.com/shop"), credential.Firebase},
		"Firebase session":     {issued("https://session.firebase.google.com/shop"), credential.Firebase},
		"IAP":                  {issued("https://cloud.google.com/iap"), credential.IAPAssertion},
		"GKE":                  {issued("https://container.googleapis.com/v1/projects/p/locations/l/clusters/c"), credential.Kubernetes},
		"in-cluster":           {issued("https://kubernetes.default.svc"), credential.Kubernetes},
		"in-cluster, long":     {issued("https://kubernetes.default.svc.cluster.local"), credential.Kubernetes},
		"legacy Kubernetes":    {issued("kubernetes/serviceaccount"), credential.Kubernetes},
		"EKS":                  {credentialtest.Sign(claims{"iss": "https://oidc.eks.eu-west-1.amazonaws.com/id/A", "sub": "system:serviceaccount:ns:sa"}), credential.Kubernetes},
		"GitHub":               {issued("https://token.actions.githubusercontent.com"), credential.GitHub},
		"GitHub Enterprise":    {issued("https://token.actions.githubusercontent.com/acme"), credential.GitHub},
		"Azure":                {issued("https://login.microsoftonline.com/tenant/v2.0"), credential.ForeignJWT},
		"no issuer":            {credentialtest.Sign(claims{"sub": "1"}), credential.ForeignJWT},
		"JWE":                  {b64(`{"alg":"RSA-OAEP","enc":"A256GCM"}`) + ".a.b.c.d", credential.JWE},
		"five parts, no enc":   {b64(`{"alg":"RS256"}`) + ".a.b.c.d", credential.MalformedJWT},
		"spaced header":        {credentialtest.SignParts("{ \"alg\":\"RS256\"}", `{"iss":"https://accounts.google.com"}`), credential.IDToken},
		"header with newline":  {credentialtest.SignParts("\n{\n \"alg\":\"RS256\"}", `{"iss":"https://accounts.google.com"}`), credential.IDToken},
		"two tokens":           {idToken() + " " + idToken(), credential.Several},
		"two with comma":       {idToken() + "," + idToken(), credential.Several},
		"two with Bearer":      {"Bearer ya29.aaaa, Bearer ya29.bbbb", credential.Several},
		"two opaque":           {"Bearer aaaa, Bearer bbbb", credential.Several},
		"two joined":           {idToken() + idToken(), credential.Several},
		"opaque":               {"s3cr3t", credential.Opaque},
		"two dots":             {"HEADER.PAYLOAD.SIGNATURE", credential.Opaque},
		"version":              {"1.2.3", credential.Opaque},
	} {
		t.Run(name, func(t *testing.T) {
			if got := credential.Decode(c.raw); got.Kind != c.want {
				t.Errorf("kind is %q, want %q (%s)", got.Kind, c.want, got.Problem)
			}
		})
	}
}

func TestDecodeReadsClaims(t *testing.T) {
	c := credential.Decode(idToken())
	if c.Claims.Email != sa || !slices.Equal(c.Claims.Audience, []string{service}) || c.Claims.AudienceList || c.Claims.Subject != "104" ||
		c.Claims.AuthorizedParty != "104" || c.Claims.Expiry.Unix() != 1795003600 || c.Claims.IssuedAt.Unix() != 1795000000 || c.Claims.NotBefore != nil ||
		!*c.Claims.EmailVerified || c.Header.Algorithm != "RS256" || c.Header.KeyID != credentialtest.KeyID || c.Header.Type != "JWT" ||
		c.Signature != credential.SignaturePresent || !c.Clean {
		t.Errorf("got header %+v, claims %+v, signature %s, clean %v", c.Header, c.Claims, c.Signature, c.Clean)
	}
}

func TestDecodeMalformed(t *testing.T) {
	good := strings.Split(idToken(), ".")
	for name, c := range map[string]struct{ raw, want string }{
		"one part":         {good[0], "it has one part, but a JWT has three"},
		"two parts":        {good[0] + "." + good[1], "it has 2 parts, but a JWT has three"},
		"four parts":       {idToken() + ".x", "it has 4 parts, but a JWT has three"},
		"bad character":    {good[0] + "." + good[1][:20] + "!" + good[1][21:] + "." + good[2], "its second part, the claims, has a character that base64url does not have"},
		"missing letter":   {good[0] + ".eyJhI." + good[2], "its second part, the claims, has a length that base64url cannot have: a character is missing or too many"},
		"cut claims":       {good[0] + "." + good[1][:40] + "." + good[2], "its second part, the claims, is JSON that was cut off"},
		"no claims":        {good[0] + "..", "its second part, the claims, is empty"},
		"claims no object": {good[0] + "." + b64("foo") + "." + good[2], "its second part, the claims, is not a JSON object"},
		"two objects":      {good[0] + "." + b64("{}}") + "." + good[2], "its second part, the claims, is not one single JSON object"},
		"null claims":      {good[0] + "." + b64("null") + "." + good[2], "its second part, the claims, is not one single JSON object"},
		"broken header":    {"eyJhbGciOiJS." + good[1] + "." + good[2], "its first part, the header, is JSON that was cut off"},
		"padding":          {good[0] + "." + b64(`{"aud":"xx"}`) + "==." + good[2], "its second part, the claims, ends in = padding, which a JWT omits"},
		"standard base64":  {good[0] + "." + base64.RawStdEncoding.EncodeToString([]byte(`{"aud":"?>?>?"}`)) + "." + good[2], "its second part, the claims, is in standard base64, but a JWT is in base64url"},
		"odd claim types":  {credentialtest.Sign(claims{"iss": 7, "exp": "soon", "aud": []any{1}, "email_verified": "perhaps"}), "these claims have a value of a wrong type: aud, email_verified, exp, iss"},
	} {
		t.Run(name, func(t *testing.T) {
			got := credential.Decode(c.raw)
			if got.Kind != credential.MalformedJWT || got.Problem != c.want {
				t.Errorf("got %s: %q, want %q", got.Kind, got.Problem, c.want)
			}
		})
	}
}

func TestSignatureStates(t *testing.T) {
	part := strings.Split(idToken(), ".")
	head := part[0] + "." + part[1] + "."
	for raw, want := range map[string]credential.Signature{
		head + part[2]:                       credential.SignaturePresent,
		head:                                 credential.SignatureMissing,
		head + "SIGNATURE_REMOVED_BY_GOOGLE": credential.SignatureRemoved,
		head + "not~base64":                  credential.SignatureUndecodable,
		head + "abc=":                        credential.SignatureUndecodable,
	} {
		c := credential.Decode(raw)
		if c.Signature != want || c.Kind != credential.IDToken {
			t.Errorf("signature is %s of a %s, want %s", c.Signature, c.Kind, want)
		}
	}
}

func TestRepairs(t *testing.T) {
	token := idToken()
	middle := strings.Index(token, ".") + 30
	for name, c := range map[string]struct {
		raw  string
		want []string
	}{
		"as it is":           {token, nil},
		"last line break":    {token + "\r\n", nil},
		"Bearer":             {"Bearer " + token, []string{`the token starts with "Bearer"`}},
		"bearer, colon":      {"bearer: " + token, []string{`the token starts with "Bearer"`}},
		"Bearer twice":       {"Bearer Bearer " + token, []string{`the token starts with "Bearer" twice`}},
		"header":             {"Authorization: Bearer " + token, []string{`the token starts with "Authorization:"`, `the token starts with "Bearer"`}},
		"quotes":             {`"` + token + `"`, []string{"the token is in quotation marks"}},
		"typographic quotes": {"“" + token + "”", []string{"the token is in quotation marks"}},
		"quoted header":      {`'Authorization: Bearer ` + token + `',`, []string{"the token is in quotation marks", `the token starts with "Authorization:"`, `the token starts with "Bearer"`, "a comma or semicolon follows the token"}},
		"comma":              {token + ",", []string{"a comma or semicolon follows the token"}},
		"semicolon":          {token + ";\n", []string{"a comma or semicolon follows the token"}},
		"line break":         {token[:middle] + "\n" + token[middle:], []string{"the token has a line break in it"}},
		"space":              {token[:middle] + " " + token[middle:], []string{"the token has white space in it"}},
		"zero width":         {token[:middle] + "\u200b" + token[middle:], []string{"the token has invisible characters in it"}},
		"hidden quotes":      {"\u200b\"" + token + "\"", []string{"the token is in quotation marks", "the token has invisible characters in it"}},
		"URL-encoded":        {strings.ReplaceAll(token, ".", "%2E"), []string{"the token is URL-encoded"}},
		"byte order mark":    {"\ufeff" + token, []string{"the token starts with a byte order mark"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := credential.Decode(c.raw)
			slices.Sort(got.Repairs)
			slices.Sort(c.want)
			if !slices.Equal(got.Repairs, c.want) || got.Clean != (len(c.want) == 0) {
				t.Errorf("repairs are %q (clean %v), want %q", got.Repairs, got.Clean, c.want)
			}
			if got.ForRequest() != token || got.Claims.Email != sa {
				t.Errorf("the token was not restored: %s", got)
			}
		})
	}
}

func TestTimesKeepAbsentAndZeroApart(t *testing.T) {
	for payload, want := range map[string]int64{
		`{"exp":0}`:              0,
		`{"exp":1700000000}`:     1700000000,
		`{"exp":1.7e9}`:          1700000000,
		`{"exp":"1700000000"}`:   1700000000,
		`{"exp":-5}`:             -5,
		`{"exp":1e400}`:          253402300799,
		`{"exp":-1e400}`:         -253402300799,
		`{"exp":99999999999999}`: 253402300799,
		`{"exp":1700000000.75}`:  1700000000,
	} {
		c := credential.Decode(credentialtest.SignParts(`{"alg":"RS256"}`, payload))
		if c.Claims.Expiry == nil || c.Claims.Expiry.Unix() != want {
			t.Errorf("%s: expiry is %v, want %d (%s)", payload, c.Claims.Expiry, want, c.Problem)
		}
	}
	for _, payload := range []string{`{}`, `{"exp":null}`} {
		c := credential.Decode(credentialtest.SignParts(`{"alg":"RS256"}`, payload))
		if c.Claims.Expiry != nil || c.Kind == credential.MalformedJWT {
			t.Errorf("%s: expiry is %v, want none (%s)", payload, c.Claims.Expiry, c.Problem)
		}
	}
	for _, payload := range []string{`{"exp":"inf"}`, `{"exp":"NaN"}`, `{"exp":"0x10"}`, `{"exp":""}`, `{"exp":true}`, `{"exp":[1]}`} {
		if c := credential.Decode(credentialtest.SignParts(`{"alg":"RS256"}`, payload)); c.Kind != credential.MalformedJWT {
			t.Errorf("%s is read as a time: %v", payload, c.Claims.Expiry)
		}
	}
}

func TestAudienceForms(t *testing.T) {
	for payload, want := range map[string]struct {
		audience []string
		list     bool
	}{
		`{"aud":"a"}`:       {[]string{"a"}, false},
		`{"aud":["a"]}`:     {[]string{"a"}, true},
		`{"aud":["a","b"]}`: {[]string{"a", "b"}, true},
		`{"aud":[]}`:        {nil, true},
		`{"aud":""}`:        {[]string{""}, false},
		`{}`:                {nil, false},
	} {
		c := credential.Decode(credentialtest.SignParts(`{}`, payload))
		if !slices.Equal(c.Claims.Audience, want.audience) || c.Claims.AudienceList != want.list || c.Kind == credential.MalformedJWT {
			t.Errorf("%s: got %q, list %v (%s)", payload, c.Claims.Audience, c.Claims.AudienceList, c.Problem)
		}
	}
}

func TestFromClaims(t *testing.T) {
	for name, c := range map[string]struct {
		doc  string
		kind credential.Kind
		who  string
		alg  string
	}{
		"whole":           {`{"header":{"alg":"RS256"},"claims":{"iss":"https://accounts.google.com","email":"A@example.com"}}`, credential.IDToken, "user:a@example.com", "RS256"},
		"payload":         {`{"header":{"alg":"ES256"},"payload":{"iss":"https://cloud.google.com/iap","sub":"accounts.google.com:1","email":"a@example.com"}}`, credential.IAPAssertion, "user:a@example.com", "ES256"},
		"claims alone":    {`{"iss":"https://accounts.google.com","email":"` + sa + `"}`, credential.IDToken, "serviceAccount:" + sa, ""},
		"in part":         {`{"aud":"x"}`, credential.IDToken, "", ""},
		"tokeninfo":       {`{"iss":"https://accounts.google.com","email":"a@b.c","email_verified":"true","exp":"1795003600","alg":"RS256","kid":"k","typ":"JWT"}`, credential.IDToken, "user:a@b.c", "RS256"},
		"of access token": {`{"azp":"1","aud":"1","scope":"email","exp":"1795003600","email":"a@b.c"}`, credential.AccessToken, "user:a@b.c", ""},
		"byte order mark": {"\ufeff" + `{"aud":"x"}`, credential.IDToken, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := credential.FromClaims([]byte(c.doc))
			if err != nil || got.Kind != c.kind || got.Who() != c.who || got.Header.Algorithm != c.alg || got.Signature != credential.SignatureUnknown || !got.Clean {
				t.Errorf("got %s of %q, alg %q, signature %s, error %v", got.Kind, got.Who(), got.Header.Algorithm, got.Signature, err)
			}
		})
	}
}

func TestFromClaimsRefuses(t *testing.T) {
	for name, c := range map[string]struct{ doc, want string }{
		"empty":        {"", "expected a JSON object"},
		"list":         {"[]", "expected a JSON object"},
		"string":       {`"x"`, "expected a JSON object"},
		"compact":      {idToken(), "give it as token.jwt"},
		"quoted JWT":   {`"` + idToken() + `"`, "give it as token.jwt"},
		"no claims":    {`{"name":"orders"}`, "found none of the claims"},
		"claims text":  {`{"claims":"x"}`, `"claims" must be a JSON object`},
		"header text":  {`{"header":"x","claims":{"aud":"x"}}`, `"header" must be a JSON object`},
		"wrong type":   {`{"aud":7}`, "wrong type: aud"},
		"service key":  {`{"type":"service_account","private_key":"-----BEGIN PRIVATE KEY-----"}`, "service account key"},
		"two objects":  {`{"aud":"x"}{"aud":"y"}`, "expected a JSON object"},
		"cut document": {`{"aud":"x"`, "expected a JSON object"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := credential.FromClaims([]byte(c.doc))
			if err == nil || !strings.Contains(err.Error(), c.want) || got.Kind != credential.None {
				t.Errorf("got %s, error %v, want %q", got.Kind, err, c.want)
			}
		})
	}
}
