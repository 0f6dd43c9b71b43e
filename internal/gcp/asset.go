package gcp

import (
	"slices"
	"strings"
)

// The hosts that start full resource names:
// https://docs.cloud.google.com/iam/docs/full-resource-names.
const (
	RunAPI             = "run.googleapis.com"
	FunctionsAPI       = "cloudfunctions.googleapis.com"
	ResourceManagerAPI = "cloudresourcemanager.googleapis.com"
	IAMAPI             = "iam.googleapis.com"
	IAPAPI             = "iap.googleapis.com"
	SchedulerAPI       = "cloudscheduler.googleapis.com"
	TasksAPI           = "cloudtasks.googleapis.com"
	PubSubAPI          = "pubsub.googleapis.com"
	EventarcAPI        = "eventarc.googleapis.com"
	WorkflowsAPI       = "workflows.googleapis.com"
)

// The asset types that can matter to an invocation, by
// https://docs.cloud.google.com/asset-inventory/docs/asset-types.
// iam.googleapis.com/DenyPolicy is read where a file has it and is no type
// that the API knows: a request that names it fails as a whole.
const (
	ServiceAsset              = RunAPI + "/Service"
	DomainMappingAsset        = RunAPI + "/DomainMapping"
	FunctionAsset             = FunctionsAPI + "/Function"
	Gen1FunctionAsset         = FunctionsAPI + "/CloudFunction"
	ProjectAsset              = ResourceManagerAPI + "/Project"
	FolderAsset               = ResourceManagerAPI + "/Folder"
	OrganizationAsset         = ResourceManagerAPI + "/Organization"
	RoleAsset                 = IAMAPI + "/Role"
	ServiceAccountAsset       = IAMAPI + "/ServiceAccount"
	DenyPolicyAsset           = IAMAPI + "/DenyPolicy"
	TriggerAsset              = EventarcAPI + "/Trigger"
	JobAsset                  = SchedulerAPI + "/Job"
	SubscriptionAsset         = PubSubAPI + "/Subscription"
	TopicAsset                = PubSubAPI + "/Topic"
	QueueAsset                = TasksAPI + "/Queue"
	BackendServiceAsset       = "compute.googleapis.com/BackendService"
	RegionBackendServiceAsset = "compute.googleapis.com/RegionBackendService"
	EndpointGroupAsset        = "compute.googleapis.com/NetworkEndpointGroup"
)

// A collection says what the resources of one collection are.
type collection struct {
	host, name, asset string
	located           bool   // its names have a location
	word              string // stands for an ID that is not known
	also              bool   // a name without a host is not of this collection
}

// collections lists what ParseName knows by name.
var collections = []collection{
	{RunAPI, "services", ServiceAsset, true, "SERVICE", false},
	{FunctionsAPI, "functions", FunctionAsset, true, "FUNCTION", false},
	{IAPAPI, "services", "", true, "SERVICE", true},
	{RunAPI, "jobs", RunAPI + "/Job", true, "JOB", true},
	{RunAPI, "workerPools", RunAPI + "/WorkerPool", true, "WORKER_POOL", false},
	{RunAPI, "domainmappings", DomainMappingAsset, true, "DOMAIN", false},
	{EventarcAPI, "triggers", TriggerAsset, true, "TRIGGER", false},
	{WorkflowsAPI, "workflows", "", true, "WORKFLOW", false},
	{SchedulerAPI, "jobs", JobAsset, true, "JOB", true},
	{TasksAPI, "queues", QueueAsset, true, "QUEUE", false},
	{PubSubAPI, "subscriptions", SubscriptionAsset, false, "SUBSCRIPTION", false},
	{PubSubAPI, "topics", TopicAsset, false, "TOPIC", false},
	{IAMAPI, "serviceAccounts", ServiceAccountAsset, false, AccountWord, false},
	{IAMAPI, "roles", RoleAsset, false, "ROLE", false},
	{ResourceManagerAPI, "projects", ProjectAsset, false, ProjectWord, false},
	{ResourceManagerAPI, "folders", FolderAsset, false, "FOLDER_ID", false},
	{ResourceManagerAPI, "organizations", OrganizationAsset, false, "ORGANIZATION_ID", false},
}

// of returns what is known of a name's collection. Without a host it is the
// one collection that such a name can be of.
func (n Name) of() (collection, bool) {
	i := slices.IndexFunc(collections, func(c collection) bool {
		if n.Host == "" {
			// A project's services of Service Usage are named without location.
			return c.name == n.Collection && !c.also && (n.Project == "" || n.Node() || c.located == (n.Location != ""))
		}
		return c.name == n.Collection && c.host == n.Host
	})
	if i < 0 {
		return collection{}, false
	}
	return collections[i], true
}

// ExportAssets is the command that writes one kind of content of Cloud Asset
// Inventory ("resource", "iam-policy") of a node ("organizations/1") and what
// is below it. A top that is no node gives a placeholder.
func ExportAssets(top, content string) string {
	scope := "--organization=ORGANIZATION_ID"
	if kind, id, ok := strings.Cut(top, "/"); ok {
		scope = "--" + strings.TrimSuffix(kind, "s") + "=" + id
	}
	return "gcloud asset export " + scope + " --content-type=" + content + " --output-path=gs://BUCKET/" + content
}
