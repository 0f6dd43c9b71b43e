package checks

import "strings"

// A mark is a text by which the author of an answer is known. Texts are
// compared without case.
type mark struct {
	text  string
	who   string
	basis string
	fix   string // what to do, "" where the judgement of the evidence says it
}

const (
	signatureFix = "Verify a token that Cloud Run did not consume: send a second copy in another header, " +
		"or trust the claims after the invoker check"
	noToken   = "whoever asked for the token may not act as the service account, so nothing was sent to the service"
	minterFix = "Grant roles/iam.serviceAccountOpenIdTokenCreator on the service account to whoever asks for the token; " +
		"roles/owner does not include it"
	impersonateFix = "Grant roles/iam.serviceAccountTokenCreator on the service account to whoever acts as it; " +
		"roles/owner does not include it"
	eventFix = "Send a CloudEvent: headers ce-id, ce-source, ce-type and ce-specversion"
	proxyFix = "Look at the web server in the container: the request reached it"
)

// marks is in the order of how much a text tells: an application that quotes
// the front end's words has its own words too.
var marks = []mark{
	{"denied_by_security_policy", cloudArmor,
		"the load balancer logged statusDetails denied_by_security_policy",
		"Tune or remove the rule of the security policy that matched; enforcedSecurityPolicy in the log names it"},
	{"handled_by_identity_aware_proxy", iapAuthor,
		"the load balancer logged statusDetails handled_by_identity_aware_proxy",
		"Pass IAP on the load balancer: sign in, or send an ID token for IAP's OAuth client"},
	{"invalid iap credentials", iapAuthor,
		"the body says Invalid IAP credentials",
		"Mint an ID token with an e-mail claim for the audience that IAP expects"},
	{"x-goog-iap-generated-response", iapAuthor,
		"the header X-Goog-IAP-Generated-Response",
		"Grant the caller roles/iap.httpsResourceAccessor"},
	{iapNotSetUp[0], iapAuthor,
		"IAP says that it is not set up",
		"Grant IAP's service agent the invoker role on the service"},
	{iapNotSetUp[1], iapAuthor,
		"IAP says that its service account is not provisioned",
		"Create IAP's service agent and grant it the invoker role"},
	{"signature_removed_by_google", container,
		"its verifier was handed a token whose signature Cloud Run had removed",
		signatureFix},
	{"firebase auth blocking token has incorrect", container,
		"the Firebase SDK in the function refused the audience of the token",
		"Register the URL whose audience the SDK expects (the run.app URL of the service)"},
	{"firebase id token has incorrect", container,
		"the Firebase SDK in the function refused the token that Cloud Run had accepted",
		"Do not check the token that Cloud Run accepted as if it were a Firebase user token"},
	{"did not receive a cloudevent as a request", framework,
		"it says that the request is not a CloudEvent",
		eventFix},
	{"do not belong to a permitted customer", googleAPI,
		"an organization policy refused the binding, so the policy of the service did not change",
		"Turn the invoker IAM check off instead of binding allUsers, where the service is meant to be public"},
	{"the audience client and the client need to be in the same project", tokenService,
		"it refused to mint the token, so nothing was sent to the service",
		"Use an OAuth client of the same project, or a service account"},
	{"permission 'iam.serviceaccounts.getopenidtoken' denied", tokenService, noToken, minterFix},
	{"permission 'iam.serviceaccounts.getaccesstoken' denied", tokenService, noToken, impersonateFix},
	{"permission 'iam.serviceaccounts.signjwt' denied", tokenService, noToken, impersonateFix},
	{"permission 'iam.serviceaccounts.signblob' denied", tokenService, noToken, impersonateFix},
	{"jwt issuer is not configured", gateway,
		"its JWT check does not know the issuer",
		"Add the issuer to the gateway's security definitions, or drop the gateway's own check"},
	{"jwt verification fails", gateway,
		"its JWT check refused the token",
		"Send a token for the audience and issuer in the gateway's security definitions"},
	{"audiences in jwt are not allowed", gateway,
		"its JWT check refused the audience",
		"Add the audience to x-google-audiences of the gateway"},
	{"jwt is missing", gateway,
		"its JWT check found no bearer token",
		"Send the token as \"Authorization: Bearer TOKEN\""},
	{"jwt is expired", gateway, "its JWT check found the token expired", "Send a fresh token"},
	{"method doesn't allow unregistered callers", gateway,
		"it asks for an API key",
		"Send the API key that the gateway's definition asks for"},
	{"finished with status", container,
		"the function's own log shows that the handler ran",
		"Look at the function's code and logs: the request reached it"},
	{"<address>apache", container, "its page is Apache's, and the front end has its own", proxyFix},
	{"<center>nginx", container, "its page is nginx's, and the front end has its own", proxyFix},
	{"does not have permission to get url", frontEnd, "its page says that the client may not get the URL", ""},
	{"does not have permission to the requested url", frontEnd,
		"its page says that the client has no permission to the requested URL",
		""},
	{"the access token could not be verified", frontEnd,
		"it says that the access token could not be verified",
		""},
	{"the request was not authenticated", frontEnd, "the log says that the request was not authenticated", ""},
	{"the request was not authorized to invoke this service", frontEnd,
		"the log says that the request was not authorized to invoke this service",
		""},
	{"was not found on this server", frontEnd, "the body is Google's 404 page", ""},
	{"error 404 (", frontEnd, "the body is Google's 404 page", ""},
	{"<title>404 page not found</title>", frontEnd, "the body is Google's 404 page", ""},
	{"access is forbidden", frontEnd, "its page says that access is forbidden, as ingress did in 2021", ""},
	{"there was no available instance", frontEnd, "the log says that no instance was available", ""},
	{"the instance could not start", frontEnd, "the log says that the instance could not start", ""},
	{"the http response was malformed or connection to the instance", frontEnd,
		"the log says that the connection to the instance broke",
		""},
}

// in reports whether a text has the mark. The front end and IAP write no JSON
// and nothing into the log of a container: there their words are quoted.
func (m mark) in(t observedText) bool {
	if t.quoted && (m.who == frontEnd || m.who == iapAuthor || t.log && m.who != container) {
		return false
	}
	return strings.Contains(strings.ToLower(t.text), m.text)
}
