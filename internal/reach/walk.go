package reach

// A Visit is an account that a walk reached, and how.
type Visit struct {
	Account Principal
	Power   Power // what the walk has of it by then
	Grant   Grant // what led here, of the visit before
	Rights  Rights
	Deploy  Grant // the right to deploy that it takes as well
	Deploys bool
	From    int32 // the visit before, -1 from the start
	Steps   int32
}

// A Walk is every account that a principal can become, nearest first. An
// account can be in it twice: the nearest way to it may give less of it.
type Walk []Visit

// Walk follows what a principal can become, beginning with some of its grants.
// unsure follows what grants may give as well. own are all of its grants: the
// right to deploy can come from another one.
func (g *Graph) Walk(p Principal, first, own []Grant, unsure bool) Walk {
	g.settle()
	w := walker{g: g, start: p, unsure: unsure, has: map[Principal]Power{}}
	w.follow(p, Acting, first, own, -1, 1)
	for i := 0; i < len(w.out); i++ {
		v := w.out[i]
		if g.homes[v.Account] == Nowhere {
			continue
		}
		all := g.All(v.Account, unsure)
		w.follow(v.Account, v.Power, all, all, int32(i), v.Steps+1)
	}
	return w.out
}

type walker struct {
	g      *Graph
	start  Principal
	unsure bool
	has    map[Principal]Power
	out    Walk
}

// follow visits what grants of one principal lead to.
func (w *walker) follow(p Principal, power Power, grants, own []Grant, from, steps int32) {
	if power&(Acting|Delegate) == 0 {
		return // with an ID token alone nothing more can be asked for
	}
	for _, r := range grants {
		use := r.Of(w.unsure)
		if power&Acting == 0 {
			use &= asDelegate
		}
		if use&(acting|minting|delegating|attaching) == 0 {
			continue
		}
		at := w.g.places[r.Place]
		for _, a := range w.g.below[at.from:at.to] {
			w.step(p, a, r, use, own, from, steps)
		}
	}
}

// step visits one account, where that gives more of it than is had already.
func (w *walker) step(p, account Principal, r Grant, use Rights, own []Grant, from, steps int32) {
	g, on := w.g, w.g.homes[account]
	if w.has[account]&Acting != 0 || account == p || account == w.start {
		return
	}
	if g.Limit != nil {
		sure, may := g.Limit(p, on, use)
		if use = sure; w.unsure {
			use = may
		}
	}
	deploy, deploys := Grant{}, false
	if use&attaching != 0 && use&acting == 0 {
		deploy, deploys = g.deploys(own, on, w.unsure)
		if deploys && g.Limit != nil {
			sure, may := g.Limit(p, g.places[on].parent, deploy.Of(w.unsure)&deploying)
			deploys = sure != 0 || w.unsure && may != 0
		}
	}
	got := powers(use, deploys)
	more := got &^ w.has[account]
	if more == 0 {
		return
	}
	w.has[account] |= got
	w.out = append(w.out, Visit{
		Account: account, Power: got, Grant: r, Rights: use, Deploy: deploy, Deploys: deploys, From: from, Steps: steps,
	})
}

// Path lists the visits from the start to one of them.
func (w Walk) Path(i int) []Visit {
	var out []Visit
	for n := int32(i); n >= 0; n = w[n].From {
		out = append([]Visit{w[n]}, out...)
	}
	return out
}
