package main

import (
	"bytes"
	"crypto/fips140"
	"errors"
	"flag"
	"io"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/kmstest"
)

// The clock of the test is not that of the machine, so the forty seconds pass at
// once.
func TestTheOutageRunsAndAllHolds(t *testing.T) {
	if fips140.Enabled() {
		t.Skip("the FIPS 140-3 module needs a real clock: not tested in FIPS mode")
	}
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		if err := run(t.Context(), []string{"--rate", "50", "--workers", "2"}, &out, io.Discard); err != nil {
			t.Fatalf("%v\n%s", err, out.String())
		}
		for _, want := range []string{
			`(?m)^ +1  warm +\d+  - +\d\.\d s +\d+\.\d s  closed +\d+$`,
			`(?m)^ +\d+  slow, 2 s a call +\d+  - `,
			`(?m)^ +\d+ +0  \d+ key_unavailable +- +-  (half )?open +\d$`,
			`(?m)^ +\d+ +0  \d+ key_unusable +- +-  closed +\d$`,
			`(?m)^All held: `,
		} {
			if !regexp.MustCompile(want).MatchString(out.String()) {
				t.Errorf("the output has no %s:\n%s", want, out.String())
			}
		}
	})
}

func TestWhatDoesNotHoldIsToldAndFails(t *testing.T) {
	if fips140.Enabled() {
		t.Skip("the FIPS 140-3 module needs a real clock: not tested in FIPS mode")
	}
	synctest.Test(t, func(t *testing.T) {
		p, err := newProducer(options{workers: 1, rate: 10})
		if err != nil {
			t.Fatal(err)
		}
		defer p.close()
		if err := p.warm(t.Context()); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		s := &show{out: &out, producer: p}
		// A key that is refused is no outage.
		wrong := phase{name: "down", seconds: 20, begin: func(f *kmstest.Fake) { f.Fail(kms.ErrDenied) }, code: "key_unavailable"}
		if err := s.play(t.Context(), wrong); err != nil {
			t.Fatal(err)
		}
		if err := s.verdict(); err == nil || !strings.Contains(out.String(), "errors key_unusable") {
			t.Errorf("%v\n%s", err, out.String())
		}
	})
}

func TestTheCommandLine(t *testing.T) {
	var usage bytes.Buffer
	if _, err := parse([]string{"--help"}, &usage); !errors.Is(err, flag.ErrHelp) || !strings.Contains(usage.String(), "Exit status") {
		t.Errorf("%v\n%s", err, usage.String())
	}
	for _, args := range [][]string{{"x"}, {"--rate", "0"}, {"--workers", "0"}, {"--nothing"}, {"--rate", "1001"}} {
		if _, err := parse(args, io.Discard); !errors.Is(err, errUsage) {
			t.Errorf("%q: %v", args, err)
		}
	}
}
