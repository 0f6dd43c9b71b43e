package inventory

import (
	"hash/maphash"
	"time"
)

// A held is a resource whose policy was read, and when it was so. Its name is
// kept as a number: there are millions of them, and the names of few are asked
// for.
type held struct {
	name uint64
	at   int64 // nanoseconds, 0 where unknown
}

var seed = maphash.MakeSeed()

func numberOf(name string) uint64 { return maphash.String(seed, name) }

// heldBlock is how many of them are kept in one piece.
const heldBlock = 1 << 14

// holders keeps them without ever moving one.
type holders [][]held

func (h *holders) add(name string, at time.Time) {
	if n := len(*h); n == 0 || len((*h)[n-1]) == cap((*h)[n-1]) {
		*h = append(*h, make([]held, 0, min(heldBlock, 64<<n)))
	}
	x := held{name: numberOf(name)}
	if !at.IsZero() {
		x.at = at.UnixNano()
	}
	last := &(*h)[len(*h)-1]
	*last = append(*last, x)
}

// newest returns, of those of the names that are held, when their newest
// policy was so.
func (h holders) newest(names map[string]bool) map[string]int64 {
	wanted := make(map[uint64]string, len(names))
	for n := range names {
		wanted[numberOf(n)] = n
	}
	out := map[string]int64{}
	for _, block := range h {
		for _, x := range block {
			if name, ok := wanted[x.name]; ok {
				old, seen := out[name]
				if !seen || x.at > old {
					out[name] = x.at
				}
			}
		}
	}
	return out
}
