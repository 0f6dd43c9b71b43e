package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"diagnose/checks"
	"diagnose/fixtures"
	"diagnose/internal/evidence"
	"diagnose/report"
)

// everyCommand are all commands that a verdict prints.
func everyCommand(v checks.Verdict) []checks.Command {
	out := asked(v)
	if v.Observed != nil {
		for _, e := range v.Observed.Explanations {
			out = append(out, e.Gather...)
		}
	}
	for _, f := range v.Findings {
		for _, x := range f.Fixes {
			out = append(out, x.Commands...)
		}
	}
	return out
}

// told are the names that documents tell, by the word that stands for one where
// it is not known. What leads to one name is told.
var told = map[string]*regexp.Regexp{
	"PROJECT_ID":     regexp.MustCompile(`[^\\]["/]projects/([a-z][a-z0-9-]+)/(?:locations/[a-z0-9-]+/(?:services|functions)|roles|logs)/|"project(?:Id|_id)": "([^"]+)"`),
	"PROJECT_NUMBER": regexp.MustCompile(`"projects/([0-9]+)/|"projectNumber": "([0-9]+)"|-([0-9]{12})\.[a-z0-9-]+\.run\.app`),
	"REGION":         regexp.MustCompile(`[^\\]"projects/[a-z0-9-]+/locations/([a-z0-9-]+)/(?:services|functions)|-[0-9]{12}\.([a-z0-9-]+)\.run\.app|"location": "([^"]+)"|https://([a-z]+-[a-z]+[0-9])-[a-z0-9-]+\.cloudfunctions`),
	"SERVICE":        regexp.MustCompile(`/services/([a-z0-9-]+)"|"service_name": "([^"]+)"|https://([a-z0-9]+)-[a-z0-9]{10}-[a-z]{2}\.a\.run\.app`),
	"FUNCTION":       regexp.MustCompile(`/functions/([A-Za-z0-9_-]+)"|"function_name": "([^"]+)"`),
	"SERVICE_URL":    regexp.MustCompile(`"(https://[a-z0-9.-]+\.run\.app)/?"`),
}

// names are the distinct names that a story tells of a kind.
func names(story []byte, word string) map[string]bool {
	out := map[string]bool{}
	for _, f := range txtar.Parse(story).Files {
		if f.Name == "want" {
			continue
		}
		for _, m := range told[word].FindAllStringSubmatch(string(f.Data), -1) {
			for _, name := range m[1:] {
				if name != "" {
					out[name] = true
				}
			}
		}
	}
	return out
}

// wordsIn are the words of a command that stand for a name.
func wordsIn(line string) []string {
	var out []string
	for word := range told {
		if regexp.MustCompile(`(^|[ =/:'@])` + word + `\b`).MatchString(line) {
			out = append(out, word)
		}
	}
	return out
}

// Every command that is printed parses in a POSIX shell, and has no word in
// place of a name that the documents tell.
func TestPrintedCommands(t *testing.T) {
	var script strings.Builder
	for _, name := range fixtures.Names() {
		if name == "scheduler-starts-a-job" {
			continue // it calls no service
		}
		story, err := fixtures.Read(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, dropped := range append(txtar.Parse(story.Data).Files, txtar.File{}) {
			data, _ := without(story, func(n string) bool { return n == dropped.Name })
			s, err := evidence.LoadArchive(data, name+".txtar")
			if err != nil {
				continue // nothing is left
			}
			for _, cmd := range everyCommand(checks.Judge(s, checks.Options{})) {
				line := report.Shell(cmd)
				script.WriteString(line + "\n")
				for _, word := range wordsIn(line) {
					if list := names(data, word); len(list) == 1 {
						t.Errorf("%s without %q: %s\n\thas %s, and the documents tell %v", name, dropped.Name, line, word, list)
					}
				}
			}
		}
	}
	file := filepath.Join(t.TempDir(), "printed.sh")
	if err := os.WriteFile(file, []byte(script.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("sh", "-n", file).CombinedOutput(); err != nil {
		t.Errorf("sh -n: %v\n%s", err, out)
	}
}
