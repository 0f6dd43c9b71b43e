package credential

import (
	"errors"
	"slices"
)

// keptKey is where a decoded token says what it was like as it was sent.
const keptKey = "asSent"

// verifyNames name the results of a verification in a document.
var verifyNames = [...]string{"unverified", "valid", "invalid", "no such key", "wrong algorithm"}

// AsSent is what a case keeps of a credential beside its header and claims: what
// the credential itself showed, and v, what became of its signature, nil where
// that was not verified. It holds no secret. It is nil for a credential that
// was never seen, as decoded claims.
func (c Credential) AsSent(v *Verification) map[string]any {
	if c.raw == nil && c.Signature == SignatureUnknown && c.Problem == "" && c.Kind != Several {
		return nil
	}
	out := map[string]any{"kind": c.Kind.String(), "signature": c.Signature.String(), "clean": c.Clean}
	if len(c.Repairs) > 0 {
		out["repairs"] = c.Repairs
	}
	if c.Problem != "" {
		out["problem"] = c.Problem
	}
	if v != nil {
		result := map[string]any{"result": verifyNames[v.State]}
		for name, text := range map[string]string{"keyId": v.KeyID, "reason": v.Reason} {
			if text != "" {
				result[name] = text
			}
		}
		out["verification"] = result
	}
	return out
}

var errKept = errors.New(`"` + keptKey + `" is not what capture writes`)

// keep reads what AsSent wrote. It reports whether there is any.
func (c *Credential) keep(m map[string]any) (bool, error) {
	v, ok := m[keptKey]
	if !ok {
		return false, nil
	}
	in, ok := v.(map[string]any)
	if !ok {
		return false, errKept
	}
	kind, signature := slices.Index(kindNames[:], text(in["kind"])), slices.Index(signatureNames[:], text(in["signature"]))
	clean, said := in["clean"].(bool)
	if kind < 0 || signature < 0 || !said {
		return false, errKept
	}
	c.Kind, c.Signature, c.Clean, c.Problem = Kind(kind), Signature(signature), clean, text(in["problem"])
	list, _ := in["repairs"].([]any)
	for _, r := range list {
		c.Repairs = append(c.Repairs, text(r))
	}
	result, ok := in["verification"].(map[string]any)
	if !ok {
		return true, nil
	}
	state := slices.Index(verifyNames[:], text(result["result"]))
	if state < 0 {
		return false, errKept
	}
	c.Verified = &Verification{VerifyState(state), text(result["keyId"]), text(result["reason"])}
	return true, nil
}

func text(v any) string {
	s, _ := v.(string)
	return s
}
