package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"diagnose/fixtures"
	"diagnose/internal/evidence"
)

// run runs the command line in this process.
func run(t *testing.T, env map[string]string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = Main(t.Context(), Process{Args: args, Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs, Getenv: func(k string) string { return env[k] }})
	return code, out.String(), errs.String()
}

// judgedNow is the moment of a story that names none: the clock's.
var judgedNow = regexp.MustCompile(`"time": "[^"]*"(,\s*"from": "now")`)

// Every story is judged by the real command as it wants to be, and the same
// documents given by flags, or as a folder, give the same report.
func TestStories(t *testing.T) {
	exits := map[string]int{"allowed": 0, "denied": 1, "undetermined": 3}
	for _, name := range fixtures.Names() {
		t.Run(name, func(t *testing.T) {
			story, err := fixtures.Read(name)
			if err != nil {
				t.Fatal(err)
			}
			t.Chdir(t.TempDir())
			if err := os.Mkdir("case", 0o755); err != nil {
				t.Fatal(err)
			}
			args, want := []string{"invoke", "--format=json"}, ""
			for _, f := range txtar.Parse(story.Data).Files {
				if f.Name == "want" {
					want, _, _ = strings.Cut(string(f.Data), " ")
				}
				flag := flagOf(f.Name)
				if flag == "" {
					continue
				}
				if flag == "request" {
					args = append(args, requestFlags(t, f.Data)...)
					flag = ""
				}
				for _, dir := range []string{".", "case"} {
					if err := os.WriteFile(filepath.Join(dir, f.Name), f.Data, 0o644); err != nil {
						t.Fatal(err)
					}
				}
				if flag != "" {
					args = append(args, "--"+flag+"="+f.Name)
				}
			}
			if err := os.WriteFile("story.txtar", story.Data, 0o644); err != nil {
				t.Fatal(err)
			}
			code, whole, errs := run(t, nil, "invoke", "--format=json", "story.txtar")
			whole = judgedNow.ReplaceAllString(whole, "$1")
			if code != exits[want] || errs != "" {
				t.Errorf("exit %d, want %d for %s; %s", code, exits[want], want, errs)
			}
			for how, args := range map[string][]string{"by flags": args, "as a folder": {"invoke", "--format=json", "case"}, "embedded": {"invoke", "--format=json", "demo:" + name}} {
				gotCode, got, errs := run(t, nil, args...)
				got = judgedNow.ReplaceAllString(got, "$1")
				got = strings.ReplaceAll(got, `"document": "flags"`, `"document": "request.json"`)
				got = strings.ReplaceAll(got, `"from": "--at"`, `"from": "request.json"`)
				if diff := cmp.Diff(whole, got); diff != "" || gotCode != code {
					t.Errorf("%s: exit %d, want %d; %s\n%s", how, gotCode, code, errs, diff)
				}
			}
		})
	}
}

// requestFlags spells a request.json by flags.
func requestFlags(t *testing.T, data []byte) []string {
	t.Helper()
	var r struct {
		URL, Method, Source, Principal, Client, Time string
		Headers                                      map[string]any
	}
	if err := json.Unmarshal(data, &r); err != nil {
		t.Fatal(err)
	}
	var args []string
	for flag, v := range map[string]string{"url": r.URL, "method": r.Method, "source": r.Source, "principal": r.Principal, "client": r.Client, "at": r.Time} {
		if v != "" {
			args = append(args, "--"+flag+"="+v)
		}
	}
	if r.Headers == nil {
		return args
	}
	var lines []string
	for name, v := range r.Headers {
		if list, ok := v.([]any); ok {
			for _, x := range list {
				lines = append(lines, fmt.Sprintf("%s: %s", name, x))
			}
			continue
		}
		lines = append(lines, fmt.Sprintf("%s: %s", name, v))
	}
	if err := os.WriteFile("headers.txt", []byte(strings.Join(lines, "\n")), 0o644); err != nil {
		t.Fatal(err)
	}
	return append(args, "--header=@headers.txt")
}

func flagOf(member string) string {
	for _, m := range evidence.Documents {
		for _, n := range m.Names {
			if n == member {
				return m.Flag
			}
		}
	}
	return ""
}
