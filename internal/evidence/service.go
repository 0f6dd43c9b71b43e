package evidence

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	"cloud.google.com/go/run/apiv2/runpb"
	"google.golang.org/genproto/googleapis/api"
	"google.golang.org/protobuf/types/known/timestamppb"

	"diagnose/internal/gcp"
)

func readService(s *Snapshot, src Source, data []byte) error {
	err := into(&s.Service, src, data, func(doc []byte) (*runpb.Service, error) {
		doc, err := single(doc)
		if err != nil {
			return nil, err
		}
		if m, _ := object(doc); m["apiVersion"] != nil {
			src.Form = Knative
		}
		return ParseService(doc)
	})
	s.Service.Source = src
	return err
}

// ParseService reads a Cloud Run service as the v2 API prints it, or as a
// Knative document, which gcloud prints and people write.
func ParseService(doc []byte) (*runpb.Service, error) {
	if err := require(doc, "service"); err != nil {
		return nil, err
	}
	return DecodeService(doc)
}

// DecodeService is ParseService for a document that is known to be a service,
// as one of an asset inventory is.
func DecodeService(doc []byte) (*runpb.Service, error) {
	var form struct {
		APIVersion json.RawMessage
	}
	if err := json.Unmarshal(doc, &form); err != nil {
		return nil, errors.New("is not a JSON object")
	}
	if form.APIVersion != nil {
		return knativeService(doc)
	}
	m, err := object(doc)
	if err != nil {
		return nil, err
	}
	for _, k := range switches {
		if err := plainBoolean(m, k); err != nil {
			return nil, err
		}
	}
	m["template"] = callerTemplate(m["template"])
	if doc, err = json.Marshal(m); err != nil {
		return nil, err
	}
	svc := &runpb.Service{}
	if err := decode(doc, svc, "etag", "buildConfig", "createTime", "updateTime", "binaryAuthorization", "scaling"); err != nil {
		return nil, err
	}
	if n, ok := gcp.ParseName(svc.GetName()); ok && n.Collection != "" && n.Collection != "services" {
		return nil, fmt.Errorf("is not a Cloud Run service: its name %q is one of %s", svc.GetName(), n.Collection)
	}
	return svc, nil
}

// switches are the booleans of a service that decide who gets in.
var switches = []string{"invokerIamDisabled", "defaultUriDisabled", "iapEnabled"}

// plainBoolean replaces a boolean that is spelt as a text, and refuses what is
// none: it must not count as false.
func plainBoolean(m map[string]json.RawMessage, key string) error {
	var text string
	if m[key] == nil || json.Unmarshal(m[key], &text) != nil || string(m[key]) == "null" {
		return nil // absent, a boolean, or refused by the message
	}
	b, ok := Truth(text)
	if !ok {
		return fmt.Errorf("field %s must be true or false", key)
	}
	m[key] = json.RawMessage(strconv.FormatBool(b))
	return nil
}

// callerTemplate keeps of a template what says as whom the service calls
// others. All else of it can be newer than the message and says nothing of
// who calls the service.
func callerTemplate(raw json.RawMessage) json.RawMessage {
	var t struct {
		ServiceAccount string            `json:"serviceAccount,omitempty"`
		Annotations    map[string]string `json:"annotations,omitempty"`
	}
	if json.Unmarshal(raw, &t) != nil || t.ServiceAccount == "" && len(t.Annotations) == 0 {
		return json.RawMessage("null")
	}
	out, _ := json.Marshal(t) // texts alone: it cannot fail
	return out
}

// knative are the fields of a Knative service that speak of invocation.
type knative struct {
	Metadata struct {
		Name              word
		Namespace         word
		Labels            map[string]word
		Annotations       map[string]word
		DeletionTimestamp time.Time
	}
	Spec struct {
		Traffic  []knativeTraffic
		Template struct {
			Metadata struct{ Annotations map[string]any }
			Spec     struct{ ServiceAccountName string }
		}
	}
	Status struct {
		URL                       string
		LatestReadyRevisionName   string
		LatestCreatedRevisionName string
		Traffic                   []knativeTraffic
		Conditions                []struct {
			Type, Status, Reason, Message string
		}
	}
}

type knativeTraffic struct {
	Tag            string
	URL            string
	RevisionName   string
	Percent        number
	LatestRevision bool
}

// annotationPrefix starts the annotations of Cloud Run.
const annotationPrefix = "run.googleapis.com/"

func knativeService(doc []byte) (*runpb.Service, error) {
	var k knative
	if err := json.Unmarshal(doc, &k); err != nil {
		return nil, fits(err, "a Knative service")
	}
	svc := &runpb.Service{
		Name: knativeName(k), Uri: k.Status.URL,
		LatestReadyRevision: k.Status.LatestReadyRevisionName, LatestCreatedRevision: k.Status.LatestCreatedRevisionName,
		Client: k.note("client-name"), ClientVersion: k.note("client-version"),
		LaunchStage: api.LaunchStage(api.LaunchStage_value[strings.ToUpper(k.note("launch-stage"))]),
		Labels:      k.ownLabels(), Annotations: identityNotes(wordsOf(k.Metadata.Annotations)),
	}
	if t := k.Metadata.DeletionTimestamp; !t.IsZero() {
		svc.DeleteTime = timestamppb.New(t)
	}
	// The first is the effective one.
	ingress := strings.ToLower(cmp.Or(k.note("ingress-status"), k.note("ingress")))
	if i := gcp.ParseIngress(ingress); i.Annotation() == ingress {
		svc.Ingress = runpb.IngressTraffic(runpb.IngressTraffic_value[i.Run()])
	} else {
		return nil, fmt.Errorf("annotation %singress must be all, internal, internal-and-cloud-load-balancing or none", annotationPrefix)
	}
	if err := k.switches(svc); err != nil {
		return nil, err
	}
	for name, list := range map[string]*[]string{"custom-audiences": &svc.CustomAudiences, "urls": &svc.Urls} {
		if text := k.note(name); text != "" && json.Unmarshal([]byte(text), list) != nil {
			return nil, fmt.Errorf(`annotation %s%s must be a JSON list of strings, as '["a","b"]'`, annotationPrefix, name)
		}
	}
	svc.Template = k.template()
	svc.Traffic, svc.TrafficStatuses = trafficOf(k)
	svc.TerminalCondition = readyOf(k)
	return svc, nil
}

