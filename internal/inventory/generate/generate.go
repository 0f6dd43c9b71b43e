// Package generate makes asset exports of any size whose findings are known:
// the same ones for the same seed.
package generate

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// Options say what to make. The zero Options makes one organization without
// projects.
type Options struct {
	Seed     uint64
	Projects int
	Services int // spread over the projects, a fifth of them gen1 functions
	Noise    int // assets that cannot matter
}

type project struct {
	id, number     string
	folder         string
	services, gen1 int
	publicly       bool // allUsers on the project
	publics        []string
	ingressPublics []string
	ingressGen1    []string
}

// Organization makes the lines of an export, and the findings in it: each as
// "RULE RESOURCE MEMBER REACH", sorted.
func Organization(o Options) (lines [][]byte, findings []string) {
	g := &generator{r: rand.New(rand.NewPCG(o.Seed, o.Seed)), findings: map[string]bool{}}
	g.add(map[string]any{"name": "//cloudresourcemanager.googleapis.com/organizations/1", "asset_type": "cloudresourcemanager.googleapis.com/Organization",
		"resource": map[string]any{"data": map[string]any{"name": "organizations/1", "displayName": "example.com"}}})
	var projects []*project
	for i := range o.Projects {
		p := &project{id: fmt.Sprintf("project-%d", i), number: fmt.Sprint(100000 + i), folder: fmt.Sprintf("folders/%d", 1+i%3)}
		projects = append(projects, p)
		g.project(p)
	}
	for i := range o.Services {
		if len(projects) == 0 {
			break
		}
		p := projects[g.r.IntN(len(projects))]
		if i%5 == 4 {
			g.gen1(p, i)
		} else {
			g.service(p, i)
		}
	}
	for _, p := range projects {
		g.policyOf(p)
	}
	for i := range o.Noise {
		g.noise(i)
	}
	for f := range g.findings {
		findings = append(findings, f)
	}
	slices.Sort(findings)
	return g.lines, findings
}

type generator struct {
	r        *rand.Rand
	lines    [][]byte
	findings map[string]bool
}

func (g *generator) find(rule, resource, member string, reach any) {
	g.findings[fmt.Sprintf("%s %s %s %v", rule, resource, member, reach)] = true
}

// add writes a line in one of the spellings that exports come in.
func (g *generator) add(asset map[string]any) {
	if g.r.IntN(3) == 0 {
		for snake, camel := range map[string]string{"asset_type": "assetType", "iam_policy": "iamPolicy"} {
			if v, ok := asset[snake]; ok {
				asset[camel] = v
				delete(asset, snake)
			}
		}
	}
	line, err := json.Marshal(asset)
	if err != nil {
		return // maps of texts can be marshalled
	}
	text := string(line)
	switch g.r.IntN(8) {
	case 0:
		text = strings.ReplaceAll(text, "/", `\/`)
	case 1:
		text = strings.ReplaceAll(text, "run.", `\u0072un.`)
	case 2:
		text = strings.ReplaceAll(text, `","`, `" , "`)
	}
	g.lines = append(g.lines, []byte(text))
}

func (g *generator) project(p *project) {
	g.add(map[string]any{"name": "//cloudresourcemanager.googleapis.com/projects/" + p.number, "asset_type": "cloudresourcemanager.googleapis.com/Project", "ancestors": []string{"projects/" + p.number, p.folder, "organizations/1"},
		"resource": map[string]any{"data": map[string]any{"projectId": p.id, "projectNumber": p.number, "name": "Project " + p.id, "parent": map[string]any{"type": "folder", "id": strings.TrimPrefix(p.folder, "folders/")}}}})
	p.publicly = g.r.IntN(7) == 0
}

