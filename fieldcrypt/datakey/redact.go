package datakey

import (
	"fmt"
	"io"
	"strconv"

	"github.com/fieldveil/fieldveil/internal/envelope"
)

// Verbs such as %s follow pointers that %v does not, down to subkeys and to
// what a KMS client holds. So every type that leads to a key says only which
// one it is, whatever the verb.

// Format writes a name and nothing of what the Cache holds.
func (c *Cache) Format(f fmt.State, _ rune) { show(f, "datakey.Cache") }

// Format writes the names of the scope.
func (s *Scope) Format(f fmt.State, _ rune) {
	if s == nil {
		show(f, "datakey.Scope(nil)")
		return
	}
	show(f, "datakey.Scope("+strconv.Quote(s.spec.Name)+", "+strconv.Quote(s.spec.Tenant)+")")
}

// Format writes the id of the data key, if there is one.
func (w *Sealer) Format(f fmt.State, _ rune) {
	if w == nil || w.key == nil {
		show(f, "datakey.Sealer(no key)")
		return
	}
	show(f, "datakey.Sealer("+w.key.id.String()+")")
}

// Format writes the id of the data key.
func (o *Opener) Format(f fmt.State, _ rune) {
	if o == nil {
		show(f, "datakey.Opener(nil)")
		return
	}
	show(f, "datakey.Opener("+o.id.String()+")")
}

// Format writes the id of the data key.
func (h *Head) Format(f fmt.State, _ rune) {
	if h == nil {
		show(f, "datakey.Head(nil)")
		return
	}
	show(f, "datakey.Head("+ID(h.header[2:2+envelope.KeyIDSize]).String()+")")
}

// Format writes the names of the domain.
func (d *Domain) Format(f fmt.State, _ rune) {
	if d == nil {
		show(f, "datakey.Domain(nil)")
		return
	}
	show(f, "datakey.Domain("+strconv.Quote(d.spec.Name)+", "+strconv.Quote(d.spec.Tenant)+")")
}

// Format writes the id of the data key.
func (w *DomainSealer) Format(f fmt.State, _ rune) {
	if w == nil {
		show(f, "datakey.DomainSealer(nil)")
		return
	}
	show(f, "datakey.DomainSealer("+w.KeyID().String()+")")
}

// Format writes the id of the data key that seals.
func (k *VaultKey) Format(f fmt.State, _ rune) {
	if k == nil || k.last == nil {
		show(f, "datakey.VaultKey(nil)")
		return
	}
	show(f, "datakey.VaultKey("+k.last.id.String()+")")
}

// Format writes the id of the data key.
func (v *domainVersion) Format(f fmt.State, _ rune) {
	if v == nil {
		show(f, "datakey.domainVersion(nil)")
		return
	}
	show(f, "datakey.domainVersion("+v.id.String()+")")
}

// Format writes a name and nothing of what Persons holds.
func (p *Persons) Format(f fmt.State, _ rune) { show(f, "datakey.Persons") }

// Format writes the tenant.
func (s *PersonScope) Format(f fmt.State, _ rune) {
	if s == nil {
		show(f, "datakey.PersonScope(nil)")
		return
	}
	show(f, "datakey.PersonScope("+strconv.Quote(s.spec.Tenant)+")")
}

// Format writes the id of the data key, if there is one.
func (w *PersonSealer) Format(f fmt.State, _ rune) {
	if w == nil || w.key == nil {
		show(f, "datakey.PersonSealer(no key)")
		return
	}
	show(f, "datakey.PersonSealer("+w.key.opener.id.String()+")")
}

func show(f fmt.State, s string) { _, _ = io.WriteString(f, s) }
