// Package iam says what allow policies, deny policies, roles, groups and
// conditions mean for one permission on one service: who holds it, and whether
// a given principal does. It is pure, and the only place in the tree that
// decides what a binding grants.
package iam

// A State is an answer in the words of Policy Troubleshooter. The zero State
// is Unknown.
type State int

// The states.
const (
	Unknown State = iota
	NotGranted
	Granted
)

func (s State) String() string { return [...]string{"unknown", "not granted", "granted"}[s] }

// The permissions that guard an invocation.
const (
	RunInvoke       = "run.routes.invoke"               // a Cloud Run service, also that of a v2 function
	FunctionsInvoke = "cloudfunctions.functions.invoke" // a gen1 function
	AccessViaIAP    = "iap.webServiceVersions.accessViaIAP"
)

// The permissions by which a principal comes to act as a service account, or
// lets itself in:
// https://docs.cloud.google.com/iam/docs/service-account-permissions.
const (
	MintIDToken      = "iam.serviceAccounts.getOpenIdToken"
	MintAccessToken  = "iam.serviceAccounts.getAccessToken"
	SignJWT          = "iam.serviceAccounts.signJwt"
	SignBlob         = "iam.serviceAccounts.signBlob"
	Delegate         = "iam.serviceAccounts.implicitDelegation"
	CreateKey        = "iam.serviceAccountKeys.create"
	SetAccountPolicy = "iam.serviceAccounts.setIamPolicy"
	ActAs            = "iam.serviceAccounts.actAs"

	CreateService  = "run.services.create"
	UpdateService  = "run.services.update"
	CreateFunction = "cloudfunctions.functions.create"
	UpdateFunction = "cloudfunctions.functions.update"
	CreateInstance = "compute.instances.create"

	SetServicePolicy      = "run.services.setIamPolicy"
	SetFunctionPolicy     = "cloudfunctions.functions.setIamPolicy"
	SetProjectPolicy      = "resourcemanager.projects.setIamPolicy"
	SetFolderPolicy       = "resourcemanager.folders.setIamPolicy"
	SetOrganizationPolicy = "resourcemanager.organizations.setIamPolicy"
)

// Becoming lists the permissions by which a principal comes to act as a
// service account, or lets itself in.
func Becoming() []string {
	return []string{
		MintIDToken, MintAccessToken, SignJWT, SignBlob, Delegate, CreateKey, SetAccountPolicy, ActAs,
		CreateService, UpdateService, CreateFunction, UpdateFunction, CreateInstance,
		SetServicePolicy, SetFunctionPolicy, SetProjectPolicy, SetFolderPolicy, SetOrganizationPolicy,
	}
}

// invokes reports whether a permission lets a caller in who shows a Google ID
// token. Every other one guards an API, which takes access tokens, also those
// of federated identities.
func invokes(permission string) bool {
	return permission == "" || permission == RunInvoke || permission == FunctionsInvoke || permission == AccessViaIAP
}

// MinimalInvoker is the smallest predefined role with run.routes.invoke: it
// holds nothing else.
const MinimalInvoker = "roles/run.servicesInvoker"

// both is the conjunction of two states.
func both(a, b State) State {
	switch {
	case a == NotGranted || b == NotGranted:
		return NotGranted
	case a == Granted && b == Granted:
		return Granted
	}
	return Unknown
}
