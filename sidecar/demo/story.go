package demo

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/fieldveil/fieldveil/sidecar/audit"
)

// The values that must not be found anywhere.
const (
	email      = "ann@example.test"
	name       = "Ann Lee"
	phone      = "+420601234567"
	cvv        = "987"
	otherEmail = "bo@example.test"
	otherName  = "Bo Li"
)

const mediaV2 = "application/vnd.kafka.json.v2+json"

const mediaJSON = "application/json"

// customer is the value of the record that is posted first.
const customer = `{"id":7,"name":"` + name + `",
"email":"` + email + `","phone":"` + phone + `"}`

func (t *teller) version2(ctx context.Context) error {
	t.chapter("A record in JSON, as for a Confluent REST Proxy")
	_, err := t.post(ctx, call{t.rest("/topics/" + topicJSON), mediaV2, `{"records":[{"key":"c-7","value":` + customer + `}]}`}, http.StatusOK)
	if err != nil {
		return err
	}
	rec, err := t.next(ctx, topicJSON)
	if err != nil {
		return err
	}
	var doc struct {
		ID    json.Number `json:"id"`
		Name  string      `json:"name"`
		Email string      `json:"email"`
		Phone string      `json:"phone"`
	}
	if err := json.Unmarshal(rec.value, &doc); err != nil {
		return errors.New("what the broker holds is no JSON")
	}
	t.printf("\nWhat the broker holds:\n\n")
	t.row("id", doc.ID.String())
	t.row("name", doc.Name)
	t.row("email", doc.Email)
	t.row("phone", doc.Phone)
	t.row("headers", strings.Join(rec.headers, ", "))
	if !strings.HasPrefix(doc.Email, "fv1:") {
		return errors.New("the e-mail address is not encrypted")
	}
	return nil
}

func (t *teller) version3(ctx context.Context) error {
	t.chapter("Version 3, and Avro by the latest schema of the registry")
	a, err := t.post(ctx, call{
		t.rest("/v3/clusters/demo/topics/" + topicAvro + "/records"), mediaJSON,
		`{"value":{"data":{"id":"s-1","name":"` + otherName + `","email":"` + otherEmail + `"}}}`,
	}, http.StatusOK)
	if err != nil {
		return err
	}
	if !strings.Contains(a.body, `"error_code":200`) {
		return errors.New("the receipt is no success")
	}
	rec, err := t.next(ctx, topicAvro)
	if err != nil {
		return err
	}
	// A zero byte and four of the schema's id, as every serializer writes.
	const frame = 5
	if len(rec.value) < frame {
		return errors.New("what the broker holds has no schema id")
	}
	var doc struct {
		ID    string `avro:"id"`
		Name  string `avro:"name"`
		Email string `avro:"email"`
	}
	if _, err := t.avro.Decode(rec.value[frame:], &doc); err != nil {
		return errors.New("what the broker holds is no Avro of the schema")
	}
	t.printf("\nWhat the broker holds, still valid Avro of the same schema:\n\n")
	t.row("id", doc.ID)
	t.row("name", doc.Name)
	t.row("email", doc.Email)
	if !strings.HasPrefix(doc.Email, "fv1:") {
		return errors.New("the e-mail address is not encrypted")
	}
	return nil
}

func (t *teller) refused(ctx context.Context) error {
	t.chapter("A record that the policy refuses")
	a, err := t.post(ctx, call{t.rest("/topics/" + topicJSON), mediaV2, `{"records":[{"value":{"id":8,"cvv":"` + cvv + `"}}]}`}, http.StatusUnprocessableEntity)
	if err != nil {
		return err
	}
	t.printf("\nIt says where. It never says what, and nothing was sent.\n")
	if !strings.Contains(a.body, "/cvv") || strings.Contains(a.body, cvv) {
		return errors.New("the refusal does not name the path alone")
	}
	return nil
}

func (t *teller) check(ctx context.Context) error {
	t.chapter("Would it be taken? Connect, which is gRPC for curl")
	value := base64.StdEncoding.EncodeToString([]byte(`{"id":8,"cvv":"` + cvv + `"}`))
	a, err := t.post(ctx, call{t.rpc("ProduceService/Check"), mediaJSON, `{"topic":"` + topicJSON + `",` + "\n" + `"records":[{"value":"` + value + `"}]}`}, http.StatusOK)
	if err != nil {
		return err
	}
	if !strings.Contains(a.body, "OUTCOME_REJECTED") {
		return errors.New("the check does not tell that the record would be refused")
	}
	return nil
}

