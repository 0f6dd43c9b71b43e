package laws

import "testing"

// A fact changes a plain world, in which mover asks and nobody is granted.
type fact func(*world)

func grants(role string, members ...string) fact {
	return func(w *world) { w.own = &policy{[]binding{{role: role, members: members}}} }
}

func asks(who string) fact { return func(w *world) { w.who = who } }

func deniedOn(place string) fact {
	return func(w *world) {
		everyone := []string{"principalSet://goog/public:all"}
		w.deny = []denial{{on: place, principals: everyone, permissions: []string{denyInvoke}}}
	}
}

func when(c *cond) fact { return func(w *world) { w.own.bindings[0].when = c } }

// passIAP turns IAP on and lets members pass.
func passIAP(set settings, members ...string) fact {
	return func(w *world) {
		w.service.iap, w.settings = true, &set
		w.iap = &policy{[]binding{{role: "roles/iap.httpsResourceAccessor", members: members}}}
	}
}

// TestReferenceByHand holds the reference to answers worked out by hand, so
// that it is not only right where the program is.
func TestReferenceByHand(t *testing.T) {
	t.Parallel()
	const no, ok, both, open = "denied", "allowed", "allowed or denied", "unsettled"
	absent := &cond{atom: `destination.port == 443`}
	negated := &cond{op: "!", args: []*cond{absent}}
	gen1 := func(w *world) { w.gen1 = true }
	inside := func(w *world) { w.service.ingress = "internal" }
	for what, x := range map[string]struct {
		usual, all string
		facts      []fact
	}{
		"nothing is granted":  {no, no, nil},
		"the caller":          {ok, ok, []fact{grants("roles/run.invoker", mover)}},
		"the gen1 role":       {no, no, []fact{grants("roles/cloudfunctions.invoker", mover)}},
		"anyone":              {ok, both, []fact{grants("roles/run.invoker", "allUsers"), asks("")}},
		"no account":          {no, no, []fact{grants("roles/owner", "allAuthenticatedUsers"), asks("")}},
		"role unread":         {both, both, []fact{grants(custom, mover)}},
		"group unlisted":      {both, both, []fact{grants("roles/run.invoker", staff)}},
		"domain unlisted":     {both, both, []fact{grants("roles/run.invoker", "domain:example.com"), asks(ana)}},
		"absent attribute":    {no, no, []fact{grants("roles/editor", mover), when(absent)}},
		"negated":             {both, both, []fact{grants("roles/editor", mover), when(negated)}},
		"deny unread":         {ok, both, []fact{grants("roles/editor", mover), func(w *world) { w.noDeny = true }}},
		"denied":              {no, no, []fact{grants("roles/editor", mover), deniedOn("organizations/1")}},
		"denied elsewhere":    {ok, ok, []fact{grants("roles/editor", mover), deniedOn("organizations/2")}},
		"denied, public":      {open, open, []fact{grants("roles/editor", "allUsers"), deniedOn("folders/7"), folderAbove}},
		"denied, check off":   {ok, ok, []fact{func(w *world) { w.service.off = true }, deniedOn("organizations/1")}},
		"policy unread":       {both, both, []fact{func(w *world) { w.own = nil }}},
		"ancestors unread":    {no, both, []fact{func(w *world) { w.noAbove = true }}},
		"no organization":     {no, no, []fact{func(w *world) { w.above = w.above[:1] }}},
		"a folder at the top": {no, both, []fact{folderAbove, func(w *world) { w.above = w.above[:2] }}},
		"ingress":             {no, no, []fact{grants("roles/editor", mover), inside}},
		"gen1 is not denied":  {ok, both, []fact{gen1, grants("roles/owner", mover), deniedOn("projects/shop")}},
		"IAP, nobody":         {no, both, []fact{passIAP(settings{}), grants("roles/editor", "allUsers")}},
		"IAP, not its agent":  {no, no, []fact{passIAP(settings{}, "allUsers"), grants("roles/editor", mover)}},
		"IAP, everyone":       {ok, ok, []fact{passIAP(settings{}, "allUsers"), grants("roles/run.invoker", iapAgent)}},
		"IAP, other accounts": {both, both, []fact{passIAP(settings{foreign: true}), grants("roles/run.invoker", iapAgent)}},
		"IAP, OPTIONS": {ok, both, []fact{passIAP(settings{options: true}), grants("roles/editor", iapAgent), asks(""),
			func(w *world) { w.method = "OPTIONS" }}},
	} {
		w := world{service: &service{ingress: "all"}, own: &policy{}, iap: &policy{}, above: plainAbove(), number: true,
			who: mover, source: "internet", method: "GET", path: "/"}
		for _, f := range x.facts {
			f(&w)
		}
		if r := decide(w); outcomes(r.usual) != x.usual || outcomes(r.all) != x.all {
			t.Errorf("%s: usually %s, in all %s; want %s, %s", what, outcomes(r.usual), outcomes(r.all), x.usual, x.all)
		}
	}
}

func folderAbove(w *world) {
	w.above = []node{{"project", project, &policy{}}, {"folder", folder, &policy{}}, {"organization", org, &policy{}}}
}
