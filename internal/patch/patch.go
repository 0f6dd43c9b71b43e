// Package patch changes the text of a source so that a finding is repaired:
// Terraform's language, YAML and JSON, and the commands of scripts. It leaves
// comments, and everything that it need not touch, as they are.
package patch

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
)

// A Change is what a fix wants of the source at one place.
type Change struct {
	File string
	Line int // where the binding, the setting or the block of it stands
	// Address is that of the resource in Terraform, by which its block is
	// found; "" for other sources.
	Address string
	// Terraform is what the fix is in Terraform's language: arguments of the
	// block at Line, a resource, or a "removed" block. "" for other sources.
	Terraform string
	// Member is taken out of the binding at Line, "" where none is.
	Member string
}

// Errors of sources that are left as they are.
var (
	errNowhere = errors.New("its line is not in a block that can be changed")
	errDynamic = errors.New("the value there is not written out: change what it is made of")
	errUnknown = errors.New("no change of this source repairs it")
)

// Files holds the texts of files, by cleaned name: those that were changed,
// and where a file is not in it, Read gets it.
type Files struct {
	Changed map[string][]byte
	Read    func(name string) ([]byte, error)
}

func (f *Files) get(name string) ([]byte, error) {
	if data, ok := f.Changed[filepath.Clean(name)]; ok {
		return data, nil
	}
	return f.Read(name)
}

// Apply makes a change. Where it returns an error, nothing was changed.
func (f *Files) Apply(c Change) error {
	data, err := f.get(c.File)
	if err != nil {
		return err
	}
	name, out := c.File, []byte(nil)
	switch ext := filepath.Ext(c.File); {
	case ext == ".tf" || ext == ".tofu":
		name, out, err = f.terraform(data, c)
	case slices.Contains([]string{".yaml", ".yml", ".json"}, ext):
		if out, err = commandLine(data, c); err != nil {
			out, err = document(data, c)
		}
	default:
		out, err = commandLine(data, c)
	}
	if err != nil {
		return err
	}
	f.Changed[filepath.Clean(name)] = out
	return nil
}

// flags of gcloud that open a service, and what shuts it.
var flags = []struct{ open, shut string }{
	{"--no-invoker-iam-check", "--invoker-iam-check"}, {"--allow-unauthenticated", "--no-allow-unauthenticated"}, {"--public", "--no-allow-unauthenticated"},
}

// commandLine turns the flag of a command round.
func commandLine(data []byte, c Change) ([]byte, error) {
	lines := strings.SplitAfter(string(data), "\n")
	if c.Line < 1 || c.Line > len(lines) {
		return nil, errNowhere
	}
	line := lines[c.Line-1]
	for _, f := range flags {
		if i := word(line, f.open); i >= 0 && (c.Member == "allUsers" || c.Member == "" && f.open != "--allow-unauthenticated") {
			lines[c.Line-1] = line[:i] + f.shut + line[i+len(f.open):]
			return []byte(strings.Join(lines, "")), nil
		}
	}
	return nil, errUnknown
}

// word finds a flag that stands alone, -1 where it does not.
func word(line, flag string) int {
	i := strings.Index(line, flag)
	if i < 0 {
		return -1
	}
	before, after := line[:i], line[i+len(flag):]
	const ends = " \t\r\n\"'`,;|&])}"
	if before != "" && !strings.ContainsAny(before[len(before)-1:], " \t\"'`,[({") || after != "" && !strings.ContainsAny(after[:1], ends) {
		return -1
	}
	return i
}
