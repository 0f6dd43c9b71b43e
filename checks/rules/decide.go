package rules

import (
	"fmt"
	"strings"

	"cloud.google.com/go/iam/apiv1/iampb"

	"diagnose/checks"
	"diagnose/internal/estate"
	"diagnose/internal/iam"
)

func addressOf(url string) checks.Address { return checks.ParseAddress(url) }

// An answer says whether one principal may invoke one target.
type answer struct {
	state  iam.State
	reason string
}

// decide asks the allow and deny policies about a principal. Policies above
// the target that were not read are taken to grant nothing; one of the target
// itself of which only a part is known leaves the question open.
func (j *Judgement) decide(t *target, principal string) answer {
	permission := t.permission()
	switch {
	case t.IAP == estate.Yes && !t.Gen1:
		permission = iam.AccessViaIAP // the service sees IAP's own agent
	case t.Check == estate.No && !t.Gen1:
		return answer{iam.Granted, "the invoker IAM check is off"}
	}
	id := iam.IdentityOf(principal)
	q := iam.Query{Permission: permission, Identity: id, Roles: j.roles, Groups: j.groups, Context: j.context}
	layers, open := j.layersOf(t)
	access := q.Allow(layers)
	if access.State == iam.Granted {
		switch d := q.Deny(j.denyOn(t.above())); d.State {
		case iam.Denied:
			return answer{iam.NotGranted, "a deny policy takes it away: " + d.Reason}
		case iam.DenyUnknown:
			return answer{iam.Unknown, "a deny policy may take it away: " + d.Reason}
		}
		for _, b := range access.Bindings {
			if b.State == iam.Granted {
				return answer{iam.Granted, fmt.Sprintf("%s on %s", b.Role, shortName(layers[b.Layer].Resource))}
			}
		}
	}
	for _, b := range access.Bindings {
		if b.State == iam.Unknown {
			return answer{iam.Unknown, b.Reason}
		}
	}
	if open != "" {
		return answer{iam.Unknown, open}
	}
	reason := "no binding grants " + permission
	var supposed []string
	if t.Check == estate.Unknown && !t.Gen1 && t.IAP != estate.Yes {
		supposed = append(supposed, "its invoker IAM check is on")
	}
	if !j.PoliciesComplete {
		supposed = append(supposed, "no policy above it that is not shown here does")
	}
	if len(supposed) > 0 {
		reason += ", supposing that " + strings.Join(supposed, " and ")
	}
	return answer{iam.NotGranted, reason}
}

// layersOf collects the policies from a target upwards, and says why the
// target's own may have more bindings.
func (j *Judgement) layersOf(t *target) ([]iam.Layer, string) {
	open := ""
	collect := func(resource string, level iam.Level, own bool) iam.Layer {
		l := iam.Layer{Resource: resource, Level: level, Policy: &iampb.Policy{}}
		for _, p := range j.policies[resource] {
			if own && p.Partial != "" {
				open = p.Partial
			}
			for _, b := range p.Bindings {
				if b.Open != "" {
					open = b.Open
				}
				if b.Role != "" {
					l.Policy.Bindings = append(l.Policy.Bindings, &iampb.Binding{Role: b.Role, Members: b.Members, Condition: b.Condition})
				}
			}
		}
		if own && len(j.policies[resource]) == 0 && !j.PoliciesComplete {
			open = "the policy of " + shortName(resource) + " is not known"
		}
		return l
	}
	level := iam.Service
	if t.Gen1 {
		level = iam.Function
	}
	own := t.name
	if t.IAP == estate.Yes && !t.Gen1 {
		own = iapName(t.name)
	}
	layers := []iam.Layer{collect(own, level, true)}
	for _, n := range t.above() {
		level := map[byte]iam.Level{'p': iam.Project, 'f': iam.Folder, 'o': iam.Organization}[n.name[0]]
		layers = append(layers, collect("//cloudresourcemanager.googleapis.com/"+n.name, level, false))
	}
	return layers, open
}

// shortName names a resource for a sentence: "services/orders". One whose name
// is not known is called by what configures it.
func shortName(full string) string {
	parts := strings.Split(strings.TrimPrefix(full, "//"), "/")
	if len(parts) < 2 {
		return full
	}
	id := parts[len(parts)-1]
	if unknown := strings.TrimPrefix(id, "-"); unknown != id && unknown != "" {
		return unknown
	}
	return parts[len(parts)-2] + "/" + id
}

// resourceType is the asset type of a full resource name.
func resourceType(name string) string {
	host, rest, _ := strings.Cut(strings.TrimPrefix(name, "//"), "/")
	switch parts := strings.Split(rest, "/"); {
	case len(parts) < 2:
		return ""
	default:
		switch parts[len(parts)-2] {
		case "services":
			return host + "/Service"
		case "functions":
			return host + "/Function"
		case "projects":
			return host + "/Project"
		case "folders":
			return host + "/Folder"
		case "organizations":
			return host + "/Organization"
		}
	}
	return host
}
