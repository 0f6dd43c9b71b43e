package gather_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cloud.google.com/go/functions/apiv2/functionspb"
	"cloud.google.com/go/iam/apiv1/iampb"
	"cloud.google.com/go/iap/apiv1/iappb"
	"cloud.google.com/go/run/apiv2/runpb"
	"google.golang.org/genproto/googleapis/type/expr"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"diagnose/internal/evidence"
	"diagnose/internal/gather"
	"diagnose/internal/gather/gathertest"
)

// behindIAP is the story of orders with IAP on. change alters the service.
func behindIAP(t *testing.T, change ...func(*runpb.Service)) evidence.Snapshot {
	t.Helper()
	s := load(t, "orders")
	svc := proto.Clone(s.Service.Or(nil)).(*runpb.Service)
	svc.IapEnabled = true
	for _, f := range change {
		f(svc)
	}
	s.Service = evidence.Known(svc, s.Service.Source)
	s.IAPPolicy = evidence.Known(&iampb.Policy{Version: 3, Bindings: []*iampb.Binding{{
		Role: "roles/iap.httpsResourceAccessor", Members: []string{"user:ann@example.com"},
		Condition: &expr.Expr{Title: "office", Expression: `request.path.startsWith("/office")`},
	}}}, evidence.Source{Document: "iap-policy.json"})
	s.IAPSettings = evidence.Known(&iappb.IapSettings{
		Name: "projects/424242/iap_web/cloud_run-europe-west1/services/orders",
		AccessSettings: &iappb.AccessSettings{OauthSettings: &iappb.OAuthSettings{
			ClientId:            wrapperspb.String("424242-abc.apps.googleusercontent.com"),
			ProgrammaticClients: []string{"424242-def.apps.googleusercontent.com"},
		}},
	}, evidence.Source{Document: "iap-settings.json"})
	return s
}

// nameless drops the URLs that have the project's number.
func nameless(s *runpb.Service) { s.Urls = s.Urls[1:] }

func TestIAP(t *testing.T) {
	const byNumber = "projects/424242/locations/europe-west1/services/orders"
	for _, test := range []struct {
		name, target string
		change       []func(*runpb.Service)
		searchDenied bool
	}{
		{"number by the inventory", fullFunction, []func(*runpb.Service){nameless}, false},
		{"number by the service's URL", fullFunction, nil, true},
		{"number by the target", byNumber, []func(*runpb.Service){nameless}, true},
		{"service", "projects/shop/locations/europe-west1/services/orders", nil, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				disk := behindIAP(t, test.change...)
				server := gathertest.Pipe(t, gathertest.WorldOf(disk))
				server.Delay = time.Second
				if test.searchDenied {
					server.Faults["SearchAllResources"] = gathertest.Deny
				}
				live, err := collect(t, test.target, server)
				if err != nil {
					t.Fatal(err)
				}
				sameIAP(t, live, disk)
				if n := server.Rounds(); n != 2 {
					t.Errorf("%d rounds of calls, want 2", n)
				}
			})
		})
	}
}

func sameIAP(t *testing.T, live, disk evidence.Snapshot) {
	t.Helper()
	if p, ok := live.IAPPolicy.Get(); !ok || !proto.Equal(p, disk.IAPPolicy.Or(nil)) {
		t.Errorf("policy %v (%v)", p, live.IAPPolicy.Reason())
	}
	if s, ok := live.IAPSettings.Get(); !ok || !proto.Equal(s, disk.IAPSettings.Or(nil)) {
		t.Errorf("settings %v (%v)", s, live.IAPSettings.Reason())
	}
	name := "https://iap.googleapis.com/v1/" + disk.IAPSettings.Or(nil).GetName()
	p, s := live.IAPPolicy.Source.Document, live.IAPSettings.Source.Document
	if p != name+":getIamPolicy" || s != name+":iapSettings" {
		t.Errorf("read from %s and %s", p, s)
	}
}

// IAP is off: nobody asks it, though it has a policy.
func TestIAPOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		off := behindIAP(t, func(s *runpb.Service) { s.IapEnabled = false })
		server := gathertest.Pipe(t, gathertest.WorldOf(off))
		live, err := collect(t, fullFunction, server)
		if err != nil {
			t.Fatal(err)
		}
		notAsked(t, live, server)
	})
}

