package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// Short answers are what an agent reads first, taken from the reports that the
// command line prints as JSON. Their details name the whole report.

// maxAnswer bounds a short answer in bytes: about 800 tokens.
const maxAnswer = 3200

type judgeOut struct {
	Decision     string        `json:"decision" jsonschema:"allowed, denied or undetermined"`
	Basis        string        `json:"basis" jsonschema:"proven: nothing unread could change the decision; assumed: what is under notChecked could"`
	Headline     string        `json:"headline" jsonschema:"the cause in one sentence"`
	Cause        string        `json:"cause,omitempty" jsonschema:"the check that decides; explain tells more of it"`
	Status       *int          `json:"expectedStatus,omitempty" jsonschema:"the status that the caller gets"`
	Observed     *observedOut  `json:"observed,omitempty" jsonschema:"the answer that was seen"`
	Repair       []fixOut      `json:"repair,omitempty" jsonschema:"what together makes the call succeed, judged again"`
	RepairNone   string        `json:"repairNone,omitempty" jsonschema:"why no repair is proved"`
	Other        []string      `json:"otherFixes,omitempty" jsonschema:"other changes, in details"`
	Explanations []string      `json:"explanations,omitempty" jsonschema:"what may explain the observed answer, the most likely first"`
	NotChecked   []uncheckedAs `json:"notChecked,omitempty" jsonschema:"what the evidence does not tell, with the commands that read it"`
	Details      string        `json:"details" jsonschema:"the resource with the whole report"`
}

type observedOut struct {
	Status int    `json:"status,omitempty"`
	Author string `json:"author,omitempty" jsonschema:"who wrote it"`
	Agrees *bool  `json:"agrees,omitempty" jsonschema:"whether it is the one expected"`
}

type fixOut struct {
	ID        string   `json:"id"`
	Summary   string   `json:"summary"`
	Commands  []string `json:"commands,omitempty"`
	Terraform string   `json:"terraform,omitempty"`
	Caution   string   `json:"caution,omitempty"`
	Effect    string   `json:"effect,omitempty" jsonschema:"what judging again after it gave"`
	Remaining []string `json:"remaining,omitempty" jsonschema:"the checks that then still fail or are open"`
}

type uncheckedAs struct {
	Text   string   `json:"text"`
	Gather []string `json:"run,omitempty" jsonschema:"commands that read it"`
}

// shortVerdict makes the short answer of a verdict.
func shortVerdict(report []byte, details string) (judgeOut, error) {
	var v struct {
		judgeOut
		Assumptions []struct {
			Text   string   `json:"text"`
			Gather []string `json:"gather"`
		} `json:"assumptions"`
		Expected struct {
			Status *int `json:"status"`
		} `json:"expected"`
		Observed *struct {
			observedOut
			Explanations []struct {
				Text string `json:"text"`
			} `json:"explanations"`
		} `json:"observed"`
		Repair   []string `json:"repair"`
		Findings []struct {
			Outcome string   `json:"outcome"`
			Message string   `json:"message"`
			Gather  []string `json:"gather"`
			Fixes   []fixOut `json:"fixes"`
		} `json:"findings"`
	}
	if err := json.Unmarshal(report, &v); err != nil {
		return judgeOut{}, err
	}
	out := v.judgeOut
	out.Details, out.Status = details, v.Expected.Status
	if o := v.Observed; o != nil {
		out.Observed = &o.observedOut
		for _, e := range o.Explanations {
			out.Explanations = append(out.Explanations, e.Text)
		}
	}
	seen := map[string]bool{}
	for _, f := range v.Findings {
		for _, x := range f.Fixes {
			switch {
			case seen[x.ID]:
			case slices.Contains(v.Repair, x.ID):
				out.Repair = append(out.Repair, x)
			case f.Outcome == "fail":
				out.Other = append(out.Other, x.Summary)
			}
			seen[x.ID] = true
		}
		if f.Outcome == "unknown" && len(f.Gather) > 0 {
			out.NotChecked = append(out.NotChecked, uncheckedAs{f.Message, f.Gather})
		}
	}
	for _, a := range v.Assumptions {
		out.NotChecked = append(out.NotChecked, uncheckedAs{a.Text, a.Gather})
	}
	out.NotChecked = distinctUnchecked(out.NotChecked)
	out.fit()
	return out, nil
}

// distinctUnchecked drops what one command reads a second time.
func distinctUnchecked(list []uncheckedAs) []uncheckedAs {
	var out []uncheckedAs
	for _, u := range list {
		if !slices.ContainsFunc(out, func(o uncheckedAs) bool {
			return slices.Equal(o.Gather, u.Gather) && len(u.Gather) > 0 || o.Text == u.Text
		}) {
			out = append(out, u)
		}
	}
	return out
}

// fit drops, the least needed first, what makes the answer too long. All of it
// is in the details.
func (o *judgeOut) fit() {
	for _, drop := range []func(){
		func() { o.Other = cut(o.Other, 3) },
		func() { o.Explanations = cut(o.Explanations, 3) },
		func() { o.NotChecked = cut(o.NotChecked, 4) },
		func() {
			for i := range o.Repair {
				o.Repair[i].Terraform = ""
			}
		},
		func() { o.Other = nil },
		func() { o.NotChecked = cut(o.NotChecked, 2) },
		func() { o.Explanations = cut(o.Explanations, 1) },
	} {
		if size(o) <= maxAnswer {
			return
		}
		drop()
	}
}

