package config

import (
	"strings"
	"testing"
	"time"

	"github.com/xeipuuv/gojsonschema"

	"diagnose/internal/yamldoc"
)

var names = Names{Rules: []string{"grant-all-users", "grant-domain"}, Severities: []string{"info", "high"}, Sources: []string{"internet", "vpc"}}

const whole = `# who may do what
severities:
  grant-domain: info
allowedDomains: [example.com]
allowedProjects: [shop]
allowedPrincipals: ["user:eve@*"]
ignores:
  - rule: grant-all-users
    resource: services/web
    reason: the web site
    expires: 2027-01-31
expectations:
  - {principal: "serviceAccount:mover@shop.iam.gserviceaccount.com", target: services/orders, decision: allowed}
  - {principal: allUsers, target: "*", decision: denied}
  - {principal: allAuthenticatedUsers, target: "*", decision: denied}
  - only: {target: services/orders, principals: ["user:*@example.com"]}
    when: {path: /admin, host: orders.example.com, source: vpc, time: 2027-01-31T12:00:00Z}
`

func TestParse(t *testing.T) {
	c, err := Parse("diagnose.yaml", []byte(whole), names)
	if err != nil {
		t.Fatal(err)
	}
	if c.Severities["grant-domain"] != "info" || c.AllowedDomains[0] != "example.com" || c.AllowedProjects[0] != "shop" || c.AllowedPrincipals[0] != "user:eve@*" {
		t.Errorf("%+v", c)
	}
	if i := c.Ignores[0]; i.Line != 8 || i.Reason != "the web site" || !i.Until().Equal(time.Date(2027, 2, 1, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("%+v until %s", i, i.Until())
	}
	if e := c.Expectations; len(e) != 4 || e[0].Line != 13 || e[1].Decision != "denied" || e[3].Only.Target != "services/orders" ||
		len(e[3].Only.Principals) != 1 || e[3].When.Source != "vpc" || !e[3].When.At().Equal(time.Date(2027, 1, 31, 12, 0, 0, 0, time.UTC)) {
		t.Errorf("%+v", e)
	}
	if c, err := Parse("empty.yaml", nil, names); err != nil || len(c.Ignores) > 0 {
		t.Errorf("empty: %+v, %v", c, err)
	}
}

func TestErrors(t *testing.T) {
	for doc, want := range map[string]string{
		"severity: {}":                                                                                `d.yaml:1: unknown key "severity"; the keys here are severities, allowedDomains`,
		"severities:\n  grant-al: high":                                                               `d.yaml:2: rule "grant-al" must be one of grant-all-users, grant-domain`,
		"severities:\n  grant-domain: bad":                                                            `d.yaml:2: severity "bad" must be one of info, high`,
		"ignores:\n  - rule: grant-domain":                                                            "d.yaml:2: an ignore needs a reason",
		"ignores:\n  - {rule: grant-domain, reason: r, expires: soon}":                                "d.yaml:2: expires must be a day",
		"ignores:\n  - {rule: grant-domain, why: r}":                                                  `d.yaml:2: unknown key "why"; the keys here are rule, resource, member, reason, expires`,
		"expectations:\n  - {principal: mover, target: t, decision: allowed}":                         "a principal that is a member",
		"expectations:\n  - {principal: 'user:a@b', target: t, decision: yes}":                        `decision "yes" must be one of allowed, denied`,
		"expectations:\n  - {only: {principals: ['user:a@b']}}":                                       "only needs a target",
		"expectations:\n  - {only: {target: t, principals: [mover]}}":                                 `principals are members, as serviceAccount:E-MAIL; got "mover"`,
		"expectations:\n  - {target: t, only: {target: t}}":                                           "an expectation with only has no other key but when",
		"expectations:\n  - {only: {target: t}}":                                                      "only needs principals",
		"expectations:\n  - {principal: allUsers, target: t, decision: denied, when: {path: a}}":      `path must begin with /; got "a"`,
		"expectations:\n  - {principal: allUsers, target: t, decision: denied, when: {host: 'a/b'}}":  `host must be a host name`,
		"expectations:\n  - {principal: allUsers, target: t, decision: denied, when: {time: noon}}":   `time must be RFC 3339`,
		"expectations:\n  - {principal: allUsers, target: t, decision: denied, when: {source: moon}}": `source "moon" must be one of internet, vpc`,
		"expectations:\n  - {only: {target: t, principal: x}}":                                        `unknown key "principal"; the keys here are target, principals`,
		"ignores: 7":             "d.yaml:1: expected a list",
		"a: [":                   "d.yaml: is not YAML",
		"- a":                    "d.yaml:1: expected a mapping",
		"allowedDomains: {a: b}": "d.yaml:1: expected a list",
	} {
		if _, err := Parse("d.yaml", []byte(doc), names); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v, want %q", doc, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(whole))
	f.Add([]byte("ignores: [{rule: x}]"))
	f.Add([]byte("a: &a [*a]"))
	f.Fuzz(func(t *testing.T, doc []byte) {
		if _, err := Parse("d", doc, names); err != nil && !strings.HasPrefix(err.Error(), "d") {
			t.Errorf("%v names no file", err)
		}
	})
}

// The schema accepts what Parse does, and refuses what it can tell to be wrong.
func TestSchema(t *testing.T) {
	data, err := Schema(names)
	if err != nil {
		t.Fatal(err)
	}
	schema, err := gojsonschema.NewSchema(gojsonschema.NewBytesLoader(data))
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]bool{
		whole: true, "{}": true,
		"expectations: [{only: {target: a, principals: []}}]":                                                   true,
		"expectations: [{only: {target: a}}]":                                                                   false,
		"expectations: [{principal: mover, target: a, decision: denied}]":                                       false,
		"expectations: [{principal: allUsers, target: a, decision: perhaps}]":                                   false,
		"expectations: [{principal: allUsers, target: a, decision: denied, when: {source: moon}}]":              false,
		"expectations: [{principal: allUsers, target: a, decision: denied, only: {target: a, principals: []}}]": false,
		"ignores: [{rule: '*'}]":              false,
		"severities: {grant-domain: extreme}": false,
		"unknown: 1":                          false,
	} {
		docs, err := yamldoc.Documents([]byte(text))
		if err != nil || len(docs) != 1 {
			t.Fatal(docs, err)
		}
		result, err := schema.Validate(gojsonschema.NewBytesLoader(docs[0].JSON))
		if err != nil {
			t.Fatal(err)
		}
		if result.Valid() != want {
			t.Errorf("%q: %v", text, result.Errors())
		}
		if _, err := Parse("d.yaml", []byte(text), names); (err == nil) != want {
			t.Errorf("Parse(%q): %v", text, err)
		}
	}
}
