package registrytest

import (
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"
)

// JSONChecker is the Checker for JSON Schema. It finds no problem only where
// every instance that is valid under the older schema is valid under the newer
// one, whatever the instances are. The reverse does not hold: it reports
// problems wherever it cannot tell, so it refuses more than a real registry.
//
// It understands type, enum, const, properties, required, additionalProperties,
// items, the bounds of numbers, of the lengths of strings, and of the sizes of
// arrays and objects, pattern and format (which must not change, but may go),
// and references to "#", "#/definitions/..." and "#/$defs/...". Titles,
// descriptions, examples, defaults and tags may change. Anything else must be
// the same in both.
//
// As in a real registry, a schema whose objects are open, that is, without
// "additionalProperties": false, cannot gain a property: older data may have a
// value of any type under that name.
func JSONChecker(newer, older Document) ([]string, error) {
	n, err := parseJSONSchema(newer)
	if err != nil {
		return nil, err
	}
	o, err := parseJSONSchema(older)
	if err != nil {
		return nil, err
	}
	c := jsonComparison{}
	if sameReferences(newer, older) && equalJSON(n, o) {
		return nil, nil
	}
	if !sameReferences(newer, older) {
		c.reportf("#", "the referenced schemas differ")
		return c.problems, nil
	}
	c.document(o, n)
	return c.problems, nil
}

func sameReferences(a, b Document) bool {
	a.Text, b.Text = "", ""
	return a.equal(b)
}

// parseJSONSchema checks what the comparison relies on: where a keyword that it
// knows has a value of another kind, the text is no JSON Schema.
func parseJSONSchema(doc Document) (any, error) {
	v, err := parseJSON(doc.Text)
	if err != nil {
		return nil, err
	}
	return v, checkJSONSchema("#", v)
}

func jsonTypes() []string {
	return []string{"null", "boolean", "object", "array", "number", "string", "integer"}
}

func checkJSONSchema(at string, v any) error {
	m, ok := v.(map[string]any)
	if !ok {
		if _, ok := v.(bool); ok {
			return nil
		}
		return fmt.Errorf("%s is neither an object nor a boolean", at)
	}
	for _, key := range slices.Sorted(maps.Keys(m)) {
		if err := checkKeyword(at+"/"+key, key, m[key]); err != nil {
			return err
		}
	}
	return nil
}

func checkKeyword(at, key string, v any) error {
	ok := true
	switch key {
	case "type":
		list, isList := v.([]any)
		if !isList {
			list = []any{v}
		}
		for _, t := range list {
			name, isText := t.(string)
			ok = ok && isText && slices.Contains(jsonTypes(), name)
		}
		ok = ok && len(list) > 0
	case "enum":
		_, ok = v.([]any)
	case "required":
		_, ok = texts(v)
	case "properties", "definitions", "$defs", "patternProperties":
		var all map[string]any
		if all, ok = v.(map[string]any); ok {
			for _, name := range slices.Sorted(maps.Keys(all)) {
				if err := checkJSONSchema(at+"/"+name, all[name]); err != nil {
					return err
				}
			}
		}
	case "additionalProperties":
		return checkJSONSchema(at, v)
	case "items":
		if _, isTuple := v.([]any); !isTuple {
			return checkJSONSchema(at, v)
		}
	case "$ref", "pattern", "format":
		_, ok = v.(string)
	case "minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties":
		n := number(v)
		ok = n != nil && n.IsInt() && n.Sign() >= 0
	case "minimum", "maximum":
		ok = isNumber(v)
	}
	if !ok {
		return errors.New(at + " has a value of the wrong kind")
	}
	return nil
}

// jsonComparison collects why instances of an older schema may be invalid under
// a newer one.
type jsonComparison struct {
	problems []string
}

func (c *jsonComparison) reportf(at, format string, args ...any) {
	c.problems = append(c.problems, at+": "+fmt.Sprintf(format, args...))
}

