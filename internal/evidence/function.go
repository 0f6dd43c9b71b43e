package evidence

import (
	"encoding/json"
	"errors"
	"strings"

	"cloud.google.com/go/functions/apiv2/functionspb"
)

func readFunction(s *Snapshot, src Source, data []byte) error {
	err := into(&s.Function, src, data, func(doc []byte) (Function, error) {
		doc, err := single(doc)
		if err != nil {
			return Function{}, err
		}
		if m, _ := object(doc); gen1(m) {
			src.Form = Gen1
		}
		return ParseFunction(doc)
	})
	s.Function.Source = src
	return err
}

// ParseFunction reads a function as the v2 API prints it, or as the gen1 API
// does, which becomes a v2 message of environment GEN_1.
func ParseFunction(doc []byte) (Function, error) {
	if err := require(doc, "function"); err != nil {
		return Function{}, err
	}
	m, err := object(doc)
	if err != nil {
		return Function{}, err
	}
	if gen1(m) {
		return gen1Function(doc)
	}
	fn := &functionspb.Function{}
	if err := decode(doc, fn, "buildConfig", "createTime", "updateTime"); err != nil {
		return Function{}, err
	}
	if fn.GetEnvironment() == functionspb.Environment_ENVIRONMENT_UNSPECIFIED && fn.GetServiceConfig().GetService() != "" {
		fn.Environment = functionspb.Environment_GEN_2
	}
	var extra struct {
		UpgradeInfo struct{ UpgradeState string }
	}
	if err := json.Unmarshal(doc, &extra); err != nil {
		return Function{}, errors.New("upgradeInfo has an unexpected form")
	}
	f := Function{Function: fn, UpgradeState: extra.UpgradeInfo.UpgradeState}
	f.EventOnly = fn.GetEnvironment() == functionspb.Environment_GEN_1 && fn.GetEventTrigger() != nil && fn.GetUrl() == ""
	return f, nil
}

// gen1 reports whether a document is a function of the v1 API.
func gen1(m map[string]json.RawMessage) bool {
	for _, k := range []string{"environment", "serviceConfig", "buildConfig", "state"} {
		if _, ok := m[k]; ok {
			return false
		}
	}
	return true
}

// cloudFunction are the fields of a v1 function that speak of invocation.
type cloudFunction struct {
	Name, Status, IngressSettings, ServiceAccountEmail string
	HTTPSTrigger                                       *struct{ URL, SecurityLevel string }
	EventTrigger                                       *struct{ EventType, Resource, Service string }
}

// states maps the status of v1 to the state of v2.
var states = map[string]functionspb.Function_State{
	"ACTIVE": functionspb.Function_ACTIVE, "OFFLINE": functionspb.Function_FAILED,
	"DEPLOY_IN_PROGRESS": functionspb.Function_DEPLOYING, "DELETE_IN_PROGRESS": functionspb.Function_DELETING,
}

func gen1Function(doc []byte) (Function, error) {
	var c cloudFunction
	if err := json.Unmarshal(doc, &c); err != nil {
		return Function{}, fits(err, "a function")
	}
	sc := &functionspb.ServiceConfig{ServiceAccountEmail: c.ServiceAccountEmail}
	sc.IngressSettings = functionspb.ServiceConfig_IngressSettings(functionspb.ServiceConfig_IngressSettings_value[c.IngressSettings])
	fn := &functionspb.Function{Name: c.Name, Environment: functionspb.Environment_GEN_1, ServiceConfig: sc, State: states[c.Status]}
	if c.HTTPSTrigger != nil {
		fn.Url = c.HTTPSTrigger.URL
		sc.SecurityLevel = functionspb.ServiceConfig_SecurityLevel(functionspb.ServiceConfig_SecurityLevel_value[c.HTTPSTrigger.SecurityLevel])
	}
	if c.EventTrigger != nil {
		fn.EventTrigger = &functionspb.EventTrigger{EventType: c.EventTrigger.EventType, Service: c.EventTrigger.Service}
		if strings.Contains(c.EventTrigger.Resource, "/topics/") {
			fn.EventTrigger.PubsubTopic = c.EventTrigger.Resource
		}
	}
	return Function{Function: fn, EventOnly: c.HTTPSTrigger == nil && c.EventTrigger != nil}, nil
}
