package fieldcrypt

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

const (
	maxPolicyErrors = 20
	// maxPolicyFaults bounds what is collected before sorting, for a text that
	// is one fault next to another.
	maxPolicyFaults = 10_000
)

// policyReader reads one policy and collects what is wrong with it. One
// goroutine uses it, once.
type policyReader struct {
	file string
	errs PolicyErrors
	// unapproved are the rules that the FIPS 140-3 module has no approved service
	// for, as faults without the reason why they are faults.
	unapproved PolicyErrors
	// hide leaves the names of unknown keys out of the texts.
	hide bool
	// tenants is set when the policy knows tenants.
	tenants bool
}

// failf notes a fault at node. The arguments must not hold the value of a
// constant.
func (r *policyReader) failf(node *yaml.Node, path, format string, args ...any) {
	r.failAt(pos{line: node.Line, column: node.Column}, path, fmt.Sprintf(format, args...))
}

func (r *policyReader) failAt(at pos, path, reason string) {
	if len(r.errs) < maxPolicyFaults {
		r.errs = append(r.errs, &PolicyError{File: r.file, Line: at.line, Column: at.column, Path: path, Reason: reason})
	}
}

// result returns the faults in the order of the text, or nil.
func (r *policyReader) result() error {
	if len(r.errs) == 0 {
		return nil
	}
	slices.SortStableFunc(r.errs, func(a, b *PolicyError) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return r.errs[:min(len(r.errs), maxPolicyErrors)]
}

// document returns the root node of text, or nil when text is not one YAML
// document free of the features that a policy must not use.
func (r *policyReader) document(text []byte) *yaml.Node {
	if len(text) > maxPolicyText {
		r.failAt(pos{}, "", "longer than 1 MiB")
		return nil
	}
	if !r.characters(text) {
		return nil
	}
	dec := yaml.NewDecoder(bytes.NewReader(text))
	var first, second yaml.Node
	switch err := dec.Decode(&first); {
	case errors.Is(err, io.EOF):
		r.failAt(pos{}, "", "empty")
		return nil
	case err != nil:
		r.syntax(text, err)
		return nil
	}
	switch err := dec.Decode(&second); {
	case err == nil:
		r.failf(&second, "", "a second document: a policy is one")
		return nil
	case !errors.Is(err, io.EOF):
		r.syntax(text, err)
		return nil
	}
	if len(first.Content) != 1 {
		r.failAt(pos{}, "", "empty")
		return nil
	}
	root := first.Content[0]
	r.plain(root)
	if len(r.errs) > 0 {
		return nil
	}
	r.hide = mayHoldConstant(root)
	return root
}

// characters refuses what a reader of the text would not see as the parser
// does: bytes that are no text, control characters, line breaks of Unicode
// that the parser would fold, and marks that reorder what stands on screen.
func (r *policyReader) characters(text []byte) bool {
	at := pos{line: 1, column: 1}
	for i := 0; i < len(text); {
		c, size := utf8.DecodeRune(text[i:])
		reason := ""
		switch {
		case c == utf8.RuneError && size == 1:
			reason = "not UTF-8"
		case c == '\ufeff' && i == 0:
			at.column-- // a byte order mark takes no place
		case c == '\n' || c == '\t' || c == '\r':
		case unicode.IsControl(c):
			reason = fmt.Sprintf("control character %U", c)
		case c == '\ufeff' || c == '\u2028' || c == '\u2029' || unicode.Is(unicode.Bidi_Control, c):
			reason = fmt.Sprintf("invisible character %U: write it as an escape in double quotes", c)
		}
		if reason != "" {
			r.failAt(at, "", reason)
			return false
		}
		i += size
		at.column++
		if c == '\n' || c == '\r' && (i == len(text) || text[i] != '\n') {
			at = pos{line: at.line + 1, column: 1}
		}
	}
	return true
}

// syntax turns an error of the YAML parser into a fault with a line.
func (r *policyReader) syntax(text []byte, err error) {
	message := strings.TrimPrefix(err.Error(), "yaml: ")
	// The only message that quotes the text: an alias may be a constant that
	// was to begin with an asterisk.
	if alias, ok := unknownAlias(err); ok {
		r.failAt(pos{line: aliasLine(text, alias)}, "", "YAML aliases are not allowed; put text that begins with * in quotes")
		return
	}
	line := 1 // the parser leaves the first line out
	if rest, ok := strings.CutPrefix(message, "line "); ok {
		if number, reason, ok := strings.Cut(rest, ": "); ok {
			if n, err := strconv.Atoi(number); err == nil {
				line, message = n, reason
			}
		}
	}
	r.failAt(pos{line: line}, "", "not YAML: "+message)
}

func unknownAlias(err error) (string, bool) {
	rest, ok := strings.CutPrefix(err.Error(), "yaml: unknown anchor '")
	return strings.TrimSuffix(rest, "' referenced"), ok
}

// aliasLine finds the line of an alias without an anchor, which the parser
// does not tell: the end of the shortest text that has the same error. It
// tries few places, and returns 0 when it is none of those.
func aliasLine(text []byte, alias string) int {
	mark := []byte("*" + alias)
	for try, from := 0, 0; try < 16; try++ {
		at := bytes.Index(text[from:], mark)
		if at < 0 {
			break
		}
		from += at + len(mark)
		var node yaml.Node
		err := yaml.Unmarshal(text[:from], &node)
		if err == nil {
			continue
		}
		if found, ok := unknownAlias(err); ok && found == alias {
			return 1 + bytes.Count(text[:from], []byte("\n"))
		}
	}
	return 0
}

// plain refuses, anywhere below node, what makes a YAML text mean something
// else than it shows. It tells no path: nothing is known yet of the keys.
func (r *policyReader) plain(node *yaml.Node) {
	switch {
	case node.Kind == yaml.AliasNode:
		r.failf(node, "", "YAML aliases are not allowed; put text that begins with * in quotes")
	case node.Anchor != "":
		r.failf(node, "", "YAML anchors are not allowed; put text that begins with & in quotes")
	case node.Style&yaml.TaggedStyle != 0:
		r.failf(node, "", "YAML type tags are not allowed; put text that begins with ! in quotes")
	case node.Kind == yaml.ScalarNode && node.ShortTag() == "!!merge":
		r.failf(node, "", "YAML merge keys are not allowed")
	}
	for _, child := range node.Content {
		r.plain(child)
	}
}

// mayHoldConstant reports whether a policy seems to hold a constant anywhere.
// What is then taken for an unknown key may be a part of one that lost its
// quotes, its key or its indentation.
func mayHoldConstant(node *yaml.Node) bool {
	return node.Value == "value" || node.Value == string(actConstant) || slices.ContainsFunc(node.Content, mayHoldConstant)
}

func joinPath(path, key string) string {
	if path == "" || key == "" {
		return path + key
	}
	return path + "." + key
}

func indexPath(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }

// shownName returns name if it is fit to be shown in an error, and else "". It
// keeps out whatever could be part of a constant that lost its quotes: spaces,
// punctuation, and what begins with a digit.
func shownName(name string) string {
	if name == "" || len(name) > 64 {
		return ""
	}
	for i := range len(name) {
		switch c := name[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z':
		case i > 0 && ('0' <= c && c <= '9' || c == '_' || c == '-'):
		default:
			return ""
		}
	}
	return name
}

// unknown says "unknown <noun>", with the word if it can be shown.
func unknown(noun, word string, known []string) string {
	text := "unknown " + noun
	if word = shownName(word); word != "" {
		text += " " + strconv.Quote(word)
	}
	return text + " (known: " + strings.Join(known, ", ") + ")"
}

// kindOf names the type of a node for a person.
func kindOf(node *yaml.Node) string {
	switch node.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	default:
	}
	switch node.ShortTag() {
	case "!!null":
		return "nothing"
	case "!!bool":
		return "true or false"
	case "!!int", "!!float":
		return "a number"
	case "!!timestamp":
		return "a date"
	default:
		return "text"
	}
}

