package gather_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"cloud.google.com/go/asset/apiv1/assetpb"
	"cloud.google.com/go/iam/apiv1/iampb"
	"cloud.google.com/go/run/apiv2/runpb"
	"google.golang.org/protobuf/proto"

	"diagnose/checks"
	"diagnose/internal/evidence"
	"diagnose/internal/gather"
	"diagnose/internal/gather/gathertest"
)

type policy = *iampb.Policy

// guessed reads with a project that nobody named.
func guessed(o *gather.Options) {
	o.Project, o.Defaults = "", gather.Defaults{Project: "shop", ProjectFrom: "GOOGLE_CLOUD_PROJECT"}
}

// A URL of another project is no wrong URL of this one, whoever named the
// project.
func TestURLOfAnotherProject(t *testing.T) {
	for url, change := range map[string]func(*gather.Options){
		"https://orders-zz99zz99zz-ew.a.run.app":          guessed, // the region that the letters hint at
		"https://orders-zz99zz99zz-uc.a.run.app/x":        guessed, // another one
		"https://v2---orders-zz99zz99zz-qq.a.run.app":     guessed, // letters that are not known
		"https://orders-zz99zz99zz-ew.a.run.app/?next=/":  func(*gather.Options) {},
		"https://orders-zz99zz99zz-ew.a.run.app/api.yaml": func(o *gather.Options) { o.Region = "europe-west1" },
	} {
		synctest.Test(t, func(t *testing.T) {
			_, err := collect(t, url, gathertest.Pipe(t, gathertest.WorldOf(load(t, "orders"))), change)
			var e *gather.Elsewhere
			if !errors.As(err, &e) || !strings.Contains(err.Error(), "is not a URL of a service of project shop") || !strings.Contains(err.Error(), "give --project") {
				t.Errorf("%s: %v", url, err)
			}
		})
	}
}

// What the guess comes from is said where it leads nowhere.
func TestGuessIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := gathertest.WorldOf(load(t, "orders"))
		for target, want := range map[string]string{
			"payments": `there is no function or service "payments" of project shop (from GOOGLE_CLOUD_PROJECT), nor`,
			"https://payments-ab12cd34ef-ew.a.run.app": `"payments" of project shop (from GOOGLE_CLOUD_PROJECT), nor anything with a similar name; if the URL is that of another project, give --project`,
		} {
			if _, err := collect(t, target, gathertest.Pipe(t, w), guessed); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v\nwant %s", target, err, want)
			}
		}
	})
}

// Names and URLs are found without the asset inventory: its API is off in most
// projects, and its index lags.
func TestFoundWithoutTheInventory(t *testing.T) {
	disk := load(t, "orders")
	for how, change := range map[string]func(*gathertest.Server){
		"API off":       func(s *gathertest.Server) { s.Faults["SearchAllResources"] = gathertest.Disabled },
		"not indexed":   func(s *gathertest.Server) { s.World.Fresh = true },
		"one by one":    func(s *gathertest.Server) { s.World.Fresh, s.World.Regional = true, true },
		"functions off": func(s *gathertest.Server) { s.World.Fresh, s.Faults["ListFunctions"] = true, gathertest.Deny },
	} {
		for _, target := range []string{"orders", "https://orders-ab12cd34ef-ew.a.run.app/", "https://orders-ab12cd34ef-ew.a.run.app/v1.json"} {
			t.Run(how+" "+target, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					d := disk
					if how == "functions off" { // a plain service
						d.Function, d.FunctionPolicy = evidence.Fact[evidence.Function]{}, evidence.Fact[policy]{}
					}
					server := gathertest.Pipe(t, gathertest.WorldOf(d))
					change(server)
					live, err := collect(t, target, server)
					if err != nil || !live.Service.Known() || !live.Policy.Known() {
						t.Fatalf("%v, service %v, policy %v", err, live.Service.Reason(), live.Policy.Reason())
					}
				})
			})
		}
	}
}

// Letters and flags tell the region of a hash URL, so that two rounds do.
func TestRegionOfURL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, change := range []func(*gather.Options){func(*gather.Options) {}, func(o *gather.Options) { o.Region = "europe-west1" }} {
			server := gathertest.Pipe(t, gathertest.WorldOf(load(t, "orders")))
			server.Faults["SearchAllResources"] = gathertest.Disabled
			server.Faults["ListServices"] = gathertest.Deny
			if _, err := collect(t, "https://orders-ab12cd34ef-ew.a.run.app", server, change); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestFlagsAgainstTheTarget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := gathertest.Pipe(t, gathertest.WorldOf(load(t, "orders")))
		for target, change := range map[string]func(*gather.Options){
			fullFunction: func(o *gather.Options) { o.Project = "other" },
			"https://orders-424242.europe-west1.run.app": func(o *gather.Options) { o.Region = "us-east1" },
		} {
			var c *gather.Contradiction
			if _, err := collect(t, target, server, change); !errors.As(err, &c) {
				t.Errorf("%s: %v", target, err)
			}
		}
		// A default says nothing against a target.
		if _, err := collect(t, fullFunction, server, func(o *gather.Options) {
			o.Project, o.Defaults = "", gather.Defaults{Project: "other", Region: "us-east1"}
		}); err != nil {
			t.Error(err)
		}
	})
}

