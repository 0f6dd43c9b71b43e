package script

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"diagnose/internal/estate"
	"diagnose/internal/yamldoc"
)

// told says in lines what a file does.
func told(e *estate.Estate) []string {
	var out []string
	for _, t := range e.Targets {
		s := fmt.Sprintf("%d %s", t.Where.Line, label(t.Name))
		for _, x := range []struct {
			word string
			on   bool
		}{
			{"gen1", t.Gen1}, {"check off", t.Check == estate.No}, {"check on", t.Check == estate.Yes && !t.Gen1}, {"iap", t.IAP == estate.Yes},
			{"event", t.Event == estate.Yes}, {t.Ingress.String(), t.Ingress != estate.UnknownIngress},
		} {
			if x.on {
				s += " " + x.word
			}
		}
		out = append(out, s)
	}
	for _, p := range e.Policies {
		b := p.Bindings[0]
		s := fmt.Sprintf("%d %s %s on %s", b.Where.Line, strings.Join(b.Members, ","), b.Role, label(p.Resource))
		if b.Open != "" {
			s += ": " + b.Open
		}
		if b.Maybe != "" {
			s += ": " + b.Maybe
		}
		if c := b.Condition.GetExpression(); c != "" {
			s += " where " + c
		}
		out = append(out, s)
	}
	for _, u := range e.Unread {
		out = append(out, fmt.Sprintf("%d not known: %s: %s", u.Where.Line, u.What, u.Reason))
	}
	return out
}

