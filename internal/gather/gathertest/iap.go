package gathertest

import (
	"context"

	"cloud.google.com/go/iam/apiv1/iampb"
	"cloud.google.com/go/iap/apiv1/iappb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// iapServer serves IAP's own policy and settings of the world's service. It
// knows the service by the one name that Google documents, and only where IAP
// is on.
type iapServer struct {
	iappb.UnimplementedIdentityAwareProxyAdminServiceServer
	world *World
}

func (s iapServer) GetIamPolicy(_ context.Context, r *iampb.GetIamPolicyRequest) (*iampb.Policy, error) {
	if err := s.world.proxied(r.GetResource()); err != nil {
		return nil, err
	}
	p, err := known(s.world.IAPPolicy)
	return atVersion(p, r), err
}

func (s iapServer) GetIapSettings(_ context.Context, r *iappb.GetIapSettingsRequest) (*iappb.IapSettings, error) {
	if err := s.world.proxied(r.GetName()); err != nil {
		return nil, err
	}
	return known(s.world.IAPSettings)
}

// proxied refuses every name but that of the world's service behind IAP.
func (w *World) proxied(name string) error {
	if name != "projects/"+w.Number+"/iap_web/cloud_run-"+w.Location+"/services/"+w.service() {
		return notFound(name)
	}
	if !w.Service.Or(nil).GetIapEnabled() {
		return status.Errorf(codes.FailedPrecondition, "IAP is off on %s", w.service())
	}
	return nil
}
