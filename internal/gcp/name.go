package gcp

import (
	"strings"
)

// A Name is the name of a resource, taken apart. Parts that are "" are not
// known. The zero Name names nothing. Names can be compared with ==.
//
// Forms: https://docs.cloud.google.com/iam/docs/full-resource-names and
// https://google.aip.dev/122.
type Name struct {
	Host       string // that of its API, "run.googleapis.com"
	Project    string // ID or number
	Location   string
	Collection string // "services", "functions", "projects", …
	ID         string // the last part; that of a project is Project too
}

// ServiceName names a Cloud Run service.
func ServiceName(project, location, id string) Name {
	return Name{RunAPI, known(project), known(location), "services", known(id)}
}

// FunctionName names a function of either generation.
func FunctionName(project, location, id string) Name {
	return Name{FunctionsAPI, known(project), known(location), "functions", known(id)}
}

// IAPName is the name under which IAP knows a Cloud Run service. IAP itself
// names the project by its number:
// https://docs.cloud.google.com/iap/docs/managing-access.
func IAPName(project, location, id string) Name {
	return Name{IAPAPI, known(project), known(location), "services", known(id)}
}

// ProjectName names a project by its ID or number.
func ProjectName(project string) Name { return NodeName("projects", project) }

// NodeName names one of "projects", "folders" or "organizations".
func NodeName(collection, id string) Name {
	n := Name{Host: ResourceManagerAPI, Collection: collection, ID: known(id)}
	if collection == "projects" {
		n.Project = n.ID
	}
	return n
}

// ServiceAccountName names a service account by its e-mail. Its project is
// that of the e-mail, "" where that does not tell.
func ServiceAccountName(email string) Name {
	return Name{IAMAPI, ParseAccount(email).Project, "", "serviceAccounts", known(email)}
}

// known returns a part of a name, "" for one that says nothing. No ID of
// Google's starts with a hyphen; alone it is the wildcard of lists.
func known(part string) string {
	if strings.HasPrefix(part, "-") {
		return ""
	}
	return part
}

// ParseName takes a name apart: "projects/P/locations/L/services/S", with
// "//run.googleapis.com/" or the URL of the API in front, or without; one of a
// node, "folders/1"; one that IAP gives to a service; or a short name alone,
// of which only the ID is known then. ok is false for all else, as for names
// with a resource below the last collection.
func ParseName(s string) (n Name, ok bool) {
	host, path := splitHost(s)
	if path == "" || strings.ContainsAny(path, " \t\r\n?#\"'") || strings.Contains(path, "//") {
		return Name{}, false
	}
	parts := strings.Split(path, "/")
	if len(parts) == 1 {
		return Name{Host: host, ID: known(s)}, host == "" && known(s) != ""
	}
	if n, ok := parseIAP(host, parts); ok {
		return n, true
	}
	if len(parts)%2 != 0 {
		return Name{}, false
	}
	n.Host = host
	located := false
	for i := 0; i < len(parts); i += 2 {
		key, value := parts[i], known(parts[i+1])
		last := i+2 == len(parts)
		switch {
		case i == 0 && (key == "projects" || key == "namespaces") && !last:
			n.Project = value
		case key == "locations" && n.Location == "" && n.Collection == "" && !last:
			n.Location, located = value, true
		case last && key != "" && known(key) != "":
			n.Collection, n.ID = key, value
		default:
			return Name{}, false
		}
	}
	return n.settled(located)
}

// settled completes a name with what its collection tells. located says that
// it has a location, known or not.
func (n Name) settled(located bool) (Name, bool) {
	if n.Collection == "locations" || n.Collection == "namespaces" || n.Node() && (n.Project != "" || n.Location != "") {
		return Name{}, false
	}
	if n.Collection == "projects" {
		n.Project = n.ID
	}
	with := n
	if located {
		with.Location = or(n.Location, RegionWord)
	}
	if c, ok := with.of(); ok {
		n.Host = c.host
	}
	return n, true
}

// splitHost takes the host and an API's version off a name.
func splitHost(s string) (host, path string) {
	rest, ok := strings.CutPrefix(strings.TrimPrefix(s, "https:"), "//")
	if !ok {
		return "", s
	}
	host, path, _ = strings.Cut(rest, "/")
	if strings.HasPrefix(s, "https:") && !strings.HasSuffix(host, ".googleapis.com") || host == "" {
		return "", ""
	}
	first, rest, ok := strings.Cut(path, "/")
	if ok && len(first) > 1 && first[0] == 'v' && first[1] >= '1' && first[1] <= '9' {
		path = rest
	}
	return host, path
}

const iapCloudRun = "cloud_run-"

