package endtoend

import (
	"fmt"
	"strings"

	"github.com/fieldveil/fieldveil/schema"
)

// A stay in hospital has a value of every kind, protected and clear. Its schema
// is in testdata in every format.
func stayOf(i int) map[string]any {
	n := int64(i)
	s := map[string]any{
		// In clear, unique, and each encoded like a protected value: where the scan
		// finds these, it would find those.
		"id": fmt.Sprintf("stay-%06d", i), "serial": 7_123_456_789_000_000 + 7919*n,
		"score": 0.123456789 + float64(i), "label": fmt.Appendf(nil, "\x00label-%06d\xff", i),

		"ward": fmt.Sprintf("W%d", i%7), "kind": []string{"PLANNED", "URGENT"}[i%2], "insured": i%3 == 0,
		"codes": map[string]any{"icd": fmt.Sprintf("Z%02d.9", i%90)}, "visits": visitsOf(i), "ssn": nil, "remark": nil,

		"name": fmt.Sprintf("Zq%06d Guest", i), "account": 4_987_654_321_000_000 + 6007*n,
		"balance": 987654.321 + float64(i), "picture": fmt.Appendf(nil, "\x00picture-%06d\xff", i),
		"severity": []string{"MILD", "GRAVE"}[i/2%2], "smoker": i%5 == 0,
		"allergies": []any{fmt.Sprintf("allergy %06d a", i), fmt.Sprintf("allergy %06d b", i)},
		"home":      map[string]any{"street": fmt.Sprintf("%06d Test Street", i), "floor": int32(i%9 + 1)},
		"insurer":   fmt.Sprintf("payer-%06d Ltd", i),
	}
	if i%3 > 0 {
		s["ssn"] = fmt.Sprintf("900-%02d-%06d", i%100, i)
	}
	if i%2 > 0 {
		s["remark"] = fmt.Sprintf("note no. %06d of the stay", i)
	}
	return s
}

func visitsOf(i int) []any {
	visits := []any{}
	for v := range i % 4 {
		visits = append(visits, map[string]any{"day": int32(19_000 + v), "finding": fmt.Sprintf("result %06d/%d: nothing", i, v)})
	}
	return visits
}

// An action is what the policies below do to a field.
type action uint8

const (
	clearText action = iota
	sealed
	sealedWhole
	masked
	replaced
	dropped
)

func (c codec) actions() map[string]action {
	rules := map[string]action{
		"/name": masked, "/remark": dropped, "/insurer": replaced,
		"/ssn": sealed, "/account": sealed, "/balance": sealed, "/picture": sealed, "/severity": sealed, "/smoker": sealed,
		"/visits/[]/finding": sealed, "/allergies": sealedWhole, "/home": sealedWhole,
	}
	if c.schema == schema.Protobuf {
		// There an array is no value, but a field that occurs more than once.
		delete(rules, "/allergies")
		rules["/allergies/[]"] = sealed
	}
	return rules
}

const (
	tagPolicy = `
version: 1
dataset: stays
keys: {phi: {kek: "local:%s"}}
rules:
  - {tag: PHI.NAME, action: mask, keep_first: 1}
  - {tag: PHI.REMARK, action: drop}
  - {tag: PHI.INSURER, action: constant, value: "withheld"}
  - {tag: PHI.WHOLE, action: encrypt, key: phi, apply: whole}
  - {tag: PHI, action: encrypt, key: phi}
topics: [{match: "stays-*"}]
`
	pathPolicy = `
version: 1
dataset: stays
keys: {phi: {kek: "local:%s"}}
topics:
  - match: "stays-*"
    format: json
    fields:
      - {path: /name, action: mask, keep_first: 1}
      - {path: /remark, action: drop}
      - {path: /insurer, action: constant, value: "withheld"}
      - {path: /ssn, action: encrypt, key: phi}
      - {path: /account, action: encrypt, key: phi}
      - {path: /balance, action: encrypt, key: phi}
      - {path: /picture, action: encrypt, key: phi}
      - {path: /severity, action: encrypt, key: phi}
      - {path: /smoker, action: encrypt, key: phi}
      - {path: "/visits/[]/finding", action: encrypt, key: phi}
      - {path: /allergies, action: encrypt, key: phi}
      - {path: /home, action: encrypt, key: phi}
`
)

// A leaf is one value with its place.
type leaf struct {
	at    string // with positions, such as "/visits/0/finding"
	path  string // canonical
	value any
}

// leaves lists what v holds. Nulls and containers without content are nothing.
func leaves(l leaf, out []leaf) []leaf {
	switch v := l.value.(type) {
	case nil:
	case map[string]any:
		for k, e := range v {
			out = leaves(leaf{l.at + "/" + k, l.path + "/" + k, e}, out)
		}
	case []any:
		for i, e := range v {
			out = leaves(leaf{fmt.Sprintf("%s/%d", l.at, i), l.path + "/[]", e}, out)
		}
	default:
		out = append(out, l)
	}
	return out
}

// ruled returns what happens to a leaf, and the place where that is.
func (l leaf) ruled(rules map[string]action) (a action, at string) {
	if a, ok := rules[l.path]; ok {
		return a, l.at
	}
	for path, a := range rules {
		if a == sealedWhole && strings.HasPrefix(l.path, path+"/") {
			return a, path
		}
	}
	return clearText, l.at
}
