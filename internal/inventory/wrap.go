package inventory

import (
	"encoding/base64"
	"encoding/json"
	"fmt"

	"diagnose/internal/evidence"
)

// A wrapped is an asset inside of something else: an answer of the REST API, a
// message of a feed, its envelope of Pub/Sub.
type wrapped struct {
	object json.RawMessage
	message
}

// unwrap lists what an object has inside, and whether it is a wrapping at all:
// an answer of the REST API may have nothing in it.
// https://docs.cloud.google.com/asset-inventory/docs/reference/rest/v1/TopLevel/list
func unwrap(m object, c message) (list []wrapped, ok bool) {
	for _, key := range []string{"assets", "results", "receivedMessages"} {
		var values []json.RawMessage
		if isNull(m[key]) || json.Unmarshal(m[key], &values) != nil {
			continue
		}
		inside := c
		if key == "results" {
			inside.origin = searched
		}
		for _, v := range values {
			list = append(list, wrapped{v, inside})
		}
		return list, true
	}
	if len(m["asset"]) > 0 && m["asset"][0] == '{' {
		return []wrapped{{m["asset"], temporal(m, c)}}, true
	}
	if len(m["message"]) > 0 && m["message"][0] == '{' {
		c.origin = fed
		return []wrapped{{m["message"], c}}, true
	}
	if either(m, "messageId", "message_id", "attributes", "publishTime") != nil || c.origin == fed {
		if data, err := base64.StdEncoding.DecodeString(str(m["data"])); err == nil && json.Valid(data) {
			c.origin = fed
			return []wrapped{{data, c}}, true
		}
	}
	return nil, len(m) == 0 || either(m, "readTime", "read_time") != nil
}

// temporal reads what a TemporalAsset says of its asset.
// https://docs.cloud.google.com/asset-inventory/docs/reference/rest/v1/TopLevel/batchGetAssetsHistory
func temporal(m object, c message) message {
	c.origin = fed
	if json.Unmarshal(m["deleted"], &c.deleted) != nil {
		c.deleted = false
	}
	var window object
	if json.Unmarshal(m["window"], &window) == nil {
		if at := moment(str(either(window, "startTime", "start_time"))); at.After(c.at) {
			c.at = at
		}
	}
	return c
}

// A page is what kind of content an answer of the REST API has, and whether
// another one follows.
type page struct{ content, next string }

func pageOf(m object) (page, bool) {
	if m["assets"] == nil && m["results"] == nil && m["readTime"] == nil {
		return page{}, false
	}
	var first []object
	if json.Unmarshal(either(m, "assets", "results"), &first) != nil || len(first) == 0 {
		return page{"", str(m["nextPageToken"])}, true
	}
	content := "resources"
	if either(first[0], "iamPolicy", "iam_policy", "policy") != nil {
		content = "IAM policies"
	}
	return page{content, str(m["nextPageToken"])}, true
}

// foreign says what an input is that has no asset.
func (s *source) foreign() string {
	const gives = "gcloud asset export --organization=ORGANIZATION_ID --content-type=resource (and iam-policy) writes one"
	var m object
	err := json.Unmarshal(s.head, &m)
	kind, _ := evidence.Kind(s.head)
	switch {
	case err == nil && either(m, "mainAnalysis", "analysisResults") != nil:
		kind = "an answer of gcloud asset analyze-iam-policy, which names who has access and not what stands above"
	case kind == "" && err == nil:
		kind = "JSON of another kind"
	case kind == "" && json.Valid(s.head):
		kind = "JSON that has no objects"
	case kind == "":
		kind = "text"
	}
	return fmt.Sprintf("%s is not an asset inventory: it is %s; %s", s.shown(), kind, gives)
}

// shown names an input in a sentence.
func (s *source) shown() string {
	if s.name == "-" {
		return "standard input"
	}
	return s.name
}
