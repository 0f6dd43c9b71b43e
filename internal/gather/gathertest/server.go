// Package gathertest serves the APIs that the collector reads from, out of the
// facts of a snapshot: what is unknown there is refused here. It is a gRPC
// server made from the generated interfaces, so that tests run the real
// clients.
package gathertest

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"cloud.google.com/go/asset/apiv1/assetpb"
	"cloud.google.com/go/eventarc/apiv1/eventarcpb"
	"cloud.google.com/go/functions/apiv2/functionspb"
	"cloud.google.com/go/iam/apiv1/iampb"
	denypb "cloud.google.com/go/iam/apiv2/iampb"
	"cloud.google.com/go/iap/apiv1/iappb"
	"cloud.google.com/go/run/apiv2/runpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/proto"

	"diagnose/internal/evidence"
)

// A Fault decides about the n-th call of a method, counted from 1: nil lets it
// pass.
type Fault func(ctx context.Context, n int) error

// A Server serves one world. Change its fields before the first call only.
type Server struct {
	Address string
	Dial    func(context.Context, string) (net.Conn, error) // nil for Start
	World   World
	Faults  map[string]Fault // by method: "GetService", "Run.GetIamPolicy"
	Delay   time.Duration    // of every call but the search

	mu       sync.Mutex
	calls    map[string]int
	finished int // the highest round of a finished call
	rounds   int
	requests []proto.Message
}

// Start serves a world on a port of this machine until the test ends.
func Start(t testing.TB, w World) *Server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return serve(t, w, l, l.Addr().String())
}

// Pipe serves a world in memory until the test ends: Dial reaches it. All of
// it can be in a bubble of testing/synctest, whose clock then decides what is
// late.
func Pipe(t testing.TB, w World) *Server {
	t.Helper()
	l := bufconn.Listen(1 << 16)
	s := serve(t, w, l, "127.0.0.1:1")
	s.Dial = func(ctx context.Context, _ string) (net.Conn, error) { return l.DialContext(ctx) }
	return s
}

func serve(t testing.TB, w World, l net.Listener, address string) *Server {
	t.Helper()
	s := &Server{Address: address, World: w, Faults: map[string]Fault{}, calls: map[string]int{}}
	g := grpc.NewServer(grpc.UnaryInterceptor(s.intercept))
	functionspb.RegisterFunctionServiceServer(g, functionServer{world: &s.World})
	runpb.RegisterServicesServer(g, runServer{world: &s.World})
	assetpb.RegisterAssetServiceServer(g, assetServer{world: &s.World})
	denypb.RegisterPoliciesServer(g, denyServer{world: &s.World})
	eventarcpb.RegisterEventarcServer(g, eventarcServer{world: &s.World})
	iappb.RegisterIdentityAwareProxyAdminServiceServer(g, iapServer{world: &s.World})
	iampb.RegisterIAMPolicyServer(g, iamServer{world: &s.World})
	go g.Serve(l)
	t.Cleanup(g.Stop)
	return s
}

// Calls returns how often a method was called.
func (s *Server) Calls(method string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[method]
}

// Rounds returns how many calls stood one behind another, the search for the
// target not counted: each round starts after a call of the one before ended.
func (s *Server) Rounds() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rounds
}

// Requests returns the requests received, in order.
func (s *Server) Requests() []proto.Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]proto.Message(nil), s.requests...)
}

// method shortens "/google.cloud.run.v2.Services/GetIamPolicy".
func method(full string) string {
	service, name, _ := strings.Cut(strings.TrimPrefix(full, "/"), "/")
	if name != "GetIamPolicy" {
		return name
	}
	switch {
	case strings.Contains(service, ".run."):
		return "Run." + name
	case strings.Contains(service, ".iap."):
		return "IAP." + name
	}
	return "Functions." + name
}

func (s *Server) intercept(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	name := method(info.FullMethod)
	s.mu.Lock()
	s.calls[name]++
	n, round := s.calls[name], s.finished+1
	if m, ok := req.(proto.Message); ok {
		s.requests = append(s.requests, m)
	}
	fault := s.Faults[name]
	s.mu.Unlock()
	search := name == "SearchAllResources"
	if !search {
		time.Sleep(s.Delay)
		defer func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.finished, s.rounds = max(s.finished, round), max(s.rounds, round)
		}()
	}
	if fault != nil {
		if err := fault(context.WithValue(ctx, asking{}, req), n); err != nil {
			return nil, err
		}
	}
	return handler(ctx, req)
}

// Hang answers only when the caller has gone.
func Hang(ctx context.Context, _ int) error {
	<-ctx.Done()
	return status.FromContextError(ctx.Err()).Err()
}

// Fail refuses every call with a code and a message.
func Fail(code codes.Code, message string) Fault {
	return func(context.Context, int) error { return status.Error(code, message) }
}

// Unavailable fails the first n calls.
func Unavailable(n int) Fault {
	return func(_ context.Context, i int) error {
		if i <= n {
			return status.Error(codes.Unavailable, "try again")
		}
		return nil
	}
}

// known returns the value of a fact, or the refusal that makes it unknown.
func known[T any](f evidence.Fact[T]) (T, error) {
	v, ok := f.Get()
	if !ok {
		return v, Refused("IAM_PERMISSION_DENIED", "iam.googleapis.com")
	}
	return v, nil
}

func notFound(name string) error {
	return status.Error(codes.NotFound, fmt.Sprintf("%s was not found", name))
}
