package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/tools/txtar"

	"diagnose/internal/capture"
)

func (a *app) captureCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "capture TARGET -o DIR|FILE.txtar",
		Short: "Save the live evidence as a case, secrets removed",
		Long: `Save everything that invoke reads about a target as a case that invoke and who
read again. Signatures, credentials, environment variables, secrets, images and
build configuration are removed before anything is written. Of a token the
decoded claims are kept and what became of its signature, and of a document that
could not be read the reason.`,
		Example: "  diagnose capture orders --region europe-west1 --token-file token.jwt -o orders.txtar --anonymize",
		Args: func(c *cobra.Command, args []string) error {
			if len(args) != 1 {
				return hint(errors.New("capture takes one target: a name, a resource name or a URL"), "diagnose capture orders --region europe-west1 -o orders.txtar")
			}
			return nil
		},
	}
	in := a.evidenceFlags(c)
	in.liveFlags(c)
	anonymize := c.Flags().Bool("anonymize", false, "replace projects, e-mails and names, each by the same made-up one everywhere")
	c.RunE = func(c *cobra.Command, args []string) error {
		if a.output == "" {
			return hint(errors.New("capture needs -o: a folder, or a file whose name ends in .txtar"), "diagnose capture "+args[0]+" -o case.txtar")
		}
		if a.format != "table" {
			return errors.New("capture writes a case, whatever --format says: leave it out")
		}
		s, err := in.snapshot(c.Context(), args)
		if err != nil {
			return err
		}
		files, err := capture.Case(s)
		if err != nil {
			return err
		}
		if *anonymize {
			files = capture.Anonymize(files)
		}
		if err := writeCase(a.output, files); err != nil {
			return err
		}
		a.say("wrote %s: %s", a.output, memberList(files))
		a.say("diagnose invoke %s judges it", a.output)
		return nil
	}
	return c
}

func memberList(files []txtar.File) string {
	var names []string
	for _, f := range files {
		names = append(names, f.Name)
	}
	return strings.Join(names, ", ")
}

// writeCase writes a case as one file or as a folder, whole or not at all.
func writeCase(name string, files []txtar.File) error {
	if strings.HasSuffix(name, ".txtar") {
		return writeFile(name, txtar.Format(&txtar.Archive{Files: files}))
	}
	if list, err := os.ReadDir(name); err == nil && len(list) > 0 {
		return fmt.Errorf("writing %s: the folder is not empty", name)
	}
	tmp, _, err := begin(func() (string, string, error) {
		dir, err := os.MkdirTemp(filepath.Dir(filepath.Clean(name)), ".diagnose-*")
		return dir, dir, err
	})
	if err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	defer os.RemoveAll(tmp)
	for _, f := range files {
		if err := os.WriteFile(filepath.Join(tmp, f.Name), f.Data, 0o644); err != nil {
			return fmt.Errorf("writing %s: %w", name, err)
		}
	}
	if err := os.Chmod(tmp, 0o755); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	os.Remove(name) // an empty folder of that name
	if err := replace(tmp, name); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	return nil
}
