package jwkscache_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"diagnose/internal/jwkscache"
)

func keySet(t *testing.T, kid string) string {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf(`{"keys":[{"kty":"RSA","use":"sig","alg":"RS256","kid":%q,"e":"AQAB","n":%q}]}`, kid, base64.RawURLEncoding.EncodeToString(key.N.Bytes()))
}

func TestKeptAsLongAsAllowed(t *testing.T) {
	doc := keySet(t, "a")
	for _, test := range []struct {
		control, age string
		after        time.Duration
		calls        int32
	}{
		{"public, max-age=3600, must-revalidate", "", 59 * time.Minute, 1},
		{"public, max-age=3600", "", 61 * time.Minute, 2},
		{"public, max-age=3600", "3000", 11 * time.Minute, 2},
		{"max-age=100000000", "", 25 * time.Hour, 2},
		{"no-store, max-age=3600", "", time.Second, 2},
		{"", "", time.Second, 2},
	} {
		var calls atomic.Int32
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			calls.Add(1)
			w.Header().Set("Cache-Control", test.control)
			w.Header().Set("Age", test.age)
			fmt.Fprint(w, doc)
		}))
		now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
		c := jwkscache.Cache{Dir: t.TempDir(), Now: func() time.Time { return now }}
		for range 2 {
			d, err := c.Get(t.Context(), srv.URL)
			if err != nil || string(d.Keys) != doc || d.Stale != nil {
				t.Errorf("%s: %v, stale %v", test.control, err, d.Stale)
			}
			now = now.Add(test.after)
		}
		srv.Close()
		if calls.Load() != test.calls {
			t.Errorf("%q age %q after %s: fetched %d times, want %d", test.control, test.age, test.after, calls.Load(), test.calls)
		}
	}
}

func TestStaleWhereFetchingFails(t *testing.T) {
	doc, fail := keySet(t, "a"), false
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if fail {
			http.Error(w, "down", http.StatusInternalServerError)
			return
		}
		w.Header().Set("Cache-Control", "max-age=60")
		fmt.Fprint(w, doc)
	}))
	defer srv.Close()
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	c := jwkscache.Cache{Dir: t.TempDir(), Now: func() time.Time { return now }}
	if _, err := c.Get(t.Context(), srv.URL); err != nil {
		t.Fatal(err)
	}
	fail, now = true, now.Add(time.Hour)
	d, err := c.Get(t.Context(), srv.URL)
	if err != nil || string(d.Keys) != doc || d.Stale == nil || !strings.Contains(d.Stale.Error(), "500") {
		t.Errorf("%v, stale %v", err, d.Stale)
	}
	if _, err := c.Fetch(t.Context(), srv.URL); err == nil {
		t.Error("Fetch returned the kept set")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Get(ctx, srv.URL); err == nil {
		t.Error("a cancelled context returned the kept set")
	}
}

func TestRefused(t *testing.T) {
	serve := func(body string) string {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, body) }))
		t.Cleanup(srv.Close)
		return srv.URL
	}
	elsewhere := httptest.NewServer(http.RedirectHandler("http://keys.example.com/jwks", http.StatusFound))
	t.Cleanup(elsewhere.Close)
	for address, want := range map[string]string{
		"http://example.com/certs":               "over https only",
		"file:///etc/passwd":                     "over https only",
		serve("<html>captive portal</html>"):     "expected a JSON Web Key Set",
		serve(strings.Repeat(" ", 1<<20) + "{}"): "larger than 1 MB",
		elsewhere.URL:                            "over https only",
	} {
		if _, err := (jwkscache.Cache{Dir: t.TempDir()}).Get(t.Context(), address); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", address, err, want)
		}
	}
}

func TestDamagedFileIsFetchedAgain(t *testing.T) {
	doc := keySet(t, "a")
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		fmt.Fprint(w, doc)
	}))
	defer srv.Close()
	c := jwkscache.Cache{Dir: t.TempDir()}
	if _, err := c.Get(t.Context(), srv.URL); err != nil {
		t.Fatal(err)
	}
	files, _ := filepath.Glob(filepath.Join(c.Dir, "jwks-*.json"))
	if len(files) != 1 {
		t.Fatalf("kept %q", files)
	}
	if err := os.WriteFile(files[0], []byte(`{"URL":`), 0o600); err != nil {
		t.Fatal(err)
	}
	if d, err := c.Get(t.Context(), srv.URL); err != nil || d.Cached {
		t.Errorf("%v, cached %v", err, d.Cached)
	}
}
