package aead

import (
	"fmt"
	"io"
)

// Format writes the name of the type and nothing of the key, whatever the verb.
func (g *GCM) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "aead.GCM") }

// Format writes the name of the type and nothing of the key, whatever the verb.
func (x *XAES) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "aead.XAES") }
