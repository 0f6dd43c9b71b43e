// Package jwkscache fetches key sets and keeps them on disk for as long as
// their publisher allows, so that a run of the tool does not ask for them
// again. Google rotates its keys and says how long an answer holds:
// https://developers.google.com/identity/openid-connect/openid-connect#validatinganidtoken.
package jwkscache

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"diagnose/internal/bounded"
	"diagnose/internal/credential"
)

// Google is where Google publishes the keys of its ID tokens.
const Google = "https://www.googleapis.com/oauth2/v3/certs"

// maxSize bounds a key set.
const maxSize = 1 << 20

// longest bounds what a publisher may ask for.
const longest = 24 * time.Hour

// A Cache keeps key sets in a folder. The zero Cache keeps none.
type Cache struct {
	Dir    string       // "": keep nothing
	Client *http.Client // nil: a client with a timeout of ten seconds
	Now    func() time.Time
}

// Default is the cache in the user's cache folder; where there is none, it
// keeps nothing.
func Default() Cache {
	dir, err := os.UserCacheDir()
	if err != nil {
		return Cache{}
	}
	return Cache{Dir: filepath.Join(dir, "diagnose")}
}

// A Document is a key set as it was fetched.
type Document struct {
	URL     string
	Fetched time.Time
	Expires time.Time
	Keys    json.RawMessage
	// Stale is why the kept key set is used although it has expired: fetching
	// it anew failed. It is nil otherwise.
	Stale error `json:"-"`
	// Cached says that the key set was not fetched now.
	Cached bool `json:"-"`
}

// Get returns the key set at a URL, kept or fetched.
func (c Cache) Get(ctx context.Context, address string) (Document, error) {
	kept, ok := c.read(address)
	if ok && c.now().Before(kept.Expires) {
		return kept, nil
	}
	fresh, err := c.Fetch(ctx, address)
	if err != nil && ok && ctx.Err() == nil {
		kept.Stale = err
		return kept, nil
	}
	return fresh, err
}

// Fetch fetches the key set at a URL whatever is kept, as where a token names
// a key that the kept set does not have, and keeps it.
func (c Cache) Fetch(ctx context.Context, address string) (Document, error) {
	if err := checkAddress(address); err != nil {
		return Document{}, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return Document{}, fmt.Errorf("fetching the key set: %w", err)
	}
	resp, err := c.client().Do(req)
	if err != nil {
		return Document{}, fmt.Errorf("fetching the key set: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return Document{}, fmt.Errorf("fetching the key set: %s answered %s", req.URL.Host, resp.Status)
	}
	data, err := bounded.All(resp.Body, "the answer of "+req.URL.Host, maxSize)
	if err != nil {
		return Document{}, fmt.Errorf("fetching the key set: %w", err)
	}
	if _, err := credential.ParseKeySet(data); err != nil {
		return Document{}, fmt.Errorf("fetching the key set: %s: %w", req.URL.Host, err)
	}
	d := Document{URL: address, Fetched: c.now().UTC(), Keys: data}
	d.Expires = d.Fetched.Add(lifetime(resp.Header))
	if d.Expires.After(d.Fetched) {
		c.write(d)
	}
	return d, nil
}

// checkAddress lets keys through that nobody on the way can change.
func checkAddress(address string) error {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" && u.Hostname() != "localhost" && u.Hostname() != "127.0.0.1" {
		return errors.New("a key set is fetched over https only")
	}
	return nil
}

// lifetime reads how long an answer may be kept, by
// https://www.rfc-editor.org/rfc/rfc9111#section-5.2.2.
func lifetime(h http.Header) time.Duration {
	seconds := 0
	for d := range strings.SplitSeq(h.Get("Cache-Control"), ",") {
		name, value, _ := strings.Cut(strings.ToLower(strings.TrimSpace(d)), "=")
		switch name {
		case "no-store", "no-cache":
			return 0
		case "max-age":
			seconds, _ = strconv.Atoi(strings.Trim(value, `"`))
		}
	}
	age, _ := strconv.Atoi(h.Get("Age"))
	return max(0, min(time.Duration(seconds-age)*time.Second, longest))
}

func (c Cache) now() time.Time {
	if c.Now != nil {
		return c.Now()
	}
	return time.Now()
}

func (c Cache) client() *http.Client {
	if c.Client != nil {
		return c.Client
	}
	return &http.Client{Timeout: 10 * time.Second, CheckRedirect: func(r *http.Request, via []*http.Request) error {
		if len(via) > 3 {
			return errors.New("too many redirects")
		}
		return checkAddress(r.URL.String())
	}}
}

func (c Cache) file(address string) string {
	sum := sha256.Sum256([]byte(address))
	return filepath.Join(c.Dir, "jwks-"+hex.EncodeToString(sum[:8])+".json")
}

func (c Cache) read(address string) (Document, bool) {
	if c.Dir == "" {
		return Document{}, false
	}
	data, err := bounded.File(c.file(address), 2*maxSize)
	if err != nil {
		return Document{}, false
	}
	d := Document{Cached: true}
	if json.Unmarshal(data, &d) != nil || d.URL != address || d.Fetched.After(c.now()) || d.Expires.Sub(d.Fetched) > longest {
		return Document{}, false
	}
	if _, err := credential.ParseKeySet(d.Keys); err != nil {
		return Document{}, false
	}
	return d, true
}

// write keeps a document. One that cannot be kept is fetched again next time,
// so that a failure here is none.
func (c Cache) write(d Document) {
	if c.Dir == "" || os.MkdirAll(c.Dir, 0o700) != nil {
		return
	}
	data, err := json.Marshal(d)
	if err != nil {
		return
	}
	tmp, err := os.CreateTemp(c.Dir, ".jwks-*")
	if err != nil {
		return
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(data)
	if cerr := tmp.Close(); err == nil && cerr == nil {
		os.Rename(tmp.Name(), c.file(d.URL))
	}
}
