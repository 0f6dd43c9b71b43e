// Command export writes a generated asset export, for benchmarks.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"os"

	"diagnose/internal/inventory/generate"
)

func main() {
	lines := flag.Int("lines", 800_000, "lines to write, at least")
	flag.Parse()
	if err := write(*lines); err != nil {
		fmt.Fprintln(os.Stderr, "export:", err)
		os.Exit(1)
	}
}

// write writes organizations, one behind the other, until there are enough
// lines: making one of them at a time bounds the memory.
func write(lines int) error {
	w := bufio.NewWriterSize(os.Stdout, 1<<20)
	for seed, n := uint64(1), 0; n < lines; seed++ {
		part, _ := generate.Organization(generate.Options{Seed: seed, Projects: 100, Services: 1000, Noise: 48_000})
		for _, l := range part {
			if _, err := w.Write(append(l, '\n')); err != nil {
				return err
			}
		}
		n += len(part)
	}
	return w.Flush()
}
