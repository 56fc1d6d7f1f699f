package audit

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
)

// A VerifyConfig says what a trail must be like.
type VerifyConfig struct {
	// Keys are those that may have sealed. With any, each line must be sealed by
	// one of them (FV-116).
	Keys []Key
	// From is the line before the first one, where earlier files are kept
	// elsewhere. Default none: the first line must be the first of its trail.
	From Head
	// Many allows lines of several trails, as on the standard output of many
	// processes or in a topic. Each is verified by itself.
	Many bool
	// ExpectSeq and ExpectHash are of a line that must be there: a trail whose end
	// was cut off is whole otherwise. Zero for any.
	ExpectSeq  uint64
	ExpectHash Hash
	// Each, if set, is called for each line that can be read. l is its own.
	Each func(file string, line int, l *Line)
}

// A Fault is a place where a trail is not what it must be.
type Fault struct {
	File string
	Line int // from 1; 0 where it is about the whole
	Text string
}

func (f Fault) String() string {
	if f.Line == 0 {
		return f.Text
	}
	return fmt.Sprintf("%s:%d: %s", f.File, f.Line, f.Text)
}

// A Report is what a [Verifier] found.
type Report struct {
	Lines  int     // that could be read
	Sealed int     // of them, by a key that was given
	Torn   int     // remnants of lines that nobody was told of
	Trails int     // that lines belong to
	Last   Head    // of the trail that the last line belongs to
	Faults []Fault // 1,000 at most
}

const maxFaults = 1000

// A Verifier reads a trail. It is for one goroutine.
type Verifier struct {
	c      VerifyConfig
	r      Report
	heads  map[TrailID]Head
	met    bool     // the line that is expected
	file   string   // that is read
	n      int      // of the line that is read
	end    int64    // of it
	rest   *remnant // that waits for the line that says what it is
	origin TrailID  // of the first line
}

// A remnant is a line that cannot be read.
type remnant struct {
	line int
	text string // what is wrong with it, unless it is a remnant
	size int
	sum  [sha256.Size]byte
}

// NewVerifier returns a Verifier.
func NewVerifier(c VerifyConfig) *Verifier {
	return &Verifier{c: c, heads: make(map[TrailID]Head)}
}

// Read reads the next file of the trail. The error is that of r; what is wrong
// with the trail is in the [Report].
func (v *Verifier) Read(name string, r io.Reader) error {
	v.file, v.n, v.end = name, 0, 0
	in := bufio.NewReaderSize(r, MaxLine)
	for {
		text, err := in.ReadSlice('\n')
		switch {
		case errors.Is(err, io.EOF) && len(text) == 0:
			v.settle()
			return nil
		case errors.Is(err, io.EOF):
			v.n++
			v.settle()
			v.fault(v.n, fmt.Sprintf("%d bytes without a line feed", len(text)))
			return nil
		case errors.Is(err, bufio.ErrBufferFull):
			v.n++
			v.settle()
			v.fault(v.n, "longer than a line can be")
			n, err := skipLine(in)
			if v.end += int64(len(text)) + n; err != nil && !errors.Is(err, io.EOF) {
				return err
			}
			continue
		case err != nil:
			return err
		}
		v.n++
		v.end += int64(len(text))
		v.line(text)
	}
}

// skipLine reads on to the end of a line.
func skipLine(in *bufio.Reader) (n int64, err error) {
	for {
		text, err := in.ReadSlice('\n')
		if n += int64(len(text)); !errors.Is(err, bufio.ErrBufferFull) {
			return n, err
		}
	}
}

// Report ends the reading.
func (v *Verifier) Report() Report {
	if v.r.Lines == 0 {
		v.fault(0, "there is no line of an audit trail")
	}
	v.r.Trails = len(v.heads)
	switch {
	case v.met:
	case v.c.ExpectHash != Hash{}:
		v.fault(0, "the line with the hash that is expected is not there")
	case v.c.ExpectSeq != 0:
		v.fault(0, fmt.Sprintf("there is no line %d: the end was cut off", v.c.ExpectSeq))
	}
	return v.r
}

func (v *Verifier) fault(line int, text string) {
	if len(v.r.Faults) < maxFaults {
		v.r.Faults = append(v.r.Faults, Fault{v.file, line, text})
	}
}

// settle gives up waiting for the line that explains a remnant.
func (v *Verifier) settle() {
	if v.rest != nil {
		v.fault(v.rest.line, v.rest.text)
		v.rest = nil
	}
}

func (v *Verifier) line(text []byte) {
	l, err := ParseLine(text)
	switch {
	case err != nil:
		v.settle()
		body := bytes.TrimSuffix(text, []byte("\n"))
		v.rest = &remnant{line: v.n, text: "no line of an audit trail", size: len(body), sum: sha256.Sum256(body)}
		return
	case l.Action == actionTorn:
		v.torn(&l)
	default:
		v.settle()
	}
	v.r.Lines++
	if l.sum() != l.Hash {
		v.fault(v.n, "changed: its hash is not that of what stands there")
	}
	v.follow(&l)
	v.sealed(&l)
	if (v.c.ExpectSeq == 0 || v.c.ExpectSeq == l.Seq) && (v.c.ExpectHash == Hash{} || v.c.ExpectHash == l.Hash) {
		v.met = true
	}
	if v.c.Each != nil {
		v.c.Each(v.file, v.n, &l)
	}
}

// torn looks at the line that says what a remnant is (FV-114).
func (v *Verifier) torn(l *Line) {
	if v.rest == nil || v.rest.size != l.Count || hex.EncodeToString(v.rest.sum[:]) != l.Target {
		v.settle()
		v.fault(v.n, "the remnant of a line that it is about is not there, or was changed")
		return
	}
	v.r.Torn++
	v.rest = nil
}

// follow looks at the chain, and goes on from l whatever it finds, so that one
// change is one fault.
func (v *Verifier) follow(l *Line) {
	before, known := v.heads[l.Trail]
	first := len(v.heads) == 0
	if first {
		v.origin = l.Trail
	}
	v.heads[l.Trail] = l.head()
	v.r.Last = l.head()
	switch {
	case !known && !first && !v.c.Many:
		v.fault(v.n, fmt.Sprintf("of trail %v, and the trail is %v", l.Trail, v.origin))
		return
	case !known && first && v.c.From.Seq != 0:
		before = v.c.From
		if before.Hash == (Hash{}) { // only the number is known
			before.Hash = l.Prev
		}
	case !known:
		before = begin(l.Trail)
	}
	switch {
	case l.Seq > before.Seq+1:
		v.fault(v.n, fmt.Sprintf("lines %d to %d are missing before it", before.Seq+1, l.Seq-1))
	case l.Seq <= before.Seq:
		v.fault(v.n, fmt.Sprintf("line %d stands behind line %d", l.Seq, before.Seq))
	case l.Prev != before.Hash:
		v.fault(v.n, "does not follow the line before it: one of the two was replaced")
	}
}

func (v *Verifier) sealed(l *Line) {
	if len(v.c.Keys) == 0 {
		return
	}
	for _, k := range v.c.Keys {
		if k.opens(l) {
			v.r.Sealed++
			return
		}
	}
	if l.Key == "" {
		v.fault(v.n, "not sealed")
		return
	}
	// What it names may be anything that a text can hold.
	v.fault(v.n, fmt.Sprintf("not sealed by a key that was given: it names %q", l.Key))
}
