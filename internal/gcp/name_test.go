package gcp

import (
	"strings"
	"testing"
)

func TestParseName(t *testing.T) {
	orders := ServiceName("shop", "europe-west1", "orders")
	tests := []struct {
		in   string
		want Name
	}{
		{"projects/shop/locations/europe-west1/services/orders", orders},
		{"//run.googleapis.com/projects/shop/locations/europe-west1/services/orders", orders},
		{"https://run.googleapis.com/v2/projects/shop/locations/europe-west1/services/orders", orders},
		{"projects/-/locations/-/services/orders", ServiceName("", "", "orders")},
		{"projects/shop/locations/-var.region/services/-var.name", ServiceName("shop", "", "")},
		{"namespaces/shop/services/orders", Name{"", "shop", "", "services", "orders"}},
		{"services/orders", ServiceName("", "", "orders")},
		{"orders", Name{ID: "orders"}},
		{"projects/1/locations/r/functions/f_1", FunctionName("1", "r", "f_1")},
		{"projects/shop", ProjectName("shop")},
		{"projects/-", ProjectName("")},
		{"//cloudresourcemanager.googleapis.com/projects/1", ProjectName("1")},
		{"folders/12", Name{ResourceManagerAPI, "", "", "folders", "12"}},
		{"//cloudresourcemanager.googleapis.com/organizations/3", Name{ResourceManagerAPI, "", "", "organizations", "3"}},
		{"//iap.googleapis.com/projects/1/iap_web/cloud_run-us-east1/services/s", IAPName("1", "us-east1", "s")},
		{"projects/1/iap_web/cloud_run-us-east1/services/s", IAPName("1", "us-east1", "s")},
		{"projects/p/subscriptions/s", Name{PubSubAPI, "p", "", "subscriptions", "s"}},
		{"projects/p/serviceAccounts/a@p.iam.gserviceaccount.com", ServiceAccountName("a@p.iam.gserviceaccount.com")},
		{"projects/p/locations/r/jobs/j", Name{"", "p", "r", "jobs", "j"}},
		{"//cloudscheduler.googleapis.com/projects/p/locations/r/jobs/j", Name{SchedulerAPI, "p", "r", "jobs", "j"}},
		{"projects/p/services/run.googleapis.com", Name{"", "p", "", "services", "run.googleapis.com"}},
		{"//run.s3nsapis.fr/projects/p/locations/r/services/s", Name{"run.s3nsapis.fr", "p", "r", "services", "s"}},
	}
	for _, tt := range tests {
		if got, ok := ParseName(tt.in); !ok || got != tt.want {
			t.Errorf("ParseName(%q) = %+v, %v, want %+v", tt.in, got, ok, tt.want)
		}
	}
}

func TestParseNameRefuses(t *testing.T) {
	for _, s := range []string{
		"", "-", "/", "//", "//run.googleapis.com", "//run.googleapis.com/orders", "a/b/c", "projects//locations/r/services/s",
		"projects/p/locations/r", "projects/p/locations/r/services", "projects/p/locations/r/services/s/revisions/v",
		"projects/p/global/backendServices/b", "https://orders-ab12cd34ef-ew.a.run.app/services/x", "folders/1/projects/2",
		"projects/p/folders/1", "projects/p/locations/r/projects/q", "locations/r", "projects/p q/locations/r/services/s",
		"projects/p/iap_web/compute-x/services/s/extra", "//run.googleapis.com/projects/1/iap_web/cloud_run-r/services/s",
		"organizations/1/roles/r",
	} {
		if n, ok := ParseName(s); ok {
			t.Errorf("ParseName(%q) = %+v, want none", s, n)
		}
	}
}

