package main

import (
	"context"
	"crypto/fips140"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"

	"google.golang.org/grpc/grpclog"

	"github.com/fieldveil/fieldveil/sidecar/config"
	"github.com/fieldveil/fieldveil/sidecar/serve"
	"github.com/fieldveil/fieldveil/sidecar/telemetry"
)

// serveCmd runs the sidecar.
type serveCmd struct {
	Config         string `required:"true" env:"FIELDVEIL_CONFIG" placeholder:"FILE" help:"The configuration. \"config print-defaults\" prints one."`
	AllowWeakening bool   `help:"Let reloads protect less than before."`
}

// Help is the second paragraph of the help text.
func (serveCmd) Help() string {
	return "It ends in an orderly way on SIGTERM and on Ctrl-C: it says so to probes, finishes what is in flight, and exits " +
		"with 0 when every record had its answer, and with 1 when not. A further signal, a second or more after the first, ends it at once. SIGHUP reads the " +
		"configuration again, as a change of its files does. The log goes to standard error, as lines of JSON."
}

// Run serves until a signal.
func (c serveCmd) Run(t *terminal) error {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(signals)
	// What libraries log of themselves quotes what they were given.
	grpclog.SetLoggerV2(grpclog.NewLoggerV2(io.Discard, io.Discard, io.Discard))
	return serve.Run(context.Background(), serve.Options{
		Config: c.Config, Env: config.Environment(os.Environ()), Out: t.err, Signals: signals, AllowWeakening: c.AllowWeakening, Build: build(),
		Listening: func(addrs map[string]net.Addr) {
			for name, addr := range addrs {
				_, _ = fmt.Fprintf(t.out, "%s %s\n", name, addr) // for who started it with a port of 0
			}
		},
	})
}

// build says what runs.
func build() telemetry.Build {
	b := telemetry.Build{Version: "(unknown)", Go: runtime.Version(), FIPS: fips140.Enabled()}
	if info, ok := debug.ReadBuildInfo(); ok {
		b.Version = info.Main.Version
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				b.Commit = s.Value
			}
		}
	}
	return b
}
