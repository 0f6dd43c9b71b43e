package laws

import (
	"slices"
	"strings"
)

// This is the decision a second time, written from the documented facts alone
// and without a thought for speed. What a world leaves open is a question; the
// decision is worked out for every answer to every question, and only what all
// of them agree on is certain.

// An outcome is what Google does in one wholly known world.
type outcome int

const (
	unsettled outcome = iota // not established what Google does
	denied
	allowed
)

func (o outcome) String() string { return [...]string{"unsettled", "denied", "allowed"}[o] }

// A sort says what may be supposed about a question. The usual answer is 0.
type sort int

const (
	open  sort = iota // nothing may be supposed
	usual             // commonly absent: may be supposed, and is then listed
	loose             // facts differ in how they are read: either decision will do
)

// An inquiry is one working out of the decision.
type inquiry struct {
	world
	answers []answer // given so far, in the order asked
	forced  []int    // the answers to give to the first questions
	asking  string   // the permission asked about
}

type answer struct {
	key         string
	sort        sort
	choice, all int
}

// ask answers a question with one of n choices: the same for the same key.
func (q *inquiry) ask(kind sort, key string, n int) int {
	for _, a := range q.answers {
		if a.key == key {
			return a.choice
		}
	}
	choice := 0
	if len(q.answers) < len(q.forced) {
		choice = q.forced[len(q.answers)]
	}
	q.answers = append(q.answers, answer{key, kind, choice, n})
	return choice
}

func (q *inquiry) perhaps(kind sort, key string) bool { return q.ask(kind, key, 2) == 1 }

// A ruling is what is known of the decision.
type ruling struct {
	all     map[outcome]bool // whatever the unread documents say
	usual   map[outcome]bool // with what is commonly absent supposed absent
	loose   bool             // an answer depends on how facts are read
	turners []string         // questions whose answer can turn the usual outcome
}

// only returns the one outcome of a set, unsettled where there are more.
func only(set map[outcome]bool) outcome {
	if len(set) == 1 {
		for o := range set {
			return o
		}
	}
	return unsettled
}

// decide works the decision out for all answers.
func decide(w world) ruling {
	r := ruling{all: map[outcome]bool{}, usual: map[outcome]bool{}}
	var forced []int
	for first := true; first || forced != nil; first = false {
		q := inquiry{world: w, forced: forced}
		o := q.decide()
		r.note(o, q.answers)
		forced = next(q.answers)
	}
	slices.Sort(r.turners)
	r.turners = slices.Compact(r.turners)
	return r
}

func (r *ruling) note(o outcome, answers []answer) {
	r.all[o] = true
	supposed := true
	for _, a := range answers {
		supposed = supposed && (a.sort != usual || a.choice == 0)
		r.loose = r.loose || a.sort == loose
	}
	if supposed {
		r.usual[o] = true
	}
	if !r.usual[o] || len(r.usual) > 1 {
		for _, a := range answers {
			if a.choice != 0 {
				r.turners = append(r.turners, a.key)
			}
		}
	}
}

// next returns the answers to try after these, nil where all were tried.
func next(answers []answer) []int {
	for i := len(answers) - 1; i >= 0; i-- {
		if answers[i].choice+1 < answers[i].all {
			out := make([]int, i+1)
			for j := range out {
				out[j] = answers[j].choice
			}
			out[i]++
			return out
		}
	}
	return nil
}

// decide follows the request through the gates in the order of its way.
func (q *inquiry) decide() outcome {
	if strings.HasSuffix(q.source, "load-balancer") && q.perhaps(usual, "what the load balancer leads to") {
		return unsettled
	}
	if q.who == "" && !q.gen1 && q.perhaps(usual, "an event-driven function in front") {
		return denied // it takes events only, and the request is known to have no headers
	}
	s := q.theService()
	switch {
	case s.deleted:
		return denied
	case s.noURL && (q.path != "" || !q.perhaps(loose, "URL")):
		return denied
	case !q.admits(s.ingress):
		return denied
	}
	caller := q.who
	if s.iap {
		if o := q.passIAP(); o != allowed {
			return o
		}
		caller = iapAgent
	}
	if s.off {
		return allowed
	}
	permission := runInvoke
	if q.gen1 {
		permission = gen1Invoke
	}
	return q.access(caller, permission, "own", q.own)
}

func (q *inquiry) theService() service {
	if q.service != nil {
		return *q.service
	}
	return [...]service{
		{ingress: "all"}, {ingress: "none"}, {ingress: "all", off: true}, {ingress: "all", iap: true},
		{ingress: "all", deleted: true}, {ingress: "all", noURL: true},
	}[q.ask(loose, "service", 6)]
}

// admits says whether ingress lets the source in.
func (q *inquiry) admits(ingress string) bool {
	inside := []string{"vpc", "perimeter", "internal-load-balancer", "google-service"}
	switch ingress {
	case "internal":
		return slices.Contains(inside, q.source)
	case "balancer":
		return slices.Contains(append(inside, "load-balancer"), q.source)
	}
	return ingress == "all"
}

// passIAP is the gate of IAP, which has a policy and settings of its own.
func (q *inquiry) passIAP() outcome {
	set := q.settings
	if set == nil {
		set = [...]*settings{{}, {options: true}, {foreign: true}}[q.ask(usual, "IAP settings", 3)]
	}
	switch {
	case set.options && q.method == "OPTIONS":
		return allowed
	case set.foreign:
		return q.either("whom IAP asks")
	}
	if o := q.access(q.who, iapAccess, "IAP policy", q.iap); o != unsettled {
		return o
	}
	return q.either("deny policies against public access")
}

