package evidence

import "diagnose/internal/gcp"

// An Origin is where a request enters Google's network. The zero Origin is
// unknown and is treated as the internet, the least privileged one.
type Origin string

// The origins.
const (
	Internet             Origin = "internet"
	VPC                  Origin = "vpc"
	LoadBalancer         Origin = "load-balancer"
	InternalLoadBalancer Origin = "internal-load-balancer"
	GoogleService        Origin = "google-service"
	Perimeter            Origin = "perimeter"
)

// Origins lists where a request can come from.
var Origins = []Origin{Internet, VPC, LoadBalancer, InternalLoadBalancer, GoogleService, Perimeter}

// Passes applies the table of
// https://docs.cloud.google.com/run/docs/securing/ingress: a Google service is
// taken to call the default URL, and no gen1 function. It is false for a
// setting that is not known.
func (o Origin) Passes(setting gcp.Ingress) bool {
	switch setting {
	case gcp.IngressAll:
		return true
	case gcp.IngressInternal:
		return o != Internet && o != LoadBalancer && o != ""
	case gcp.IngressInternalAndLoadBalancer:
		return o != Internet && o != ""
	}
	return false
}

// Word names an origin in a sentence.
func (o Origin) Word() string {
	switch o {
	case Internet:
		return "the internet"
	case VPC:
		return "a VPC network of the project"
	case LoadBalancer:
		return "an external load balancer"
	case InternalLoadBalancer:
		return "an internal load balancer"
	case GoogleService:
		return "a Google service"
	case Perimeter:
		return "the VPC-SC perimeter"
	}
	return string(o)
}
