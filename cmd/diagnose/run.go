package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"diagnose/internal/gcp"
	"diagnose/report"
)

// The exit codes of every command.
const (
	exitAllowed = 0 // allowed, or nothing at or above the threshold
	exitDenied  = 1 // denied, or findings at or above the threshold
	exitUsage   = 2 // bad usage or unreadable input
	exitOpen    = 3 // no answer: undetermined, an API failure, an incomplete scan
)

// A Process is what a command needs of the process that it runs in.
type Process struct {
	Args   []string
	Stdin  io.Reader
	Stdout io.Writer
	Stderr io.Writer
	Getenv func(string) string
}

// An app is one run of the command line.
type app struct {
	Process
	format, output, color string
	quiet, verbose        bool
	code                  int
	mu                    sync.Mutex // guards Stderr while calls run at the same time

	// handed is evidence that stands in place of arguments, nil where those say
	// what to judge.
	handed *handed
}

// Main runs the command line and returns the exit code.
func Main(ctx context.Context, p Process) int {
	a := &app{Process: p}
	err := a.run(ctx)
	switch {
	case err == nil:
		return a.code
	case errors.Is(err, syscall.EPIPE):
		return exitOpen // the reader went away before it had the report
	}
	return a.fail(err)
}

// run runs the command that the arguments name.
func (a *app) run(ctx context.Context) error {
	root := a.root()
	root.SetArgs(a.withCommand(root, a.Args))
	root.SetIn(a.Stdin)
	root.SetOut(a.Stdout)
	root.SetErr(a.Stderr)
	return root.ExecuteContext(ctx)
}

// A hinted error tells what to do next.
type hinted struct {
	error
	hints []string
}

func (h *hinted) Unwrap() error { return h.error }

func hint(err error, hints ...string) error { return &hinted{err, hints} }

// A failure is an error that is not the user's: no answer could be had.
type failure struct{ error }

func (f *failure) Unwrap() error { return f.error }

const longHelp = `diagnose answers for Google Cloud functions and Cloud Run services: would this
invocation succeed or fail, why, and what repairs it?

  gcloud run services describe orders --region=europe-west1 --format=json > service.json
  gcloud run services get-iam-policy orders --region=europe-west1 --format=json > policy.json
  diagnose invoke --service service.json --policy policy.json --token-file token.jwt

Exit codes: 0 allowed or nothing found, 1 denied or findings, 2 bad usage or
unreadable input, 3 no answer.`

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use: "diagnose", Short: "Why an invocation succeeds or fails, and what repairs it", Long: longHelp,
		SilenceUsage: true, SilenceErrors: true, SuggestionsMinimumDistance: 3,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return hint(fmt.Errorf("unknown command %q", args[0]), near(args[0], c.SuggestionsFor(args[0])),
				"diagnose invoke "+args[0]+", if it is the name of a service or function", "diagnose --help lists the commands")
		},
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	f := root.PersistentFlags()
	f.StringVar(&a.format, "format", "table", "`FORMAT` of the report: "+strings.Join(report.Formats, ", ")+"; gate and scan also "+strings.Join(report.FindingFormats[len(report.Formats):], ", "))
	f.StringVarP(&a.output, "output", "o", "", "write the report to this `FILE`")
	f.StringVar(&a.color, "color", "auto", "colour, `WHEN`: auto, always or never")
	f.BoolVarP(&a.quiet, "quiet", "q", false, "no progress, warnings or hints")
	f.BoolVarP(&a.verbose, "verbose", "v", false, "show every check, and on stderr every call of a live target")
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return hint(err, cmp.Or(elsewhere(c, err), nearFlag(c, err)), "see diagnose "+c.Name()+" --help")
	})
	root.SetUsageFunc(usage)
	root.SetHelpCommand(helpCommand())
	root.AddCommand(a.commands()...)
	root.AddCommand(documentsTopic())
	if len(a.Args) > 0 && strings.HasPrefix(a.Args[0], "__") { // a shell asks
		completions(root)
	}
	return root
}

// nearFlag names the flags that a misspelt one resembles, "" where none does.
func nearFlag(c *cobra.Command, err error) string {
	name, ok := strings.CutPrefix(err.Error(), "unknown flag: --")
	if !ok {
		return ""
	}
	var names []string
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			names = append(names, f.Name)
		}
	})
	near := gcp.Nearest(name, names, 3)
	for i := range near {
		near[i] = "--" + near[i]
	}
	if len(near) == 0 {
		return ""
	}
	return "did you mean " + strings.Join(near, ", ") + "?"
}

// elsewhere names the commands that have a flag which this one does not read, ""
// where none has it.
func elsewhere(c *cobra.Command, err error) string {
	name, ok := strings.CutPrefix(err.Error(), "unknown flag: --")
	if !ok {
		return ""
	}
	var have []string
	for _, other := range c.Root().Commands() {
		if f := other.Flags().Lookup(name); f != nil && !f.Hidden && !other.Hidden {
			have = append(have, other.CommandPath())
		}
	}
	if len(have) == 0 {
		return ""
	}
	if call := "diagnose invoke"; slices.Contains(have, call) { // what asks about a whole call
		have = []string{call}
	}
	return fmt.Sprintf("%s does not read --%s: it is a flag of %s", c.CommandPath(), name, strings.Join(have, " and "))
}

