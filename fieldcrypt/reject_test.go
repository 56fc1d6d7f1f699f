package fieldcrypt_test

import (
	"strings"
	"testing"

	"github.com/fieldveil/fieldveil/fieldcrypt"
)

func TestARecordWithAValueThatIsRejectedIsRefused(t *testing.T) {
	w := newWorld(t)
	w.schemas[1] = avroText(record(`
		{"name": "cvv", "type": ["null", "string"], "confluent:tags": ["PCI.CVV"]},
		{"name": "pin", "type": ["null", "int"], "confluent:tags": ["PCI.PIN"]},
		{"name": "flag", "type": ["null", "boolean"], "confluent:tags": ["PCI.TRACK"]},
		{"name": "raw", "type": ["null", "bytes"], "confluent:tags": ["PCI.CVC"]}`))
	e := w.engine("version: 1\nrules: [{tag: PCI, action: reject}]\n")
	empty := map[string]any{"cvv": nil, "pin": nil, "flag": nil, "raw": nil}
	out, err := e.Protect(t.Context(), fieldcrypt.Record{Topic: "t", Value: w.framed(1, empty)})
	if err != nil || len(w.decoded(1, out.Value)) != 4 {
		t.Fatalf("a record without such values: %v", err)
	}
	for name, value := range map[string]any{"cvv": "987", "pin": int32(987), "flag": false, "raw": []byte("987")} {
		v := map[string]any{"cvv": nil, "pin": nil, "flag": nil, "raw": nil, name: value}
		out, err := e.Protect(t.Context(), fieldcrypt.Record{Topic: "t", Value: w.framed(1, v)})
		f := asFault(t, err)
		if f.Code != fieldcrypt.CodeRejected || f.Path != "/"+name || f.Retryable() || out.Value != nil {
			t.Errorf("%s: %v", name, err)
		}
		if strings.Contains(err.Error(), "987") {
			t.Errorf("%s: the text holds the value: %v", name, err)
		}
	}
	v := map[string]any{"cvv": "", "pin": nil, "flag": nil, "raw": nil}
	if _, err := e.Protect(t.Context(), fieldcrypt.Record{Topic: "t", Value: w.framed(1, v)}); asFault(t, err).Code != fieldcrypt.CodeRejected {
		t.Errorf("an empty string is a value: %v", err)
	}
}

func TestCardVerificationValuesAreRejectedOrDropped(t *testing.T) {
	for _, tag := range []string{"PCI.CVV", "card_cvc2", "PAYMENT-PIN", "TRACK2.RAW"} {
		for action, fits := range map[string]bool{
			"reject": true, "drop": true, "encrypt, key: k": false, "mask, keep_last: 0": false, "constant, value: x": false,
		} {
			_, err := fieldcrypt.ParsePolicy([]byte("version: 1\nkeys: {k: {kek: \"local:k\"}}\nrules: [{tag: " + tag + ", action: " + action + "}]\n"))
			if (err == nil) != fits {
				t.Errorf("%s under %s: %v", tag, action, err)
			}
		}
	}
}
