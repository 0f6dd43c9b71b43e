package caller

import (
	"encoding/json"
	"errors"
	"fmt"
	"sort"
	"strings"

	"diagnose/internal/gcp"
	"diagnose/internal/yamldoc"
)

// workflow reads a Workflows resource, or the source of one.
func workflow(m map[string]json.RawMessage) ([]Caller, error) {
	base := Caller{Kind: "workflows"}
	var root any
	if raw, ok := m["sourceContents"]; ok {
		var source string
		if json.Unmarshal(raw, &source) != nil {
			return nil, errors.New("has sourceContents that are no workflow")
		}
		steps, err := yamldoc.JSON([]byte(source))
		if err != nil || json.Unmarshal(steps, &root) != nil {
			return nil, errors.New("has sourceContents that are no workflow")
		}
		json.Unmarshal(m["name"], &base.Name)
		var account string
		json.Unmarshal(m["serviceAccount"], &account)
		base.ServiceAccount = gcp.Last(account)
		base.Project = gcp.Part(base.Name, "projects")
	} else {
		b, err := json.Marshal(m)
		if err != nil || json.Unmarshal(b, &root) != nil {
			return nil, ErrUnrecognized
		}
	}
	if base.ServiceAccount == "" {
		base.Note = "the workflow's own service account calls, by default the compute one"
	}
	var out []Caller
	httpCalls(root, "", base, &out)
	if len(out) == 0 {
		return nil, errors.New("is a workflow without http call")
	}
	return out, nil
}

// httpCalls walks a workflow for steps that call http.*.
func httpCalls(v any, at string, base Caller, out *[]Caller) {
	switch v := v.(type) {
	case map[string]any:
		if call, _ := v["call"].(string); strings.HasPrefix(call, "http.") {
			if args, ok := v["args"].(map[string]any); ok {
				*out = append(*out, base.httpStep(call, args, at+"/args"))
			}
		}
		keys := make([]string, 0, len(v))
		for k := range v {
			keys = append(keys, k)
		}
		sort.Strings(keys)
		for _, k := range keys {
			httpCalls(v[k], at+"/"+k, base, out)
		}
	case []any:
		for i, x := range v {
			httpCalls(x, fmt.Sprintf("%s/%d", at, i), base, out)
		}
	}
}

// httpStep reads one step. An expression ${…} is a value not known.
func (c Caller) httpStep(call string, args map[string]any, at string) Caller {
	known := func(v any) string {
		s, _ := v.(string)
		if strings.Contains(s, "${") {
			return ""
		}
		return s
	}
	c.URL, c.Method, c.Token, c.Pointer = known(args["url"]), strings.ToUpper(strings.TrimPrefix(call, "http.")), NoToken, at
	if c.Method == "REQUEST" {
		c.Method = strings.ToUpper(known(args["method"]))
	}
	auth, _ := args["auth"].(map[string]any)
	switch strings.ToUpper(known(auth["type"])) {
	case "OIDC":
		// https://docs.cloud.google.com/workflows/docs/authenticate-from-workflow
		c.oidc(c.ServiceAccount, known(auth["audience"]), c.URL, at+"/auth")
		if s, ok := auth["audience"].(string); ok && strings.Contains(s, "${") {
			c.Audience, c.Note = "", strings.TrimPrefix(c.Note+"; the audience is an expression", "; ")
		}
	case "OAUTH2":
		c.Token, c.Pointer = AccessToken, at+"/auth"
	}
	return c
}
