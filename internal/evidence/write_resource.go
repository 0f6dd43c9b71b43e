package evidence

import (
	"encoding/json"
	"strings"
	"time"

	"cloud.google.com/go/functions/apiv2/functionspb"
	"cloud.google.com/go/run/apiv2/runpb"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"diagnose/internal/credential"
)

// writeFunction keeps of a function what speaks of invocation.
func writeFunction(s Snapshot) ([]byte, error) {
	f, ok := s.Function.Get()
	if !ok {
		return nil, nil
	}
	in, sc := f.Function, f.GetServiceConfig()
	out := &functionspb.Function{Name: in.GetName(), Environment: in.GetEnvironment(), Url: in.GetUrl(),
		State: in.GetState(), EventTrigger: in.GetEventTrigger()}
	if sc != nil {
		out.ServiceConfig = &functionspb.ServiceConfig{
			Service: sc.GetService(), Uri: sc.GetUri(), IngressSettings: sc.GetIngressSettings(),
			ServiceAccountEmail: sc.GetServiceAccountEmail(), SecurityLevel: sc.GetSecurityLevel(),
			AllTrafficOnLatestRevision: sc.GetAllTrafficOnLatestRevision(),
			MaxInstanceCount:           sc.GetMaxInstanceCount(), TimeoutSeconds: sc.GetTimeoutSeconds(),
		}
	}
	for _, m := range in.GetStateMessages() {
		out.StateMessages = append(out.StateMessages, &functionspb.StateMessage{
			Severity: m.GetSeverity(), Type: m.GetType(), Message: credential.Words(m.GetMessage())})
	}
	raw, err := protojson.Marshal(out)
	if err != nil {
		return nil, err
	}
	doc := map[string]any{}
	if err := json.Unmarshal(raw, &doc); err != nil {
		return nil, err
	}
	if f.UpgradeState != "" {
		doc["upgradeInfo"] = map[string]string{"upgradeState": f.UpgradeState}
	}
	return writeJSON(doc)
}

// writeService keeps of a service what speaks of invocation: of its template
// and annotations the identity it calls others with, and of its build nothing.
func writeService(s Snapshot) ([]byte, error) {
	in, ok := s.Service.Get()
	if !ok {
		return nil, nil
	}
	out := proto.Clone(in).(*runpb.Service)
	out.Annotations = identityNotes(in.GetAnnotations())
	out.Template, out.BuildConfig, out.BinaryAuthorization = nil, nil, nil
	if t := in.GetTemplate(); t.GetServiceAccount() != "" || AgentIdentity(in) {
		out.Template = &runpb.RevisionTemplate{ServiceAccount: t.GetServiceAccount(), Annotations: identityNotes(t.GetAnnotations())}
	}
	out.Creator, out.LastModifier, out.Client, out.ClientVersion, out.Description, out.Etag = "", "", "", "", "", ""
	for k := range out.Labels {
		if !strings.HasPrefix(k, "goog-") {
			delete(out.Labels, k)
		}
	}
	for _, c := range append(out.Conditions, out.TerminalCondition) {
		if c != nil {
			c.Message = credential.Words(c.Message)
		}
	}
	return writeMessage(out)
}

func writeLogs(s Snapshot) ([]byte, error) {
	list, ok := s.Logs.Get()
	if !ok {
		return nil, nil
	}
	out := make([]any, len(list))
	for i, e := range list {
		out[i] = writtenEntry(e)
	}
	return writeJSON(out)
}

func writtenEntry(e LogEntry) map[string]any {
	out := map[string]any{"logName": e.LogName, "severity": e.Severity,
		"resource": map[string]any{"type": e.ResourceType, "labels": e.Labels}}
	if !e.Timestamp.IsZero() {
		out["timestamp"] = e.Timestamp.UTC().Format(time.RFC3339Nano)
	}
	request := map[string]any{}
	for key, v := range map[string]string{"requestMethod": e.Method, "requestUrl": credential.Scrub(e.URL),
		"userAgent": credential.Scrub(e.UserAgent)} {
		if v != "" {
			request[key] = v
		}
	}
	if e.Status != 0 {
		request["status"] = e.Status
	}
	if len(request) > 0 {
		out["httpRequest"] = request
	}
	for key, v := range map[string]string{"insertId": e.InsertID, "trace": e.Trace} {
		if v != "" {
			out[key] = v
		}
	}
	switch {
	case e.JSON != nil:
		out["jsonPayload"] = scrubAll(e.JSON)
	case e.Audit != nil:
		out["protoPayload"] = scrubAll(e.Audit)
	case e.Text != "":
		out["textPayload"] = credential.Scrub(e.Text)
	}
	return out
}

func scrubAll(v any) any {
	switch v := v.(type) {
	case string:
		return credential.Scrub(v)
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			out[i] = scrubAll(x)
		}
		return out
	case map[string]any:
		out := map[string]any{}
		for k, x := range v {
			out[k] = scrubAll(x)
		}
		return out
	}
	return v
}
