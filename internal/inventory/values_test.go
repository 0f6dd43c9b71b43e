package inventory

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"diagnose/internal/inventory/generate"
)

// A list, several lists in one file, and values over several lines hold what
// the same assets hold one on a line.
func TestLists(t *testing.T) {
	lines, want := generate.Organization(generate.Options{Seed: 3, Projects: 5, Services: 60, Noise: 4000})
	var pretty bytes.Buffer
	for _, l := range lines {
		if err := json.Indent(&pretty, l, "", "    "); err != nil {
			t.Fatal(err)
		}
		pretty.WriteByte('\n')
	}
	half := len(lines) / 2
	list := func(lines [][]byte) string { return "[" + string(bytes.Join(lines, []byte(",\n"))) + "]" }
	for name, data := range map[string]string{
		"list":               list(lines),
		"two lists":          list(lines[:half]) + "\n" + list(lines[half:]),
		"two lists, no line": list(lines[:half]) + list(lines[half:]),
		"empty list first":   "[]\n" + list(lines),
		"list, then lines":   list(lines[:half]) + "\n" + string(bytes.Join(lines[half:], []byte("\n"))),
		"over lines":         pretty.String(),
		"commented":          "# exported today\n// \"[{\n" + list(lines) + "\n# end",
	} {
		e, s := readAll(t, Options{}, write(t, "export", []byte(data)))
		if got := found(e); !slices.Equal(got, want) || s.Odd > 0 || len(s.Incomplete) > 0 || s.Lines != len(lines) {
			t.Errorf("%s: %d findings, want %d; %d values of %d; %v %v", name, len(got), len(want), s.Lines, len(lines), s.Oddities, s.Incomplete)
		}
	}
}

// A broken value of a list is located, and those behind it are read.
func TestBrokenValues(t *testing.T) {
	for name, broken := range map[string]string{
		"brackets": `{"asset_type": ]`, "word": `{"asset_type": oops}`, "cut string": "{\"asset_type\": \"oops}\n}", "no object": `"text"`, "number": `17`,
	} {
		data := "[\n" + public + ",\n" + broken + ",\n" + public + "\n]\n"
		e, s := readAll(t, Options{}, write(t, "export", []byte(data)))
		if s.Odd != 1 || len(s.Incomplete) > 0 || len(e.Policies) != 2 {
			t.Errorf("%s: %+v, %d policies", name, s, len(e.Policies))
			continue
		}
		if w := s.Oddities[0].Where; w.Line != 3 || w.Offset != int64(len(public)+4) {
			t.Errorf("%s: located at line %d, byte %d", name, w.Line, w.Offset)
		}
		if e.PoliciesComplete || e.TargetsComplete {
			t.Errorf("%s: what was left out may be a policy or a service, and the estate claims to be complete", name)
		}
	}
}

func TestTooLong(t *testing.T) {
	long := `{"asset_type":"run.googleapis.com/Service","x":"` + strings.Repeat("a", 9<<20) + `"}`
	o := Options{longest: 4 << 20}
	e, s := readAll(t, o, write(t, "export", []byte(public+"\n"+long+"\n"+public+"\n")))
	if len(e.Policies) != 2 || s.Odd != 1 || len(s.Incomplete) != 1 || s.Lines != 3 || s.Oddities[0].Where.Line != 2 || s.Oddities[0].Where.Offset != int64(len(public)+1) {
		t.Errorf("%d policies, %+v", len(e.Policies), s)
	}
	_, s = readAll(t, o, write(t, "export", []byte("["+public+",\n"+long+"]")))
	if len(s.Incomplete) != 1 || !strings.Contains(s.Incomplete[0], "line 2 is longer than") {
		t.Errorf("list: %+v", s)
	}
	o.longest = 16 << 20
	if _, s = readAll(t, o, write(t, "export", []byte(public+"\n"+strings.Replace(long, "run.", "x.", 1)))); s.Odd > 0 || s.Lines != 2 {
		t.Errorf("admitted: %+v", s)
	}
}

// What is named twice is read once, links to files are followed, and hidden
// files are left out.
func TestFiles(t *testing.T) {
	elsewhere := write(t, "shard", []byte(public))
	dir := t.TempDir()
	for name, data := range map[string]string{"a.json": public, ".hidden": public, "deeper/b.json": public} {
		file := filepath.Join(dir, name)
		os.MkdirAll(filepath.Dir(file), 0o755)
		if err := os.WriteFile(file, []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(elsewhere, filepath.Join(dir, "link")); err != nil {
		t.Skip(err)
	}
	for _, inputs := range [][]string{{dir}, {dir, dir + "/", filepath.Join(dir, "[a-z]*")}, {filepath.Join(dir, "a.json"), dir}} {
		_, s, err := Read(t.Context(), inputs, nil, Options{})
		if err != nil || s.Files != 3 || s.Lines != 3 {
			t.Errorf("%v: %d files, %d lines, %v", inputs, s.Files, s.Lines, err)
		}
	}
}

// A file to which something is added while it is read is incomplete.
func TestGrowing(t *testing.T) {
	lines, _ := generate.Organization(generate.Options{Seed: 1, Projects: 2, Services: 4, Noise: 3000})
	file := write(t, "export", append(bytes.Join(lines, []byte("\n")), '\n'))
	once := false
	_, s, err := Read(t.Context(), []string{file}, nil, Options{Progress: func(Stats) {
		if once {
			return
		}
		once = true
		f, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		fmt.Fprintln(f, public)
	}})
	if err != nil || len(s.Incomplete) != 1 || !strings.Contains(s.Incomplete[0], "changed while it was read") {
		t.Errorf("%v, %v", s.Incomplete, err)
	}
}

// FuzzValues: a list is cut where encoding/json cuts it, wherever the reading
// paused.
func FuzzValues(f *testing.F) {
	for _, s := range []string{`[]`, `[{}]`, `[{"a":"]}\""},[1,[2]] , "x,y",null ,-1e5]`, "[\n{\"\\u005d\":[{}]}\n]"} {
		f.Add([]byte(s), 3)
	}
	f.Fuzz(func(t *testing.T, data []byte, pause int) {
		var want []json.RawMessage
		if !bytes.HasPrefix(bytes.TrimSpace(data), []byte("[")) || json.Unmarshal(data, &want) != nil {
			return
		}
		s := splitter{start: -1, line: 1}
		spans := append(s.split(data[:min(max(pause, 0), len(data))]), s.split(data)...)
		if s.end() != nil || len(spans) != len(want) {
			t.Fatalf("%q: %d values, want %d; %v", data, len(spans), len(want), s.end())
		}
		for i, p := range spans {
			if !bytes.Equal(data[p.from:p.to], want[i]) {
				t.Errorf("%q: value %d is %q, want %q", data, i, data[p.from:p.to], want[i])
			}
			if line := 1 + bytes.Count(data[:p.from], []byte("\n")); line != p.line {
				t.Errorf("%q: value %d on line %d, want %d", data, i, p.line, line)
			}
		}
	})
}
