package terraform_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"diagnose/checks/rules"
	"diagnose/internal/terraform"
)

func found(t *testing.T, pattern string) []string {
	t.Helper()
	dir := os.Getenv("DIAGNOSE_DATA")
	if dir == "" {
		t.Skip("DIAGNOSE_DATA names no folder with inputs of others")
	}
	files, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil || len(files) == 0 {
		t.Fatalf("no %s: %v", pattern, err)
	}
	return files
}

var placeholders = strings.NewReplacer("{{.Provider.project}}", "shop", "{{.Provider.credentials}}", "c", "{{.Provider.version}}", "1", "{{.Ancestry}}", "organization/1", "{{.OrgID}}", "1", "{{.FolderID}}", "7", "{{.Project.BillingAccountName}}", "b", "{{.Project.Name}}", "n", "{{.Project.ProjectId}}", "shop", "{{.Project.Number}}", "424242", "{{.Time.RFC3339Nano}}", "2026-01-01T00:00:00Z")

// Real plans are read, and their grants, all of roles/viewer, open nothing to
// the public.
func TestRealPlans(t *testing.T) {
	read := 0
	for _, file := range found(t, "tfplan/terraform-validator/*.tfplan.json") {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		text := regexp.MustCompile(`\{\{[^}]*\}\}`).ReplaceAllString(placeholders.Replace(string(data)), "x")
		p, err := terraform.ReadPlan([]byte(text), filepath.Base(file))
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		read++
		for _, f := range rules.Judge(p.After, rules.Options{Now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)}).Findings {
			if f.Rule == "grant-all-users" || f.Rule == "grant-all-authenticated" || f.Rule == "invoker-check-disabled" {
				t.Errorf("%s: %s: %s", filepath.Base(file), f.Rule, f.Message)
			}
			if f.Where.Address == "" {
				t.Errorf("%s: %s has no address", filepath.Base(file), f.Rule)
			}
			t.Logf("%s: %s %s %s", filepath.Base(file), f.Severity, f.Rule, f.Message)
		}
	}
	if read < 30 {
		t.Errorf("only %d plans were read", read)
	}
}
