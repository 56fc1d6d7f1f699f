package serve

import (
	"bufio"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	v1 "github.com/fieldveil/fieldveil/sidecar/api/fieldveilv1"
)

// The policies differ in how they protect two fields, so that a record that met
// both of them shows it. Neither is weaker than the other.
const (
	policyA = "version: 1\ndataset: people\nkeys: {pii: {kek: \"local:k\"}}\ntopics:\n  - {match: people, format: json, fields: [{path: /a, action: encrypt, key: pii}, {path: /b, action: encrypt, key: pii}]}\n"
	policyB = "version: 1\ndataset: people\nkeys: {pii: {kek: \"local:k\"}}\ntopics:\n  - {match: people, format: json, fields: [{path: /a, action: mask, keep_last: 0}, {path: /b, action: mask, keep_last: 0}]}\n"
)

// reload reads the configuration again and returns what came of it, and the policy
// that is served after it.
func (w *world) reload() (outcome, policy string) {
	w.t.Helper()
	_, body := w.do("admin", http.MethodPost, "/reload", "", "")
	var status struct {
		Outcome string `json:"outcome"`
		Policy  string `json:"policy"`
	}
	if err := json.Unmarshal([]byte(body), &status); err != nil {
		w.t.Fatalf("%v: %s", err, body)
	}
	return status.Outcome, status.Policy
}

// acknowledged is reload by somebody who has read what would be weaker.
func (w *world) acknowledged() (outcome, policy string) {
	w.t.Helper()
	_, body := w.do("admin", http.MethodPost, "/reload", "", "")
	var status struct {
		Change string `json:"change"`
	}
	if err := json.Unmarshal([]byte(body), &status); err != nil {
		w.t.Fatalf("%v: %s", err, body)
	}
	_, body = w.do("admin", http.MethodPost, "/reload?acknowledge="+status.Change, "", "")
	var again struct {
		Outcome string `json:"outcome"`
		Policy  string `json:"policy"`
	}
	if err := json.Unmarshal([]byte(body), &again); err != nil {
		w.t.Fatalf("%v: %s", err, body)
	}
	return again.Outcome, again.Policy
}

// metaOf returns the digest of the policy that a record names: its header is a
// version, and an item of type 1 with its length.
func metaOf(t *testing.T, r *kgo.Record) string {
	t.Helper()
	for _, h := range r.Headers {
		if h.Key == fieldcrypt.HeaderMeta && len(h.Value) >= 11 && h.Value[1] == 1 && h.Value[2] == 8 {
			return hex.EncodeToString(h.Value[3:11])
		}
	}
	t.Fatal("a record names no policy")
	return ""
}

// badFiles returns pairs of a configuration and a policy that nobody may serve: the
// first broken of them, the others weaker.
func badFiles(good string) (files [][2]string, broken int) {
	for i := range 30 {
		cut := (i + 1) * len(good) / 32
		files = append(files, [2]string{good[:cut] + "\n:", policyA}, [2]string{good, policyA[:(i+1)*len(policyA)/32] + "{"})
	}
	broken = len(files)
	for i := range 4 {
		files = append(files, [][2]string{
			{good, strings.Replace(policyA, ", {path: /b, action: encrypt, key: pii}", fmt.Sprintf(", {path: /c%d, action: encrypt, key: pii}", i), 1)},
			{good, strings.Replace(policyA, "match: people", fmt.Sprintf("match: persons%d", i), 1)},
			{good, strings.Replace(policyA, "path: /b, action: encrypt, key: pii", fmt.Sprintf("path: /b, action: mask, keep_last: %d", i+1), 1)},
			{good, strings.Replace(policyA, "path: /a, action: encrypt, key: pii", fmt.Sprintf("path: /a, action: mask, keep_first: %d", i+1), 1)},
			{strings.Replace(good, "reload:", fmt.Sprintf("policy: {allow_weakening: true} # %d\nreload:", i), 1), policyA},
			{strings.Replace(good, "admin: {", fmt.Sprintf("admin: {pprof: true, # %d\n  ", i), 1), policyA},
		}...)
	}
	return files, broken
}

// A load is clients that produce until they are told to stop.
type load struct {
	w     *world
	stop  chan struct{}
	wg    sync.WaitGroup
	sent  atomic.Int64
	lines sync.Map // of what failed
}

func (l *load) failf(format string, args ...any) { l.lines.Store(fmt.Sprintf(format, args...), true) }

func (l *load) going() bool {
	select {
	case <-l.stop:
		return false
	default:
		return true
	}
}

// v2 posts records one request after the other.
func (l *load) v2() {
	client := &http.Client{}
	defer client.CloseIdleConnections()
	for l.going() {
		res, err := client.Post("http://"+l.w.addrs["rest"]+"/topics/people", v2JSON, strings.NewReader(`{"records":[{"value":{"a":"aa","b":"bb"}},{"value":{"a":"aa","b":"bb"}}]}`))
		if err != nil {
			l.failf("v2: %v", err)
			return
		}
		b, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if err != nil || res.StatusCode != http.StatusOK || strings.Contains(string(b), `"offset":null`) {
			l.failf("v2: %d %s %v", res.StatusCode, b, err)
			return
		}
		l.sent.Add(2)
	}
}

