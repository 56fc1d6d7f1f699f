package serde

// record encodes an object. Members in the order of the schema, which is what most
// encoders write, are taken as they come. From the first that is not, all are
// looked for before the next is taken.
func (w *avroWalker) record(n *avroNode) *Error {
	w.at++
	taken := 0
	for w.next() != '}' {
		if w.src[w.at] == ',' {
			w.at++
			w.next()
		}
		before := w.at
		name := w.text()
		if taken == len(n.fields) || string(name) != n.fields[taken].name {
			w.at = before
			return w.unordered(n, taken)
		}
		w.colon()
		if err := w.value(n.fields[taken].of); err != nil {
			return err.under("/" + n.fields[taken].name)
		}
		taken++
	}
	w.at++
	for ; taken < len(n.fields); taken++ {
		if err := w.missing(&n.fields[taken]); err != nil {
			return err
		}
	}
	return nil
}

// unordered encodes the fields behind those that are taken, with the position at
// the first member that is left.
func (w *avroWalker) unordered(n *avroNode, taken int) *Error {
	base := len(w.members)
	for range n.fields {
		w.members = append(w.members, -1)
	}
	for w.next() != '}' {
		if w.src[w.at] == ',' {
			w.at++
			w.next()
		}
		i, ok := n.index[string(w.text())]
		if !ok {
			// Its name may be data, such as an address that was meant to be a value.
			return unfit("a member that the schema does not have").under("/{}")
		}
		w.colon()
		w.next()
		w.members[base+i] = w.at
		w.skip()
	}
	w.at++
	end := w.at
	for i := taken; i < len(n.fields); i++ {
		f := &n.fields[i]
		if w.at = w.members[base+i]; w.at < 0 {
			if err := w.missing(f); err != nil {
				return err
			}
			continue
		}
		if err := w.value(f.of); err != nil {
			return err.under("/" + f.name)
		}
	}
	w.at = end
	w.members = w.members[:base]
	return nil
}

func (w *avroWalker) missing(f *avroField) *Error {
	if !f.optional {
		return unfit("missing field").under("/" + f.name)
	}
	w.out = append(w.out, f.fill...)
	return nil
}
