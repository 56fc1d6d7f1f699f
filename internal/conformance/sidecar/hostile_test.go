//go:build linux

package sidecar

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/fieldveil/fieldveil/internal/conformance/process"
)

// mostMemory is what the sidecar may ever have had in memory.
const mostMemory = 256 << 20

// Clients on the same host do their worst at the same time: bodies of 64 MB,
// a thousand sockets that say nothing or next to nothing, requests that are reset
// as soon as they are made, pings without end. Beside them one client produces as
// always, and gets all of its answers. The sidecar has a bound on its memory, and
// all descriptors are given back when the others have gone.
func TestAHostileLoadIsBoundInMemoryAndDescriptors(t *testing.T) {
	broker, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(4, people))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(broker.Close)
	grpc := process.FreeAddr(t)
	t.Setenv("FIELDVEIL_LISTEN_GRPC", grpc)
	// What the sidecar sets by itself in a pod with a limit of 222 MiB. The limit
	// is soft, and code of the program that was read from disk comes on top.
	t.Setenv("GOMEMLIMIT", "200MiB")
	p := newProgram(t, setup{brokers: strings.Join(broker.ListenAddrs(), ","), policy: peoplePolicy})
	p.start(t)

	good := newGoodClient(p.rest)
	quiet := good.post(t, 300, nil)
	start := p.descriptors(t)

	over := make(chan struct{})
	during := make(chan []time.Duration, 1)
	go func() { during <- good.post(t, 50, over) }()
	began, spent := time.Now(), p.cpu(t)
	attack(t, p.rest, grpc)
	took, spent := time.Since(began), p.cpu(t)-spent
	close(over)
	under := <-during

	for _, of := range []int{50, 99} {
		q, u := percentile(quiet, of), percentile(under, of)
		t.Logf("requests of the good client: %d in quiet, p%d %v; %d under load, p%d %v: %.1f times",
			len(quiet), of, q, len(under), of, u, float64(u)/float64(q))
	}
	t.Logf("the sidecar took %v of the CPU in %v", spent, took)
	peak := p.status(t, "VmHWM")
	t.Logf("memory: %d MiB at most; descriptors: %d before, %d now", peak>>20, start, p.descriptors(t))
	if peak > mostMemory {
		t.Errorf("the sidecar had %d MiB", peak>>20)
	}
	// Another process says nothing when it closes a socket: it is looked at.
	deadline := time.After(time.Minute)
	for n := p.descriptors(t); n > start; n = p.descriptors(t) {
		select {
		case <-deadline:
			t.Fatalf("%d descriptors are open, %d were\n%s", n, start, p.tail(t))
		case <-p.done:
			t.Fatalf("the sidecar ended: %v\n%s", p.err, p.tail(t))
		case <-time.After(50 * time.Millisecond):
		}
	}
	good.post(t, 1, nil)
}

func percentile(v []time.Duration, p int) time.Duration {
	return slices.Sorted(slices.Values(v))[len(v)*p/100]
}

// cpu returns what the process has had of the CPU, in user and system mode.
func (p *program) cpu(t testing.TB) time.Duration {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), ") ") // the name before it may have spaces
	fields := strings.Fields(rest)
	const utime, stime, ticks = 11, 12, 100 // a second, on all that Linux runs on
	var all int
	for _, at := range []int{utime, stime} {
		n, err := strconv.Atoi(fields[at])
		if err != nil {
			t.Fatal(err)
		}
		all += n
	}
	return time.Duration(all) * time.Second / ticks
}

// descriptors counts what the process has open.
func (p *program) descriptors(t testing.TB) int {
	t.Helper()
	all, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.cmd.Process.Pid))
	if err != nil {
		t.Fatalf("%v\n%s", err, p.tail(t))
	}
	return len(all)
}

// status returns a size from what the kernel says of the process, in bytes.
func (p *program) status(t testing.TB, name string) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			n, err := strconv.Atoi(strings.Fields(value)[0])
			if err != nil {
				t.Fatal(err)
			}
			return n << 10
		}
	}
	t.Fatalf("the kernel says nothing of %s", name)
	return 0
}

// A goodClient posts small batches, one after the other, on one connection.
type goodClient struct {
	web *http.Client
	url string
}

func newGoodClient(addr string) *goodClient {
	return &goodClient{&http.Client{Timeout: time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: 1}}, "http://" + addr + "/topics/" + people}
}

// post posts n batches, and goes on until over is closed if there is one. It
// returns how long each took.
func (c *goodClient) post(t testing.TB, n int, over <-chan struct{}) []time.Duration {
	t.Helper()
	body := `{"records":[{"key":"k","value":{"id":1,"email":"canary-0000001@example.org"}},{"value":null}]}`
	var all []time.Duration
	for {
		begin := time.Now()
		res, err := c.web.Post(c.url, "application/vnd.kafka.json.v2+json", strings.NewReader(body))
		if err != nil {
			t.Errorf("the good client: %v", err)
			return append(all, time.Since(begin))
		}
		answer, err := io.ReadAll(res.Body)
		if err = errors.Join(err, res.Body.Close()); err != nil || res.StatusCode != http.StatusOK || bytes.Count(answer, []byte(`"offset":`)) != 2 {
			t.Errorf("the good client: %d %s, %v", res.StatusCode, answer, err)
			return append(all, time.Since(begin))
		}
		all = append(all, time.Since(begin))
		if len(all) < n {
			continue
		}
		if over == nil {
			return all
		}
		select {
		case <-over:
			return all
		default:
		}
	}
}

