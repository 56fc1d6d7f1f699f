package demo

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// A teller tells the demo, and checks what it tells.
type teller struct {
	*stage

	out      io.Writer
	chapters int
	held     []*held // what the broker holds
}

// columns is the width of a narrow terminal.
const columns = 80

func (t *teller) printf(format string, args ...any) { _, _ = fmt.Fprintf(t.out, format, args...) }

func (t *teller) title(text string) { t.printf("\n%s\n\n", text) }

func (t *teller) chapter(title string) {
	t.chapters++
	t.title(fmt.Sprintf("%d. %s", t.chapters, title))
}

// row writes a name and a text in one line, and cuts the text where it has to.
func (t *teller) row(name, text string) {
	const gap = 2
	const second = 18
	line := strings.Repeat(" ", gap) + name + strings.Repeat(" ", max(1, second-gap-len(name))) + text
	t.printf("%s\n", cut(line))
}

// cut shortens a line of the demo to a narrow terminal. All of its characters are
// one column wide.
func cut(line string) string {
	r := []rune(line)
	if len(r) <= columns {
		return line
	}
	return string(r[:columns-1]) + "…"
}

// wrapped breaks JSON behind commas, so that it fits.
func wrapped(text string) string {
	const indent = "  "
	var lines []string
	line := indent
	for part := range strings.SplitAfterSeq(text, ",") {
		if len(line)+len(part) > columns && line != indent {
			lines, line = append(lines, cut(line)), indent+" "
		}
		line += part
	}
	return strings.Join(append(lines, cut(line)), "\n")
}

// post makes a call, shows it with its answer, and checks the status.
func (t *teller) post(ctx context.Context, c call, want int) (answer, error) {
	t.printf("%s\n\n", c.curl())
	a, err := c.do(ctx)
	if err != nil {
		return a, err
	}
	t.printf("  %d %s\n", a.status, http.StatusText(a.status))
	for line := range strings.Lines(a.body) {
		t.printf("%s\n", wrapped(strings.TrimSpace(line)))
	}
	if a.status != want {
		return a, fmt.Errorf("the answer has status %d, not %d", a.status, want)
	}
	return a, nil
}

func (t *teller) rest(path string) string { return "http://" + t.addrs["rest"] + path }

func (t *teller) rpc(method string) string {
	return "http://" + t.addrs["grpc"] + "/fieldveil.v1." + method
}

func (t *teller) opening(keep bool) {
	t.title("A broker, a schema registry and a sidecar, in this process")
	for _, r := range [][2]string{
		{"HTTP", t.rest("")},
		{"gRPC, Connect", "http://" + t.addrs["grpc"]},
		{"probes, metrics", "http://" + t.addrs["admin"]},
		{"broker", t.broker.ListenAddrs()[0]},
		{"schema registry", t.registry.URL()},
	} {
		t.row(r[0], r[1])
	}
	t.printf("\nThe policy, by path for JSON and by tag for Avro:\n\n")
	for _, r := range [][2]string{
		{"name, PII.NAME", "mask, first letter stays"},
		{"email, PII", "encrypt"},
		{"phone", "mask, three digits stay"},
		{"cvv", "reject"},
	} {
		t.row(r[0], r[1])
	}
	if !keep {
		t.printf("\nWith --keep it goes on running, and what is printed here can be pasted.\n")
	}
}

// keeping tells what can be done while it runs. The folder has a line of its own:
// it is as long as the system makes it.
func (t *teller) keeping() {
	t.printf(`It runs until Ctrl-C. What is printed above can be pasted into another terminal,
and so can this:

curl -sS http://%s/readyz
curl -sS http://%s/metrics | grep ^fieldveil_records_total
curl -sS %s

%s, %s (read again when they change), %s
and %s are in

%s
`, t.addrs["admin"], t.addrs["admin"], t.rest("/openapi.yaml"), filePolicy, fileConfig, fileAudit, fileLog, t.dir)
}
