package checks

import (
	"fmt"
	"net/http"
	"slices"
)

// observe compares the observed answer with the verdict, nil where none was
// observed.
func (in *Invocation) observe(v *Verdict) *Observation {
	if !in.seen.known {
		return nil
	}
	o := &Observation{Status: in.seen.status, Author: in.wrote.who, AuthorBasis: in.wrote.basis,
		Source: in.seen.source, Time: in.seen.time, Note: in.seen.note}
	if in.seen.url != nil {
		o.URL = in.seen.url.String()
	}
	if in.seen.foreign {
		return o
	}
	o.Agrees = in.agreement(v, o)
	if o.Agrees != Agrees {
		o.Explanations = in.explain(v, o)
	}
	return o
}

// ofContainer are statuses that a container commonly has of its own, so that
// one whose author does not show is no disagreement.
var ofContainer = []int{http.StatusBadRequest, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusConflict,
	http.StatusGone, http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity, http.StatusInternalServerError}

// agreement compares the observed answer with the expected one.
func (in *Invocation) agreement(v *Verdict, o *Observation) Agreement {
	want := v.Expected
	same := false
	switch {
	case o.Author == googleAPI: // it judges another call
		return NotCompared
	case want == nil || o.Status == 0 && o.Author == "":
		return NotCompared
	case want.Status == 0 && o.Author == "" && slices.Contains(ofContainer, o.Status):
		return NotCompared
	case want.Status == 0:
		same = isContainer(o.Author) || o.Author == "" && o.Status < 400
	case o.Status == 0:
		same = o.Author == want.Author
	default:
		same = (o.Status == want.Status || slices.Contains(want.Also, o.Status)) && wroteIt(o.Author, want.Author)
	}
	if same {
		return Agrees
	}
	return Disagrees
}

// wroteIt reports whether an answer can be the expected author's. One whose
// author does not show can.
func wroteIt(observed, expected string) bool {
	return observed == "" || observed == expected || isContainer(observed) && isContainer(expected)
}

func (in *Invocation) logs(filter string) Command {
	words := []string{"logging", "read", filter, "--limit=5", "--format=json"}
	if in.name.Project != "" {
		words = append(words, "--project="+in.name.Project)
	}
	return gcloud(words...)
}

func (in *Invocation) requestLogs() Command {
	if in.gen1 {
		return in.logs(fmt.Sprintf(`resource.type="cloud_function" resource.labels.function_name=%q`, in.functionWord()))
	}
	const filter = `resource.type="cloud_run_revision" resource.labels.service_name=%q httpRequest.status>=400`
	return in.logs(fmt.Sprintf(filter, in.serviceWord()))
}

func (in *Invocation) auditLogs() Command {
	return in.logs(`log_id("cloudaudit.googleapis.com/policy") protoPayload.methodName="run.googleapis.com/HttpIngress"`)
}

// changeLogs reads who changed the policy of the target.
func (in *Invocation) changeLogs() Command {
	const filter = `log_id("cloudaudit.googleapis.com/activity") protoPayload.methodName:"SetIamPolicy" protoPayload.resourceName:%q`
	return in.logs(fmt.Sprintf(filter, or(in.name.ID, in.serviceWord())))
}

func (in *Invocation) balancerLogs() Command {
	return in.logs(`resource.type="http_load_balancer" jsonPayload.statusDetails:*`)
}
