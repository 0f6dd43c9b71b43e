package gcp

import "slices"

// An Ingress says which traffic a service or function admits. The zero Ingress
// is unknown.
type Ingress int

// The settings of ingress, by
// https://docs.cloud.google.com/run/docs/securing/ingress.
const (
	UnknownIngress Ingress = iota
	IngressAll
	IngressInternal
	IngressInternalAndLoadBalancer
	IngressNone
)

// ingressWords spell one setting everywhere. "" is a place without the
// setting.
type ingressWords struct {
	run           string // Cloud Run API v2 and google_cloud_run_v2_service
	annotation    string // of a v1 service, and gcloud run --ingress
	functions     string // Cloud Functions API and Terraform's ingress_settings
	functionsFlag string // gcloud functions --ingress-settings
}

var ingresses = [...]ingressWords{
	UnknownIngress:  {},
	IngressAll:      {"INGRESS_TRAFFIC_ALL", "all", "ALLOW_ALL", "all"},
	IngressInternal: {"INGRESS_TRAFFIC_INTERNAL_ONLY", "internal", "ALLOW_INTERNAL_ONLY", "internal-only"},
	IngressInternalAndLoadBalancer: {
		"INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER", "internal-and-cloud-load-balancing",
		"ALLOW_INTERNAL_AND_GCLB", "internal-and-gclb",
	},
	IngressNone: {"INGRESS_TRAFFIC_NONE", "none", "", ""},
}

// unspecified are the words of the APIs for a setting that was not made: all
// traffic is the default of each.
var unspecified = []string{"INGRESS_TRAFFIC_UNSPECIFIED", "INGRESS_SETTINGS_UNSPECIFIED"}

// ParseIngress reads the word of an API, an annotation, a flag or Terraform.
// It is UnknownIngress for any other word.
func ParseIngress(word string) Ingress {
	if slices.Contains(unspecified, word) {
		return IngressAll
	}
	for i, w := range ingresses {
		if word != "" && (word == w.run || word == w.annotation || word == w.functions || word == w.functionsFlag) {
			return Ingress(i)
		}
	}
	return UnknownIngress
}

// Run is the word of Cloud Run's API v2, and of Terraform's
// google_cloud_run_v2_service. It is "" for UnknownIngress.
func (i Ingress) Run() string { return i.words().run }

// Annotation is the word of a v1 service, and of gcloud run's --ingress.
func (i Ingress) Annotation() string { return i.words().annotation }

// Functions is the word of Cloud Functions' API, and of Terraform's
// ingress_settings. It is "" where a function has no such setting.
func (i Ingress) Functions() string { return i.words().functions }

// FunctionsFlag is the word of gcloud functions' --ingress-settings. It is ""
// where a function has no such setting.
func (i Ingress) FunctionsFlag() string { return i.words().functionsFlag }

// String is Annotation, or "unknown".
func (i Ingress) String() string { return or(i.Annotation(), "unknown") }

func (i Ingress) words() ingressWords {
	if i < 0 || int(i) >= len(ingresses) {
		return ingressWords{}
	}
	return ingresses[i]
}