func isText(node *yaml.Node) bool {
	return node.Kind == yaml.ScalarNode && node.ShortTag() == "!!str"
}

// policyMap is one mapping of the policy with the entries that it may have.
type policyMap struct {
	r      *policyReader
	node   *yaml.Node
	path   string
	names  map[string]*yaml.Node // the key nodes
	values map[string]*yaml.Node
}

// mapping reads node as a mapping with some of the known keys. It notes every
// other key.
func (r *policyReader) mapping(node *yaml.Node, path string, known ...string) (policyMap, bool) {
	return r.mappingOf(node, path, known, known)
}

// mappingOf is mapping for where not all known keys go together: told are those
// that the text for an unknown one names.
func (r *policyReader) mappingOf(node *yaml.Node, path string, known, told []string) (policyMap, bool) {
	m := policyMap{r: r, node: node, path: path, names: map[string]*yaml.Node{}, values: map[string]*yaml.Node{}}
	if node.Kind != yaml.MappingNode {
		r.failf(node, path, "expected a mapping, found %s", kindOf(node))
		return m, false
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		switch {
		case !isText(key):
			r.failf(key, path, "expected text as a key, found %s", kindOf(key))
		case !slices.Contains(known, key.Value):
			word := key.Value
			// A word without a value is rather a value that lost its key.
			if r.hide || kindOf(value) == "nothing" {
				word = ""
			}
			r.failf(key, path, "%s", unknown("key", word, told))
		case m.values[key.Value] != nil:
			r.failf(key, path, "key %q was given before, on line %d", key.Value, m.names[key.Value].Line)
		default:
			m.names[key.Value], m.values[key.Value] = key, value
		}
	}
	return m, true
}

