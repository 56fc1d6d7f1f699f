// Command tink compares this project with bare Tink: five calls of its
// AES-256-GCM primitive on the five values of a record, without the record, and
// the same by envelope encryption under a remote key.
package main

import (
	"bytes"
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/fieldveil/fieldveil/benchmarks/compare/product"
	"github.com/fieldveil/fieldveil/benchmarks/compare/row"
	"github.com/fieldveil/fieldveil/benchmarks/ours"
	"github.com/fieldveil/fieldveil/sidecar/bench/ratio"
	"github.com/fieldveil/fieldveil/sidecar/bench/workload"
)

func main() { row.Main(program()) }

func program() row.Program {
	return row.Program{
		Rival: "tink-crypto/tink-go", Version: row.Version("github.com/tink-crypto/tink-go/v2"),
		Rounds: 401, Slice: 3 * time.Millisecond, Run: run,
	}
}

// aad is as long as ours and the floor's.
var aad = make([]byte, ours.HeaderSize)

func run(_ context.Context, d *row.Document, o ratio.Options) error {
	c := workload.Avro20()
	us, err := product.Lane(c)
	if err != nil {
		return err
	}
	floor, err := product.Floor(c)
	if err != nil {
		return err
	}
	bare, err := bareAEAD()
	if err != nil {
		return err
	}
	remote, err := newRemote()
	if err != nil {
		return err
	}
	envelope := aead.NewKMSEnvelopeAEAD2(aead.AES256GCMKeyTemplate(), remote)
	if envelope == nil {
		return fmt.Errorf("tink has no envelope AEAD")
	}
	for name, a := range map[string]tink.AEAD{"the bare primitive": bare, "envelope encryption": envelope} {
		if err := check(a, c.Tagged); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	five := row.NewLane("five bare Encrypt of AES-256-GCM", encrypt(bare, c.Tagged))
	remotely := row.NewLane("five Encrypt of envelope AEAD, the remote key in the same process", encrypt(envelope, c.Tagged))
	d.Measure(o, floor, us, five)
	d.Times("five values: bare encryption, against our whole record of 626 B", 1.3, us, five, floor)
	// Envelope encryption leaves much to the garbage collector, which would have
	// to be paid for in the slices of the others: it is timed by itself.
	again, err := product.Lane(c)
	if err != nil {
		return err
	}
	d.Measure(o, again, remotely)
	d.Times("five values: envelope encryption, against our whole record", 0, again, remotely, nil)

	const records = 100
	remote.calls.Store(0)
	encrypt(envelope, c.Tagged)(records)
	d.Counts("calls of the remote key, steady state", "calls/record", 0, float64(remote.calls.Load())/records)
	d.Notef("Tink encrypts five values and no record: no walk, no copy, no base64, no key header. What it lacks would cost it as well.")
	d.Notef("The remote key is a fake in the same process and answers at once. A real one adds a round trip to each of its calls.")
	d.Notef("Our calls in steady state are none by construction: a data key serves for minutes; see the row on KMS calls of compare/confluent, where they are counted.")
	return nil
}

func bareAEAD() (tink.AEAD, error) {
	h, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return nil, err
	}
	return aead.New(h)
}

// remote is a key that would be in a KMS, and counts what it is asked.
type remote struct {
	tink.AEAD

	calls atomic.Int64
}

func newRemote() (*remote, error) {
	a, err := bareAEAD()
	return &remote{AEAD: a}, err
}

func (r *remote) Encrypt(plaintext, aad []byte) ([]byte, error) {
	r.calls.Add(1)
	return r.AEAD.Encrypt(plaintext, aad)
}

func (r *remote) Decrypt(ciphertext, aad []byte) ([]byte, error) {
	r.calls.Add(1)
	return r.AEAD.Decrypt(ciphertext, aad)
}

func encrypt(a tink.AEAD, values [][]byte) func(n int) {
	return func(n int) {
		for range n {
			for _, v := range values {
				if _, err := a.Encrypt(v, aad); err != nil {
					panic(err)
				}
			}
		}
	}
}

// check tells whether the values are hidden and come back.
func check(a tink.AEAD, values [][]byte) error {
	for _, v := range values {
		sealed, err := a.Encrypt(v, aad)
		if err != nil {
			return err
		}
		if err := product.Hidden(sealed, values); err != nil {
			return err
		}
		opened, err := a.Decrypt(sealed, aad)
		if err != nil {
			return err
		}
		if !bytes.Equal(opened, v) {
			return fmt.Errorf("a value comes back as another")
		}
	}
	return nil
}