// withCommand completes a command line without a command: diagnose FILE... is
// diagnose invoke FILE..., and so is what is piped into diagnose alone. A word
// that looks like a misspelt command is left to be refused.
func (a *app) withCommand(root *cobra.Command, args []string) []string {
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd(args...)
	c, rest, err := root.Find(args)
	switch {
	case err != nil || c != root || len(args) > 0 && strings.HasPrefix(args[0], "__"):
		return args
	case slices.ContainsFunc(args, func(s string) bool { return s == "--help" || s == "-h" }):
		return args
	case len(args) == 0:
		return a.pipedAlone()
	}
	for _, w := range rest {
		_, err := os.Stat(w)
		if strings.HasPrefix(w, "-") || err == nil {
			break
		}
		if len(root.SuggestionsFor(w)) > 0 && !strings.ContainsAny(w, "./:") {
			return args
		}
	}
	return append([]string{"invoke"}, args...)
}

// pipedAlone judges what is piped in where nothing else was said. It returns no
// arguments where there is nothing.
func (a *app) pipedAlone() []string {
	if !a.piped() {
		return nil
	}
	g, err := a.readInput()
	if err != nil || len(bytes.TrimSpace(g.Data)) == 0 {
		return nil
	}
	a.Stdin = bytes.NewReader(g.Data)
	return []string{"invoke", "-"}
}

// commands lists the commands: a new one is a file of its own and a line here.
func (a *app) commands() []*cobra.Command {
	return []*cobra.Command{
		a.invokeCommand(), a.tokenCommand(), a.whoCommand(), a.captureCommand(), a.gateCommand(), a.scanCommand(),
		a.checksCommand(), a.explainCommand(), a.mcpCommand(), a.demoCommand(), a.versionCommand(), a.manCommand(), a.schemaCommand(),
	}
}

// style is how to lay text out on this terminal.
func (a *app) style() (report.Style, error) {
	st := report.Style{Verbose: a.verbose, Command: append([]string{"diagnose"}, a.Args...)}
	file, _ := a.Stdout.(*os.File)
	terminal := file != nil && a.output == "" && term.IsTerminal(int(file.Fd()))
	switch a.color {
	case "always":
		st.Color = true
	case "never":
	case "auto":
		st.Color = terminal && a.Getenv("NO_COLOR") == "" && a.Getenv("TERM") != "dumb"
	default:
		return st, fmt.Errorf("--color must be auto, always or never, not %q", a.color)
	}
	if terminal {
		if w, _, err := term.GetSize(int(file.Fd())); err == nil && w >= 40 {
			st.Width = min(w, 100)
		}
	}
	locale := cmp.Or(a.Getenv("LC_ALL"), a.Getenv("LC_CTYPE"), a.Getenv("LANG"))
	st.ASCII = locale == "C" || locale == "POSIX"
	return st, nil
}

// print writes a report to stdout or, whole or not at all, to the file of -o.
func (a *app) print(render func(io.Writer, report.Style) error) error {
	return a.printAs(report.Formats, render)
}

// printAs is print for a report that has other formats.
func (a *app) printAs(formats []string, render func(io.Writer, report.Style) error) error {
	if err := report.CheckFormat(a.format, formats); err != nil {
		return err
	}
	st, err := a.style()
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := render(&b, st); err != nil {
		return err
	}
	return a.deliver(b.Bytes())
}

// deliver writes a report, whole or not at all, to stdout or to the file of
// -o. A report that does not arrive is an error: the exit code of its verdict
// would stand for what nobody can read.
func (a *app) deliver(report []byte) error {
	var err error
	if a.output == "" || a.output == "-" {
		err = writeWhole(a.Stdout, report)
	} else {
		err = writeFile(a.output, report)
	}
	if err != nil {
		return fmt.Errorf("the report was not written: %w", err)
	}
	return nil
}

// writeFile replaces a file in one step, so that it is never half-written.
func writeFile(name string, data []byte) error {
	mode := os.FileMode(0o644)
	if real, err := filepath.EvalSymlinks(name); err == nil {
		name = real
	}
	if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() {
		return os.WriteFile(name, data, mode) // a device or pipe cannot be replaced
	} else if err == nil {
		mode = info.Mode().Perm()
	}
	tmp, _, err := begin(func() (*os.File, string, error) {
		f, err := os.CreateTemp(filepath.Dir(name), ".diagnose-*")
		if err != nil {
			return nil, "", err
		}
		return f, f.Name(), nil
	})
	if err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(data)
	if err == nil {
		err = tmp.Chmod(mode)
	}
	if cerr := tmp.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = replace(tmp.Name(), name)
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	return nil
}
