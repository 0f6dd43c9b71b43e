// Package estate holds what is known of many functions and services at once:
// those of an organization, or of a change before it is applied. It is filled
// from asset exports, Terraform plans and manifests, and has no opinion on
// what it holds; what cannot be known is unknown, never safe.
package estate

import (
	"time"

	"cloud.google.com/go/iam/admin/apiv1/adminpb"
	denypb "cloud.google.com/go/iam/apiv2/iampb"
	"google.golang.org/genproto/googleapis/type/expr"

	"diagnose/internal/caller"
	"diagnose/internal/gcp"
)

// An Estate is everything that was read, in the order in which it was read.
// The zero Estate is empty and knows nothing.
type Estate struct {
	Nodes    []Node
	Targets  []Target
	Policies []Policy
	Deny     []Deny
	Roles    []*adminpb.Role // custom roles, and newer definitions of predefined ones
	Callers  []Caller
	Domains  []AllowedMembers
	Fronts   []Front
	Groups   map[string][]string // by member string; a listed entry is complete
	Accounts []Account
	Unread   []Unread
	Lost     []Lost // what a plan takes away with what it replaces

	// PoliciesComplete says that a resource without a policy in Policies has an
	// empty one, as in a whole export, but for those in PoliciesMissing.
	PoliciesComplete bool
	// PoliciesMissing says by full resource name why the policy of a target or
	// node is not known.
	PoliciesMissing map[string]string
	// AccountPolicies are the projects of which it is known that a service
	// account without a policy in Policies has an empty one, as
	// "projects/NUMBER". nil where that is not asked: in a change, which has
	// only what changes.
	AccountPolicies map[string]bool
	// TargetsComplete says that Targets lists every service and function below
	// Nodes, so that they can be counted.
	TargetsComplete bool
}

// A Where says where a fact stands. Its zero value is nowhere in particular.
type Where struct {
	File    string // as the user named it; "" for a live answer
	Line    int    // from 1; 0 where unknown
	Offset  int64  // bytes from the start of the uncompressed file, for a line too long to look for
	Address string // Terraform address, "google_cloud_run_v2_service.orders"
}

// A Node is a project, folder or organization.
type Node struct {
	Name   string // "projects/424242", "folders/1", "organizations/1"
	ID     string // the ID of a project, "" where unknown
	Title  string // display name
	Parent string // the name of the node above, "" where unknown or none
	Where  Where
}

// A Truth answers a yes-or-no question about a target. The zero Truth is
// unknown, as for a value known after apply.
type Truth int

// The answers.
const (
	Unknown Truth = iota
	No
	Yes
)

// TruthOf is the answer that a boolean gives.
func TruthOf(b bool) Truth {
	if b {
		return Yes
	}
	return No
}

// Not turns an answer round; what is unknown stays so.
func (t Truth) Not() Truth { return [...]Truth{Unknown: Unknown, No: Yes, Yes: No}[t] }

// An Ingress says which traffic a target admits. The zero Ingress is unknown.
type Ingress = gcp.Ingress

// The ingress settings.
const (
	UnknownIngress                 = gcp.UnknownIngress
	IngressAll                     = gcp.IngressAll
	IngressInternal                = gcp.IngressInternal
	IngressInternalAndLoadBalancer = gcp.IngressInternalAndLoadBalancer
	IngressNone                    = gcp.IngressNone
)

// A Target is one Cloud Run service, or one gen1 function. A v2 function is
// the service that it runs on: Function names it, and it is no target of its
// own unless its service is not known.
//
// Two targets are one only where that is known: by a name of which every part
// is, or by the address and root module at which they are configured.
type Target struct {
	Name     string // full resource name, "//run.googleapis.com/projects/shop/locations/europe-west1/services/orders"
	Gen1     bool
	Function string // full resource name of the v2 function in front, "" where none is known
	Event    Truth  // an event source calls it, and nobody directly
	Ingress  Ingress
	Check    Truth // the invoker IAM check is on
	IAP      Truth // IAP is on for the service itself
	// DefaultURL says whether the run.app URL answers.
	DefaultURL Truth
	Deleted    Truth // it was deleted, and its document is what is left of it
	// FrontIAP says whether a load balancer with IAP leads to it.
	FrontIAP Truth

	URLs     []string // that it is known to answer on, without custom domains
	Custom   []string // custom audiences
	CustomOK bool     // Custom is known

	// TriggerAccount is the e-mail with which its event source calls, "" where
	// unknown or not event-driven.
	TriggerAccount string
	// Root tells root modules of Terraform apart, which name what they share
	// alike: "" for the first, and where there is none.
	Root  string
	Where Where
	// Bare says that its name is all that was read of it: a policy or a search
	// names it.
	Bare    bool
	Updated time.Time // when what was read of it was so, zero where unknown
}

