package terraform_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"diagnose/checks/rules"
	"diagnose/internal/terraform"
)

// A generator writes configurations of services and grants in the ways in
// which Terraform lets one write them, and reads the grants naively.
type generator struct {
	*rand.Rand
	text strings.Builder
	open bool // a grant lets everyone invoke a service that the internet reaches
	made int
}

func (g *generator) pick(list ...string) string { return list[g.IntN(len(list))] }

// value writes a text in one of the ways: as it is, or through something else.
func (g *generator) value(s string) string {
	g.made++
	n := g.made
	switch g.IntN(6) {
	case 0:
		fmt.Fprintf(&g.text, "locals {\n  v%d = %q\n}\n", n, s)
		return fmt.Sprintf("local.v%d", n)
	case 1:
		fmt.Fprintf(&g.text, "variable \"v%d\" {\n  default = %q\n}\n", n, s)
		return fmt.Sprintf("var.v%d", n)
	case 2:
		return fmt.Sprintf("\"%s${%q}\"", s[:1], s[1:])
	case 3:
		fmt.Fprintf(&g.text, "variable \"v%d\" {\n  default = {\n    a = {\n      b = %q\n    }\n  }\n}\n", n, s)
		return fmt.Sprintf("var.v%d.a.b", n)
	case 4:
		return fmt.Sprintf("join(\"\", [%q, %q])", s[:1], s[1:])
	}
	return fmt.Sprintf("%q", s)
}

// number writes how often a block is there, and reports whether it is.
func (g *generator) number() (text string, there bool) {
	switch g.IntN(6) {
	case 0:
		return "  count = 0\n", false
	case 1:
		return "  count = length([1, 2]) - 1\n", true
	case 2:
		return "  for_each = toset([])\n", false
	case 3:
		return "  for_each = toset([\"a\"])\n", true
	}
	return "", true
}

func (g *generator) service(i int) {
	name := fmt.Sprintf("web%d", i)
	address := fmt.Sprintf("google_cloud_run_v2_service.s%d", i)
	unknownName := g.IntN(3) == 0
	id := g.value(name)
	if unknownName {
		id = "\"" + name + "-${var.unknown}\""
	}
	reachable := g.IntN(3) > 0
	ingress := "INGRESS_TRAFFIC_ALL"
	if !reachable {
		ingress = "INGRESS_TRAFFIC_INTERNAL_ONLY"
	}
	fmt.Fprintf(&g.text, "resource \"google_cloud_run_v2_service\" \"s%d\" {\n  name = %s\n  location = \"europe-west1\"\n  project = \"shop\"\n  ingress = %s\n}\n", i, id, g.value(ingress))
	for k := range g.IntN(3) {
		g.grant(fmt.Sprintf("m%d_%d", i, k), address, name, unknownName, reachable)
	}
}

func (g *generator) grant(label, address, name string, unknownName, reachable bool) {
	of := address + g.pick(".name", ".id")
	if !unknownName && g.IntN(2) == 0 {
		of = g.value(name)
	}
	role, who := g.pick("roles/run.invoker", "roles/run.admin", "roles/viewer"), g.pick("allUsers", "user:ann@example.com", "allUsers")
	times, there := g.number()
	roleText, whoText := g.value(role), g.value(who)
	kind, member := "member", "  member = "+whoText+"\n"
	switch g.IntN(3) {
	case 0:
		kind, member = "binding", "  members = ["+whoText+"]\n"
	case 1:
		fmt.Fprintf(&g.text, "data \"google_iam_policy\" %q {\n  binding {\n    role = %s\n    members = [%s]\n  }\n}\n", label, roleText, whoText)
		fmt.Fprintf(&g.text, "resource \"google_cloud_run_v2_service_iam_policy\" %q {\n%s  name = %s\n  location = \"europe-west1\"\n  project = \"shop\"\n"+
			"  policy_data = data.google_iam_policy.%s.policy_data\n}\n", label, times, of, label)
		g.opens(there && reachable && role != "roles/viewer" && who == "allUsers")
		return
	}
	fmt.Fprintf(&g.text, "resource \"google_cloud_run_v2_service_iam_%s\" %q {\n%s  name = %s\n  location = \"europe-west1\"\n  project = \"shop\"\n  role = %s\n%s}\n",
		kind, label, times, of, roleText, member)
	g.opens(there && reachable && role != "roles/viewer" && who == "allUsers")
}

func (g *generator) opens(is bool) { g.open = g.open || is }

// None of a thousand configurations passes whose grants, read naively, open a
// service; and most of those whose grants do not, pass.
func TestGenerated(t *testing.T) {
	dir, now := t.TempDir(), time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	open, shut, quiet := 0, 0, 0
	for seed := range uint64(1000) {
		g := &generator{Rand: rand.New(rand.NewPCG(seed, 1))}
		g.text.WriteString("variable \"unknown\" {}\n")
		for i := range 1 + g.IntN(3) {
			g.service(i)
		}
		if err := os.WriteFile(filepath.Join(dir, "main.tf"), []byte(g.text.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := terraform.ReadConfiguration(dir)
		if err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, g.text.String())
		}
		r := rules.Judge(c.Estate, rules.Options{Now: now})
		passed := r.AtLeast(rules.High) == 0 && r.Open() == 0
		switch {
		case g.open && passed:
			t.Fatalf("seed %d passes:\n%s", seed, g.text.String())
		case g.open:
			open++
		case passed:
			quiet++
			fallthrough
		default:
			shut++
		}
	}
	if open < 200 || shut < 200 || quiet < shut/4 {
		t.Errorf("%d open, %d shut, of which %d pass: the generator is one-sided", open, shut, quiet)
	}
}
