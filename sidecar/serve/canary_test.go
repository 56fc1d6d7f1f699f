package serve

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	v1 "github.com/fieldveil/fieldveil/sidecar/api/fieldveilv1"
)

// The marks. secretMark is in whatever must be nowhere: protected fields and
// credentials. clearMark is in what the policy leaves alone, and may be in the
// topic and nowhere else.
const (
	secretMark = "KANARI"
	clearMark  = "ZEISIG"
)

// forms returns a mark as it is, and in what encoders make of it.
func forms(mark string) map[string]string {
	out := map[string]string{
		"clear": mark, "reversed": reversed(mark), "UTF-16": strings.Join(strings.Split(mark, ""), "\x00"),
		"lower": strings.ToLower(mark), "hex": hex.EncodeToString([]byte(mark)), "HEX": strings.ToUpper(hex.EncodeToString([]byte(mark))),
	}
	var percent strings.Builder
	for i := range len(mark) {
		fmt.Fprintf(&percent, "%%%02X", mark[i])
	}
	out["URL"] = percent.String()
	// What base64 makes of a text depends on what is before and behind it: the
	// letters that are the same each time are looked for.
	for pad := range 3 {
		s := base64.RawStdEncoding.EncodeToString([]byte(strings.Repeat("x", pad) + mark + "x"))
		first := (pad*8 + 5) / 6
		last := (pad + len(mark)) * 8 / 6
		out[fmt.Sprint("base64, after ", pad)] = s[first:last]
	}
	return out
}

func reversed(s string) string {
	b := []byte(s)
	for i, j := 0, len(b)-1; i < j; i, j = i+1, j-1 {
		b[i], b[j] = b[j], b[i]
	}
	return string(b)
}

// leaks lists where marks are in a text.
func leaks(text string, marks ...string) []string {
	var out []string
	for _, mark := range marks {
		for name, form := range forms(mark) {
			if i := strings.Index(text, form); i >= 0 {
				out = append(out, fmt.Sprintf("%s: %q", name, text[max(0, i-120):min(len(text), i+120)]))
			}
		}
	}
	return out
}

func TestTheScanFindsAMarkThatIsPlanted(t *testing.T) {
	for name, text := range map[string]string{
		"in clear": "a " + secretMark + " b", "escaped": url.QueryEscape("ü" + secretMark), "hex": fmt.Sprintf("%x", "ab"+secretMark+"c"), "HEX": fmt.Sprintf("%X", secretMark),
		"base64 0": base64.StdEncoding.EncodeToString([]byte("abc" + secretMark + "q")), "base64 1": base64.StdEncoding.EncodeToString([]byte("a" + secretMark + "qq")),
		"base64 2": base64.URLEncoding.EncodeToString([]byte("ab" + secretMark)), "JSON": fmt.Sprintf("%q", "\n"+secretMark),
	} {
		if len(leaks(text, secretMark)) == 0 {
			t.Errorf("%s: not found in %s", name, text)
		}
	}
	if got := leaks("nothing of a canary", secretMark, clearMark); len(got) > 0 {
		t.Errorf("found %q", got)
	}
}

const canaryPolicy = `version: 1
dataset: people
keys: {pii: {kek: "local:k"}}
topics:
  - match: people
    format: json
    headers: [{name: x-mail, action: encrypt, key: pii}, {name: x-drop, action: drop}]
    fields: [{path: /**/mail, action: encrypt, key: pii}, {path: /**/name, action: mask, keep_last: 0}, {path: /**/cvv, action: reject}]
  - {match: "denied", format: json, fields: [{path: /mail, action: encrypt, key: pii}, {path: /name, action: mask, keep_last: 0}]}
`

// An outage lets calls of a KMS fail.
type outage struct {
	kms.Wrapper

	on atomic.Bool
}

