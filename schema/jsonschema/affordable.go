package jsonschema

import (
	"container/heap"
	"errors"
	"math"

	js "github.com/santhosh-tekuri/jsonschema/v6"
)

// effort knows what the validator has to do for a record. It tries a subschema as
// often as there are ways that lead to it, which in a recursive schema can double
// with every level of a record.
type effort struct {
	// rank orders the subschemas: each comes before those that it applies to the
	// same value.
	rank map[*js.Schema]int
	// ways are those through the schema, in which nothing is recursive. Zero when
	// they are not known, or too many.
	ways int
}

const (
	minEffort = 1 << 16 // that every record may take
	perByte   = 16      // and for each of its bytes
	maxWays   = 1 << 12 // that need no count for each record
)

var errCircle = errors.New("jsonschema: a subschema refers to itself without going inside of a value")

// newEffort orders the subschemas of a schema. It fails when one applies to a
// value because it applies to it.
func newEffort(root *js.Schema) (*effort, error) {
	e := &effort{rank: map[*js.Schema]int{}}
	var all []*js.Schema
	seen := map[*js.Schema]bool{root: true}
	open := []*js.Schema{root}
	for len(open) > 0 {
		c := open[len(open)-1]
		open = open[:len(open)-1]
		all = append(all, c)
		for _, s := range inner(c) {
			if s != nil && !seen[s] {
				seen[s] = true
				open = append(open, s)
			}
		}
	}
	last, ok := order(all, onSame)
	if !ok {
		return nil, errCircle
	}
	for i, c := range last {
		e.rank[c] = len(last) - i
	}
	if last, ok := order(all, inner); ok {
		ways := make(map[*js.Schema]int, len(last))
		for _, c := range last {
			n := cost(c)
			for _, s := range inner(c) {
				n = min(n+ways[s], maxWays+1)
			}
			ways[c] = n
		}
		if n := ways[root]; n <= maxWays {
			e.ways = n
		}
	}
	return e, nil
}

// order lists the subschemas, each behind those that next gives for it. It is
// false when there is a circle.
func order(all []*js.Schema, next func(*js.Schema) []*js.Schema) ([]*js.Schema, bool) {
	const active, done = 1, 2
	state := make(map[*js.Schema]uint8, len(all))
	out := make([]*js.Schema, 0, len(all))
	type frame struct {
		c    *js.Schema
		rest []*js.Schema
	}
	for _, c := range all {
		if state[c] == done {
			continue
		}
		state[c] = active
		stack := []frame{{c, next(c)}}
		for len(stack) > 0 {
			top := &stack[len(stack)-1]
			if len(top.rest) == 0 {
				state[top.c] = done
				out = append(out, top.c)
				stack = stack[:len(stack)-1]
				continue
			}
			s := top.rest[0]
			top.rest = top.rest[1:]
			switch {
			case s == nil || state[s] == done:
			case state[s] == active:
				return nil, false
			default:
				state[s] = active
				stack = append(stack, frame{s, next(s)})
			}
		}
	}
	return out, true
}

// onSame returns the subschemas that c applies to the same value.
func onSame(c *js.Schema) []*js.Schema {
	out := []*js.Schema{c.Ref, c.RecursiveRef, c.Not, c.If, c.Then, c.Else}
	if c.DynamicRef != nil {
		out = append(out, c.DynamicRef.Ref)
	}
	for _, list := range [][]*js.Schema{c.AllOf, c.AnyOf, c.OneOf} {
		out = append(out, list...)
	}
	for _, s := range c.DependentSchemas {
		out = append(out, s)
	}
	for _, s := range c.Dependencies {
		if s, ok := s.(*js.Schema); ok {
			out = append(out, s)
		}
	}
	return out
}

// cost is what c itself takes, for one value.
func cost(c *js.Schema) int {
	n := 1
	if c.Enum != nil {
		n += len(c.Enum.Values) / 8
	}
	return n
}