// document compares two texts that are not the same. Definitions are compared
// like parts of the schema, so a reference of the same text on both sides needs
// no more: by induction over the instance, what the older one accepts there,
// the newer one does.
//
// That holds only where a schema stands for what is accepted. Inside of
// keywords that are compared by their text, such as not, a wider definition may
// make a narrower schema. And keywords that depend on what others saw, or move
// the base of references, break it altogether.
func (c *jsonComparison) document(older, newer any) {
	for _, v := range []any{older, newer} {
		if why := opaqueReferences(v, true); why != "" {
			c.reportf("#", "the schema has %s, so it must not change", why)
			return
		}
	}
	c.schema("#", older, newer, true)
}

// opaqueReferences looks for what makes comparing keyword by keyword unsound.
func opaqueReferences(v any, root bool) string {
	m, ok := v.(map[string]any)
	if !ok {
		return ""
	}
	for _, key := range slices.Sorted(maps.Keys(m)) {
		switch key {
		case "unevaluatedProperties", "unevaluatedItems", "$dynamicRef", "$dynamicAnchor", "$recursiveRef", "$recursiveAnchor":
			return key
		case "$id", "id", "$anchor":
			if !root {
				return "a nested " + key
			}
		case "properties", "definitions", "$defs":
			if key != "properties" && !root {
				if mentions(m[key]) {
					return "references in nested definitions"
				}
				continue
			}
			all, _ := m[key].(map[string]any)
			for _, name := range slices.Sorted(maps.Keys(all)) {
				if why := opaqueReferences(all[name], false); why != "" {
					return why
				}
			}
		case "additionalProperties", "items":
			if _, tuple := m[key].([]any); tuple && mentions(m[key]) {
				return "references in a tuple"
			}
			if why := opaqueReferences(m[key], false); why != "" {
				return why
			}
		case "$ref":
			ref, _ := m[key].(string)
			if !plainReference(ref) {
				return "a reference to elsewhere than #, #/definitions/... or #/$defs/..."
			}
		default:
			if !annotation(key) && key != "enum" && key != "const" && mentions(m[key]) {
				return "references in " + key
			}
		}
	}
	return ""
}

// plainReference tells whether a reference points at something that document
// compares, or out of the text, at a schema that is the same for both.
func plainReference(ref string) bool {
	local, ok := strings.CutPrefix(ref, "#")
	switch {
	case !ok:
		// Without a nested id there is nothing else in the text to point at, but
		// its own id may be spelled out.
		return !strings.Contains(ref, "#")
	case local == "":
		return true
	}
	for _, head := range []string{"/definitions/", "/$defs/"} {
		if name, ok := strings.CutPrefix(local, head); ok {
			return name != "" && !strings.ContainsAny(name, "/~%")
		}
	}
	return false
}

// mentions tells whether any object in v has a key that could be a reference or
// depend on other keywords.
func mentions(v any) bool {
	switch v := v.(type) {
	case []any:
		return slices.ContainsFunc(v, mentions)
	case map[string]any:
		for key, inner := range v {
			switch key {
			case "$ref", "$dynamicRef", "$recursiveRef", "$id", "$anchor", "$dynamicAnchor", "unevaluatedProperties", "unevaluatedItems":
				return true
			}
			if mentions(inner) {
				return true
			}
		}
	}
	return false
}

// annotation tells keywords that say nothing about what is valid.
func annotation(key string) bool {
	return strings.HasPrefix(key, "confluent:") || slices.Contains([]string{
		"title", "description", "default", "examples", "$comment", "deprecated", "readOnly", "writeOnly",
	}, key)
}

// schema checks that the older one accepts nothing that the newer one refuses.
func (c *jsonComparison) schema(at string, older, newer any, root bool) {
	if newer == true || older == false {
		return
	}
	if newer == false {
		c.reportf(at, "nothing is accepted any more")
		return
	}
	if older == true {
		older = map[string]any{}
	}
	o, _ := older.(map[string]any)
	n, _ := newer.(map[string]any)

	types := typesOf(o)
	c.types(at, types, typesOf(n))
	c.enum(at, o, n)
	if types["number"] || types["integer"] {
		c.numbers(at, o, n)
	}
	if types["string"] {
		c.sizes(at, o, n, "minLength", "maxLength")
		c.mayGo(at, o, n, "pattern")
		c.mayGo(at, o, n, "format")
	}
	if types["array"] {
		c.sizes(at, o, n, "minItems", "maxItems")
		c.array(at, o, n)
	}
	if types["object"] {
		c.sizes(at, o, n, "minProperties", "maxProperties")
		c.object(at, o, n)
	}
	c.others(at, o, n, root)
	if root {
		c.definitions(at, o, n, "definitions")
		c.definitions(at, o, n, "$defs")
	}
}