func TestNameForms(t *testing.T) {
	orders, f := ServiceName("shop", "europe-west1", "orders"), FunctionName("shop", "r", "Resize_Image")
	iap, _ := orders.IAP()
	behind, _ := iap.Service()
	below, _ := f.Service()
	number := func(p string) string { return map[string]string{"shop": "123"}[p] }
	tests := []struct{ what, got, want string }{
		{"full", orders.Full(), "//run.googleapis.com/projects/shop/locations/europe-west1/services/orders"},
		{"string", orders.String(), "projects/shop/locations/europe-west1/services/orders"},
		{"no project", ServiceName("", "r", "s").String(), "locations/r/services/s"},
		{"no project, full", ServiceName("", "r", "s").Full(), ""},
		{"no ID", ServiceName("p", "r", "-").String(), ""},
		{"hyphen", ServiceName("-", "-", "s").String(), "services/s"},
		{"iap", iap.Full(), "//iap.googleapis.com/projects/shop/iap_web/cloud_run-europe-west1/services/orders"},
		{"behind iap", behind.Full(), orders.Full()},
		{"below a function", below.Full(), "//run.googleapis.com/projects/shop/locations/r/services/resize-image"},
		{"folder", Name{ResourceManagerAPI, "", "", "folders", "1"}.Full(), "//cloudresourcemanager.googleapis.com/folders/1"},
		{"another universe", Name{"run.s3nsapis.fr", "p", "r", "services", "s"}.Full(), ""},
		{"short", orders.Short(), "services/orders"},
		{"short of nothing", ServiceName("p", "r", "").Short(), "services/SERVICE"},
		{"short name", Name{ID: "orders"}.Short(), "orders"},
		{"words", ServiceName("", "", "").Words().String(), "projects/PROJECT_ID/locations/REGION/services/SERVICE"},
		{"canonical", orders.Canonical(number).Project, "123"},
		{"canonical of a project", ProjectName("shop").Canonical(number).String(), "projects/123"},
		{"canonical, not known", ProjectName("other").Canonical(number).String(), "projects/other"},
		{"asset", orders.AssetType(), "run.googleapis.com/Service"},
		{"asset of IAP's", iap.AssetType(), ""},
		{"asset of another universe", Name{"run.s3nsapis.fr", "p", "r", "services", "s"}.AssetType(), ""},
		{"deny parent", ProjectName("shop").DenyParent(), "policies/cloudresourcemanager.googleapis.com%2Fprojects%2Fshop/denypolicies"},
		{"deny parent of a service", orders.DenyParent(), ""},
		{"part", Part("//compute.googleapis.com/projects/p/global/backendServices/b", "projects"), "p"},
		{"part, not known", Part("projects/-/serviceAccounts/e", "projects"), ""},
		{"function URL", FunctionURL(f), "https://r-shop.cloudfunctions.net/Resize_Image"},
		{"function URL, project by number", FunctionURL(FunctionName("12", "r", "f")), ""},
	}
	for _, tt := range tests {
		if tt.got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.what, tt.got, tt.want)
		}
	}
	if _, ok := ProjectName("p").IAP(); ok {
		t.Error("a project has a name at IAP")
	}
}

func TestParseDenyPolicy(t *testing.T) {
	on, id, ok := ParseDenyPolicy("policies/cloudresourcemanager.googleapis.com%2Ffolders%2F1/denypolicies/no-public")
	if !ok || on.String() != "folders/1" || id != "no-public" {
		t.Errorf("got %v %q %v", on, id, ok)
	}
	for _, s := range []string{"", "denypolicies/x", "policies/%zz/denypolicies/x", "policies/a/b/c"} {
		if _, _, ok := ParseDenyPolicy(s); ok {
			t.Errorf("ParseDenyPolicy(%q) is a name", s)
		}
	}
}

func FuzzParseName(f *testing.F) {
	for _, s := range []string{
		"projects/p/locations/l/services/s", "//iap.googleapis.com/projects/1/iap_web/cloud_run-r/services/s", "folders/1",
		"//run.googleapis.com/v2/projects/p/locations/l/jobs/j", "projects/-/locations/-/functions/f", "orders", "a/b",
		"https://pubsub.googleapis.com/projects/p/topics/t", "namespaces/n/services/s",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, ok := ParseName(s)
		if !ok {
			if n != (Name{}) && n.Collection != "" {
				t.Fatalf("%q is no name and gives %+v", s, n)
			}
			return
		}
		for _, part := range []string{n.Project, n.Location, n.ID} {
			if strings.HasPrefix(part, "-") || strings.Contains(part, "/") {
				t.Fatalf("%q gives the part %q", s, part)
			}
		}
		if full := n.Full(); full != "" {
			if again, ok := ParseName(full); !ok || again != n {
				t.Fatalf("%q is %+v, its full name %q is %+v, %v", s, n, full, again, ok)
			}
		}
		if text := n.String(); text != "" {
			again, ok := ParseName(text)
			again.Host = n.Host // which the relative name does not always tell
			if !ok || again != n {
				t.Fatalf("%q is %+v, its name %q is %+v, %v", s, n, text, again, ok)
			}
		}
	})
}
