package checks

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"diagnose/internal/credential"
	"diagnose/internal/evidence"
	"diagnose/internal/gcp"
)

// A sighting is the one answer that was observed: a response, an entry of the
// log, or the last attempt of a configured caller. Its fields are all of that
// one. The zero sighting saw nothing.
type sighting struct {
	known    bool
	status   int // 0 where it does not show
	source   evidence.Source
	time     time.Time
	url      *url.URL
	response *evidence.Response // nil for a log entry
	entry    *evidence.LogEntry // nil for a response
	twin     *evidence.LogEntry // the log entry that records the response, nil where none is known to
	note     string             // how another answer that was given differs, or ""
	foreign  bool               // it is known to answer a request to another host than the one judged
	beside   authorship         // of the log entry beside a response
}

// sight chooses the answer: the response where it has a status, else the log
// entry that answers the request best. A response and an entry of the same
// status are one answer seen twice, and the entry tells what was called.
func (in *Invocation) sight() sighting {
	seen, answered := in.responded()
	logged, found := in.loggedAnswer()
	tried, attempted := in.attempted()
	switch {
	case answered && seen.status != 0:
		if found && !logged.foreign {
			in.compare(&seen, logged)
		}
		return seen
	case found && logged.status != 0:
		return logged
	case attempted:
		return tried
	case answered:
		return seen
	}
	return logged
}

// compare says how a response stands to the log entry beside it.
func (in *Invocation) compare(seen *sighting, logged sighting) {
	seen.beside = in.byEntry(logged)
	switch logged.status {
	case 0:
	case seen.status:
		seen.twin = logged.entry
		if seen.url == nil {
			seen.url = logged.url
		}
	default:
		seen.note = fmt.Sprintf("%s shows %d and %s shows %d: these are two answers, and diagnose judges the first",
			place(seen.source), seen.status, place(logged.source), logged.status)
	}
}

func place(s evidence.Source) string { return strings.TrimSpace(s.Document + " " + s.Pointer) }

func (in *Invocation) responded() (sighting, bool) {
	r, ok := in.Response.Get()
	if !ok {
		return sighting{}, false
	}
	out := sighting{known: true, status: r.Status, source: in.Response.Source, time: r.Date, url: r.URL, response: &r}
	return out, true
}

// attempted is the answer that a configured caller says it got last. It is
// nothing about the call of another principal.
func (in *Invocation) attempted() (sighting, bool) {
	c := in.configured()
	asked := cmp.Or(in.request.Principal, in.Token.Or(credential.Credential{}).Who())
	if asked != "" && c.ServiceAccount != "" && !strings.EqualFold(asked, "serviceAccount:"+c.ServiceAccount) {
		return sighting{}, false
	}
	out := sighting{known: true, status: c.LastStatus, source: in.Caller.Source.At("/status"), time: c.LastAttempt}
	out.url, _ = url.Parse(c.URL)
	return out, c.LastStatus != 0
}

// loggedAnswer is the log entry that shows the invocation, or the latest one
// whose text tells who wrote it. Audit entries are evidence of their own.
func (in *Invocation) loggedAnswer() (sighting, bool) {
	list, i := in.Logs.Or(nil), in.Observed()
	if i < 0 || list[i].Status == 0 {
		i = in.toldAnswer()
	}
	if i < 0 {
		return sighting{}, false
	}
	e, src := list[i], in.LogSource(i)
	out := sighting{known: true, status: statusOf(e), source: src, time: e.Timestamp, entry: &e}
	if u, err := url.Parse(e.URL); err == nil && u.Host != "" {
		out.url = u
	}
	if in.otherHost(out.url) {
		out.foreign, out.entry = true, nil // what it says is nothing about this request
		out.note = fmt.Sprintf("%s answers a request to %s, but the request judged is to %s",
			place(src), out.url.Hostname(), in.request.URL.Hostname())
	}
	return out, true
}

// toldAnswer is the latest log entry whose text tells who wrote it, -1 where
// there is none.
func (in *Invocation) toldAnswer() int {
	best := -1
	list := in.Logs.Or(nil)
	for i, e := range list {
		told := e.Audit == nil && e.Change == nil && in.byMark(textsOf(e, evidence.Source{})).who != ""
		if told && (best < 0 || e.Timestamp.After(list[best].Timestamp)) {
			best = i
		}
	}
	return best
}

// otherHost reports whether a URL is known to have another host than the
// request, and none of the service's.
func (in *Invocation) otherHost(u *url.URL) bool {
	asked := in.request.URL
	if u == nil || asked == nil {
		return false
	}
	hosts := []string{asked.Hostname(), in.request.HostHeader()}
	for _, k := range in.knownURLs() {
		hosts = append(hosts, gcp.HostOf(k).Name)
	}
	return !slices.Contains(hosts, u.Hostname())
}

// finished is how a gen1 function logs the status of its own answer.
var finished = regexp.MustCompile(`finished with status code: (\d{3})\b`)

