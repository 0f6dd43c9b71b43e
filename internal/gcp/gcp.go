// Package gcp knows how Google Cloud spells things: the names of resources,
// the hosts of run.app and cloudfunctions.net, the e-mails of Google's own
// service accounts, the words of ingress, gcloud's commands and Terraform's
// resources. It is the only place that takes such strings apart or puts them
// together.
//
// The package reads no file, asks no network and imports nothing of this
// project. A part of a name that is not known is "", and never "-".
package gcp

// Words that stand for what is not known, as in Google's own documentation.
const (
	ProjectWord       = "PROJECT_ID"
	ProjectNumberWord = "PROJECT_NUMBER"
	RegionWord        = "REGION"
	ServiceURLWord    = "SERVICE_URL"
	AccountWord       = "SERVICE_ACCOUNT"
)

// The OAuth clients of Google's own tools: the audiences of the tokens of
// people who chose none. Source: gcloud's core/config.py, and google-auth.
const (
	GcloudClient = "32555940559.apps.googleusercontent.com"
	ADCClient    = "764086051850-6qr4p6gpi6hn506pt8ejuq83di341hur.apps.googleusercontent.com"
)

// OAuthClientSuffix ends the ID of every OAuth client of Google Cloud.
const OAuthClientSuffix = ".apps.googleusercontent.com"

// or returns the first of two strings that is not empty.
func or(s, word string) string {
	if s == "" {
		return word
	}
	return s
}