// affordable tells whether the validator gets by with an effort that the size of
// the record allows.
func (e *effort) affordable(root *js.Schema, v any, size int) bool {
	if e.ways > 0 {
		// There are no more values than bytes, and most ways lead to few of them.
		return true
	}
	m := &meter{effort: e, left: minEffort + perByte*size}
	m.value(v, map[*js.Schema]int{root: 1})
	return m.left >= 0
}

// meter counts the steps for a record.
type meter struct {
	*effort
	left int
}

// queue holds subschemas by rank, the first on top.
type queue struct {
	*effort
	list []*js.Schema
}

func (q *queue) Len() int           { return len(q.list) }
func (q *queue) Less(i, j int) bool { return q.rank[q.list[i]] < q.rank[q.list[j]] }
func (q *queue) Swap(i, j int)      { q.list[i], q.list[j] = q.list[j], q.list[i] }
func (q *queue) Push(x any) {
	if c, ok := x.(*js.Schema); ok {
		q.list = append(q.list, c)
	}
}

func (q *queue) Pop() any {
	last := q.list[len(q.list)-1]
	q.list = q.list[:len(q.list)-1]
	return last
}

// spend takes n times what a step costs.
func (m *meter) spend(n, each int) bool {
	if n > math.MaxInt32 || m.left < 0 {
		m.left = -1
		return false
	}
	m.left -= n * each
	return m.left >= 0
}

// value counts what a value takes to which each subschema is applied that often.
func (m *meter) value(v any, often map[*js.Schema]int) {
	q := &queue{effort: m.effort}
	for c := range often {
		q.list = append(q.list, c)
	}
	heap.Init(q)
	add := func(to map[*js.Schema]int, c *js.Schema, n int, queue *queue) {
		if c == nil {
			return
		}
		if to[c] == 0 && queue != nil {
			heap.Push(queue, c)
		}
		to[c] += n
	}
	members := map[string]map[*js.Schema]int{}
	items := map[int]map[*js.Schema]int{}
	for q.Len() > 0 {
		c, ok := heap.Pop(q).(*js.Schema)
		if !ok {
			return
		}
		n := often[c]
		if !m.spend(n, cost(c)) {
			return
		}
		for _, s := range onSame(c) {
			add(often, s, n, q)
		}
		switch v := v.(type) {
		case map[string]any:
			if !m.spend(n, len(v)*(1+len(c.PatternProperties))) {
				return
			}
			for name := range v {
				for _, s := range memberSchemas(c, name) {
					if members[name] == nil {
						members[name] = map[*js.Schema]int{}
					}
					add(members[name], s, n, nil)
				}
				if c.PropertyNames != nil {
					m.value(name, map[*js.Schema]int{c.PropertyNames: n})
				}
			}
		case []any:
			if !m.spend(n, len(v)) {
				return
			}
			for i := range v {
				for _, s := range itemSchemas(c, i) {
					if items[i] == nil {
						items[i] = map[*js.Schema]int{}
					}
					add(items[i], s, n, nil)
				}
			}
		}
	}
	switch v := v.(type) {
	case map[string]any:
		for name, often := range members {
			m.value(v[name], often)
		}
	case []any:
		for i, often := range items {
			m.value(v[i], often)
		}
	}
}

func memberSchemas(c *js.Schema, name string) []*js.Schema {
	var out []*js.Schema
	if s := c.Properties[name]; s != nil {
		out = append(out, s)
	}
	for re, s := range c.PatternProperties {
		if re.MatchString(name) {
			out = append(out, s)
		}
	}
	if s, ok := c.AdditionalProperties.(*js.Schema); ok && len(out) == 0 {
		out = append(out, s)
	}
	return append(out, c.UnevaluatedProperties)
}

func itemSchemas(c *js.Schema, i int) []*js.Schema {
	out := []*js.Schema{c.Contains, c.UnevaluatedItems}
	switch items := c.Items.(type) {
	case *js.Schema:
		out = append(out, items)
	case []*js.Schema:
		if i < len(items) {
			out = append(out, items[i])
		} else if s, ok := c.AdditionalItems.(*js.Schema); ok {
			out = append(out, s)
		}
	}
	if i < len(c.PrefixItems) {
		return append(out, c.PrefixItems[i])
	}
	return append(out, c.Items2020)
}
