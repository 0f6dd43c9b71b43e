package laws

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"golang.org/x/tools/txtar"

	"diagnose/internal/estate"
	"diagnose/internal/evidence"
	"diagnose/internal/inventory"
	"diagnose/internal/manifest"
)

// asEstate is the world as the rules can know it: they know no request, and
// what no estate holds is unread. ok is false where they can know too little
// to be compared.
func asEstate(w world) (world, bool) {
	w.source, w.path, w.method = "internet", "", "GET"
	w.iap, w.settings, w.tags = nil, nil, nil
	return w, w.service != nil
}

// asExpectation is a world about which an expectation can be stated. From
// where and on which URL the member calls is not said, so that ingress and the
// default URL are left out of it.
func asExpectation(w world) (world, bool) {
	w, ok := asEstate(w.clone())
	if ok {
		w.service.ingress, w.service.noURL = "all", false
	}
	return w, ok
}

// anonymous is the question whether anyone may call.
func anonymous(w world) (world, bool) {
	w, ok := asEstate(w)
	w.who = ""
	return w, ok
}

// contradiction is what two answers about the same facts cannot both be: ""
// where they can.
func contradiction(one string, a outcome, other string, b outcome) string {
	if a != unsettled && b != unsettled && a != b {
		return fmt.Sprintf("%s says %s, %s says %s", one, a, other, b)
	}
	return ""
}

// wrongPublic says what is wrong with the claim that anyone may call, or that
// not everyone may. Public is a request without credential that reaches the
// container, so that what is not known to be public is not said to be.
func wrongPublic(whose string, public bool, r ruling) string {
	switch {
	case public && !r.loose && only(r.usual) != allowed:
		return fmt.Sprintf("%s calls it public, and without a credential it is %s", whose, outcomes(r.usual))
	case !public && !r.loose && len(r.all) == 1 && r.all[allowed]:
		return fmt.Sprintf("%s does not call it public, and without a credential it is allowed", whose)
	}
	return ""
}

// A twin is a fault between two ways to ask the same question. view is the
// world as both can know it.
type twin struct {
	name string
	view func(world) (world, bool)
	find fault
}

// seen looks at worlds through the view.
func (x twin) seen(w world) string {
	w, ok := x.view(w)
	if !ok {
		return ""
	}
	return x.find(w)
}

var twins = []twin{
	{"invoke and expectation", asExpectation, func(w world) string {
		a := ofEstate(w.estate(), w.who)
		if a.clash {
			return "a member is said to be able to invoke, and not to be"
		}
		v := judge(w.snapshot(), false)
		return contradiction("invoke", v.outcome, "an expectation", a.outcome)
	}},
	{"expectation", asExpectation, func(w world) string {
		return overclaims(verdict{outcome: ofEstate(w.estate(), w.who).outcome, cause: "an expectation"}, decide(w))
	}},
	{"public in gate", anonymous, func(w world) string {
		return wrongPublic("gate", ofEstate(w.estate(), "").public, decide(w))
	}},
	{"public in who", anonymous, func(w world) string {
		return wrongPublic("who", whoPublic(w.snapshot()), decide(w))
	}},
	{"anonymous in two ways", anonymous, func(w world) string {
		a := judge(w.snapshot(), false)
		w.who = "allUsers"
		b := judge(w.snapshot(), false)
		return contradiction("a request without headers", a.outcome, "the principal allUsers", b.outcome)
	}},
}

// TestTwins asks every command that has an opinion about the same facts.
func TestTwins(t *testing.T) {
	t.Parallel()
	for _, x := range twins {
		t.Run(x.name, func(t *testing.T) {
			found, n := newTally(), count(10)
			found.view = x.view
			forWorlds(n, func(w world) {
				if w, ok := x.view(w); ok {
					found.fault(w, x.seen)
				}
			})
			found.report(t, n)
		})
	}
}

