package capture

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/tools/txtar"

	"diagnose/internal/gcp"
)

// Anonymize replaces projects, folders, organizations, e-mails, domains and
// the names of services and functions, each by the same stand-in wherever it
// stands. What Google itself named (roles, regions, API hosts, statuses)
// stays, so that the case is judged as before.
func Anonymize(files []txtar.File) []txtar.File {
	n := &names{stand: map[string]string{}, named: map[string][]string{}}
	for _, f := range files {
		n.collect(string(f.Data))
	}
	order := slices.SortedFunc(maps.Keys(n.stand), func(a, b string) int {
		return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a, b))
	})
	out := make([]txtar.File, len(files))
	for i, f := range files {
		out[i] = txtar.File{Name: f.Name, Data: []byte(n.rewrite(string(f.Data), order))}
		if path.Ext(f.Name) == ".json" && !json.Valid(out[i].Data) {
			// Cannot happen as long as stand-ins are plain words; a broken
			// document would be worse than one that is missing.
			out[i].Data = []byte("{}\n")
		}
	}
	return out
}

// names maps what identifies somebody to its stand-in.
type names struct {
	stand map[string]string
	named map[string][]string // by kind, in the order of their stand-ins
}

// found lists where identifiers stand, and of which kind they are.
var found = []struct {
	kind    string
	pattern *regexp.Regexp
}{
	{"project", regexp.MustCompile(`projects(?:/|%2F)([a-z][a-z0-9.:-]*[a-z0-9])`)},
	{"number", regexp.MustCompile(`(?:projects|folders|organizations|customers)(?:/|%2F)(\d+)`)},
	{"project", regexp.MustCompile(`"projectId":\s*"([^"]+)"`)},
	{"project", regexp.MustCompile(`@([a-z0-9.-]+?)\.iam\.gserviceaccount\.com`)},
	{"project", regexp.MustCompile(`([a-z0-9-]+)@appspot\.gserviceaccount\.com`)},
	{"project", regexp.MustCompile(`"id":\s*"([a-z][^"]*)"`)},
	{"project", regexp.MustCompile(`"project_id":\s*"([a-z][^"]*)"`)},
	{"number", regexp.MustCompile(`"(?:id|projectNumber|sub|uid)":\s*"(\d+)"`)},
	{"number", regexp.MustCompile(`(\d+)-(?:compute@developer|[a-z0-9]+\.apps\.googleusercontent)`)},
	{"number", regexp.MustCompile(`service-(\d+)@`)},
	{"hash", regexp.MustCompile(`\d+-([a-z0-9]+)\.apps\.googleusercontent\.com`)},
	{"number", regexp.MustCompile(`"(\d+)\.apps\.googleusercontent\.com"`)},
	{"name", regexp.MustCompile(`"clientId":\s*"([A-Za-z0-9_-]+)"`)},
	{"domain", regexp.MustCompile(`"(?:loginHint|cookieDomain)":\s*"\.?([A-Za-z0-9.-]+\.[a-z]{2,})"`)},
	{"name", regexp.MustCompile(`/(?:workforcePools|workloadIdentityPools)/([A-Za-z0-9][A-Za-z0-9-]*)`)},
	{"name", regexp.MustCompile(`Pools/[^"/]+/(?:providers|subject|group|attribute\.[a-z0-9_]+)/([A-Za-z0-9][^"\s]*)`)},
	{"name", regexp.MustCompile(`/(?:services|functions|triggers|topics|jobs|queues|subscriptions|revisions|denypolicies|repositories)/([A-Za-z0-9][A-Za-z0-9_.-]*)`)},
	{"name", regexp.MustCompile(`(?:service_name|function_name|revision_name)":\s*"([^"]+)"`)},
	{"account", regexp.MustCompile(`(?:serviceAccount:|serviceAccounts/)([a-z][a-z0-9-]*)@[a-z0-9.:-]+\.iam\.gserviceaccount\.com`)},
	{"account", regexp.MustCompile(`"([a-z][a-z0-9-]*)@[a-z0-9.:-]+\.iam\.gserviceaccount\.com"`)},
	{"group", regexp.MustCompile(`group:([^@"\s]+)@`)},
	{"person", regexp.MustCompile(`(?:user:|")([A-Za-z0-9._+-]+)@[A-Za-z0-9.-]+\.[A-Za-z]{2,}"`)},
	{"domain", regexp.MustCompile(`@([A-Za-z0-9.-]+\.[A-Za-z]{2,})`)},
	{"domain", regexp.MustCompile(`(?:domain:|"hd":\s*")([A-Za-z0-9.-]+\.[a-z]{2,})`)},
	{"domain", regexp.MustCompile(`https?://([A-Za-z0-9.-]+\.[a-z]{2,})`)},
}

// defaultDomains are those of the default URLs, in a pattern.
var defaultDomains = regexp.QuoteMeta(gcp.RunDomain) + "|" + regexp.QuoteMeta(gcp.FunctionsDomain)

