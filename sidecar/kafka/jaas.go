package kafka

import (
	"errors"
	"strings"
)

// Login modules of Java clients.
const (
	modulePlain = "org.apache.kafka.common.security.plain.PlainLoginModule"
	moduleScram = "org.apache.kafka.common.security.scram.ScramLoginModule"
	moduleOAuth = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule"
)

// jaas is one entry of a JAAS configuration, as sasl.jaas.config has it.
type jaas struct {
	module  string
	options map[string]string
}

var errJAAS = errors.New(`it is written like: org.apache.kafka.common.security.plain.PlainLoginModule required username="NAME" password="PASSWORD";`)

// parseJAAS reads the one line that Java clients are configured with. The error
// shows nothing of it.
func parseJAAS(text string) (*jaas, error) {
	words, err := splitJAAS(text)
	if err != nil {
		return nil, err
	}
	if len(words) < 2 || words[0].quoted || words[0].assigned || words[1].quoted || words[1].assigned || words[1].key != "required" {
		return nil, errJAAS
	}
	j := &jaas{module: words[0].key, options: make(map[string]string)}
	for _, w := range words[2:] {
		if _, twice := j.options[w.key]; twice || !w.assigned || w.key == "" {
			return nil, errJAAS
		}
		j.options[w.key] = w.value
	}
	return j, nil
}

type jaasWord struct {
	key, value       string
	assigned, quoted bool
}

// splitJAAS cuts a text into words and assignments, up to the semicolon.
func splitJAAS(text string) ([]jaasWord, error) {
	var words []jaasWord
	rest := strings.TrimSpace(text)
	for {
		rest = strings.TrimLeft(rest, " \t\r\n")
		switch {
		case rest == "":
			return nil, errJAAS // without its semicolon
		case rest[0] == ';':
			if strings.TrimSpace(rest[1:]) != "" {
				return nil, errJAAS // another entry, of which nobody would know
			}
			return words, nil
		}
		var w jaasWord
		var err error
		if w.key, w.quoted, rest, err = jaasToken(rest); err != nil {
			return nil, err
		}
		if after := strings.TrimLeft(rest, " \t\r\n"); strings.HasPrefix(after, "=") {
			w.assigned = true
			if w.value, _, rest, err = jaasToken(strings.TrimLeft(after[1:], " \t\r\n")); err != nil {
				return nil, err
			}
		}
		words = append(words, w)
	}
}

// jaasToken reads a word, or a text in quotes with backslashes in it.
func jaasToken(s string) (token string, quoted bool, rest string, err error) {
	if !strings.HasPrefix(s, `"`) && !strings.HasPrefix(s, "'") {
		end := strings.IndexAny(s, " \t\r\n=;\"'")
		if end < 0 {
			end = len(s)
		}
		if end == 0 {
			return "", false, "", errJAAS
		}
		return s[:end], false, s[end:], nil
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch c := s[i]; c {
		case s[0]:
			return b.String(), true, s[i+1:], nil
		case '\\':
			i++
			if i == len(s) {
				return "", false, "", errJAAS
			}
			switch s[i] {
			case 'n':
				b.WriteByte('\n')
			case 't':
				b.WriteByte('\t')
			case 'r':
				b.WriteByte('\r')
			default:
				b.WriteByte(s[i])
			}
		default:
			b.WriteByte(c)
		}
	}
	return "", false, "", errJAAS
}
