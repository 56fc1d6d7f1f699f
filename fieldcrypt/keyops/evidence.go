package keyops

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// EvidenceVersion is the version of the JSON form of an Evidence.
const EvidenceVersion = 1

// An Evidence says on what day nothing that was looked at needed a KEK, and what
// was looked at. Its hash finds changes by accident and lets the document be named
// elsewhere; whoever may change the file can compute a new one, so it is kept, or
// its hash is, where the one who retires keys cannot write.
type Evidence struct {
	Version int       `json:"fieldveil_retirement"` // EvidenceVersion
	KEK     string    `json:"kek"`
	Time    time.Time `json:"time"`   // when Retire looked
	Census  time.Time `json:"census"` // when the census began
	Policy  string    `json:"policy"` // digest of the policy of the census, in hex
	// Partitions were read from Start to End.
	Partitions []EvidencePartition `json:"partitions"`
	Records    int64               `json:"records"`
	Plain      int64               `json:"plain"` // of them, records that need no key
	Keys       int                 `json:"keys"`  // data keys that records name
	// Rewrapped are data keys whose records bring a block under the KEK and that
	// open by the catalog from now on; Proven tells that each of them was tried.
	Rewrapped int  `json:"rewrapped"`
	Proven    bool `json:"proven"`
	// Catalog and Roots are the blocks that were looked at.
	Catalog int `json:"catalog"`
	Roots   int `json:"roots"`
	// Removed are the keys that were taken out of the catalog, by id in hex.
	Removed []string `json:"removed,omitempty"`
	Says    string   `json:"says"`
	SHA256  string   `json:"sha256"` // over the document with an empty hash
}

// An EvidencePartition is a part of a topic that was read.
type EvidencePartition struct {
	Topic     string `json:"topic"`
	TopicID   string `json:"topic_id,omitempty"`
	Partition int32  `json:"partition"`
	Start     int64  `json:"start"`
	End       int64  `json:"end"`
	Records   int64  `json:"records"`
}

const says = "At this time no record of these partitions, no block of the catalog, no root of a tenant and no key of the policy needed the KEK. " +
	"Other topics, copies outside of these topics, and producers with another policy were not looked at."

func (r *retiring) evidence() (*Evidence, error) {
	e := &Evidence{
		Version: EvidenceVersion, KEK: r.KEK, Time: r.now, Census: r.Census.Started, Policy: r.Census.Policy,
		Rewrapped: r.relied, Proven: r.Prove != nil, Catalog: r.blocks, Roots: r.rooted, Removed: r.removed, Says: says,
	}
	for i := range r.Census.Partitions {
		p := &r.Census.Partitions[i]
		e.Partitions = append(e.Partitions, EvidencePartition{
			Topic: p.Topic, TopicID: p.TopicID, Partition: p.Partition, Start: p.Start, End: p.End, Records: p.Records,
		})
	}
	e.Records, e.Plain, _ = r.Census.Records()
	ids := map[string]bool{}
	for i := range r.Census.Keys {
		ids[r.Census.Keys[i].ID] = true
	}
	e.Keys = len(ids)
	sum, err := e.sum()
	if err != nil {
		return nil, err
	}
	e.SHA256 = sum
	return e, nil
}

// ErrEvidence means that an evidence is not what it was when it was made.
var ErrEvidence = errors.New("evidence was changed")

// Check computes the hash again.
func (e *Evidence) Check() error {
	sum, err := e.sum()
	if err != nil {
		return err
	}
	if e.Version != EvidenceVersion || subtle.ConstantTimeCompare([]byte(sum), []byte(e.SHA256)) != 1 {
		return fmt.Errorf("keyops: %w", ErrEvidence)
	}
	return nil
}

// sum is the SHA-256, in hex, of the JSON form without spaces and with an empty
// hash.
func (e *Evidence) sum() (string, error) {
	bare := *e
	bare.SHA256 = ""
	b, err := json.Marshal(&bare)
	if err != nil {
		return "", fmt.Errorf("keyops: evidence: %w", err)
	}
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:]), nil
}
