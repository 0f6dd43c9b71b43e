package rules

import (
	"cmp"
	"slices"
	"strings"

	"diagnose/internal/estate"
	"diagnose/internal/gcp"
)

// whole reports whether every part of a resource name is known.
func whole(name string) bool { return !strings.Contains(name, "/-") }

// idUnknown reports whether the last part of a resource name is not known.
func idUnknown(name string) bool {
	return strings.HasPrefix(name[strings.LastIndexByte(name, '/')+1:], "-")
}

// canonical names a resource by its project's ID where that is known.
func (x *Index) canonical(name string) string {
	for _, mark := range []string{"/projects/", "projects/"} {
		i := strings.Index(name, mark)
		if i < 0 || mark == "projects/" && i > 0 {
			continue
		}
		rest := name[i+len(mark):]
		project, tail, more := strings.Cut(rest, "/")
		if id, ok := x.numbers[project]; ok {
			name = name[:i] + mark + id
			if more {
				name += "/" + tail
			}
		}
		break
	}
	return name
}

// nodeName returns "projects/shop" for a full resource name of a node, or "".
func nodeName(resource string) string {
	rest, ok := strings.CutPrefix(resource, estate.NodeHost)
	if !ok {
		rest = resource
	}
	kind, id, ok := strings.Cut(rest, "/")
	if !ok || strings.Contains(id, "/") || !slices.Contains([]string{"projects", "folders", "organizations"}, kind) {
		return ""
	}
	return rest
}

// projectOf returns "projects/shop" of a full resource name, "projects/-" where
// its project is not known, and "" where it is in none.
func projectOf(name string) string {
	_, rest, ok := strings.Cut(name, "/projects/")
	if !ok {
		return ""
	}
	id, _, _ := strings.Cut(rest, "/")
	return "projects/" + id
}

// iapName is the name by which IAP knows a Cloud Run service:
// https://docs.cloud.google.com/iap/docs/managing-access.
func iapName(service string) string {
	n, _ := parse(service).IAP()
	return estate.Spelled(n, "")
}

// behindIAP is the service that a name of IAP's is about, "" for other names.
func behindIAP(name string) string {
	n := parse(name)
	service, ok := n.Service()
	if !ok || n.Host != gcp.IAPAPI {
		return ""
	}
	return estate.Spelled(service, "")
}

// parse takes a full resource name apart.
func parse(name string) gcp.Name {
	n, _ := gcp.ParseName(name)
	return n
}

// shortName names a resource for a sentence: "services/orders". What has no
// name yet is called by its address in the configuration.
func shortName(full string) string {
	rest, isFull := strings.CutPrefix(plainName(full), "//")
	parts := strings.Split(rest, "/")
	if !isFull && len(parts) != 2 && !strings.HasPrefix(full, "projects/") || len(parts) < 2 {
		return full
	}
	kind, id := parts[len(parts)-2], parts[len(parts)-1]
	switch unknown := strings.TrimPrefix(id, "-"); {
	case unknown == id:
		return kind + "/" + id
	case unknown != "" && !strings.HasPrefix(unknown, " of "):
		return unknown
	}
	return "the " + strings.TrimSuffix(kind, "s") // "projects/-": the one of the configuration
}

// plainName is a full resource name without what tells it apart in its root
// module.
func plainName(name string) string {
	if strings.HasPrefix(name, "//") {
		name, _, _ = strings.Cut(name, " of ")
	}
	return name
}

// resourceType is the asset type of a full resource name, or else the host of
// its API.
func resourceType(name string) string {
	n := parse(name)
	return cmp.Or(n.AssetType(), n.Host)
}
