package main

import (
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"diagnose/fixtures"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"diagnose": main})
}

// TestScripts runs the command as a user does. Each story of fixtures stands
// ready as $FIXTURES/NAME.txtar.
func TestScripts(t *testing.T) {
	dir := t.TempDir()
	for _, name := range fixtures.Names() {
		story, err := fixtures.Read(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(dir+"/"+name+".txtar", story.Data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireUniqueNames:  true,
		RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("FIXTURES", dir)
			e.Setenv("LC_ALL", "C.UTF-8")
			return nil
		},
	})
}
