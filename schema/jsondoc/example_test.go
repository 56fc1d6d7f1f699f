package jsondoc_test

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"

	"github.com/fieldveil/fieldveil/schema"
	"github.com/fieldveil/fieldveil/schema/jsondoc"
)

// angle is a Visitor that puts values into brackets, and takes them out again.
type angle struct{ back bool }

func (a angle) Visit(_ int, dst, value []byte) ([]byte, error) {
	if a.back {
		inner, ok := bytes.CutPrefix(value, []byte("<"))
		if !ok {
			return nil, schema.ErrKeep
		}
		return append(dst, bytes.TrimSuffix(inner, []byte(">"))...), nil
	}
	return append(append(append(dst, '<'), value...), '>'), nil
}

func ExampleForPaths() {
	s, err := jsondoc.ForPaths("clicks", []string{"/user/ip", "/cards/[]/pan"})
	if err != nil {
		fmt.Println(err)
		return
	}
	edits := []schema.Edit{{Field: 0, Op: schema.Replace}, {Field: 1, Op: schema.Wrap}}
	protect, err := s.Compile(edits, schema.KeepUnknown)
	if err != nil {
		fmt.Println(err)
		return
	}
	record := []byte(`{"user": {"ip": "203.0.113.7", "age": 33}, "cards": [{"pan": 4111}]}`)
	out, err := protect.Rewrite(nil, record, angle{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%s\n", out)

	reveal, err := s.Restore(edits, schema.KeepUnknown)
	if err != nil {
		fmt.Println(err)
		return
	}
	out, err = reveal.Rewrite(nil, out, angle{back: true})
	fmt.Printf("%s %v\n", out, err)

	_, err = protect.Rewrite(nil, []byte(`{"user": {"IP": "203.0.113.7"}}`), angle{})
	fmt.Println(err)
	// Output:
	// {"user": {"ip": "<203.0.113.7>", "age": 33}, "cards": [{"pan": "<4111>"}]}
	// {"user": {"ip": "203.0.113.7", "age": 33}, "cards": [{"pan": 4111}]} <nil>
	// malformed record: member name differs only in case from a protected one
}

// decade is a Visitor that keeps of a year the decade.
type decade struct{}

func (decade) Visit(_ int, dst, value []byte) ([]byte, error) {
	year, err := strconv.Atoi(string(value))
	if err != nil {
		return nil, errors.New("no year")
	}
	return strconv.AppendInt(dst, int64(year/10*10), 10), nil
}

func ExampleSchema_Compile() {
	s, err := jsondoc.ForPaths("people", []string{"/born", "/name"})
	if err != nil {
		fmt.Println(err)
		return
	}
	// The year of birth stays a number.
	program, err := s.Compile([]schema.Edit{{Field: 0, Op: schema.Number}}, schema.KeepUnknown)
	if err != nil {
		fmt.Println(err)
		return
	}
	out, err := program.Rewrite(nil, []byte(`{"name": "Ada", "born": 1815, "score": 9.50}`), decade{})
	fmt.Printf("%s %v\n", out, err)
	_, err = program.Rewrite(nil, []byte(`{"name": "Ada", "born": "1815"}`), decade{})
	fmt.Println(err)
	// Output:
	// {"name": "Ada", "born": 1810, "score": 9.50} <nil>
	// malformed record: value is not a number
}

func ExampleNew() {
	// An employee, who reports to another one.
	plain := &jsondoc.Shape{Field: jsondoc.NoField}
	employee := &jsondoc.Shape{Field: jsondoc.NoField}
	employee.Members = map[string]*jsondoc.Shape{
		"id": plain, "name": {Field: 0}, "manager": employee,
	}
	fields := []schema.Field{{Path: "/name", Type: schema.TypeString}}
	s, err := jsondoc.New("Employee", schema.JSONSchema, fields, employee)
	if err != nil {
		fmt.Println(err)
		return
	}
	protect, err := s.Compile([]schema.Edit{{Field: 0, Op: schema.Replace}}, schema.RejectUnknown)
	if err != nil {
		fmt.Println(err)
		return
	}
	out, err := protect.Rewrite(nil, []byte(`{"id":1,"name":"Ada","manager":{"id":2,"name":"Grace"}}`), angle{})
	fmt.Printf("%s %v\n", out, err)
	_, err = protect.Rewrite(nil, []byte(`{"id":1,"nickname":"Ada"}`), angle{})
	fmt.Println(err)
	// Output:
	// {"id":1,"name":"<Ada>","manager":{"id":2,"name":"<Grace>"}} <nil>
	// malformed record: member that the schema does not describe
}

func ExampleSegment() {
	fmt.Println("/headers/" + jsondoc.Segment("content/type") + "/" + jsondoc.Segment("*"))
	// Output: /headers/content~1type/~2
}
