package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"diagnose/internal/evidence"
	"diagnose/internal/gather"
)

// addTools offers the questions. None changes anything.
func (s *agentServer) addTools(server *mcp.Server) {
	addTool(s, server, "judge_invocation", "Would this invocation succeed?",
		"Would a call of a Cloud Run service or Cloud Function succeed or fail, why, and what repairs it? Give every document at hand: "+
			"a curl command, the answer (curl -i or -v, HAR, an exception line), the token, log entries, the JSON or YAML that gcloud prints of "+
			"the service, function, policies. Each is known by its content. notChecked names the commands that read what is missing.", s.judge)
	addTool(s, server, "who_can_invoke", "Who can invoke this service?",
		"Who can invoke a Cloud Run service or Cloud Function, through which binding on which resource? Needs the service and its policy; "+
			"policies above it, deny policies and groups make the answer complete.", s.who)
	addTool(s, server, "judge_change", "Does this change open or break a service?",
		"Would a planned change open a service to the world or cut off a caller? Takes a Terraform plan (terraform show "+
			"-json), or a Cloud Run service, function or IAM policy in YAML or JSON.", s.change)
	addTool(s, server, "explain", "What does this check, rule or status mean?",
		"Explain a check or rule by its ID, an HTTP status or a log text: what it means, why it happens, the fix, and the source of the rule.", s.explain)
	addTool(s, server, "decode_token", "What is this token?",
		"What is this credential, whose, for which audience, until when, and would Cloud Run accept it? The token is not repeated in the answer.", s.token)
}

// addTool offers one question, which only reads.
func addTool[In, Out any](s *agentServer, server *mcp.Server, name, title, description string, answer func(context.Context, reading, In) (Out, error)) {
	open := s.live
	tool := &mcp.Tool{Name: name, Title: title, Description: description,
		Annotations: &mcp.ToolAnnotations{ReadOnlyHint: true, IdempotentHint: true, OpenWorldHint: &open}}
	mcp.AddTool(server, tool, func(ctx context.Context, r *mcp.CallToolRequest, in In) (*mcp.CallToolResult, Out, error) {
		out, err := answer(ctx, s.reading(r), in)
		if errors.Is(err, errAskRoots) {
			//lint:ignore SA1019 clients that name roots are served as long as there are any
			return &mcp.CallToolResult{InputRequests: mcp.InputRequestMap{rootsRequest: &mcp.ListRootsParams{}}}, out, nil
		}
		return nil, out, err
	})
}

// An aboutInvocation is what the tools about one service take.
type aboutInvocation struct {
	Paths     []string          `json:"paths,omitempty" jsonschema:"files with documents, or one folder of them, below an allowed folder"`
	Documents map[string]string `json:"documents,omitempty" jsonschema:"documents by file name, such as curl.txt, answer.http, log.json, service.yaml, policy.json, token.jwt"`
	Target    string            `json:"target,omitempty" jsonschema:"a live service or function: its URL or name. Only where the server was started with --live"`
	Project   string            `json:"project,omitempty" jsonschema:"the project of a live target"`
	Region    string            `json:"region,omitempty" jsonschema:"the region of a live target"`
}

// hand reads what a question is about.
func (s *agentServer) hand(files reading, in aboutInvocation) (*handed, []string, error) {
	if len(in.Paths)+len(in.Documents) == 0 && in.Target == "" {
		return nil, nil, errors.New(`nothing to judge was given. Give documents, as {"documents": {"curl.txt": "curl https://…", "answer.http": "HTTP/2 403 …"}}, or paths`)
	}
	args := []string{"--format=json", "--offline"}
	if in.Target != "" {
		if !s.live {
			return nil, nil, errors.New("live targets are off: the user must start the server with diagnose mcp --live. Give documents instead, " +
				"as gcloud run services describe NAME --region=REGION --format=json prints them")
		}
		if _, err := gather.ParseTarget(in.Target); err != nil {
			return nil, nil, fmt.Errorf("target: %w", err)
		}
		args = args[:1]
		args = flags(args, "project", in.Project, "region", in.Region)
	}
	e, err := files.evidence(in.Paths, in.Documents)
	if err != nil {
		return nil, nil, teach(err)
	}
	return &handed{e, in.Target}, args, nil
}

// flags adds the flags that have a value. Each is one word, so that no value
// is taken for another flag.
func flags(args []string, pairs ...string) []string {
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			args = append(args, "--"+pairs[i]+"="+pairs[i+1])
		}
	}
	return args
}