// typesOf lists the types that a schema accepts. Whoever accepts numbers accepts
// integers.
func typesOf(m map[string]any) map[string]bool {
	out := make(map[string]bool)
	given, ok := m["type"]
	names := jsonTypes()
	if ok {
		names, _ = texts(given)
		if name, ok := given.(string); ok {
			names = []string{name}
		}
	}
	for _, name := range names {
		out[name] = true
	}
	if out["number"] {
		out["integer"] = true
	}
	return out
}

func (c *jsonComparison) types(at string, was, now map[string]bool) {
	for _, name := range jsonTypes() {
		if was[name] && !now[name] {
			c.reportf(at, "the type %s is accepted no more", name)
		}
	}
}

// enum treats const as an enum of one value.
func (c *jsonComparison) enum(at string, o, n map[string]any) {
	for _, key := range []string{"enum", "const"} {
		if _, ok := n[key]; !ok {
			continue
		}
		allowed := values(n, key)
		was := values(o, "enum")
		if _, ok := o["const"]; ok {
			was = values(o, "const")
		} else if _, ok := o["enum"]; !ok {
			c.reportf(at, "the values are restricted by a new %s", key)
			continue
		}
		for _, v := range was {
			if !slices.ContainsFunc(allowed, func(a any) bool { return equalJSON(a, v) }) {
				c.reportf(at, "%s has a value less", key)
				break
			}
		}
	}
}

func values(m map[string]any, key string) []any {
	v, ok := m[key]
	if !ok {
		return nil
	}
	if list, ok := v.([]any); ok && key == "enum" {
		return list
	}
	return []any{v}
}

// bound is one end of a range.
type bound struct {
	at     *big.Rat // nil for none
	strict bool
}

func (c *jsonComparison) numbers(at string, o, n map[string]any) {
	keys := []string{"minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum"}
	plain := true
	for _, key := range keys {
		for _, m := range []map[string]any{o, n} {
			// Exclusive bounds were booleans once, and a number may be too large
			// to compare at a reasonable cost.
			if v, ok := m[key]; ok && number(v) == nil {
				plain = false
			}
		}
	}
	if !plain {
		for _, key := range keys {
			c.same(at, o, n, key)
		}
	} else {
		lower := func(x, y *big.Rat) bool { return x.Cmp(y) > 0 }
		upper := func(x, y *big.Rat) bool { return x.Cmp(y) < 0 }
		if !implied(o, n, "minimum", "exclusiveMinimum", lower) {
			c.reportf(at, "the lower bound of numbers is tighter")
		}
		if !implied(o, n, "maximum", "exclusiveMaximum", upper) {
			c.reportf(at, "the upper bound of numbers is tighter")
		}
	}
	c.mayGo(at, o, n, "multipleOf")
}

// implied tells whether the bounds of o keep to those of n. Tighter tells which
// of two bounds leaves less.
func implied(o, n map[string]any, key, strictKey string, tighter func(x, y *big.Rat) bool) bool {
	var has bound
	for _, b := range []bound{{number(o[key]), false}, {number(o[strictKey]), true}} {
		if b.at != nil && (has.at == nil || tighter(b.at, has.at) || b.at.Cmp(has.at) == 0 && b.strict) {
			has = b
		}
	}
	for _, want := range []bound{{number(n[key]), false}, {number(n[strictKey]), true}} {
		if want.at == nil {
			continue
		}
		if has.at == nil || tighter(want.at, has.at) || want.at.Cmp(has.at) == 0 && want.strict && !has.strict {
			return false
		}
	}
	return true
}