// google matches names that are Google's own, or words of its formats.
var google = regexp.MustCompile(`(?i)(^|\.)(gserviceaccount\.com|googleapis\.com|googleusercontent\.com|` + defaultDomains + `|google\.com|cloud\.goog)$|^(service-\d+|developer|appspot|cloudservices|gcp-sa-[a-z-]+|serverless-robot-prod|gcf-admin-robot|cloudbuild|compute-system|run|default|-)$|` +
	`^(764086051850|6qr4p6gpi6hn506pt8ejuq83di341hur|32555940559)$`) // gcloud's own OAuth clients

// lists are arrays of identifiers, with the kind of each.
var lists = []struct {
	kind    string
	pattern *regexp.Regexp
}{
	{"domain", regexp.MustCompile(`"domains":\s*\[([^\]]*)\]`)},
	{"name", regexp.MustCompile(`"tenantIds":\s*\[([^\]]*)\]`)},
}

var quoted = regexp.MustCompile(`"([^"]+)"`)

func (n *names) collect(text string) {
	for _, l := range lists {
		for _, list := range l.pattern.FindAllStringSubmatch(text, -1) {
			for _, m := range quoted.FindAllStringSubmatch(list[1], -1) {
				n.add(l.kind, m[1])
			}
		}
	}
	for _, f := range found {
		for _, m := range f.pattern.FindAllStringSubmatch(text, -1) {
			n.add(f.kind, m[1])
		}
	}
	for _, a := range gcp.FindAddresses(text) {
		n.add("project", a.Project)
		n.add("number", a.Number)
		n.add("name", a.Service)
		n.add("name", a.Function)
		n.add("hash", a.Hash)
	}
}

// add gives an identifier a stand-in, unless it is Google's own.
func (n *names) add(kind, id string) {
	if len(id) < 2 || google.MatchString(id) || strings.HasSuffix(id, "-compute") {
		return
	}
	n.name(kind, id)
}

// name gives an identifier its stand-in. A function's name and that of its
// service, in lower case with hyphens, get the same one.
func (n *names) name(kind, id string) {
	if n.stand[id] != "" {
		return
	}
	plain := gcp.ServiceID(id)
	if plain != id {
		n.name(kind, plain)
		n.stand[id] = n.stand[plain]
		if strings.Contains(id, "_") {
			n.stand[id] = strings.ReplaceAll(n.stand[plain], "-", "_")
		}
		return
	}
	n.stand[id] = n.fresh(kind, id)
	n.named[kind] = append(n.named[kind], id)
}

// fresh makes a stand-in. Those of two identifiers are alike where these are:
// that one is misspelt is seen by its likeness to another.
func (n *names) fresh(kind, id string) string {
	c := len(n.named[kind])
	switch kind {
	case "number":
		return fmt.Sprint(100_000_000_000 + (c+1)*76_543_219_871%899_999_999_999)
	case "hash":
		return fmt.Sprintf("a%09d", c+1)
	}
	word := kind + "-" + words[c%len(words)]
	if turn := c / len(words); turn > 0 {
		word += "-" + words[(c+turn)%len(words)]
	}
	for i, other := range n.named[kind] {
		if gcp.Distance(id, other) <= nearby {
			word = strings.TrimSuffix(n.stand[other], ".example") + string(rune('a'+(c-i)%26))
			break
		}
	}
	if kind == "domain" {
		word += ".example"
	}
	return word
}

// nearby is how many letters apart two names are that one may be a misspelling
// of the other.
const nearby = 2

// words make stand-ins that are unlike each other.
var words = strings.Fields("alpha bravo charlie delta echo foxtrot golf hotel india juliett kilo lima mike " +
	"november oscar papa quebec romeo sierra tango uniform victor whiskey xray yankee zulu")

// kept matches what is not looked into: names of Google's, keys of objects,
// times, and values that are words of an enumeration.
var kept = regexp.MustCompile(`^(?:"[A-Za-z_-]+":|[a-z-]+\.googleapis\.com(?:/[A-Za-z.]+)?|"roles/[A-Za-z.]+"|"[A-Z][A-Z0-9_]+"|"\d{4}-\d\d-\d\dT[^"]*"|gserviceaccount\.com|accounts\.google\.com|` +
	`(?:a\.)?(?:` + defaultDomains + `)|/(?:projects|locations|services|functions|folders|organizations|roles|triggers)/)`)

// rewrite puts the stand-ins in place of whole identifiers.
func (n *names) rewrite(text string, order []string) string {
	var b strings.Builder
	for i := 0; i < len(text); {
		if k := kept.FindString(text[i:]); k != "" && (i == 0 || !wordByte(text[i-1]) || !wordByte(k[0])) {
			b.WriteString(k)
			i += len(k)
			continue
		}
		id := n.at(text, i, order)
		if id == "" {
			b.WriteByte(text[i])
			i++
			continue
		}
		b.WriteString(n.stand[id])
		i += len(id)
	}
	return b.String()
}

func (n *names) at(text string, i int, order []string) string {
	if i > 0 && wordByte(text[i-1]) && !strings.HasSuffix(text[:i], "%2F") {
		return ""
	}
	for _, id := range order {
		if strings.HasPrefix(text[i:], id) && (i+len(id) == len(text) || !wordByte(text[i+len(id)])) {
			return id
		}
	}
	return ""
}

func wordByte(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_'
}
