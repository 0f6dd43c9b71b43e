package laws

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// Worlds written out as the documents that Google's tools print. Nothing here
// goes through the program's own writer, so that its readers are tested too.

// A spelling is one of the ways to write the same documents.
type spelling struct{ knative, yaml bool }

var spellings = []spelling{{}, {yaml: true}, {knative: true}, {knative: true, yaml: true}}

func (s spelling) String() string { return fmt.Sprintf("Knative %t, YAML %t", s.knative, s.yaml) }

// files are documents by file name.
type files map[string][]byte

// add writes a value as JSON, or as YAML where the name and spelling say so.
func (f files) add(name string, v any, s spelling) {
	data := must(json.Marshal(v))
	if s.yaml {
		name = strings.TrimSuffix(name, ".json") + ".yaml"
		var plain any
		if err := json.Unmarshal(data, &plain); err != nil {
			panic(err)
		}
		data = must(yaml.Marshal(plain))
	}
	f[name] = data
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func raw(m proto.Message) json.RawMessage { return must(protojson.Marshal(m)) }

// document is the policy as get-iam-policy prints it, which has an etag even
// where it grants nothing.
func (p *policy) document() json.RawMessage {
	m := p.proto()
	m.Etag = []byte{5, 225, 232, 53}
	return raw(m)
}

func raws[M proto.Message](list []M) []json.RawMessage {
	out := []json.RawMessage{}
	for _, m := range list {
		out = append(out, raw(m))
	}
	return out
}

// theCase is the world as a folder that invoke reads.
func (w world) theCase(s spelling) files {
	out := files{}
	plain := spelling{}
	out.add("request.json", w.requestDocument(), plain)
	switch {
	case w.gen1:
		out.add("function.json", w.functionDocument(), plain)
	case w.service != nil:
		out.add("service.json", w.serviceDocument(s), s)
	}
	if w.own != nil && w.gen1 {
		out.add("function-policy.json", w.own.document(), plain)
	} else if w.own != nil {
		out.add("policy.json", w.own.document(), plain)
	}
	w.shared(out)
	if w.tags != nil {
		tags := []map[string]string{}
		for _, t := range w.tagList() {
			tags = append(tags, map[string]string{
				"namespacedTagKey": t.NamespacedKey, "namespacedTagValue": t.NamespacedValue,
				"tagKey": t.Key, "tagValue": t.Value,
			})
		}
		out.add("tags.json", tags, plain)
	}
	if w.iap != nil {
		out.add("iap-policy.json", w.iap.document(), plain)
	}
	if w.settings != nil {
		out.add("iap-settings.json", raw(w.settings.proto()), plain)
	}
	return out
}

// shared writes what both a case and a gate's folder have.
func (w world) shared(out files) {
	plain := spelling{}
	if !w.noAbove {
		out.add("ancestor-policies.json", w.ancestorDocument(), plain)
	}
	if !w.noDeny {
		out.add("deny-policies.json", raws(w.denyList()), plain)
	}
	if len(w.roles) > 0 {
		out.add("roles.json", raws(w.roleList()), plain)
	}
	if len(w.groups) > 0 {
		out.add("groups.json", w.groups, plain)
	}
	if w.number {
		out.add("project.json", map[string]string{"projectId": project, "projectNumber": number}, plain)
	}
}

func (w world) requestDocument() map[string]any {
	r := map[string]any{"method": w.method, "source": w.source, "time": now}
	if w.path != "" {
		r["url"] = w.url()
	}
	if w.who == "" {
		r["headers"] = map[string]string{}
	} else {
		r["principal"] = w.who
	}
	return r
}

func (w world) ancestorDocument() []map[string]any {
	var out []map[string]any
	for _, n := range w.above {
		a := map[string]any{"id": n.id, "type": n.kind}
		if n.policy != nil {
			a["policy"] = n.policy.document()
		}
		out = append(out, a)
	}
	return out
}

// The words for ingress in a gen1 function and in a Knative service.
var (
	gen1Ingress = map[string]string{
		"all": "ALLOW_ALL", "internal": "ALLOW_INTERNAL_ONLY", "balancer": "ALLOW_INTERNAL_AND_GCLB",
	}
	knativeIngress = map[string]string{
		"all": "all", "internal": "internal", "balancer": "internal-and-cloud-load-balancing", "none": "none",
	}
)

func (w world) functionDocument() map[string]any {
	return map[string]any{
		"name": gen1ID, "status": "ACTIVE", "entryPoint": "main", "runtime": "nodejs20", "versionId": "1",
		"httpsTrigger":    map[string]string{"url": gen1URL, "securityLevel": "SECURE_ALWAYS"},
		"ingressSettings": gen1Ingress[w.service.ingress],
	}
}

func (w world) serviceDocument(s spelling) any {
	if !s.knative {
		return raw(w.runService())
	}
	annotations := map[string]string{
		"run.googleapis.com/ingress": knativeIngress[w.service.ingress],
		"run.googleapis.com/urls":    fmt.Sprintf(`["https://%s","https://%s"]`, longHost, hashHost),
	}
	for key, on := range map[string]bool{
		"invoker-iam-disabled": w.service.off, "iap-enabled": w.service.iap, "default-url-disabled": w.service.noURL,
	} {
		if on {
			annotations["run.googleapis.com/"+key] = "true"
		}
	}
	meta := map[string]any{
		"name": name, "namespace": number, "annotations": annotations,
		"labels": map[string]string{"cloud.googleapis.com/location": region},
	}
	if w.service.deleted {
		meta["deletionTimestamp"] = now.AddDate(0, 0, -1)
	}
	return map[string]any{
		"apiVersion": "serving.knative.dev/v1", "kind": "Service", "metadata": meta,
		"spec": map[string]any{"traffic": []map[string]any{{"latestRevision": true, "percent": 100}}},
		"status": map[string]any{
			"url": "https://" + hashHost, "latestReadyRevisionName": "orders-00001-abc",
			"conditions": []map[string]string{{"type": "Ready", "status": "True"}},
		},
	}
}

// theChange is the world as a folder that gate reads.
func (w world) theChange(s spelling) files {
	out := files{}
	end := "-policy.json"
	if w.gen1 {
		out.add("orders.json", w.functionDocument(), s)
		end = "-function-policy.json"
	} else if w.service != nil {
		out.add("orders.json", w.serviceDocument(s), s)
	}
	if w.own != nil {
		out.add("orders"+end, w.own.document(), s)
	}
	w.shared(out)
	return out
}

// An export is assets, one per line.
type export struct{ lines []string }

// add writes one asset: its policy where there is one, else its data.
func (e *export) add(kind, full string, ancestors []string, data, policy any) {
	a := map[string]any{"name": full, "asset_type": kind, "ancestors": ancestors}
	if policy != nil {
		a["iam_policy"] = policy
	} else {
		a["resource"] = map[string]any{"version": "v1", "data": data}
	}
	e.lines = append(e.lines, string(must(json.Marshal(a))))
}

// nodes writes what is above the service, and returns its names.
func (e *export) nodes(above []node) []string {
	var chain []string
	for _, n := range above {
		id := n.id
		if n.kind == "project" {
			id = number
		}
		chain = append(chain, n.kind+"s/"+id)
	}
	for i, n := range above {
		kind := "cloudresourcemanager.googleapis.com/" + strings.ToUpper(n.kind[:1]) + n.kind[1:]
		full := "//cloudresourcemanager.googleapis.com/" + chain[i]
		data := map[string]any{"name": n.kind + "s/" + n.id, "displayName": "x"}
		if n.kind == "project" {
			data = map[string]any{"projectId": project, "projectNumber": number, "name": "x"}
		}
		e.add(kind, full, chain[i:], data, nil)
		if n.policy != nil {
			e.add(kind, full, chain[i:], nil, n.policy.document())
		}
	}
	return chain
}

// theExport is the world as an export of assets. It has no deny policies and
// no groups.
func (w world) theExport(s spelling) []byte {
	e := &export{}
	chain := e.nodes(w.above)
	for _, k := range slices.Sorted(maps.Keys(w.roles)) {
		role := map[string]any{"name": k, "includedPermissions": w.roles[k], "deleted": w.roles[k] == nil}
		e.add("iam.googleapis.com/Role", "//iam.googleapis.com/"+k, nil, role, nil)
	}
	kind, full := "run.googleapis.com/Service", "//run.googleapis.com/"+serviceID
	var data any
	if w.gen1 {
		kind, full = "cloudfunctions.googleapis.com/CloudFunction", "//cloudfunctions.googleapis.com/"+gen1ID
		data = w.functionDocument()
	} else {
		data = w.serviceDocument(s)
	}
	e.add(kind, full, chain, data, nil)
	if w.own != nil {
		e.add(kind, full, chain, nil, w.own.document())
	}
	return []byte(strings.Join(e.lines, "\n") + "\n")
}
