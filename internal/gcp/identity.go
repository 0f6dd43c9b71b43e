package gcp

// PrintIDToken prints an ID token of the active account. A person's has
// gcloud's own client as its audience, and no other can be asked for; with an
// audience it is for a service account whose key is active.
func PrintIDToken(audience string) []string {
	return gcloud("auth print-identity-token", "", flag("audiences", audience))
}

// PrintIDTokenAs prints an ID token of a service account, by impersonation.
func PrintIDTokenAs(account, audience string) []string {
	return gcloud("auth print-identity-token", "", flag("impersonate-service-account", or(account, AccountWord)),
		flag("audiences", or(audience, ServiceURLWord)), "--include-email")
}

// ActivateKey makes the account of a key file the active one.
func ActivateKey() []string {
	return gcloud("auth activate-service-account", "", "--key-file=KEY_FILE")
}

// Login makes application default credentials.
func Login() []string { return gcloud("auth application-default login", "") }

// LoginWithScope makes application default credentials for one scope.
func LoginWithScope(scope string) []string {
	return gcloud("auth application-default login", "", flag("scopes", scope))
}

// SetQuotaProject says which project application default credentials charge.
func SetQuotaProject(project string) []string {
	return gcloud("auth application-default set-quota-project", or(project, ProjectWord))
}

// LoginWorkforce signs a person of a workforce pool in.
func LoginWorkforce() []string { return gcloud("auth login", "", "--login-config=LOGIN_CONFIG_FILE") }

// LoginWorkload makes the identity of a credential configuration the active
// one.
func LoginWorkload() []string { return gcloud("auth login", "", "--cred-file=CREDENTIALS_FILE") }

// CredentialConfig makes the credential configuration of a workload that a
// provider of a pool knows: on AWS, or else by a token in a file.
func CredentialConfig(provider string, aws bool) []string {
	source := "--credential-source-file=SUBJECT_TOKEN_FILE"
	if aws {
		source = "--aws"
	}
	return gcloud("iam workload-identity-pools create-cred-config", or(provider, "PROVIDER"),
		"--output-file=CREDENTIALS_FILE", source)
}

// CreateAccount makes a service account.
func CreateAccount(id, project string) []string {
	return gcloud("iam service-accounts create", or(id, AccountWord), flag("project", or(project, ProjectWord)))
}

// SignJWT lets a service account sign the claims in a file.
func SignJWT(account, project string) []string {
	return gcloud("iam service-accounts sign-jwt CLAIMS_FILE TOKEN_FILE", "",
		flag("iam-account", or(account, AccountWord)), flag("project", or(project, ProjectWord)))
}

// CreateAPIConfig makes the config of an API gateway that calls as a service
// account.
func CreateAPIConfig(account, project string) []string {
	return gcloud("api-gateway api-configs create CONFIG_ID", "", "--api=API_ID", "--openapi-spec=SPEC_FILE",
		flag("backend-auth-service-account", or(account, AccountWord)), flag("project", or(project, ProjectWord)))
}
