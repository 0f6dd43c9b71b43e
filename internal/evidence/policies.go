package evidence

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"cloud.google.com/go/iam/apiv1/iampb"
	"cloud.google.com/go/iap/apiv1/iappb"

	"diagnose/internal/gcp"
)

type policyFact = Fact[*iampb.Policy]

func servicePolicy(s *Snapshot) *policyFact  { return &s.Policy }
func functionPolicy(s *Snapshot) *policyFact { return &s.FunctionPolicy }
func iapPolicy(s *Snapshot) *policyFact      { return &s.IAPPolicy }

// policyReader makes the reader of one allow policy.
func policyReader(field func(*Snapshot) *policyFact) func(*Snapshot, Source, []byte) error {
	return func(s *Snapshot, src Source, data []byte) error { return into(field(s), src, data, AllowPolicy) }
}

// AllowPolicy reads an allow policy as get-iam-policy prints it. An object
// without bindings is the policy that grants nothing.
func AllowPolicy(doc []byte) (*iampb.Policy, error) {
	m, err := object(doc)
	if err != nil {
		return nil, errors.New(`is a list; expected an allow policy: {"bindings":[…]}, without --flatten`)
	}
	if _, ok := m["bindings"]; !ok {
		_, version := m["version"]
		if _, flag := Kind(doc); len(m) > 0 && flag != "policy" && (len(m) > 1 || !version) {
			return nil, wrongKind(doc, errors.New(`is not recognized; expected an allow policy: {"bindings":[…]}`), "policy")
		}
	}
	p := &iampb.Policy{}
	if err := decode(doc, p, "etag", "auditConfigs"); err != nil {
		return nil, err
	}
	for i, b := range p.GetBindings() {
		if b.GetRole() == "" {
			return nil, fmt.Errorf("bindings[%d] has no role; expected an allow policy", i)
		}
	}
	return p, nil
}

func readIAPSettings(s *Snapshot, src Source, data []byte) error {
	return into(&s.IAPSettings, src, data, func(doc []byte) (*iappb.IapSettings, error) {
		doc, err := single(doc)
		if err != nil {
			return nil, err
		}
		if err := require(doc, "iap-settings"); err != nil {
			return nil, err
		}
		out := &iappb.IapSettings{}
		if err := decode(doc, out); err != nil {
			return nil, err
		}
		// No judgement needs these, so that nothing can print them.
		if o := out.GetAccessSettings().GetOauthSettings(); o != nil {
			o.ClientSecret, o.ClientSecretSha256 = nil, nil
		}
		if o := out.GetAccessSettings().GetWorkforceIdentitySettings().GetOauth2(); o != nil {
			o.ClientSecret, o.ClientSecretSha256 = "", ""
		}
		return out, nil
	})
}

// ancestorTypes are the types of a resource above a service.
var ancestorTypes = []string{"project", "folder", "organization"}

func readAncestors(s *Snapshot, src Source, data []byte) error {
	return into(&s.Ancestors, src, data, func(doc []byte) ([]Ancestor, error) {
		if m, err := object(doc); err == nil && m["bindings"] != nil {
			p, err := AllowPolicy(doc) // of the project, as gcloud projects get-iam-policy prints it
			if err != nil {
				return nil, err
			}
			return []Ancestor{{Type: "project", Policy: Known(p, src)}, missing("organization", ownPolicyAlone, src)}, nil
		}
		list, err := elements(doc)
		if err != nil {
			return nil, err
		}
		out := make([]Ancestor, 0, len(list))
		for i, raw := range list {
			a, err := ancestor(raw, src, i)
			if errors.Is(err, errForm) {
				const form = `{"id","type":"project|folder|organization","policy"}`
				err = fmt.Errorf(`element %d is not an %s; expected %s`, i, form, what("ancestor-policies"))
				return nil, wrongKind(doc, err, "ancestor-policies")
			}
			if err != nil {
				return nil, err
			}
			out = append(out, a)
		}
		return whole(out, src), nil
	})
}

const ownPolicyAlone = "a project's own policy was given: those of its folders and organization were not"

// errForm reports an element that is not of the form expected.
var errForm = errors.New("is of another form")

