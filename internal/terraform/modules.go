package terraform

import (
	"encoding/json"
	"path/filepath"
	"strings"

	"diagnose/internal/bounded"
)

// A moduleList says where terraform init put the modules of a root module, by
// their keys: "network.subnets".
type moduleList map[string]installedModule

type installedModule struct{ Key, Source, Dir string }

// moduleLists is the file that terraform init writes, below a root module.
var moduleLists = filepath.Join(".terraform", "modules", "modules.json")

// modules reads the list of a root module, which is empty before init.
func (p *reading) modules(dir string) moduleList {
	if list, done := p.lists[dir]; done {
		return list
	}
	var doc struct{ Modules []installedModule }
	list := moduleList{}
	data, err := bounded.File(filepath.Join(dir, moduleLists), maxConfigFile)
	if err == nil && json.Unmarshal(data, &doc) == nil {
		for _, m := range doc.Modules {
			list[m.Key] = m
		}
	}
	if p.lists == nil {
		p.lists = map[string]moduleList{}
	}
	p.lists[dir] = list
	return list
}

// installed is where terraform init put a module that a scope calls, "" where
// it did not, or was run for another source.
func (s *scope) installed(name, from string) string {
	root := s.root().dir
	m, ok := s.r.modules(root)[strings.Join(append(s.key(), name), ".")]
	if !ok || m.Dir == "" || from == "" || !strings.HasSuffix(m.Source, from) {
		return ""
	}
	if filepath.IsAbs(m.Dir) {
		return m.Dir
	}
	return filepath.Join(root, m.Dir)
}

// key names a module in a list, without the keys of its instances.
func (s *scope) key() []string {
	if s.parent == nil {
		return nil
	}
	parts := strings.Split(strings.TrimSuffix(withoutIndexes(s.prefix), "."), ".")
	var out []string
	for i := 1; i < len(parts); i += 2 {
		out = append(out, parts[i])
	}
	return out
}
