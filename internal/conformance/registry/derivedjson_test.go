package registry

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/fieldveil/fieldveil/schema"
)

// jsonEvolution adds members, and later asks for fewer of them. A check for
// BACKWARD lets nothing go from an object that is closed, and nothing come into
// one that is open.
func jsonEvolution() evolution {
	const (
		begin = `{"$schema": "http://json-schema.org/draft-07/schema#", "title": "Reading", "type": "object", "additionalProperties": false,
			"required": ["id", "age"LEGACY], "properties": {
			"id": {"type": "string"},
			"age": {"type": "integer", "minimum": 0, "confluent:tags": ["PII"]},
			"account": {"type": "integer", "confluent:tags": ["PII"]},
			"active": {"type": ["boolean", "null"], "confluent:tags": ["PII"]},
			"grade": {"type": "string", "enum": ["A", "B"], "confluent:tags": ["PII"]},
			"scores": {"type": "array", "items": {"type": "integer"}, "confluent:tags": ["WHOLE"]},
			"home": {"type": "object", "additionalProperties": false, "confluent:tags": ["WHOLE"],
				"properties": {"street": {"type": "string"}, "floor": {"type": "integer"}}},
			"email": {"type": "string", "format": "email", "confluent:tags": ["PII"]},
			"legacy": {"type": "string"}, "weight": {"type": "number", "confluent:tags": ["PII"]}`
		coming = `, "plan": {"type": "string"}, "bonus": {"type": "integer", "confluent:tags": ["PII"]}`
		end    = `}}`
		values = `{"id": "r-1", "age":36, "account": 4987654321000448, "active":true, "grade":"B" , "scores":[1, 2],` +
			` "home":{"street":"Dlouha 1","floor":3}, "email":"ada@example.com", "legacy":"old", "weight":80.5e0`
		more = `, "plan":"gold", "bonus":100`
	)
	required, optional := strings.Replace(begin, "LEGACY", `, "legacy"`, 1), strings.Replace(begin, "LEGACY", "", 1)
	return evolution{
		format:   schema.JSONSchema,
		texts:    []string{required + end, required + coming + end, optional + coming + end},
		records:  [][]byte{[]byte(values + `}`), []byte(values + more + `}`), []byte(values + more + ` }`)},
		secrets:  [][]byte{[]byte("ada@example.com"), []byte("Dlouha"), []byte("4987654321000448"), []byte("80.5e0")},
		untagged: strings.Replace(required, `"minimum": 0, "confluent:tags": ["PII"]`, `"minimum": 0`, 1) + end,
		incompatible: func(derived string) string {
			return strings.Replace(derived, `"title"`, `"minProperties": 40, "title"`, 1)
		},
		read: readJSON,
	}
}

// readJSON reads without a schema, as most do. Defaults play no part.
func readJSON(t *testing.T, _ []string, bodies [][]byte) {
	t.Helper()
	for n, body := range bodies {
		var v object
		if err := json.Unmarshal(body, &v); err != nil {
			t.Fatalf("version %d: %v", n+1, err)
		}
		sealed := []string{"age", "account", "active", "grade", "scores", "home", "email", "weight"}
		if n > 0 {
			sealed = append(sealed, "bonus")
			if v["plan"] != "gold" {
				t.Errorf("version %d: plan is %v", n+1, v["plan"])
			}
		}
		if v["id"] != "r-1" || v["legacy"] != "old" {
			t.Errorf("version %d: clear fields are %v, %v", n+1, v["id"], v["legacy"])
		}
		for _, name := range sealed {
			if s, ok := v[name].(string); !ok || !strings.HasPrefix(s, "fv1:") {
				t.Errorf("version %d: %s is %v", n+1, name, v[name])
			}
		}
	}
}