// statusOf is the status that a log entry shows, 0 where it shows none.
func statusOf(e evidence.LogEntry) int {
	if m := finished.FindStringSubmatch(e.Text); m != nil && e.Status == 0 {
		status, _ := strconv.Atoi(m[1])
		return status
	}
	return e.Status
}

// record is the log entry of the answer, nil where there is none.
func (s sighting) record() *evidence.LogEntry {
	if s.entry != nil {
		return s.entry
	}
	return s.twin
}

// labels is the service or function that the observed entry is of, where that
// can be the one of the given name; "" is any.
func (s sighting) labels(id string) gcp.Name {
	e := s.record()
	if e == nil {
		return gcp.Name{}
	}
	l := e.Labels
	n := gcp.ServiceName(l["project_id"], cmp.Or(l["location"], l["region"]), cmp.Or(l["service_name"], l["function_name"]))
	if n.ID == "" || id != "" && n.ID != id {
		return gcp.Name{}
	}
	return n
}

// userAgent is what the caller calls itself, in the request or in the observed
// entry.
func (in *Invocation) userAgent() string {
	agent := in.request.Headers.Get("User-Agent")
	if e := in.seen.record(); e != nil {
		agent = cmp.Or(agent, e.UserAgent)
	}
	return agent
}

// An observedText is one piece of an answer. One that is quoted is the words of
// an application, which may quote those of others.
type observedText struct {
	text   string
	cite   evidence.Source
	log    bool
	quoted bool
}

func (s sighting) texts() []observedText {
	switch {
	case s.response != nil:
		return textsOfResponse(*s.response, s.source)
	case s.entry != nil:
		return textsOf(*s.entry, s.source)
	}
	return nil
}

func textsOfResponse(r evidence.Response, src evidence.Source) []observedText {
	var out []observedText
	for k, vs := range r.Header {
		out = append(out, observedText{text: k + ": " + strings.Join(vs, ", "), cite: src})
	}
	slices.SortFunc(out, func(a, b observedText) int { return strings.Compare(a.text, b.text) })
	return append(out, observedText{text: r.Body, cite: src, quoted: isJSON(r)})
}

func textsOf(e evidence.LogEntry, src evidence.Source) []observedText {
	own := strings.HasSuffix(e.LogName, "%2Fstdout") || strings.HasSuffix(e.LogName, "%2Fstderr")
	return []observedText{
		{e.Text, src.At("/textPayload"), true, own},
		{fmt.Sprint(e.JSON["statusDetails"], " ", e.JSON["message"]), src.At("/jsonPayload"), true, own},
	}
}

func isJSON(r evidence.Response) bool {
	body := strings.TrimSpace(r.Body)
	said := strings.Contains(r.Header.Get("Content-Type"), "json")
	return said || strings.HasPrefix(body, "{") || strings.HasPrefix(body, "[")
}

// says reports whether the observed answer has one of the phrases.
func (s sighting) says(phrases ...string) bool { return mention(s.texts(), phrases) }

// mentions reports whether any text that was given, of whatever answer, has
// one of the phrases: what a deployment logged is evidence of its own.
func (in *Invocation) mentions(phrases ...string) bool {
	var all []observedText
	if r, ok := in.Response.Get(); ok {
		all = textsOfResponse(r, in.Response.Source)
	}
	for _, e := range in.Logs.Or(nil) {
		all = append(all, textsOf(e, in.Logs.Source)...)
	}
	return mention(all, phrases)
}

func mention(texts []observedText, phrases []string) bool {
	return slices.ContainsFunc(texts, func(t observedText) bool {
		lower := strings.ToLower(t.text)
		return slices.ContainsFunc(phrases, func(p string) bool { return strings.Contains(lower, p) })
	})
}

// refusedByFrontEnd reports whether the front end was seen to answer with one
// of the statuses, which a public service does not get.
func (in *Invocation) refusedByFrontEnd(statuses ...int) bool {
	return slices.Contains(statuses, in.seen.status) && in.wrote.who == frontEnd
}

// perimeterViolation reports whether a log entry is the audit record of a
// VPC-SC refusal of an invocation.
func perimeterViolation(e evidence.LogEntry) bool {
	const method = "run.googleapis.com/HttpIngress"
	return strings.HasSuffix(e.LogName, "cloudaudit.googleapis.com%2Fpolicy") &&
		(e.Audit["methodName"] == method || e.Labels["method"] == method)
}

// upgradesToHTTPS reports whether an answer sends the caller to the same URL
// over https, as the front end does.
func (in *Invocation) upgradesToHTTPS(h http.Header) bool {
	to, err := url.Parse(h.Get("Location"))
	if err != nil || to.Scheme != "https" || in.url == nil || in.url.Scheme != "http" {
		return false
	}
	return to.Hostname() == in.url.Hostname() && cmp.Or(to.Path, "/") == cmp.Or(in.url.Path, "/")
}
