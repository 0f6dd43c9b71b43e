package laws

import (
	"fmt"
	"slices"
	"testing"

	"golang.org/x/tools/txtar"

	"diagnose/fixtures"
	"diagnose/internal/credential"
	"diagnose/internal/evidence"
)

// A part is a case less some of its documents.
type part struct {
	story string
	less  []string
	evidence.Snapshot
}

// parts are an embedded story less up to n of its documents, the whole first.
func parts(t *testing.T, story string, n int) []part {
	t.Helper()
	f, err := fixtures.Read(story)
	if err != nil {
		t.Fatal(err)
	}
	whole := txtar.Parse(f.Data).Files
	var names []string
	for _, x := range whole {
		if x.Name != "want" && x.Name != "token.txt" {
			names = append(names, x.Name)
		}
	}
	less := [][]string{nil}
	for i, a := range names {
		if n > 0 {
			less = append(less, []string{a})
		}
		for _, b := range names[i+1:] {
			if n > 1 {
				less = append(less, []string{a, b})
			}
		}
	}
	var out []part
	for _, l := range less {
		left := slices.DeleteFunc(slices.Clone(whole), func(x txtar.File) bool { return slices.Contains(l, x.Name) })
		s, err := evidence.LoadArchive(txtar.Format(&txtar.Archive{Files: left}), story)
		if err != nil {
			continue // nothing is left
		}
		if s.Now.IsZero() {
			s.Now = now
		}
		out = append(out, part{story, l, s})
	}
	return out
}

// turned says what adding a document did to a proven verdict, "" where the
// decision stands.
func turned(before, after verdict, x extreme) string {
	if before.outcome == after.outcome {
		return ""
	}
	return fmt.Sprintf("%s becomes %s by adding %s", before, after, x.document)
}

// stand adds every extreme document to a case that is proven, one by one.
func stand(s evidence.Snapshot, strict bool, found *tally, of func(extreme) string) int {
	before := judge(s, strict)
	if before.outcome == unsettled || !before.proven {
		return 0
	}
	n := 0
	for _, x := range extremes(s) {
		more := s
		x.put(&more)
		n++
		if kind := turned(before, judge(more, strict), x); kind != "" {
			found.add(kind, func() string {
				return fmt.Sprintf("%s, with %s %s\n\tbefore: %s\n\tafter: %s",
					of(x), x.document, x.label, before.headline, judge(more, strict).headline)
			})
		}
	}
	return n
}

// TestProvenStands is the law of the basis: whatever document is added to a
// proven verdict, the decision stays.
func TestProvenStands(t *testing.T) {
	t.Parallel()
	t.Run("stories", func(t *testing.T) {
		found, n := newTally(), 0
		for _, story := range fixtures.Names() {
			depth := 1
			if testing.Short() {
				depth = 0
			}
			for _, p := range parts(t, story, depth) {
				for _, strict := range []bool{false, true} {
					n += stand(p.Snapshot, strict, found, func(extreme) string {
						return fmt.Sprintf("\t%s less %v, strict %t", p.story, p.less, strict)
					})
				}
			}
		}
		t.Logf("%d documents added", n)
		found.report(t, n)
	})
	t.Run("worlds", func(t *testing.T) {
		found, n := newTally(), 0
		forWorlds(count(40), func(w world) {
			n += stand(w.snapshot(), false, found, func(extreme) string { return w.String() })
		})
		t.Logf("%d documents added", n)
		found.report(t, n)
	})
}

// differs says how what is proven of less differs from the whole.
func differs(less, whole verdict) bool {
	return less.proven && less.outcome != unsettled && less.outcome != whole.outcome
}

// namesTwo reports whether a case asks about one caller and has the token of
// another.
func namesTwo(s evidence.Snapshot) bool {
	who := s.Token.Or(credential.Credential{}).Who()
	return who != "" && s.Request.Or(evidence.Request{}).Principal != ""
}

// A lack is what is missing of a case: one or two documents.
type lack []string

// known says whether one of them alone makes a difference.
func (l lack) known(single map[string]bool) bool {
	return slices.ContainsFunc(l, func(name string) bool { return single[name] })
}

// TestLessProvesNothingElse takes documents away: what is then proven is what
// the whole says.
func TestLessProvesNothingElse(t *testing.T) {
	t.Parallel()
	found, n := newTally(), 0
	for _, story := range fixtures.Names() {
		all := parts(t, story, 2)
		two := namesTwo(all[0].Snapshot)
		whole := judge(all[0].Snapshot, false)
		single := map[string]bool{}
		slices.SortStableFunc(all, func(a, b part) int { return len(a.less) - len(b.less) })
		for _, p := range all[1:] {
			if two && !namesTwo(p.Snapshot) {
				continue // which of the two calls is settled by what is missing: that is another question
			}
			n++
			less := judge(p.Snapshot, false)
			if lack(p.less).known(single) || !differs(less, whole) {
				continue
			}
			single[p.less[0]] = single[p.less[0]] || len(p.less) == 1
			found.add(fmt.Sprintf("%s without %v, where the whole is %s", less, p.less, whole), func() string {
				return fmt.Sprintf("\t%s\n\twhole: %s\n\tless: %s", story, whole.headline, less.headline)
			})
		}
	}
	t.Logf("%d cases with less", n)
	found.report(t, n)
}

// removals take one document away from a world.
var removals = []struct {
	name string
	from func(*world)
}{
	{"service", func(w *world) { w.service = nil }},
	{"own", func(w *world) { w.own = nil }},
	{"ancestors", func(w *world) { w.noAbove, w.above = true, nil }},
	{"deny", func(w *world) { w.noDeny, w.deny = true, nil }},
	{"roles", func(w *world) { w.roles = nil }},
	{"groups", func(w *world) { w.groups = nil }},
	{"tags", func(w *world) { w.tags = nil }},
	{"IAP policy", func(w *world) { w.iap = nil }},
	{"IAP settings", func(w *world) { w.settings = nil }},
	{"project", func(w *world) { w.number = false }},
	{"URL", func(w *world) { w.path = "" }},
}

// lesser finds what is proven of a world less one document, or less two of
// which neither alone makes a difference.
func lesser(w world, judged *int) string {
	whole := judge(w.snapshot(), false)
	for _, pairs := range []bool{false, true} {
		for i, a := range removals {
			for _, b := range removals[i:] {
				l := lack{a.name, b.name}
				if pairs == (a.name == b.name) || w.gen1 && l[0] == "service" {
					continue
				}
				less := w.clone()
				a.from(&less)
				b.from(&less)
				*judged++
				if v := judge(less.snapshot(), false); differs(v, whole) {
					return fmt.Sprintf("%s without %v, where the whole is %s", v, slices.Compact(l), whole)
				}
			}
		}
	}
	return ""
}

// TestLessOfWorlds does so with random organizations.
func TestLessOfWorlds(t *testing.T) {
	t.Parallel()
	found, n := newTally(), 0
	forWorlds(count(80), func(w world) {
		found.fault(w, func(w world) string { return lesser(w, &n) })
	})
	t.Logf("%d cases with less", n)
	found.report(t, n)
}