func ancestor(raw json.RawMessage, src Source, i int) (Ancestor, error) {
	var in struct {
		ID     word
		Type   string
		Policy json.RawMessage
	}
	if err := json.Unmarshal(raw, &in); err != nil || !slices.Contains(ancestorTypes, in.Type) {
		return Ancestor{}, errForm
	}
	a := Ancestor{ID: string(in.ID), Type: in.Type}
	at := src.At(fmt.Sprintf("/%d/policy", i))
	if len(in.Policy) == 0 || string(in.Policy) == "null" {
		a.Policy = Unknown[*iampb.Policy](errors.New("the policy is not in the list"), src.At(fmt.Sprintf("/%d", i)))
		return a, nil
	}
	if err := refusal(in.Policy); err != nil {
		a.Missing = a.ID == "" // which one it is was not read either
		a.Policy = Unknown[*iampb.Policy](err, at)
		return a, nil
	}
	p, err := AllowPolicy(in.Policy)
	if err != nil {
		return a, fmt.Errorf("policy of %s %s: %w", a.Type, a.ID, err)
	}
	a.Policy = Known(p, at)
	return a, nil
}

func missing(kind, why string, src Source) Ancestor {
	return Ancestor{Type: kind, Missing: true, Policy: Unknown[*iampb.Policy](errors.New(why), src)}
}

// whole adds the layers that a list provably leaves out: every service is in a
// project, and every folder is in an organization. A project need not be.
//
// https://docs.cloud.google.com/resource-manager/docs/cloud-platform-resource-hierarchy
func whole(list []Ancestor, src Source) []Ancestor {
	has := func(kind string) bool {
		return slices.ContainsFunc(list, func(a Ancestor) bool { return a.Type == kind })
	}
	folder, organization := has("folder"), has("organization")
	if !has("project") {
		list = slices.Insert(list, 0, missing("project", "the list has no project", src))
	}
	if folder && !organization || len(list) == 1 && list[0].Missing {
		list = append(list, missing("organization", "the list has no organization", src))
	}
	return list
}

// accountsMake makes the document of one service account: gcloud prints its
// policy, which does not name it.
const accountsMake = `gcloud iam service-accounts get-iam-policy EMAIL --format=json | ` +
	`jq '[{"name": "projects/PROJECT/serviceAccounts/EMAIL", "policy": .}]'`

const accountHint = "make it with: " + accountsMake

// readAccounts reads the policies of service accounts. One without its policy
// is left out: it is not known.
func readAccounts(s *Snapshot, src Source, data []byte) error {
	return into(&s.Accounts, src, data, func(doc []byte) ([]AccountPolicy, error) {
		if m, err := object(doc); err == nil && m["bindings"] != nil {
			return nil, errors.New("does not say whose policy it is; " + accountHint)
		}
		list, err := elements(doc)
		if err != nil {
			return nil, err
		}
		out := make([]AccountPolicy, 0, len(list))
		for i, raw := range list {
			var in struct {
				Name   string
				Policy json.RawMessage
			}
			if err := json.Unmarshal(raw, &in); err != nil || in.Name == "" {
				err = fmt.Errorf(`element %d is not a {"name","policy"}; %s`, i, accountHint)
				return nil, wrongKind(doc, err, "service-account-policies")
			}
			email := gcp.Last(in.Name)
			if !strings.Contains(email, "@") {
				return nil, fmt.Errorf("element %d is not named projects/PROJECT/serviceAccounts/EMAIL; %s", i, accountHint)
			}
			if len(in.Policy) == 0 || string(in.Policy) == "null" || refusal(in.Policy) != nil {
				continue
			}
			p, err := AllowPolicy(in.Policy)
			if err != nil {
				return nil, fmt.Errorf("policy of element %d: %w", i, err)
			}
			out = append(out, AccountPolicy{Email: email, Policy: p})
		}
		return out, nil
	})
}

// accountName is the resource name of a service account; the project of one
// that its e-mail does not name is "-".
func accountName(email string) string {
	return gcp.ServiceAccountName(email).InProject(cmp.Or(gcp.AccountProject(email), "-")).String()
}
