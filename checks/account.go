package checks

import (
	"cmp"
	"slices"
	"strings"

	"cloud.google.com/go/iam/apiv1/iampb"

	"diagnose/internal/evidence"
	"diagnose/internal/gcp"
	"diagnose/internal/iam"
)

// An account is the service account that a repair calls with.
type account struct {
	email string
	made  bool // it has to be made first
	may   bool // the policies that were read let it through already
	// known says that the caller is this account, or may become it already.
	known bool
	// project is where it is to be made.
	project string
}

func (a account) member() string { return "serviceAccount:" + a.email }

// terraform is an attribute of the account in Terraform where the same fix
// makes it, else the text.
func (a account) terraform(attribute, text string) any {
	if !a.made {
		return text
	}
	id, _, _ := strings.Cut(a.email, "@")
	return gcp.Reference(accountResource + "." + terraformLabel(id, a.arguments(id)) + "." + attribute)
}

const accountResource = "google_service_account"

func (a account) arguments(id string) []gcp.Argument {
	return []gcp.Argument{{Name: "project", Value: a.project}, {Name: "account_id", Value: id}}
}

// ownAccount returns the e-mail of a service account that a user can
// impersonate, "" for other members.
func ownAccount(member string) string {
	email, ok := strings.CutPrefix(member, "serviceAccount:")
	if !ok {
		return ""
	}
	switch gcp.ParseAccount(email).Kind {
	case gcp.UserAccount, gcp.ComputeAccount, gcp.AppEngineAccount:
		return email
	}
	return "" // Google's own, which nobody can impersonate, or of another universe
}

// callingAccount chooses the service account that a caller without one of its
// own shall call with: one that the policies let through, by the answer to a
// question, of the service's own project first; else a new one. The accounts
// of the policies may be another team's, so that they serve as an example only.
func (in *Invocation) callingAccount(q iam.Question) account {
	var first string
	for _, g := range q.Holdings() {
		email := ownAccount(g.Member.String())
		if email == "" || g.May != iam.Granted || g.Member.Deleted {
			continue
		}
		if gcp.AccountProject(email) == in.accountHome() {
			return account{email: email, may: true}
		}
		first = cmp.Or(first, email)
	}
	if first != "" {
		return account{email: first, may: true}
	}
	return in.newAccount()
}

// newAccount names a service account to make. The ID of one has 6 to 30
// characters: https://docs.cloud.google.com/iam/docs/service-accounts-create.
func (in *Invocation) newAccount() account {
	service := strings.Trim(in.name.ID, "-_")
	id := gcp.ServiceID(service) + "-invoker"
	if service == "" || id[0] < 'a' || id[0] > 'z' {
		id = "service-invoker"
	}
	if len(id) > 30 {
		id = strings.TrimRight(id[:22], "-") + "-invoker"
	}
	return account{email: gcp.UserMade(id, in.accountHome()), made: true, project: in.projectName().ID}
}

// accountHome is the project of the service as the e-mail of an account has
// it, which is never its number.
func (in *Invocation) accountHome() string {
	p := in.projectName().ID
	if gcp.IsNumber(p) || gcp.UserMade("account", p) == "" {
		return gcp.ProjectWord
	}
	return p
}

// become finds a service account that a member may get ID tokens of already,
// by the policies of service accounts.
func (in *Invocation) become(member string) (account, bool) {
	for _, a := range in.Accounts.Or(nil) {
		email := ownAccount("serviceAccount:" + a.Email)
		if email == "" || !in.letsMint(a.Policy, member) {
			continue
		}
		d := in.decide(in.permission, in.identityOf("serviceAccount:"+email))
		return account{email: email, may: d.State == iam.Granted, known: true}, true
	}
	return account{}, false
}

func (in *Invocation) letsMint(p *iampb.Policy, member string) bool {
	for _, b := range p.GetBindings() {
		carries, _ := in.roles.Carries(b.GetRole(), iam.MintIDToken)
		if carries == iam.Granted && b.GetCondition() == nil && slices.Contains(b.GetMembers(), member) {
			return true
		}
	}
	return false
}

// create makes the account where it has to be made.
func (in *Invocation) create(a account) Fix {
	if !a.made {
		return Fix{}
	}
	id, _, _ := strings.Cut(a.email, "@")
	return Fix{
		Commands:  shell(gcp.CreateAccount(id, in.projectID())),
		Terraform: terraformResource(accountResource, id, a.arguments(id)...),
		apply:     same,
	}
}

// impersonation lets a member get ID tokens of an account.
func (in *Invocation) impersonation(a account, member, role string) Fix {
	home := cmp.Or(a.project, gcp.AccountProject(a.email), in.projectName().ID)
	id, _, _ := strings.Cut(a.email, "@")
	return Fix{
		Commands: shell(gcp.ServiceAccountName(a.email).InProject(home).AddBinding(member, role)),
		Terraform: terraformResource("google_service_account_iam_member", id+"_impersonation",
			gcp.Argument{Name: "service_account_id", Value: a.terraform("name", gcp.ServiceAccountName(a.email).InProject(home).String())},
			gcp.Argument{Name: "role", Value: role}, gcp.Argument{Name: "member", Value: member}),
		apply: same,
	}
}

// same is a change that no document of a case shows.
func same(s evidence.Snapshot) evidence.Snapshot { return s }

// joined is one fix that is made of several changes, proved together. Parts
// without an effect of their own may be left empty.
func joined(id, summary, caution string, parts ...Fix) Fix {
	f := Fix{ID: id, Summary: summary, Caution: caution}
	var blocks []string
	for _, p := range parts {
		f.Commands = append(f.Commands, p.Commands...)
		f.Snippets = append(f.Snippets, p.Snippets...)
		if p.Terraform != "" {
			blocks = append(blocks, p.Terraform)
		}
	}
	f.Terraform = strings.Join(blocks, "\n\n")
	f.apply = func(s evidence.Snapshot) evidence.Snapshot {
		for _, p := range parts {
			if p.apply != nil {
				s = p.apply(s)
			}
		}
		return s
	}
	return f
}