func (c *jsonComparison) sizes(at string, o, n map[string]any, minKey, maxKey string) {
	if want := number(n[minKey]); want != nil && want.Sign() > 0 {
		if has := number(o[minKey]); has == nil || has.Cmp(want) < 0 {
			c.reportf(at, "%s is larger", minKey)
		}
	}
	if want := number(n[maxKey]); want != nil {
		if has := number(o[maxKey]); has == nil || has.Cmp(want) > 0 {
			c.reportf(at, "%s is smaller", maxKey)
		}
	}
}

func (c *jsonComparison) array(at string, o, n map[string]any) {
	_, oldTuple := o["items"].([]any)
	_, newTuple := n["items"].([]any)
	if oldTuple || newTuple {
		c.same(at, o, n, "items")
	} else {
		c.schema(at+"/items", orTrue(o, "items"), orTrue(n, "items"), false)
	}
	if unique, ok := n["uniqueItems"]; ok && unique != false {
		c.same(at, o, n, "uniqueItems")
	}
}

// orTrue is the schema under a key, or the one that accepts everything.
func orTrue(m map[string]any, key string) any {
	if v, ok := m[key]; ok {
		return v
	}
	return true
}

func (c *jsonComparison) object(at string, o, n map[string]any) {
	was, _ := texts(o["required"])
	now, _ := texts(n["required"])
	for _, name := range now {
		if !slices.Contains(was, name) {
			c.reportf(at, "the property %q is required now", name)
		}
	}
	_, oldPatterns := o["patternProperties"]
	_, newPatterns := n["patternProperties"]
	if oldPatterns || newPatterns {
		// Which names are additional depends on the patterns.
		for _, key := range []string{"properties", "patternProperties", "additionalProperties"} {
			c.same(at, o, n, key)
		}
		return
	}
	oldRest, newRest := orTrue(o, "additionalProperties"), orTrue(n, "additionalProperties")
	oldNamed, _ := o["properties"].(map[string]any)
	newNamed, _ := n["properties"].(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(newNamed)) {
		from, ok := oldNamed[name]
		if !ok {
			from = oldRest
		}
		c.schema(at+"/properties/"+name, from, newNamed[name], false)
	}
	for _, name := range slices.Sorted(maps.Keys(oldNamed)) {
		if _, ok := newNamed[name]; !ok {
			c.schema(at+"/properties/"+name, oldNamed[name], newRest, false)
		}
	}
	c.schema(at+"/additionalProperties", oldRest, newRest, false)
}

// others compares all that is not understood by its text.
func (c *jsonComparison) others(at string, o, n map[string]any, root bool) {
	understood := []string{
		"type", "enum", "const", "properties", "required", "additionalProperties", "patternProperties", "items", "uniqueItems",
		"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength",
		"minItems", "maxItems", "minProperties", "maxProperties", "pattern", "format",
	}
	if root {
		understood = append(understood, "definitions", "$defs")
	}
	keys := maps.Clone(o)
	if keys == nil {
		keys = make(map[string]any)
	}
	maps.Copy(keys, n)
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		if !annotation(key) && !slices.Contains(understood, key) {
			c.same(at, o, n, key)
		}
	}
}

// definitions compares those of both sides. A reference to one that is gone has
// no meaning, so none may go.
func (c *jsonComparison) definitions(at string, o, n map[string]any, key string) {
	was, _ := o[key].(map[string]any)
	now, _ := n[key].(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(was)) {
		if def, ok := now[name]; ok {
			c.schema(at+"/"+key+"/"+name, was[name], def, false)
		} else {
			c.reportf(at+"/"+key, "the definition %q is gone", name)
		}
	}
}

// same reports a keyword that differs.
func (c *jsonComparison) same(at string, o, n map[string]any, key string) {
	x, inOld := o[key]
	y, inNew := n[key]
	if inOld != inNew || !equalJSON(x, y) {
		c.reportf(at, "%s differs", key)
	}
}

// mayGo reports a restriction that is new or differs.
func (c *jsonComparison) mayGo(at string, o, n map[string]any, key string) {
	if _, ok := n[key]; ok {
		c.same(at, o, n, key)
	}
}
