package gather_test

import (
	"strings"
	"testing"
	"testing/synctest"

	"google.golang.org/grpc/codes"

	"diagnose/checks"
	"diagnose/internal/gather"
	"diagnose/internal/gather/gathertest"
)

// What was taken from a default is said, and nothing that rests on it alone is
// proven: the URL may be that of another project.
func TestGuesses(t *testing.T) {
	const hashed, numbered = "https://orders-ab12cd34ef-ew.a.run.app/", "https://orders-424242.europe-west1.run.app"
	variable := gather.Defaults{Project: "shop", ProjectFrom: "GOOGLE_CLOUD_PROJECT"}
	region := gather.Defaults{Project: "shop", ProjectFrom: "gcloud property core/project", Region: "europe-west1", RegionFrom: "gcloud property run/region"}
	for _, test := range []struct {
		target   string
		project  string
		region   string
		defaults gather.Defaults
		refused  []string
		want     string
	}{
		{"orders", "", "", variable, nil, "the target is in project shop (from GOOGLE_CLOUD_PROJECT)"},
		{"orders", "", "europe-west1", variable, nil, "the target is in project shop (from GOOGLE_CLOUD_PROJECT)"},
		{"orders", "", "", region, nil, "the target is in project shop (from gcloud property core/project)|the target is in europe-west1 (from gcloud property run/region)"},
		{"orders", "shop", "europe-west1", region, nil, ""},
		{fullFunction, "", "", region, nil, ""},
		{numbered, "", "", region, nil, ""},
		{hashed, "", "", variable, nil, ""}, // the service lists it
		{hashed, "shop", "", variable, nil, ""},
		{hashed, "", "", variable, []string{"GetService"}, "the target is in project shop (from GOOGLE_CLOUD_PROJECT)|the target is in europe-west1 (from the letters in its URL)"},
		{hashed, "shop", "", variable, []string{"GetService"}, "the target is in europe-west1 (from the letters in its URL)|https://orders-ab12cd34ef-ew.a.run.app is a URL of the target"},
	} {
		synctest.Test(t, func(t *testing.T) {
			disk := load(t, "orders")
			server := gathertest.Pipe(t, gathertest.WorldOf(disk))
			for _, m := range test.refused {
				server.Faults[m] = gathertest.Deny
			}
			live, err := collect(t, test.target, server, func(o *gather.Options) {
				o.Project, o.Region, o.Defaults = test.project, test.region, test.defaults
			})
			if err != nil {
				t.Fatalf("%s: %v", test.target, err)
			}
			if got := strings.Join(live.Guessed, "|"); got != test.want {
				t.Errorf("%s with %+v: guessed %q, want %q", test.target, test.defaults, got, test.want)
			}
			v := checks.Judge(overlay(live, disk), checks.Options{NoFixes: true})
			if test.want != "" && v.Basis == checks.Proven {
				t.Errorf("%s: %s, proven", test.target, v.Headline())
			}
			for _, guess := range live.Guessed {
				said := false
				for _, a := range v.Assumptions {
					said = said || a.Text == guess
				}
				if !said {
					t.Errorf("%s: the verdict does not say that %s: %v", test.target, guess, v.Assumptions)
				}
			}
		})
	}
}

// A URL that is none of the service's in the project that was guessed is the
// finding, and so is a flag that names another project than the URL.
func TestGuessContradicted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := gathertest.Pipe(t, gathertest.WorldOf(load(t, "orders")))
		for target, want := range map[string]string{
			"https://orders-zz99zz99zz-ew.a.run.app/":    "https://orders-zz99zz99zz-ew.a.run.app is not a URL of a service of project shop (from GOOGLE_CLOUD_PROJECT), whose service \"orders\" answers at https://orders-ab12cd34ef-ew.a.run.app: give --project, the one of this URL",
			"https://orders-424242.europe-west1.run.app": "--project=other-project is not what the target says, which names shop",
		} {
			_, err := collect(t, target, server, func(o *gather.Options) {
				o.Defaults = gather.Defaults{Project: "shop", ProjectFrom: "GOOGLE_CLOUD_PROJECT"}
				if o.Project = ""; strings.Contains(want, "--project=") {
					o.Project = "other-project"
				}
			})
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v\nwant %s", target, err, want)
			}
		}
		server.Faults["GetService"] = gathertest.Fail(codes.NotFound, "gone")
		if _, err := collect(t, "https://orders-zz99zz99zz-ew.a.run.app/", server); err == nil {
			t.Error("a URL of a service that is not there is judged")
		}
	})
}
