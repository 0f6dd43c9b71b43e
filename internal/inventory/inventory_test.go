package inventory

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"pgregory.net/rapid"

	"diagnose/checks/rules"
	"diagnose/internal/estate"
	"diagnose/internal/inventory/generate"
)

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func readAll(t testing.TB, o Options, inputs ...string) (*estate.Estate, Stats) {
	t.Helper()
	e, s, err := Read(context.Background(), inputs, strings.NewReader(""), o)
	if err != nil {
		t.Fatal(err)
	}
	return e, s
}

func write(t testing.TB, name string, data []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// found lists the findings of an export in short.
func found(e *estate.Estate) []string {
	var out []string
	for _, f := range rules.Judge(e, rules.Options{Now: now}).Findings {
		reach := "?"
		if f.Reach.Known {
			reach = fmt.Sprint(f.Reach.Services)
		}
		out = append(out, fmt.Sprintf("%s %s %s %s", f.Rule, f.Resource, f.Member, reach))
	}
	slices.Sort(out)
	return out
}

// The scanner takes and refuses what encoding/json does, and sees the same
// type.
func checkLook(t *testing.T, data []byte) {
	t.Helper()
	l := look(data)
	var m map[string]json.RawMessage
	err := json.Unmarshal(data, &m)
	isObject := err == nil && m != nil
	if l.plain {
		return // left to the parser
	}
	if l.valid != isObject {
		t.Fatalf("%q: valid %v, encoding/json says %v (%v)", data, l.valid, isObject, err)
	}
	if !l.valid {
		return
	}
	kind := kindOf(m)
	if matters(l.kind) != matters([]byte(kind)) || matters(l.kind) && string(l.kind) != kind {
		t.Fatalf("%q: type %q, the parser sees %q", data, l.kind, kind)
	}
}

func TestLook(t *testing.T) {
	for _, l := range []string{
		`{}`, `{"asset_type":"a"}`, `{"assetType":"a","asset_type":"b"}`, `{"asset_type":"b","assetType":"a"}`, `{"asset_type":"a","asset_type":"b"}`,
		`{"asset_type":"\u0072un"}`, `{"asset_t\u0079pe":"x","asset_type":"y"}`, `{"asset_type":7}`, `{"asset_type":null,"assetType":"x"}`, `{"x":{"asset_type":"a"}}`, `{"x":"\"asset_type\":\"a\""}`,
		`{"a":[1,2,{"b":[]}],"asset_type":"t"}`, ` { "asset_type" : "a" } `, `{"a":-0.5e+7}`, `{"a":01}`, `{"a":1.}`, `{"a":+1}`, `{"a":tru}`, `{"a":"` + "\x01" + `"}`, `{"a":"\x"}`, `{"a":"\u12g4"}`, `{"a":}`, `{"a":1,}`,
		`{"a":[1,]}`, `{"a":[}`, `{"a":{]}}`, `{"a":1}}`, `{"a":1} x`, `[]`, `null`, `7`, ``, `{`, `{"a"`, `{"a":{"b":1}`, `{"a":[[[[]]]]}`, `{"":""}`, `{"a":{"":1,"":2}}`, `{"ASSET_TYPE":"x"}`, `{,}`, `{"a":1 "b":2}`,
	} {
		checkLook(t, []byte(l))
	}
}

func FuzzLook(f *testing.F) {
	f.Add([]byte(`{"asset_type":"run.googleapis.com\/Service","x":[1,{"y":"z\u0020"}]}`))
	f.Add([]byte(`{"assetType":"a","asset_type":null}`))
	f.Fuzz(func(t *testing.T, data []byte) { checkLook(t, data) })
}

// FuzzFastAndPlain: the fast path finds what the plain one finds.
func FuzzFastAndPlain(f *testing.F) {
	lines, _ := generate.Organization(generate.Options{Seed: 1, Projects: 2, Services: 3, Noise: 2})
	for _, l := range lines {
		f.Add(l)
	}
	f.Add([]byte(`{"asset_type":"cloudresourcemanager.googleapis.com\/Project","iam_policy":{"bindings":[{"role":"roles\/\u0072un.invoker","members":["allUsers"]}]},"name":"//cloudresourcemanager.googleapis.com/projects/1"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var got [2][]string
		for i, plain := range []bool{false, true} {
			e, s, err := ReadLines(t.Context(), func(yield func([]byte) bool) { yield(bytes.Clone(data)) }, Options{plain: plain})
			if err != nil {
				t.Fatal(err)
			}
			got[i] = append(found(e), fmt.Sprint(s.Odd > 0, len(e.Targets), len(e.Policies), len(e.Nodes)))
		}
		if !slices.Equal(got[0], got[1]) {
			t.Errorf("fast %q, plain %q", got[0], got[1])
		}
	})
}

// The known answers of a generated organization are found exactly, in any
// order of lines and shards, plain and compressed, with and without fast path.
func TestKnownAnswers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := generate.Options{Seed: rapid.Uint64Range(1, 1000).Draw(t, "seed"), Projects: rapid.IntRange(1, 12).Draw(t, "projects"), Services: rapid.IntRange(1, 40).Draw(t, "services"), Noise: rapid.IntRange(0, 30).Draw(t, "noise")}
		lines, want := generate.Organization(o)
		r := rand.New(rand.NewPCG(o.Seed, 7))
		r.Shuffle(len(lines), func(i, k int) { lines[i], lines[k] = lines[k], lines[i] })
		dir, err := os.MkdirTemp("", "inventory")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		shards := rapid.IntRange(1, 4).Draw(t, "shards")
		for i := range shards {
			var b bytes.Buffer
			for k := i; k < len(lines); k += shards {
				b.Write(lines[k])
				b.WriteByte('\n')
			}
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(i)), pack(t, rapid.SampledFrom([]string{"", "gzip", "zstd"}).Draw(t, "packed"), b.Bytes()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		e, s, err := Read(context.Background(), []string{dir}, nil, Options{plain: rapid.Bool().Draw(t, "plain")})
		if err != nil || s.Odd > 0 || len(s.Incomplete) > 0 {
			t.Fatalf("%v, %+v", err, s)
		}
		if got := found(e); !slices.Equal(got, want) {
			t.Fatalf("found\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	})
}

type failing interface{ Fatal(...any) }

func pack(t failing, how string, data []byte) []byte {
	var b bytes.Buffer
	switch how {
	case "gzip":
		z := gzip.NewWriter(&b)
		z.Write(data)
		z.Close()
	case "zstd":
		z, err := zstd.NewWriter(&b)
		if err != nil {
			t.Fatal(err)
		}
		z.Write(data)
		z.Close()
	default:
		return data
	}
	return b.Bytes()
}

const public = `{"asset_type":"cloudresourcemanager.googleapis.com/Project","name":"//cloudresourcemanager.googleapis.com/projects/1","iam_policy":{"bindings":[{"role":"roles/run.invoker","members":["allUsers"]}]}}`

// What hides a grant from a search for text does not hide it here.
func TestNothingHides(t *testing.T) {
	for _, l := range []string{
		public,
		strings.ReplaceAll(public, "/", `\/`),
		strings.ReplaceAll(public, "run.invoker", `\u0072un.invoker`),
		strings.ReplaceAll(public, "allUsers", `all\u0055sers`),
		strings.ReplaceAll(public, "asset_type", `asset\u005ftype`),
		strings.ReplaceAll(strings.ReplaceAll(public, "asset_type", "assetType"), "iam_policy", "iamPolicy"),
		strings.ReplaceAll(public, ":", " :\t"),
		`{"iam_policy":{"bindings":[{"members":["allUsers"],"role":"roles/run.invoker"}]},"name":"//cloudresourcemanager.googleapis.com/projects/1","asset_type":"storage.googleapis.com/Bucket","asset_type":"cloudresourcemanager.googleapis.com/Project"}`,
		`{"resource":"//cloudresourcemanager.googleapis.com/projects/1","assetType":"cloudresourcemanager.googleapis.com/Project","project":"projects/1","policy":{"bindings":[{"role":"roles/run.invoker","members":["allUsers"]}]}}`,
	} {
		l = strings.ReplaceAll(l, `" :	//`, `"://`) // the white space is for keys
		e, s := readAll(t, Options{}, write(t, "export", []byte(l)))
		if got := found(e); !slices.Contains(got, "grant-all-users //cloudresourcemanager.googleapis.com/projects/1 allUsers ?") {
			t.Errorf("%s\nfound %q, %v", l, got, s.Oddities)
		}
	}
}

func TestForms(t *testing.T) {
	want := []string{"grant-all-users //cloudresourcemanager.googleapis.com/projects/1 allUsers ?"}
	var pretty bytes.Buffer
	json.Indent(&pretty, []byte(public), "", "  ")
	for name, data := range map[string]string{
		"lines":           "# a comment\n\n" + public + "\r\n",
		"list":            "[" + public + "]",
		"list over lines": "[\n" + pretty.String() + ",\n" + pretty.String() + "\n]\n",
		"one value":       pretty.String(),
		"values":          pretty.String() + "\n" + pretty.String(),
		"byte order mark": "\xef\xbb\xbf" + public,
	} {
		e, s := readAll(t, Options{}, write(t, "export", []byte(data)))
		if got := found(e); !slices.Equal(got, want) || s.Odd > 0 || len(s.Incomplete) > 0 {
			t.Errorf("%s: found %q, %+v", name, got, s)
		}
	}
	e, _, err := Read(t.Context(), []string{"-"}, strings.NewReader(public), Options{})
	if err != nil || !slices.Equal(found(e), want) {
		t.Errorf("stdin: %v", err)
	}
}

func TestOddities(t *testing.T) {
	file := write(t, "export", []byte(public+"\n{\"asset_type\": oops}\n"+`{"no":"asset"}`+"\n"+`{"asset_type":"run.googleapis.com/Service","name":"n","resource":{"data":{"apiVersion":"serving.knative.dev/v1","metadata":7}}}`+"\n"+public+"\n"))
	e, s := readAll(t, Options{}, file)
	if s.Odd != 3 || s.Oddities[0].Where.Line != 2 || s.Oddities[0].Where.Offset != int64(len(public)+1) || s.Lines != 5 {
		t.Errorf("%+v", s)
	}
	if len(e.Policies) != 2 {
		t.Errorf("%d policies were read, want those before and after", len(e.Policies))
	}
	if _, _, err := Read(t.Context(), []string{file}, nil, Options{Strict: true}); err == nil || !strings.Contains(err.Error(), ":2 (byte") {
		t.Errorf("strict: %v", err)
	}
	if _, _, err := Read(t.Context(), []string{"nosuch.ndjson"}, nil, Options{}); err == nil || !strings.Contains(err.Error(), "nosuch.ndjson") {
		t.Errorf("no file: %v", err)
	}
}

func TestIncomplete(t *testing.T) {
	lines, _ := generate.Organization(generate.Options{Seed: 1, Projects: 3, Services: 20, Noise: 200})
	whole := bytes.Join(lines, []byte("\n"))
	for name, data := range map[string][]byte{
		"truncated gzip": pack(t, "gzip", whole)[:2000],
		"truncated zstd": pack(t, "zstd", whole)[:2000],
		"cut line":       whole[:len(whole)-10],
		"list":           []byte("[" + public + ","),
	} {
		e, s := readAll(t, Options{}, write(t, "export", data))
		if len(s.Incomplete) == 0 || e.TargetsComplete || e.PoliciesComplete {
			t.Errorf("%s: nothing is said to be missing, or what is there to be complete", name)
		}
	}
}

func TestLongLine(t *testing.T) {
	long := `{"asset_type":"storage.googleapis.com/Bucket","x":"` + strings.Repeat("a", 5<<20) + `"}`
	e, s := readAll(t, Options{}, write(t, "export", []byte(long+"\n"+public)))
	if len(found(e)) != 1 || s.Odd > 0 || s.Lines != 2 {
		t.Errorf("%+v", s)
	}
}

// The exports of other projects are read without a false finding.
func TestFoundExports(t *testing.T) {
	dir := os.Getenv("DIAGNOSE_DATA")
	if dir == "" {
		t.Skip("DIAGNOSE_DATA names no folder with inputs of others")
	}
	files := 0
	err := filepath.WalkDir(filepath.Join(dir, "cai"), func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !slices.Contains([]string{".dump", ".json", ""}, filepath.Ext(p)) || strings.HasSuffix(p, "expected_verdicts.json") {
			return err
		}
		e, s := readAll(t, Options{}, p)
		files++
		for _, f := range rules.Judge(e, rules.Options{Now: now}).Findings {
			if f.Severity >= rules.High {
				t.Errorf("%s: %s: %s", p, f.Rule, f.Message)
			}
		}
		if s.Odd > 0 || len(s.Incomplete) > 0 {
			t.Logf("%s: %d odd lines, %v, %v", strings.TrimPrefix(p, dir), s.Odd, s.Oddities, s.Incomplete)
		}
		return nil
	})
	if err != nil || files < 20 {
		t.Errorf("%d files: %v", files, err)
	}
}

func BenchmarkRead(b *testing.B) {
	lines, _ := generate.Organization(generate.Options{Seed: 1, Projects: 200, Services: 2000, Noise: 60000})
	data := append(bytes.Join(lines, []byte("\n")), '\n')
	file := write(b, "export", data)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		readAll(b, Options{}, file)
	}
}

// TestExpansion refuses a small file that expands to a large one, as soon as it
// does.
func TestExpansion(t *testing.T) {
	e := &expanding{in: &counted{n: 1 << 10}, out: io.LimitReader(zeros{}, 1<<40)}
	n, err := io.Copy(io.Discard, e)
	if err == nil || !strings.Contains(err.Error(), "300 times") || n > expandsAlways+1<<20 {
		t.Errorf("%d bytes, %v", n, err)
	}
	e = &expanding{in: &counted{n: 2 << 20}, out: io.LimitReader(zeros{}, 300<<20)}
	if n, err := io.Copy(io.Discard, e); err != nil || n != 300<<20 {
		t.Errorf("%d bytes of what does not expand too far: %v", n, err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }
