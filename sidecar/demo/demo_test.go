package demo

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/fieldveil/fieldveil/fieldcrypt"
)

// tempDir makes a new directory the one for temporary files.
func tempDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"TMPDIR", "TMP", "TEMP"} {
		t.Setenv(name, dir)
	}
	return dir
}

func checkEmpty(t *testing.T, dir string) {
	t.Helper()
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 0 {
		t.Errorf("left in the temporary directory: %v, %v", left, err)
	}
}

// A page is what the demo writes, with something to do when a text is written.
type page struct {
	mu sync.Mutex
	b  bytes.Buffer
	at string
	do func()
}

func (p *page) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n, err := p.b.Write(b)
	if p.do != nil && strings.Contains(p.b.String(), p.at) {
		p.do()
		p.do = nil
	}
	return n, err
}

func (p *page) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.b.String()
}

func TestTheDemoHoldsWhatItClaimsAndLeavesNothing(t *testing.T) {
	temp := tempDir(t)
	var out bytes.Buffer
	if err := Run(t.Context(), Options{Out: &out}); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	for _, want := range []string{
		`(?m)^  \{"offsets":\[\{"partition":0,"offset":0,"error_code":null,`,
		`(?m)^  name +A\*{6}$`, `(?m)^  email +fv1:\S{40,}…$`, `(?m)^  phone +\*{10}567$`, `(?m)^  name +B\*{4}$`,
		`(?m)^  \{"error_code":200,"cluster_id":"demo","topic_name":"signups",`,
		`(?m)^  422 Unprocessable Entity$`, `records\[0\]/cvv: `, `"OUTCOME_REJECTED"`,
		`(?m)^Of the topic signups: 403 Forbidden`, `(?m)^What the broker holds of customers opens in the same way`,
		`(?m)^  \d+ +reveal +granted +local +customers +case-8$`, `(?m)^  \d+ +reveal +denied +local +signups +case-8$`,
		`(?m)^fieldveil audit verify audit\.jsonl: the trail is whole, [4-9] lines\.$`,
		`(?m)^  broker +\d{3,} bytes, 0 values in clear$`, `(?m)^  sidecar\.log +\d{3,} bytes, 0 values in clear$`,
		`(?m)^Everything held\.$`,
	} {
		if !regexp.MustCompile(want).MatchString(out.String()) {
			t.Errorf("the output has nothing like %s", want)
		}
	}
	if strings.Contains(out.String(), "\x1b") {
		t.Error("the output has escapes")
	}
	if t.Failed() {
		t.Log(out.String())
	}
	checkEmpty(t, temp)
}

// kept runs a demo that stays, calls while it runs, and ends it.
func kept(t *testing.T, while func(text string)) {
	t.Helper()
	temp := tempDir(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ready, ended := make(chan struct{}), make(chan error, 1)
	out := &page{at: "are in\n\n" + temp, do: func() { close(ready) }}
	go func() { ended <- Run(ctx, Options{Out: out, Keep: true}) }()
	select {
	case <-ready:
	case err := <-ended:
		t.Fatalf("it ended: %v\n%s", err, out)
	}
	while(out.String())
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	checkEmpty(t, temp)
}

func TestNoLineIsWiderThanANarrowTerminalAndNoneEndsInASpace(t *testing.T) {
	kept(t, func(text string) {
		// A path is as long as the system makes it, and a port has up to five digits.
		text = regexp.MustCompile(`127\.0\.0\.1:\d+`).ReplaceAllString(text, "127.0.0.1:12345")
		text = regexp.MustCompile(`\S*fieldveil-demo-\S*`).ReplaceAllString(text, "DIRECTORY")
		for line := range strings.Lines(text) {
			line = strings.TrimSuffix(line, "\n")
			if n := utf8.RuneCountInString(line); n > columns {
				t.Errorf("%d columns: %s", n, line)
			}
			if strings.HasSuffix(line, " ") {
				t.Errorf("a space ends the line %q", line)
			}
		}
	})
}

func TestEachPrintedCallWorksWhenItIsPasted(t *testing.T) {
	shell, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("there is no shell")
	}
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("there is no curl")
	}
	kept(t, func(text string) {
		want := []string{
			`"offset":1,"error_code":null`, `"error_code":200`, `"error_code":42206`, `OUTCOME_REJECTED`, `eyJlbWFpbCI6ImFubkBleGFtcGxlLnRlc3QifQ==`,
			`"ready":true`, `outcome="delivered"`, `openapi: 3`,
		}
		// A call is a paragraph; the last one has a call in each line.
		var calls []string
		for part := range strings.SplitSeq(text, "\n\n") {
			switch {
			case !strings.HasPrefix(part, "curl "):
			case strings.Count("\n"+part, "\ncurl ") > 1 && !strings.Contains(part, "|\n"):
				calls = append(calls, strings.Split(part, "\n")...)
			default:
				calls = append(calls, part)
			}
		}
		if len(calls) != len(want) {
			t.Fatalf("%d calls: %q", len(calls), calls)
		}
		for i, c := range calls {
			out, err := exec.CommandContext(t.Context(), shell, "-c", c).CombinedOutput()
			if err != nil || !bytes.Contains(out, []byte(want[i])) {
				t.Errorf("%s\n%v\n%s", c, err, out)
			}
		}
	})
}

func TestAnInterruptedDemoCleansUp(t *testing.T) {
	for _, at := range []string{"1. A record", "2. Version", "3. A record", "5. Revealing", "7. Where"} {
		t.Run(at, func(t *testing.T) {
			temp := tempDir(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if err := Run(ctx, Options{Out: &page{at: at, do: cancel}}); !errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
			checkEmpty(t, temp)
		})
	}
}

func TestTwoDemosRunBesideEachOther(t *testing.T) {
	kept(t, func(string) {
		if err := Run(t.Context(), Options{Out: new(bytes.Buffer), Keep: false}); err != nil {
			t.Error(err)
		}
	})
}

func TestAKEKPathOfAnyCharactersFitsThePolicy(t *testing.T) {
	for _, path := range []string{"/a b/demo.kek", `C:\Temp\"x"\demo.kek`, "/ž#: {}/demo.kek"} {
		kek, err := quoted("local:" + path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := fieldcrypt.ParsePolicy([]byte(strings.Replace(policyText, "KEK", kek, 1))); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestADemoThatCannotHaveADirectorySaysSo(t *testing.T) {
	tempDir(t)
	gone := filepath.Join(t.TempDir(), "gone")
	for _, name := range []string{"TMPDIR", "TMP", "TEMP"} {
		t.Setenv(name, gone)
	}
	if err := Run(t.Context(), Options{Out: new(bytes.Buffer)}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}
