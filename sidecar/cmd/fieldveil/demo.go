package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"

	"google.golang.org/grpc/grpclog"

	"github.com/fieldveil/fieldveil/sidecar/demo"
)

// demoCmd shows the sidecar with everything around it.
type demoCmd struct {
	Keep bool `help:"Leave it running until Ctrl-C, to try the calls that it prints."`
}

// Help is the second paragraph of the help text.
func (demoCmd) Help() string {
	return "It starts a broker, a schema registry and the sidecar in this process, on loopback, with their files in a " +
		"temporary directory; posts records, and prints each call as a line for curl; shows what the broker holds, what is " +
		"refused, and what the audit trail says. It exits with 1 when anything of that did not hold. Nothing is left " +
		"afterwards. With --keep it uses the ports that the documentation names, where they are free."
}

// Run shows it until the end, or until a signal.
func (c demoCmd) Run(t *terminal) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// The first signal asks to clean up. A second one ends a cleaning that hangs.
	context.AfterFunc(ctx, stop)
	grpclog.SetLoggerV2(grpclog.NewLoggerV2(io.Discard, io.Discard, io.Discard))
	return demo.Run(ctx, demo.Options{Out: t.out, Keep: c.Keep, Build: build()})
}
