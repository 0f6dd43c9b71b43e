package config

import (
	"strings"
	"testing"
	"time"
)

var names = Names{Rules: []string{"grant-all-users", "grant-domain"}, Severities: []string{"info", "high"}}

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
	if e := c.Expectations; len(e) != 2 || e[0].Line != 13 || e[1].Decision != "denied" {
		t.Errorf("%+v", e)
	}
	if c, err := Parse("empty.yaml", nil, names); err != nil || len(c.Ignores) > 0 {
		t.Errorf("empty: %+v, %v", c, err)
	}
}

func TestErrors(t *testing.T) {
	for doc, want := range map[string]string{
		"severity: {}":                                                         `d.yaml:1: unknown key "severity"; the keys here are severities, allowedDomains`,
		"severities:\n  grant-al: high":                                        `d.yaml:2: rule "grant-al" must be one of grant-all-users, grant-domain`,
		"severities:\n  grant-domain: bad":                                     `d.yaml:2: severity "bad" must be one of info, high`,
		"ignores:\n  - rule: grant-domain":                                     "d.yaml:2: an ignore needs a reason",
		"ignores:\n  - {rule: grant-domain, reason: r, expires: soon}":         "d.yaml:2: expires must be a day",
		"ignores:\n  - {rule: grant-domain, why: r}":                           `d.yaml:2: unknown key "why"; the keys here are rule, resource, member, reason, expires`,
		"expectations:\n  - {principal: mover, target: t, decision: allowed}":  "a principal that is a member",
		"expectations:\n  - {principal: 'user:a@b', target: t, decision: yes}": `decision "yes" must be one of allowed, denied`,
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