// A URL with the wrong region is answered: 404, as from the documents.
func TestWrongRegionIsAnAnswer(t *testing.T) {
	for _, url := range []string{"https://europe-west4-shop.cloudfunctions.net/orders", "https://orders-424242.us-central1.run.app/"} {
		synctest.Test(t, func(t *testing.T) {
			live, err := collect(t, url, gathertest.Pipe(t, gathertest.WorldOf(load(t, "orders"))))
			if err != nil {
				t.Fatal(err)
			}
			v := checks.Judge(live, checks.Options{})
			if v.Decision != checks.Denied || cause(v) != "route-host" {
				t.Errorf("%s: %s by %s: %s", url, v.Decision, cause(v), v.Headline())
			}
		})
	}
}

// Near names are listed once, and as what they are.
func TestNearOfAnotherKind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := gathertest.WorldOf(load(t, "orders"))
		w.Others = []*assetpb.ResourceSearchResult{
			resource("cloudfunctions.googleapis.com/Function", "functions", "us-central1", "billing"),
			resource("run.googleapis.com/Service", "services", "us-central1", "billing"),
			resource("run.googleapis.com/Service", "services", "us-central1", "reports"),
		}
		for target, want := range map[string]string{
			"bilings": "near it: billing in us-central1",
			"projects/shop/locations/us-central1/functions/report": "near it: the service reports in us-central1",
			"projects/shop/locations/us-central1/services/biling":  "near it: billing in us-central1",
		} {
			_, err := collect(t, target, gathertest.Pipe(t, w))
			var m *gather.Missing
			if !errors.As(err, &m) || !strings.HasSuffix(err.Error(), want) {
				t.Errorf("%s: %v\nwant %s", target, err, want)
			}
		}
	})
}

// Cloud Functions that are off in the target's project have no function, and
// the name is wrong; off elsewhere, or refused, they tell nothing.
func TestFunctionsOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := load(t, "orders")
		disk.Function, disk.FunctionPolicy = evidence.Fact[evidence.Function]{}, evidence.Fact[policy]{}
		server := gathertest.Pipe(t, gathertest.WorldOf(disk))
		here := func(o *gather.Options) { o.Region = "europe-west1" }
		server.Faults["GetFunction"], server.Faults["ListFunctions"] = gathertest.Disabled, gathertest.Disabled
		if _, err := collect(t, "ordres", server, here); err == nil || !strings.Contains(err.Error(), "near it: orders in europe-west1") {
			t.Errorf("off: %v", err)
		}
		if live, err := collect(t, "orders", server, here); err != nil || !errors.Is(live.Function.Reason(), evidence.ErrNotGathered) {
			t.Errorf("off: %v, function %v", err, live.Function.Reason())
		}
		server.Faults["GetFunction"] = gathertest.Refuse("SERVICE_DISABLED", "consumer", "projects/elsewhere")
		if _, err := collect(t, "ordres", server, here); err == nil || !strings.Contains(err.Error(), `there is no service "ordres" in europe-west1 of project shop, and it is unknown whether there is a function of that name`) {
			t.Errorf("elsewhere: %v", err)
		}
	})
}

// The inventory names projects by ID: a target by number is looked up first.
func TestByNumber(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := load(t, "orders")
		for _, target := range []string{"projects/424242/locations/europe-west1/functions/orders", "https://orders-424242.europe-west1.run.app/"} {
			server := gathertest.Pipe(t, gathertest.WorldOf(disk))
			server.Faults["Run.GetIamPolicy"] = gathertest.Deny // the inventory has it too
			live, err := collect(t, target, server)
			if err != nil {
				t.Fatal(err)
			}
			if !proto.Equal(live.Policy.Or(nil), disk.Policy.Or(nil)) || len(live.Groups.Or(nil)) == 0 || len(live.Roles.Or(nil)) == 0 {
				t.Errorf("%s: policy %v, groups %v, roles %v", target, live.Policy.Reason(), live.Groups.Reason(), live.Roles.Reason())
			}
			if a := live.Ancestors.Or(nil); len(a) != 3 || a[0].ID != "shop" || !a[2].Policy.Known() {
				t.Errorf("%s: ancestors %+v", target, a)
			}
		}
	})
}

// A service without URLs shows nothing against a URL.
func TestServiceWithoutURLs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := load(t, "orders")
		svc := proto.Clone(disk.Service.Or(nil)).(*runpb.Service)
		svc.Uri, svc.Urls = "", nil
		disk.Service = evidence.Known(svc, disk.Service.Source)
		if _, err := collect(t, "https://orders-ab12cd34ef-ew.a.run.app", gathertest.Pipe(t, gathertest.WorldOf(disk))); err != nil {
			t.Error(err)
		}
	})
}
