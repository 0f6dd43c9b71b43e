package checks

import (
	"cmp"
	"net/http"
	"net/url"
	"time"

	"diagnose/internal/caller"
	"diagnose/internal/evidence"
	"diagnose/internal/gcp"
)

// otherRequests: without a request, one over https to the service's own URL
// from the internet is supposed.
func (in *Invocation) otherRequests() []possibility {
	if in.Request.Known() {
		return nil
	}
	suppose := func(text, flag string, change func(*evidence.Request)) possibility {
		if in.delivery {
			text = delivered
		}
		return possibility{"request.json", text, []Command{{Argv: []string{"diagnose", "invoke", flag}}},
			func(s evidence.Snapshot) evidence.Snapshot { return changeRequest(s, change) }}
	}
	var out []possibility
	for _, o := range evidence.Origins {
		if o != in.origin {
			out = append(out, suppose("the request comes from "+in.origin.Word(), "--source=SOURCE", func(r *evidence.Request) { r.Origin = o }))
		}
	}
	for _, path := range []string{"/", "/healthz", "/other"} {
		if u, err := url.Parse(cmp.Or(in.audiences.Preferred(), "https://service.example")); err == nil {
			u.Path += path
			out = append(out, suppose("the request goes to the service's own URL over https", "--url=URL", func(r *evidence.Request) { r.URL = u }))
		}
	}
	if !in.Token.Known() && !in.Caller.Known() && in.delivery {
		out = append(out, suppose(delivered, "--url=URL", func(r *evidence.Request) { r.Headers = http.Header{} }))
	}
	return out
}

// delivered is supposed of an event-driven target without a request.
const delivered = "only the event source calls"

// otherMoments: where nothing says when the request was made, now is supposed.
func (in *Invocation) otherMoments() []possibility {
	if in.momentSaid() {
		return nil
	}
	text := "the request is made at " + in.Now.UTC().Format(time.RFC3339)
	moments := []time.Time{in.Now.AddDate(-30, 0, 0), in.Now.AddDate(30, 0, 0)}
	if t := in.sent.credential.Claims.IssuedAt; t != nil {
		moments = append(moments, t.Add(time.Second))
	}
	if t := in.sent.credential.Claims.Expiry; t != nil {
		moments = append(moments, t.Add(-time.Second))
	}
	var out []possibility
	for _, m := range moments {
		out = append(out, possibility{"request.json", text, []Command{{Argv: []string{"diagnose", "invoke", "--at=TIME"}}},
			func(s evidence.Snapshot) evidence.Snapshot {
				s.Now, s.NowFrom = m, "--at"
				return s
			}})
	}
	return out
}

// momentSaid reports whether the user or the request says when it was made.
func (in *Invocation) momentSaid() bool {
	return in.NowFrom == "--at" || in.NowFrom == "request.json" || in.momentFrom() == "request.json"
}

// otherCallers: a configured caller may call where nothing says who does.
func (in *Invocation) otherCallers() []possibility {
	if in.Caller.Known() || in.saysWhoCalls() {
		return nil
	}
	text := "no Google service of the same project calls"
	if in.delivery {
		text = delivered
	}
	var out []possibility
	for _, c := range []caller.Caller{
		{Kind: "cloud-scheduler", Project: in.name.Project, Token: caller.IDToken, Audience: in.audiences.Preferred(), ServiceAccount: gcp.UserMade("caller", "example")},
		{Kind: "cloud-tasks", Project: in.name.Project, Token: caller.NoToken},
	} {
		out = append(out, possibility{"caller.json", text, in.gatherCaller(),
			func(s evidence.Snapshot) evidence.Snapshot {
				s.Caller = evidence.Known(c, extreme)
				return s
			}})
	}
	return out
}
