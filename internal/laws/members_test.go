package laws

import "strings"

// matches says whether a member of an allow policy stands for the caller: ""
// is one without identity.
func (q *inquiry) matches(member, caller string) bool {
	kind, rest, _ := strings.Cut(member, ":")
	callerKind, mail, _ := strings.Cut(caller, ":")
	switch {
	case member == "allUsers":
		return true
	case caller == "":
		return false
	case member == "allAuthenticatedUsers":
		return true
	case kind == "user" || kind == "serviceAccount":
		return kind == callerKind && strings.EqualFold(rest, mail)
	case kind == "group":
		return q.inGroup(member, caller, nil)
	case kind == "domain":
		if callerKind == "serviceAccount" { // the pages do not agree; usually it has none
			return q.perhaps(usual, member+" has "+caller)
		}
		return callerKind == "user" && q.perhaps(loose, member+" has "+caller)
	case strings.HasSuffix(member, "/type/ServiceAccount"):
		return callerKind == "serviceAccount" && q.accountOf(member, caller)
	}
	return false // deleted, federated, Kubernetes and convenience values
}

// inGroup follows groups into groups. One that is listed is complete.
func (q *inquiry) inGroup(group, caller string, seen []string) bool {
	for _, s := range seen {
		if s == group {
			return false
		}
	}
	list, ok := q.groups[group]
	if !ok {
		return q.perhaps(open, group+" has "+caller)
	}
	for _, m := range list {
		if strings.EqualFold(m, caller) || strings.HasPrefix(m, "group:") && q.inGroup(m, caller, append(seen, group)) {
			return true
		}
	}
	return false
}

// accountOf says whether a service account is of the project that a member
// names by its number.
func (q *inquiry) accountOf(member, caller string) bool {
	switch {
	case caller == iapAgent:
		return q.perhaps(loose, "agents are accounts of the project")
	case caller == mover && strings.Contains(member, "/projects/"+number+"/"):
		return q.toldNumber() || q.perhaps(loose, "number of the project")
	case caller == mover:
		return !q.toldNumber() && q.perhaps(loose, "number of the project "+member)
	}
	return q.perhaps(loose, member+" has "+caller)
}

// anyOf says whether one of a deny policy's principals stands for the caller.
func (q *inquiry) anyOf(principals []string, caller string) bool {
	_, mail, _ := strings.Cut(caller, ":")
	for _, p := range principals {
		switch {
		case p == "principalSet://goog/public:all":
			return true
		case caller == "":
		case strings.HasPrefix(p, "principal://goog/subject/"):
			if strings.HasPrefix(caller, "user:") && strings.EqualFold(p[len("principal://goog/subject/"):], mail) {
				return true
			}
		case strings.HasPrefix(p, "principal://iam.googleapis.com/projects/-/serviceAccounts/"):
			if strings.HasPrefix(caller, "serviceAccount:") && strings.HasSuffix(p, "/"+mail) {
				return true
			}
		case strings.HasPrefix(p, "principalSet://goog/group/"):
			if q.inGroup("group:"+p[len("principalSet://goog/group/"):], caller, nil) {
				return true
			}
		case strings.HasPrefix(p, "principalSet://goog/cloudIdentityCustomerId/"):
			if strings.HasPrefix(caller, "user:") && q.perhaps(open, p+" has "+caller) ||
				strings.HasPrefix(caller, "serviceAccount:") && q.perhaps(loose, p+" has "+caller) {
				return true
			}
		}
	}
	return false
}

// A truth is the value of a condition. Missing is that of an attribute that
// Cloud Run does not give: it never grants, and no more is known of it.
type truth int

const (
	no truth = iota
	yes
	missing
)

// holds says whether a condition does. Whether one with a function that is not
// known is unknown as a whole, or in that part only, can be read either way.
func (q *inquiry) holds(c *cond) bool {
	if c != nil && c.op != "" && strings.Contains(c.String(), "someday") {
		q.ask(loose, "parts of a condition", 1)
	}
	return c == nil || q.value(c) == yes
}

func (q *inquiry) value(c *cond) truth {
	switch c.op {
	case "":
		return q.atom(c.atom)
	case "!":
		switch q.value(c.args[0]) {
		case no:
			return yes
		case yes:
			return no
		}
		return q.guess(c.String())
	}
	a, b := q.value(c.args[0]), q.value(c.args[1])
	deciding, neutral := no, yes
	if c.op == "||" {
		deciding, neutral = yes, no
	}
	switch {
	case a == deciding || b == deciding:
		return deciding
	case a == neutral && b == neutral:
		return neutral
	}
	return missing
}

func (q *inquiry) guess(key string) truth { return q.guessed(open, key) }

func (q *inquiry) guessed(kind sort, key string) truth {
	if q.perhaps(kind, "condition "+key) {
		return yes
	}
	return no
}

func is(b bool) truth {
	if b {
		return yes
	}
	return no
}

// atom is the value of one comparison, each as the facts have it.
func (q *inquiry) atom(text string) truth {
	ofRun := strings.HasPrefix(text, "request.path") || strings.HasPrefix(text, "request.host")
	switch {
	case strings.Contains(text, "2026-01-01"):
		return no
	case strings.Contains(text, "2027-01-01"), strings.Contains(text, "hasOnly"):
		return yes
	case strings.Contains(text, "someday"), strings.Contains(text, "!="), strings.Contains(text, "?"):
		return q.guess(text)
	case q.asking != runInvoke && !(q.asking == iapAccess && ofRun) && !strings.Contains(text, "matchTag"):
		return q.guessed(loose, text) // what else a function or IAP gives a condition is not in the facts
	case ofRun && q.path == "":
		return q.guess(text)
	case strings.HasPrefix(text, "request.path.startsWith"):
		return is(strings.HasPrefix(q.path, "/a"))
	case strings.HasPrefix(text, "request.path =="):
		return is(q.path == "/x")
	case strings.HasPrefix(text, "request.host"):
		return yes
	case strings.Contains(text, "matchTag") && q.tags != nil:
		return is(strings.Contains(text, `"`+q.tags["1/env"]+`"`) && q.tags["1/env"] != "")
	case strings.Contains(text, "matchTag"):
		tag := q.ask(open, "tags", 3)
		return is(tag == 1 && strings.Contains(text, "prod") || tag == 2 && strings.Contains(text, "dev"))
	}
	return missing // resource.name, resource.type, destination.port
}
