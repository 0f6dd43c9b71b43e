package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/spf13/cobra"

	"diagnose/report"
)

// An agentServer answers the questions of the command line for a coding agent.
// It reads files below the allowed folders alone, writes none, and calls no
// network unless live is set.
type agentServer struct {
	getenv func(string) string
	roots  []string // of --root; empty: those that the client names
	live   bool
	kept   answers
}

func (a *app) mcpCommand() *cobra.Command {
	s := &agentServer{getenv: a.Getenv}
	c := &cobra.Command{
		Use:   "mcp",
		Short: "The same questions for a coding agent, over the Model Context Protocol",
		Long: `Serve the Model Context Protocol on standard input and output, until the client
closes it. An agent can then ask why an invocation is refused, who can invoke a
service and what a change does, and gets short answers as JSON.

Files are read below the folders of --root, or below those that the client
names as its roots, and nowhere else. Nothing is written. Google's APIs are
called only with --live.`,
		Example: `  gemini mcp add diagnose diagnose mcp --root .
  claude mcp add diagnose -- diagnose mcp --root .`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			t := &mcp.IOTransport{Reader: io.NopCloser(a.Stdin), Writer: unclosed{a.Stdout}}
			if err := s.server().Run(c.Context(), t); err != nil && c.Context().Err() == nil && !errors.Is(err, io.EOF) {
				return &failure{err}
			}
			return nil
		},
	}
	c.Flags().StringArrayVar(&s.roots, "root", nil, "a `FOLDER` below which files may be read; may be given again (default: the roots that the client names)")
	c.Flags().BoolVar(&s.live, "live", false, "also judge live targets, read from Google's APIs with your credentials")
	return c
}

// unclosed leaves standard output open.
type unclosed struct{ io.Writer }

func (unclosed) Close() error { return nil }

// instructions tell an agent when to use which tool.
const instructions = `diagnose answers for Google Cloud Run services and Cloud Functions: would this invocation succeed, why not, and what
repairs it. Given a 401, 403 or 404, call judge_invocation with everything at hand: the curl command, the answer, the
token, the log entry, what gcloud describes. It judges what it gets and names the commands that read what is missing;
run them and call it again with their output added. "proven" means that nothing unread could change the decision. Tokens
are never repeated in an answer.`

func (s *agentServer) server() *mcp.Server {
	server := mcp.NewServer(&mcp.Implementation{Name: "diagnose", Title: "diagnose", Version: release()},
		&mcp.ServerOptions{Instructions: instructions, Capabilities: &mcp.ServerCapabilities{}})
	s.addTools(server)
	s.addResources(server)
	s.addPrompts(server)
	return server
}

// ask runs a command of the command line and returns its report and exit code.
// An error says what to do next.
func (s *agentServer) ask(ctx context.Context, h *handed, stdin io.Reader, args ...string) ([]byte, int, error) {
	var out, said bytes.Buffer
	a := &app{handed: h, Process: Process{Args: args, Stdin: stdin, Stdout: &out, Stderr: &said, Getenv: s.getenv}}
	if err := a.run(ctx); err != nil {
		return nil, 0, teach(err)
	}
	return out.Bytes(), a.code, nil
}

// teach puts an error and its hints into one text without secrets.
func teach(err error) error {
	if errors.Is(err, errAskRoots) {
		return err
	}
	text := err.Error()
	var h *hinted
	if errors.As(err, &h) {
		for _, hint := range h.hints {
			if hint != "" {
				text += "\nhint: " + hint
			}
		}
	}
	return errors.New(report.Clean(text))
}

// answers are the last reports, whole, for an agent that asks for the rest of
// one. The zero value is ready.
type answers struct {
	mu   sync.Mutex
	n    int
	kept map[string][]byte
}

// keptAnswers bounds how many reports are kept.
const keptAnswers = 64

// answerScheme starts the URI of a report that is kept.
const answerScheme = "diagnose://answer/"

// keep keeps a report and returns its URI.
func (k *answers) keep(report []byte) string {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.kept == nil {
		k.kept = map[string][]byte{}
	}
	k.n++
	uri := fmt.Sprintf("%s%d", answerScheme, k.n)
	k.kept[uri] = report
	delete(k.kept, fmt.Sprintf("%s%d", answerScheme, k.n-keptAnswers))
	return uri
}

func (k *answers) get(uri string) ([]byte, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	b, ok := k.kept[uri]
	return b, ok
}

// addResources offers what explains an answer: the checks, the rules, each
// explanation, and reports as a whole.
func (s *agentServer) addResources(server *mcp.Server) {
	read := func(mime string, get func(context.Context, string) ([]byte, error)) mcp.ResourceHandler {
		return func(ctx context.Context, r *mcp.ReadResourceRequest) (*mcp.ReadResourceResult, error) {
			text, err := get(ctx, r.Params.URI)
			if err != nil {
				return nil, err
			}
			return &mcp.ReadResourceResult{Contents: []*mcp.ResourceContents{{URI: r.Params.URI, MIMEType: mime, Text: string(text)}}}, nil
		}
	}
	server.AddResource(&mcp.Resource{URI: "diagnose://checks", Name: "checks", MIMEType: "text/markdown",
		Title: "Every check of an invocation and every rule of a change, with its question"},
		read("text/markdown", func(ctx context.Context, _ string) ([]byte, error) {
			text, _, err := s.ask(ctx, nil, nil, "checks", "--format=markdown")
			return text, err
		}))
	server.AddResourceTemplate(&mcp.ResourceTemplate{URITemplate: explainScheme + "{id}", Name: "explanation", MIMEType: "text/markdown",
		Title: "What a check or rule means, and the source of it"},
		read("text/markdown", func(ctx context.Context, uri string) ([]byte, error) {
			text, _, err := s.ask(ctx, nil, nil, "explain", "--format=markdown", "--", strings.TrimPrefix(uri, explainScheme))
			if err != nil {
				return nil, mcp.ResourceNotFoundError(uri)
			}
			return text, nil
		}))
	server.AddResourceTemplate(&mcp.ResourceTemplate{URITemplate: answerScheme + "{n}", Name: "answer", MIMEType: "application/json",
		Title: "The whole report behind a short answer"},
		read("application/json", func(_ context.Context, uri string) ([]byte, error) {
			b, ok := s.kept.get(uri)
			if !ok {
				return nil, mcp.ResourceNotFoundError(uri)
			}
			return b, nil
		}))
}

const explainScheme = "diagnose://explain/"

// addPrompts offers the question that people have.
func (s *agentServer) addPrompts(server *mcp.Server) {
	server.AddPrompt(&mcp.Prompt{
		Name: "why_refused", Title: "Why is this refused?",
		Description: "Find out why a call of a Cloud Run service or Cloud Function is refused, and repair it",
		Arguments:   []*mcp.PromptArgument{{Name: "evidence", Description: "what you have: a curl command, a status, an error, a log line, names", Required: true}},
	}, func(_ context.Context, r *mcp.GetPromptRequest) (*mcp.GetPromptResult, error) {
		text := "A call of a Google Cloud Run service or Cloud Function is refused. This is what I have:\n\n" + r.Params.Arguments["evidence"] +
			"\n\nCall judge_invocation with it, each part as a document. Where the answer is undetermined or rests on an assumption, run " +
			"the commands under notChecked that only read, and call it again with their output added. Then tell me the cause in one " +
			"sentence and the repair. Do not run a command that changes something before I agree."
		return &mcp.GetPromptResult{Messages: []*mcp.PromptMessage{{Role: "user", Content: &mcp.TextContent{Text: text}}}}, nil
	})
}