func (m policyMap) has(key string) bool { return m.values[key] != nil }

func (m policyMap) at(key string) string { return joinPath(m.path, key) }

// failf notes a fault at the value of key, which the mapping has.
func (m policyMap) failf(key, format string, args ...any) {
	m.r.failf(m.values[key], m.at(key), format, args...)
}

// require notes a fault when key is missing.
func (m policyMap) require(key string) bool {
	if !m.has(key) {
		m.r.failf(m.node, m.path, "%q is missing", key)
		return false
	}
	return true
}

// text returns the text at key. The second result is false when it is missing,
// or is no text, which is noted.
func (m policyMap) text(key string) (string, bool) {
	node := m.values[key]
	if node == nil {
		return "", false
	}
	if !isText(node) {
		hint := ""
		if node.Kind == yaml.ScalarNode && kindOf(node) != "nothing" {
			hint = "; put it in quotes"
		}
		m.failf(key, "expected text, found %s%s", kindOf(node), hint)
		return "", false
	}
	return node.Value, true
}

// name returns text that names something outside of the policy: not empty, of
// at most limit bytes, on one line and without spaces around it.
func (m policyMap) name(key string, limit int) (string, bool) {
	text, ok := m.text(key)
	if !ok {
		return "", false
	}
	if fault := nameFault(text, limit); fault != "" {
		m.failf(key, "%s", fault)
		return "", false
	}
	return text, true
}

func nameFault(text string, limit int) string {
	switch {
	case text == "":
		return "must not be empty"
	case len(text) > limit:
		return fmt.Sprintf("longer than %d bytes", limit)
	case strings.ContainsFunc(text, unicode.IsControl):
		return "must not hold control characters"
	case strings.TrimSpace(text) != text:
		return "must not begin or end with a space"
	}
	return ""
}

// word returns the text at key if it is one of the known words.
func (m policyMap) word(key, noun string, known ...string) (string, bool) {
	node := m.values[key]
	if node == nil {
		return "", false
	}
	if !isText(node) {
		m.failf(key, "expected one of %s, found %s", strings.Join(known, ", "), kindOf(node))
		return "", false
	}
	text := node.Value
	if !slices.Contains(known, text) {
		m.failf(key, "%s", unknown(noun, text, known))
		return "", false
	}
	return text, true
}

// boolean returns the value at key, or missing when there is none.
func (m policyMap) boolean(key string, missing bool) bool {
	node := m.values[key]
	switch {
	case node == nil:
		return missing
	case node.Kind == yaml.ScalarNode && node.ShortTag() == "!!bool" && node.Value == "true":
		return true
	case node.Kind == yaml.ScalarNode && node.ShortTag() == "!!bool" && node.Value == "false":
		return false
	}
	m.failf(key, "expected true or false, found %s", kindOf(node))
	return missing
}

// integer returns the number at key, which is from least to most, and 0 when
// it is missing or faulty. It must be
// written in decimal digits: 0x10, 010 and 1_000 are read differently by
// different people and parsers.
func (m policyMap) integer(key string, least, most uint64) uint64 {
	node := m.values[key]
	if node == nil {
		return 0
	}
	n, ok := decimal(node.Value)
	switch {
	case node.Kind != yaml.ScalarNode || isText(node) || !isDigits(strings.TrimPrefix(node.Value, "-")):
		m.failf(key, "expected a whole number in decimal digits")
		return 0
	case !ok || n < least || n > most:
		m.failf(key, "must be from %d to %d", least, most)
		return 0
	}
	return n
}

func isDigits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == "" && (len(s) == 1 || s[0] != '0')
}

func decimal(s string) (uint64, bool) {
	if !isDigits(s) {
		return 0, false
	}
	n, err := strconv.ParseUint(s, 10, 64)
	return n, err == nil
}

// list returns the items at key, nil when it is missing.
func (m policyMap) list(key string) []*yaml.Node {
	node := m.values[key]
	switch {
	case node == nil:
		return nil
	case node.Kind != yaml.SequenceNode:
		m.failf(key, "expected a list, found %s", kindOf(node))
		return nil
	case len(node.Content) > maxPolicyItems:
		m.failf(key, "more than %d entries", maxPolicyItems)
		return nil
	}
	return node.Content
}
