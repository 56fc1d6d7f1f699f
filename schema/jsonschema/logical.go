package jsonschema

import "github.com/fieldveil/fieldveil/schema/jsondoc"

// Keywords that tell what strings and what numbers have to look like, the most
// telling first.
func stringKeywords() []string {
	return []string{"format", "enum", "const", "pattern", "contentEncoding", "contentMediaType", "contentSchema", "minLength", "maxLength"}
}

func numberKeywords() []string {
	return []string{"format", "enum", "const", "multipleOf", "minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum"}
}

// logical names the keyword that tells most about what a value of the kinds has to
// look like, or the time that it is. No kinds stand for all.
func logical(nodes []*node, kinds jsondoc.Kinds) string {
	if kinds&^jsondoc.KindNull == jsondoc.KindString {
		if word := timeWord(nodes); word != "" {
			return word
		}
	}
	if kinds == 0 || kinds&jsondoc.KindString != 0 {
		if word := telling(nodes, stringKeywords()); word != "" {
			return word
		}
	}
	if kinds == 0 || kinds&(jsondoc.KindNumber|kindInteger) != 0 {
		return telling(nodes, numberKeywords())
	}
	return ""
}

func telling(nodes []*node, keywords []string) string {
	for _, key := range keywords {
		for _, n := range nodes {
			if n.legacyRef() {
				continue
			}
			v, ok := n.raw.get(key)
			if !ok {
				continue
			}
			if key == "format" {
				if s, ok := v.(string); ok {
					return "format:" + s
				}
				continue
			}
			return key
		}
	}
	return ""
}

// timeWord returns the one format of strings that are a date or a time of day or
// both, if any other such text may stand in the place of one: not when a second
// format or another keyword says what the text has to look like.
func timeWord(nodes []*node) string {
	word, dates := "", telling(nodes, []string{"format"}) == "format:date"
	for _, n := range nodes {
		if n.legacyRef() {
			continue
		}
		for _, key := range stringKeywords() {
			v, ok := n.raw.get(key)
			if !ok {
				continue
			}
			format, _ := v.(string)
			switch {
			case key == "format" && (word == "" || word == format):
				word = format
			case dates && (key == "minLength" || key == "maxLength"):
				// All dates have one length.
			default:
				return ""
			}
		}
	}
	switch word {
	case "date", "date-time", "time":
		return word
	}
	return ""
}
