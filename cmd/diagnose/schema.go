package main

import (
	"strings"

	"github.com/spf13/cobra"

	"diagnose/internal/config"
	"diagnose/report"
)

// configSchema names the schema of diagnose.yaml among those of the outputs.
const configSchema = "config"

func (a *app) schemaCommand() *cobra.Command {
	names := append(report.Schemas(), configSchema)
	return &cobra.Command{
		Use: "schema NAME", Short: "The JSON Schema of an output, or of diagnose.yaml",
		Long:    "The JSON Schema of what --format json writes: " + strings.Join(report.Schemas(), ", ") + "; or of diagnose.yaml: " + configSchema + ".",
		Example: "  diagnose schema invoke\n  diagnose schema config > diagnose.schema.json",
		Args:    cobra.ExactArgs(1), ValidArgs: names,
		RunE: func(_ *cobra.Command, args []string) error {
			var schema []byte
			var err error
			if args[0] == configSchema {
				schema, err = config.Schema(configNames())
			} else if schema, err = report.Schema(args[0]); err != nil {
				return hint(err, near(args[0], names), "diagnose schema "+configSchema+" is that of diagnose.yaml")
			}
			if err != nil {
				return err
			}
			if a.output != "" {
				return writeFile(a.output, schema)
			}
			_, err = a.Stdout.Write(schema)
			return err
		},
	}
}
