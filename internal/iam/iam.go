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
	MintIDToken     = "iam.serviceAccounts.getOpenIdToken"
)

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
