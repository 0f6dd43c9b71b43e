// Package bounded reads what others wrote: files, pipes, devices and answers
// of servers, never more of one than a limit that its error names. Nothing
// else of the program reads a whole input.
package bounded

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// ErrTooLarge is wrapped by the error of every input that has more than its
// limit.
var ErrTooLarge = errors.New("larger than the limit")

// A tooLarge error names the input and its limit.
type tooLarge struct {
	name  string
	limit int64
}

func (e *tooLarge) Error() string {
	size := fmt.Sprintf("%d bytes", e.limit)
	switch {
	case e.limit >= 1<<20:
		size = fmt.Sprintf("%d MB", e.limit>>20)
	case e.limit >= 1<<10:
		size = fmt.Sprintf("%d kB", e.limit>>10)
	}
	return fmt.Sprintf("%s: larger than %s, the most that diagnose reads of it", e.name, size)
}

func (e *tooLarge) Is(target error) bool { return target == ErrTooLarge }

// File reads a file, a pipe or a device to its end, and fails where it has
// more than limit bytes. It never takes the size that the file system tells
// for the truth: a device has none.
func File(name string, limit int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return opened(f, name, limit)
}

// FS is File for a file system. name is what errors call the file.
func FS(fsys fs.FS, path, name string, limit int64) ([]byte, error) {
	f, err := fsys.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return opened(f, name, limit)
}

func opened(f fs.File, name string, limit int64) ([]byte, error) {
	size := int64(0)
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
		size = info.Size()
	}
	if size > limit {
		return nil, &tooLarge{name, limit}
	}
	return read(f, name, limit, size)
}

// All reads to the end of a stream, and fails where it has more than limit
// bytes. name is what the error calls it.
func All(in io.Reader, name string, limit int64) ([]byte, error) { return read(in, name, limit, 0) }

// Head reads the beginning of a stream, and tells whether there was more than
// limit bytes.
func Head(in io.Reader, limit int64) (data []byte, cut bool, err error) {
	data, err = io.ReadAll(io.LimitReader(in, limit+1))
	if int64(len(data)) > limit {
		return data[:limit], true, err
	}
	return data, false, err
}

func read(in io.Reader, name string, limit, size int64) ([]byte, error) {
	var b bytes.Buffer
	b.Grow(int(size) + bytes.MinRead)
	n, err := b.ReadFrom(io.LimitReader(in, limit+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading %s: %w", name, err)
	case n > limit:
		return nil, &tooLarge{name, limit}
	}
	return b.Bytes(), nil
}
