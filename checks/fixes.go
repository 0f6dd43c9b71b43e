package checks

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"cloud.google.com/go/functions/apiv2/functionspb"
	"cloud.google.com/go/iam/apiv1/iampb"
	denypb "cloud.google.com/go/iam/apiv2/iampb"
	"cloud.google.com/go/run/apiv2/runpb"
	"google.golang.org/protobuf/proto"

	"diagnose/internal/evidence"
	"diagnose/internal/gcp"
	"diagnose/internal/iam"
)

// repaired is the source of a fact that a fix supposes.
var repaired = evidence.Source{Document: "after the fix"}

func or2(a, b evidence.Fact[*iampb.Policy]) evidence.Fact[*iampb.Policy] {
	if a.Known() {
		return a
	}
	return b
}

// changePolicy returns the policy after a change. An unread policy becomes one
// that holds only the change: a grant does not depend on the other bindings.
func changePolicy(f evidence.Fact[*iampb.Policy], change func(*iampb.Policy)) evidence.Fact[*iampb.Policy] {
	p := f.Or(nil)
	if p == nil {
		p = &iampb.Policy{}
	}
	return evidence.Known(edit(p, change), repaired)
}

func changeService(s evidence.Snapshot, change func(*runpb.Service)) evidence.Snapshot {
	if svc, ok := s.Service.Get(); ok {
		s.Service = evidence.Known(edit(svc, change), s.Service.Source)
	}
	if fn, ok := s.Function.Get(); ok && fn.Function != nil && fn.ServiceConfig != nil {
		var probe runpb.Service
		change(&probe)
		to := gcp.ParseIngress(probe.Ingress.String()).Functions()
		if i := functionspb.ServiceConfig_IngressSettings_value[to]; probe.Ingress != 0 && i != 0 {
			fn.Function = edit(fn.Function, func(f *functionspb.Function) {
				f.ServiceConfig.IngressSettings = functionspb.ServiceConfig_IngressSettings(i)
			})
			s.Function = evidence.Known(fn, s.Function.Source)
		}
	}
	return s
}

// changeRequest returns the evidence with a changed request.
func changeRequest(s evidence.Snapshot, change func(*evidence.Request)) evidence.Snapshot {
	r := s.Request.Or(evidence.Request{})
	r.Headers = r.Headers.Clone()
	change(&r)
	s.Request = evidence.Known(r, s.Request.Source)
	return s
}

// answerPreflight is what there is to do about a preflight, which carries no
// credential by design of the browser:
// https://docs.cloud.google.com/functions/docs/writing/write-http-functions#limitations.
var answerPreflight = Fix{
	ID:      "answer-preflight",
	Summary: "Serve page and service from one origin, or let a load balancer or API gateway in front answer OPTIONS",
	Caution: "diagnose cannot check what is in front of the service",
}

// callFrom proposes to send the request from an origin that ingress admits.
func callFrom(o evidence.Origin, summary string) Fix {
	return Fix{ID: "call-from-" + string(o), Summary: summary, apply: func(s evidence.Snapshot) evidence.Snapshot {
		return changeRequest(s, func(r *evidence.Request) { r.Origin = o })
	}}
}

// denyPrincipal writes a member in the syntax of deny policies, "" where there
// is none.
func denyPrincipal(member string) string {
	kind, email, _ := strings.Cut(member, ":")
	switch kind {
	case "user":
		return "principal://goog/subject/" + email
	case "serviceAccount":
		return "principal://iam.googleapis.com/projects/-/serviceAccounts/" + email
	}
	return ""
}

// grantCaller proposes the smallest grant that lets the caller in.
func (in *Invocation) grantCaller() []Fix {
	if in.bare || in.principal == "" {
		return nil
	}
	if o, ok := in.outsider(); ok {
		return in.impersonate(o)
	}
	if can, why := iam.ParseMember(in.principal).CanPresentIDToken(); can == iam.NotGranted {
		f := in.callAs()
		f.Caution = why
		return []Fix{f}
	}
	return []Fix{in.grant(in.principal)}
}

// grant binds the smallest invoker role to one member on the target itself.
func (in *Invocation) grant(member string) Fix { return in.grantAs(member, member) }

