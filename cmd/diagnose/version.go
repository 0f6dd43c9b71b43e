package main

import (
	"cmp"
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
			built := ""
			if info, ok := debug.ReadBuildInfo(); ok {
				for _, s := range info.Settings {
					if s.Key == "vcs.revision" || s.Key == "vcs.time" {
						built += " " + s.Value
					}
				}
			}
			_, err := fmt.Fprintf(a.Stdout, "diagnose %s%s, predefined roles of %s\n", release(), built, iam.TableDate())
			return err
		},
	}
}

// release is the version of this binary.
func release() string {
	v := version
	if info, ok := debug.ReadBuildInfo(); ok && v == "" {
		v = info.Main.Version
	}
	return cmp.Or(v, "(devel)")
}
