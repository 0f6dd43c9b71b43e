// Package capture writes evidence as a case: the documents that evidence.Load
// reads, without what nobody needs to judge an invocation and nobody should
// find in a file: signatures, credentials, environment variables, secrets,
// images and build configuration.
package capture

import (
	"golang.org/x/tools/txtar"

	"diagnose/internal/evidence"
)

// Case returns the documents of a case with what a snapshot knows. What is
// unknown is left out, and so unknown again when the case is read. A token
// becomes its decoded header and claims, so that its signature is unknown
// there. Its errors name the document.
func Case(s evidence.Snapshot) ([]txtar.File, error) {
	s.IAPSettings = withoutSecrets(s.IAPSettings)
	var files []txtar.File
	for _, d := range evidence.Documents {
		data, err := d.Written(s)
		if err != nil {
			return nil, err
		}
		if data != nil {
			files = append(files, txtar.File{Name: d.Names[0], Data: data})
		}
	}
	return files, nil
}