type judgeIn struct {
	aboutInvocation
	URL       string `json:"url,omitempty" jsonschema:"the URL called"`
	Method    string `json:"method,omitempty" jsonschema:"the method of the request"`
	Source    string `json:"source,omitempty" jsonschema:"where the request comes from: internet, vpc, load-balancer, internal-load-balancer, google-service or perimeter"`
	Principal string `json:"principal,omitempty" jsonschema:"a member, as serviceAccount:a@p.iam.gserviceaccount.com, assuming that it sends a correct token"`
	Client    string `json:"client,omitempty" jsonschema:"what made the request, as gcloud, cloud-scheduler or browser"`
	At        string `json:"at,omitempty" jsonschema:"the moment to judge at, RFC 3339"`
	Strict    bool   `json:"strict,omitempty" jsonschema:"accept no assumption: answer undetermined instead"`
}

func (s *agentServer) judge(ctx context.Context, files reading, in judgeIn) (judgeOut, error) {
	asked := in.aboutInvocation
	if in.URL+in.Principal != "" && len(asked.Paths)+len(asked.Documents) == 0 && asked.Target == "" {
		asked.Documents = map[string]string{"request.json": "{}"}
	}
	h, args, err := s.hand(files, asked)
	if err != nil {
		return judgeOut{}, err
	}
	args = flags(args, "url", in.URL, "method", in.Method, "source", in.Source, "principal", in.Principal, "client", in.Client, "at", in.At)
	if in.Strict {
		args = append(args, "--strict")
	}
	report, _, err := s.ask(ctx, h, nil, append([]string{"invoke"}, args...)...)
	if err != nil {
		return judgeOut{}, err
	}
	return shortVerdict(report, s.kept.keep(report))
}

func (s *agentServer) who(ctx context.Context, files reading, in aboutInvocation) (whoOut, error) {
	h, args, err := s.hand(files, in)
	if err != nil {
		return whoOut{}, err
	}
	report, _, err := s.ask(ctx, h, nil, append([]string{"who"}, args...)...)
	if err != nil {
		return whoOut{}, err
	}
	return shortHolders(report, s.kept.keep(report))
}

type changeIn struct {
	Path     string `json:"path,omitempty" jsonschema:"a plan in JSON or another document, below an allowed folder"`
	Document string `json:"document,omitempty" jsonschema:"the text of one document, where it is in no file"`
	Target   string `json:"target,omitempty" jsonschema:"the resource that a policy alone is for: a service, function, project, folder or organization"`
}

func (s *agentServer) change(ctx context.Context, files reading, in changeIn) (changeOut, error) {
	data := []byte(in.Document)
	switch {
	case in.Path == "" && in.Document == "":
		return changeOut{}, errors.New("give path or document: terraform show -json plan.bin prints a plan")
	case in.Path != "" && in.Document != "":
		return changeOut{}, errors.New("give path or document, not both")
	case in.Path != "":
		var err error
		if data, err = files.file(in.Path, maxChange); err != nil {
			return changeOut{}, teach(err)
		}
	}
	args := flags([]string{"gate", "--format=json"}, "target", in.Target)
	report, code, err := s.ask(ctx, nil, bytes.NewReader(data), append(args, "--", "-")...)
	if err != nil {
		return changeOut{}, err
	}
	return shortFindings(report, code, s.kept.keep(report))
}

// maxChange bounds the size of a plan, in bytes.
const maxChange = 256 << 20

type explainIn struct {
	Topic string `json:"topic" jsonschema:"the ID of a check or rule, as token-audience, a status, as 401, or the text of a log entry"`
}

type explainOut struct {
	Text string `json:"text" jsonschema:"Markdown"`
}

func (s *agentServer) explain(ctx context.Context, _ reading, in explainIn) (explainOut, error) {
	text, _, err := s.ask(ctx, nil, nil, "explain", "--format=markdown", "--", in.Topic)
	return explainOut{string(text)}, err
}

type tokenIn struct {
	Token    string `json:"token,omitempty" jsonschema:"the credential, or a text that has it"`
	Path     string `json:"path,omitempty" jsonschema:"a file with it, below an allowed folder"`
	Audience string `json:"audience,omitempty" jsonschema:"the URL or custom audience that the token must be for"`
}

func (s *agentServer) token(ctx context.Context, files reading, in tokenIn) (tokenOut, error) {
	data := []byte(in.Token)
	if in.Path != "" {
		var err error
		if data, err = files.file(in.Path, evidence.MaxDocument); err != nil {
			return tokenOut{}, teach(err)
		}
	}
	if strings.TrimSpace(string(data)) == "" {
		return tokenOut{}, errors.New("give token or path")
	}
	args := flags([]string{"token", "--format=json", "--offline"}, "audience", in.Audience)
	report, _, err := s.ask(ctx, nil, bytes.NewReader(data), append(args, "-")...)
	if err != nil {
		return tokenOut{}, err
	}
	var out tokenOut
	return out, json.Unmarshal(report, &out)
}
