package localkms_test

import (
	"bytes"
	"encoding/base64"
	"os"
	"strings"
	"testing"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms/localkms"
)

// The versions of the frozen file.
const (
	id1, time1, key1 = "ad2ac20146f31d10", "2026-01-02T03:04:05Z", "LkOJZs0vXTuz9x2ac50MVs7R6ji0OrtVDCk9x80Q16s="
	id2, time2, key2 = "5ad3cedf149fbef6", "2026-02-03T04:05:06Z", "fa3vcRLUdCpGb8td6PV70YaApGci/g8xQ2jwwLtZIZs="
)

func one() string {
	return `{"id":"` + id1 + `","created":"` + time1 + `","key":"` + key1 + `"}`
}

func two() string {
	return `{"id":"` + id2 + `","created":"` + time2 + `","key":"` + key2 + `"}`
}

func TestParseContent(t *testing.T) {
	file := func(keys string) string { return `{"fieldveil_kek":1,"keys":[` + keys + `]}` }
	swap := func(old, replacement string) string { return file(strings.Replace(one(), old, replacement, 1)) }
	escaped := strings.NewReplacer("O", `\u004f`, "=", `\u003d`).Replace(key1)
	tests := []struct {
		name, in string
		says     string // of the error; empty for none
	}{
		{"one version", file(one()), ""},
		{"two versions", file(one() + "," + two()), ""},
		{"space everywhere", " {\n\"keys\" :\t[ " + one() + "\r\n, " + two() + " ] , \"fieldveil_kek\" : 1 }\n", ""},
		{"an id in capitals", swap(id1, strings.ToUpper(id1)), ""},
		{"a time with another offset", swap(time1, "2026-01-02T05:04:05+02:00"), ""},
		{"escapes in a string", swap(key1, escaped), ""},
		{"escapes in a name", swap(`"key"`, `"k\u0065y"`), ""},

		{"nothing", "", "not JSON"},
		{"space alone", " \n", "not JSON"},
		{"a cut file", file(one())[:100], "not JSON"},
		{"text behind the object", file(one()) + "x", "not JSON"},
		{"two objects", file(one()) + file(one()), "not JSON"},
		{"a list", "[]", "not an object"},
		{"a number", "1", "not an object"},
		{"null", "null", "not an object"},
		{"an empty object", "{}", "has no "},
		{"no format", `{"keys":[` + one() + `]}`, "no fieldveil_kek"},
		{"format 2", strings.Replace(file(one()), ":1,", ":2,", 1), "fieldveil_kek is not 1"},
		{"format 1.0", strings.Replace(file(one()), ":1,", ":1.0,", 1), "fieldveil_kek is not 1"},
		{"format as text", strings.Replace(file(one()), ":1,", `:"1",`, 1), "fieldveil_kek is not 1"},
		{"no keys", `{"fieldveil_kek":1}`, "no keys"},
		{"an empty list", file(""), "keys is empty"},
		{"an empty list with space", file(" \n"), "keys is empty"},
		{"keys that are an object", `{"fieldveil_kek":1,"keys":{}}`, "not a list"},
		{"keys that are null", `{"fieldveil_kek":1,"keys":null}`, "not a list"},
		{"an unknown member", `{"fieldveil_kek":1,"keys":[` + one() + `],"x":1}`, "the file has an unknown member"},
		{"a member in other letters", strings.Replace(file(one()), "keys", "Keys", 1), "the file has an unknown member"},
		{"a repeated format", `{"fieldveil_kek":1,"fieldveil_kek":1,"keys":[` + one() + `]}`, "fieldveil_kek twice"},
		{"repeated keys", `{"fieldveil_kek":1,"keys":[` + one() + `],"keys":[` + two() + `]}`, "keys twice"},
		{"a version that is text", file(`"x"`), "keys[0] is not an object"},
		{"a second version that is null", file(one() + ",null"), "keys[1] is not an object"},
		{"an empty version", file("{}"), "keys[0] has no "},
		{"a version with an unknown member", swap(`"id"`, `"comment":"}],\"","id"`), "keys[0] has an unknown member"},
		{"a version with a repeated member", swap(`"id"`, `"id":"`+id2+`","id"`), "keys[0] has id twice"},
		{"a version with a member repeated by an escape", swap(`"id"`, `"i\u0064":"`+id2+`","id"`), "keys[0] has id twice"},
		{"a version without an id", swap(`"id":"`+id1+`",`, ""), "keys[0] has no id"},
		{"a version without a time", swap(`"created":"`+time1+`",`, ""), "keys[0] has no created"},
		{"a version without a key", swap(`,"key":"`+key1+`"`, ""), "keys[0] has no key"},
		{"an id that is a number", swap(`"`+id1+`"`, "1234567812345678"), "keys[0].id is not 16 hex digits"},
		{"a short id", swap(id1, id1[:14]), "keys[0].id is not 16 hex digits"},
		{"an odd id", swap(id1, id1+"0"), "keys[0].id is not 16 hex digits"},
		{"an id that is not hex", swap(id1, "g"+id1[1:]), "keys[0].id is not 16 hex digits"},
		{"an id of another key", swap(id1, id2), "keys[0].id does not belong to its key"},
		{"a time that is a number", swap(`"`+time1+`"`, "1767322800"), "keys[0].created is not a time"},
		{"a time without an offset", swap("Z", ""), "keys[0].created is not a time"},
		{"a key that is null", swap(`"`+key1+`"`, "null"), "keys[0].key is not the base64"},
		{"an empty key", swap(key1, ""), "keys[0].key is not the base64"},
		{"a key of 31 bytes", swap(key1, base64.StdEncoding.EncodeToString(make([]byte, 31))), "keys[0].key is not the base64"},
		{"a key of 33 bytes", swap(key1, base64.StdEncoding.EncodeToString(make([]byte, 33))), "keys[0].key is not the base64"},
		{"a key without padding", swap(key1, strings.TrimRight(key1, "=")), "keys[0].key is not the base64"},
		{"a key with a line break", swap(key1, key1[:4]+`\n`+key1[5:]), "keys[0].key is not the base64"},
		{"a key of the other base64 alphabet", swap(key1, "____"+key1[4:]), "keys[0].key is not the base64"},
		{"a key with bits behind its end", swap(key1, trailingBits(key1)), "keys[0].key is not the base64"},
		{"the same version twice", file(one() + "," + two() + "," + one()), "keys[0] and keys[2] are the same"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := localkms.ParseContent([]byte(tt.in))
			switch {
			case tt.says == "" && err != nil:
				t.Errorf("err = %v", err)
			case tt.says != "" && (err == nil || !strings.Contains(err.Error(), tt.says)):
				t.Errorf("err = %v, want one that says %q", err, tt.says)
			}
		})
	}
}

// trailingBits sets a bit of the last character that encodes nothing.
func trailingBits(b64 string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	last := len(b64) - 2
	return b64[:last] + string(alphabet[strings.IndexByte(alphabet, b64[last])|1]) + "="
}

// What is accepted is written so that it reads back to the same.
func FuzzParseContent(f *testing.F) {
	frozen, err := os.ReadFile("testdata/frozen.kek")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(frozen)
	f.Add([]byte(`{"fieldveil_kek":1,"keys":[` + one() + `]}`))
	f.Add([]byte(`{"keys":[{"id":"\"","created":[{}],"key":{"]":"}"}}],"fieldveil_kek":1e0}`))
	f.Add([]byte("{}"))
	f.Add([]byte("[[]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		written, err := localkms.ParseContent(data)
		if err != nil {
			return
		}
		again, err := localkms.ParseContent(written)
		if err != nil || !bytes.Equal(again, written) {
			t.Fatalf("written file: %v", err)
		}
	})
}