func (o *outage) Generate(ctx context.Context, kek string, ec kms.EncryptionContext) (plain, wrapped []byte, err error) {
	if o.on.Load() {
		return nil, nil, kms.ErrUnavailable
	}
	return o.Wrapper.Generate(ctx, kek, ec)
}

func (o *outage) Unwrap(ctx context.Context, kek string, wrapped []byte, ec kms.EncryptionContext) ([]byte, error) {
	if o.on.Load() {
		return nil, kms.ErrUnavailable
	}
	return o.Wrapper.Unwrap(ctx, kek, wrapped, ec)
}

// A canaryRun is a sidecar and all that came out of it.
type canaryRun struct {
	*world

	mu       sync.Mutex
	seen     map[string]*strings.Builder
	requests int
}

func (c *canaryRun) keep(where, text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.seen[where] == nil {
		c.seen[where] = &strings.Builder{}
	}
	c.seen[where].WriteString(text)
	c.seen[where].WriteByte('\n')
}

const (
	token      = secretMark + "-dG9rZW4tb2Ytb3JkZXJzLWFuZC1iaWxsaW5n"
	otherToken = secretMark + "-YW5vdGhlci10b2tlbi10aGF0LWlzLXVua25vd24"
)

// send sends a request and keeps its answer.
func (c *canaryRun) send(listener, method, path, body string, header ...string) int {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), method, "http://"+c.addrs[listener], strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	target, query, _ := strings.Cut(path, "?")
	req.URL.Path, req.URL.RawQuery = target, query
	for _, h := range header {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	client := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	c.requests++
	res, err := client.Do(req)
	if err != nil {
		return 0 // broken off, which shows nothing
	}
	defer res.Body.Close()
	var head bytes.Buffer
	_ = res.Header.Write(&head)
	_ = res.Trailer.Write(&head)
	b, _ := io.ReadAll(res.Body)
	c.keep("answers", head.String()+string(b))
	return res.StatusCode
}

// A shape is a request that is well formed, with marks.
type shape struct{ listener, path, media, body string }

func shapes() []shape {
	const (
		value = `{"id":7,"mail":"KANARI@example.test","name":"KANARI Mueller","city":"ZEISIG"}`
		heads = `[{"name":"x-mail","value":"S0FOQVJJ"},{"name":"x-drop","value":"S0FOQVJJ"},{"name":"x-free","value":"WkVJU0lH"}]`
	)
	coded := base64.StdEncoding.EncodeToString([]byte(value))
	const cluster = "/v3/clusters/any/topics/people/records"
	return []shape{
		{"rest", "/topics/people", v2JSON, `{"records":[{"key":"ZEISIG","value":` + value + `,"headers":` + heads + `},{"value":null}]}`},
		{"rest", "/topics/people", "application/vnd.kafka.binary.v2+json", `{"records":[{"key":"WkVJU0lH","value":"` + coded + `"}]}`},
		{"rest", "/topics/people", "application/vnd.kafka.avro.v2+json", `{"value_schema":"{\"type\":\"record\",\"name\":\"KANARI\",\"fields\":[]}","records":[{"value":` + value + `}]}`},
		{"rest", "/topics/people/partitions/0", v2JSON, `{"records":[{"value":` + value + `}]}`},
		{"rest", "/topics/people", v2JSON, `{"records":[{"value":{"id":7,"cvv":"KANARI"}}]}`},
		{"rest", "/topics/denied", v2JSON, `{"records":[{"value":` + value + `}]}`},
		{"rest", "/topics/KANARI", v2JSON, `{"records":[{"value":` + value + `}]}`},
		{"rest", cluster, "application/json", `{"key":{"type":"STRING","data":"ZEISIG"},"value":{"type":"JSON","data":` + value + `},"headers":` + heads + `}{"value":{"type":"BINARY","data":"` + coded + `"}}`},
		{"rest", cluster + ":batch", "application/json", `{"entries":[{"id":"1","value":{"type":"JSON","data":` + value + `}},{"id":"2","value":{"type":"JSON","data":{"cvv":"KANARI"}}}]}`},
		{"rest", "/topics/people/raw?key=ZEISIG", "application/json", value},
		{"rest", "/topics/people/raw", "application/cloudevents+json", `{"specversion":"1.0","id":"ZEISIG","source":"/s","type":"t","data":` + value + `,"mail":"KANARI"}`},
		{"grpc", "/fieldveil.v1.ProduceService/Produce", "application/json", `{"topic":"people","records":[{"key":"WkVJU0lH","value":"` + coded + `"}]}`},
		{"grpc", "/fieldveil.v1.ProduceService/Check", "application/json", `{"topic":"people","records":[{"value":"` + coded + `"}]}`},
	}
}

