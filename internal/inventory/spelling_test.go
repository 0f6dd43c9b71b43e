package inventory

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/text/encoding/unicode"

	"diagnose/checks/rules"
)

const (
	webName   = "//run.googleapis.com/projects/shop/locations/europe-west1/services/web"
	webPlace  = `"ancestors":["projects/424242","organizations/1"]`
	webData   = `{"apiVersion":"serving.knative.dev/v1","kind":"Service","metadata":{"name":"web","namespace":"424242","generation":1.0,"annotations":{"run.googleapis.com/ingress":"all"}},"spec":{"traffic":[{"percent":100.0,"latestRevision":true}]},"status":{"observedGeneration":1e0}}`
	webPolicy = `{"bindings":[{"role":"roles/run.invoker","members":["allUsers"]}]}`
)

// One public service, in everything that Google's tools write it in.
func TestSpellings(t *testing.T) {
	resource := `{"name":"` + webName + `","assetType":"run.googleapis.com/Service",` + webPlace + `,"resource":{"data":` + webData + `}}`
	policy := `{"name":"` + webName + `","assetType":"run.googleapis.com/Service",` + webPlace + `,"iamPolicy":` + webPolicy + `}`
	quoted, _ := json.Marshal(webData)
	row := `{"name":"` + webName + `","asset_type":"run.googleapis.com/Service",` + webPlace + `,"update_time":"2026-02-17 14:15:07 UTC","resource":{"data":` + string(quoted) + `}}`
	rowPolicy := `{"name":"` + webName + `","asset_type":"run.googleapis.com/Service",` + webPlace + `,"iam_policy":{"version":"1","bindings":[{"role":"roles/run.invoker","members":["allUsers"],"condition":null}]}}`
	temporal := func(asset string) string {
		return `{"asset":` + asset + `,"window":{"startTime":"2026-01-01T00:00:00Z"},"deleted":false}`
	}
	envelope := func(s string) string {
		return `{"message":{"data":"` + base64.StdEncoding.EncodeToString([]byte(s)) + `","messageId":"1"}}`
	}
	place := `"project":"projects/424242","organization":"organizations/1"`
	found := `{"name":"` + webName + `","assetType":"run.googleapis.com/Service",` + place + `,"versionedResources":[{"version":"v1","resource":` + webData + `}]}`
	foundPolicy := `{"resource":"` + webName + `","assetType":"run.googleapis.com/Service",` + place + `,"policy":` + webPolicy + `}`
	utf16, err := unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewEncoder().String("[" + resource + "," + policy + "]")
	if err != nil {
		t.Fatal(err)
	}
	yaml := "---\nancestors:\n- projects/424242\n- organizations/1\nassetType: run.googleapis.com/Service\nname: " + webName + "\nresource:\n  data: " + webData +
		"\n---\nancestors:\n- projects/424242\n- organizations/1\nassetType: run.googleapis.com/Service\nname: " + webName + "\niamPolicy:\n  bindings:\n  - members:\n    - allUsers\n    role: roles/run.invoker\n"
	for name, data := range map[string]string{
		"export":           resource + "\n" + policy,
		"BigQuery":         row + "\n" + rowPolicy + "\n",
		"BigQuery, list":   "[\n" + row + ",\n" + rowPolicy + "\n]",
		"feed":             temporal(resource) + "\n" + temporal(policy),
		"Pub/Sub":          "[" + envelope(temporal(resource)) + "," + envelope(temporal(policy)) + "]",
		"Pub/Sub, REST":    `{"receivedMessages":[` + envelope(temporal(resource)) + `,` + envelope(temporal(policy)) + `]}`,
		"search":           "[" + found + "," + foundPolicy + "]",
		"search, REST":     `{"results":[` + found + `]}` + "\n" + `{"results":[` + foundPolicy + `]}`,
		"REST":             `{"readTime":"2026-01-01T00:00:00Z","assets":[` + resource + `,` + policy + `]}`,
		"REST, over lines": "{\n  \"assets\": [\n" + resource + ",\n" + policy + "\n]\n}",
		"REST, empty page": "{}\n" + resource + "\n" + policy,
		"YAML":             yaml,
		"YAML, list":       "- " + resource + "\n- " + policy + "\n",
		"UTF-16":           utf16,
	} {
		e, s := readAll(t, Options{}, write(t, "export", []byte(data)))
		r := rules.Judge(e, rules.Options{Now: now})
		var got []string
		for _, f := range r.Findings {
			got = append(got, fmt.Sprint(f.Rule, " ", f.Member, " ", f.Reach))
		}
		want := []string{"grant-all-users allUsers {1 true}", "ingress-all-public  {1 true}"}
		if s.Odd > 0 || len(s.Foreign) > 0 || !slices.Equal(got, want) || r.Summary.Services != 1 || r.Summary.Public != 1 {
			t.Errorf("%s: %q, %+v, %v %v", name, got, r.Summary, s.Oddities, s.Foreign)
		}
	}
}

