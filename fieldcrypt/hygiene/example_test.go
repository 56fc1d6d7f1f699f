package hygiene_test

import (
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/fieldveil/fieldveil/fieldcrypt/hygiene"
)

// The first lines of a main function.
func ExampleHarden() {
	for _, gap := range hygiene.Harden() {
		if errors.Is(gap.Err, errors.ErrUnsupported) {
			continue // this system has no such thing
		}
		slog.New(slog.NewTextHandler(os.Stderr, nil)).Warn("process hygiene", "measure", string(gap.Measure), "error", gap.Err)
	}
	fmt.Println("on with the program")
	// Output: on with the program
}

func ExampleGap() {
	gap := hygiene.Gap{Measure: hygiene.CoreDumps, Err: errors.ErrUnsupported}
	fmt.Println(gap)
	// Output: process hygiene: core dumps off: unsupported operation
}