// note returns an annotation of Cloud Run, "" where it is not set or null.
func (k knative) note(name string) string {
	return string(k.Metadata.Annotations[annotationPrefix+name])
}

// switches reads the annotations that decide who gets in. A word that is no
// boolean is an error: it must not count as false.
func (k knative) switches(svc *runpb.Service) error {
	for name, field := range map[string]*bool{"invoker-iam-disabled": &svc.InvokerIamDisabled,
		"default-url-disabled": &svc.DefaultUriDisabled, "iap-enabled": &svc.IapEnabled} {
		text := k.note(name)
		if text == "" {
			continue
		}
		b, ok := Truth(text)
		if !ok {
			return fmt.Errorf("annotation %s%s must be 'true' or 'false'", annotationPrefix, name)
		}
		*field = b
	}
	return nil
}

func knativeName(k knative) string {
	return fmt.Sprintf("projects/%s/locations/%s/services/%s", cmp.Or(string(k.Metadata.Namespace), "-"),
		cmp.Or(string(k.Metadata.Labels[locationLabel]), "-"), k.Metadata.Name)
}

// locationLabel says where a Knative service runs.
const locationLabel = "cloud.googleapis.com/location"

// ownLabels are the labels that the v2 message has: without those of the
// Knative form itself.
func (k knative) ownLabels() map[string]string {
	out := wordsOf(k.Metadata.Labels)
	maps.DeleteFunc(out, func(name, _ string) bool {
		return strings.HasPrefix(name, "cloud.googleapis.com/") || strings.HasPrefix(name, annotationPrefix)
	})
	if len(out) == 0 {
		return nil
	}
	return out
}

func (k knative) template() *runpb.RevisionTemplate {
	t, notes := k.Spec.Template, map[string]string{}
	for name, v := range t.Metadata.Annotations {
		if text, ok := v.(string); ok {
			notes[name] = text
		}
	}
	if t.Spec.ServiceAccountName == "" && identityNotes(notes) == nil {
		return nil
	}
	return &runpb.RevisionTemplate{ServiceAccount: t.Spec.ServiceAccountName, Annotations: identityNotes(notes)}
}

// identityNote is the annotation of the kind of identity that a service calls
// others with.
const identityNote = annotationPrefix + "identity-type"

// identityNotes keeps of annotations the one of the identity, nil without it.
func identityNotes(in map[string]string) map[string]string {
	if v := in[identityNote]; v != "" {
		return map[string]string{identityNote: v}
	}
	return nil
}

// AgentIdentity reports whether a service calls others with an agent identity,
// whose ID tokens Cloud Run does not take. It is said on the service or on its
// template.
//
// https://docs.cloud.google.com/run/docs/ai/authenticate-agents
func AgentIdentity(svc *runpb.Service) bool {
	return cmp.Or(svc.GetTemplate().GetAnnotations()[identityNote], svc.GetAnnotations()[identityNote]) == "agent-identity"
}

func trafficOf(k knative) (targets []*runpb.TrafficTarget, statuses []*runpb.TrafficTargetStatus) {
	kind := func(t knativeTraffic) runpb.TrafficTargetAllocationType {
		if t.RevisionName != "" && !t.LatestRevision {
			return runpb.TrafficTargetAllocationType_TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION
		}
		return runpb.TrafficTargetAllocationType_TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST
	}
	for _, t := range k.Spec.Traffic {
		revision := t.RevisionName
		if t.LatestRevision {
			revision = ""
		}
		targets = append(targets, &runpb.TrafficTarget{Type: kind(t), Revision: revision, Percent: int32(t.Percent), Tag: t.Tag})
	}
	for _, t := range k.Status.Traffic {
		statuses = append(statuses, &runpb.TrafficTargetStatus{Type: kind(t), Revision: t.RevisionName, Percent: int32(t.Percent), Tag: t.Tag, Uri: t.URL})
	}
	return targets, statuses
}

var conditionStates = map[string]runpb.Condition_State{
	"True": runpb.Condition_CONDITION_SUCCEEDED, "False": runpb.Condition_CONDITION_FAILED, "Unknown": runpb.Condition_CONDITION_RECONCILING,
}

func readyOf(k knative) *runpb.Condition {
	for _, c := range k.Status.Conditions {
		if c.Type == "Ready" {
			return &runpb.Condition{Type: c.Type, State: conditionStates[c.Status], Message: c.Message}
		}
	}
	return nil
}
