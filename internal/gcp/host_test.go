package gcp

import (
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseHost(t *testing.T) {
	tests := []struct {
		in   string
		want Host
	}{
		{"", Host{Kind: NoHost}},
		{"orders-123456789012.europe-west1.run.app", Host{Kind: RunHost, Service: "orders", Number: "123456789012", Region: "europe-west1"}},
		{"Orders-ab12cd34ef-ew.a.run.app", Host{Kind: RunHost, Service: "orders", Hash: "ab12cd34ef", Code: "ew"}},
		{"v2---orders-ab12cd34ef-ew.a.run.app:443", Host{Kind: RunHost, Tag: "v2", Service: "orders", Hash: "ab12cd34ef", Code: "ew", Port: "443"}},
		{"other.run.app", Host{Kind: RunHost}},
		{"europe-west1-shop.cloudfunctions.net", Host{Kind: FunctionsHost, Region: "europe-west1", Project: "shop"}},
		{"run.googleapis.com", Host{Kind: APIHost}},
		{"run.app", Host{}},
		{"orders.run.app.example.com", Host{}},
		{"run.s3nsapis.fr", Host{}},
		{"localhost:8080", Host{Port: "8080"}},
	}
	for _, tt := range tests {
		got := ParseHost(tt.in)
		tt.want.Name = strings.TrimSuffix(strings.ToLower(tt.in), ":"+tt.want.Port)
		if tt.want.Port == "" {
			tt.want.Name = strings.ToLower(tt.in)
		}
		if d := cmp.Diff(tt.want, got); d != "" {
			t.Errorf("ParseHost(%q): %s", tt.in, d)
		}
	}
}

func TestParseAddress(t *testing.T) {
	tests := []struct {
		in   string
		want Address
	}{
		{"https://v1---orders-12.us-east1.run.app/x", Address{Host: "orders-12.us-east1.run.app", Service: "orders", Number: "12", Region: "us-east1"}},
		{"https://us-east1-shop.cloudfunctions.net/hello/more", Address{Host: "us-east1-shop.cloudfunctions.net", Function: "hello", Project: "shop", Region: "us-east1"}},
		{"https://api.example.com/hello", Address{Host: "api.example.com"}},
		{"%zz", Address{}},
	}
	for _, tt := range tests {
		if d := cmp.Diff(tt.want, ParseAddress(tt.in)); d != "" {
			t.Errorf("ParseAddress(%q): %s", tt.in, d)
		}
	}
	if u, _ := url.Parse("https://example.com/hello"); FunctionOf(u) != "" || FunctionOf(nil) != "" {
		t.Error("a function is read from another host")
	}
}

func TestFindAddresses(t *testing.T) {
	got := FindAddresses("GET https://a---orders-ab12cd34ef-ew.a.run.app/x, (us-east1-shop.cloudfunctions.net/f) not run.application.com")
	if len(got) != 2 || got[0].Service != "orders" || got[0].Hash != "ab12cd34ef" || got[1].Project != "shop" || got[1].Function != "f" {
		t.Errorf("got %+v", got)
	}
}

func FuzzParseHost(f *testing.F) {
	f.Add("a---orders-ab12cd34ef-ew.a.run.app:80")
	f.Add("europe-west1-shop.cloudfunctions.net")
	f.Fuzz(func(t *testing.T, s string) {
		h := ParseHost(s)
		if again := ParseHost(h.Name); h.Port != "" && !strings.Contains(h.Name, ":") && again.Service != h.Service {
			t.Fatalf("%q is %+v, without its port %+v", s, h, again)
		}
		if h.Tag != "" && ParseHost(h.Untagged()).Service != h.Service {
			t.Fatalf("%q loses its service with its tag", s)
		}
	})
}

func TestIngress(t *testing.T) {
	for i := IngressAll; i <= IngressNone; i++ {
		for _, w := range []string{i.Run(), i.Annotation(), i.Functions(), i.FunctionsFlag()} {
			if w != "" && ParseIngress(w) != i {
				t.Errorf("ParseIngress(%q) = %v, want %v", w, ParseIngress(w), i)
			}
		}
	}
	for _, w := range []string{"", "5", "ALL", "internal_only"} {
		if got := ParseIngress(w); got != UnknownIngress {
			t.Errorf("ParseIngress(%q) = %v", w, got)
		}
	}
	if ParseIngress("INGRESS_TRAFFIC_UNSPECIFIED") != IngressAll || Ingress(9).Run() != "" || UnknownIngress.String() != "unknown" {
		t.Error("the default or the unknown is wrong")
	}
}

func TestNearest(t *testing.T) {
	if d := Distance("deploer", "deployer"); d != 1 {
		t.Errorf("a letter less: %d", d)
	}
	if !Within("deploer", "deployer", 1) || Within("deploer", "deployers", 1) || Within("a", "abcd", 2) || Within("abcd", "a", 2) {
		t.Error("Within counts otherwise than Distance")
	}
	if d := Distance("orders", "odrers"); d != 1 {
		t.Errorf("two letters swapped: %d", d)
	}
	got := Nearest("oders", []string{"billing", "orders-eu", "orders", "Orders"}, 5)
	if d := cmp.Diff([]string{"Orders", "orders"}, got); d != "" {
		t.Error(d)
	}
	if Alike("", "x") {
		t.Error("nothing is like a name")
	}
}