// grantAccount lets a service account invoke.
func (in *Invocation) grantAccount(a account) Fix {
	return in.grantAs(a.member(), a.terraform("member", a.member()))
}

// grantAs is grant, with the member as Terraform has it.
func (in *Invocation) grantAs(member string, terraform any) Fix {
	role := in.invokerRole()
	f := Fix{
		ID: "grant-invoker", Summary: fmt.Sprintf("Grant %s on %s to %s", role, in.resource(), member),
		apply: func(s evidence.Snapshot) evidence.Snapshot {
			bind := func(p *iampb.Policy) {
				p.Bindings = append(p.Bindings, &iampb.Binding{Role: role, Members: []string{member}})
			}
			if in.gen1 {
				s.FunctionPolicy = changePolicy(or2(s.FunctionPolicy, s.Policy), bind)
			} else {
				s.Policy = changePolicy(s.Policy, bind)
			}
			return s
		},
	}
	if in.bare {
		return f
	}
	_, who, _ := strings.Cut(member, ":")
	who, _, _ = strings.Cut(cmp.Or(who, member), "@")
	target := in.targetName()
	kind, place, key := "google_cloud_run_v2_service_iam_member", "location", "name"
	if in.gen1 {
		kind, place, key = "google_cloudfunctions_function_iam_member", "region", "cloud_function"
	}
	f.Commands = shell(target.AddBinding(member, role))
	f.Terraform = terraformResource(kind, target.ID+"_invoker_"+who, gcp.Argument{Name: "project", Value: in.projectName().ID},
		gcp.Argument{Name: place, Value: target.Location}, gcp.Argument{Name: key, Value: target.ID}, gcp.Argument{Name: "role", Value: role}, gcp.Argument{Name: "member", Value: terraform})
	return f
}

// terraformService names the Terraform resource of the service in words.
func (in *Invocation) terraformService() string {
	return "the resource google_cloud_run_v2_service of " + in.serviceName().ID
}

// addCustomAudience lets the service accept an audience of the user's own: a
// URL, a word or an OAuth client ID. Sources:
// https://docs.cloud.google.com/run/docs/configuring/custom-audiences and, for
// client IDs, https://developers.google.com/apps-script/guides/services/cloud-run.
func (in *Invocation) addCustomAudience(aud string) Fix {
	all := append(slices.Clone(in.service().GetCustomAudiences()), aud)
	return Fix{
		ID: "add-custom-audience", Summary: fmt.Sprintf("Let the service accept the audience %s", aud),
		Commands:  shell(in.serviceName().AddCustomAudience(aud)),
		Terraform: terraformAttribute(in.terraformService(), "custom_audiences", all),
		Caution:   "this creates a new revision; Cloud Run then accepts every Google token for that audience",
		apply: func(s evidence.Snapshot) evidence.Snapshot {
			return changeService(s, func(svc *runpb.Service) { svc.CustomAudiences = append(svc.CustomAudiences, aud) })
		},
	}
}

// setIngress opens ingress to one more origin.
func (in *Invocation) setIngress(to gcp.Ingress, caution string) Fix {
	f := Fix{
		ID: "set-ingress-" + to.String(), Summary: "Set ingress to " + to.String(), Caution: caution,
		Commands:  shell(in.serviceName().SetIngress(to)),
		Terraform: terraformAttribute(in.terraformService(), "ingress", to.Run()),
		apply: func(s evidence.Snapshot) evidence.Snapshot {
			return changeService(s, func(svc *runpb.Service) {
				svc.Ingress = runpb.IngressTraffic(runpb.IngressTraffic_value[to.Run()])
			})
		},
	}
	if in.function {
		f.Commands = shell(in.functionName().SetIngress(to))
		of := "service_config of the resource google_cloudfunctions2_function of " + in.functionName().ID
		if in.gen1 {
			of = "the resource google_cloudfunctions_function of " + in.functionName().ID
		}
		f.Terraform = terraformAttribute(of, "ingress_settings", to.Functions())
	}
	return f
}

