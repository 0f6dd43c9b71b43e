package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// command starts diagnose as a process of its own.
func command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	path, err := exec.LookPath("diagnose")
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(path, args...)
	c.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}
	return c
}

// pipe makes a named pipe that nobody writes to.
func pipe(t *testing.T) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "pipe.json")
	if err := syscall.Mkfifo(name, 0o600); err != nil {
		t.Skip(err)
	}
	return name
}

// TestSignals ends runs that wait for what never comes. Without the signal they
// would wait until the test is killed.
func TestSignals(t *testing.T) {
	const fifo = "FIFO"
	for _, args := range [][]string{
		{"invoke", "-"}, {"token", "-"}, {"gate", "-"}, {"scan", "--export", "-"}, {"who", "--policy", "-"}, {"mcp"},
		{"invoke", fifo}, {"token", fifo}, {"gate", fifo}, {"scan", "--export", fifo}, {"invoke", "--jwks", fifo, "demo:granted-proven"},
	} {
		for _, sig := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
			t.Run(strings.Join(args, " ")+" "+sig.String(), func(t *testing.T) {
				t.Parallel()
				name, args := "", slices.Clone(args)
				if i := slices.Index(args, fifo); i >= 0 {
					name = pipe(t)
					args[i] = name
				}
				c := command(t, args...)
				in, err := c.StdinPipe()
				if err != nil {
					t.Fatal(err)
				}
				defer in.Close()
				var out bytes.Buffer
				c.Stdout = &out
				errs, err := c.StderrPipe()
				if err != nil {
					t.Fatal(err)
				}
				if err := c.Start(); err != nil {
					t.Fatal(err)
				}
				defer untilRead(t, name, in).Close()
				if err := c.Process.Signal(sig); err != nil {
					t.Fatal(err)
				}
				said, _ := io.ReadAll(errs)
				err = c.Wait()
				if code := c.ProcessState.ExitCode(); code != exitOpen {
					t.Errorf("exit %d (%v), want %d: %s", code, err, exitOpen, said)
				}
				if out.Len() > 0 || args[0] != "mcp" && !strings.Contains(string(said), "diagnose: error: ") {
					t.Errorf("stdout %q, stderr %q", out.String(), said)
				}
			})
		}
	}
}

// untilRead returns when a process reads what it was told to read: more was
// written than fits into a pipe. The pipe stays open.
func untilRead(t *testing.T, fifo string, in io.WriteCloser) io.Closer {
	t.Helper()
	if fifo != "" {
		f, err := os.OpenFile(fifo, os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		in = f
	}
	if _, err := in.Write(bytes.Repeat([]byte(" "), 128<<10)); err != nil {
		t.Fatal(err)
	}
	return in
}

// TestUnbounded reads devices without end: each is refused at its limit.
func TestUnbounded(t *testing.T) {
	const zero = "/dev/zero"
	if _, err := os.Stat(zero); err != nil {
		t.Skip(err)
	}
	for _, args := range [][]string{
		{"invoke", zero}, {"token", zero}, {"invoke", "--jwks", zero, "demo:granted-proven"}, {"invoke", "-"},
		{"invoke", "--header", "@" + zero, "demo:granted-proven"}, {"gate", "--config", zero, zero},
	} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			c := command(t, args...)
			f, err := os.Open(zero)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			c.Stdin = f
			out, err := c.CombinedOutput()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != exitUsage && exit.ExitCode() != exitOpen {
				t.Fatalf("%v: %s", err, out)
			}
			if !strings.Contains(string(out), "MB") {
				t.Errorf("the limit is not named: %s", out)
			}
		})
	}
}

// TestReportDoesNotArrive gives reports nowhere to go: the exit code is then
// no verdict, and no half of a report stays.
func TestReportDoesNotArrive(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip(err)
	}
	defer full.Close()
	c := command(t, "invoke", "demo:granted-proven")
	var said bytes.Buffer
	c.Stdout, c.Stderr = full, &said
	c.Run()
	if code := c.ProcessState.ExitCode(); code != exitUsage || !strings.Contains(said.String(), "no space left") {
		t.Errorf("a full disk: exit %d, %s", code, said.String())
	}

	dir := t.TempDir()
	for _, to := range []string{filepath.Join(dir, "no", "such", "folder"), "/dev/full", dir} {
		out, _ := command(t, "invoke", "demo:granted-proven", "-o", to).CombinedOutput()
		c := command(t, "invoke", "demo:granted-proven", "-o", to)
		c.Run()
		if code := c.ProcessState.ExitCode(); code != exitUsage || !strings.Contains(string(out), "the report was not written") {
			t.Errorf("-o %s: exit %d, %s", to, code, out)
		}
	}
	if list, _ := os.ReadDir(dir); len(list) > 0 {
		t.Errorf("left behind: %v", list)
	}

	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	c = command(t, "invoke", "demo:granted-proven")
	c.Stdout = w
	c.Run()
	if code := c.ProcessState.ExitCode(); code == exitAllowed || code == exitDenied {
		t.Errorf("a reader that went away: exit %d", code)
	}
	w.Close()
}

// TestOutputDash writes to stdout, as other tools do, and no file of that name.
func TestOutputDash(t *testing.T) {
	c := command(t, "invoke", "demo:granted-proven", "-o", "-")
	c.Dir = t.TempDir()
	out, err := c.Output()
	if err != nil || !strings.Contains(string(out), "allowed  serviceAccount:") {
		t.Errorf("%v: %q", err, out)
	}
	if list, _ := os.ReadDir(c.Dir); len(list) > 0 {
		t.Errorf("a file %s was written", list[0].Name())
	}
}

// TestNoHome runs without a home folder, and with one that cannot be written.
func TestNoHome(t *testing.T) {
	locked := t.TempDir()
	if err := os.Chmod(locked, 0o500); err != nil {
		t.Fatal(err)
	}
	for _, home := range []string{"", "HOME=", "HOME=/nonexistent", "HOME=/dev/null", "HOME=" + locked} {
		c := command(t, "invoke", "demo:granted-proven")
		c.Env = []string{"PATH=" + os.Getenv("PATH")}
		if home != "" {
			c.Env = append(c.Env, home)
		}
		if out, err := c.CombinedOutput(); err != nil || !strings.Contains(string(out), "allowed  serviceAccount:") {
			t.Errorf("%s: %v: %s", home, err, out)
		}
	}
}

// TestMemoryLimit gives a run less memory than it needs.
func TestMemoryLimit(t *testing.T) {
	c := command(t, "gate", "-")
	c.Env = append(c.Env, memoryVariable+"=1")
	zero, err := os.Open("/dev/zero")
	if err != nil {
		t.Skip(err)
	}
	defer zero.Close()
	c.Stdin = zero
	out, _ := c.CombinedOutput()
	if code := c.ProcessState.ExitCode(); code != exitOpen || !strings.Contains(string(out), "more than 1 MB of memory") {
		t.Errorf("exit %d: %s", code, out)
	}
}
