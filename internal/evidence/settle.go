package evidence

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Observed returns the index of the log entry that shows the invocation asked
// about: the latest one that was refused, or else the latest with a status, or
// else the latest; -1 where there is none. Of two of the same time the first
// counts. Entries of changed policies are no invocation.
func (s Snapshot) Observed() int {
	best, rank := -1, 0
	list := s.Logs.Or(nil)
	for i, e := range list {
		r := 1
		switch {
		case e.Change != nil:
			continue
		case e.Status >= 400:
			r = 3
		case e.Status > 0:
			r = 2
		}
		if best < 0 || r > rank || r == rank && e.Timestamp.After(list[best].Timestamp) {
			best, rank = i, r
		}
	}
	return best
}

// Settle sets the moment to judge at and what says so: at (a flag), else the
// time of the request, else that of the observed log entry, else the Date of
// the observed answer, else now. A zero at is none. It also names the project
// of a policy that does not say whose it is, where another document does.
func (s *Snapshot) Settle(at, now time.Time) {
	i := s.Observed()
	switch r := s.Response.Or(Response{}); {
	case !at.IsZero():
		s.Now, s.NowFrom = at, "--at"
	case !s.Request.Or(Request{}).Time.IsZero():
		s.Now, s.NowFrom = s.Request.Or(Request{}).Time, "request.json"
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
	id := cmp.Or(p.ID, p.Number, projectOf(s.Service.Or(nil).GetName()), projectOf(s.Function.Or(Function{}).GetName()))
	list = slices.Clone(list)
	list[i].ID = id
	s.Ancestors = Known(list, s.Ancestors.Source)
}

// projectOf returns the project in a resource name, "" where it is not known.
func projectOf(name string) string {
	parts := strings.Split(name, "/")
	if len(parts) < 2 || parts[0] != "projects" || parts[1] == "-" {
		return ""
	}
	return parts[1]
}
