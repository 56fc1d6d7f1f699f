package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/mattn/go-runewidth"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/fieldveil/fieldveil/fieldcrypt"
)

func TestTheDemoRunsAndHoldsWhatItClaims(t *testing.T) {
	for _, format := range formatNames() {
		t.Run(format, func(t *testing.T) { demoHolds(t, format) })
	}
}

func demoHolds(t *testing.T, format string) {
	t.Helper()
	temp := tempDir(t)
	var out bytes.Buffer
	if err := run(t.Context(), []string{"--records", "200", "--format", format}, &out, io.Discard); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	for _, want := range []string{
		`(?m)^  /emails/\[\]                (PII\.EMAIL|       ) +encrypt   pii$`,
		`(?m)^  /card_number              (PCI\.PAN|       ) +mask$`,
		`(?m)^  50 of 200 acknowledged$`,
		`(?m)^  200 of 200 acknowledged$`,
		`(?m)^The first took .*\n^The other 199 took .* records/s, `,
		`(?m)^Data keys used: 1\. KMS calls: 2 \(`,
		`(?m)^  national_id +\S.* encrypt   fv1:`,
		`(?m)^  national_id +\S.* revealed  \S`,
		`(?m)^  notes .* drop      null$`,
		`(?m)^200 records are still valid (Avro|JSON|Protobuf)`,
		`(?m)^200 records in .*, KMS calls: 1\.$`,
		`(?m)^\d+ encrypted values revealed and compared with the original: 0 differences\.$`,
		`(?m)^A record that lost its header fv-key opens too`,
		`(?m)^Without header and key topic it stays closed`,
		`(?m)^scanned [\d,]+ bytes in 4 partitions for 1,\d\d\d protected values: 0 found$`,
		`(?m)Control: in the records before protection the search finds (1,\d\d\d) of 1,\d\d\d\.$`,
		`(?m)Control: it finds 200 of 200 customer ids, which stay clear,$`,
		`(?m)^Everything held\.`,
	} {
		if !regexp.MustCompile(want).MatchString(out.String()) {
			t.Errorf("the output has nothing like %s", want)
		}
	}
	if strings.Contains(out.String(), "\x1b") {
		t.Error("the output has escapes, and is no terminal")
	}
	if t.Failed() {
		t.Log(out.String())
	}
	checkEmpty(t, temp)
}

func TestNoLineIsWiderThanANarrowTerminalAndNoneEndsInASpace(t *testing.T) {
	for _, width := range []int{80, 120} {
		var out bytes.Buffer
		if err := demo(t.Context(), options{out: &out, width: width, records: 200, seed: 3, format: "jsonschema"}); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(out.String()) {
			line = strings.TrimSuffix(line, "\n")
			if n := runewidth.StringWidth(line); n > width {
				t.Errorf("%d columns, of %d: %s", n, width, line)
			}
			if strings.HasSuffix(line, " ") {
				t.Errorf("a space ends the line %q", line)
			}
		}
	}
}

// How long the run of a test takes is chance, so the line that says it is held to
// its width with numbers larger than any machine has.
func TestTheLineWithTheRateFitsANarrowTerminal(t *testing.T) {
	for _, took := range []time.Duration{time.Millisecond, 999 * time.Millisecond, 59_999 * time.Millisecond, 12*time.Minute + 34_567*time.Millisecond} {
		n := min(9_999_999, int(took.Seconds()*9_999_999))
		if line := rateLine(n, n*800, took); runewidth.StringWidth(line) > 80 {
			t.Errorf("%d columns: %s", runewidth.StringWidth(line), line)
		}
	}
}

