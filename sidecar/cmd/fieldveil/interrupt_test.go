package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
)

func TestInterruptibleReadersReadWhatIsThere(t *testing.T) {
	text := strings.Repeat("0123456789", 20_000)
	got, err := io.ReadAll(interruptible(t.Context(), iotest.HalfReader(strings.NewReader(text))))
	if err != nil || string(got) != text {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	broken := errors.New("broken")
	got, err = io.ReadAll(interruptible(t.Context(), io.MultiReader(strings.NewReader("ab"), iotest.ErrReader(broken))))
	if !errors.Is(err, broken) || string(got) != "ab" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestInterruptibleReadersDoNotWaitForInput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		silent, typist := io.Pipe()
		defer typist.Close()
		done := make(chan error)
		go func() {
			_, err := io.ReadAll(interruptible(ctx, silent))
			done <- err
		}()
		synctest.Wait() // until it waits for input
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
}

// A run that waits for input ends when it is interrupted.
func TestARunThatWaitsForInputIsInterrupted(t *testing.T) {
	inFiles(t)
	ctx, cancel := context.WithCancel(t.Context())
	keys, err := createKeyFile("records.keys")
	if err != nil {
		t.Fatal(err)
	}
	defer keys.Close()
	silent, typist := io.Pipe()
	defer typist.Close()
	go func() {
		_, _ = typist.Write([]byte(`{"user":{}}` + "\n"))
		cancel()
	}()
	var out, stderr bytes.Buffer
	c := protectCmd{fileFlags{Policy: "policy.yaml", Topic: "clicks", Format: "jsonl", Keys: "records.keys", MaxRecord: 1 << 10}}
	err = c.operation(&terminal{in: silent, out: &out, err: &stderr}, keys).run(ctx)
	if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "interrupted behind record ") {
		t.Errorf("got %v", err)
	}
}
