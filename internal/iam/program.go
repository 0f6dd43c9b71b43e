package iam

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
)

// costLimit bounds the work that one condition may take, in CEL's units of
// cost.
const costLimit = 5_000

var (
	tooLong   = fmt.Sprintf("the condition is longer than %d bytes; diagnose reads no more", maxExpression)
	tooDeep   = fmt.Sprintf("the condition is nested deeper than %d levels; diagnose reads no more", maxDepth)
	tooCostly = fmt.Sprintf("the condition takes more than %d steps to evaluate; diagnose stops there", costLimit)
)

// The operators that a node can have. A leaf has none.
const (
	opAnd    = operators.LogicalAnd
	opOr     = operators.LogicalOr
	opNot    = operators.LogicalNot
	opChoice = operators.Conditional
)

// A node is a part of a condition: an operator, or a leaf.
type node struct {
	op      string
	args    []*node
	part    string   // its text, of leaves and negations
	refs    []string // the attributes that a leaf uses
	plain   bool     // a leaf that tests a value and negates nothing
	program cel.Program
	fault   string // why a leaf is not understood
}

// A parsed condition is ready to be evaluated.
type parsed struct {
	text    string
	fault   string // why nothing of it is understood
	root    *node
	refs    []string
	expires time.Time
	only    string
}

// parse reads a condition. Parts that are not understood are marked and do
// not spoil the others: what Google accepted, Google understands.
func parse(text string) *parsed {
	p := &parsed{text: text}
	env, err := environment()
	switch {
	case err != nil:
		p.fault = "conditions cannot be evaluated: " + err.Error()
		return p
	case len(text) > maxExpression:
		p.fault = tooLong
		return p
	}
	tree, issues := env.Parse(text)
	if issues.Err() != nil {
		p.fault = "diagnose does not understand the condition: " + firstLine(issues.Err().Error())
		if strings.Contains(p.fault, "recursion limit exceeded") {
			p.fault = tooDeep
		}
		return p
	}
	b := builder{env: env, tree: tree.NativeRep()}
	if checked, issues := env.Check(tree); issues.Err() == nil {
		b.tree, b.checked = checked.NativeRep(), true
	}
	root := b.tree.Expr()
	p.root = b.node(root)
	p.refs = b.refs
	p.expires, p.only = expiry(root), only(root)
	return p
}

// An answerStore keeps what became of conditions, each in a context. Of two
// generations the older one goes when the younger is full, so that what is
// asked again and again stays.
type answerStore struct {
	mu         sync.Mutex
	young, old map[question]Condition
	bytes      int
}

// A question is one condition in one context.
type question struct{ text, context string }

// answerLimit is the most that one generation of answers takes, in bytes,
// about.
const answerLimit = 16 << 20

var answers answerStore

func (s *answerStore) get(q question) (Condition, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c, ok := s.young[q]; ok {
		return c, true
	}
	c, ok := s.old[q]
	if ok {
		s.put(q, c)
	}
	return c, ok
}

func (s *answerStore) add(q question, c Condition) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.put(q, c)
}

func (s *answerStore) put(q question, c Condition) {
	const overhead = 256
	size := len(q.text) + len(c.Reason) + len(c.Part) + overhead
	if s.bytes += size; s.young == nil || s.bytes > answerLimit {
		s.young, s.old, s.bytes = map[question]Condition{}, s.young, size
	}
	s.young[q] = c
}

// answer evaluates a condition, once for each context as far as the store
// keeps it.
func answer(text string, c Context, denial bool) Condition {
	q := question{text, c.key(denial)}
	if r, ok := answers.get(q); ok {
		return r
	}
	p := conditions.get(text)
	if p.fault != "" {
		return Condition{Part: text, Reason: p.fault, Failed: true}
	}
	r, whole := p.evaluate(c, denial)
	if whole && len(text) <= maxExpression {
		answers.add(q, r)
	}
	return r
}

// A store keeps parsed conditions by their text. It starts anew when the
// texts in it grow over its limit.
type store struct {
	mu     sync.Mutex
	bytes  int
	parsed map[string]*parsed
}

// storeLimit is the most text that a store keeps, in bytes. What is made of a
// text takes some fifty times its size.
const storeLimit = 512 << 10

var conditions store

func (s *store) get(text string) *parsed {
	s.mu.Lock()
	p := s.parsed[text]
	s.mu.Unlock()
	if p != nil {
		return p
	}
	p = parse(text)
	if len(text) > maxExpression {
		return p
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	const overhead = 256 // so that many short texts count too
	if s.bytes += len(text) + overhead; s.parsed == nil || s.bytes > storeLimit {
		s.parsed, s.bytes = map[string]*parsed{}, len(text)+overhead
	}
	s.parsed[text] = p
	return p
}

// A builder makes the nodes of a condition.
type builder struct {
	env     *cel.Env
	tree    *ast.AST
	checked bool
	refs    []string
}

func (b *builder) node(e ast.Expr) *node {
	if e.Kind() == ast.CallKind {
		switch call := e.AsCall(); call.FunctionName() {
		case opAnd, opOr, opNot, opChoice:
			n := &node{op: call.FunctionName()}
			for _, a := range call.Args() {
				n.args = append(n.args, b.node(a))
			}
			if n.op == opNot {
				n.part = "!(" + b.text(call.Args()[0]) + ")"
			}
			return n
		}
	}
	n := &node{part: b.text(e), refs: references(e), plain: plain(e)}
	for _, r := range n.refs {
		if !slices.Contains(b.refs, r) {
			b.refs = append(b.refs, r)
		}
	}
	if err := b.plan(n, e); err != nil {
		n.fault = "diagnose does not understand " + n.part + ": " + firstLine(err.Error())
	}
	return n
}

// plan makes the program of a leaf. Where the whole has an error of types, the
// leaves are checked one by one to find which are sound.
func (b *builder) plan(n *node, e ast.Expr) (err error) {
	leaf := ast.NewCheckedAST(ast.NewAST(e, b.tree.SourceInfo()), b.tree.TypeMap(), b.tree.ReferenceMap())
	if !b.checked {
		tree, issues := b.env.Compile(n.part)
		if issues.Err() != nil {
			return issues.Err()
		}
		leaf = tree.NativeRep()
	}
	n.program, err = b.env.PlanProgram(leaf, cel.CostLimit(costLimit))
	return err
}

func (b *builder) text(e ast.Expr) string {
	s, err := cel.ExprToString(e, b.tree.SourceInfo())
	if err != nil {
		return "the condition"
	}
	return s
}

// firstLine shortens an error of CEL, which starts with line and column, and
// may list every token that would do.
func firstLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	s, _, _ = strings.Cut(s, " expecting {")
	return strings.TrimPrefix(strings.TrimPrefix(s, "ERROR: "), "<input>:")
}
