package checks

import (
	"fmt"
	"strings"

	"diagnose/internal/gcp"
)

// terraformResource writes a Terraform resource. Its label shows what it is
// about and differs wherever an argument does, so that two of them can stand
// in one file.
func terraformResource(kind, name string, arguments ...gcp.Argument) string {
	return gcp.Resource(kind, terraformLabel(name, arguments), arguments...)
}

func terraformLabel(name string, arguments []gcp.Argument) string {
	identity := make([]string, len(arguments))
	for i, a := range arguments {
		identity[i] = fmt.Sprint(a.Name, "=", a.Value)
	}
	return gcp.Label(name, identity...)
}

// terraformAttribute writes one argument, and in a comment the resource that
// it belongs to.
func terraformAttribute(of, name string, value any) string {
	return "# in " + strings.Join(strings.Fields(of), " ") + "\n" + gcp.Attribute(name, value)
}
