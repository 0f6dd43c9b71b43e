package gcp

import (
	"net/url"
	"strings"
)

// AttachmentPoint is how IAM names the node that a deny policy hangs on,
// "cloudresourcemanager.googleapis.com/projects/P". It is "" where the node is
// not known. Source:
// https://docs.cloud.google.com/iam/docs/reference/rest/v2/policies.
func (n Name) AttachmentPoint() string {
	if !n.Node() || n.ID == "" {
		return ""
	}
	return ResourceManagerAPI + "/" + n.String()
}

// DenyParent is the parent of the deny policies of a node, "" where the node
// is not known.
func (n Name) DenyParent() string {
	point := n.AttachmentPoint()
	if point == "" {
		return ""
	}
	return "policies/" + strings.ReplaceAll(point, "/", "%2F") + "/denypolicies"
}

// ParseDenyPolicy takes the name of a deny policy apart,
// "policies/ATTACHMENT/denypolicies/ID". on is the zero Name where it does not
// hang on a node, and ok false for other names.
func ParseDenyPolicy(name string) (on Name, id string, ok bool) {
	parts := strings.Split(name, "/")
	if len(parts) != 4 || parts[0] != "policies" || parts[2] != "denypolicies" {
		return Name{}, "", false
	}
	point, err := url.PathUnescape(parts[1])
	if err != nil {
		return Name{}, "", false
	}
	if n, ok := ParseName("//" + point); ok && n.Node() && n.Host == ResourceManagerAPI {
		on = n
	}
	return on, known(parts[3]), true
}
