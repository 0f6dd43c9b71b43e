package terraform

import (
	"slices"
	"strings"

	tfjson "github.com/hashicorp/terraform-json"
)

// planProvider is what a plan tells of one configuration of the provider.
type planProvider struct {
	Defaults
	torn map[string]bool // attributes of which it tells two values
}

// readProviders gives each resource the defaults of its own provider: what its
// configuration says as a literal, or else what it is seen to put into new
// resources that do not say. A plan does not tell var.a from "x-${var.a}": what
// else the configuration says is no value.
func (r *reader) readProviders() {
	all := slices.Concat(r.all, r.before, r.gone, r.data)
	providers := map[string]*planProvider{}
	for _, x := range all {
		key := r.providerKey(x)
		if providers[key] == nil {
			providers[key] = &planProvider{Defaults: Defaults{provider: key}, torn: map[string]bool{}}
		}
	}
	for _, x := range r.all {
		if x.Created && x.Said != nil && x.takesDefaults() {
			providers[r.providerKey(x)].see(x)
		}
	}
	for key, p := range providers {
		p.settle(r.configured(key))
	}
	for _, x := range all {
		x.Defaults = providers[r.providerKey(x)].Defaults
	}
}

// takesDefaults reports whether a resource shows in a plan what it has from its
// provider; that of a policy is in the project of what it is of.
func (r *Resource) takesDefaults() bool {
	return kinds[r.Type] != nil || r.Type == "google_service_account" || r.Type == "google_pubsub_topic"
}

// providerKey names the provider's configuration of a resource, "" where the
// plan does not tell it. Where it does not say, there is one alone.
func (r *reader) providerKey(x *Resource) string {
	c := r.config[withoutIndexes(x.Address)]
	if c == nil {
		return ""
	}
	if c.ProviderConfigKey != "" {
		return c.ProviderConfigKey
	}
	only := ""
	for key, p := range r.plan.Config.ProviderConfigs {
		if p == nil || !strings.HasPrefix(p.Name, "google") {
			continue
		}
		if only != "" {
			return ""
		}
		only = key
	}
	return only
}

// see notes what the provider put into a resource that does not say.
func (p *planProvider) see(x *Resource) {
	for attribute, into := range p.fields() {
		v, known := x.text(attribute)
		if x.Said(attribute) || !known || v == "" {
			continue
		}
		p.torn[attribute] = p.torn[attribute] || *into != "" && *into != v
		*into = v
	}
}

// settle prefers what the configuration says, which has the last word on what
// is seen twice.
func (p *planProvider) settle(said map[string]*tfjson.Expression) {
	for attribute, into := range p.fields() {
		if p.torn[attribute] || p.provider == "" {
			*into = ""
		}
		if e := said[attribute]; e != nil && e.ExpressionData != nil {
			if s, ok := e.ConstantValue.(string); ok {
				*into = s
			}
		}
	}
}

func (p *planProvider) fields() map[string]*string {
	return map[string]*string{"project": &p.Project, "region": &p.Region}
}

// configured is what a configuration of the provider says; nil where the plan
// does not hold it. Before Terraform 1.1 the key of a resource in a module is
// of the module even where that has the provider from its caller.
func (r *reader) configured(key string) map[string]*tfjson.Expression {
	if r.plan.Config == nil {
		return nil
	}
	if p := r.plan.Config.ProviderConfigs[key]; p != nil && strings.HasPrefix(p.Name, "google") {
		return p.Expressions
	}
	return nil
}
