package gcp

import (
	"cmp"
	"slices"
	"strings"
	"unicode/utf8"
)

// Distance is the number of letters to insert, delete, change or swap with the
// next to make one name of the other.
func Distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	prev2, prev, cur := make([]int, len(y)+1), make([]int, len(y)+1), make([]int, len(y)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(x); i++ {
		cur[0] = i
		for j := 1; j <= len(y); j++ {
			cost := 1
			if x[i-1] == y[j-1] {
				cost = 0
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				cur[j] = min(cur[j], prev2[j-2]+1)
			}
		}
		prev2, prev, cur = prev, cur, prev2
	}
	return prev[len(y)]
}

// Within reports whether the Distance of two names is at most that.
func Within(a, b string, most int) bool {
	longer := utf8.RuneCountInString(a) - utf8.RuneCountInString(b)
	return max(longer, -longer) <= most && Distance(a, b) <= most
}

// Alike reports whether two names, in whatever case, are one letter in three
// apart or less, or one is part of the other.
func Alike(a, b string) bool {
	a, b = strings.ToLower(a), strings.ToLower(b)
	if a == "" || b == "" {
		return false
	}
	return strings.Contains(a, b) || strings.Contains(b, a) || Distance(a, b) <= max(2, min(len(a), len(b))/3)
}

// Nearest lists up to n of the names that are like one, the nearest first and
// equally near ones by name.
func Nearest(name string, names []string, n int) []string {
	var out []string
	for _, s := range names {
		if Alike(name, s) && !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	far := func(s string) int { return Distance(strings.ToLower(name), strings.ToLower(s)) }
	slices.SortFunc(out, func(a, b string) int {
		return cmp.Or(cmp.Compare(far(a), far(b)), cmp.Compare(a, b))
	})
	return out[:min(n, len(out))]
}
