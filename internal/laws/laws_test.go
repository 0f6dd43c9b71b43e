package laws

import (
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

var (
	worlds = flag.Int("laws.n", 20_000, "how many random organizations to judge")
	seed   = flag.Uint64("laws.seed", 1, "where the random organizations start")
)

// A tally counts disagreements by kind and keeps one example of each.
type tally struct {
	count   map[string]int
	example map[string]string
}

func newTally() *tally { return &tally{map[string]int{}, map[string]string{}} }

// add counts one disagreement. example is called for the first of a kind.
func (t *tally) add(kind string, example func() string) {
	t.count[kind]++
	if t.count[kind] == 1 {
		t.example[kind] = example()
	}
}

// report fails the test with all kinds, the most frequent first.
func (t *tally) report(test *testing.T, of int) {
	test.Helper()
	kinds := slices.SortedFunc(maps.Keys(t.count), func(a, b string) int {
		return 2*(t.count[b]-t.count[a]) + strings.Compare(a, b)
	})
	for _, k := range kinds {
		test.Errorf("%d of %d: %s\n%s", t.count[k], of, k, t.example[k])
	}
}

// number of worlds for a test that takes so many times as long for one.
func count(times int) int {
	n := *worlds / times
	if testing.Short() {
		n /= 20
	}
	return max(n, 50)
}

// overclaims says what a verdict claims that the reference does not have: ""
// where it claims nothing too much.
func overclaims(v verdict, r ruling) string {
	switch {
	case v.outcome == unsettled:
		return ""
	case v.proven && (len(r.all) != 1 || !r.all[v.outcome]):
		return fmt.Sprintf("%s, and an unread document or fact could turn it", v)
	case !r.all[v.outcome]:
		return fmt.Sprintf("%s, which is impossible", v)
	case !r.loose && only(r.usual) != v.outcome:
		return fmt.Sprintf("%s, and supposing nothing but what is usual it is %s", v, only(r.usual))
	}
	return ""
}

// underclaims says what the reference knows and a verdict does not.
func underclaims(v verdict, r ruling) string {
	switch {
	case r.loose:
	case v.outcome == unsettled && only(r.usual) != unsettled:
		return fmt.Sprintf("%s, and it is %s", v, only(r.usual))
	case !v.proven && len(r.all) == 1 && only(r.all) != unsettled:
		return fmt.Sprintf("%s, and it is proven", v)
	}
	return ""
}

func forWorlds(n int, f func(world)) {
	m := newMaker(*seed)
	for range n {
		f(m.world())
	}
}

// explain shows a world shrunk as far as it keeps the fault.
func explain(w world, fault func(world) string) string {
	kind := fault(w)
	w = shrink(w, func(c world) bool { return fault(c) == kind })
	r := decide(w)
	return fmt.Sprintf("%s\n\treference: usually %s, in all %s; turned by %s\n\tprogram: %s",
		w, outcomes(r.usual), outcomes(r.all), strings.Join(r.turners, "; "), judge(w.snapshot(), false).headline)
}

func outcomes(set map[outcome]bool) string {
	var out []string
	for o := range set {
		out = append(out, o.String())
	}
	slices.Sort(out)
	return strings.Join(out, " or ")
}

// TestReference compares the program's verdicts with the plain decision.
func TestReference(t *testing.T) {
	for name, fault := range map[string]func(world) string{
		"claims no more": func(w world) string { return overclaims(judge(w.snapshot(), false), decide(w)) },
		"claims no less": func(w world) string { return underclaims(judge(w.snapshot(), false), decide(w)) },
		"strictly": func(w world) string {
			v := judge(w.snapshot(), true)
			v.proven = v.outcome != unsettled
			return overclaims(v, decide(w))
		},
	} {
		t.Run(name, func(t *testing.T) {
			found, n := newTally(), count(1)
			forWorlds(n, func(w world) {
				if kind := fault(w); kind != "" {
					found.add(kind, func() string { return explain(w, fault) })
				}
			})
			found.report(t, n)
		})
	}
}

// TestReferenceKnowsEnough guards the comparison: a reference that leaves
// everything open would agree with everything.
func TestReferenceKnowsEnough(t *testing.T) {
	seen := map[string]int{}
	n := 3000
	forWorlds(n, func(w world) {
		r := decide(w)
		seen["usually "+only(r.usual).String()]++
		if len(r.all) == 1 {
			seen["always "+only(r.all).String()]++
		}
		if r.loose {
			seen["loose"]++
		}
	})
	t.Log(seen)
	for _, k := range []string{"usually allowed", "usually denied", "always allowed", "always denied"} {
		if seen[k] < n/20 {
			t.Errorf("%d of %d worlds are %s", seen[k], n, k)
		}
	}
	if seen["loose"] > n/3 {
		t.Errorf("%d of %d worlds are not compared", seen["loose"], n)
	}
}
