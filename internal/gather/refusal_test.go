package gather_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/genproto/googleapis/api/error_reason"
	"google.golang.org/grpc/codes"

	"diagnose/internal/gather"
	"diagnose/internal/gather/gathertest"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// refusals are those of Google's front end and of IAM, as they are sent.
var refusals = []struct {
	reason string
	pairs  []string
}{
	{"SERVICE_DISABLED", []string{"consumer", "projects/555555", "service", "run.googleapis.com"}},
	{"SERVICE_DISABLED", []string{"consumer", "projects/764086051850", "service", "run.googleapis.com"}},
	{"SERVICE_DISABLED", []string{"consumer", "projects/32555940559", "service", "run.googleapis.com"}},
	{"SERVICE_NOT_VISIBLE", []string{"consumer", "projects/shop"}},
	{"USER_PROJECT_DENIED", []string{"consumer", "projects/billing-home"}},
	{"CONSUMER_INVALID", []string{"consumer", "projects/shpo"}},
	{"RESOURCE_PROJECT_INVALID", nil},
	{"CONSUMER_SUSPENDED", []string{"consumer", "projects/shop"}},
	{"GCP_SUSPENDED", nil},
	{"BILLING_DISABLED", []string{"consumer", "projects/shop"}},
	{"LOCATION_POLICY_VIOLATED", []string{"consumer", "projects/shop", "location", "locations/europe-wst1"}},
	{"LOCATION_POLICY_VIOLATED", nil},
	{"SECURITY_POLICY_VIOLATED", []string{"consumer", "projects/shop", "uid", "abc123"}},
	{"RESOURCE_USAGE_RESTRICTION_VIOLATED", []string{"consumer", "projects/shop"}},
	{"ORG_RESTRICTION_VIOLATION", nil},
	{"USER_BLOCKED_BY_ADMIN", nil},
	{"ACCESS_TOKEN_SCOPE_INSUFFICIENT", nil},
	{"ACCESS_TOKEN_EXPIRED", nil},
	{"ACCESS_TOKEN_TYPE_UNSUPPORTED", nil},
	{"CREDENTIALS_MISSING", nil},
	{"SESSION_COOKIE_INVALID", nil},
	{"ACCOUNT_STATE_INVALID", []string{"email", "gone@shop.iam.gserviceaccount.com"}},
	{"RATE_LIMIT_EXCEEDED", []string{"consumer", "projects/shop", "quota_metric", "run.googleapis.com/read_requests"}},
	{"RESOURCE_QUOTA_EXCEEDED", []string{"consumer", "projects/shop", "quota_metric", "x", "quota_limit", "CallsPerDay"}},
	{"IAM_PERMISSION_DENIED", []string{"permission", "run.services.get", "resource", "projects/shop/locations/europe-west1/services/orders"}},
	{"IAM_PERMISSION_DENIED", []string{"permission", "resourcemanager.projects.get", "resource", "projects/shop"}},
	{"IAM_PERMISSION_DENIED", nil},
}

// The advice for each refusal of the service's document, as it is shown.
func TestAdvice(t *testing.T) {
	var b strings.Builder
	for _, r := range refusals {
		synctest.Test(t, func(t *testing.T) {
			server := gathertest.Pipe(t, gathertest.WorldOf(load(t, "orders")))
			domain := "googleapis.com"
			if r.reason == "IAM_PERMISSION_DENIED" {
				domain = "iam.googleapis.com"
			}
			err := gathertest.Refused(r.reason, domain, r.pairs...)
			server.Faults["GetService"] = func(ctx context.Context, _ int) error { return err }
			live, lost := collect(t, fullFunction, server, func(o *gather.Options) { o.Timeout = time.Minute })
			if lost != nil {
				t.Fatalf("%s: %v", r.reason, lost)
			}
			fmt.Fprintf(&b, "%s %s\n  %v\n", r.reason, strings.Join(r.pairs, " "), live.Service.Reason())
		})
	}
	golden(t, "advice", b.String())
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil || string(want) != got {
		t.Errorf("%s differs: run go test ./internal/gather -update (%v)\n%s", file, err, got)
	}
}

// Every reason that is answered is one of the API's own list.
func TestReasonsArePublished(t *testing.T) {
	for _, r := range gather.Reasons() {
		if _, ok := error_reason.ErrorReason_value[r]; !ok && r != "IAM_PERMISSION_DENIED" {
			t.Errorf("%s is no reason of Google's", r)
		}
		if !slices.ContainsFunc(refusals, func(x struct {
			reason string
			pairs  []string
		}) bool {
			return x.reason == r
		}) {
			t.Errorf("the advice for %s is not shown in a test", r)
		}
	}
}

// A quota that is used up for a moment is waited for, one of a day is not.
func TestQuotaIsWaitedFor(t *testing.T) {
	for limit, calls := range map[string]int{"ReadsPerMinutePerProject": 3, "AnalysesPerDayPerOrganization": 1} {
		synctest.Test(t, func(t *testing.T) {
			server := gathertest.Pipe(t, gathertest.WorldOf(load(t, "orders")))
			server.Faults["GetService"] = func(_ context.Context, n int) error {
				if n < 3 {
					return gathertest.Refused("RATE_LIMIT_EXCEEDED", "googleapis.com", "quota_limit", limit)
				}
				return nil
			}
			live, err := collect(t, fullFunction, server)
			if err != nil {
				t.Fatal(err)
			}
			if live.Service.Known() != (calls == 3) || server.Calls("GetService") != calls {
				t.Errorf("%s: %d calls, want %d: %v", limit, server.Calls("GetService"), calls, live.Service.Reason())
			}
		})
	}
}

// What the API said last is told, and not that time ran out.
func TestUnavailableKeepsItsWords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := gathertest.Pipe(t, gathertest.WorldOf(load(t, "orders")))
		server.Faults["GetService"] = gathertest.Fail(codes.Unavailable, "backend of europe-west1 is down")
		live, err := collect(t, fullFunction, server)
		if err != nil {
			t.Fatal(err)
		}
		if s := live.Service.Reason().Error(); !strings.Contains(s, "the API did not answer (backend of europe-west1 is down)") {
			t.Error(s)
		}
	})
}
