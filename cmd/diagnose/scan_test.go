package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"cloud.google.com/go/asset/apiv1/assetpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"

	"diagnose/internal/gather/gathertest"
	"diagnose/internal/inventory/generate"
)

// assetServer lists assets in pages. It fails the call that brings failAt down
// to zero, once.
type assetServer struct {
	assetpb.UnimplementedAssetServiceServer
	assets []*assetpb.Asset
	failAt atomic.Int32
	calls  atomic.Int32
}

func (s *assetServer) ListAssets(_ context.Context, r *assetpb.ListAssetsRequest) (*assetpb.ListAssetsResponse, error) {
	s.calls.Add(1)
	for _, kind := range r.GetAssetTypes() {
		if !slices.Contains(gathertest.AssetTypes(), kind) {
			return nil, status.Error(codes.InvalidArgument, "No supported asset type matches: "+kind)
		}
	}
	if s.failAt.Load() > 0 && s.failAt.Add(-1) == 0 {
		return nil, status.Error(codes.PermissionDenied, "the caller does not have permission")
	}
	var fit []*assetpb.Asset
	for _, a := range s.assets {
		content := assetpb.ContentType_RESOURCE
		if a.GetIamPolicy() != nil {
			content = assetpb.ContentType_IAM_POLICY
		}
		if content == r.GetContentType() && slices.Contains(r.GetAssetTypes(), a.GetAssetType()) {
			fit = append(fit, a)
		}
	}
	const size = 7
	at, _ := strconv.Atoi(r.GetPageToken())
	out := &assetpb.ListAssetsResponse{Assets: fit[at:min(len(fit), at+size)]}
	if at+size < len(fit) {
		out.NextPageToken = strconv.Itoa(at + size)
	}
	return out, nil
}

func serveAssets(t *testing.T, lines [][]byte) (*assetServer, map[string]string) {
	t.Helper()
	s := &assetServer{}
	for _, l := range lines {
		a := &assetpb.Asset{}
		if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(l, a); err != nil {
			t.Fatalf("%s: %v", l, err)
		}
		s.assets = append(s.assets, a)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := grpc.NewServer()
	assetpb.RegisterAssetServiceServer(g, s)
	go g.Serve(l)
	t.Cleanup(g.Stop)
	return s, map[string]string{emulatorVariable: l.Addr().String()}
}

// fingerprints lists the findings of a report in JSON.
func fingerprints(t *testing.T, report string) []string {
	t.Helper()
	var doc struct {
		Findings []struct{ Rule, Resource, Member, Fingerprint string }
	}
	if err := json.Unmarshal([]byte(report), &doc); err != nil {
		t.Fatalf("%v: %s", err, report)
	}
	var out []string
	for _, f := range doc.Findings {
		out = append(out, f.Rule+" "+f.Resource+" "+f.Member+" "+f.Fingerprint)
	}
	slices.Sort(out)
	return out
}

// One data set, served both ways, gives the same findings, also where the list
// broke off and was resumed.
func TestScanLiveAndExport(t *testing.T) {
	lines, _ := generate.Organization(generate.Options{Seed: 3, Projects: 6, Services: 60, Noise: 10})
	t.Chdir(t.TempDir())
	if err := os.WriteFile("export", bytes.Join(lines, []byte("\n")), 0o644); err != nil {
		t.Fatal(err)
	}
	code, out, errs := run(t, nil, "scan", "--export", "export", "--format=json")
	want := fingerprints(t, out)
	if code != 1 || len(want) < 10 {
		t.Fatalf("exit %d, %d findings: %s", code, len(want), errs)
	}
	server, env := serveAssets(t, lines)
	code, out, errs = run(t, env, "scan", "--scope=organizations/1", "--format=json")
	if got := fingerprints(t, out); code != 1 || !slices.Equal(got, want) {
		t.Errorf("live: exit %d: %s\n%s\nwant\n%s", code, errs, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	whole := server.calls.Swap(0)
	server.failAt.Store(5)
	code, out, errs = run(t, env, "scan", "--scope=organizations/1", "--resume=kept", "--format=json")
	if code == 0 || !strings.Contains(out+errs, "permission denied") {
		t.Errorf("broken off: exit %d: %s%s", code, out, errs)
	}
	server.calls.Store(0)
	code, out, errs = run(t, env, "scan", "--scope=organizations/1", "--resume=kept", "--format=json")
	if got := fingerprints(t, out); code != 1 || !slices.Equal(got, want) {
		t.Errorf("resumed: exit %d: %s\n%s\nwant\n%s", code, errs, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if n := server.calls.Load(); n >= whole {
		t.Errorf("resumed with %d calls, and all of it takes %d", n, whole)
	}
}

func TestScanOutput(t *testing.T) {
	t.Chdir(t.TempDir())
	lines, _ := generate.Organization(generate.Options{Seed: 3, Projects: 6, Services: 60})
	if err := os.WriteFile("export", bytes.Join(lines, []byte("\n")), 0o644); err != nil {
		t.Fatal(err)
	}
	// An interrupted scan leaves the report of the last one.
	if code, _, errs := run(t, nil, "scan", "--export=export", "--format=html", "-o", "scan.html"); code != 1 || errs != "" {
		t.Fatalf("exit %d: %s", code, errs)
	}
	before, err := os.ReadFile("scan.html")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var outs, errs bytes.Buffer
	code := Main(ctx, Process{Args: []string{"scan", "--export=export", "--format=html", "-o", "scan.html"}, Stdin: strings.NewReader(""), Stdout: &outs, Stderr: &errs, Getenv: func(string) string { return "" }})
	after, err := os.ReadFile("scan.html")
	if code != exitOpen || err != nil || !bytes.Equal(before, after) {
		t.Errorf("interrupted: exit %d, the report changed: %v, %s", code, !bytes.Equal(before, after), errs.String())
	}
	if left, _ := filepath.Glob(".diagnose-*"); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
	// A full disk is an error, and no report.
	if _, err := os.Stat("/dev/full"); err == nil {
		if code, _, errs := run(t, nil, "scan", "--export=export", "--format=csv", "-o", "/dev/full"); code != exitUsage || !strings.Contains(errs, "no space left") {
			t.Errorf("full disk: exit %d: %s", code, errs)
		}
	}
}