func TestShell(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       []string // nil for nothing
	}{
		{"public", "gcloud run deploy web --image x --allow-unauthenticated", []string{"1 services/web", "1 allUsers roles/run.invoker on services/web"}},
		{"the line of the flag", "gcloud run deploy web \\\n  --image=x \\\n  --allow-unauthenticated", []string{"1 services/web", "3 allUsers roles/run.invoker on services/web"}},
		{"private", "gcloud run deploy web --no-allow-unauthenticated --ingress internal", []string{"1 services/web internal"}},
		{"opened and shut", "gcloud run deploy web --allow-unauthenticated\ngcloud run services remove-iam-policy-binding web --member=allUsers --role=roles/run.invoker", []string{"1 services/web"}},
		{"check off", "gcloud beta run services update web --no-invoker-iam-check", []string{"1 services/web check off"}},
		{"public flag", "gcloud run deploy web --public", []string{"1 services/web check off"}},
		{"behind IAP", "gcloud run deploy web --iap --no-allow-unauthenticated", []string{"1 services/web iap"}},
		{"said only", "echo gcloud run deploy web --allow-unauthenticated\nprintf '%s' \"gcloud run deploy web --allow-unauthenticated\"", nil},
		{"in a comment", "# gcloud run deploy web --allow-unauthenticated\ntrue", nil},
		{"in a text", "cat <<EOF\ngcloud run deploy web --allow-unauthenticated\nEOF", nil},
		{"help", "gcloud run deploy web --allow-unauthenticated --help", nil},
		{"a job", "gcloud run jobs deploy web --image x", nil},
		{"variables", "NAME=web\nexport FLAG=--allow-unauthenticated\ngcloud run deploy \"$NAME\" ${FLAG}", []string{"3 services/web", "3 allUsers roles/run.invoker on services/web"}},
		{"a list of flags", "ARGS=(--region x)\nARGS+=(--allow-unauthenticated)\ngcloud run deploy web \"${ARGS[@]}\"", []string{"3 services/web", "3 allUsers roles/run.invoker on services/web"}},
		{"an unknown variable", "gcloud run deploy \"$NAME\" --allow-unauthenticated", []string{"1 $NAME", "1 allUsers roles/run.invoker on $NAME"}},
		{"unknown flags", "gcloud run deploy web $FLAGS", []string{"1 services/web", "1 not known: the flags of gcloud run deploy for services/web: $FLAGS is not known"}},
		{"flags by condition", "F=--no-allow-unauthenticated\nif test \"$OPEN\"; then F=--allow-unauthenticated; fi\ngcloud run deploy web $F", []string{"3 services/web", "3 not known: the flags of gcloud run deploy for services/web: $F is not known"}},
		{"a default", "gcloud run deploy ${NAME:-web} ${FLAG:---no-allow-unauthenticated}", []string{"1 services/web", "1 not known: the flags of gcloud run deploy for services/web: --no-allow-unauthenticated is not known"}},
		{"by condition", "if [ -n \"$OPEN\" ]; then\n  gcloud run services add-iam-policy-binding web --member=allUsers --role roles/run.invoker\nfi",
			[]string{"2 services/web", "2 allUsers roles/run.invoker on services/web: only if the condition in line 1 holds"}},
		{"one after the other", "docker push x && gcloud run deploy web --allow-unauthenticated", []string{"1 services/web", "1 allUsers roles/run.invoker on services/web"}},
		{"where the other fails", "check || gcloud run deploy web --no-invoker-iam-check", []string{"1 services/web", "1 not known: whether --no-invoker-iam-check counts for services/web: only if the command before it in line 1 fails"}},
		{"in a function that is called", "f() {\n  gcloud run deploy web --allow-unauthenticated\n}\nf", []string{"2 services/web", "2 allUsers roles/run.invoker on services/web"}},
		{"in a function that is not", "f() {\n  gcloud run deploy web --allow-unauthenticated\n}", []string{"2 services/web", "2 allUsers roles/run.invoker on services/web: only if f is called"}},
		{"in a loop", "for s in web api; do gcloud run deploy $s --allow-unauthenticated; done", []string{"1 $s", "1 allUsers roles/run.invoker on $s"}},
		{"behind sudo", "sudo -E gcloud run deploy web --no-invoker-iam-check", []string{"1 services/web check off"}},
		{"behind one's own command", "retry 3 gcloud run deploy web --allow-unauthenticated", []string{"1 services/web", "1 allUsers roles/run.invoker on services/web: only if retry runs it"}},
		{"as a text for one's own command", "run_it 1 \"gcloud run deploy web \\\n  --allow-unauthenticated\"", []string{"1 services/web", "1 allUsers roles/run.invoker on services/web: only if run_it runs it"}},
		{"in another shell", "bash -ec 'gcloud run deploy web --allow-unauthenticated'", []string{"1 services/web", "1 allUsers roles/run.invoker on services/web"}},
		{"in the value of a variable", "URL=$(gcloud run deploy web --allow-unauthenticated --format='value(status.url)')", []string{"1 services/web", "1 allUsers roles/run.invoker on services/web"}},
		{"function", "gcloud functions deploy f --trigger-http --allow-unauthenticated", []string{"1 services/f", "1 allUsers roles/run.invoker on services/f"}},
		{"gen1 function", "gcloud functions deploy f --no-gen2 --trigger-http --allow-unauthenticated --ingress-settings internal-only", []string{"1 functions/f gen1 internal", "1 allUsers roles/cloudfunctions.invoker on functions/f"}},
		{"event function", "gcloud functions deploy f --gen2 --trigger-topic t", []string{"1 services/f event"}},
		{"invoker of a function", "gcloud functions add-invoker-policy-binding f --member user:ann@example.com", []string{"1 services/f", "1 user:ann@example.com roles/run.invoker on services/f"}},
		{"on a project", "gcloud projects add-iam-policy-binding shop --member=allUsers --role=roles/run.invoker --condition='expression=request.time < timestamp(\"2027-01-01T00:00:00Z\"),title=t'",
			[]string{`1 allUsers roles/run.invoker on projects/shop where request.time < timestamp("2027-01-01T00:00:00Z")`}},
		{"an account that is not known", "gcloud run services add-iam-policy-binding web --member=serviceAccount:$SA --role=roles/run.invoker",
			[]string{"1 services/web", "1  roles/run.invoker on services/web: serviceAccount:$SA is not known"}},
		{"a policy of a file", "gcloud run services set-iam-policy web policy.yaml", []string{"1 not known: who may invoke web: gcloud run services set-iam-policy takes the policy from policy.yaml"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			e, err := Read("deploy.sh", []byte(c.text+"\n"))
			if c.want == nil {
				if !errors.Is(err, ErrNothing) {
					t.Errorf("%v, want nothing: %v", told(e), err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := told(e); !slices.Equal(got, c.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
		})
	}
}

// A name has the project and region that the commands before it set.
func TestNames(t *testing.T) {
	e, err := Read("deploy.sh", []byte("gcloud config set project shop\ngcloud config set run/region europe-west1\ngcloud run deploy web\ngcloud run deploy web --region us-east1 --project other\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"//run.googleapis.com/projects/shop/locations/europe-west1/services/web", "//run.googleapis.com/projects/other/locations/us-east1/services/web"}
	if len(e.Targets) != 2 || e.Targets[0].Name != want[0] || e.Targets[1].Name != want[1] {
		t.Errorf("%+v", e.Targets)
	}
}

func TestBroken(t *testing.T) {
	_, err := Read("deploy.sh", []byte("gcloud run deploy web\nif true; then\n"))
	if err == nil || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("%v", err)
	}
}

func TestMakefile(t *testing.T) {
	const text = "NAME := web\nFLAGS ?= --no-allow-unauthenticated\nall: build\n\techo gcloud run deploy x\n\t@gcloud run deploy $(NAME) \\\n\t  --allow-unauthenticated\nother:\n\tgcloud run deploy api $(FLAGS)\n\tfor s in $$X; do gcloud run deploy b; done\n"
	e, err := Read("Makefile", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"5 services/web", "8 services/api", "9 services/b", "6 allUsers roles/run.invoker on services/web",
		"8 not known: the flags of gcloud run deploy for services/api: --no-allow-unauthenticated is not known"}
	if got := told(e); !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestPipelines(t *testing.T) {
	for _, c := range []struct {
		name, file, text, what string
		want                   []string
	}{
		{"Cloud Build", "cloudbuild.yaml", `steps:
- name: gcr.io/cloud-builders/docker
  args: [build, .]
- name: gcr.io/google.com/cloudsdktool/cloud-sdk:slim
  entrypoint: gcloud
  args:
  - run
  - deploy
  - web
  - --region=$_REGION
  - --allow-unauthenticated
- name: gcr.io/cloud-builders/gcloud
  args: [run, services, update, api, --no-invoker-iam-check]
- name: gcr.io/google.com/cloudsdktool/cloud-sdk
  entrypoint: bash
  args:
  - -c
  - |
    NAME=stock
    gcloud run deploy $$NAME $_FLAGS
- name: ubuntu
  script: |
    gcloud run deploy bill --allow-unauthenticated
substitutions: {_REGION: europe-west1}
`, "Cloud Build pipeline", []string{"7 services/web", "13 services/api check off", "20 services/stock", "23 services/bill",
			"11 allUsers roles/run.invoker on services/web", "23 allUsers roles/run.invoker on services/bill",
			"20 not known: the flags of gcloud run deploy for services/stock: $_FLAGS is not known"}},
		{"GitHub", ".github/workflows/deploy.yml", `on: push
env: {SERVICE: web}
jobs:
  deploy:
    if: github.ref == 'refs/heads/main'
    steps:
    - uses: actions/checkout@v4
    - run: |
        echo deploying
        gcloud run deploy ${{ env.SERVICE }} --region x \
          --allow-unauthenticated
    - uses: google-github-actions/deploy-cloudrun@v2
      with:
        service: api
        region: europe-west1
        flags: --allow-unauthenticated --cpu=2
    - if: inputs.public
      run: gcloud run deploy stock --allow-unauthenticated
    - run: gcloud run deploy bill ${{ inputs.flags }}
`, "GitHub workflow", []string{"10 services/web", "14 services/api", "18 services/stock", "19 services/bill",
			"11 allUsers roles/run.invoker on services/web", "16 allUsers roles/run.invoker on services/api",
			"18 allUsers roles/run.invoker on services/stock: only if its step runs",
			"19 not known: the flags of gcloud run deploy for services/bill: ${{ inputs.flags }} is not known"}},
		{"GitLab", ".gitlab-ci.yml", "variables: {NAME: web}\ndeploy:\n  script:\n  - gcloud run deploy $NAME --allow-unauthenticated\n", "GitLab pipeline",
			[]string{"4 services/web", "4 allUsers roles/run.invoker on services/web"}},
		{"npm", "package.json", `{"name": "a", "scripts": {"deploy": "gcloud run deploy web --allow-unauthenticated"}}`, "npm package",
			[]string{"1 services/web", "1 allUsers roles/run.invoker on services/web"}},
		{"nothing of gcloud", "x.yaml", "steps:\n- name: a\n  args: [b]\n", "Cloud Build pipeline", nil},
		{"steps of something else", "x.yaml", "steps:\n- title: gcloud run deploy web --allow-unauthenticated\n", "", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			docs, err := yamldoc.Documents([]byte(c.text))
			if err != nil {
				t.Fatal(err)
			}
			what, e, err := Pipeline(c.file, docs[0].Node)
			if what != c.what || (c.want == nil) != errors.Is(err, ErrNothing) {
				t.Fatalf("%q, %v", what, err)
			}
			if c.want == nil {
				return
			}
			if got := told(e); !slices.Equal(got, c.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
		})
	}
}

func FuzzShell(f *testing.F) {
	for _, s := range []string{"gcloud run deploy web --allow-unauthenticated", "A=(b $(c)) gcloud run deploy ${A[@]:1} ${X:-${Y}}", "f() { f; }; f", "eval 'eval \"eval x\"'", "for ((;;)); do :; done"} {
		f.Add(s)
	}
	f.Fuzz(func(_ *testing.T, s string) {
		_, _ = Read("a.sh", []byte(s))
		_, _ = Read("Makefile", []byte("a:\n\t"+s))
	})
}
