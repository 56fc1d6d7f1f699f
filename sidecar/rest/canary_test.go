package rest

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

const (
	canary       = "CANARY7f3@x"
	canaryNumber = "770077007700770077"
)

var (
	literals = regexp.MustCompile(`"[^"\\]*"`)
	numbers  = regexp.MustCompile(`:\s*-?\d+`)
)

// tainted returns body with each text and each number in turn replaced by one
// that must not come out again, and a few more that are broken.
func tainted(body string, isBatch bool) []string {
	var out []string
	for _, at := range literals.FindAllStringIndex(body, -1) {
		if isBatch && strings.HasSuffix(body[:at[0]], `"id":`) {
			continue // given back, so that the client knows which entry it was
		}
		for _, with := range []string{
			`"` + canary + `"`, `"` + canary, canary, `{"` + canary + `":1}`, `["` + canary + `"]`, `{"a":"` + canary + `"}`,
			`"\u0043ANARY7f3@x"`, `"` + canary + "\xff" + `"`, `"Q0FOQVJZN2YzQHg="`,
		} {
			out = append(out, body[:at[0]]+with+body[at[1]:])
		}
	}
	for _, at := range numbers.FindAllStringIndex(body, -1) {
		for _, with := range []string{canaryNumber, "-" + canaryNumber, `"` + canary + `"`, canaryNumber + "." + canaryNumber} {
			out = append(out, body[:at[0]]+":"+with+body[at[1]:])
		}
	}
	return append(out, canary+body, body+canary, `"`+canary+`"`, `{"`+canary+`":`+body+`}`, strings.Replace(body, "{", `{"`+canary+`":"`+canary+`",`, 1))
}

func TestNothingOfARequestComesOutOfAnAnswerOrAnObserver(t *testing.T) {
	tried := 0
	for _, path := range exchangeFiles(t) {
		for _, x := range readExchanges(t, path) {
			head, body, _ := strings.Cut(x.request, "\n\n")
			var requests []string
			for _, b := range tainted(body, strings.Contains(head, ":batch")) {
				requests = append(requests, head+"\n\n"+b)
			}
			line, rest, _ := strings.Cut(x.request, "\n")
			for _, h := range []string{
				"X-Kafka-Name: " + canary, "X-Kafka-" + "CANARY7f3: v", "Ce-Id: " + canary, "Ce-Specversion: " + canary, "Ce-CANARY7f3: 1",
				"Content-Type: " + canary, "Content-Type: application/" + canary, "Accept: " + canary, "Content-Encoding: " + canary,
				"Authorization: Bearer " + canary, "Content-Type: application/json; charset=" + canary, "Cookie: a=" + canary,
			} {
				name, _, _ := strings.Cut(h, ":")
				requests = append(requests, line+"\n"+h+"\n"+rest, line+"\n"+h+"\n"+strings.ReplaceAll(rest, name+": ", "X-Was: "))
			}
			method, target, _ := strings.Cut(line, " ")
			target, _, _ = strings.Cut(target, "?")
			for _, q := range []string{"?key=", "?key_base64=", "?partition=", "?timestamp=", "?tombstone=", "?CANARY7f3=", "?%zz", "?key=a&key="} {
				requests = append(requests, method+" "+target+q+canary+"\n"+rest)
			}
			requests = append(requests, method+" /"+canary+target+"\n"+rest, method+" "+target+"/"+canary+"\n"+rest,
				"CANARY7F3 "+target+"\n"+rest, method+" "+strings.Replace(target, "customers", canary, 1)+"\n"+rest)
			for _, request := range requests {
				tried++
				tainted := x
				tainted.request = request
				checkAnswer(t, &tainted)
			}
		}
	}
	if tried < 3000 {
		t.Errorf("only %d requests", tried)
	}
}

func checkAnswer(t *testing.T, x *exchange) {
	t.Helper()
	s, sender := x.server(t)
	seen := &fakeObserver{}
	s.deps.Observer = seen
	w := httptest.NewRecorder()
	func() {
		defer func() {
			if err, _ := recover().(error); err != nil && !errors.Is(err, http.ErrAbortHandler) {
				t.Errorf("%s: panic", x.request)
			}
		}()
		s.ServeHTTP(w, x.httpRequest(t))
	}()
	var answer bytes.Buffer
	_ = w.Header().Write(&answer)
	answer.Write(w.Body.Bytes())
	for name, text := range map[string]string{"answer": answer.String(), "observer": seen.String()} {
		if strings.Contains(text, "CANARY") || strings.Contains(text, "Canary") || strings.Contains(text, "canary7f3") ||
			strings.Contains(text, "770077") || strings.Contains(text, "Q0FOQVJ") {
			t.Errorf("%s\ngave the %s\n%s", x.request, name, text)
		}
	}
	if sender.taken != 0 {
		t.Errorf("%s\nleft %d rooms taken", x.request, sender.taken)
	}
	if len(seen.requests) != 1 {
		t.Errorf("%s\nwas observed %d times", x.request, len(seen.requests))
	}
	if len(seen.stacks) > 0 && !strings.Contains(x.setup, "panics") {
		t.Errorf("%s\npanicked: %s", x.request, seen.stacks[0])
	}
}

func TestAnObserverHearsWhatBecameOfEachRecord(t *testing.T) {
	seen := &fakeObserver{}
	x := exchange{
		request: "POST " + recordsPath + "\nContent-Type: application/json\n\n" +
			`{"value":{"type":"JSON","data":1}}{"value":{"type":"JSON","data":2}}{"value":5}`,
		setup: "record 1 kafka_denied",
	}
	s, _ := x.server(t)
	s.deps.Observer = seen
	s.ServeHTTP(httptest.NewRecorder(), x.httpRequest(t))
	r := seen.requests[0]
	if r.Route != "POST /v3/clusters/{cluster_id}/topics/{topic}/records" || r.Status != 200 || r.Records != 3 || r.Failed != 2 || r.Topic != "customers" || r.BytesIn == 0 || r.BytesOut == 0 {
		t.Errorf("%+v", r)
	}
	var codes []int
	for _, rec := range seen.records {
		codes = append(codes, rec.Code)
	}
	if len(codes) != 3 || codes[0] != 200 || codes[1] != 40301 || codes[2] != 400 {
		t.Errorf("%v", codes)
	}
}
