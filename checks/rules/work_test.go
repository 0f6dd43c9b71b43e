package rules

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/type/expr"

	"diagnose/internal/estate"
)

// worked is what judging an estate takes: how often things in it are compared
// with each other, and how many bytes are asked for.
func worked(e *estate.Estate) (steps int, bytes uint64) {
	o := Options{Now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	now, earlier := newIndex(e, o), newIndex(&estate.Estate{Targets: e.Targets}, o)
	for _, r := range Rules() {
		r.Run(now)
	}
	diff(earlier, now)
	diff(now, earlier)
	runtime.ReadMemStats(&after)
	return now.steps + earlier.steps, after.TotalAlloc - before.TotalAlloc
}

// Four times as many resources take four times the work, whatever they are.
func TestWork(t *testing.T) {
	const invoker, project = "roles/run.invoker", estate.NodeHost + "projects/shop"
	name := func(i int) string {
		return fmt.Sprintf("//run.googleapis.com/projects/shop/locations/l/services/s%d", i)
	}
	services := func(n int) *estate.Estate {
		e := &estate.Estate{}
		for i := range n {
			e.Targets = append(e.Targets, estate.Target{Name: name(i), Check: estate.Yes, IAP: estate.No, Ingress: estate.IngressAll, Where: at("s", i)})
		}
		return e
	}
	bind := func(e *estate.Estate, on string, a estate.Authority, i int, role string, members ...string) {
		b := estate.Binding{Role: role, Members: members, Authority: a, Where: at("m", i)}
		e.Policies = append(e.Policies, estate.Policy{Resource: on, Bindings: []estate.Binding{b}, Where: b.Where})
	}
	for what, shape := range map[string]func(n int) *estate.Estate{
		"a grant each": func(n int) *estate.Estate {
			e := services(n)
			for i := range n {
				bind(e, name(i), estate.MemberAuthority, i, invoker, user(i))
			}
			return e
		},
		"all grants on one service": func(n int) *estate.Estate {
			e := services(1)
			for i := range n {
				bind(e, name(0), estate.MemberAuthority, i, invoker, user(i))
			}
			return e
		},
		"all members in one binding": func(n int) *estate.Estate {
			e, members := services(1), []string{}
			for i := range n {
				members = append(members, user(i))
			}
			bind(e, name(0), estate.RoleAuthority, 0, invoker, members...)
			return e
		},
		"groups on services and their project": func(n int) *estate.Estate {
			e := services(1)
			for i := range n {
				bind(e, name(0), estate.MemberAuthority, i, invoker, fmt.Sprintf("group:g%d@example.com", i))
				bind(e, project, estate.MemberAuthority, n+i, invoker, fmt.Sprintf("group:p%d@example.com", i))
			}
			return e
		},
		"owners of everything": func(n int) *estate.Estate {
			e := services(1)
			for i := range n {
				bind(e, name(0), estate.RoleAuthority, i, invoker, user(i))
				bind(e, name(0), estate.PolicyAuthority, n+i, fmt.Sprintf("roles/r%d", i), user(i))
			}
			return e
		},
		"grants that may be of any service": func(n int) *estate.Estate {
			e := services(n)
			for i := range n {
				bind(e, fmt.Sprintf("//run.googleapis.com/projects/-/locations/l/services/-m.%d", i), estate.MemberAuthority, i, "roles/viewer", user(i))
				bind(e, fmt.Sprintf("//run.googleapis.com/projects/-/locations/l/services/x%d", i), estate.MemberAuthority, n+i, invoker, user(i))
			}
			return e
		},
		"one condition each": func(n int) *estate.Estate {
			e := services(1)
			for i := range n {
				bind(e, name(0), estate.MemberAuthority, i, invoker, user(i))
				e.Policies[i].Bindings[0].Condition = &expr.Expr{Expression: fmt.Sprintf("request.path == %q", user(i))}
			}
			return e
		},
	} {
		steps, bytes := worked(shape(50))
		more, moreBytes := worked(shape(200))
		if more > 6*steps+100 || moreBytes > 6*bytes {
			t.Errorf("%s: %d steps and %d bytes; of four times as many %d and %d", what, steps, bytes, more, moreBytes)
		}
	}
}

func user(i int) string { return fmt.Sprintf("user:u%d@example.com", i) }

func at(name string, i int) estate.Where {
	return estate.Where{File: "plan.json", Address: fmt.Sprintf("%s[%d]", name, i)}
}
