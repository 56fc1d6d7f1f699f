package demo_test

import (
	"bytes"
	"context"
	"fmt"

	"github.com/fieldveil/fieldveil/sidecar/demo"
)

func ExampleRun() {
	var text bytes.Buffer
	if err := demo.Run(context.Background(), demo.Options{Out: &text}); err != nil {
		fmt.Println(err)
	}
	lines := bytes.Split(bytes.TrimSpace(text.Bytes()), []byte("\n"))
	fmt.Printf("%s\n", lines[len(lines)-1])
	// Output: Everything held.
}
