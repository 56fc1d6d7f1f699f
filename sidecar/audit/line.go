package audit

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strconv"
	"time"
	"unicode/utf8"
)

const (
	version  = 1
	hashSize = sha256.Size
	idSize   = 16
	// MaxLine is how long a line may be, in bytes with its line feed.
	MaxLine = 16 << 10
	// timeForm has nine digits always, so that a time has one spelling.
	timeForm = "2006-01-02T15:04:05.000000000Z"

	domainLine  = "fieldveil/1 audit line"
	domainTrail = "fieldveil/1 audit trail"
)

// A Hash is that of a line.
type Hash [hashSize]byte

// String returns h in hex.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// A TrailID names a trail. It is random.
type TrailID [idSize]byte

// String returns id in hex.
func (id TrailID) String() string { return hex.EncodeToString(id[:]) }

func newTrail() TrailID {
	var id TrailID
	_, _ = rand.Read(id[:]) // never fails
	return id
}

// A Head is where a trail ends: the next line follows it.
type Head struct {
	Trail TrailID
	Seq   uint64 // of the last line, 0 for none
	Hash  Hash   // of the last line, or what stands for one before the first
}

// begin returns the head of a trail without lines.
func begin(id TrailID) Head {
	return Head{Trail: id, Hash: sha256.Sum256(append([]byte(domainTrail), id[:]...))}
}

// A Line is an entry in its place in a trail.
type Line struct {
	Entry

	Trail TrailID
	Seq   uint64
	Time  time.Time
	Key   string // what sealed it, such as "hmac:0123456789abcdef", or empty
	Prev  Hash
	Hash  Hash
	Seal  []byte
}

// head returns the head of a trail that ends with l.
func (l *Line) head() Head { return Head{Trail: l.Trail, Seq: l.Seq, Hash: l.Hash} }

// appendBody appends the bytes of l that are hashed.
func (l *Line) appendBody(dst []byte) []byte {
	dst = strconv.AppendInt(append(dst, `{"fieldveil_audit":`...), version, 10)
	dst = hex.AppendEncode(append(dst, `,"trail":"`...), l.Trail[:])
	dst = strconv.AppendUint(append(dst, `","seq":`...), l.Seq, 10)
	dst = l.Time.UTC().AppendFormat(append(dst, `,"time":"`...), timeForm)
	dst = append(dst, '"')
	dst = appendText(dst, "action", string(l.Action))
	dst = appendText(dst, "outcome", string(l.Outcome))
	dst = appendText(dst, "actor", l.Actor)
	dst = appendText(dst, "method", l.Method)
	dst = appendText(dst, "request", l.Request)
	dst = appendText(dst, "tenant", l.Tenant)
	dst = appendText(dst, "topic", l.Topic)
	dst = appendText(dst, "scope", l.Scope)
	dst = appendText(dst, "purpose", l.Purpose)
	dst = appendText(dst, "person", l.Person)
	dst = appendText(dst, "target", l.Target)
	dst = appendText(dst, "reason", l.Reason)
	if l.Count != 0 {
		dst = strconv.AppendInt(append(dst, `,"count":`...), int64(l.Count), 10)
	}
	dst = appendText(dst, "key", l.Key)
	dst = hex.AppendEncode(append(dst, `,"prev":"`...), l.Prev[:])
	return append(dst, '"')
}

// append appends l with its line feed.
func (l *Line) append(dst []byte) []byte {
	dst = hex.AppendEncode(append(l.appendBody(dst), `,"hash":"`...), l.Hash[:])
	dst = append(dst, '"')
	if len(l.Seal) > 0 {
		dst = hex.AppendEncode(append(dst, `,"seal":"`...), l.Seal)
		dst = append(dst, '"')
	}
	return append(dst, "}\n"...)
}

// sum returns the hash that l must have.
func (l *Line) sum() Hash {
	return sha256.Sum256(l.appendBody(append(make([]byte, 0, 1024), domainLine...)))
}

// appendText appends a member, unless it is empty, and escapes only what must be.
func appendText(dst []byte, name, s string) []byte {
	const (
		hexDigits = "0123456789abcdef"
		del       = 0x7f
	)
	if s == "" {
		return dst
	}
	dst = append(append(append(dst, `,"`...), name...), `":"`...)
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < ' ' || c == del:
			dst = append(append(dst, `\u00`...), hexDigits[c>>4], hexDigits[c&15])
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}

// members are those of a line, for decoding.
type members struct {
	Version int    `json:"fieldveil_audit"`
	Trail   string `json:"trail"`
	Seq     uint64 `json:"seq"`
	Time    string `json:"time"`
	Action  string `json:"action"`
	Outcome string `json:"outcome"`
	Actor   string `json:"actor"`
	Method  string `json:"method"`
	Request string `json:"request"`
	Tenant  string `json:"tenant"`
	Topic   string `json:"topic"`
	Scope   string `json:"scope"`
	Purpose string `json:"purpose"`
	Person  string `json:"person"`
	Target  string `json:"target"`
	Reason  string `json:"reason"`
	Count   int    `json:"count"`
	Key     string `json:"key"`
	Prev    string `json:"prev"`
	Hash    string `json:"hash"`
	Seal    string `json:"seal"`
}

var errLine = errors.New("audit: no line of an audit trail")

// ParseLine reads one line, with its line feed. It takes what a [Log] writes, to
// the byte (FV-110), and looks neither at the chain nor at the seal. The error
// holds nothing of the line.
func ParseLine(text []byte) (Line, error) {
	var m members
	if len(text) > MaxLine || !bytes.HasSuffix(text, []byte("}\n")) || !utf8.Valid(text) {
		return Line{}, errLine
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if d.Decode(&m) != nil {
		return Line{}, errLine
	}
	at, err := time.Parse(timeForm, m.Time)
	if err != nil {
		return Line{}, errLine
	}
	l := Line{
		Seq: m.Seq, Time: at, Key: m.Key,
		Entry: Entry{
			Action: Action(m.Action), Outcome: Outcome(m.Outcome), Actor: m.Actor, Method: m.Method, Request: m.Request,
			Tenant: m.Tenant, Topic: m.Topic, Scope: m.Scope, Purpose: m.Purpose, Person: m.Person, Target: m.Target,
			Reason: m.Reason, Count: m.Count,
		},
	}
	l.Seal, err = hex.DecodeString(m.Seal)
	if err != nil || !unhex(l.Trail[:], m.Trail) || !unhex(l.Prev[:], m.Prev) || !unhex(l.Hash[:], m.Hash) ||
		l.check() != nil || (l.Key == "") != (len(l.Seal) == 0) {
		return Line{}, errLine
	}
	if !bytes.Equal(l.append(make([]byte, 0, len(text))), text) {
		return Line{}, errLine
	}
	return l, nil
}

// unhex fills dst from s.
func unhex(dst []byte, s string) bool {
	if len(s) != hex.EncodedLen(len(dst)) {
		return false
	}
	_, err := hex.Decode(dst, []byte(s))
	return err == nil
}
