package main

import (
	"fmt"
	"runtime/debug"

	"github.com/spf13/cobra"

	"diagnose/internal/iam"
)

// version is set by the linker for a release.
var version = ""

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "The version of diagnose and of its role table", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			v, revision := version, ""
			if info, ok := debug.ReadBuildInfo(); ok {
				if v == "" {
					v = info.Main.Version
				}
				for _, s := range info.Settings {
					if s.Key == "vcs.revision" {
						revision = " " + s.Value
					}
				}
			}
			if v == "" {
				v = "(devel)"
			}
			_, err := fmt.Fprintf(a.Stdout, "diagnose %s%s, predefined roles of %s\n", v, revision, iam.TableDate())
			return err
		},
	}
}