// either is for a gate that may be passed or not, which nobody knows: a later
// gate may still refuse.
func (q *inquiry) either(key string) outcome {
	return [...]outcome{denied, allowed}[q.ask(open, key, 2)]
}

// access is the decision of IAM: boundaries, then deny, then allow.
func (q *inquiry) access(caller, permission, key string, own *policy) outcome {
	q.asking = permission
	layers := q.layers(key, own, permission)
	if q.granted(layers, permission, "") {
		// Whether a deny stops callers of a public service is not established.
		if q.denied(permission, "") || caller != "" && q.denied(permission, caller) {
			return unsettled
		}
		return allowed
	}
	if permission == iapAccess && q.perhaps(usual, "policies on all of IAP's resources") {
		return allowed
	}
	switch {
	case caller == "" || !q.granted(layers, permission, caller) || q.denied(permission, caller):
		return denied
	case permission != runInvoke && q.perhaps(usual, "principal access boundary"):
		return denied
	}
	return allowed
}

// layers are the policies that count, with the unread ones as questions.
func (q *inquiry) layers(key string, own *policy, permission string) []*policy {
	unread := func(kind sort, key string) *policy {
		role := "roles/run.invoker"
		switch {
		case permission == iapAccess:
			role = "roles/iap.httpsResourceAccessor"
		case q.gen1:
			role = "roles/cloudfunctions.invoker"
		}
		grants := [][]string{nil, {"allUsers"}, {iapAgent}, {q.who}}
		n := len(grants)
		if q.who == "" {
			n--
		}
		return &policy{bindings: []binding{{role: role, members: grants[q.ask(kind, key+" for "+permission, n)]}}}
	}
	if own == nil {
		own = unread(loose, key)
	}
	out := []*policy{own}
	if q.noAbove {
		return append(out, unread(usual, "ancestors"))
	}
	for _, n := range q.above {
		if n.policy == nil {
			n.policy = unread(usual, n.kind)
		}
		out = append(out, n.policy)
	}
	if q.cutShort() {
		out = append(out, unread(usual, "the ancestors above"))
	}
	return out
}

// cutShort says whether policies above the listed ones exist: a folder is in an
// organization, and what a deny policy hangs on may be above the service too.
func (q *inquiry) cutShort() bool {
	switch q.above[len(q.above)-1].kind {
	case "organization":
		return false
	case "folder":
		return true
	}
	return slices.ContainsFunc(q.deny, func(d denial) bool { return !strings.HasPrefix(d.on, "projects/") })
}

func (q *inquiry) granted(layers []*policy, permission, caller string) bool {
	for _, p := range layers {
		for _, b := range p.bindings {
			for _, m := range b.members {
				if q.matches(m, caller) && q.carries(b.role, permission) && q.holds(b.when) {
					return true
				}
			}
		}
	}
	return false
}

// carriers are the predefined roles drawn here, with what they have of the
// three permissions.
var carriers = map[string][]string{
	"roles/run.invoker": {runInvoke}, "roles/run.servicesInvoker": {runInvoke},
	"roles/cloudfunctions.invoker": {gen1Invoke},
	"roles/viewer":                 {}, "roles/run.viewer": {},
	"roles/run.jobsExecutor": {}, "roles/iam.securityAdmin": {},
	"roles/owner": {runInvoke, gen1Invoke}, "roles/editor": {runInvoke, gen1Invoke},
	"roles/run.admin": {runInvoke}, "roles/run.developer": {runInvoke},
	"roles/cloudfunctions.developer": {runInvoke, gen1Invoke}, "roles/firebase.admin": {runInvoke, gen1Invoke},
	"roles/iap.httpsResourceAccessor": {iapAccess},
}

func (q *inquiry) carries(role, permission string) bool {
	if p, ok := carriers[role]; ok {
		return slices.Contains(p, permission)
	}
	if p, ok := q.roles[role]; ok {
		return slices.Contains(p, permission)
	}
	return q.perhaps(open, "role "+role+" has "+permission)
}

// denied says whether a deny policy takes the permission from the caller.
// That of a gen1 function cannot be denied.
func (q *inquiry) denied(permission, caller string) bool {
	if permission == gen1Invoke {
		return false
	}
	if q.noDeny {
		return q.perhaps(usual, "deny policies against "+permission)
	}
	return slices.ContainsFunc(q.deny, func(d denial) bool {
		return d.covers(permission) && q.below(d.on) && q.anyOf(d.principals, caller) &&
			!q.anyOf(d.exceptions, caller) && q.holds(d.when)
	})
}

func (d denial) covers(permission string) bool {
	full := map[string]string{runInvoke: denyInvoke, iapAccess: denyIAP}[permission]
	group := full[:strings.LastIndex(full, ".")] + ".*"
	named := slices.Contains(d.permissions, full) || slices.Contains(d.permissions, group)
	return named && !slices.Contains(d.excepted, full)
}

// below says whether the service is below the place of a deny policy.
func (q *inquiry) below(place string) bool {
	switch {
	case place == "projects/"+project:
		return true
	case strings.HasPrefix(place, "projects/"):
		return q.toldNumber() || q.perhaps(loose, "number of the project")
	}
	for _, n := range q.above {
		if n.kind+"s/"+n.id == place {
			return true
		}
	}
	whole := len(q.above) > 0 && q.above[len(q.above)-1].kind == "organization"
	return !whole && q.perhaps(loose, "place of "+place)
}

// toldNumber says whether a document tells the number of the project: one of
// the URLs of a service has it.
func (q *inquiry) toldNumber() bool { return q.number || q.service != nil && !q.gen1 }
