package transcript

import (
	"bytes"
	"io"
	"path"
	"regexp"
	"strings"

	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/syntax"
)

// curlStart is a curl command where it begins: at a prompt, in a variable, or
// behind what runs before it.
var curlStart = regexp.MustCompile(`(?m)^[ \t]*(?:\$ |% |> |PS [^>\n]*> ?|[A-Za-z]:[^>\n]*> ?)?(?:sudo |time )?` +
	`(?:\S*[/\\])?curl(?:\.exe)?["']?\s+[-"'$^h\\\x60\w]`)

// assignStart is a line that sets a variable, which a command below may use.
var assignStart = regexp.MustCompile(`^\s*(?:\$ )?(?:export )?[A-Za-z_]\w*=\S`)

// prompt is what a shell shows before a command.
var prompt = regexp.MustCompile(`(?m)^[ \t]*(?:\$|%|PS [^>\n]*>|[A-Za-z]:[^>\n]*>)[ \t]+`)

// IsCurl reports whether a text has a curl command line.
func IsCurl(text string) bool { return curlStart.MatchString(text) }

// Curl reads the first curl command of a text that calls something. What
// stands behind the command, as the answer in a terminal, is left alone. ok is
// false where there is no such command.
func Curl(text string) (e Exchange, ok bool) {
	at := curlStart.FindStringIndex(text)
	if at == nil {
		return Exchange{}, false
	}
	if command := text[at[0]:]; isCmd(command) {
		return fromArgs(cmdWords(prompt.ReplaceAllString(command, "")))
	}
	start := at[0]
	for _, line := range strings.SplitAfter(text[:start], "\n") { // the variables set above it
		if assignStart.MatchString(line) {
			start = strings.Index(text, line)
			break
		}
	}
	command := prompt.ReplaceAllString(text[start:], "")
	command = strings.ReplaceAll(command, "`\n", "\\\n") // PowerShell's way to go on in the next line
	return inShell(command)
}

// inShell reads the commands of a POSIX shell, one after the other, until one
// of them is a curl that calls something. It runs nothing.
func inShell(text string) (Exchange, bool) {
	vars := map[string]string{}
	for stmt, err := range syntax.NewParser(syntax.Variant(syntax.LangBash)).StmtsSeq(strings.NewReader(text)) {
		if err != nil {
			return Exchange{}, false
		}
		var found *Exchange
		syntax.Walk(stmt, func(n syntax.Node) bool {
			switch n := n.(type) {
			case *syntax.CmdSubst:
				return false // a curl in there gets a token
			case *syntax.CallExpr:
				assign(vars, n.Assigns)
				if e, ok := called(vars, n); ok && found == nil {
					found = &e
				}
			case *syntax.DeclClause:
				assign(vars, n.Args)
			}
			return true
		})
		if found != nil {
			return *found, true
		}
	}
	return Exchange{}, false
}

func assign(vars map[string]string, list []*syntax.Assign) {
	for _, a := range list {
		if a.Name != nil && a.Value != nil {
			vars[a.Name.Value] = literal(vars, a.Value)
		}
	}
}

// called reads one simple command as a curl.
func called(vars map[string]string, c *syntax.CallExpr) (Exchange, bool) {
	var words []string
	for _, w := range c.Args {
		words = append(words, literal(vars, w))
	}
	for len(words) > 0 && (words[0] == "sudo" || words[0] == "time") {
		words = words[1:]
	}
	return fromArgs(words)
}

// literal spells a word without its quotes. What only a shell that runs could
// know stays as it is written: $NAME, $(COMMAND).
func literal(vars map[string]string, w *syntax.Word) string {
	cfg := &expand.Config{
		Env: expand.FuncEnviron(func(name string) string {
			if v, ok := vars[name]; ok {
				return v
			}
			return "$" + name
		}),
		CmdSubst: func(out io.Writer, c *syntax.CmdSubst) error {
			var b bytes.Buffer
			for i, s := range c.Stmts {
				if i > 0 {
					b.WriteString("; ")
				}
				if err := syntax.NewPrinter(syntax.SingleLine(true)).Print(&b, s); err != nil {
					return err
				}
			}
			_, err := io.WriteString(out, "$("+strings.TrimSpace(b.String())+")")
			return err
		},
	}
	s, err := expand.Literal(cfg, w)
	if err != nil {
		return ""
	}
	return s
}

// isCmd reports whether a command is written for Windows' cmd: with carets.
func isCmd(command string) bool {
	first, _, _ := strings.Cut(command, "\n")
	first = strings.TrimRight(first, "\r ")
	return strings.HasSuffix(first, "^") || strings.Contains(first, `^"`)
}

// cmdWords splits a command of Windows' cmd: a caret takes the next character
// as it is, and ends a line that goes on.
func cmdWords(command string) []string {
	var b strings.Builder
	for i := 0; i < len(command); i++ {
		c := command[i]
		if c == '\n' {
			break // the command ends
		}
		if c != '^' {
			b.WriteByte(c)
			continue
		}
		i++
		for i < len(command) && command[i] == '\r' {
			i++
		}
		switch {
		case i >= len(command):
		case command[i] == '\n' && i+1 < len(command) && command[i+1] == '\n':
			b.WriteByte('\n') // a line break inside a value
			i++
		case command[i] == '\n':
			b.WriteByte(' ')
		default:
			b.WriteByte(command[i])
		}
	}
	return windowsWords(b.String())
}

// windowsWords splits a command line as programs on Windows do: a backslash
// counts before a quotation mark alone.
func windowsWords(line string) []string {
	var out []string
	var b strings.Builder
	quoted, open := false, false
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == '\\' && i+1 < len(line) && line[i+1] == '"':
			b.WriteByte('"')
			i++
		case c == '"' && quoted && i+1 < len(line) && line[i+1] == '"':
			b.WriteByte('"')
			i++
		case c == '"':
			quoted, open = !quoted, true
		case (c == ' ' || c == '\t' || c == '\r') && !quoted:
			if b.Len() > 0 || open {
				out = append(out, b.String())
			}
			b.Reset()
			open = false
		default:
			b.WriteByte(c)
		}
	}
	if b.Len() > 0 || open {
		out = append(out, b.String())
	}
	return out
}

// isCurlWord reports whether a word is the program.
func isCurlWord(w string) bool {
	name := path.Base(strings.ReplaceAll(w, `\`, "/"))
	return strings.TrimSuffix(name, ".exe") == "curl"
}
