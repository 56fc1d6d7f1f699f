package audit_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/fieldveil/fieldveil/sidecar/audit"
)

// An act is done once the line about it is durable.
func ExampleLog_Do() {
	dir, err := os.MkdirTemp("", "audit")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	ctx := context.Background()
	path := filepath.Join(dir, "audit.jsonl")
	trail, err := audit.Open(ctx, audit.Config{To: audit.ToFile, Path: path})
	if err != nil {
		fmt.Println(err)
		return
	}
	err = trail.Do(ctx, audit.Entry{Action: audit.ActionReloaded, Actor: "uid:1000", Target: "policy 7f3a"}, func(context.Context) error {
		fmt.Println("reloading")
		return nil
	})
	fmt.Println(err, trail.Close(ctx))
	text, err := os.ReadFile(path)
	if err != nil {
		fmt.Println(err)
		return
	}
	v := audit.NewVerifier(audit.VerifyConfig{Each: func(_ string, n int, l *audit.Line) { fmt.Println(n, l.Action, l.Outcome, l.Actor) }})
	if err := v.Read("audit.jsonl", bytes.NewReader(text)); err != nil {
		fmt.Println(err)
	}
	fmt.Println(len(v.Report().Faults), "faults")
	// Output:
	// reloading
	// <nil> <nil>
	// 1 reloaded granted uid:1000
	// 2 reloaded done uid:1000
	// 0 faults
}

// A line that was changed is found, by file and line.
func ExampleVerifier() {
	var out bytes.Buffer
	at := time.Date(2026, 11, 21, 17, 0, 0, 0, time.UTC)
	ctx := context.Background()
	trail, err := audit.Open(ctx, audit.Config{To: audit.ToStdout}, audit.WithStdout(&out), audit.WithClock(func() time.Time { return at }))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, who := range []string{"ann", "bob"} {
		if err := trail.Write(ctx, audit.Entry{Action: audit.ActionReveal, Outcome: audit.Granted, Actor: who, Count: 3}); err != nil {
			fmt.Println(err)
		}
	}
	if err := trail.Close(ctx); err != nil {
		fmt.Println(err)
	}
	changed := bytes.Replace(out.Bytes(), []byte(`"count":3`), []byte(`"count":1`), 1)
	v := audit.NewVerifier(audit.VerifyConfig{})
	if err := v.Read("stdout", bytes.NewReader(changed)); err != nil {
		fmt.Println(err)
	}
	for _, f := range v.Report().Faults {
		fmt.Println(f)
	}
	// Output:
	// stdout:1: changed: its hash is not that of what stands there
}
