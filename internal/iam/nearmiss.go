package iam

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"diagnose/internal/gcp"
)

var serviceAgentNumber = regexp.MustCompile(`^(service-)?\d+(-|$)`)

// NearMiss says why a member looks like an identity and is not it, or "".
func NearMiss(m Member, id Identity) string {
	if !id.known() || m.Broad() || m.Kind == Group {
		return ""
	}
	if m.Deleted && m.Value == id.Member.Value {
		return "that account is deleted; the caller is a new account with the same e-mail, which is a different one"
	}
	if m.Deleted || m.Kind != User && m.Kind != ServiceAccount {
		return ""
	}
	if m.Value == id.Member.Value {
		if m.Kind != id.Member.Kind {
			return "the caller is " + id.Member.text + ": the prefix differs"
		}
		return ""
	}
	odd := Suspicious(m.text)
	if odd != "" && Suspicious(id.Member.text) == "" && gcp.Within(m.Value, id.Member.Value, 2) {
		return "the caller is " + id.Member.Value + ": the member " + odd
	}
	ml, md, _ := strings.Cut(m.Value, "@")
	il, idd, _ := strings.Cut(id.Member.Value, "@")
	switch {
	case sameAgentElsewhere(m, id.Member):
		return ""
	case ml == il && md != idd && m.Kind == ServiceAccount:
		return "the caller has the same name but is in another project: " + id.Member.Value
	case md == idd && serviceAgentNumber.MatchString(ml) && serviceAgentNumber.MatchString(il):
		return "the caller is the one with another project number: " + id.Member.Value
	case consumer[md] && consumer[idd] && strings.ReplaceAll(ml, ".", "") == strings.ReplaceAll(il, ".", ""):
		return "the caller's e-mail is spelt " + id.Member.Value
	case gcp.Within(m.Value, id.Member.Value, 2):
		return "the caller is " + id.Member.Value + "; this looks like a typo"
	}
	return ""
}

// Suspicious says what is odd about the characters of a member: "has an
// invisible character (U+200B)", "has a letter that is not ASCII (U+0430,
// Cyrillic)", "has a space in it". It is "" where nothing is. The attributes of
// federated identities are free text, of which only what is invisible is odd.
func Suspicious(member string) string {
	free := federated[ParseMember(member).Kind]
	for _, r := range member {
		switch {
		case r > ' ' && r < unicode.MaxASCII:
		case strings.ContainsRune(" \t\r\n", r):
			if !free {
				return "has a space in it"
			}
		case r == unicode.ReplacementChar:
			return "has a byte that is not text"
		case !unicode.IsGraphic(r), unicode.IsSpace(r), unicode.IsMark(r), slices.Contains(fillers, r):
			return fmt.Sprintf("has an invisible character (U+%04X)", r)
		case !free && unicode.IsLetter(r):
			return fmt.Sprintf("has a letter that is not ASCII (U+%04X, %s)", r, script(r))
		case !free:
			return fmt.Sprintf("has a character that is not ASCII (U+%04X)", r)
		}
	}
	return ""
}

var federated = map[Kind]bool{Workforce: true, Workload: true, Kubernetes: true, Agent: true}

// fillers are the letters of Hangul that show nothing.
var fillers = []rune{0x115F, 0x1160, 0x3164, 0xFFA0}

// script names the alphabet of a letter.
func script(r rune) string {
	for _, name := range slices.Sorted(maps.Keys(unicode.Scripts)) {
		if unicode.Is(unicode.Scripts[name], r) {
			return name
		}
	}
	return "unknown"
}
