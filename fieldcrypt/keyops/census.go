package keyops

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// CensusVersion is the version of the JSON form of a Census.
const CensusVersion = 1

// A Census is what the records of some topics need, as far as they were read. It
// holds names, numbers and public ids, and nothing of a record's content. It is
// not safe for concurrent use.
type Census struct {
	Version int       `json:"fieldveil_census"` // CensusVersion
	Started time.Time `json:"started"`
	Updated time.Time `json:"updated"`
	// Policy is the digest of the policy that told where envelopes are, in hex.
	Policy string `json:"policy"`
	// Complete is true when every partition was read to the end that it had when
	// the census, or its last continuation, began.
	Complete   bool        `json:"complete"`
	Partitions []Partition `json:"partitions"` // by topic and number
	Keys       []Key       `json:"keys"`       // by id, KEK and tenant
	// Unnamed are data keys of the catalog that no record named, by id in hex, and
	// since when: [Retire] keeps them for its grace time.
	Unnamed map[string]time.Time `json:"unnamed,omitempty"`
}

// A Partition is how far a partition was read.
type Partition struct {
	Topic     string `json:"topic"`
	TopicID   string `json:"topic_id,omitempty"` // tells a topic that was made anew
	Partition int32  `json:"partition"`
	Start     int64  `json:"start"` // of the log, when it was last looked up
	Next      int64  `json:"next"`  // everything before it was read
	End       int64  `json:"end"`   // behind the last record to read
	// Open is the number of offsets behind End that belong to transactions that
	// had not ended: their records cannot be seen yet.
	Open    int64 `json:"open,omitempty"`
	Records int64 `json:"records"` // that were read
	Plain   int64 `json:"plain"`   // of them, records that need no key
	// Persons are records with values under keys of persons. Those keys are not
	// counted one by one: they stand in a store, under the root keys of tenants.
	Persons Persons `json:"persons,omitzero"`
	// Unknown are records of which not everything could be read, so that they may
	// need any key.
	Unknown Unknown `json:"unknown"`
}

// Persons are the records of a partition with values of persons.
type Persons struct {
	Records int64 `json:"records"`
	Last    int64 `json:"last"` // offset
}

// Unknown are the records of a partition that could not be read.
type Unknown struct {
	Records int64   `json:"records"`
	Last    int64   `json:"last,omitempty"` // offset
	First   []Place `json:"first,omitempty"`
}

// A Place is a record and what is wrong with it, by its code.
type Place struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
	Reason    string `json:"reason,omitempty"`
}

// String returns the place as topic/partition@offset.
func (p Place) String() string {
	s := fmt.Sprintf("%s/%d@%d", p.Topic, p.Partition, p.Offset)
	if p.Reason != "" {
		s += " (" + p.Reason + ")"
	}
	return s
}

// MaxPlaces bounds the places that are named, of each partition and each refusal.
const MaxPlaces = 10

// A Key is a data key as records name it.
type Key struct {
	ID string `json:"id"` // in hex
	// KEK and Tenant are those of the block in the records' headers. KEK is empty
	// for records that name the key without bringing its block: they need the key
	// store, or for a domain key the policy.
	KEK     string `json:"kek,omitempty"`
	Tenant  string `json:"tenant,omitempty"`
	Domain  bool   `json:"domain,omitempty"`
	Records int64  `json:"records"`
	Spans   []Span `json:"spans"` // by topic and partition
}

// A Span is where in one partition a key is used.
type Span struct {
	Topic     string    `json:"topic"`
	Partition int32     `json:"partition"`
	Records   int64     `json:"records"`
	First     int64     `json:"first"` // offset
	Last      int64     `json:"last"`
	FirstTime time.Time `json:"first_time"` // the earliest time of a record
	LastTime  time.Time `json:"last_time"`
}

// A KEKCount sums up the keys under one KEK.
type KEKCount struct {
	KEK     string   `json:"kek"` // empty for keys that records name without a block
	Keys    int      `json:"keys"`
	Records int64    `json:"records"` // a record with two keys under a KEK counts twice
	Tenants []string `json:"tenants,omitempty"`
}

// ErrState means that a state file is none, or does not belong to what is asked.
var ErrState = errors.New("not the state of this census")

// maxState bounds what is read of a state file: some 500,000 spans take 100 MB.
const maxState = 1 << 30

// LoadCensus reads what [Census.Save] wrote. A missing file is an error that
// wraps [os.ErrNotExist].
func LoadCensus(path string) (*Census, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("keyops: census: %w", err)
	}
	defer f.Close() //nolint:errcheck // it was only read
	c := new(Census)
	d := json.NewDecoder(io.LimitReader(f, maxState))
	d.DisallowUnknownFields()
	if err := d.Decode(c); err != nil {
		return nil, fmt.Errorf("keyops: census %s: %w: %w", path, ErrState, err)
	}
	if c.Version != CensusVersion {
		return nil, fmt.Errorf("keyops: census %s has version %d: %w", path, c.Version, ErrState)
	}
	return c, nil
}

// Save writes the census to a file, mode 0600, at once or not at all: whenever
// the process ends, the file holds one whole census.
func (c *Census) Save(path string) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("keyops: census: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("keyops: census: %w", err), os.Remove(f.Name()))
		}
	}()
	if err := errors.Join(json.NewEncoder(f).Encode(c), f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return nil // the file stands; only its durability over a crash of the machine is less sure
	}
	defer dir.Close() //nolint:errcheck // it was only read
	_ = dir.Sync()    // some systems cannot
	return nil
}