// broken returns what can go wrong with a body: it ends early, a text is another
// type, something stands before, behind or twice.
func (s *shape) broken() []string {
	body := headers.ReplaceAllString(s.body, "") // one with another name is clear by the policy
	out := []string{secretMark + body, body + secretMark, `"` + clearMark + `"`, `{"` + clearMark + `":7}`}
	for i := 5; i < len(body); i += 17 {
		out = append(out, body[:i], body[:i]+"\x00"+body[i:])
		// What is put in may come into a place that is clear by the policy, and may
		// not make others so. Ids of entries come back to whoever sent them.
		with := body[:i] + clearMark + body[i:]
		if strings.Count(with, `"mail":`) == strings.Count(body, `"mail":`) && strings.Count(with, `"name":`) == strings.Count(body, `"name":`) &&
			strings.Count(with, `"cvv":`) == strings.Count(body, `"cvv":`) && !ids.MatchString(with) {
			out = append(out, with)
		}
	}
	for _, with := range []string{`["KANARI"]`, `{"a":"KANARI"}`, `"\u004bANARI\ud800"`, "\"KANARI\xff\"", "770077007700770077KANARI"} {
		out = append(out, strings.Replace(s.body, `"KANARI@example.test"`, with, 1), strings.Replace(s.body, `"people"`, with, 1), strings.Replace(s.body, `"records":`, `"records":`+with+`,"x":`, 1))
	}
	return out
}

var (
	headers = regexp.MustCompile(`,"headers":\[[^\]]*\]`)
	ids     = regexp.MustCompile(`"id":"[^"]*` + clearMark)
)

