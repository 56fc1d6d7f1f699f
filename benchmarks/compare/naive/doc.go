// Command naive compares this project with what a team writes by itself first:
// decode the record, encrypt the five strings by AES-GCM, encode the record.
//
// The cipher is the standard library's, built once, with random nonces; the
// output is base64. There is no associated data, no header, no key handling and
// no limit on the use of the key, which all would cost more time.
package main

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"time"

	"github.com/fieldveil/fieldveil/benchmarks/compare/product"
	"github.com/fieldveil/fieldveil/benchmarks/compare/row"
	"github.com/fieldveil/fieldveil/sidecar/bench/ratio"
	"github.com/fieldveil/fieldveil/sidecar/bench/workload"
)

func main() { row.Main(program()) }

func program() row.Program {
	return row.Program{
		Rival: "decode, encrypt, encode", Version: row.Version("github.com/hamba/avro/v2", "github.com/twmb/avro",
			"github.com/go-json-experiment/json", "google.golang.org/protobuf") + ", encoding/json",
		Rounds: 201, Slice: 3 * time.Millisecond, Run: run,
	}
}

// A contender turns an encoded record into an encoded record with its tagged
// values encrypted, or back.
type contender struct {
	name string
	// pass applies f to each tagged value.
	pass func(record []byte, f transform) ([]byte, error)
}

// transform makes one value of another.
type transform func(value string) (string, error)

func run(_ context.Context, d *row.Document, o ratio.Options) error {
	b, err := newBox()
	if err != nil {
		return err
	}
	for _, format := range []func() (heat, error){avroHeat, jsonHeat, protoHeat} {
		h, err := format()
		if err != nil {
			return err
		}
		if err := h.run(d, o, b); err != nil {
			return err
		}
	}
	d.Notef("A struct is what a producer has that knows its schema when it is built; a map or a dynamic message is what one has that does not. Ours knows it at run time alone.")
	d.Notef("The naive way checks no more of the record than its decoder does, binds its values to nothing, and reorders what decoders do not keep in order.")
	d.Notef("Of Protobuf the message is dynamic: generated code decodes and encodes faster, and a service that serves all topics has none.")
	return nil
}

// A heat is one record and all who run on it.
type heat struct {
	c          workload.Case
	ours       []*row.Lane // the first is what rows compare with
	contenders []contender
	same       sameness
}

// sameness reports whether two encoded records hold the same values.
type sameness func(a, b []byte) (bool, error)

func (h heat) run(d *row.Document, o ratio.Options, b *box) error {
	floor, err := product.Floor(h.c)
	if err != nil {
		return err
	}
	lanes := append([]*row.Lane{floor}, h.ours...)
	var rivals []*row.Lane
	for _, c := range h.contenders {
		if err := c.check(h.c, b, h.same); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		rivals = append(rivals, row.NewLane(c.name, c.work(h.c, b)))
	}
	d.Measure(o, append(lanes, rivals...)...)
	for _, us := range h.ours {
		for _, r := range rivals {
			d.Times(r.Name+", against "+us.Name, 0, us, r, floor)
		}
	}
	return nil
}

func (c contender) work(w workload.Case, b *box) func(n int) {
	return func(n int) {
		for range n {
			if _, err := c.pass(w.Record, b.seal); err != nil {
				panic(err)
			}
		}
	}
}

// check tells whether the contender hides the values, opens them again, and
// changes nothing else.
func (c contender) check(w workload.Case, b *box, same sameness) error {
	sealed, err := c.pass(w.Record, b.seal)
	if err != nil {
		return err
	}
	if err := product.Hidden(sealed, w.Tagged); err != nil {
		return err
	}
	opened, err := c.pass(sealed, b.open)
	if err != nil {
		return err
	}
	// Encoders order and block things as they like, so bytes do not tell.
	ok, err := same(opened, w.Record)
	if err != nil {
		return err
	}
	if !ok {
		return fmt.Errorf("the record comes back as another")
	}
	return nil
}

// box encrypts strings under one key.
type box struct{ aead cipher.AEAD }

func newBox() (*box, error) {
	key := make([]byte, 32)
	if _, err := rand.Read(key); err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	a, err := cipher.NewGCMWithRandomNonce(block)
	return &box{a}, err
}

func (b *box) seal(value string) (string, error) {
	return base64.StdEncoding.EncodeToString(b.aead.Seal(nil, nil, []byte(value), nil)), nil
}

func (b *box) open(value string) (string, error) {
	raw, err := base64.StdEncoding.DecodeString(value)
	if err != nil {
		return "", err
	}
	plain, err := b.aead.Open(nil, nil, raw, nil)
	return string(plain), err
}