func cut[T any](list []T, n int) []T { return list[:min(n, len(list))] }

func size(v any) int {
	b, _ := json.Marshal(v)
	return len(b)
}

type whoOut struct {
	Public   bool          `json:"public"`
	Because  string        `json:"publicBecause,omitempty"`
	Complete bool          `json:"complete" jsonschema:"whether every document that could name somebody was read"`
	Holders  []holderOut   `json:"holders"`
	More     int           `json:"more,omitempty" jsonschema:"holders that are in details only"`
	Denied   string        `json:"denied,omitempty" jsonschema:"what deny policies do"`
	Notes    []string      `json:"notes,omitempty"`
	Unread   []uncheckedAs `json:"notChecked,omitempty"`
	Details  string        `json:"details"`
}

type holderOut struct {
	Member string `json:"member"`
	Answer string `json:"answer" jsonschema:"may, only-if, denied or unknown"`
	Role   string `json:"role"`
	On     string `json:"on"`
	Only   string `json:"only,omitempty" jsonschema:"for which requests"`
	Group  string `json:"group,omitempty" jsonschema:"the group through which"`
}

// shortHolders makes the short answer of who can invoke.
func shortHolders(report []byte, details string) (whoOut, error) {
	var w struct {
		whoOut
		Unread []struct {
			Text   string   `json:"text"`
			Gather []string `json:"gather"`
		} `json:"unread"`
	}
	if err := json.Unmarshal(report, &w); err != nil {
		return whoOut{}, err
	}
	out := w.whoOut
	out.Details = details
	for _, u := range w.Unread {
		out.Unread = append(out.Unread, uncheckedAs{u.Text, u.Gather})
	}
	out.Unread = distinctUnchecked(out.Unread)
	for size(out) > maxAnswer && len(out.Holders) > 1 {
		out.Holders = out.Holders[:len(out.Holders)-1]
		out.More++
	}
	for size(out) > maxAnswer && len(out.Unread) > 1 {
		out.Unread = out.Unread[:len(out.Unread)-1]
	}
	return out, nil
}

type changeOut struct {
	Decision string         `json:"decision" jsonschema:"passed, failed, or unknown where something that could open or break a service is not known"`
	Counts   map[string]int `json:"findings" jsonschema:"findings by severity"`
	Worst    []findingOut   `json:"worst,omitempty"`
	More     int            `json:"more,omitempty" jsonschema:"findings that are in details only"`
	Unread   []string       `json:"unread,omitempty" jsonschema:"what is not known, and why"`
	Details  string         `json:"details"`
}

type findingOut struct {
	Rule     string   `json:"rule"`
	Severity string   `json:"severity"`
	Message  string   `json:"message"`
	Where    string   `json:"where,omitempty"`
	Fix      string   `json:"fix,omitempty"`
	Commands []string `json:"commands,omitempty"`
	HCL      string   `json:"terraform,omitempty"`
}

// shortFindings makes the short answer about a change from its report and the
// exit code.
func shortFindings(report []byte, code int, details string) (changeOut, error) {
	var f struct {
		Summary struct {
			BySeverity map[string]int `json:"bySeverity"`
			Unread     []string       `json:"unread"`
		} `json:"summary"`
		Findings []struct {
			findingOut
			Location struct {
				File    string `json:"file"`
				Line    int    `json:"line"`
				Address string `json:"address"`
			} `json:"location"`
			Fixes      []fixOut `json:"fixes"`
			Suppressed bool     `json:"suppressed"`
		} `json:"findings"`
	}
	if err := json.Unmarshal(report, &f); err != nil {
		return changeOut{}, err
	}
	out := changeOut{Decision: decisions[code], Counts: f.Summary.BySeverity, Unread: f.Summary.Unread, Details: details}
	for _, x := range f.Findings {
		if x.Suppressed {
			continue
		}
		one := x.findingOut
		if one.Where = x.Location.Address; x.Location.File != "" {
			one.Where = fmt.Sprintf("%s:%d", x.Location.File, x.Location.Line)
		}
		if len(x.Fixes) > 0 {
			fix := x.Fixes[0]
			one.Fix, one.Commands, one.HCL = fix.Summary, fix.Commands, fix.Terraform
		}
		out.Worst = append(out.Worst, one)
	}
	for size(out) > maxAnswer && len(out.Worst) > 1 {
		out.Worst = out.Worst[:len(out.Worst)-1]
		out.More++
	}
	for size(out) > maxAnswer && len(out.Unread) > 1 {
		out.Unread = out.Unread[:len(out.Unread)-1]
	}
	return out, nil
}

// decisions are what the exit codes of gate say.
var decisions = map[int]string{exitAllowed: "passed", exitDenied: "failed", exitOpen: "unknown"}

type tokenOut struct {
	Kind      string        `json:"kind"`
	Principal string        `json:"principal"`
	Issuer    string        `json:"issuer,omitempty"`
	Audience  []string      `json:"audience,omitempty"`
	IssuedAt  *time.Time    `json:"issuedAt,omitempty"`
	Expiry    *time.Time    `json:"expiry,omitempty"`
	Signature string        `json:"signature" jsonschema:"valid, invalid, or unknown where no keys were given"`
	Decision  string        `json:"decision" jsonschema:"allowed where Cloud Run would accept it"`
	Basis     string        `json:"basis"`
	Cause     string        `json:"cause,omitempty"`
	Assumed   []uncheckedAs `json:"assumptions,omitempty"`
}
