package main

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

// shownCommand is what the picture in the README shows.
const shownCommand = "diagnose invoke demo:audience-other-service"

// TestScreenshot keeps the picture: what the command prints, in colour.
func TestScreenshot(t *testing.T) {
	var out, errs bytes.Buffer
	args := append(strings.Fields(shownCommand)[1:], "--color=always")
	Main(t.Context(), Process{Args: args, Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs, Getenv: func(string) string { return "" }})
	if errs.Len() > 0 {
		t.Fatal(errs.String())
	}
	written(t, "../../docs/screenshot.svg", picture("$ "+shownCommand+"\n"+strings.ReplaceAll(out.String(), " --color=always", "")))
}

const (
	pictureColumns = 92
	lineHeight     = 19
)

// picture draws what a terminal shows. A line that is wider is cut.
func picture(text string) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	var b strings.Builder
	height := (len(lines) + 3) * lineHeight
	width := pictureColumns*8 + 40
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" role="img">`+"\n", width, height, width, height)
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" rx="8" fill="#1e1e2e"/>`+"\n")
	b.WriteString(`<g font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, monospace" font-size="13.3" fill="#d9e0ee">` + "\n")
	for i, l := range lines {
		fmt.Fprintf(&b, `<text x="20" y="%d">%s</text>`+"\n", (i+2)*lineHeight, colored(l))
	}
	b.WriteString("</g>\n</svg>\n")
	return b.String()
}

var (
	escape = regexp.MustCompile("\x1b\\[([0-9;]*)m")
	paints = map[string]string{"1": `font-weight="bold"`, "2": `opacity="0.65"`, "31": `fill="#f38ba8"`, "32": `fill="#a6e3a1"`, "33": `fill="#f9e2af"`, "36": `fill="#94e2d5"`}
)

// colored turns the colours of a terminal into those of a picture.
func colored(line string) string {
	var b strings.Builder
	style, columns := "", 0
	for len(line) > 0 {
		at := escape.FindStringSubmatchIndex(line)
		text := line
		if at != nil {
			text = line[:at[0]]
		}
		if left := pictureColumns - columns; utf8.RuneCountInString(text) > left {
			text = string([]rune(text)[:max(left-1, 0)]) + "…"
			at, line = nil, ""
		}
		columns += utf8.RuneCountInString(text)
		if text != "" {
			b.WriteString("<tspan" + style + ">")
			text = strings.ReplaceAll(text, " ", "\u00a0") // which no browser drops
			_ = xml.EscapeText(&b, []byte(text))           // a builder takes everything
			b.WriteString("</tspan>")
		}
		if at == nil {
			break
		}
		style = ""
		for _, code := range strings.Split(line[at[2]:at[3]], ";") {
			if p := paints[code]; p != "" {
				style += " " + p
			}
		}
		line = line[at[1]:]
	}
	return b.String()
}

var (
	quickStart = regexp.MustCompile("(?s)## Quick start\n.*?```sh\n(.*?)```")
	tableRun   = regexp.MustCompile("`(diagnose [^`]*)`")
)

// TestQuickStart follows the quick start in a copy, with an empty home: two
// commands, of which the second one is these tests.
func TestQuickStart(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(quickStart.FindStringSubmatch(string(text))[1]), "\n")
	if len(lines) != 2 || lines[0] != "make demo" || lines[1] != "make test" {
		t.Fatalf("the quick start is %q, want make demo and make test", lines)
	}
	if _, err := exec.LookPath("make"); err != nil {
		t.Skip("make is not installed")
	}
	dir := copyModule(t)
	env := []string{"HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH"), "LANG=C.UTF-8"}
	for _, name := range []string{"GOMODCACHE", "GOCACHE", "GOPROXY", "GOFLAGS", "GOTOOLCHAIN"} {
		value, err := exec.Command("go", "env", name).Output()
		if err != nil {
			t.Fatal(err)
		}
		env = append(env, name+"="+strings.TrimSpace(string(value)))
	}
	for _, args := range [][]string{{"demo"}, {"-n", "test"}} {
		cmd := exec.Command("make", args...)
		cmd.Dir, cmd.Env = dir, env
		out, err := cmd.CombinedOutput()
		if err != nil || args[0] == "demo" && !strings.Contains(string(out), "diagnose invoke demo:") {
			t.Fatalf("make %v: %v\n%s", args, err, out)
		}
	}
}

// TestReadmeCommands asks each command of the README for its help: its name and
// its flags are there.
func TestReadmeCommands(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, m := range tableRun.FindAllStringSubmatch(string(text), -1) {
		for _, flag := range regexp.MustCompile(`--[a-z-]+`).FindAllString(m[1], -1) {
			n++
			if _, out, _ := run(t, nil, "help", commandOf(m[1])); !strings.Contains(out, flag) {
				t.Errorf("%s: %s is not a flag of diagnose %s", m[1], flag, commandOf(m[1]))
			}
		}
	}
	for _, link := range regexp.MustCompile(`\]\(([^)#:]+)\)`).FindAllStringSubmatch(string(text), -1) {
		if _, err := os.Stat(filepath.Join("../..", link[1])); err != nil {
			t.Errorf("the README links to %s: %v", link[1], err)
		}
	}
	if n == 0 {
		t.Error("the README shows no flag")
	}
}

// commandOf is the command of a line: invoke where it names none.
func commandOf(line string) string {
	word := strings.Fields(line)[1]
	for _, c := range []string{"token", "who", "gate", "scan", "explain", "capture", "demo", "mcp", "schema"} {
		if word == c {
			return c
		}
	}
	return "invoke"
}
