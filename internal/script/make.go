package script

import (
	"regexp"
	"strings"
)

var (
	makeAssign    = regexp.MustCompile(`^(?:export\s+|override\s+)?([A-Za-z_][\w.-]*)\s*(\?=|:?:?=)\s*(.*?)\s*(?:#.*)?$`)
	makeReference = regexp.MustCompile(`\$\$|\$\(([^()]*)\)|\$\{([^{}]*)\}|\$[@<^*?]`)
	makeLocal     = regexp.MustCompile(`^[A-Za-z_][\w.-]*$`)
)

// readMakefile reads the recipes of a Makefile, each line as a shell of its
// own does. Its variables count as far as they are text.
func readMakefile(in *effects, text string) {
	values := map[string]string{}
	lines := strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
	for i := 0; i < len(lines); i++ {
		first, logical := i, lines[i]
		for strings.HasSuffix(logical, `\`) && i+1 < len(lines) {
			i++
			logical += "\n" + lines[i]
		}
		recipe, ok := strings.CutPrefix(logical, "\t")
		if !ok {
			if m := makeAssign.FindStringSubmatch(logical); m != nil {
				value := makeExpand(m[3], values)
				if m[2] == "?=" {
					value = usually + value
				}
				values[m[1]] = value
			}
			continue
		}
		recipe = strings.TrimLeft(recipe, "@-+ \t")
		if Mentions([]byte(recipe)) {
			_ = in.shell(makeExpand(recipe, values), first+1, newVariables(nil)) // a broken line is none of gcloud's
		}
	}
}

// makeExpand replaces the references to variables of a Makefile.
func makeExpand(text string, values map[string]string) string {
	return makeReference.ReplaceAllStringFunc(text, func(ref string) string {
		if ref == "$$" {
			return "$"
		}
		name := strings.Trim(ref[1:], "(){}")
		if v, ok := values[name]; ok && !strings.Contains(v, mark) {
			return v
		}
		if !makeLocal.MatchString(name) {
			name = "…"
		}
		return unknown(name)
	})
}
