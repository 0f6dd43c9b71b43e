package gcp_test

import (
	"testing"

	"diagnose/internal/gcp"
)

func TestShownURL(t *testing.T) {
	for url, want := range map[string]string{
		"https://a.run.app/b/c":                      "https://a.run.app/b/c",
		"https://a.run.app/b?key=x&y":                "https://a.run.app/b?key=[hidden]&y",
		"https://a.run.app?X1":                       "https://a.run.app?[hidden]",
		"https://a.run.app/b#x?y":                    "https://a.run.app/b#[hidden]",
		"https://u:p@a.run.app/b@c":                  "https://[hidden]@a.run.app/b@c",
		"https://u@x:p@a.run.app":                    "https://[hidden]@a.run.app",
		"postgres://u:p@db/x":                        "postgres://[hidden]@db/x",
		"https://a.run.app/b?[hidden]":               "https://a.run.app/b?[hidden]",
		"principal://goog/subject/a@b?uid=1":         "principal://goog/subject/a@b?uid=1",
		"https://docs.cloud.google.com/run/docs#one": "https://docs.cloud.google.com/run/docs#one",
		"https://docs.cloud.google.com.x.app/?A":     "https://docs.cloud.google.com.x.app/?[hidden]",
		"//run.googleapis.com/projects/p?x":          "//run.googleapis.com/projects/p?x",
	} {
		if got := gcp.ShownURL(url); got != want {
			t.Errorf("ShownURL(%q) = %q, want %q", url, got, want)
		}
	}
}