// everything pushes all shapes through all ways in, broken ones too or not.
func (c *canaryRun) everything(broken bool) {
	good := "Authorization: Bearer " + token
	for _, s := range shapes() {
		media := "Content-Type: " + s.media
		c.send(s.listener, http.MethodPost, s.path, s.body, media, good, "X-Kafka-X-Mail: KANARI", "X-Kafka-X-Drop: KANARI", "Cookie: KANARI=1",
			"traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "tracestate: kanari=KANARI", "X-Request-Id: KANARI@example.org")
		if !broken {
			continue
		}
		for _, auth := range []string{"", "Authorization: Bearer " + otherToken, "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("KANARI:KANARI")), "Authorization: KANARI"} {
			c.send(s.listener, http.MethodPost, s.path, s.body, media, auth)
		}
		for _, b := range s.broken() {
			c.send(s.listener, http.MethodPost, s.path, b, media, good)
		}
		c.send(s.listener, http.MethodPost, s.path, strings.Replace(s.body, secretMark, strings.Repeat(secretMark, 3<<20/len(secretMark)), 1), media, good)
		c.send(s.listener, http.MethodPost, s.path, s.body, "Content-Type: KANARI/KANARI", good)
		c.send(s.listener, http.MethodPost, s.path, s.body, media, good, "Content-Encoding: KANARI")
		path, _, _ := strings.Cut(s.path, "?") // a key in the query is clear by the policy
		c.send(s.listener, http.MethodPost, path+"/KANARI", s.body, media, good)
		c.send(s.listener, http.MethodPost, path+"?KANARI=KANARI", s.body, media, good)
		c.send(s.listener, "KANARI", s.path, s.body, media, good)
	}
	for _, path := range []string{"/", "/topics", "/topics/KANARI", "/topics/people/partitions/KANARI", "/v3/clusters/KANARI/topics/KANARI/configs", "/consumers/KANARI"} {
		c.send("rest", http.MethodGet, path, "", good)
	}
	c.overGRPC()
}

// overGRPC does the same with a client of gRPC, and reveals.
func (c *canaryRun) overGRPC() {
	cc, err := grpc.NewClient(c.addrs["grpc"], grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		c.t.Fatal(err)
	}
	defer cc.Close()
	ctx, cancel := context.WithTimeout(c.t.Context(), time.Minute)
	defer cancel()
	value := []byte(`{"mail":"KANARI@example.test","name":"KANARI","city":"ZEISIG"}`)
	rec := func(b []byte) *v1.Record {
		return &v1.Record{Topic: "people", Key: []byte(clearMark), Value: b, Headers: []*v1.Header{{Name: "x-mail", Value: []byte(secretMark)}}}
	}
	show := func(err error, m any) {
		text := fmt.Sprint(err)
		if err == nil {
			b, jerr := json.Marshal(m)
			if jerr != nil {
				c.t.Fatal(jerr)
			}
			text = string(b)
		}
		c.keep("answers", text)
	}
	for _, who := range []string{token, otherToken} {
		ctx := metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+who, "x-other", secretMark)
		for _, b := range [][]byte{value, value[:20], []byte(secretMark), bytes.Repeat(value, 1<<17), append([]byte("\x00\x00\x00\x00\x01"), secretMark...)} {
			c.requests += 4
			res, err := v1.NewProduceServiceClient(cc).Produce(ctx, &v1.ProduceRequest{Topic: "people", Records: []*v1.Record{rec(b)}})
			show(err, res)
			_, err = v1.NewProtectServiceClient(cc).Protect(ctx, &v1.ProtectRequest{Record: rec(b)})
			show(err, "")
			_, err = v1.NewProtectServiceClient(cc).Reveal(ctx, &v1.RevealRequest{Record: rec(b), Purpose: "case-7"})
			show(err, "") // whoever may reveal gets values
			s, err := v1.NewProduceServiceClient(cc).ProduceStream(ctx)
			if err != nil {
				show(err, "")
				continue
			}
			_ = s.Send(&v1.ProduceStreamRequest{Message: &v1.ProduceStreamRequest_Open{Open: &v1.StreamOpen{Topic: "people"}}})
			_ = s.Send(&v1.ProduceStreamRequest{Message: &v1.ProduceStreamRequest_Batch{Batch: &v1.StreamBatch{Sequence: 1, Records: []*v1.Record{rec(b), rec(value)}}}})
			_ = s.CloseSend()
			for err == nil {
				var ack *v1.ProduceStreamResponse
				ack, err = s.Recv()
				show(err, ack)
			}
		}
	}
	ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
	protected, err := v1.NewProtectServiceClient(cc).Protect(ctx, &v1.ProtectRequest{Record: rec(value)})
	if err != nil {
		return // in an outage
	}
	back, err := v1.NewProtectServiceClient(cc).Reveal(ctx, &v1.RevealRequest{Record: protected.GetRecord(), Purpose: "case-7"})
	if err != nil || !bytes.Contains(back.GetRecord().GetValue(), []byte("KANARI@example.test")) {
		c.t.Errorf("nothing is revealed: %v", err)
	}
	res, err := v1.NewProtectServiceClient(cc).Reveal(metadata.AppendToOutgoingContext(c.t.Context(), "authorization", "Bearer "+otherToken), &v1.RevealRequest{Record: protected.GetRecord(), Purpose: "case-7"})
	if err == nil {
		c.t.Errorf("revealed to nobody: %v", res)
	}
}
