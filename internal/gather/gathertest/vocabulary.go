package gathertest

import (
	"context"
	_ "embed"
	"slices"
	"strings"

	"cloud.google.com/go/asset/apiv1/assetpb"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
)

//go:embed asset_types.txt
var assetTypes string

// AssetTypes lists the published asset types that the server knows.
func AssetTypes() []string {
	return slices.DeleteFunc(strings.Fields(stripped(assetTypes)), func(s string) bool { return !strings.Contains(s, "/") })
}

func stripped(text string) string {
	var out []string
	for l := range strings.Lines(text) {
		if !strings.HasPrefix(l, "#") {
			out = append(out, l)
		}
	}
	return strings.Join(out, "")
}

// knownTypes refuses a request for asset types that are not published: all of
// it, as the API does.
func knownTypes(types []string) error {
	for _, t := range types {
		if !slices.Contains(AssetTypes(), t) {
			return status.Error(codes.InvalidArgument, "No supported asset type matches: "+t)
		}
	}
	return nil
}

// parent refuses a scope that is neither the project nor above it.
func (w *World) parent(scope string) error {
	switch {
	case scope == "projects/"+w.Project || scope == "projects/"+w.Number || slices.Contains(w.chain(), scope):
		return nil
	case !strings.HasPrefix(scope, "projects/") && !strings.HasPrefix(scope, "folders/") && !strings.HasPrefix(scope, "organizations/"):
		return status.Error(codes.InvalidArgument, "Request contains an invalid argument.")
	}
	return Refused("IAM_PERMISSION_DENIED", "iam.googleapis.com", "permission", "cloudasset.assets.searchAllResources", "resource", scope)
}

// masked keeps of a message what a read mask asks for.
func masked[M proto.Message](m M, mask *fieldmaskpb.FieldMask) M {
	if len(mask.GetPaths()) == 0 {
		return m
	}
	out := proto.Clone(m).(M)
	out.ProtoReflect().Range(func(f protoreflect.FieldDescriptor, _ protoreflect.Value) bool {
		if !slices.Contains(mask.GetPaths(), string(f.Name())) {
			out.ProtoReflect().Clear(f)
		}
		return true
	})
	return out
}

// Refused is a refusal as Google's front end sends it: a reason of a domain,
// with pairs of metadata. Its code is the one that the reason goes with.
func Refused(reason, domain string, pairs ...string) error {
	info := &errdetails.ErrorInfo{Reason: reason, Domain: domain, Metadata: map[string]string{}}
	for i := 0; i+1 < len(pairs); i += 2 {
		info.Metadata[pairs[i]] = pairs[i+1]
	}
	code := codes.PermissionDenied
	switch reason {
	case "RATE_LIMIT_EXCEEDED", "RESOURCE_QUOTA_EXCEEDED":
		code = codes.ResourceExhausted
	case "ACCESS_TOKEN_EXPIRED", "CREDENTIALS_MISSING", "ACCOUNT_STATE_INVALID", "ACCESS_TOKEN_TYPE_UNSUPPORTED":
		code = codes.Unauthenticated
	case "RESOURCE_PROJECT_INVALID":
		code = codes.InvalidArgument
	}
	st, err := status.New(code, "the API's words for "+reason).WithDetails(protoadapt.MessageV1Of(info))
	if err != nil {
		return err
	}
	return st.Err()
}

// permissions are those that Google names where it refuses a method.
var permissions = map[string]string{
	"GetFunction": "cloudfunctions.functions.get", "Functions.GetIamPolicy": "cloudfunctions.functions.getIamPolicy",
	"ListFunctions": "cloudfunctions.functions.list",
	"GetService":    "run.services.get", "Run.GetIamPolicy": "run.services.getIamPolicy", "ListServices": "run.services.list",
	"BatchGetEffectiveIamPolicies": "cloudasset.assets.analyzeIamPolicy", "AnalyzeIamPolicy": "cloudasset.assets.analyzeIamPolicy",
	"SearchAllResources": "cloudasset.assets.searchAllResources", "ListPolicies": "iam.denypolicies.list",
	"GetPolicy": "iam.denypolicies.get", "GetTrigger": "eventarc.triggers.get",
	"IAP.GetIamPolicy": "iap.webServices.getIamPolicy", "GetIapSettings": "iap.webServices.getSettings",
}

type asking struct{}

// Deny refuses every call for a permission that IAM did not find.
func Deny(ctx context.Context, _ int) error {
	full, _ := grpc.Method(ctx)
	on := ""
	if m, ok := ctx.Value(asking{}).(proto.Message); ok {
		on = nameIn(m)
	}
	return Refused("IAM_PERMISSION_DENIED", "iam.googleapis.com", "permission", permissions[method(full)], "resource", on)
}

// DenyOn refuses the calls about one of the resources, or within one of the
// scopes.
func DenyOn(resources ...string) Fault {
	return func(ctx context.Context, n int) error {
		m, ok := ctx.Value(asking{}).(proto.Message)
		if q, is := m.(*assetpb.AnalyzeIamPolicyRequest); is {
			m = q.GetAnalysisQuery()
		}
		if !ok || !slices.Contains(resources, nameIn(m)) {
			return nil
		}
		return Deny(ctx, n)
	}
}

// nameIn is the resource that a request is about.
func nameIn(m proto.Message) string {
	for _, field := range []protoreflect.Name{"name", "resource", "parent", "scope"} {
		if f := m.ProtoReflect().Descriptor().Fields().ByName(field); f != nil && f.Kind() == protoreflect.StringKind {
			return m.ProtoReflect().Get(f).String()
		}
	}
	return ""
}

// Refuse fails every call with a reason of Google's front end.
func Refuse(reason string, pairs ...string) Fault {
	return func(context.Context, int) error { return Refused(reason, "googleapis.com", pairs...) }
}

// Disabled says that the API is not enabled in the world's usual project.
func Disabled(context.Context, int) error {
	return Refused("SERVICE_DISABLED", "googleapis.com", "consumer", "projects/424242")
}