// reveal protects a record for somebody who produces by himself, and opens it.
func (t *teller) reveal(ctx context.Context) error {
	t.chapter("Revealing needs a right, a purpose and a line in the audit trail")
	value := base64.StdEncoding.EncodeToString([]byte(`{"email":"` + email + `"}`))
	protect := call{t.rpc("ProtectService/Protect"), mediaJSON, `{"record":{"topic":"` + topicJSON + `",` + "\n" + `"value":"` + value + `"}}`}
	opened := call{t.rpc("ProtectService/Reveal"), mediaJSON, "@-"}
	t.printf("%s |\nsed 's/^{/{\"purpose\":\"case-7\",/' |\n%s\n\n", protect.curl(), opened.curl())
	a, err := protect.do(ctx)
	if err != nil {
		return err
	}
	if a.status != http.StatusOK || strings.Contains(a.body, value) || !strings.HasPrefix(a.body, "{") {
		return fmt.Errorf("protecting was answered with status %d", a.status)
	}
	opened.body = `{"purpose":"case-7",` + strings.TrimPrefix(a.body, "{")
	if a, err = opened.do(ctx); err != nil {
		return err
	}
	t.printf("  %d %s\n%s\n\n", a.status, http.StatusText(a.status), wrapped(a.body))
	if a.status != http.StatusOK || !strings.Contains(a.body, value) {
		return errors.New("what was revealed is not what was protected")
	}
	return t.revealHeld(ctx)
}

// revealHeld asks for what the broker holds: of one topic the rules allow it, of
// the other they do not.
func (t *teller) revealHeld(ctx context.Context) error {
	for _, rec := range t.held {
		body, err := json.Marshal(map[string]any{"purpose": "case-8", "record": rec.message()})
		if err != nil {
			return err
		}
		a, err := call{t.rpc("ProtectService/Reveal"), mediaJSON, string(body)}.do(ctx)
		if err != nil {
			return err
		}
		if rec.topic != topicJSON {
			if a.status != http.StatusForbidden {
				return fmt.Errorf("a topic that nobody may reveal was answered with status %d", a.status)
			}
			t.printf("Of the topic %s: %d %s. No rule lets it.\n", rec.topic, a.status, http.StatusText(a.status))
			continue
		}
		var doc struct {
			Record struct {
				Value []byte `json:"value"`
			} `json:"record"`
		}
		if err := json.Unmarshal([]byte(a.body), &doc); err != nil || a.status != http.StatusOK {
			return fmt.Errorf("what the broker holds was not revealed: status %d", a.status)
		}
		if !strings.Contains(string(doc.Record.Value), email) {
			return errors.New("what the broker holds was not revealed")
		}
		t.printf("What the broker holds of %s opens in the same way: %s,\nwhile masks stay masks.\n", rec.topic, email)
	}
	return nil
}

func (t *teller) trail(context.Context) (err error) {
	t.chapter("The audit trail")
	f, err := os.Open(filepath.Join(t.dir, fileAudit))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	t.printf("  %-4s %-9s %-8s %-6s %-10s %s\n", "seq", "action", "outcome", "actor", "topic", "purpose")
	reveals := 0
	v := audit.NewVerifier(audit.VerifyConfig{Each: func(_ string, _ int, l *audit.Line) {
		row := fmt.Sprintf("  %-4d %-9s %-8s %-6s %-10s %s", l.Seq, l.Action, l.Outcome, l.Actor, l.Topic, l.Purpose)
		t.printf("%s\n", strings.TrimRight(cut(row), " "))
		if l.Action == audit.ActionReveal {
			reveals++
		}
	}})
	if err := v.Read(fileAudit, f); err != nil {
		return err
	}
	r := v.Report()
	// Two that were let, before and after, and one that was not.
	if len(r.Faults) > 0 || reveals != 5 {
		return fmt.Errorf("the audit trail has %d faults, and %d lines of revealing", len(r.Faults), reveals)
	}
	t.printf("\nfieldveil audit verify %s: the trail is whole, %d lines.\n", fileAudit, r.Lines)
	return nil
}

// search looks for the values in all that left: what the broker holds, the log,
// the trail, the metrics.
func (t *teller) search(ctx context.Context) error {
	t.chapter("Where the values went")
	metrics, err := get(ctx, "http://"+t.addrs["admin"]+"/metrics")
	if err != nil {
		return err
	}
	places := [][2]string{{"metrics", metrics.body}}
	for _, f := range []string{fileLog, fileAudit} {
		b, err := os.ReadFile(filepath.Join(t.dir, f))
		if err != nil {
			return err
		}
		places = append(places, [2]string{f, string(b)})
	}
	var stored strings.Builder
	for _, rec := range t.held {
		stored.Write(rec.key)
		stored.Write(rec.value)
		for _, h := range rec.record.Headers {
			stored.WriteString(h.Key + string(h.Value))
		}
	}
	places = append(places, [2]string{"broker", stored.String()})
	for _, p := range places {
		found := 0
		for _, v := range []string{email, name, phone, otherEmail, otherName} {
			found += strings.Count(p[1], v)
		}
		t.row(p[0], fmt.Sprintf("%d bytes, %d values in clear", len(p[1]), found))
		if found > 0 || p[1] == "" {
			return fmt.Errorf("%s: %d values in clear in %d bytes", p[0], found, len(p[1]))
		}
	}
	return nil
}
