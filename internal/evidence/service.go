package evidence

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"cloud.google.com/go/run/apiv2/runpb"
)

func readService(s *Snapshot, src Source, data []byte) error {
	if err := refusal(data); err != nil {
		s.Service = Unknown[*runpb.Service](err, src)
		return nil
	}
	doc, err := toJSON(data)
	if err != nil {
		return err
	}
	if doc, err = single(doc); err != nil {
		return err
	}
	svc, err := ParseService(doc)
	if err != nil {
		return err
	}
	if m, _ := object(doc); m["apiVersion"] != nil {
		src.Form = Knative
	}
	s.Service = Known(svc, src)
	return nil
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
		return nil, errors.New("is no JSON object")
	}
	if form.APIVersion != nil {
		return knativeService(doc)
	}
	svc := &runpb.Service{}
	if err := decode(doc, svc, "etag", "template", "buildConfig", "createTime", "updateTime", "binaryAuthorization", "scaling"); err != nil {
		return nil, err
	}
	return svc, nil
}

// knative are the fields of a Knative service that speak of invocation.
type knative struct {
	Metadata struct {
		Name              string            `json:"name"`
		Namespace         json.RawMessage   `json:"namespace"`
		Labels            map[string]string `json:"labels"`
		Annotations       map[string]any    `json:"annotations"`
		DeletionTimestamp string            `json:"deletionTimestamp"`
	} `json:"metadata"`
	Spec struct {
		Traffic []knativeTraffic `json:"traffic"`
	} `json:"spec"`
	Status struct {
		URL                       string           `json:"url"`
		LatestReadyRevisionName   string           `json:"latestReadyRevisionName"`
		LatestCreatedRevisionName string           `json:"latestCreatedRevisionName"`
		Traffic                   []knativeTraffic `json:"traffic"`
		Conditions                []struct {
			Type, Status, Reason, Message string
		} `json:"conditions"`
	} `json:"status"`
}

type knativeTraffic struct {
	Tag            string `json:"tag"`
	URL            string `json:"url"`
	RevisionName   string `json:"revisionName"`
	Percent        int32  `json:"percent"`
	LatestRevision bool   `json:"latestRevision"`
}

var ingressAnnotation = map[string]runpb.IngressTraffic{
	"all": runpb.IngressTraffic_INGRESS_TRAFFIC_ALL, "internal": runpb.IngressTraffic_INGRESS_TRAFFIC_INTERNAL_ONLY,
	"internal-and-cloud-load-balancing": runpb.IngressTraffic_INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER,
	"none":                              runpb.IngressTraffic_INGRESS_TRAFFIC_NONE,
}

// annotationPrefix starts the annotations of Cloud Run.
const annotationPrefix = "run.googleapis.com/"

func knativeService(doc []byte) (*runpb.Service, error) {
	var k knative
	if err := json.Unmarshal(doc, &k); err != nil {
		var t *json.UnmarshalTypeError
		if errors.As(err, &t) {
			return nil, fmt.Errorf("field %s has an unexpected form; expected a Knative service", t.Field)
		}
		return nil, errors.New("does not fit a Knative service")
	}
	note := func(name string) string {
		switch v := k.Metadata.Annotations[annotationPrefix+name].(type) {
		case nil:
			return ""
		case string:
			return v
		default:
			return fmt.Sprint(v) // people write booleans without quotes
		}
	}
	svc := &runpb.Service{
		Uri: k.Status.URL, LatestReadyRevision: k.Status.LatestReadyRevisionName, LatestCreatedRevision: k.Status.LatestCreatedRevisionName,
		InvokerIamDisabled: truth(note("invoker-iam-disabled")), DefaultUriDisabled: truth(note("default-url-disabled")), IapEnabled: truth(note("iap-enabled")),
	}
	namespace, location := strings.Trim(string(k.Metadata.Namespace), `"`), k.Metadata.Labels["cloud.googleapis.com/location"]
	if namespace == "" || namespace == "null" {
		namespace = "-"
	}
	if location == "" {
		location = "-"
	}
	svc.Name = fmt.Sprintf("projects/%s/locations/%s/services/%s", namespace, location, k.Metadata.Name)
	ingress := note("ingress-status") // the effective one
	if ingress == "" {
		ingress = note("ingress")
	}
	if i, ok := ingressAnnotation[strings.ToLower(ingress)]; ok {
		svc.Ingress = i
	} else if ingress != "" {
		return nil, fmt.Errorf("annotation %singress must be all, internal, internal-and-cloud-load-balancing or none", annotationPrefix)
	}
	for name, list := range map[string]*[]string{"custom-audiences": &svc.CustomAudiences, "urls": &svc.Urls} {
		if text := note(name); text != "" && json.Unmarshal([]byte(text), list) != nil {
			return nil, fmt.Errorf(`annotation %s%s must be a JSON list of strings, as '["a","b"]'`, annotationPrefix, name)
		}
	}
	svc.Traffic, svc.TrafficStatuses = trafficOf(k)
	svc.TerminalCondition = readyOf(k)
	return svc, nil
}

// truth reads the booleans of annotations, which gcloud writes as True and the
// documentation as 'true'.
func truth(s string) bool {
	b, err := strconv.ParseBool(strings.ToLower(s))
	return err == nil && b
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
		targets = append(targets, &runpb.TrafficTarget{Type: kind(t), Revision: revision, Percent: t.Percent, Tag: t.Tag})
	}
	for _, t := range k.Status.Traffic {
		statuses = append(statuses, &runpb.TrafficTargetStatus{Type: kind(t), Revision: t.RevisionName, Percent: t.Percent, Tag: t.Tag, Uri: t.URL})
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
