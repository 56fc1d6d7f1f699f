package shred

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"
)

// maxLine is the longest line of a ledger file, in bytes with its line feed. An
// entry at all its bounds takes some 3,100.
const maxLine = 4096

const ledgerVersion = 1

// headerLine returns the first line of a ledger file.
func headerLine(id LedgerID) []byte {
	return fmt.Appendf(nil, "{\"fieldveil_ledger\":%d,\"id\":%q}\n", ledgerVersion, id)
}

// parseHeader reads the first line, which ends with a line feed.
func parseHeader(line []byte) (LedgerID, error) {
	var h struct {
		Version int    `json:"fieldveil_ledger"`
		ID      string `json:"id"`
	}
	var id LedgerID
	if err := decodeLine(line, &h); err != nil {
		return id, fmt.Errorf("shred: the first line of the ledger is no header: %w", ErrLedger)
	}
	if h.Version != ledgerVersion {
		return id, fmt.Errorf("shred: ledger of version %d, want %d: %w", h.Version, ledgerVersion, ErrLedger)
	}
	if !unhex(id[:], h.ID) || !bytes.Equal(headerLine(id), line) {
		return id, fmt.Errorf("shred: the first line of the ledger is no header: %w", ErrLedger)
	}
	return id, nil
}

// fileEntry has the members of a line.
type fileEntry struct {
	Seq       uint64 `json:"seq"`
	Time      string `json:"time"`
	Tenant    string `json:"tenant"`
	TenantHex string `json:"tenant_hex"` // in its place, of a name that is no UTF-8
	Person    string `json:"person"`
	By        string `json:"by"`
	Reason    string `json:"reason"`
	Prev      string `json:"prev"`
	Hash      string `json:"hash"`
}

// appendLine appends the only spelling of an entry, with its line feed.
func appendLine(dst []byte, e *Entry) []byte {
	dst = append(dst, `{"seq":`...)
	dst = strconv.AppendUint(dst, e.Seq, 10)
	dst = append(dst, `,"time":"`...)
	dst = e.Time.AppendFormat(dst, time.RFC3339)
	if utf8.ValidString(e.Tenant) {
		dst = appendJSON(append(dst, `","tenant":`...), e.Tenant)
	} else {
		dst = appendHex(append(dst, `","tenant_hex":`...), []byte(e.Tenant))
	}
	dst = appendHex(append(dst, `,"person":`...), e.Person[:])
	dst = appendJSON(append(dst, `,"by":`...), e.By)
	dst = appendJSON(append(dst, `,"reason":`...), e.Reason)
	dst = appendHex(append(dst, `,"prev":`...), e.Prev[:])
	dst = appendHex(append(dst, `,"hash":`...), e.Hash[:])
	return append(dst, "}\n"...)
}

// appendJSON appends a text as JSON, and escapes only what must be.
func appendJSON(dst []byte, s string) []byte {
	const hexDigits = "0123456789abcdef"
	dst = append(dst, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < ' ':
			dst = append(dst, `\u00`...)
			dst = append(dst, hexDigits[c>>4], hexDigits[c&15])
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}

func appendHex(dst, b []byte) []byte {
	return append(hex.AppendEncode(append(dst, '"'), b), '"')
}

// parseLine reads a line, which ends with a line feed. It accepts what
// appendLine writes, to the byte, and does not look at chain and hash.
func parseLine(line []byte) (Entry, error) {
	var f fileEntry
	var e Entry
	if decodeLine(line, &f) != nil {
		return Entry{}, errLine
	}
	at, err := time.Parse(time.RFC3339, f.Time)
	if err != nil {
		return Entry{}, errLine
	}
	e = Entry{Seq: f.Seq, Time: at.UTC(), Tenant: f.Tenant, By: f.By, Reason: f.Reason}
	if f.TenantHex != "" {
		b, err := hex.DecodeString(f.TenantHex)
		if err != nil {
			return Entry{}, errLine
		}
		e.Tenant = string(b)
	}
	if !unhex(e.Person[:], f.Person) || !unhex(e.Prev[:], f.Prev) || !unhex(e.Hash[:], f.Hash) || e.Check() != nil {
		return Entry{}, errLine
	}
	if !bytes.Equal(appendLine(nil, &e), line) {
		return Entry{}, errLine
	}
	return e, nil
}

var errLine = fmt.Errorf("shred: a line of the ledger is no entry: %w", ErrLedger)

// decodeLine reads one JSON object and the line feed after it.
func decodeLine(line []byte, into any) error {
	if len(line) > maxLine || !bytes.HasSuffix(line, []byte("}\n")) {
		return errLine
	}
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	return d.Decode(into)
}

// unhex fills dst from s.
func unhex(dst []byte, s string) bool {
	if len(s) != hex.EncodedLen(len(dst)) {
		return false
	}
	_, err := hex.Decode(dst, []byte(s))
	return err == nil
}

// checkTime tells whether a time can be written with four digits of the year.
func checkTime(t time.Time) error {
	const lastYear = 9999
	if y := t.UTC().Year(); y < 0 || y > lastYear {
		return fmt.Errorf("shred: time is beyond the year %d: %w", lastYear, ErrInvalid)
	}
	return nil
}
