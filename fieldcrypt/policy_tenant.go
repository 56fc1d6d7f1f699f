package fieldcrypt

import (
	"errors"
	"strings"
)

// tenantMark stands for the name of the tenant in the URI of a KEK.
const tenantMark = "{tenant}"

var errTenantName = errors.New("the name of the tenant cannot stand in the URI of a KEK: it is 1 to 128 letters, digits, _, - and dots, and does not begin with a dot")

// templated tells whether the URI of a KEK depends on the tenant.
func templated(kek string) bool { return strings.Contains(kek, tenantMark) }

// keksOf returns the KEKs of a tenant. A name that could reach beyond its place
// in the URI, to another path, key or query, is refused.
func keksOf(keks []string, tenant string) ([]string, error) {
	out := make([]string, len(keks))
	for i, kek := range keks {
		if templated(kek) && !tenantFits(tenant) {
			return nil, errTenantName
		}
		out[i] = strings.ReplaceAll(kek, tenantMark, tenant)
	}
	return out, nil
}

// kekOf is keksOf for one KEK, empty for a tenant that does not fit.
func kekOf(kek, tenant string) string {
	if out, err := keksOf([]string{kek}, tenant); err == nil {
		return out[0]
	}
	return ""
}

func tenantFits(tenant string) bool {
	if tenant == "" || len(tenant) > 128 || tenant[0] == '.' {
		return false
	}
	return strings.Trim(tenant, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") == "" &&
		!strings.Contains(tenant, "..")
}

// kekFault says what is wrong with the braces of a KEK's URI, empty for nothing.
func kekFault(kek string, tenants bool) string {
	switch {
	case placeholder(strings.ReplaceAll(kek, tenantMark, "")):
		return "the only word of a KEK's URI that can stand in braces is {tenant}"
	case templated(kek) && !tenants:
		return "{tenant} needs the section tenant, which says whose a record is"
	case strings.Contains(scheme(kek), tenantMark):
		return "{tenant} cannot be the scheme"
	default:
		return ""
	}
}

// placeholder tells whether something looks like {word}. Paths of files may have
// braces of their own.
func placeholder(s string) bool {
	for {
		_, after, ok := strings.Cut(s, "{")
		if !ok {
			return false
		}
		word, _, closed := strings.Cut(after, "}")
		if closed && word != "" && strings.Trim(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-") == "" {
			return true
		}
		s = after
	}
}

func scheme(kek string) string {
	s, _, _ := strings.Cut(kek, ":")
	return s
}
