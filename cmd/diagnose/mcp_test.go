package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"golang.org/x/tools/txtar"

	"diagnose/fixtures"
	"diagnose/internal/gather/gathertest"
)

// agent starts diagnose mcp, which TestMain puts into PATH, and connects the
// SDK's client to it over real pipes.
func agent(t *testing.T, roots []string, args ...string) *mcp.ClientSession {
	t.Helper()
	return agentWith(t, nil, roots, args...)
}

// agentWith does it with variables in the server's environment.
func agentWith(t *testing.T, env, roots []string, args ...string) *mcp.ClientSession {
	t.Helper()
	client := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, nil)
	for _, r := range roots {
		//lint:ignore SA1019 clients that name roots are served as long as there are any
		client.AddRoots(&mcp.Root{URI: "file://" + r})
	}
	cmd := exec.Command("diagnose", append([]string{"mcp"}, args...)...)
	cmd.Env = append(os.Environ(), env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	session, err := client.Connect(t.Context(), &mcp.CommandTransport{Command: cmd}, nil)
	if err != nil {
		t.Fatal(err, stderr.String())
	}
	t.Cleanup(func() {
		if err := session.Close(); err != nil {
			t.Errorf("closing: %v", err)
		}
		if stderr.Len() > 0 {
			t.Errorf("stderr: %s", stderr.String())
		}
	})
	return session
}

// call calls a tool and returns its text, and whether that is an error.
func call(t *testing.T, s *mcp.ClientSession, tool string, args any) (string, bool) {
	t.Helper()
	r, err := s.CallTool(context.Background(), &mcp.CallToolParams{Name: tool, Arguments: args})
	if err != nil {
		t.Fatalf("%s: %v", tool, err)
	}
	var text strings.Builder
	for _, c := range r.Content {
		text.WriteString(c.(*mcp.TextContent).Text)
	}
	return text.String(), r.IsError
}

func answer[T any](t *testing.T, s *mcp.ClientSession, tool string, args any) T {
	t.Helper()
	text, failed := call(t, s, tool, args)
	var out T
	if failed {
		t.Fatalf("%s: %s", tool, text)
	}
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// documentsOf are the members of a case as documents of a call.
func documentsOf(data []byte) map[string]string {
	out := map[string]string{}
	for _, f := range txtar.Parse(data).Files {
		out[f.Name] = string(f.Data)
	}
	return out
}

// Every story and every incident gives, in one call, the decision and cause
// that the command line gives, in a short answer.
func TestAgentsGetTheAnswersOfTheCommandLine(t *testing.T) {
	s := agent(t, nil)
	cases := map[string][]byte{}
	for _, name := range fixtures.Names() {
		story, err := fixtures.Read(name)
		if err != nil {
			t.Fatal(err)
		}
		cases[name] = story.Data
	}
	files, _ := filepath.Glob("../../checks/testdata/incidents/*.txtar")
	if len(files) != 28 {
		t.Fatalf("%d incidents, want 28", len(files))
	}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		cases[filepath.Base(f)] = data
	}
	long := 0
	for name, data := range cases {
		dir := t.TempDir()
		file := filepath.Join(dir, "case.txtar")
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		_, want, _ := run(t, nil, "invoke", "--format=json", "--offline", file)
		var v struct {
			Decision, Basis, Cause, Headline string
			Repair                           []string
		}
		if err := json.Unmarshal([]byte(want), &v); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		text, failed := call(t, s, "judge_invocation", map[string]any{"documents": documentsOf(data)})
		if failed {
			t.Errorf("%s: %s", name, text)
			continue
		}
		var got judgeOut
		if err := json.Unmarshal([]byte(text), &got); err != nil {
			t.Fatal(err)
		}
		var repair []string
		for _, x := range got.Repair {
			repair = append(repair, x.ID)
		}
		slices.Sort(repair)
		slices.Sort(v.Repair)
		if diff := cmp.Diff([]any{v.Decision, v.Basis, v.Cause, v.Headline, strings.Join(v.Repair, " ")},
			[]any{got.Decision, got.Basis, got.Cause, got.Headline, strings.Join(repair, " ")}); diff != "" {
			t.Errorf("%s: -command line +agent\n%s", name, diff)
		}
		if len(text) > maxAnswer {
			long++
			t.Logf("%s: %d bytes", name, len(text))
		}
	}
	if long*20 > len(cases) {
		t.Errorf("%d of %d answers are longer than %d bytes", long, len(cases), maxAnswer)
	}
}

