package report

import (
	stdjson "encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// ErrVersion says that a report was written by a program with another form of
// it. Which one it was is in no text: it is a foreign value.
var ErrVersion = fmt.Errorf("report: the version of this report is not %d, the one that this program reads", Version)

// ErrTooLarge says that a report is larger than any that this program writes.
var ErrTooLarge = fmt.Errorf("report: larger than %d MiB", maxBytes>>20)

// WriteJSON writes the report for programs, indented, with a newline at its end.
// Nothing is written of a report that does not pass [Report.Validate]: JSON has
// no word for what is not a number.
func WriteJSON(w io.Writer, r *Report) error {
	if err := r.Validate(); err != nil {
		return err
	}
	// The standard encoder leaves out what is empty as the tags of the model mean
	// it; zeros too.
	e := stdjson.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// ReadJSON reads what WriteJSON wrote. It refuses other versions ([ErrVersion]),
// more than 16 MiB ([ErrTooLarge]), members that are unknown or there twice,
// anything behind the report, and what [Report.Validate] refuses. No error
// quotes what was read.
func ReadJSON(r io.Reader) (*Report, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxBytes+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxBytes {
		return nil, ErrTooLarge
	}
	// The version first: a newer form may well have members that are unknown here.
	var head struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return nil, refused(err)
	}
	if head.Version != Version {
		return nil, ErrVersion
	}
	out := &Report{}
	if err := json.Unmarshal(data, out, json.RejectUnknownMembers(true)); err != nil {
		return nil, refused(err)
	}
	if err := out.Validate(); err != nil {
		return nil, err
	}
	return out, nil
}

// refused says where the JSON is wrong, without the words of the decoder, which
// quote what it found.
func refused(err error) error {
	if s, ok := errors.AsType[*json.SemanticError](err); ok {
		return fmt.Errorf("report: at byte %d: not a member of a report, or of another type", s.ByteOffset)
	}
	if s, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		return fmt.Errorf("report: at byte %d: not JSON, or a member twice", s.ByteOffset)
	}
	return errors.New("report: not JSON")
}