// notAsked expects that IAP was not asked and that this is all that is said.
func notAsked(t *testing.T, live evidence.Snapshot, server *gathertest.Server) {
	t.Helper()
	p, s := live.IAPPolicy.Reason(), live.IAPSettings.Reason()
	if p != evidence.ErrNotGathered || s != evidence.ErrNotGathered {
		t.Errorf("policy: %v; settings: %v", p, s)
	}
	if n := server.Calls("IAP.GetIamPolicy") + server.Calls("GetIapSettings"); n != 0 {
		t.Errorf("IAP was asked %d times", n)
	}
}

func TestIAPRefused(t *testing.T) {
	disk := behindIAP(t)
	for method, lost := range map[string][]string{"IAP.GetIamPolicy": {"iapPolicy"}, "GetIapSettings": {"iapSettings"}} {
		for _, f := range failures {
			t.Run(method+"/"+f.name, func(t *testing.T) { withFault(t, disk, method, lost, f) })
		}
	}
}

// Where the service is not known, nothing says whether IAP is on.
func TestIAPOfUnknownService(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := gathertest.Pipe(t, gathertest.WorldOf(behindIAP(t)))
		server.Faults["GetService"] = gathertest.Deny
		live, err := collect(t, fullFunction, server)
		if err != nil {
			t.Fatal(err)
		}
		notAsked(t, live, server)
	})
}

func TestIAPOfUnknownNumber(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := gathertest.Pipe(t, gathertest.WorldOf(behindIAP(t, nameless)))
		server.Faults["SearchAllResources"] = gathertest.Deny
		live, err := collect(t, fullFunction, server)
		if err != nil {
			t.Fatal(err)
		}
		for name, reason := range map[string]error{"policy": live.IAPPolicy.Reason(), "settings": live.IAPSettings.Reason()} {
			if reason == nil || !strings.Contains(reason.Error(), "the number of shop is unknown") {
				t.Errorf("%s: %v", name, reason)
			}
			var u *gather.Unreadable
			if !errors.As(reason, &u) || len(u.Remedy) == 0 {
				t.Errorf("%s: %v has no remedy", name, reason)
			}
		}
		if n := server.Calls("IAP.GetIamPolicy") + server.Calls("GetIapSettings"); n != 0 {
			t.Errorf("IAP was asked %d times", n)
		}
	})
}

// A function may say that its service has another name, which costs a round:
// until that service is read, nothing says that IAP is on.
func TestIAPOfRenamedService(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const name = "projects/shop/locations/europe-west1/services/orders-two"
		disk := behindIAP(t, func(s *runpb.Service) { s.Name = name; nameless(s) })
		fn := disk.Function.Or(evidence.Function{})
		fn.Function = proto.Clone(fn.Function).(*functionspb.Function)
		fn.ServiceConfig.Service = name
		disk.Function = evidence.Known(fn, disk.Function.Source)
		settings := proto.Clone(disk.IAPSettings.Or(nil)).(*iappb.IapSettings)
		settings.Name += "-two"
		disk.IAPSettings = evidence.Known(settings, disk.IAPSettings.Source)
		server := gathertest.Pipe(t, gathertest.WorldOf(disk))
		server.Delay = time.Second
		live, err := collect(t, fullFunction, server)
		if err != nil {
			t.Fatal(err)
		}
		sameIAP(t, live, disk)
		if n := server.Rounds(); n != 3 {
			t.Errorf("%d rounds of calls, want 3", n)
		}
	})
}

// The server of these tests knows a service by its own name only.
func TestIAPOfAnotherProject(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := gathertest.WorldOf(behindIAP(t))
		w.Number = "555555"
		live, err := collect(t, fullFunction, gathertest.Pipe(t, w))
		if err != nil {
			t.Fatal(err)
		}
		const want = "424242/iap_web/cloud_run-europe-west1/services/orders: not found"
		if r := live.IAPPolicy.Reason(); r == nil || !strings.Contains(r.Error(), want) {
			t.Errorf("policy: %v", r)
		}
	})
}
