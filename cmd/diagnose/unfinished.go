package main

import (
	"io"
	"os"
	"sync"
	"time"
)

// unfinished are the files and folders that are being written under another
// name. Whoever ends the process in the meantime removes them.
var unfinished struct {
	sync.Mutex
	names []string
}

// begin makes a file or folder that is to be written, and notes it.
func begin[T any](create func() (T, string, error)) (T, string, error) {
	unfinished.Lock()
	defer unfinished.Unlock()
	made, name, err := create()
	if err == nil {
		unfinished.names = append(unfinished.names, name)
	}
	return made, name, err
}

// replace gives what is written whole its final name. It is not interrupted.
func replace(written, name string) error {
	unfinished.Lock()
	defer unfinished.Unlock()
	return os.Rename(written, name)
}

// writeWhole writes a report to a stream. It is not interrupted, unless the
// other end takes too long.
func writeWhole(w io.Writer, report []byte) error {
	unfinished.Lock()
	defer unfinished.Unlock()
	_, err := w.Write(report)
	return err
}

// settle removes what is half-written. Nothing is written afterwards: what
// would replace a file waits for the end of the process.
func settle() {
	for end := time.Now().Add(grace); !unfinished.TryLock(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			return
		}
	}
	for _, name := range unfinished.names {
		os.RemoveAll(name)
	}
}
