package gather

import (
	"bufio"
	"bytes"
	"path/filepath"
	"runtime"
	"strings"

	"diagnose/internal/bounded"
)

// Defaults are the project and region that commands without flags use, where
// they come from, and who reads. Empty ones are set nowhere.
type Defaults struct {
	Project, ProjectFrom string
	Region, RegionFrom   string

	QuotaProject string // whose quota calls use
	Impersonate  string // e-mail of the service account to read as
	AccessToken  string // a secret: given to gcloud instead of credentials
}

// FindDefaults looks for project and region where gcloud does, in its order:
// environment variables, then the active configuration. GOOGLE_CLOUD_PROJECT,
// which the client libraries read, comes between the two. The project of
// Application Default Credentials is for the caller to fall back to.
// See https://docs.cloud.google.com/sdk/docs/properties.
func FindDefaults(getenv func(string) string) Defaults {
	var d Defaults
	file := readConfiguration(getenv)
	d.Project, d.ProjectFrom = firstSet(getenv, file, []string{"CLOUDSDK_CORE_PROJECT", "GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT"}, []string{"core/project"})
	d.Region, d.RegionFrom = firstSet(getenv, file, []string{"CLOUDSDK_RUN_REGION", "CLOUDSDK_FUNCTIONS_REGION"}, []string{"run/region", "functions/region"})
	d.QuotaProject, _ = firstSet(getenv, file,
		[]string{"CLOUDSDK_BILLING_QUOTA_PROJECT", "GOOGLE_CLOUD_QUOTA_PROJECT"}, []string{"billing/quota_project"})
	switch d.QuotaProject {
	case "CURRENT_PROJECT", "CURRENT_PROJECT_WITH_FALLBACK": // words of gcloud's
		d.QuotaProject = d.Project
	case "LEGACY":
		d.QuotaProject = ""
	}
	d.Impersonate, _ = firstSet(getenv, file,
		[]string{"CLOUDSDK_AUTH_IMPERSONATE_SERVICE_ACCOUNT"}, []string{"auth/impersonate_service_account"})
	d.AccessToken = strings.TrimSpace(getenv("CLOUDSDK_AUTH_ACCESS_TOKEN"))
	return d
}

func firstSet(getenv func(string) string, file map[string]string, variables, properties []string) (value, from string) {
	for _, v := range variables {
		if s := strings.TrimSpace(getenv(v)); s != "" {
			return s, v
		}
	}
	for _, p := range properties {
		if s := file[p]; s != "" {
			return s, "gcloud property " + p
		}
	}
	return "", ""
}

// maxConfiguration bounds a file of gcloud's configuration, in bytes.
const maxConfiguration = 1 << 20

// readConfiguration reads the properties of gcloud's active configuration.
// One that cannot be read has none.
func readConfiguration(getenv func(string) string) map[string]string {
	dir := configurationFolder(getenv)
	if dir == "" {
		return nil
	}
	name := getenv("CLOUDSDK_ACTIVE_CONFIG_NAME")
	if name == "" {
		if b, err := bounded.File(filepath.Join(dir, "active_config"), maxConfiguration); err == nil {
			name = strings.TrimSpace(string(b))
		}
	}
	if name == "" {
		name = "default"
	}
	if name != filepath.Base(name) {
		return nil
	}
	b, err := bounded.File(filepath.Join(dir, "configurations", "config_"+name), maxConfiguration)
	if err != nil {
		return nil
	}
	return properties(b)
}

func configurationFolder(getenv func(string) string) string {
	if dir := getenv("CLOUDSDK_CONFIG"); dir != "" {
		return dir
	}
	if runtime.GOOS == "windows" {
		if dir := getenv("APPDATA"); dir != "" {
			return filepath.Join(dir, "gcloud")
		}
		return ""
	}
	if home := getenv("HOME"); home != "" {
		return filepath.Join(home, ".config", "gcloud")
	}
	return ""
}

// properties reads the INI form of a configuration as "section/key".
func properties(b []byte) map[string]string {
	out, section := map[string]string{}, ""
	for sc := bufio.NewScanner(bytes.NewReader(b)); sc.Scan(); {
		line := strings.TrimSpace(sc.Text())
		if strings.HasPrefix(line, "[") && strings.HasSuffix(line, "]") {
			section = strings.TrimSpace(line[1 : len(line)-1])
			continue
		}
		if key, value, ok := strings.Cut(line, "="); ok && !strings.HasPrefix(line, "#") && !strings.HasPrefix(line, ";") {
			out[section+"/"+strings.TrimSpace(key)] = strings.TrimSpace(value)
		}
	}
	return out
}
