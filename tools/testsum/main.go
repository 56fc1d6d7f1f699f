// Command testsum reads the output of go test -json on standard input and
// prints it as plain text, followed by what was skipped and why.
//
// A conformance run skips what a machine cannot offer, and a skip that nobody
// sees looks like a pass. So the skipped tests are listed after everything
// else, with the reasons they gave; only the closing lines of go test itself
// come later. The exit code is 1 when a test failed or when none ran.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

func main() {
	ok, err := run(os.Stdin, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "testsum:", err)
		os.Exit(2)
	}
	if !ok {
		os.Exit(1)
	}
}

// An event is one line of go test -json; cmd/test2json describes the fields.
type event struct {
	Action  string `json:"Action"`
	Package string `json:"Package"`
	Test    string `json:"Test"`
	Output  string `json:"Output"`
}

// A skip is a test that did not run, and the words it left.
type skip struct {
	test, reason string
}

// summary is what a run has shown so far.
type summary struct {
	passed, failed int
	skips          []skip
	closing        []string            // result lines of the packages
	said           map[string][]string // log lines of tests still running
	broken         bool                // a package failed, maybe without a test
}

// run copies the plain output of the events in r to w and appends the summary.
// It reports whether tests ran and none failed.
func run(r io.Reader, w io.Writer) (bool, error) {
	s := summary{said: map[string][]string{}}
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadString('\n')
		if line != "" {
			if werr := s.line(line, w); werr != nil {
				return false, werr
			}
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return false, err
		}
	}
	return s.passed > 0 && s.failed == 0 && !s.broken, s.print(w)
}

// line takes one line of input. What is no event, such as a message of the go
// command itself, is printed as it is.
func (s *summary) line(line string, w io.Writer) error {
	var e event
	if !strings.HasPrefix(line, "{") || json.Unmarshal([]byte(line), &e) != nil {
		_, err := io.WriteString(w, line)
		return err
	}
	key := e.Package + " " + e.Test
	switch e.Action {
	case "output", "build-output":
		return s.output(e, key, w)
	case "pass":
		if e.Test != "" {
			s.passed++
		}
	case "fail":
		if e.Test != "" {
			s.failed++
		}
		s.broken = true
	case "build-fail":
		s.broken = true
	case "skip":
		// Without a test the package has no test files, which is no skip.
		if e.Test != "" {
			s.skips = append(s.skips, skip{e.Test, reason(s.said[key])})
		}
	default:
		return nil
	}
	delete(s.said, key)
	return nil
}

// output prints a line of a test, leaves out the marks of starting and of
// passing subtests, of which vectors have thousands, and holds result lines
// of packages back for the end.
func (s *summary) output(e event, key string, w io.Writer) error {
	text := strings.TrimLeft(e.Output, " ")
	switch {
	case e.Action == "output" && e.Test == "" && isResult(e.Output):
		s.closing = append(s.closing, e.Output)
		return nil
	case strings.HasPrefix(text, "=== "), strings.HasPrefix(text, "--- PASS") && strings.Contains(e.Test, "/"):
		return nil
	case e.Test != "" && !strings.HasPrefix(text, "--- "):
		s.said[key] = append(s.said[key], strings.TrimSpace(text))
	}
	_, err := io.WriteString(w, e.Output)
	return err
}

// isResult reports whether go test closes a package with this line.
func isResult(line string) bool {
	for _, p := range []string{"ok  \t", "FAIL\t", "?   \t"} {
		if strings.HasPrefix(line, p) {
			return true
		}
	}
	return line == "PASS\n" || line == "FAIL\n"
}

// reason joins the log lines of a skipped test, without their file positions.
func reason(said []string) string {
	if len(said) == 0 {
		return "no reason given"
	}
	words := make([]string, 0, len(said))
	for _, line := range said {
		if file, text, ok := strings.Cut(line, ".go:"); ok && !strings.Contains(file, " ") {
			if _, after, found := strings.Cut(text, ": "); found {
				line = after
			}
		}
		words = append(words, line)
	}
	return strings.Join(words, " ")
}

func (s *summary) print(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "\n== summary: %d tests and subtests passed, %d failed, %d skipped\n", s.passed, s.failed, len(s.skips))
	for _, sk := range s.skips {
		fmt.Fprintf(&b, "skipped %s: %s\n", sk.test, sk.reason)
	}
	if s.passed+s.failed == 0 {
		b.WriteString("no test ran, which counts as a failure\n")
	}
	b.WriteString("\n")
	for _, line := range s.closing {
		b.WriteString(line)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
