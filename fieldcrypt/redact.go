package fieldcrypt

import (
	"encoding/hex"
	"fmt"
	"io"
	"strconv"
)

// Verbs such as %s follow pointers that %v does not, down to the constants of a
// policy and to what vaults and KMS clients hold. So the types that lead there say
// only which one they are, whatever the verb.

// Format writes the digest of the policy, and nothing of its content.
func (p *Policy) Format(f fmt.State, _ rune) {
	if p == nil {
		show(f, "fieldcrypt.Policy(nil)")
		return
	}
	show(f, "fieldcrypt.Policy("+hex.EncodeToString(p.digest[:])+")")
}

// Format writes the digest of the policy, and nothing of what the Engine holds.
func (e *Engine) Format(f fmt.State, _ rune) {
	if e == nil || e.policy == nil {
		show(f, "fieldcrypt.Engine(nil)")
		return
	}
	show(f, "fieldcrypt.Engine("+hex.EncodeToString(e.policy.digest[:])+")")
}

// Format writes the topic of the Plan.
func (p *Plan) Format(f fmt.State, _ rune) {
	if p == nil {
		show(f, "fieldcrypt.Plan(nil)")
		return
	}
	show(f, "fieldcrypt.Plan("+strconv.Quote(p.topic)+")")
}

func show(f fmt.State, text string) { _, _ = io.WriteString(f, text) }
