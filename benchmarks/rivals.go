package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/fieldveil/fieldveil/benchmarks/compare/row"
	"github.com/fieldveil/fieldveil/sidecar/bench/report"
)

// rivalTime bounds one program of compare/, which is built before.
const rivalTime = 90 * time.Second

const unitRival = "times faster than the rival"

// rivals runs the programs of compare/: each measures one rival, this project and
// the floor in the same rounds.
func rivals(ctx context.Context, s *state) error {
	dir, programs, err := rivalPrograms(ctx)
	if err != nil {
		return err
	}
	tmp, err := os.MkdirTemp("", "fieldveil-bench")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(tmp) }()
	for _, name := range programs {
		s.say("%s", name)
		d, err := rival(ctx, filepath.Join(dir, name), filepath.Join(tmp, name), s.quick)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			// A rival that cannot be run is no fault of what is measured here, and is told.
			s.skip("beside "+name, unitRival, 1, strings.ReplaceAll(err.Error(), "\n", " "))
			continue
		}
		s.take(name, d)
	}
	return nil
}

// rivalPrograms returns the folder of the programs and their names.
func rivalPrograms(ctx context.Context) (dir string, names []string, err error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/fieldveil/fieldveil/benchmarks").Output()
	if err != nil {
		return "", nil, fmt.Errorf("the rivals are built from a checkout: %w", err)
	}
	dir = filepath.Join(strings.TrimSpace(string(out)), "compare")
	mods, err := filepath.Glob(filepath.Join(dir, "*", "go.mod"))
	if err != nil {
		return "", nil, err
	}
	for _, m := range mods {
		names = append(names, filepath.Base(filepath.Dir(m)))
	}
	slices.Sort(names)
	return dir, names, nil
}

// rival builds and runs one program.
func rival(ctx context.Context, dir, binary string, quick bool) (*row.Document, error) {
	build := exec.CommandContext(ctx, "go", "build", "-o", binary, ".")
	build.Dir = dir
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("it does not build: %w: %s", err, lastLine(out))
	}
	ctx, cancel := context.WithTimeout(ctx, rivalTime)
	defer cancel()
	var args []string
	if quick {
		args = []string{"-rounds", "5"}
	}
	cmd := exec.CommandContext(ctx, binary, args...)
	// It may have processes of its own, which it ends when it is told to.
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) }
	cmd.WaitDelay = 20 * time.Second
	var out, status bytes.Buffer
	cmd.Stdout, cmd.Stderr, cmd.Dir = &out, &status, dir
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("it does not run: %w: %s", err, lastLine(status.Bytes()))
	}
	var d row.Document
	if err := json.Unmarshal(out.Bytes(), &d); err != nil {
		return nil, err
	}
	return &d, d.Validate()
}

func lastLine(b []byte) string {
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return lines[len(lines)-1]
}

// take makes goals and notes of what a rival's program says.
func (s *state) take(name string, d *row.Document) {
	if d.Skipped != "" {
		s.skip("beside "+d.Rival, unitRival, 1, d.Skipped)
		return
	}
	for i := range d.Rows {
		r := &d.Rows[i]
		title := name + ": " + r.Name
		v := report.Rival{Name: d.Rival, Version: d.Version, Work: r.Name, Unit: r.Unit, Ours: r.Ours.Value, Theirs: r.Rival.Value}
		if r.Ratio > 0 {
			v.Ratio = &report.Series{Median: r.Ratio, Low: r.Low, High: r.High}
		}
		s.report.Rivals = append(s.report.Rivals, v)
		if r.Goal == 0 {
			continue
		}
		g := report.Goal{Name: title, Unit: unitRival, Want: r.Goal, AtLeast: true, Got: report.Series{Median: r.Ratio, Low: r.Low, High: r.High}}
		s.report.Goals = append(s.report.Goals, g)
		s.say("  %s: %.3g (%.3g-%.3g), goal %g", title, r.Ratio, r.Low, r.High, r.Goal)
	}
	for _, n := range d.Notes {
		s.report.Notes = append(s.report.Notes, name+": "+n)
	}
}
