package fieldcrypt

import (
	"reflect"
	"slices"
)

// atLeast tells whether the action to, of the new policy, protects at least as
// much as from, of the old one.
//
// What counts is what a reader without keys learns, and for what is encrypted or
// hashed under whose key it is. From most to least: reject, drop, a constant,
// encryption (random, or under the key of a person), hash, then deterministic
// encryption, then computed tokens and what preserves the form; random tokens of
// a vault stand beside deterministic encryption. Below encryption everything
// shows which values are equal, and so does not replace a mask, a coarser value
// or a moved time, which show something else. What is not in this order is
// comparable only when it is equal.
func (w *weakening) atLeast(to, from *actionSpec) bool {
	if to.whole != from.whole && !to.whole && from.kind != actReject && to.kind != actReject {
		// Its parts show how many there were, and which were null.
		return false
	}
	switch {
	case to.kind == actReject:
		return true
	case from.kind == actReject:
		return false
	case to.kind == actDrop:
		return true
	case from.kind == actDrop:
		return false
	case to.kind == actConstant:
		return true
	case from.kind == actConstant:
		return false
	}
	if usesKey(to) && usesKey(from) && !w.sameKey(from, to) {
		return false
	}
	if equalActions(to, from) {
		return true
	}
	switch to.kind {
	case actEncrypt:
		return w.encryptAtLeast(to, from)
	case actHash:
		// Of an action that shows which values are equal, in no more places.
		return from.kind == actUnsafe || showsEqual(from) && noWider(to, from)
	case actTokenize:
		if to.vault == "" {
			return computed(from) && keepsNoMore(to, from) && noWider(to, from)
		}
		return from.kind == actUnsafe || (computed(from) || from.kind == actTokenize) && keepsNoMore(to, from) && noWider(to, from)
	case actMask:
		return from.kind == actMask && masksNoLess(to, from)
	case actGeneralize:
		return from.kind == actGeneralize && coarser(to, from)
	case actShift:
		return from.kind == actShift && to.by == from.by && to.join == from.join && to.shift.layout == from.shift.layout && to.shift.days >= from.shift.days
	default:
		// A hash without a key is below all others.
		return to.kind == actUnsafe && from.kind == actUnsafe
	}
}

func (w *weakening) encryptAtLeast(to, from *actionSpec) bool {
	switch to.mode {
	case modeRandom:
		// Who is forgotten by his key must be able to be forgotten tomorrow.
		return from.kind != actEncrypt || from.mode != modePerson
	case modePerson:
		return from.kind != actEncrypt || from.mode != modeRandom && (from.mode != modePerson || from.by == to.by)
	case modeDeterministic:
		return from.kind == actUnsafe ||
			(computed(from) || from.kind == actEncrypt && from.mode == modeDeterministic) && noWider(to, from)
	default:
		return computed(from) && keepsNoMore(to, from) && noWider(to, from)
	}
}

// usesKey tells actions whose key a policy names. Keys of persons have no name.
func usesKey(a *actionSpec) bool {
	return a.kind == actHash || a.kind == actTokenize || a.kind == actShift || a.kind == actEncrypt && a.mode != modePerson
}

// showsEqual tells actions after which equal values are equal.
func showsEqual(a *actionSpec) bool {
	return a.kind == actHash || a.kind == actUnsafe || a.kind == actTokenize ||
		a.kind == actEncrypt && (a.mode == modeDeterministic || a.mode == modeFormat)
}

// computed tells FF1, whatever the policy calls it.
func computed(a *actionSpec) bool {
	return a.kind == actEncrypt && a.mode == modeFormat || a.kind == actTokenize && a.vault == ""
}

// noWider tells whether equal values are equal in no more places than before. To
// leave a domain is narrower; another domain may be any.
func noWider(to, from *actionSpec) bool { return to.join == "" || to.join == from.join }

// keepsNoMore tells whether a token shows no more of its value. What is not FF1
// shows nothing of it, so it has nothing to compare with a token that does.
func keepsNoMore(to, from *actionSpec) bool {
	a, b := &to.ff1, &from.ff1
	return a.KeepFirst <= b.KeepFirst && a.KeepLast <= b.KeepLast &&
		(to.vault != "" || a.Separators == b.Separators && reflect.DeepEqual(a.Alphabet, b.Alphabet) || from.vault != "")
}

// masksNoLess tells whether a mask keeps no more than another that keeps.
func masksNoLess(to, from *actionSpec) bool {
	a, b := &to.mask, &from.mask
	return a.fill != 0 && b.fill != 0 && a.separators == b.separators && a.keepFirst <= b.keepFirst && a.keepLast <= b.keepLast
}

// coarser tells whether a time is cut to a larger unit than before.
func coarser(to, from *actionSpec) bool {
	units := []string{"minute", "hour", "day", "month", "year", "birth-year"}
	a, b := slices.Index(units, to.general.to), slices.Index(units, from.general.to)
	return a >= 0 && b >= 0 && a >= b && to.general.layout == from.general.layout
}

// equalActions tells whether two actions do the same under the same key, or under
// the keys of one name. Reasons do nothing. What becomes of values that do not fit
// is a loss or a refusal, and neither is shown.
func equalActions(a, b *actionSpec) bool {
	x, y := *a, *b
	if (x.mask.match == nil) != (y.mask.match == nil) || x.mask.match != nil && x.mask.match.String() != y.mask.match.String() {
		return false
	}
	x.mask.match, y.mask.match = nil, nil
	x.reason, y.reason = "", ""
	x.key, y.key = "", ""
	x.redact, y.redact = false, false
	x.whole, y.whole = false, false
	return reflect.DeepEqual(x, y)
}