// callURLFix proposes another URL for the same request.
func (in *Invocation) callURLFix(id, summary string, u *url.URL) Fix {
	again := in.callCommand()
	again.Argv[len(again.Argv)-1] = shown(u)
	return Fix{
		ID: id, Summary: summary,
		Commands: []Command{again},
		apply: func(s evidence.Snapshot) evidence.Snapshot {
			return changeRequest(s, func(r *evidence.Request) { r.URL = u })
		},
	}
}

// exemptFromDeny proposes to except the caller from the rule that denies it.
func (in *Invocation) exemptFromDeny(d iam.Denial, member string) Fix {
	principal := denyPrincipal(member)
	policy := in.DenyPoliciesRead()[d.Policy]
	on, id, _ := gcp.ParseDenyPolicy(policy.GetName())
	rule := policy.GetRules()[d.Rule].GetDenyRule()
	all := map[string]any{"exceptionPrincipals": append(slices.Clone(rule.GetExceptionPrincipals()), principal)}
	except, _ := json.MarshalIndent(all, "", "  ") // strings: no error
	return Fix{
		ID: "except-from-deny",
		Summary: fmt.Sprintf("Add %s to exceptionPrincipals of rule %d of the deny policy %s",
			cmp.Or(principal, "the caller"), d.Rule, id),
		Commands: shell(on.UpdateDenyPolicy(id)),
		Snippets: []Snippet{{Language: "json", Where: fmt.Sprintf("in rules[%d].denyRule of POLICY_FILE", d.Rule),
			Text: string(except)}},
		Caution: "someone decided on this deny policy: ask its owner first",
		apply: func(s evidence.Snapshot) evidence.Snapshot {
			return s.WithDenyPolicy(d.Policy, edit(policy, func(p *denypb.Policy) {
				if r := p.GetRules()[d.Rule].GetDenyRule(); r != nil && principal != "" {
					r.ExceptionPrincipals = append(r.ExceptionPrincipals, principal)
				}
			}))
		},
	}
}

// enableDefaultURL turns the run.app URL of the service on again.
func (in *Invocation) enableDefaultURL() Fix {
	return Fix{
		ID: "enable-default-url", Summary: "Turn the default URL of the service on",
		Commands:  shell(in.serviceName().Update("--default-url")),
		Terraform: terraformAttribute(in.terraformService(), "default_uri_disabled", false),
		apply: func(s evidence.Snapshot) evidence.Snapshot {
			return changeService(s, func(svc *runpb.Service) { svc.DefaultUriDisabled = false })
		},
	}
}

// grantOnProject binds a role to one member on the project.
func (in *Invocation) grantOnProject(id, role, member string) Fix {
	_, who, _ := strings.Cut(member, ":")
	who, _, _ = strings.Cut(who, "@")
	return Fix{
		ID: id, Summary: fmt.Sprintf("Grant %s on the project to %s", role, member),
		Commands: shell(in.projectName().AddBinding(member, role)),
		Terraform: terraformResource("google_project_iam_member", strings.TrimPrefix(id, "grant-")+"_"+who,
			gcp.Argument{Name: "project", Value: in.projectName().ID}, gcp.Argument{Name: "role", Value: role}, gcp.Argument{Name: "member", Value: member}),
		apply: func(s evidence.Snapshot) evidence.Snapshot {
			ancestors := slices.Clone(s.Ancestors.Or(nil))
			i := slices.IndexFunc(ancestors, func(a evidence.Ancestor) bool { return a.Type == "project" })
			if i < 0 {
				ancestors = append(ancestors, evidence.Ancestor{ID: in.projectName().ID, Type: "project"})
				i = len(ancestors) - 1
			}
			ancestors[i].Policy = changePolicy(ancestors[i].Policy, func(p *iampb.Policy) {
				p.Bindings = append(p.Bindings, &iampb.Binding{Role: role, Members: []string{member}})
			})
			s.Ancestors = evidence.Known(ancestors, s.Ancestors.Source)
			return s
		},
	}
}

// edit returns a deep copy of a message after f has changed it.
func edit[M proto.Message](m M, f func(M)) M {
	c := proto.Clone(m).(M)
	f(c)
	return c
}