// What is no inventory is named in one line; an answer with a further page is
// not whole.
func TestForeign(t *testing.T) {
	for data, want := range map[string]string{
		"package main\n\nfunc main() {\n}\n":                      "it is text",
		`{"format_version":"1.2","terraform_version":"1.9"}`:      "it is a Terraform plan",
		"{\n  \"analysisResults\": []\n}":                         "gcloud asset analyze-iam-policy",
		"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: x\n": "it is a Kubernetes resource",
	} {
		_, s := readAll(t, Options{}, write(t, "export", []byte(data)))
		if len(s.Foreign) != 1 || !strings.Contains(s.Foreign[0], want) || s.Odd > 0 || len(s.Oddities) > 0 {
			t.Errorf("%q: %q, %v", data, s.Foreign, s.Oddities)
		}
	}
	_, s := readAll(t, Options{}, write(t, "export", []byte(`{"assets":[`+orders+`],"nextPageToken":"x"}`)))
	if len(s.Incomplete) != 1 || !strings.Contains(s.Incomplete[0], "nextPageToken") {
		t.Errorf("%q", s.Incomplete)
	}
}

// Of an asset that the input has twice the newest state counts, in any order:
// also where that has nothing that matters, and where the asset was deleted.
func TestNewest(t *testing.T) {
	at := func(l, time string) string {
		return strings.Replace(l, `{"name"`, `{"update_time":"`+time+`","name"`, 1)
	}
	grant := func(role, member string) string {
		return policyOn("run.googleapis.com/Service", "//run.googleapis.com/projects/shop/locations/europe-west1/services/orders", role, member)
	}
	open := at(grant("roles/run.invoker", "allUsers"), "2026-01-01T00:00:00Z")
	gone := `{"asset":` + at(grant("roles/run.invoker", "allUsers"), "2026-01-01T00:00:00Z") + `,"deleted":true,"window":{"startTime":"2026-02-01T00:00:00Z"}}`
	for name, c := range map[string]struct {
		lines []string
		want  bool
	}{
		"closed since":     {[]string{orders, open, at(grant("roles/run.invoker", "user:ann@example.com"), "2026-02-01 00:00:00 UTC")}, false},
		"nothing left":     {[]string{orders, open, at(grant("roles/viewer", "allUsers"), "2026-02-01T00:00:00Z")}, false},
		"opened since":     {[]string{orders, open, at(grant("roles/viewer", "allUsers"), "2025-02-01T00:00:00Z")}, true},
		"when, not known":  {[]string{orders, open, grant("roles/viewer", "allUsers")}, true},
		"deleted":          {[]string{open, gone}, false},
		"made anew since":  {[]string{gone, at(grant("roles/run.invoker", "allUsers"), "2026-03-01T00:00:00Z")}, true},
		"a newer resource": {[]string{at(orders, "2026-01-01T00:00:00Z"), open, at(strings.Replace(orders, `"namespace"`, `"annotations":{"run.googleapis.com/ingress":"internal"},"namespace"`, 1), "2026-02-01T00:00:00Z")}, true},
	} {
		for range 2 {
			slices.Reverse(c.lines)
			e, _ := readAll(t, Options{}, write(t, "export", []byte(strings.Join(c.lines, "\n"))))
			r := rules.Judge(e, rules.Options{Now: now})
			got := slices.ContainsFunc(r.Findings, func(f rules.Finding) bool { return f.Rule == "grant-all-users" })
			if got != c.want || name == "a newer resource" && r.Summary.Public > 0 {
				t.Errorf("%s: found %v, want %v; %d public", name, got, c.want, r.Summary.Public)
			}
		}
	}
}

// What is passed over at the first look is what a parser would leave out.
func TestDismiss(t *testing.T) {
	const bucket = `{"name":"//storage.googleapis.com/b","asset_type":"storage.googleapis.com/Bucket","x":{}}`
	for l, want := range map[string]bool{
		bucket: true,
		strings.Replace(bucket, `"x":{}`, `"asset_type":"run.googleapis.com/Service"`, 1):         false,
		strings.Replace(bucket, `"x":{}`, `"assetType":"run.googleapis.com/Service"`, 1):          false,
		strings.Replace(bucket, `"x":{}`, `"asset\u005ftype":"run.googleapis.com/Service"`, 1):    false,
		strings.Replace(bucket, "storage.googleapis.com/Bucket", "run.googleapis.com/Service", 1): false,
		strings.Replace(bucket, `"name"`, ` "name"`, 1):                                           false,
		bucket[:40] + bucket: false, bucket[:len(bucket)-2] + "}": false, "": false,
	} {
		if got := dismiss([]byte(l)); got != want {
			t.Errorf("%s: %v, want %v", l, got, want)
		}
	}
}
