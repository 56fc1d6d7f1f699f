package auth

import "fmt"

// An Operation is what a caller wants to do.
type Operation uint8

// The operations.
const (
	OpProduce    Operation = iota // write records
	OpCheck                       // learn whether a record could be protected
	OpProtect                     // have a record protected, and handed back
	OpReveal                      // have a record opened
	OpDetokenize                  // have the values of tokens
	OpMetadata                    // see topics and partitions
	OpForget                      // have persons forgotten
	OpAdmin                       // reload, acknowledge, look at the inside
	operations
)

// String returns the operation as rules and metrics name it.
func (op Operation) String() string {
	switch op {
	case OpProduce:
		return "produce"
	case OpCheck:
		return "check"
	case OpProtect:
		return "protect"
	case OpReveal:
		return "reveal"
	case OpDetokenize:
		return "detokenize"
	case OpMetadata:
		return "metadata"
	case OpForget:
		return "forget"
	case OpAdmin:
		return "admin"
	default:
		return "invalid"
	}
}

// parseOperations returns a bit for each operation that is named.
func parseOperations(names []string) (set uint16, err error) {
	for _, name := range names {
		if name == "*" {
			set |= 1<<operations - 1
			continue
		}
		known := false
		for op := range operations {
			if op.String() == name {
				set |= 1 << op
				known = true
			}
		}
		if !known {
			return 0, fmt.Errorf("there is no operation %q", name)
		}
	}
	return set, nil
}
