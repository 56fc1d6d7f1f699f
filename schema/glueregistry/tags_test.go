package glueregistry

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/fieldveil/fieldveil/schema"
)

func TestTagRulesInAValue(t *testing.T) {
	for _, test := range []struct {
		name, value string
		rules       []schema.TagRule
	}{
		{"a field of an Avro record", "com.acme.Customer.email@PII", []schema.TagRule{{Pattern: "com.acme.Customer.email", Tags: []string{"PII"}}}},
		{"a path with brackets and two tags", "/cards/=5B=5D/pan@PCI+PII.PAN", []schema.TagRule{{Pattern: "/cards/[]/pan", Tags: []string{"PCI", "PII.PAN"}}}},
		{"wildcards and a dollar", "=24.=2A=2A.ss=3F@PII", []schema.TagRule{{Pattern: "$.**.ss?", Tags: []string{"PII"}}}},
		{"two rules", "/a@X@@/b@Y", []schema.TagRule{{Pattern: "/a", Tags: []string{"X"}}, {Pattern: "/b", Tags: []string{"Y"}}}},
		{"characters that separate", "a=40b@C=2BD=3D", []schema.TagRule{{Pattern: "a@b", Tags: []string{"C+D="}}}},
		{"more than ASCII", "/stra=C3=9Fe@PII", []schema.TagRule{{Pattern: "/straße", Tags: []string{"PII"}}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := AppendTagRules(nil, test.rules...)
			if err != nil || string(got) != test.value {
				t.Errorf("AppendTagRules = %q, %v, want %q", got, err, test.value)
			}
			rules, err := ParseTagRules(test.value)
			if err != nil || !reflect.DeepEqual(rules, test.rules) {
				t.Errorf("ParseTagRules = %q, %v, want %q", rules, err, test.rules)
			}
		})
	}
}

func TestParseTagRulesIsStrict(t *testing.T) {
	for _, value := range []string{
		"", "PII", "@PII", "a@", "a@+B", "a@B+", "a@B@", "a@B@@", "@@a@B", "a@B@C", "a@@B",
		"a=@B", "a=4@B", "a=5b@B", "a=4G@B", "a=41@B", "a*@B", "a b@C", "a\x00@B", "ä@B", strings.Repeat("a", 256) + "@B",
	} {
		if rules, err := ParseTagRules(value); err == nil {
			t.Errorf("ParseTagRules(%q) = %q, want an error", value, rules)
		} else if value != "" && strings.Contains(err.Error(), value) && len(value) > 1 {
			t.Errorf("the error repeats the value: %v", err)
		}
	}
	for _, rule := range []schema.TagRule{{}, {Pattern: "a"}, {Tags: []string{"A"}}, {Pattern: "a", Tags: []string{""}}} {
		if b, err := AppendTagRules([]byte("x"), rule); err == nil || string(b) != "x" {
			t.Errorf("AppendTagRules(%q) = %q, %v, want an error", rule, b, err)
		}
	}
}

func TestTagsFillTheMetadataOfAVersion(t *testing.T) {
	rules := func(n, length int) []schema.TagRule {
		var out []schema.TagRule
		for i := range n {
			out = append(out, schema.TagRule{Pattern: fmt.Sprintf("/%s%03d", strings.Repeat("f", length-6), i), Tags: []string{"T"}})
		}
		return out
	}
	for _, test := range []struct {
		name   string
		rules  []schema.TagRule
		values int
	}{
		{"none", nil, 0},
		{"one each", rules(10, 256), 10},
		{"packed", rules(11, 50), 3},
		{"a rule given twice counts once", append(rules(5, 20), rules(5, 20)...), 5},
		{"as many as there is room for", rules(20, 127), 10},
		{"one more than that", rules(21, 127), -1},
		{"a rule that is too long", rules(1, 257), -1},
	} {
		t.Run(test.name, func(t *testing.T) {
			values, err := tagValues(test.rules)
			if test.values < 0 {
				if !errors.Is(err, ErrTooManyTags) {
					t.Fatalf("tagValues = %d values, %v", len(values), err)
				}
				return
			}
			if err != nil || len(values) != test.values {
				t.Fatalf("tagValues = %d values, %v, want %d", len(values), err, test.values)
			}
			var back []schema.TagRule
			for _, v := range values {
				if len(v) > maxMetadataValue {
					t.Errorf("a value of %d bytes", len(v))
				}
				rules, err := ParseTagRules(v)
				if err != nil {
					t.Fatal(err)
				}
				back = append(back, rules...)
			}
			if want := mergeRules(nil, test.rules); !reflect.DeepEqual(back, want) {
				t.Errorf("%d rules come back of %d", len(back), len(want))
			}
		})
	}
}

func TestTagKeys(t *testing.T) {
	for key, want := range map[string]bool{
		"fieldveil.tags": true, "fieldveil.tags.2": true, "fieldveil.tags.": true,
		"fieldveil.tagss": false, "fieldveil": false, "": false, "x.fieldveil.tags": false,
	} {
		if isTagKey(key) != want {
			t.Errorf("isTagKey(%q) = %v", key, !want)
		}
	}
}
