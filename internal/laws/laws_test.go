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
	seen    map[string]int            // by coarser kind
	view    func(world) (world, bool) // what is looked at of a world, nil for all
}

func newTally() *tally {
	return &tally{count: map[string]int{}, example: map[string]string{}, seen: map[string]int{}}
}

// add counts one disagreement. example is called for the first of a kind.
func (t *tally) add(kind string, example func() string) {
	t.count[kind]++
	if t.count[kind] == 1 {
		t.example[kind] = example()
	}
}

// total is how many were added, of all kinds.
func (t *tally) total() (sum int) {
	for _, n := range t.count {
		sum += n
	}
	return sum
}

// report fails the test with all kinds, the most frequent first.
func (t *tally) report(test *testing.T, of int) {
	test.Helper()
	kinds := slices.SortedFunc(maps.Keys(t.count), func(a, b string) int {
		return 2*(t.count[b]-t.count[a]) + strings.Compare(a, b)
	})
	const most = 40
	for i, k := range kinds {
		if i == most {
			test.Errorf("and %d kinds more", len(kinds)-most)
			break
		}
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
	case !r.all[v.outcome]:
		return fmt.Sprintf("%s, and it is never so", v)
	case v.proven && len(r.all) != 1:
		return fmt.Sprintf("%s, and it could be otherwise", v)
	case !r.loose && only(r.usual) != v.outcome:
		return fmt.Sprintf("%s, and supposing only what is usual it is open", v)
	}
	return ""
}

// underclaims says what the reference knows and a verdict does not.
func underclaims(v verdict, r ruling) string {
	switch {
	case r.loose:
	case v.outcome == unsettled && only(r.usual) != unsettled:
		return fmt.Sprintf("%s, and it is usually %s", v, only(r.usual))
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

// explain shows a world, what the reference makes of it, and the program.
func explain(w world) string {
	r := decide(w)
	v := judge(w.snapshot(), false)
	return fmt.Sprintf("%s\n\treference: usually %s, in all %s; turned by %s\n\tprogram: %s: %s",
		w, outcomes(r.usual), outcomes(r.all), strings.Join(r.turners, "; "), v, v.headline)
}

func outcomes(set map[outcome]bool) string {
	var out []string
	for o := range set {
		out = append(out, o.String())
	}
	slices.Sort(out)
	return strings.Join(out, " or ")
}

// A fault finds what is wrong in a world, "" where nothing is.
type fault func(world) string

// TestReference compares the program's verdicts with the plain decision: they
// claim neither more nor less.
func TestReference(t *testing.T) {
	t.Parallel()
	found, n := newTally(), count(1)
	forWorlds(n, func(w world) {
		found.fault(w, func(w world) string {
			return overclaims(judge(w.snapshot(), false), decide(w))
		})
	})
	found.report(t, n)
}

// TestReferenceEnough compares what the program leaves open. It looks at each
// unknown by itself, and so misses what two of one kind tell together, as the
// same tag in a grant and in a deny rule: that is rare.
func TestReferenceEnough(t *testing.T) {
	t.Parallel()
	found, n := newTally(), count(4)
	forWorlds(n, func(w world) {
		found.fault(w, func(w world) string { return underclaims(judge(w.snapshot(), false), decide(w)) })
	})
	if found.total()*1000 > n {
		found.report(t, n)
	}
}

// TestReferenceStrictly does so where nothing may be supposed: then every
// decision is a proven one.
func TestReferenceStrictly(t *testing.T) {
	t.Parallel()
	found, n := newTally(), count(10)
	forWorlds(n, func(w world) {
		found.fault(w, func(w world) string {
			v := judge(w.snapshot(), true)
			v.proven = v.outcome != unsettled
			return overclaims(v, decide(w))
		})
	})
	found.report(t, n)
}

// maxShrunk bounds how many examples of one kind are looked at closely.
const maxShrunk = 25

// fault adds a world that is judged wrongly. Its kind is refined by what can
// turn the shrunk world, as far as that is looked at.
func (t *tally) fault(w world, f fault) {
	kind := f(w)
	if kind == "" {
		return
	}
	if t.seen[kind]++; t.seen[kind] > maxShrunk {
		t.add(kind+" (not looked at closely)", func() string { return "\tas above" })
		return
	}
	w = shrink(w, func(c world) bool { return f(c) == kind })
	if t.view != nil {
		w, _ = t.view(w)
	}
	t.add(kind+"; "+turning(decide(w)), func() string { return explain(w) })
}

// turning names the sorts of questions that can turn a ruling.
func turning(r ruling) string {
	out := map[string]bool{}
	for _, key := range r.turners {
		key, _, _ = strings.Cut(key, " ")
		key, _, _ = strings.Cut(key, ":")
		switch key {
		case "project", "folder", "organization", "the":
			key = "ancestors"
		case "domain", "principalSet":
			key = "group"
		case "whom":
			key = "IAP"
		}
		out[key] = true
	}
	if len(out) == 0 {
		return "nothing can turn it"
	}
	return "turned by " + strings.Join(slices.Sorted(maps.Keys(out)), ", ")
}

// TestReferenceKnowsEnough guards the comparison: a reference that leaves
// everything open would agree with everything.
func TestReferenceKnowsEnough(t *testing.T) {
	t.Parallel()
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
