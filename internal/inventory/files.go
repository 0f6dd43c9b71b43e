package inventory

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// expand lists the files of folders and patterns, each file once.
func expand(inputs []string) ([]string, error) {
	var out []string
	seen := map[string]bool{}
	add := func(name string) {
		if clean := filepath.Clean(name); !seen[clean] {
			seen[clean] = true
			out = append(out, name)
		}
	}
	for _, in := range inputs {
		if _, err := os.Stat(in); in == "-" || err == nil {
			if err := walk(in, add); err != nil {
				return nil, err
			}
			continue
		} else if found, bad := filepath.Glob(in); bad != nil || len(found) == 0 {
			return nil, fmt.Errorf("--export: %w", err)
		} else {
			for _, f := range found {
				if err := walk(f, add); err != nil {
					return nil, err
				}
			}
		}
	}
	return out, nil
}

// walk adds a file, or the files of a folder. Those that start with a dot are
// left out; links are followed to files, not to folders.
func walk(name string, add func(string)) error {
	if info, err := os.Stat(name); name == "-" || err == nil && !info.IsDir() {
		add(name)
		return nil
	}
	return filepath.WalkDir(name, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasPrefix(d.Name(), ".") {
			return err
		}
		if info, err := os.Stat(p); err != nil {
			return err
		} else if info.Mode().IsRegular() {
			add(p)
		}
		return nil
	})
}

// counter counts bytes as they come from the file.
type counter struct {
	in io.Reader
	r  *reader
}

func (c *counter) Read(p []byte) (int, error) {
	if err := c.r.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := c.in.Read(p)
	c.r.read(int64(n))
	return n, err
}

// readAhead is how much is read of a compressed or re-encoded file at once.
const readAhead = 256 << 10

// text reads a file's text: decompressed, by its first bytes, and in UTF-8.
// PowerShell writes UTF-16 when the output of a command is redirected.
func text(in io.Reader) (*bufio.Reader, error) {
	b := bufio.NewReaderSize(in, readAhead)
	plain, err := decompress(b)
	if err != nil {
		return nil, err
	}
	head, _ := plain.Peek(4)
	order, utf16 := unicode.LittleEndian, true
	switch {
	case bytes.HasPrefix(head, []byte{0xff, 0xfe}), len(head) == 4 && head[0] != 0 && head[1] == 0 && head[3] == 0:
	case bytes.HasPrefix(head, []byte{0xfe, 0xff}), len(head) == 4 && head[0] == 0 && head[1] != 0 && head[2] == 0:
		order = unicode.BigEndian
	default:
		utf16 = false
	}
	if !utf16 {
		return plain, nil
	}
	decoder := unicode.UTF16(order, unicode.UseBOM).NewDecoder()
	return bufio.NewReaderSize(transform.NewReader(plain, decoder), readAhead), nil
}

// What a compressed file may expand to: the first bytes of its text, whatever
// it takes, and then so many times its own size. Exports expand 10 to 60 times.
const (
	expandsAlways = 256 << 20
	expandsTimes  = 300
)

// A counted reader counts the bytes that were read of it.
type counted struct {
	in io.Reader
	n  int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.in.Read(p)
	c.n += int64(n)
	return n, err
}

// An expanding reader ends where a compressed file expands to more than one
// of a real export does.
type expanding struct {
	in  *counted
	out io.Reader
	n   int64
}

func (e *expanding) Read(p []byte) (int, error) {
	n, err := e.out.Read(p)
	if e.n += int64(n); e.n > expandsAlways && e.n > expandsTimes*e.in.n {
		return n, fmt.Errorf("it expands to more than %d times its size, the most that diagnose reads", expandsTimes)
	}
	return n, err
}

// decompress knows gzip and zstd by their first bytes.
func decompress(in *bufio.Reader) (*bufio.Reader, error) {
	head, _ := in.Peek(4)
	zstdFrame := bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd})
	// pzstd starts with a frame to skip
	skipped := len(head) == 4 && head[0]>>4 == 5 && bytes.Equal(head[1:], []byte{0x2a, 0x4d, 0x18})
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		packed := &counted{in: in}
		z, err := gzip.NewReader(packed)
		if err != nil {
			return nil, fmt.Errorf("is broken gzip: %w", err)
		}
		return bufio.NewReaderSize(&expanding{in: packed, out: z}, readAhead), nil
	case zstdFrame || skipped:
		packed := &counted{in: in}
		z, err := zstd.NewReader(packed, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(256<<20))
		if err != nil {
			return nil, fmt.Errorf("is broken zstd: %w", err)
		}
		return bufio.NewReaderSize(&expanding{in: packed, out: z}, readAhead), nil
	}
	return in, nil
}
