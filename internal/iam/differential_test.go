package iam

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"google.golang.org/genproto/googleapis/type/expr"
)

// A formula is a random condition: an operator over others, or a leaf.
type formula struct {
	op   string // "&&", "||", "!", "?:", or "" for a leaf
	args []*formula
	leaf int
}

// The leaves, each with the outcomes that are possible. A plain test of an
// attribute that Cloud Run does not provide is never true, unless it is below
// a negation or decides a choice: that is the one documented rule.
var diffLeaves = []struct {
	text       string
	can, guard outcome
}{
	{`request.path == "/x"`, yes, yes},
	{`request.path == "/y"`, no, no},
	{`true`, yes, yes},
	{`resource.matchTag("1/env", "prod")`, open, open},
	{`request.host == "h"`, open, open},
	{`resource.name == "a"`, no | fails, open},
	{`resource.type.startsWith("b")`, no | fails, open},
	{`resource.type != "c"`, open, open},
	{`newFunction(request.path)`, open, open},
	{`1 / 0 == 1`, open, open},
	{`api.getAttribute("iam.googleapis.com/modifiedGrantsByRole", []).hasOnly(["r"])`, yes, yes},
}

func randomFormula(r *rand.Rand, depth int) *formula {
	if depth == 0 || r.IntN(4) == 0 {
		return &formula{leaf: r.IntN(len(diffLeaves))}
	}
	f := &formula{op: []string{"&&", "||", "!", "?:"}[r.IntN(4)]}
	for range map[string]int{"&&": 2, "||": 2, "!": 1, "?:": 3}[f.op] {
		f.args = append(f.args, randomFormula(r, depth-1))
	}
	return f
}

func (f *formula) String() string {
	switch f.op {
	case "":
		return diffLeaves[f.leaf].text
	case "!":
		return "!(" + f.args[0].String() + ")"
	case "?:":
		return fmt.Sprintf("((%s) ? (%s) : (%s))", f.args[0], f.args[1], f.args[2])
	}
	return "(" + f.args[0].String() + " " + f.op + " " + f.args[1].String() + ")"
}

// leaves lists the leaves with their outcomes, in the order that value asks
// for them.
func (f *formula) leaves(guard bool) []outcome {
	if f.op == "" {
		if guard {
			return []outcome{diffLeaves[f.leaf].guard}
		}
		return []outcome{diffLeaves[f.leaf].can}
	}
	var out []outcome
	for i, a := range f.args {
		out = append(out, a.leaves(guard || f.op == "!" || f.op == "?:" && i == 0)...)
	}
	return out
}

// value is the value of a formula by the definition of CEL, whose leaves have
// the given values.
func (f *formula) value(take func() outcome) outcome {
	if f.op == "" {
		return take()
	}
	var v []outcome
	for _, a := range f.args {
		v = append(v, a.value(take))
	}
	switch {
	case f.op == "!":
		return map[outcome]outcome{yes: no, no: yes, fails: fails}[v[0]]
	case f.op == "?:" && v[0] == yes:
		return v[1]
	case f.op == "?:" && v[0] == no:
		return v[2]
	case f.op == "?:":
		return fails
	}
	absorbing, neutral := no, yes
	if f.op == "||" {
		absorbing, neutral = yes, no
	}
	switch {
	case v[0] == absorbing || v[1] == absorbing:
		return absorbing
	case v[0] == neutral && v[1] == neutral:
		return neutral
	}
	return fails
}

// possible lists every value that a formula may have, each leaf for itself.
func (f *formula) possible() outcome {
	leaves := f.leaves(false)
	chosen := make([]outcome, len(leaves))
	var all outcome
	var choose func(i int)
	choose = func(i int) {
		if i == len(leaves) {
			next := 0
			all |= f.value(func() outcome { next++; return chosen[next-1] })
			return
		}
		for _, o := range []outcome{yes, no, fails} {
			if leaves[i]&o != 0 {
				chosen[i] = o
				choose(i + 1)
			}
		}
	}
	choose(0)
	return all
}

// Granted and NotGranted are said where every possibility agrees, and only
// there.
func TestConditionsAgainstEnumeration(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	path := "/x"
	c := Context{Path: &path}
	said := map[State]int{}
	for said[Unknown]+said[Granted]+said[NotGranted] < 20_000 {
		f := randomFormula(r, 3)
		if len(f.leaves(false)) > 6 {
			continue // too many possibilities to list
		}
		want := Unknown
		switch all := f.possible(); {
		case all == yes:
			want = Granted
		case all&yes == 0:
			want = NotGranted
		}
		got := EvalCondition(&expr.Expr{Expression: f.String()}, c)
		if got.State != want {
			t.Fatalf("%s\n\tis %s (%s), want %s", f, got.State, got.Reason, want)
		}
		if (got.State == Granted) != (got.Reason == "") || (got.State == Granted) != (got.Part == "") {
			t.Fatalf("%s\n\tis %s by %q for the reason %q", f, got.State, got.Part, got.Reason)
		}
		said[got.State]++
	}
	for state, n := range said {
		if n < 1000 {
			t.Errorf("%d conditions are %s: too few to tell", n, state)
		}
	}
}
