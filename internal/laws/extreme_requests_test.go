package laws

import (
	"net/http"
	"regexp"
	"strings"
	"time"

	"cloud.google.com/go/iam/admin/apiv1/adminpb"
	"cloud.google.com/go/iam/apiv1/iampb"

	"diagnose/internal/credential"
	"diagnose/internal/credential/credentialtest"
	"diagnose/internal/evidence"
)

// addNames adds what the names in the policies stand for.
func (a *about) addNames() {
	if !a.Roles.Known() && len(a.roles) > 0 {
		for label, permissions := range map[string][]string{
			"with the permission": {runInvoke, gen1Invoke, iapAccess}, "without": {"run.services.get"},
		} {
			var list []*adminpb.Role
			for _, r := range a.roles {
				list = append(list, &adminpb.Role{Name: r, IncludedPermissions: permissions})
			}
			a.add("roles.json", label, func(s *evidence.Snapshot) { s.Roles = known(list, "roles.json") })
		}
	}
	if !a.Groups.Known() && len(a.groups) > 0 {
		for label, members := range map[string][]string{"of the caller": {a.caller, a.agent()}, "empty": {}} {
			all := map[string][]string{}
			for _, g := range a.groups {
				all[g] = members
			}
			a.add("groups.json", label, func(s *evidence.Snapshot) { s.Groups = known(all, "groups.json") })
		}
	}
	if !a.Tags.Known() {
		a.add("tags.json", "none", func(s *evidence.Snapshot) { s.Tags = known([]evidence.Tag{}, "tags.json") })
		for _, t := range a.tags {
			a.add("tags.json", t.NamespacedValue, func(s *evidence.Snapshot) { s.Tags = known([]evidence.Tag{t}, "tags.json") })
		}
	}
	if !a.Project.Known() {
		a.add("project.json", a.number, func(s *evidence.Snapshot) {
			s.Project = known(evidence.Project{ID: a.project, Number: a.number}, "project.json")
		})
	}
}

func (a *about) addRequest() {
	if a.Request.Known() {
		return
	}
	for label, r := range map[string]evidence.Request{
		"from a VPC": {Origin: evidence.VPC}, "from a Google service": {Origin: evidence.GoogleService},
		"from the internet": {Origin: evidence.Internet}, "OPTIONS": {Method: "OPTIONS"},
		"long ago": {Time: now.AddDate(-3, 0, 0)}, "years later": {Time: now.AddDate(3, 0, 0)},
		"an hour before": {Time: now.Add(-time.Hour)}, "without headers": {Headers: http.Header{}},
	} {
		if r.Headers != nil && a.Token.Known() {
			continue
		}
		a.add("request.json", label, func(s *evidence.Snapshot) {
			s.Request = known(r, "request.json")
			if !r.Time.IsZero() {
				s.Now, s.NowFrom = r.Time, "request.json"
			}
		})
	}
}

// addCredential adds a token where the case says nothing of one. A question
// about a principal supposes a correct token.
func (a *about) addCredential() {
	r := a.Request.Or(evidence.Request{})
	if !a.Token.Known() && r.Principal == "" && r.Headers == nil && !a.Caller.Known() {
		claims := map[string]any{
			"iss": "https://accounts.google.com", "aud": "https://" + a.host, "sub": "1", "email_verified": true,
			"email": "mover@shop.iam.gserviceaccount.com", "iat": a.Now.Unix() - 60, "exp": a.Now.Unix() + 3000,
		}
		for label, text := range map[string]string{"garbage": "garbage", "of mover": credentialtest.Sign(claims)} {
			a.add("token.jwt", label, func(s *evidence.Snapshot) { s.Token = known(credential.Decode(text), "token.jwt") })
		}
	}
	if a.Token.Known() && !a.Keys.Known() {
		right := string(credentialtest.JWKS())
		wrong := regexp.MustCompile(`("n": ?"[^"]{20})[^"]{8}`).ReplaceAllString(right, "${1}AAAAAAAA")
		for label, text := range map[string]string{"that verify": right, "that do not": wrong} {
			a.add("jwks.json", label, func(s *evidence.Snapshot) { read(s, "jwks.json", text) })
		}
	}
}

func (a *about) addCallers() {
	if !a.Trigger.Known() {
		parts := strings.Split(a.service, "/")
		a.add("trigger.json", "of another account", func(s *evidence.Snapshot) {
			read(s, "trigger.json", `{"name":"projects/shop/locations/europe-west1/triggers/t",
				"serviceAccount":"events@shop.iam.gserviceaccount.com",
				"eventFilters":[{"attribute":"type","value":"google.cloud.pubsub.topic.v1.messagePublished"}],
				"destination":{"cloudRun":{"service":"`+parts[5]+`","region":"`+parts[3]+`"}}}`)
		})
	}
	if !a.Caller.Known() {
		job := `{"name":"projects/shop/locations/europe-west1/jobs/j","schedule":"* * * * *",` +
			`"httpTarget":{"uri":"https://` + a.host + `/"`
		for label, text := range map[string]string{
			"without token":       job + `}}`,
			"with an ID token":    job + `,"oidcToken":{"serviceAccountEmail":"mover@shop.iam.gserviceaccount.com"}}}`,
			"with an OAuth token": job + `,"oauthToken":{"serviceAccountEmail":"mover@shop.iam.gserviceaccount.com"}}}`,
		} {
			a.add("caller.json", label, func(s *evidence.Snapshot) { read(s, "caller.json", text) })
		}
	}
	if !a.Accounts.Known() {
		a.add("service-account-policies.json", "empty", func(s *evidence.Snapshot) {
			account := evidence.AccountPolicy{Email: "mover@shop.iam.gserviceaccount.com", Policy: &iampb.Policy{}}
			s.Accounts = known([]evidence.AccountPolicy{account}, "service-account-policies.json")
		})
	}
}

func (a *about) addObserved() {
	for _, status := range []int{200, 401, 403, 404} {
		if !a.Response.Known() {
			a.add("response.http", http.StatusText(status), func(s *evidence.Snapshot) {
				s.Response = known(evidence.Response{Status: status, Header: http.Header{}}, "response.http")
			})
		}
		if !a.Logs.Known() {
			a.add("log.json", http.StatusText(status), func(s *evidence.Snapshot) {
				s.Logs = known([]evidence.LogEntry{{LogName: "projects/" + a.project + "/logs/run.googleapis.com%2Frequests",
					Severity: "WARNING", Timestamp: a.Now, ResourceType: "cloud_run_revision", Status: status}}, "log.json")
			})
		}
	}
}