// The variables that tell a process of this test that it is the hostile clients.
const (
	victimREST = "FIELDVEIL_TEST_VICTIM_REST"
	victimGRPC = "FIELDVEIL_TEST_VICTIM_GRPC"
)

// attack runs the hostile clients in a process of their own, which gets the CPU
// that nobody else wants. Real ones have hosts of their own: what they take of the
// CPU of this one says nothing of the sidecar, and what it does for them does.
func attack(t testing.TB, rest, grpc string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	args := []string{self, "-test.run=^TestHostileClients$", "-test.count=1"}
	if chrt, err := exec.LookPath("chrt"); err == nil {
		args = append([]string{chrt, "--idle", "0"}, args...)
	} else {
		t.Log("there is no chrt: the hostile clients have as much of the CPU as they take")
	}
	cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
	cmd.Env = append(os.Environ(), victimREST+"="+rest, victimGRPC+"="+grpc)
	dieWithParent(cmd)
	runtime.LockOSThread() // the kernel ties the child to the thread that starts it
	defer runtime.UnlockOSThread()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("the hostile clients: %v\n%s", err, out)
	}
}

// TestHostileClients is no test, but the process of [attack].
func TestHostileClients(t *testing.T) {
	rest, grpc := os.Getenv(victimREST), os.Getenv(victimGRPC)
	if rest == "" || grpc == "" {
		t.Skip("it is run by the test of hostile clients")
	}
	hostile(t, rest, grpc)
}

// hostile does all that hostile clients do, and returns when they have gone.
func hostile(t testing.TB, rest, grpc string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var wg, held sync.WaitGroup
	free := make(chan struct{})
	for i := range 1000 {
		addr := rest
		if i%4 == 3 {
			addr = grpc
		}
		held.Go(func() { slow(ctx, addr, i, free) })
	}
	for range 4 {
		wg.Go(func() {
			for i := range 4 {
				huge(ctx, rest, i%2 == 0)
			}
		})
	}
	for _, addr := range []string{rest, grpc} {
		for range 3 {
			wg.Go(func() { flood(ctx, addr, 20_000, reset) })
			wg.Go(func() { flood(ctx, addr, 100_000, ping) })
		}
	}
	wg.Wait()
	close(free)
	held.Wait()
}

// What is written to a sidecar fails when it has had enough, as it should.

// slow opens a socket, says the beginning of something and stays.
func slow(ctx context.Context, addr string, i int, free <-chan struct{}) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return
	}
	defer conn.Close()
	begin := []string{
		"", "POST /topics/people HTTP/1.1\r\nHost: localhost\r\n",
		"POST /topics/people HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/vnd.kafka.json.v2+json\r\nContent-Length: 1000000\r\n\r\n{\"records\":[",
		http2.ClientPreface,
	}[i%4]
	_, _ = io.WriteString(conn, begin)
	select {
	case <-free:
	case <-ctx.Done():
	}
}

// huge posts 64 MB.
func huge(ctx context.Context, addr string, chunked bool) {
	const size = 64 << 20
	body := io.LimitReader(spaces{}, size)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+addr+"/topics/"+people, body)
	if err != nil {
		return
	}
	req.Header.Set("Content-Type", "application/vnd.kafka.json.v2+json")
	if !chunked {
		req.ContentLength = size
	}
	web := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := web.Do(req)
	if err == nil {
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
	}
}

// spaces is blanks without end, which JSON may begin with.
type spaces struct{}

func (spaces) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = ' '
	}
	return len(b), nil
}

// flood opens a connection of HTTP/2 and does one thing many times, or as often
// as it is let.
func flood(ctx context.Context, addr string, n int, each func(f *http2.Framer, i int) error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	go func() { _, _ = io.Copy(io.Discard, conn) }() // ends with the connection
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		return
	}
	f := http2.NewFramer(conn, nil)
	if f.WriteSettings() != nil {
		return
	}
	for i := range n {
		if each(f, i) != nil {
			return
		}
	}
}

func ping(f *http2.Framer, i int) error { return f.WritePing(false, [8]byte{byte(i)}) }

func reset(f *http2.Framer, i int) error {
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	for _, h := range [][2]string{
		{":method", "POST"}, {":scheme", "http"}, {":authority", "localhost"}, {":path", "/fieldveil.v1.ProduceService/Produce"},
		{"content-type", "application/grpc"}, {"te", "trailers"},
	} {
		if err := enc.WriteField(hpack.HeaderField{Name: h[0], Value: h[1]}); err != nil {
			return err
		}
	}
	id := uint32(2*i + 1)
	if err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block.Bytes(), EndHeaders: true}); err != nil {
		return err
	}
	return f.WriteRSTStream(id, http2.ErrCodeCancel)
}
