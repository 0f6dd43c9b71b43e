// Command diagnose answers whether an invocation of a Google Cloud function or
// Cloud Run service would succeed, why, and what repairs it.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	p := Process{Args: os.Args[1:], Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Getenv: os.Getenv}
	os.Exit(untilSignal(p, signals, exceeded(p.Getenv)))
}

// grace is how long a run has to end by itself after a signal.
const grace = 60 * time.Millisecond

// untilSignal runs the command line until it ends, or until a signal or a
// limit ends it: also one that waits for a pipe, or is in the middle of a
// long calculation. It returns the exit code, which then is no verdict.
func untilSignal(p Process, signals <-chan os.Signal, limits <-chan string) int {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := make(chan int, 1)
	go func() { done <- Main(ctx, p) }()
	select {
	case code := <-done:
		return code
	case why := <-limits:
		settle()
		fmt.Fprintf(p.Stderr, "diagnose: error: %s\n", why)
		return exitOpen
	case s := <-signals:
		cancel()
		select {
		case <-done:
		case <-signals:
		case <-time.After(grace):
			settle()
			fmt.Fprintf(p.Stderr, "diagnose: error: ended by the signal %q before there was an answer\n", s)
		}
		return exitOpen
	}
}