// A Policy is one allow policy, or a part of it.
type Policy struct {
	Resource string // full resource name of a target, of a v2 function, or of a node: "//cloudresourcemanager.googleapis.com/projects/shop"
	Bindings []Binding
	// Partial is why there may be bindings that are not listed: a plan that
	// adds one binding does not show the others. It is "" where none can be.
	Partial string
	// V2Function says that it is the policy of a v2 function, which counts for
	// nothing, whatever else has the name.
	V2Function bool
	// Of is the address of the target that the policy refers to, in the same
	// root module, "" where the policy names its resource. The name of such a
	// target may be unknown.
	Of      string
	Root    string
	Where   Where
	Updated time.Time // when it was so, zero where unknown
}

// A Lost is a policy, or a part of it, that a change takes away without saying
// so: its target is replaced, or what owned it is destroyed, and what
// configures it is left as it is.
// https://github.com/hashicorp/terraform-provider-google/issues/18831.
type Lost struct {
	Policy Policy
	Target string // address of what is replaced, "" where nothing is
	Taken  string // address of the destroyed _iam_ resource that takes it away
	// Maybe says that the same change makes it again, in no fixed order: it may
	// be there afterwards, and may not.
	Maybe bool
}

// An Authority says what a Terraform resource claims of a policy. The zero
// Authority is none: the binding was read, not configured.
type Authority int

// The authorities, by
// https://registry.terraform.io/providers/hashicorp/google/latest/docs/resources/cloud_run_v2_service_iam.
const (
	NoAuthority     Authority = iota
	MemberAuthority           // _iam_member: adds one member
	RoleAuthority             // _iam_binding: owns all members of a role
	PolicyAuthority           // _iam_policy: owns the whole policy
)

// A Binding grants a role to members.
type Binding struct {
	Role      string // "" where it is not known; then Open says why
	Members   []string
	Condition *expr.Expr
	// Open is why the role, or members beyond those listed, are not known:
	// "known after apply".
	Open string
	// NotAnyone says that no member that is not known can be allUsers: it is
	// one account, whichever it will be.
	NotAnyone bool
	// Maybe is why the binding may not be there at all, or not for long: "only
	// if var.public is true"; "" where it is.
	Maybe     string
	Authority Authority
	Where     Where
}

// A Deny is one deny policy.
type Deny struct {
	Policy *denypb.Policy
}

// An Account is a service account. One that is in no list may exist all the
// same.
type Account struct {
	Name     string // full resource name, with its e-mail or its unique ID
	Email    string // in lower case
	Disabled bool   // nobody gets a token of it
}

// A Caller is a configured caller and where it is configured.
type Caller struct {
	caller.Caller
	Of    string // address of the target that it refers to, as in a Policy
	Root  string
	Where Where
}

// AllowedMembers is what an organization policy admits as members of policies
// on a node and below: constraints/iam.allowedPolicyMemberDomains.
type AllowedMembers struct {
	Resource  string   // "projects/shop", "organizations/1"
	Customers []string // customer IDs, organizations and principal sets as written
}

// A Front is a backend of a load balancer: either the backend service, which
// may have IAP and names its groups, or a group, which leads to a service.
type Front struct {
	Name    string   // of the group, "" for a backend service
	Project string   // of both; ID or number
	Groups  []string // short names of its groups
	IAP     Truth    // of a backend service
	Service string   // short name of the Cloud Run service that a group leads to
}

// An Unread is something that could not be read and may matter.
type Unread struct {
	What   string // "the policy of services/orders"
	Reason string
	Where  Where
	// Aside says that it can neither open nor break an invocation, as a module
	// that has nothing to do with one: it is counted, and leaves nothing open.
	Aside bool
}
