package scenario

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"

	v1 "github.com/fieldveil/fieldveil/sidecar/api/fieldveilv1"
)

// Fields of the answers, by which their results are found.
const (
	ackField      = 2 // of a ProduceStreamResponse
	resultsField  = 2 // of a StreamAck
	responseField = 1 // of a ProduceResponse
	outcomeField  = 1 // of a RecordResult
)

// delivered checks that an answer, whose results lie at a path of fields, tells of
// n records that were delivered. It reads no more than that: what a client spends
// on an answer is in the figures of the sidecar alone, and the generated code makes
// two objects of each result.
func delivered(answer []byte, n int, path ...protowire.Number) error {
	found := 0
	err := results(answer, path, func(result []byte) error {
		found++
		return deliveredOne(result)
	})
	if err == nil && found != n {
		err = fmt.Errorf("%w: %d results", errAnswer, found)
	}
	return err
}

// results calls f for the messages at a path.
func results(b []byte, path []protowire.Number, f func([]byte) error) error {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return errAnswer
		}
		b = b[n:]
		if num == path[0] && typ == protowire.BytesType {
			inner, n := protowire.ConsumeBytes(b)
			err := errAnswer
			switch {
			case n < 0:
			case len(path) > 1:
				err = results(inner, path[1:], f)
			default:
				err = f(inner)
			}
			if err != nil {
				return err
			}
		}
		if n = protowire.ConsumeFieldValue(num, typ, b); n < 0 {
			return errAnswer
		}
		b = b[n:]
	}
	return nil
}

// deliveredOne looks for the outcome of a result, which a sidecar writes first.
func deliveredOne(b []byte) error {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return errAnswer
		}
		b = b[n:]
		if num == outcomeField && typ == protowire.VarintType {
			if outcome, _ := protowire.ConsumeVarint(b); outcome != uint64(v1.Outcome_OUTCOME_DELIVERED) {
				return fmt.Errorf("%w: outcome %d", errAnswer, outcome)
			}
			return nil
		}
		if n = protowire.ConsumeFieldValue(num, typ, b); n < 0 {
			return errAnswer
		}
		b = b[n:]
	}
	return fmt.Errorf("%w: a result without an outcome", errAnswer)
}
