package tokenize

import (
	"fmt"
	"io"
)

// Format writes the name of the type and nothing of what the Vault remembers,
// values in clear among it: verbs such as %s follow pointers that %v does not.
func (v *Vault) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, "tokenize.Vault") }