func TestOnARealClusterTheTopicsAreNewAndGoneAfterwards(t *testing.T) {
	for _, tt := range []struct {
		name string
		args []string
		left int // topics
	}{
		{"by default", nil, 0},
		{"with a topic of another name", []string{"--topic", "shop.people"}, 0},
		{"kept when asked to", []string{"--keep"}, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			brokers := startBroker(t)
			var out bytes.Buffer
			args := append([]string{"--records", "200", "--brokers", " " + brokers + ","}, tt.args...)
			if err := run(t.Context(), args, &out, io.Discard); err != nil {
				t.Fatalf("%v\n%s", err, out.String())
			}
			if !strings.Contains(out.String(), "bytes in 4 partitions") || !strings.Contains(out.String(), "Everything held.") {
				t.Errorf("it did not run to its end:\n%s", out.String())
			}
			if got := topics(t, brokers); len(got) != tt.left {
				t.Errorf("topics %v are left, want %d", got, tt.left)
			}
		})
	}
}

func TestATopicOfOthersIsLeftAlone(t *testing.T) {
	brokers := startBroker(t, kfake.SeedTopics(1, "theirs"))
	err := run(t.Context(), []string{"--records", "1", "--brokers", brokers, "--topic", "theirs"}, io.Discard, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "exists already") {
		t.Errorf("got %v", err)
	}
	if got := topics(t, brokers); len(got) != 1 || got[0] != "theirs" {
		t.Errorf("topics are %v", got)
	}
}

// An interrupter cancels when a text is written.
type interrupter struct {
	at     string
	cancel func()
}

func (i interrupter) Write(b []byte) (int, error) {
	if bytes.Contains(b, []byte(i.at)) {
		i.cancel()
	}
	return len(b), nil
}

func TestAnInterruptedDemoCleansUp(t *testing.T) {
	for _, at := range []string{"1. A tagged", "2. Producing", "50 of 200", "3. What", "4. What", "5. Looking"} {
		t.Run(at, func(t *testing.T) {
			temp, brokers := tempDir(t), startBroker(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			err := run(ctx, []string{"--records", "200", "--brokers", brokers}, interrupter{at, cancel}, io.Discard)
			if !errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
			if got := topics(t, brokers); len(got) != 0 {
				t.Errorf("topics %v are left", got)
			}
			checkEmpty(t, temp)
		})
	}
}

func TestBadFlagsAreRefusedInOneText(t *testing.T) {
	for _, args := range [][]string{
		{"--records", "0"}, {"--records", "1000001"}, {"--records", "x"}, {"--nothing"}, {"--brokers", ","}, {"argument"},
	} {
		var usage bytes.Buffer
		if err := run(t.Context(), args, io.Discard, &usage); !errors.Is(err, errUsage) || usage.Len() == 0 {
			t.Errorf("%v: error %v, text %q", args, err, usage.String())
		}
	}
}

func TestThePolicyFileIsAPolicyByItself(t *testing.T) {
	if _, err := fieldcrypt.LoadPolicy("policy.yaml"); err != nil {
		t.Error(err)
	}
}

func TestAKEKPathOfAnyCharactersFitsThePolicy(t *testing.T) {
	for _, path := range []string{"/a b/demo.kek", `C:\Temp\"x"\demo.kek`, "/ž#: {}/demo.kek"} {
		if _, err := loadPolicy(policyText, path, "a.topic"); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestWhatIsRecommendedExists(t *testing.T) {
	root := filepath.Join("..", "..")
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range hints() {
		if command, ok := strings.CutPrefix(h.what, "make "); ok {
			target, _, _ := strings.Cut(command, " ")
			if !bytes.Contains(makefile, []byte("\n"+target+": ")) {
				t.Errorf("there is no make %s", target)
			}
			continue
		}
		if _, err := os.Stat(filepath.Join(root, h.what)); err != nil {
			t.Error(err)
		}
	}
}

func startBroker(t *testing.T, opts ...kfake.Opt) string {
	t.Helper()
	c, err := kfake.NewCluster(append(opts, kfake.NumBrokers(1))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c.ListenAddrs()[0]
}

func topics(t *testing.T, brokers string) []string {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(brokers))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	all, err := kadm.NewClient(client).ListTopics(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return all.Names()
}

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
