package checks

import (
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

// Shows says what an observed answer shows of the invocation: one of the
// container was allowed, and a refusal of the front end or of IAP denied. It is
// Undetermined where nothing was observed, or who answered does not show.
func (o *Observation) Shows() Decision {
	switch {
	case o == nil:
		return Undetermined
	case isContainer(o.Author):
		return Allowed
	case (o.Author == frontEnd || o.Author == iapAuthor) && (o.Status >= 400 || o.Author == iapAuthor):
		return Denied
	}
	return Undetermined
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
