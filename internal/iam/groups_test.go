package iam

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// naive decides membership by walking down, with what was seen on the way.
func naive(groups map[string][]string, group, caller string, seen map[string]bool) State {
	members, ok := groups[group]
	if !ok {
		return Unknown
	}
	state := NotGranted
	if seen[group] {
		return state
	}
	seen[group] = true
	for _, m := range members {
		st := NotGranted
		switch {
		case strings.HasPrefix(m, "group:"):
			st = naive(groups, m, caller, seen)
		case m == caller:
			st = Granted
		}
		if st == Granted {
			return Granted
		}
		if st == Unknown {
			state = Unknown
		}
	}
	return state
}

func TestGroupsAgainstWalk(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	said := map[State]int{}
	for range 3000 {
		listed := map[string][]string{}
		n := 1 + r.IntN(7)
		for i := range n {
			name := fmt.Sprintf("group:g%d@x.y", i)
			listed[name] = nil
			for range r.IntN(4) {
				member := fmt.Sprintf("group:g%d@x.y", r.IntN(n+1)) // the last is not listed
				if r.IntN(3) == 0 {
					member = fmt.Sprintf("user:u%d@x.y", r.IntN(3))
				}
				listed[name] = append(listed[name], member)
			}
		}
		groups := NewGroups(listed)
		for i := range n + 1 {
			group, caller := fmt.Sprintf("group:g%d@x.y", i), fmt.Sprintf("user:u%d@x.y", r.IntN(3))
			want := naive(listed, group, caller, map[string]bool{})
			got, why := ParseMember(group).matches(IdentityOf(caller), groups)
			if got != want || (got == Granted) != (why == "") {
				t.Fatalf("%s in %s of %v is %s (%s), want %s", caller, group, listed, got, why, want)
			}
			said[got]++
		}
	}
	for _, s := range []State{Unknown, NotGranted, Granted} {
		if said[s] < 500 {
			t.Errorf("%d answers are %s: too few to tell", said[s], s)
		}
	}
}

// 20,000 groups in a circle, each with the two before it and the one after:
// each is looked at once, whatever is asked and however often.
func TestGroupsInACircle(t *testing.T) {
	const n = 20_000
	listed := make(map[string][]string, n)
	name := func(i int) string { return fmt.Sprintf("group:g%d@x.y", (i+n)%n) }
	for i := range n {
		listed[name(i)] = []string{name(i + 1), name(i - 1), name(i - 2), "user:nobody@x.y"}
	}
	listed[name(7)] = append(listed[name(7)], "user:ana@x.y")
	looks := 0
	groups := NewGroups(listed).Until(func() bool { looks++; return false })
	for i := range n {
		if got, why := ParseMember(name(i)).matches(IdentityOf("user:ana@x.y"), groups); got != Granted {
			t.Fatalf("ana in %s is %s: %s", name(i), got, why)
		}
		if got, _ := ParseMember(name(i)).matches(IdentityOf("user:bob@x.y"), groups); got != NotGranted {
			t.Fatalf("bob in %s is %s", name(i), got)
		}
	}
	if looks > 2*n {
		t.Errorf("%d groups were looked at for two callers, want %d", looks, 2*n)
	}
}

func TestGroupLimits(t *testing.T) {
	listed := map[string][]string{"group:a@x.y": {"user:ana@x.y", "user:bob@x.y"}, "group:b@x.y": {"user:carl@x.y"}}
	groups := NewGroups(listed)
	groups.index.limit = 1
	for caller, want := range map[string]State{"user:ana@x.y": Granted, "user:bob@x.y": Unknown, "user:dora@x.y": Unknown} {
		got, why := ParseMember("group:a@x.y").matches(IdentityOf(caller), groups)
		if got != want || got == Unknown && !strings.Contains(why, "more than 1 memberships") {
			t.Errorf("beyond the limit %s is %s: %s", caller, got, why)
		}
	}
	if got, _ := ParseMember("group:b@x.y").matches(IdentityOf("user:ana@x.y"), groups); got != Unknown {
		t.Errorf("a group that was not looked at is %s", got)
	}

	stop := true
	groups = NewGroups(listed).Until(func() bool { return stop })
	if got, why := ParseMember("group:a@x.y").matches(IdentityOf("user:ana@x.y"), groups); got != Unknown || why != stopped {
		t.Errorf("a walk that was stopped is %s: %s", got, why)
	}
	stop = false
	if got, why := ParseMember("group:a@x.y").matches(IdentityOf("user:ana@x.y"), groups); got != Granted {
		t.Errorf("a stopped walk is kept: %s, %s", got, why)
	}
}

// Keys are read as members are: in any case, in both forms, and those of one
// group together.
func TestGroupKeys(t *testing.T) {
	groups := NewGroups(map[string][]string{
		"group:DEV@x.y": {"user:ana@x.y"}, "principalSet://goog/group/dev@x.y": {"user:bob@x.y"},
		"deleted:group:old@x.y?uid=1": {"user:ana@x.y"}, "nonsense": {"user:ana@x.y"},
		"group:outer@x.y": {"deleted:group:dev@x.y?uid=1"},
		"group:all@x.y":   {"allAuthenticatedUsers"},
	})
	for _, tt := range []struct {
		member, caller string
		want           State
	}{
		{"group:dev@x.y", "user:ana@x.y", Granted},
		{"GROUP:Dev@X.y", "user:bob@x.y", Granted},
		{"group:dev@x.y", "user:carl@x.y", NotGranted},
		{"group:old@x.y", "user:ana@x.y", Unknown},
		{"group:outer@x.y", "user:ana@x.y", NotGranted},
		{"group:all@x.y", "user:ana@x.y", Granted},
	} {
		if got, why := ParseMember(tt.member).matches(IdentityOf(tt.caller), groups); got != tt.want {
			t.Errorf("%s in %s is %s (%s), want %s", tt.caller, tt.member, got, why, tt.want)
		}
	}
	for i := range 2 * maxIdentities {
		ParseMember("group:dev@x.y").matches(IdentityOf(fmt.Sprintf("user:u%d@x.y", i)), groups)
	}
	if n := len(groups.index.memo); n > maxIdentities {
		t.Errorf("%d identities are kept, want at most %d", n, maxIdentities)
	}
}