// parseIAP reads "projects/N/iap_web/cloud_run-REGION/services/S".
func parseIAP(host string, parts []string) (Name, bool) {
	if len(parts) != 6 || parts[0] != "projects" || parts[2] != "iap_web" || parts[4] != "services" {
		return Name{}, false
	}
	location, ok := strings.CutPrefix(parts[3], iapCloudRun)
	if !ok || host != "" && host != IAPAPI {
		return Name{}, false
	}
	return IAPName(parts[1], location, parts[5]), true
}

// Node reports whether the name is that of a project, folder or organization.
func (n Name) Node() bool {
	return n.Collection == "projects" || n.Collection == "folders" || n.Collection == "organizations"
}

// Complete reports whether every part that the form of the name has is known.
func (n Name) Complete() bool {
	c, ok := n.of()
	if !ok || n.ID == "" {
		return false
	}
	return n.Node() || n.Project != "" && (!c.located || n.Location != "")
}

// String is the name relative to its API, "projects/P/locations/L/services/S".
// Parts that are not known are left out; it is "" where the ID is not known.
// A name that is not Complete is no key: two things can share it.
func (n Name) String() string {
	if n.ID == "" {
		return ""
	}
	if n.Collection == "" {
		return n.ID
	}
	var b strings.Builder
	add := func(key, value string) {
		if value != "" {
			b.WriteString(key + "/" + value + "/")
		}
	}
	if !n.Node() {
		add("projects", n.Project)
	}
	if n.Host == IAPAPI && n.Project != "" && n.Location != "" {
		b.WriteString("iap_web/" + iapCloudRun + n.Location + "/")
	} else {
		add("locations", n.Location)
	}
	return b.String() + n.Collection + "/" + n.ID
}

// Full is the full resource name, "//run.googleapis.com/projects/…", or ""
// where a part of it is not known.
func (n Name) Full() string {
	c, ok := n.of()
	if !ok || !n.Complete() {
		return ""
	}
	return "//" + c.host + "/" + n.String()
}

// Words fills the parts that are not known with words in capitals, for a
// command that a person completes.
func (n Name) Words() Name {
	c, ok := n.of()
	if !ok {
		c.word = "NAME"
	}
	n.ID = or(n.ID, c.word)
	if c.located {
		n.Location = or(n.Location, RegionWord)
	}
	if !n.Node() {
		n.Project = or(n.Project, ProjectWord)
	}
	return n
}

// Short names the resource in a sentence, "services/orders", with a word in
// capitals where the ID is not known.
func (n Name) Short() string {
	if n.Collection == "" {
		return n.ID
	}
	return n.Collection + "/" + n.Words().ID
}

// AssetType is the type under which Cloud Asset Inventory has the resource, ""
// where it has none or is not known. A gen1 function is Gen1FunctionAsset
// there, which its name does not tell.
func (n Name) AssetType() string {
	c, _ := n.of()
	return c.asset
}

// InProject is the name with another spelling of its project.
func (n Name) InProject(project string) Name {
	n.Project = project
	if n.Collection == "projects" {
		n.ID = project
	}
	return n
}

// Canonical spells the project as lookup does, which is given an ID or a
// number and returns "" for one that it does not know: the name is unchanged
// then.
func (n Name) Canonical(lookup func(project string) string) Name {
	if n.Project == "" {
		return n
	}
	if p := lookup(n.Project); p != "" {
		return n.InProject(p)
	}
	return n
}

// ServiceID is the ID of the Cloud Run service of a v2 function, as far as the
// function's own document does not say otherwise: in lower case, with hyphens.
func ServiceID(function string) string {
	return strings.ToLower(strings.ReplaceAll(function, "_", "-"))
}

// Service is the Cloud Run service that a name leads to: of a v2 function the
// one that it runs on, by ServiceID; of a name of IAP the one behind it. ok is
// false for other names.
func (n Name) Service() (service Name, ok bool) {
	switch {
	case n.Host == FunctionsAPI && n.Collection == "functions":
		return ServiceName(n.Project, n.Location, ServiceID(n.ID)), true
	case (n.Host == IAPAPI || n.Host == RunAPI) && n.Collection == "services":
		return ServiceName(n.Project, n.Location, n.ID), true
	}
	return Name{}, false
}

// IAP is the name under which IAP knows a Cloud Run service. ok is false for
// other names.
func (n Name) IAP() (name Name, ok bool) {
	if n.Host != RunAPI || n.Collection != "services" {
		return Name{}, false
	}
	return IAPName(n.Project, n.Location, n.ID), true
}

// IsNumber reports whether a project, folder or organization is named by
// number.
func IsNumber(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// Part returns the element behind a collection anywhere in a name, whatever
// its form, or "" where there is none or it is not known.
func Part(name, collection string) string {
	for {
		key, rest, ok := strings.Cut(name, "/")
		if !ok {
			return ""
		}
		if key == collection {
			id, _, _ := strings.Cut(rest, "/")
			return known(id)
		}
		name = rest
	}
}

// Last returns the last element of a name, whatever its form.
func Last(name string) string { return name[strings.LastIndexByte(name, '/')+1:] }