func (g *generator) service(p *project, i int) {
	name := fmt.Sprintf("//run.googleapis.com/projects/%s/locations/europe-west1/services/s%d", p.id, i)
	internal := g.r.IntN(4) == 0
	annotations := map[string]any{"run.googleapis.com/ingress": "all"}
	if internal {
		annotations["run.googleapis.com/ingress"] = "internal"
	}
	g.add(map[string]any{"name": name, "asset_type": "run.googleapis.com/Service", "ancestors": []string{"projects/" + p.number, p.folder, "organizations/1"}, "resource": map[string]any{"version": "v1", "data": map[string]any{
		"apiVersion": "serving.knative.dev/v1", "kind": "Service", "metadata": map[string]any{"name": fmt.Sprintf("s%d", i), "namespace": p.number, "annotations": annotations, "labels": map[string]any{"cloud.googleapis.com/location": "europe-west1"}},
		"status": map[string]any{"url": fmt.Sprintf("https://s%d-abcdefghij-ew.a.run.app", i)}}}})
	reach := 1
	if internal {
		reach = 0
	} else {
		p.services++
		p.ingressPublics = append(p.ingressPublics, name)
	}
	var bindings []any
	grant := func(role string, members ...string) {
		bindings = append(bindings, map[string]any{"role": role, "members": members})
	}
	switch g.r.IntN(8) {
	case 0:
		grant("roles/run.invoker", "allUsers", "user:ann@example.com")
		g.find("grant-all-users", name, "allUsers", reach)
		p.publics = append(p.publics, name)
		g.find("grant-redundant", name, "user:ann@example.com", "?")
		if !internal {
			g.find("ingress-all-public", name, "", 1)
		}
	case 1:
		grant("roles/viewer", "allUsers")
	case 2:
		grant("roles/run.admin", "serviceAccount:a@"+p.id+".iam.gserviceaccount.com")
		g.find("grant-excessive-role", name, "serviceAccount:a@"+p.id+".iam.gserviceaccount.com", reach)
		if p.publicly {
			g.find("grant-redundant", name, "serviceAccount:a@"+p.id+".iam.gserviceaccount.com", "?")
		}
	case 3:
		grant("roles/cloudfunctions.invoker", "user:bob@example.com")
		g.find("grant-ineffective-role", name, "user:bob@example.com", "?")
	case 4:
		grant("roles/run.invoker", "deleted:user:old@example.com?uid=1")
		g.find("grant-deleted-member", name, "deleted:user:old@example.com?uid=1", "?")
	default:
		return
	}
	g.add(map[string]any{"name": name, "asset_type": "run.googleapis.com/Service", "iam_policy": map[string]any{"bindings": bindings}})
}

func (g *generator) gen1(p *project, i int) {
	name := fmt.Sprintf("//cloudfunctions.googleapis.com/projects/%s/locations/europe-west1/functions/f%d", p.id, i)
	p.gen1++
	p.ingressGen1 = append(p.ingressGen1, name)
	g.add(map[string]any{"name": name, "asset_type": "cloudfunctions.googleapis.com/CloudFunction", "ancestors": []string{"projects/" + p.number, p.folder, "organizations/1"}, "resource": map[string]any{"data": map[string]any{
		"name": strings.TrimPrefix(name, "//cloudfunctions.googleapis.com/"), "status": "ACTIVE", "entryPoint": "main", "httpsTrigger": map[string]any{"url": "https://europe-west1-" + p.id + ".cloudfunctions.net/f"}, "ingressSettings": "ALLOW_ALL"}}})
	if g.r.IntN(4) == 0 {
		g.find("grant-all-users", name, "allUsers", 1)
		g.find("ingress-all-public", name, "", 1)
		g.add(map[string]any{"name": name, "asset_type": "cloudfunctions.googleapis.com/CloudFunction", "iam_policy": map[string]any{"bindings": []any{map[string]any{"role": "roles/cloudfunctions.invoker", "members": []string{"allUsers"}}}}})
	}
}

// policyOf writes a project's policy, when its services are known.
func (g *generator) policyOf(p *project) {
	name := "//cloudresourcemanager.googleapis.com/projects/" + p.id
	bindings := []any{map[string]any{"role": "roles/storage.admin", "members": []string{"allUsers"}}, map[string]any{"role": "roles/viewer", "members": []string{"allUsers", "user:ann@example.com"}}}
	if p.publicly {
		bindings = append(bindings, map[string]any{"role": "roles/run.invoker", "members": []string{"allUsers"}})
		g.find("grant-all-users", name, "allUsers", p.services)
		for _, s := range p.ingressPublics {
			g.find("ingress-all-public", s, "", 1)
		}
	}
	if g.r.IntN(3) == 0 {
		bindings = append(bindings, map[string]any{"role": "roles/owner", "members": []string{"user:owner@example.com"}})
		g.find("grant-inherited", name, "user:owner@example.com", p.services+p.gen1)
	}
	g.add(map[string]any{"name": "//cloudresourcemanager.googleapis.com/projects/" + p.number, "asset_type": "cloudresourcemanager.googleapis.com/Project", "iam_policy": map[string]any{"bindings": bindings}})
}

// noise is an asset that cannot matter, though it speaks of what does.
func (g *generator) noise(i int) {
	kinds := []string{"storage.googleapis.com/Bucket", "compute.googleapis.com/Instance", "bigquery.googleapis.com/Table", "iam.googleapis.com/ServiceAccountKey", "k8s.io/Pod"}
	kind := kinds[g.r.IntN(len(kinds))]
	asset := map[string]any{"name": fmt.Sprintf("//x.googleapis.com/projects/p/things/%d", i), "asset_type": kind}
	if g.r.IntN(3) == 0 {
		asset["iam_policy"] = map[string]any{"bindings": []any{map[string]any{"role": "roles/run.invoker", "members": []string{"allUsers"}}}}
	} else {
		asset["resource"] = map[string]any{"data": map[string]any{"assetType": "run.googleapis.com/Service", "description": strings.Repeat("a text about run.googleapis.com/Service and allUsers, ", 4+g.r.IntN(24)), "labels": map[string]any{"n": i, "list": []int{1, 2, 3}}}}
	}
	g.add(asset)
}
