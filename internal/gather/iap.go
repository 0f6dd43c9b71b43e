package gather

import (
	"context"
	"errors"
	"fmt"

	"cloud.google.com/go/iam/apiv1/iampb"
	"cloud.google.com/go/iap/apiv1/iappb"
	"cloud.google.com/go/run/apiv2/runpb"
	"github.com/googleapis/gax-go/v2"

	"diagnose/internal/evidence"
	"diagnose/internal/gcp"
)

// A proxied is what IAP says of one service. Its zero value says nothing.
type proxied struct {
	policy   evidence.Fact[*iampb.Policy]
	settings evidence.Fact[*iappb.IapSettings]
}

// iap reads the policy and the settings of IAP where the service has IAP on.
// It waits for the service, which alone tells; a service that is not known or
// has IAP off leaves both not gathered.
func (c *collector) iap(
	ctx context.Context, t Target, name string, service func() evidence.Fact[*runpb.Service], place func() hierarchy,
) proxied {
	svc, _ := service().Get()
	if !svc.GetIapEnabled() {
		return proxied{}
	}
	number, err := projectNumber(t, svc, place)
	if err != nil {
		src := evidence.Source{Document: iapURL + iapName("PROJECT_NUMBER", name)}
		return proxied{evidence.Unknown[*iampb.Policy](err, src), evidence.Unknown[*iappb.IapSettings](err, src)}
	}
	resource := iapName(number, name)
	var out proxied
	all(
		func() { out.policy = c.iapPolicy(ctx, resource) },
		func() { out.settings = c.iapSettings(ctx, resource) },
	)
	return out
}

const iapURL = "https://" + gcp.IAPAPI + "/v1/"

// iapName is the name that IAP has for a Cloud Run service, by
// https://docs.cloud.google.com/iap/docs/reference/rest/v1/TopLevel/getIapSettings.
func iapName(number, service string) string {
	return gcp.IAPName(number, gcp.Part(service, "locations"), gcp.Last(service)).String()
}

// projectNumber is the number of the target's project: as the target says it,
// as the service's own URL has it, or as the asset inventory does. The form of
// the URL is that of https://docs.cloud.google.com/run/docs/triggering/https-request.
func projectNumber(t Target, svc *runpb.Service, place func() hierarchy) (string, error) {
	if gcp.IsNumber(t.Project) {
		return t.Project, nil
	}
	name, location := gcp.Last(svc.GetName()), gcp.Part(svc.GetName(), "locations")
	for _, u := range svc.GetUrls() {
		own, err := ParseTarget(u)
		if err == nil && gcp.IsNumber(own.Project) && own.Name == name && own.Location == location {
			return own.Project, nil
		}
	}
	h := place()
	if h.number != "" {
		return h.number, nil
	}
	if h.err == nil {
		h.err = errors.New("the asset inventory does not say it")
	}
	return "", fmt.Errorf("IAP names a service by the number of its project, and the number of %s is unknown: %w",
		t.Project, h.err)
}

func (c *collector) iapPolicy(ctx context.Context, resource string) evidence.Fact[*iampb.Policy] {
	read := func(ctx context.Context, o gax.CallOption) (*iampb.Policy, error) {
		client, err := c.proxy()
		if err != nil {
			return nil, err
		}
		return client.GetIamPolicy(ctx, policyRequest(resource), o)
	}
	return fact(ctx, c, getIAPPolicy, resource, iapURL+resource+":getIamPolicy", read)
}

func (c *collector) iapSettings(ctx context.Context, resource string) evidence.Fact[*iappb.IapSettings] {
	read := func(ctx context.Context, o gax.CallOption) (*iappb.IapSettings, error) {
		client, err := c.proxy()
		if err != nil {
			return nil, err
		}
		return client.GetIapSettings(ctx, &iappb.GetIapSettingsRequest{Name: resource}, o)
	}
	return fact(ctx, c, getIAPSettings, resource, iapURL+resource+":iapSettings", read)
}
