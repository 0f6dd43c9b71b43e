package script

import (
	"slices"
	"strings"
)

// An invocation is a command of gcloud taken apart.
type invocation struct {
	command
	group []string        // its words, without release track: "run", "deploy"
	args  []word          // positional arguments behind them
	flags map[string]word // by name; the value of a switch is ""
	at    map[string]int  // lines of flags
	open  []word          // what may be flags that are not known
}

// switches are flags without a value that may stand before an argument.
var switches = []string{
	"allow-unauthenticated", "async", "quiet", "iap", "public", "gen2", "trigger-http", "use-http2", "cpu-throttling", "cpu-boost", "session-affinity",
	"invoker-iam-check", "default-url", "retry", "serve-all-updates-latest-revision", "all", "execute-now", "wait", "help", "log-http",
	"user-output-enabled", "tty", "deploy-health-check", "security-level-secure",
}

// takesValue reports whether the word behind a flag is its value.
func takesValue(flag string) bool {
	return !slices.Contains(switches, flag) && !strings.HasPrefix(flag, "no-") && !strings.HasPrefix(flag, "clear-")
}

// parse takes a command of gcloud apart; depth is the number of words that its
// group may have.
func parse(c command) *invocation {
	in := &invocation{command: c, flags: map[string]word{}, at: map[string]int{}}
	var positional []word
	for i := 1; i < len(c.words); i++ {
		w := c.words[i]
		switch name, isFlag := strings.CutPrefix(w.text, "--"); {
		case w.text == "--":
			i = len(c.words)
		case isFlag:
			name, value, given := strings.Cut(name, "=")
			v := word{value, w.line}
			if strings.ContainsAny(name, mark+usually) {
				in.open = append(in.open, w)
				continue
			}
			if !given && takesValue(name) && i+1 < len(c.words) && !strings.HasPrefix(c.words[i+1].text, "-") {
				i++
				v = c.words[i]
			}
			in.flags[name], in.at[name] = v, w.line
		case strings.HasPrefix(w.text, "-"):
		default:
			positional = append(positional, w)
		}
	}
	in.split(positional)
	return in
}

// split tells the words of the command from its arguments.
func (in *invocation) split(positional []word) {
	for i, w := range positional {
		if i == 0 && slices.Contains([]string{"alpha", "beta", "preview"}, w.text) {
			continue
		}
		if in.group == nil || commands[strings.Join(in.group, " ")] == nil && len(in.group) < maxGroup && w.known() {
			in.group = append(in.group, w.text)
			continue
		}
		in.args = append(in.args, w)
	}
}

// maxGroup is the length of the longest command that is read.
const maxGroup = 3

// maybeFlags moves what may be flags behind the arguments that a command has.
func (in *invocation) maybeFlags(arguments int) {
	if len(in.args) <= arguments {
		return
	}
	for _, w := range in.args[arguments:] {
		if !w.known() {
			in.open = append(in.open, w)
		}
	}
	if w, ok := in.flags["flags-file"]; ok {
		in.open = append(in.open, w)
	}
	in.args = in.args[:arguments]
}

// has reports whether a switch is set.
func (in *invocation) has(flag string) bool {
	w, ok := in.flags[flag]
	return ok && w.text != "false"
}

// commands are those of gcloud that are read:
// https://docs.cloud.google.com/sdk/gcloud/reference.
var commands map[string]func(*effects, *invocation)

func init() {
	commands = map[string]func(*effects, *invocation){
		"run deploy": (*effects).deployService, "run services update": (*effects).deployService,
		"functions deploy":                    (*effects).deployFunction,
		"run services add-iam-policy-binding": (*effects).bindService, "run services remove-iam-policy-binding": (*effects).unbindService,
		"functions add-iam-policy-binding": (*effects).bindFunction, "functions remove-iam-policy-binding": (*effects).unbindFunction,
		"functions add-invoker-policy-binding": (*effects).bindInvoker, "functions remove-invoker-policy-binding": (*effects).unbindInvoker,
		"projects add-iam-policy-binding": (*effects).bindNode, "organizations add-iam-policy-binding": (*effects).bindNode,
		"resource-manager folders add-iam-policy-binding": (*effects).bindNode,
		"iap web add-iam-policy-binding":                  (*effects).bindIAP,
		"run services set-iam-policy":                     (*effects).setPolicy, "functions set-iam-policy": (*effects).setPolicy,
		"projects set-iam-policy": (*effects).setPolicy,
		"config set":              (*effects).configure,
	}
}

// do takes what a command does, where it is one of those that are read.
func (in *effects) do(c command) {
	if len(c.words) < 3 || !isGcloud(c.words[0]) {
		return
	}
	i := parse(c)
	if act := commands[strings.Join(i.group, " ")]; act != nil && !i.has("help") {
		act(in, i)
	}
}
