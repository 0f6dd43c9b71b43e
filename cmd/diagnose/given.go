package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/tools/txtar"

	"diagnose/internal/bounded"
	"diagnose/internal/evidence"
)

// standardInput names what is piped, in reports and errors.
const standardInput = "standard input"

// Arguments are what stands on the command line without a flag.
type arguments struct {
	cases  []string // folders, archives, and embedded cases
	target string   // a live one, "" where none is named
	files  []evidence.Given
}

// A handed question is what is to be judged where it does not stand on a command line:
// documents that were read, and a live target, "" where there is none.
type handed struct {
	evidence evidence.Snapshot
	target   string
}

// sortArguments tells cases, live targets and documents apart. A name that is
// there is a file.
func (in *input) sortArguments(args []string) (arguments, error) {
	var out arguments
	for _, a := range args {
		info, err := os.Stat(a)
		switch {
		case a == "-":
			g, err := in.app.readInput()
			if err != nil {
				return out, err
			}
			out.files = append(out.files, g)
		case strings.HasPrefix(a, demoPrefix), err == nil && info.IsDir():
			out.cases = append(out.cases, a)
		case err == nil:
			if err := out.file(a); err != nil {
				return out, err
			}
		case givenSecret(a):
			return out, errSecretArgument
		case in.live == nil || looksLikePath(a) || looksLikeFile(a):
			return out, hint(fmt.Errorf("%s: no such file or folder", a), near(a, filesBeside(a)),
				"diagnose demo --list names the embedded cases, for "+demoPrefix+"NAME")
		case out.target != "":
			return out, fmt.Errorf("%q and %q are both a live target: give one of them", out.target, a)
		default:
			out.target = a
		}
	}
	if len(out.cases) > 1 {
		return out, fmt.Errorf("%s and %s are both a case: give one of them", out.cases[0], out.cases[1])
	}
	if len(out.cases) > 0 && out.target != "" {
		return out, fmt.Errorf("%s is a case and %q a live target: give one of them", out.cases[0], out.target)
	}
	return out, nil
}

// file adds a file: an archive of documents, or one document.
func (out *arguments) file(name string) error {
	if strings.HasSuffix(name, ".txtar") {
		out.cases = append(out.cases, name)
		return nil
	}
	data, err := bounded.File(name, evidence.MaxDocument)
	if err != nil {
		return err
	}
	if a := txtar.Parse(data); len(a.Files) > 0 && evidence.IsMember(a.Files[0].Name) {
		out.cases = append(out.cases, name)
		return nil
	}
	out.files = append(out.files, evidence.Given{Name: name, Data: data})
	return nil
}

// readInput reads a document from standard input.
func (a *app) readInput() (evidence.Given, error) {
	data, err := bounded.All(a.Stdin, standardInput, evidence.MaxDocument)
	if err != nil {
		return evidence.Given{}, err
	}
	return evidence.Given{Name: standardInput, Data: data}, nil
}

// piped reports whether something is piped in: standard input is neither a
// terminal nor a device.
func (a *app) piped() bool {
	f, ok := a.Stdin.(*os.File)
	if !ok {
		return a.Stdin != nil
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice == 0
}

// looksLikeFile reports whether a name that leads to no file was meant as one:
// it ends as documents do.
func looksLikeFile(name string) bool {
	if strings.Contains(name, "://") {
		return false
	}
	endings := []string{".yml", ".jwt", ".http", ".har", ".txt", ".html", ".ndjson", ".log", ".curl"}
	return slices.ContainsFunc(endings, func(e string) bool { return strings.HasSuffix(name, e) })
}

// filesBeside lists the names in the folder of a name, for a suggestion.
func filesBeside(name string) []string {
	prefix := name[:strings.LastIndexAny(name, `/\`)+1]
	entries, _ := os.ReadDir("./" + prefix)
	if strings.HasPrefix(prefix, "/") {
		entries, _ = os.ReadDir(prefix)
	}
	var out []string
	for _, e := range entries {
		out = append(out, prefix+e.Name())
	}
	return out
}

// gatherGiven reads what stands on the command line: a case or a live target,
// and over it the documents that were given by flag and by name.
func (in *input) gatherGiven(ctx context.Context, args []string) (evidence.Snapshot, error) {
	var s, over evidence.Snapshot
	given, err := in.sortArguments(args)
	if err != nil {
		return s, err
	}
	if err := in.readDocuments(ctx, &over); err != nil {
		return s, err
	}
	if err := over.Add(given.files); err != nil {
		return s, hintOf(err)
	}
	in.sayUnread(given.files)
	if g := in.app.handed; g != nil {
		given.target = g.target
		over.Replace(g.evidence)
	}
	if strings.Contains(given.target, "://") && (over.Service.Known() || over.Function.Known()) && in.url == "" {
		in.url, given.target = given.target, "" // the documents of the target are there
	}
	switch {
	case len(given.cases) > 0:
		s, err = in.load(given.cases[0])
	case given.target != "":
		in.gathered = true
		s, err = in.gather(ctx, given.target)
	}
	if err != nil {
		return s, err
	}
	s.Replace(over)
	return s, nil
}

// sayUnread names the documents that the command does not read.
func (in *input) sayUnread(files []evidence.Given) {
	for _, g := range files {
		flag, err := evidence.Recognize(g.Data)
		i := slices.IndexFunc(evidence.Documents, func(d evidence.Document) bool { return d.Flag == flag })
		if err == nil && i >= 0 && flag != "request" && !in.read(flag) {
			in.app.say("note: %s is not used: this command does not read %s", g.Name, evidence.Documents[i].What)
		}
	}
}

// hintOf adds what to do about a document that is not known.
func hintOf(err error) error {
	if errors.Is(err, evidence.ErrUnrecognized) {
		return hint(err, "a credential of another form is given with --token-file")
	}
	return err
}
