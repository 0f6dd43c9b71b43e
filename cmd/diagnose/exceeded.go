package main

import (
	"fmt"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"time"
)

// mostMemory is how much a run may have in use, in MB. memoryVariable names
// the variable that sets another number.
const (
	mostMemory     = 2048
	memoryVariable = "DIAGNOSE_MEMORY_MB"
)

// exceeded tells when a run has more memory in use than it may have: inputs
// are bounded, and what they expand to is bounded where that is known; this
// ends what is not, before the machine does.
func exceeded(getenv func(string) string) <-chan string {
	limit, out := uint64(mostMemory), make(chan string, 1)
	if n, err := strconv.ParseUint(getenv(memoryVariable), 10, 20); err == nil && n > 0 {
		limit = n
	}
	debug.SetMemoryLimit(int64(limit) << 20 / 4 * 3) // collect before it is too late
	go func() {
		sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
		for range time.Tick(20 * time.Millisecond) {
			metrics.Read(sample)
			if sample[0].Value.Uint64() > limit<<20 {
				out <- fmt.Sprintf("the input needs more than %d MB of memory, so there is no answer; %s=N allows N MB", limit, memoryVariable)
				return
			}
		}
	}()
	return out
}
