package evidence

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"

	"diagnose/internal/credential"
	"diagnose/internal/gcp"
)

// described starts what gcloud prints without --format when it describes
// something that runs: "✔ Service orders in region europe-west1".
var described = regexp.MustCompile(`^(?:\S{1,3}\s+)?(Service|Function|Job|Revision|WorkerPool|Worker Pool|Instance) (\S+) in region (\S+)`)

// deployed is what gcloud says at the end of a deployment.
var deployed = regexp.MustCompile(`(?m)^Service \[(\S+)\] revision \[\S+\] has been deployed`)

// tableHead is the first line of a table, in capitals.
var tableHead = regexp.MustCompile(`^(?:\S{0,3}\s{2,})?[A-Z][A-Z_]+(?: [A-Z]+)?(?: \([A-Z]+\))?(?: {2,}[A-Z][A-Z_ ()]+(?:\(/[a-z]+\))?)+ *$`)

// boxTop starts a table in a frame.
var boxTop = regexp.MustCompile(`^(?:┌─|\+--)`)

// A table is a list that gcloud prints for people, known by its columns.
type table struct {
	columns    []string // some that no other table has together
	collection string   // of what it lists
	name       string   // the column with the name
	place      string   // the column with the region, or ""
}

// tables are looked for in this order.
var tables = []table{
	{[]string{"SERVICE", "REGION", "URL"}, "services", "SERVICE", "REGION"},
	{[]string{"NAME", "STATE", "TRIGGER", "ENVIRONMENT"}, "functions", "NAME", "REGION"},
	{[]string{"ID", "SCHEDULE (TZ)", "TARGET_TYPE"}, "jobs", "ID", "LOCATION"},
	{[]string{"NAME", "TYPE", "DESTINATION"}, "triggers", "NAME", "LOCATION"},
	{[]string{"QUEUE_NAME", "MAX_ATTEMPTS"}, "queues", "QUEUE_NAME", ""},
	{[]string{"REVISION", "ACTIVE", "SERVICE"}, "services", "SERVICE", "REGION"},
	{[]string{"PROJECT_ID", "PROJECT_NUMBER"}, "projects", "PROJECT_ID", ""},
	{[]string{"LEVEL", "TIME_UTC", "LOG"}, "logs", "NAME", ""},
}

// forPeople refuses what gcloud prints for people, with the command that prints
// the same so that it can be read.
func forPeople(data []byte) error {
	text := strings.TrimSpace(strings.ReplaceAll(string(data), "\r\n", "\n"))
	first, rest, _ := strings.Cut(text, "\n")
	const what = "is what gcloud prints for people"
	if m := described.FindStringSubmatch(first); m != nil {
		switch m[1] {
		case "Service":
			return fmt.Errorf("%s; print it with: %s", what, gcp.Spell(gcp.ServiceName("", m[3], m[2]).Describe()))
		case "Function":
			return fmt.Errorf("%s; print it with: %s", what, gcp.Spell(gcp.FunctionName("", m[3], m[2]).Describe()))
		}
		return fmt.Errorf("%s of a %s, which is not judged", what, strings.ToLower(m[1]))
	}
	if m := deployed.FindStringSubmatch(text); m != nil {
		return fmt.Errorf("%s; print the service with: %s", what, gcp.Spell(gcp.ServiceName("", regionIn(text), m[1]).Describe()))
	}
	switch {
	case flattened.MatchString(first):
		return fmt.Errorf("%s: repeat the command with --format=json, and without --flatten", what)
	case boxTop.MatchString(first):
		return fmt.Errorf("%s: repeat the command with --format=json", what)
	case !tableHead.MatchString(first):
		return nil
	}
	for _, t := range tables {
		if argv := t.command(first, rest); argv != nil {
			return fmt.Errorf("%s; print %s with: %s", what, t.ofRows(rest), gcp.Spell(argv))
		}
	}
	return fmt.Errorf("%s: repeat the command with --format=json", what)
}

// anyURL finds the addresses in a text.
var anyURL = regexp.MustCompile(`https://[^\s"'<>]+`)

// regionIn is the region that an address in a text names, "" where none does.
func regionIn(text string) string {
	for _, u := range anyURL.FindAllString(text, -1) {
		if h := gcp.HostOf(u); h.Region != "" {
			return h.Region
		}
	}
	return ""
}

// flattened is the head of a policy that --flatten turned into a table.
var flattened = regexp.MustCompile(`^(?:bindings\.)?(?:ROLE|MEMBERS)(?: {2,}(?:ROLE|MEMBERS))? *$`)

// ofRows says what of a table the command prints, which names the first row.
func (t table) ofRows(rest string) string {
	if n := len(strings.Split(strings.TrimSpace(rest), "\n")); n > 1 && t.collection != "logs" {
		return fmt.Sprintf("one of the %d rows", n)
	}
	return "it"
}

// columnGap separates the columns of a table.
var columnGap = regexp.MustCompile(` {2,}`)

// command is the one that prints the first row, nil where it is another table.
func (t table) command(head, rest string) []string {
	columns := columnGap.Split(strings.TrimSpace(head), -1)
	at := map[string]int{}
	for i, c := range columns {
		at[c] = i
	}
	for _, c := range t.columns {
		if _, ok := at[c]; !ok {
			return nil
		}
	}
	row, _, _ := strings.Cut(rest, "\n")
	row = strings.TrimLeft(row, " ✔✓✗X!+-…") // how it does, before the name
	cells := columnGap.Split(strings.TrimSpace(row), -1)
	cell := func(name string) string {
		if i, ok := at[name]; ok && name != "" && i < len(cells) {
			return cells[i]
		}
		return ""
	}
	id := cell(t.name)
	switch t.collection {
	case "logs":
		return gcp.ReadLogs("", fmt.Sprintf("resource.labels.function_name=%q", id))
	case "projects":
		return gcp.ProjectName(id).Describe()
	}
	return gcp.Name{Collection: t.collection, Location: cell(t.place), ID: id}.Describe()
}

// gcloudError is the first line of an error that gcloud printed in the place of
// a document.
func gcloudError(data []byte) (string, bool) {
	text, ok := bytes.CutPrefix(bytes.TrimSpace(data), []byte("ERROR:"))
	if !ok {
		return "", false
	}
	line, _, _ := strings.Cut(strings.TrimSpace(string(text)), "\n")
	return credential.Scrub(strings.TrimSpace(line)), true
}
