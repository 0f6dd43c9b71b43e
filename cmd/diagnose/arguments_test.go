package main

import (
	"strings"
	"testing"
)

// TestSecretArguments gives secrets where names belong: no error repeats them.
func TestSecretArguments(t *testing.T) {
	for _, secret := range []string{
		"S3CR3Topaquex9Zq", "S3CR3TOPAQUE9", "0123456789abcdef0123456789abcdef",
		`{"private_key": "S3CR3Tkey"}`, `"private_key_id": "S3CR3Tkey"`, "-----BEGIN PRIVATE KEY-----\nS3CR3Tpem+/=\n-----END PRIVATE KEY-----",
		"MIIEvS3CR3TQIBADANBgkqhkiG9w0BAQEFAASC/KcwggSj+AgEAAoIBAQC7=",
	} {
		for _, args := range [][]string{
			{"invoke", secret}, {secret}, {"token", secret}, {"who", secret}, {"gate", secret}, {"scan", "--export", secret}, {"explain", secret},
			{"invoke", "--token-env", secret}, {"invoke", "--token-file", secret}, {"invoke", "--token-file=" + secret}, {"invoke", "--jwks", secret, "demo:granted-proven"},
			{"invoke", "--service", secret}, {"gate", "--config", secret, "."}, {"invoke", "--at", secret, "demo:granted-proven"},
		} {
			code, out, errs := run(t, nil, args...)
			if code == exitAllowed || code == exitDenied {
				t.Errorf("%q: exit %d", args, code)
			}
			for _, part := range strings.Split(secret, "\n") {
				part = strings.ReplaceAll(part, `"`, "")
				if strings.Contains(part, "-----") {
					continue
				}
				if strings.Contains(strings.NewReplacer(`"`, "", `\`, "").Replace(out+errs), part) {
					t.Errorf("%q is repeated: %s%s", args, out, errs)
				}
			}
		}
	}
	_, _, errs := run(t, nil, "invoke", "--token-file", "missing.jwt")
	if !strings.Contains(errs, "missing.jwt") {
		t.Errorf("the name of a file is not said: %s", errs)
	}
}

// TestSecretURLs gives secrets in URLs: no format repeats them.
func TestSecretURLs(t *testing.T) {
	const url = "https://user:S3CR3Tuser@orders-ab12cd34ef-ew.a.run.app/a?token=S3CR3Tquery&S3CR3Tbare#S3CR3Tfragment"
	for _, format := range []string{"table", "json", "markdown", "html"} {
		for _, command := range []string{"invoke", "who"} {
			_, out, errs := run(t, nil, command, "demo:grant-missing", "--url", url, "--format", format)
			if strings.Contains(out+errs, "S3CR3T") {
				t.Errorf("%s --format %s: %s%s", command, format, out, errs)
			}
		}
	}
}
