package terraform_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"diagnose/internal/terraform"
)

// instances are resource_changes of services, or of grants to everyone, whose
// names are known after apply.
func instances(kind, name string, within []string, keys ...string) []string {
	var out []string
	for _, m := range within {
		for _, k := range keys {
			after := `{"location":"l","project":"shop"}`
			if kind == runMember {
				after = `{"location":"l","project":"shop","role":"roles/run.invoker","member":"allUsers"}`
			}
			address, _ := json.Marshal(m + kind + "." + name + k)
			out = append(out, fmt.Sprintf(`{"address":%s,"mode":"managed","type":%q,"name":%q,"change":{"actions":["create"],"before":null,"after":%s,"after_unknown":{"name":true}}}`,
				address, kind, name, after))
		}
	}
	return out
}

// A reference of a plan leads to the instance that is meant, and to none where
// the plan does not tell which.
func TestInstancesInPlans(t *testing.T) {
	root, modules := []string{""}, []string{`module.a["x.y"].`, `module.a["z"].`}
	refs := func(list ...string) string {
		data, _ := json.Marshal(list)
		return `{"references":` + string(data) + `}`
	}
	resource := func(kind, name, expression, rest string) string {
		return fmt.Sprintf(`{"address":"%[1]s.%[2]s","mode":"managed","type":"%[1]s","name":"%[2]s","expressions":{"name":%[3]s}%[4]s}`, kind, name, expression, rest)
	}
	web := func(rest string) string { return resource(run, "web", refs("random_id.r.hex", "random_id.r"), rest) }
	member := func(expression, rest string) string { return resource(runMember, "m", expression, rest) }
	const each, counted = `,"for_each_expression":{}`, `,"count_expression":{}`
	chained := `,"for_each_expression":` + refs(run+".web")
	call := func(resources, more string) string {
		return `"module_calls":{"a":{"for_each_expression":{},"module":{"resources":[` + resources + `]` + more + `}}}`
	}
	output := `,"outputs":{"id":{"expression":` + refs(run+".web.name", run+".web") + `}}`
	for _, tt := range []struct {
		name    string
		changes [][]string
		config  string
		want    string // of what each grant is, by the instance
	}{
		{"one service", [][]string{instances(run, "web", root, ""), instances(runMember, "m", root, "")},
			`"resources":[` + web("") + "," + member(refs(run+".web.name", run+".web"), "") + `]`, "m=web"},
		{"by the same key", [][]string{instances(run, "web", root, `["a"]`, `["b"]`), instances(runMember, "m", root, `["a"]`, `["b"]`)},
			`"resources":[` + web(each) + "," + member(refs(run+".web", "each.key"), each) + `]`, `m["a"]=web["a"] m["b"]=web["b"]`},
		{"by the same number", [][]string{instances(run, "web", root, `[0]`, `[1]`), instances(runMember, "m", root, `[0]`, `[1]`)},
			`"resources":[` + web(counted) + "," + member(refs(run+".web", "count.index"), counted) + `]`, `m[0]=web[0] m[1]=web[1]`},
		{"by the next number", [][]string{instances(run, "web", root, `[0]`, `[1]`, `[2]`), instances(runMember, "m", root, `[0]`, `[1]`)},
			`"resources":[` + web(counted) + "," + member(refs(run+".web", "count.index"), counted) + `]`, `m[0]= m[1]=`},
		{"by a key made of another", [][]string{instances(run, "web", root, `["a"]`, `["x-a"]`), instances(runMember, "m", root, `["a"]`)},
			`"resources":[` + web(each) + "," + member(refs(run+".web", "each.key"), each) + `]`, `m["a"]=`},
		{"by a key that is written", [][]string{instances(run, "web", root, `["a"]`, `["b"]`), instances(runMember, "m", root, "")},
			`"resources":[` + web(each) + "," + member(refs(run+`.web["b"].name`, run+`.web["b"]`, run+".web"), "") + `]`, `m=web["b"]`},
		{"by each.value", [][]string{instances(run, "web", root, `["a"]`, `["b"]`), instances(runMember, "m", root, `["a"]`, `["b"]`)},
			`"resources":[` + web(each) + "," + member(refs("each.value.name", "each.value"), chained) + `]`, `m["a"]=web["a"] m["b"]=web["b"]`},
		{"by each.value of something else", [][]string{instances(run, "web", root, `["a"]`, `["b"]`), instances(runMember, "m", root, `["a"]`, `["b"]`)},
			`"resources":[` + web(each) + "," + member(refs("each.value.name", "each.value"), each) + `]`, `m["a"]= m["b"]=`},
		{"one of several that is not told", [][]string{instances(run, "web", root, `["a"]`, `["b"]`), instances(runMember, "m", root, "")},
			`"resources":[` + web(each) + "," + member(refs(run+".web", "local.which"), "") + `]`, `m=`},
		{"inside each instance of a module", [][]string{instances(run, "web", modules, ""), instances(runMember, "m", modules, "")},
			call(web("")+","+member(refs(run+".web.name", run+".web"), ""), ""), `module.a["x.y"].m=web module.a["z"].m=web`},
		{"by the key, inside each instance of a module", [][]string{instances(run, "web", modules, `["k"]`, `["l"]`), instances(runMember, "m", modules, `["l"]`)},
			call(web(each)+","+member(refs(run+".web", "each.key"), each), ""), `module.a["x.y"].m["l"]=web["l"] module.a["z"].m["l"]=web["l"]`},
		{"an output of a module by a key", [][]string{instances(run, "web", modules, ""), instances(runMember, "m", root, "")},
			`"resources":[` + member(refs(`module.a["z"].id`, `module.a["z"]`, "module.a"), "") + `],` + call(web(""), output), `m=module.a["z"].web`},
		{"an output of a module that is not told", [][]string{instances(run, "web", modules, ""), instances(runMember, "m", root, "")},
			`"resources":[` + member(refs("module.a", "local.which"), "") + `],` + call(web(""), output), `m=`},
		{"another attribute", [][]string{instances(run, "web", root, ""), instances(runMember, "m", root, "")},
			`"resources":[` + web("") + "," + member(refs(run+".web.location", run+".web"), "") + `]`, "m="},
		{"a variable and something that is not known", [][]string{instances(run, "web", root, ""), instances(runMember, "m", root, "")},
			`"resources":[` + web("") + "," + member(refs("var.name"), "") + `]`, "m="},
	} {
		doc := `{"format_version":"1.2","variables":{"name":{"value":"web"}},"resource_changes":[` + strings.Join(slices.Concat(tt.changes...), ",") + `],"configuration":{"root_module":{` + tt.config + `}}}`
		p, err := terraform.ReadPlan([]byte(doc), "plan.json")
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		var got []string
		for _, x := range p.After.Policies {
			if x.Where.Address == "" {
				continue
			}
			at := strings.Replace(x.Where.Address, runMember+".", "", 1)
			module := at[:strings.LastIndex(at, "m")]
			got = append(got, at+"="+strings.Replace(strings.TrimPrefix(x.Of, module), run+".", "", 1))
		}
		slices.Sort(got)
		if s := strings.Join(got, " "); s != tt.want {
			t.Errorf("%s: %s\nwant %s", tt.name, s, tt.want)
		}
	}
}
