package evidence

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"diagnose/internal/caller"
	"diagnose/internal/credential"
)

// maxWords bounds the words of a header's value: a damaged one may hold
// several tokens with words before them, and a text has more.
const maxWords = 12

func readToken(s *Snapshot, src Source, data []byte) error {
	c := credential.Decode(string(data))
	if c.Kind == credential.None {
		return fmt.Errorf("is empty; expected a JWT or another credential")
	}
	if serviceAccountKey(data) {
		return errAccountKey
	}
	if !c.JWT() && len(strings.Fields(string(data))) > maxWords {
		if name, flag := Kind(data); flag != "" {
			return fmt.Errorf("is %s, not a credential: pass it with --%s", name, flag)
		}
		return fmt.Errorf("is not a credential; expected a JWT or another credential exactly as sent")
	}
	s.Token = Known(c, src)
	return nil
}

var errAccountKey = errors.New("is the key of a service account, not a token: a token is minted with it, " +
	"or by impersonating the account")

// serviceAccountKey reports whether a document is a credentials file, which
// no request carries.
// https://docs.cloud.google.com/iam/docs/keys-create-delete
func serviceAccountKey(data []byte) bool {
	var key struct {
		Type       string `json:"type"`
		PrivateKey string `json:"private_key"`
	}
	return json.Unmarshal(data, &key) == nil && key.Type == "service_account" && key.PrivateKey != ""
}

func readClaims(s *Snapshot, src Source, data []byte) error {
	if c := credential.Decode(string(data)); c.JWT() {
		return fmt.Errorf("is an encoded token; pass it with --token-file (token.jwt)")
	}
	doc, err := toJSON(data)
	if err != nil {
		return err
	}
	c, err := credential.FromClaims(doc)
	if err != nil {
		return err
	}
	s.Token = Known(c, src)
	return nil
}

func readKeys(s *Snapshot, src Source, data []byte) error {
	keys, err := credential.ParseKeySet(data)
	if err != nil {
		return err
	}
	s.Keys = Known(keys, src)
	return nil
}

func readCaller(s *Snapshot, src Source, data []byte) error {
	doc, err := toJSON(data)
	if err != nil {
		return err
	}
	callers, err := caller.Parse(doc)
	if err != nil {
		return wrongKind(doc, err, "caller")
	}
	c := callers[0]
	for _, other := range callers[1:] {
		if other.URL != c.URL || other.Audience != c.Audience || other.Token != c.Token {
			c.Note = strings.TrimPrefix(fmt.Sprintf("%s; the first of %d calls in the document is judged", c.Note, len(callers)), "; ")
			break
		}
	}
	s.Caller = Known(c, src)
	return nil
}
