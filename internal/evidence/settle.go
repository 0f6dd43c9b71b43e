package evidence

import (
	"cmp"
	"net/url"
	"slices"
	"time"

	"diagnose/internal/gcp"
)

// Observed returns the index of the log entry that shows the invocation asked
// about: the latest refusal of the URL that was called, or else of its host, or
// else another answer of theirs, or else what answers another host or shows no
// status; -1 where there is none. Of two of the same time the first counts.
// Entries of changed policies are no invocation.
func (s Snapshot) Observed() int {
	best, top := -1, 0
	list := s.Logs.Or(nil)
	for i, e := range list {
		if r := s.rank(e); r > top || r == top && r > 0 && e.Timestamp.After(list[best].Timestamp) {
			best, top = i, r
		}
	}
	return best
}

// rank says how well a log entry answers the request, 0 for one that is no
// invocation.
func (s Snapshot) rank(e LogEntry) int {
	refused := 0
	if e.Status >= 400 {
		refused = 1
	}
	asked := s.Request.Or(Request{})
	u, err := url.Parse(e.URL)
	switch {
	case e.Change != nil:
		return 0
	case e.Status == 0:
		return 1
	case err != nil || u.Host == "" || asked.URL == nil:
		return 4 + 4*refused
	case u.Hostname() != asked.URL.Hostname() && u.Hostname() != asked.HostHeader():
		return 2 + refused
	case cmp.Or(u.Path, "/") != cmp.Or(asked.URL.Path, "/"):
		return 5 + 4*refused
	case e.Method != "" && asked.Method != "" && e.Method != asked.Method: // as a preflight's is
		return 5 + 4*refused
	}
	return 6 + 4*refused
}

// Settle sets the moment to judge at and what says so: at (a flag), else the
// time of the request, else the moment that a capture was judged at, else the
// time of the observed log entry, else the Date of the observed answer, else
// now. A zero at is none. It also names the project
// of a policy that does not say whose it is, where another document does.
func (s *Snapshot) Settle(at, now time.Time) {
	i := s.Observed()
	switch r := s.Response.Or(Response{}); {
	case !at.IsZero():
		s.Now, s.NowFrom = at, "--at"
	case !s.Request.Or(Request{}).Time.IsZero():
		s.Now, s.NowFrom = s.Request.Or(Request{}).Time, "request.json"
	case s.NowFrom != "" && !s.Now.IsZero(): // as a capture keeps it
	case i >= 0 && !s.Logs.Or(nil)[i].Timestamp.IsZero():
		s.Now, s.NowFrom = s.Logs.Or(nil)[i].Timestamp, "log.json"
	case !r.Date.IsZero():
		s.Now, s.NowFrom = r.Date, "response.http"
	default:
		s.Now, s.NowFrom = now, "now"
	}
	s.nameProject()
}

// nameProject names the project among the ancestors, where a project's own
// policy was given, which does not name it.
func (s *Snapshot) nameProject() {
	list, _ := s.Ancestors.Get()
	i := slices.IndexFunc(list, func(a Ancestor) bool { return a.Type == "project" && a.ID == "" && !a.Missing })
	if i < 0 {
		return
	}
	p := s.Project.Or(Project{})
	id := cmp.Or(p.ID, p.Number, gcp.Part(s.Service.Or(nil).GetName(), "projects"), gcp.Part(s.Function.Or(Function{}).GetName(), "projects"))
	list = slices.Clone(list)
	list[i].ID = id
	s.Ancestors = Known(list, s.Ancestors.Source)
}