// write puts files into a new folder.
func (f files) write(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, data := range f {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func (f files) fs() fstest.MapFS {
	out := fstest.MapFS{}
	for name, data := range f {
		out[name] = &fstest.MapFile{Data: data}
	}
	return out
}

func (f files) archive() []byte {
	a := &txtar.Archive{}
	for name, data := range f {
		a.Files = append(a.Files, txtar.File{Name: name, Data: data})
	}
	return txtar.Format(a)
}

// caseFault compares the documents of a case, in all spellings, with the facts
// they were written from.
func caseFault(w world) string {
	want := judge(w.snapshot(), false).String()
	for _, s := range spellings {
		folder, err := evidence.LoadFS(w.theCase(s).fs(), "case")
		if err != nil {
			return fmt.Sprintf("a case with %s is refused: %v", s, err)
		}
		archive, err := evidence.LoadArchive(w.theCase(s).archive(), "case.txtar")
		if err != nil {
			return fmt.Sprintf("an archive with %s is refused: %v", s, err)
		}
		known := judge(folder, false)
		if s.knative && !w.number && known.outcome == unsettled {
			continue // a namespace is a number, and nothing says of which project
		}
		if got := known.String(); got != want {
			return fmt.Sprintf("a case with %s: %s, and the same facts are %s", s, got, want)
		}
		if got := judge(archive, false).String(); got != want {
			return fmt.Sprintf("an archive with %s: %s, and the same facts are %s", s, got, want)
		}
	}
	return ""
}

// readings are what the rules say of a world in one kind of document, once per
// spelling. All must agree, and none may contradict invoke.
func readings(w world, what string, read func(spelling) (*estate.Estate, error)) string {
	v := judge(w.snapshot(), false)
	open, _ := anonymous(w)
	anyone := decide(open)
	var first gateAnswer
	for i, s := range spellings {
		e, err := read(s)
		if err != nil {
			return fmt.Sprintf("%s with %s is refused: %v", what, s, err)
		}
		a := ofEstate(e, w.who)
		if i == 0 {
			first = a
		}
		if s.knative && !w.number && !a.public {
			a.public = first.public
		}
		if s.knative && !w.number && a.outcome == unsettled {
			a.outcome = first.outcome // a namespace is a number, and nothing says of which project
		}
		if a != first {
			return fmt.Sprintf("%s with %s: %+v, with %s %+v", what, s, a, spellings[0], first)
		}
		if c := contradiction("invoke", v.outcome, what, a.outcome); c != "" {
			return c
		}
		if c := wrongPublic(what, a.public, anyone); a.public && c != "" {
			return c
		}
	}
	return ""
}

func changeFault(t *testing.T) fault {
	return func(w world) string {
		return readings(w, "gate", func(s spelling) (*estate.Estate, error) {
			dir := w.theChange(s).write(t)
			in, err := manifest.Read(manifest.Options{Paths: []string{dir}, Stdin: bytes.NewReader(nil)})
			if err != nil {
				err = errors.New(strings.ReplaceAll(err.Error(), dir, "DIR"))
			}
			return in.After, err
		})
	}
}

// asExport is a world that an export can hold: without deny policies and
// groups.
func asExport(w world) (world, bool) {
	w, ok := asExpectation(w)
	w.deny, w.noDeny, w.groups = nil, true, nil
	return w, ok && !w.noAbove
}

func exportFault(w world) string {
	return readings(w, "scan", func(s spelling) (*estate.Estate, error) {
		data := w.theExport(s)
		e, stats, err := inventory.ReadLines(context.Background(), func(yield func([]byte) bool) {
			for l := range bytes.Lines(data) {
				if !yield(bytes.TrimSpace(l)) {
					return
				}
			}
		}, inventory.Options{})
		if err == nil && stats.Odd > 0 {
			err = fmt.Errorf("%v", stats.Oddities)
		}
		return e, err
	})
}

// asItIs is the whole world, for what can hold all of it.
func asItIs(w world) (world, bool) { return w, true }

// TestDocuments writes worlds out and reads them back as every command does.
func TestDocuments(t *testing.T) {
	t.Parallel()
	for _, x := range []twin{
		{"case", asItIs, caseFault}, {"change", asExpectation, changeFault(t)}, {"export", asExport, exportFault},
	} {
		t.Run(x.name, func(t *testing.T) {
			found, n := newTally(), count(80)
			found.view = x.view
			forWorlds(n, func(w world) {
				if w, ok := x.view(w); ok {
					found.fault(w, x.seen)
				}
			})
			found.report(t, n)
		})
	}
}