// An agent reads files below the allowed folders alone: those of --root, or
// those that the client names.
func TestAgentsReadAllowedFoldersAlone(t *testing.T) {
	root, outside := t.TempDir(), t.TempDir()
	story, err := fixtures.Read("member-misspelt")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []string{root + "/case.txtar", outside + "/case.txtar"} {
		if err := os.WriteFile(f, story.Data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for link, to := range map[string]string{"link.txtar": outside + "/case.txtar", "folder": outside, "loop": "loop"} {
		if err := os.Symlink(to, filepath.Join(root, link)); err != nil {
			t.Fatal(err)
		}
	}
	for name, s := range map[string]*mcp.ClientSession{
		"roots of the client": agent(t, []string{root}), "--root": agent(t, nil, "--root", root),
		"--root before those of the client": agent(t, []string{outside}, "--root", root),
	} {
		t.Run(name, func(t *testing.T) {
			for _, p := range []string{"case.txtar", root + "/case.txtar", "./case.txtar"} {
				got := answer[judgeOut](t, s, "judge_invocation", map[string]any{"paths": []string{p}})
				if got.Decision != "denied" {
					t.Errorf("%s: %+v, want denied", p, got)
				}
			}
			for _, p := range []string{outside + "/case.txtar", "link.txtar", "folder", "folder/case.txtar", "loop", "../" + filepath.Base(outside) + "/case.txtar",
				"/etc/passwd", "/", "..", "", "-", "demo:member-misspelt", "/dev/stdin", "\x00", "none.txtar"} {
				for tool, args := range map[string]map[string]any{
					"judge_invocation": {"paths": []string{p}}, "who_can_invoke": {"paths": []string{p}}, "judge_change": {"path": p}, "decode_token": {"path": p},
				} {
					if text, failed := call(t, s, tool, args); !failed {
						t.Errorf("%s of %q: %s, want an error", tool, p, text)
					}
				}
			}
		})
	}
	s := agent(t, nil)
	if text, failed := call(t, s, "judge_invocation", map[string]any{"paths": []string{"case.txtar"}}); !failed || !strings.Contains(text, "--root") {
		t.Errorf("without roots: %s, want an error that names --root", text)
	}
}

// Arguments that look like flags, targets or files of the command line are
// values and nothing else, and an error says what to do next.
func TestHostileCalls(t *testing.T) {
	s := agent(t, nil)
	out := filepath.Join(t.TempDir(), "out")
	policy := map[string]string{"policy.json": `{"bindings":[]}`}
	for _, c := range []struct {
		tool string
		args map[string]any
		want string
	}{
		{"judge_invocation", nil, "Give documents"},
		{"judge_invocation", map[string]any{"documents": map[string]string{"x.txt": "hello"}}, "has no document of a case"},
		{"judge_invocation", map[string]any{"documents": map[string]string{"../policy.json": "{}"}}, "without folders"},
		{"judge_invocation", map[string]any{"documents": policy, "url": "-o" + out}, "--url"},
		{"judge_invocation", map[string]any{"documents": policy, "method": "GET --output=" + out, "source": "moon"}, "--source"},
		{"judge_invocation", map[string]any{"documents": policy, "at": "yesterday"}, "--at"},
		{"judge_invocation", map[string]any{"target": "orders"}, "diagnose mcp --live"},
		{"judge_invocation", map[string]any{"target": "/etc/passwd"}, "diagnose mcp --live"},
		{"judge_invocation", map[string]any{"token": "x"}, "token"},
		{"explain", map[string]any{"topic": "--output=" + out}, "no check, rule"},
		{"explain", map[string]any{"topic": "token-audiance"}, "did you mean token-audience?"},
		{"judge_change", nil, "terraform show -json"},
		{"judge_change", map[string]any{"document": "{"}, "cut off"},
		{"judge_change", map[string]any{"document": "{}", "target": "--output=" + out}, ""},
		{"decode_token", nil, "give token or path"},
	} {
		text, failed := call(t, s, c.tool, c.args)
		if !failed || !strings.Contains(text, c.want) {
			t.Errorf("%s of %v: %s, want an error with %q", c.tool, c.args, text, c.want)
		}
	}
	if _, err := os.Stat(out); err == nil {
		t.Errorf("%s was written", out)
	}
}

// A credential is in no answer, whole report or error.
func TestAgentsNeverGetTheTokenBack(t *testing.T) {
	s := agent(t, nil)
	const secret = "eyJhbGciOiJSUzI1NiIsImtpZCI6ImsifQ.eyJpc3MiOiJodHRwczovL2FjY291bnRzLmdvb2dsZS5jb20iLCJhdWQiOiJodHRwczovL2EuZXhhbXBsZSJ9.c2VjcmV0LXNpZ25hdHVyZS1zZWNyZXQtc2lnbmF0dXJl"
	curl := "curl -H 'Authorization: Bearer " + secret + "' https://orders-ab12cd34ef-ew.a.run.app/"
	for _, c := range []struct {
		tool string
		args map[string]any
	}{
		{"judge_invocation", map[string]any{"documents": map[string]string{"curl.txt": curl}}},
		{"judge_invocation", map[string]any{"documents": map[string]string{secret: curl}}},
		{"judge_invocation", map[string]any{"documents": map[string]string{"token.jwt": secret}, "principal": secret}},
		{"judge_invocation", map[string]any{"documents": map[string]string{"policy.json": secret}}},
		{"judge_invocation", map[string]any{"paths": []string{secret}}},
		{"decode_token", map[string]any{"token": secret}},
		{"decode_token", map[string]any{"token": curl, "audience": secret}},
		{"explain", map[string]any{"topic": secret}},
		{"judge_change", map[string]any{"document": curl}},
	} {
		text, _ := call(t, s, c.tool, c.args)
		var out struct{ Details string }
		if json.Unmarshal([]byte(text), &out) == nil && out.Details != "" {
			text += readResource(t, s, out.Details)
		}
		if signature := secret[strings.LastIndex(secret, ".")+1:]; strings.Contains(text, signature) {
			t.Errorf("%s: the answer has the token's signature: %s", c.tool, text)
		}
	}
}

func readResource(t *testing.T, s *mcp.ClientSession, uri string) string {
	t.Helper()
	r, err := s.ReadResource(t.Context(), &mcp.ReadResourceParams{URI: uri})
	if err != nil {
		t.Fatalf("%s: %v", uri, err)
	}
	return r.Contents[0].Text
}

// The tools say that they only read, their answers fit their schemas, and the
// resources and the prompt are there.
func TestWhatAgentsFind(t *testing.T) {
	s := agent(t, nil)
	tools, err := s.ListTools(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, tool := range tools.Tools {
		names = append(names, tool.Name)
		if a := tool.Annotations; !a.ReadOnlyHint || *a.OpenWorldHint || tool.OutputSchema == nil {
			t.Errorf("%s: %+v, want a tool that reads, alone, with a schema of its answer", tool.Name, a)
		}
	}
	for _, file := range []string{"../../docs/agents.md", "../../docs/skills/diagnose/SKILL.md"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if !strings.Contains(string(text), "`"+name+"`") {
				t.Errorf("%s does not name %s", file, name)
			}
		}
	}
	slices.Sort(names)
	if diff := cmp.Diff([]string{"decode_token", "explain", "judge_change", "judge_invocation", "who_can_invoke"}, names); diff != "" {
		t.Error(diff)
	}
	story, err := fixtures.Read("group-unread")
	if err != nil {
		t.Fatal(err)
	}
	who := answer[whoOut](t, s, "who_can_invoke", map[string]any{"documents": documentsOf(story.Data)})
	if who.Public || who.Complete || len(who.Holders) != 1 || who.Holders[0].Member != "group:dev@example.com" || len(who.Unread) == 0 {
		t.Errorf("who: %+v", who)
	}
	change := answer[changeOut](t, s, "judge_change", map[string]any{"document": "apiVersion: serving.knative.dev/v1\nkind: Service\n" +
		"metadata:\n  name: api\n  annotations:\n    run.googleapis.com/invoker-iam-disabled: 'true'\n"})
	if change.Decision != "failed" || change.Counts["critical"] != 1 || change.Worst[0].Rule != "invoker-check-disabled" {
		t.Errorf("change: %+v", change)
	}
	token := answer[tokenOut](t, s, "decode_token", map[string]any{"token": "ya29.an-access-token-of-somebody"})
	if token.Kind != "OAuth access token" || token.Decision != "denied" {
		t.Errorf("token: %+v", token)
	}
	for uri, want := range map[string]string{
		"diagnose://checks": "token-audience", "diagnose://explain/token-audience": "The aud claim", who.Details: `"holders"`, change.Details: `"bySeverity"`,
	} {
		if text := readResource(t, s, uri); !strings.Contains(text, want) {
			t.Errorf("%s: %s, want %q", uri, text, want)
		}
	}
	for _, uri := range []string{"diagnose://answer/99", "diagnose://explain/none", "file:///etc/passwd"} {
		if r, err := s.ReadResource(t.Context(), &mcp.ReadResourceParams{URI: uri}); err == nil {
			t.Errorf("%s: %+v, want an error", uri, r)
		}
	}
	p, err := s.GetPrompt(t.Context(), &mcp.GetPromptParams{Name: "why_refused", Arguments: map[string]string{"evidence": "HTTP 403"}})
	if err != nil || !strings.Contains(p.Messages[0].Content.(*mcp.TextContent).Text, "HTTP 403") {
		t.Errorf("prompt: %+v, %v", p, err)
	}
}

// With --live, and only then, a tool reads a target from the APIs.
func TestAgentsReadLiveTargets(t *testing.T) {
	server := gathertest.Start(t, world(audience))
	env := []string{emulatorVariable + "=" + server.Address}
	args := map[string]any{"target": "orders", "project": "shop", "region": "europe-west1", "principal": ann}
	s := agentWith(t, env, nil, "--live")
	if got := answer[judgeOut](t, s, "judge_invocation", args); got.Decision != "allowed" {
		t.Errorf("live: %+v, want allowed", got)
	}
	args["target"] = "nosuch"
	if text, failed := call(t, s, "judge_invocation", args); !failed || !strings.Contains(text, "nosuch") {
		t.Errorf("live: %s, want an error that names nosuch", text)
	}
	calls := len(server.Requests())
	if text, failed := call(t, agentWith(t, env, nil), "judge_invocation", args); !failed {
		t.Errorf("without --live: %s, want an error", text)
	}
	if n := len(server.Requests()); n != calls {
		t.Errorf("without --live %d calls were made", n-calls)
	}
}