// v3 writes records to one request, and reads a receipt for each.
func (l *load) v3() {
	pr, pw := io.Pipe()
	req, err := http.NewRequest(http.MethodPost, "http://"+l.w.addrs["rest"]+"/v3/clusters/any/topics/people/records", pr)
	if err != nil {
		l.failf("v3: %v", err)
		return
	}
	req.Header.Set("Content-Type", "application/json")
	one := func() { _, _ = io.WriteString(pw, `{"value":{"type":"JSON","data":{"a":"aa","b":"bb"}}}`+"\n") }
	go one() // an answer begins with the first receipt
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		l.failf("v3: %v", err)
		return
	}
	defer res.Body.Close()
	in := bufio.NewScanner(res.Body)
	for in.Scan() {
		if !strings.Contains(in.Text(), `"error_code":200`) {
			l.failf("v3: %s", in.Text())
			return
		}
		l.sent.Add(1)
		if !l.going() {
			_ = pw.Close()
			continue
		}
		one()
	}
	if l.going() {
		l.failf("v3: the stream ended, %v", in.Err())
	}
}

// grpc writes batches to one stream.
func (l *load) grpc(ctx context.Context) {
	cc, err := grpc.NewClient(l.w.addrs["grpc"], grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		l.failf("grpc: %v", err)
		return
	}
	defer cc.Close()
	s, err := v1.NewProduceServiceClient(cc).ProduceStream(ctx)
	if err == nil {
		err = s.Send(&v1.ProduceStreamRequest{Message: &v1.ProduceStreamRequest_Open{Open: &v1.StreamOpen{Topic: "people"}}})
	}
	if err == nil {
		_, err = s.Recv()
	}
	for n := uint64(1); err == nil && l.going(); n++ {
		batch := &v1.StreamBatch{Sequence: n, Records: []*v1.Record{{Value: []byte(`{"a":"aa","b":"bb"}`)}, {Value: []byte(`{"a":"aa","b":"bb"}`)}}}
		if err = s.Send(&v1.ProduceStreamRequest{Message: &v1.ProduceStreamRequest_Batch{Batch: batch}}); err != nil {
			break
		}
		var ack *v1.ProduceStreamResponse
		if ack, err = s.Recv(); err != nil {
			break
		}
		for _, r := range ack.GetAck().GetResults() {
			if r.GetOutcome() != v1.Outcome_OUTCOME_DELIVERED {
				l.failf("grpc: %v", r)
				return
			}
			l.sent.Add(1)
		}
	}
	if err != nil {
		l.failf("grpc: %v", err)
		return
	}
	if err := s.CloseSend(); err != nil {
		l.failf("grpc: %v", err)
	}
}

func TestReloadsUnderLoadAreAllOrNothing(t *testing.T) {
	var good string
	w := start(t, func(w *world) {
		good = w.config("reload: {watch: false}\n")
		w.write("policy.yaml", policyA)
		w.write("fieldveil.yaml", good)
	}, nil)
	digest := map[string]string{} // of a policy, its name
	for name, text := range map[string]string{"A": policyA, "B": policyB} {
		p, err := fieldcrypt.ParsePolicy([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		digest[fmt.Sprintf("%x", p.Digest())] = name
	}
	l := &load{w: w, stop: make(chan struct{})}
	l.wg.Go(l.v2)
	l.wg.Go(l.v3)
	l.wg.Go(func() { l.grpc(t.Context()) })

	files, broken := badFiles(good)
	refused := 0
	for i, f := range files {
		w.write("fieldveil.yaml", f[0])
		w.write("policy.yaml", f[1])
		want := "invalid"
		if i >= broken {
			want = "weaker"
		}
		outcome, policy := w.reload()
		if outcome != want || digest[policy] != "A" {
			t.Errorf("%s and %s, want %s, for\n%s\n%s", outcome, digest[policy], want, f[0], f[1])
			continue
		}
		refused++
	}
	if broken < 50 || len(files)-broken < 20 || refused != len(files) {
		t.Errorf("%d of %d refused, %d of them broken", refused, len(files), broken)
	}
	// Good ones: from one policy to the other and back, while all goes on.
	w.write("fieldveil.yaml", good)
	for i := range 6 {
		text, name := policyB, "B"
		if i%2 == 1 {
			text, name = policyA, "A"
		}
		w.write("policy.yaml", text)
		outcome, policy := w.acknowledged()
		if outcome != "ok" || digest[policy] != name {
			t.Fatalf("%s, %q serves, want %s", outcome, digest[policy], name)
		}
		// What is sent from now on meets the new policy and no other.
		status, answer := w.do("rest", http.MethodPost, "/topics/people", v2JSON, `{"records":[{"key":"after-`+name+`","value":{"a":"aa","b":"bb"}}]}`)
		if status != http.StatusOK {
			t.Fatalf("%d %s", status, answer)
		}
	}
	close(l.stop)
	l.wg.Wait()
	l.lines.Range(func(line, _ any) bool {
		t.Errorf("%s", line)
		return true
	})
	sent := int(l.sent.Load()) + 6
	seen := map[string]int{}
	for _, r := range w.records(sent) {
		name := digest[metaOf(t, r)]
		seen[name]++
		var v struct{ A, B string }
		if err := json.Unmarshal(r.Value, &v); err != nil {
			t.Fatal(err)
		}
		a, b := strings.HasPrefix(v.A, "fv1:"), strings.HasPrefix(v.B, "fv1:")
		if a != b || a != (name == "A") || strings.Contains(string(r.Value), `"aa"`) || strings.Contains(string(r.Value), `"bb"`) {
			t.Fatalf("a record of policy %q is %s", name, r.Value)
		}
		if key := string(r.Key); key != "" && key != `"after-`+name+`"` {
			t.Errorf("%s was protected by %s", key, name)
		}
	}
	if seen["A"] == 0 || seen["B"] == 0 || len(seen) != 2 {
		t.Errorf("policies of the records: %v", seen)
	}
	t.Logf("%d reloads refused, %d records, %v", refused, sent, seen)
}
