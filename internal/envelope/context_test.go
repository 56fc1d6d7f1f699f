package envelope

import (
	"encoding/hex"
	"errors"
	"reflect"
	"strings"
	"testing"
)

func place() Context {
	return Context{
		Tenant: "acme", Dataset: "customers", Schema: "com.example.Customer",
		Path: "/email", ValueType: "string", Purpose: PurposeEncrypt,
	}
}

func id(t *testing.T, c Context) ContextID {
	t.Helper()
	id, err := c.ID()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// The ids were computed outside Go, from section 3 of docs/format.md.
func TestContextIDsAreThoseOfTheSpecification(t *testing.T) {
	tests := []struct {
		name, want string
		ctx        Context
	}{
		{name: "a field", want: "132d9d6d3a56ba74", ctx: place()},
		{name: "no tenant", want: "02d530277d8e1320", ctx: func() Context { c := place(); c.Tenant = ""; return c }()},
		{name: "names outside ASCII count bytes", want: "11c605fe383dd76b", ctx: Context{
			Dataset: "účty", Schema: "x.Ü", Path: "/labels/{}", ValueType: "bytes", Purpose: "encrypt",
		}},
		{name: "nothing but empty parts", want: "ef7cccc51946c383", ctx: Context{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := id(t, tt.ctx)
			if hex.EncodeToString(got[:]) != tt.want {
				t.Errorf("id = %x, want %s", got, tt.want)
			}
		})
	}
}

// parts returns the six parts of c, to be changed in place.
func parts(c *Context) []*string {
	return []*string{&c.Tenant, &c.Dataset, &c.Schema, &c.Path, &c.ValueType, &c.Purpose}
}

func TestEveryPartIsBound(t *testing.T) {
	was := id(t, place())
	for i := range parts(new(Context)) {
		for _, change := range []func(string) string{
			func(string) string { return "" },
			func(s string) string { return s + "x" },
			func(s string) string { return s[:len(s)-1] },
			strings.ToUpper,
			func(s string) string { return s + "\x00" },
		} {
			c := place()
			p := parts(&c)[i]
			*p = change(*p)
			if id(t, c) == was {
				t.Errorf("part %d changed to %q, and the id stayed", i, *p)
			}
		}
	}
}

func TestBytesThatMoveBetweenPartsGiveAnotherID(t *testing.T) {
	seen := map[ContextID]Context{}
	add := func(c Context) {
		i := id(t, c)
		if other, ok := seen[i]; ok && other != c {
			t.Errorf("%+v and %+v have one id", c, other)
		}
		seen[i] = c
	}
	for i := range 5 {
		c := place()
		p := parts(&c)
		left, right := p[i], p[i+1]
		both := *left + *right
		for cut := range len(both) + 1 { // every border between two neighbours
			*left, *right = both[:cut], both[cut:]
			add(c)
		}
		c = place()
		p = parts(&c)
		*p[i], *p[i+1] = *p[i+1], *p[i]
		add(c)
	}
	// A part that holds the encoding of the parts behind it.
	add(Context{Tenant: "a\x00\x01b", Dataset: "c"})
	add(Context{Tenant: "a", Dataset: "b", Schema: "c"})
	add(Context{Tenant: "a\x00\x01b\x00\x01c"})
	if len(seen) < 100 {
		t.Errorf("only %d contexts were compared", len(seen))
	}
}

// FV-20.
func TestContextsAreLimitedTo4096Bytes(t *testing.T) {
	fixed := len(contextLabel) + 1 + 6*2 // label, kind and lengths
	tests := []struct {
		name string
		n    int
		ok   bool
	}{
		{name: "one byte below the limit", n: 4096 - fixed - 1, ok: true},
		{name: "at the limit", n: 4096 - fixed, ok: true},
		{name: "one byte above the limit", n: 4096 - fixed + 1},
		{name: "a part of the limit", n: 4096},
		{name: "a part that its length can just hold", n: 65_535},
		{name: "a part whose length would come out as 0", n: 65_536},
		{name: "a part whose length would come out as 6", n: 65_542},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for i := range parts(new(Context)) {
				var c Context
				*parts(&c)[i] = strings.Repeat("p", tt.n)
				got, err := c.Append([]byte("kept"))
				_, idErr := c.ID()
				if tt.ok {
					if err != nil || idErr != nil || len(got) != 4+fixed+tt.n {
						t.Errorf("part %d: %d bytes, %v, %v", i, len(got), err, idErr)
					}
					continue
				}
				if !errors.Is(err, ErrContextSize) || !errors.Is(idErr, ErrContextSize) || string(got) != "kept" {
					t.Errorf("part %d: %d bytes, %v, %v", i, len(got), err, idErr)
				}
			}
		})
	}
	t.Run("parts that are too long together", func(t *testing.T) {
		half := strings.Repeat("p", 2048)
		if _, err := (Context{Dataset: half, Schema: half}).ID(); !errors.Is(err, ErrContextSize) {
			t.Errorf("err = %v", err)
		}
	})
}

// FV-21: a context has no room for what changes while the value stays. A new
// part would also give every value written so far another id.
func TestAContextHasTheSixPartsOfTheSpecificationAndNoOther(t *testing.T) {
	want := []string{"Tenant", "Dataset", "Schema", "Path", "ValueType", "Purpose"}
	var got []string
	for field := range reflect.TypeFor[Context]().Fields() {
		got = append(got, field.Name)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("parts %v, want %v", got, want)
	}
}

func domainPlace() DomainContext {
	return DomainContext{Tenant: "acme", Domain: "customer-email", ValueType: "string", Purpose: PurposeDeterministic}
}

func domainParts(c *DomainContext) []*string {
	return []*string{&c.Tenant, &c.Domain, &c.ValueType, &c.Purpose}
}

// FV-24: fields of one domain share an id, and no other context has it.
func TestAJoinDomainHasAnIDOfItsOwn(t *testing.T) {
	domainID := func(c DomainContext) ContextID {
		t.Helper()
		id, err := c.ID()
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	was := domainID(domainPlace())
	if again := domainID(domainPlace()); again != was {
		t.Errorf("%x and %x", was, again)
	}
	seen := map[ContextID]any{was: domainPlace()}
	for i := range domainParts(new(DomainContext)) {
		for _, change := range []string{"", "x", "acme\x00", "STRING"} {
			c := domainPlace()
			*domainParts(&c)[i] = change
			if other, ok := seen[domainID(c)]; ok {
				t.Errorf("%+v and %+v have one id", c, other)
			}
			seen[domainID(c)] = c
		}
	}
	// Borders between the parts, and contexts of fields, encrypted or not.
	for _, c := range []DomainContext{
		{Tenant: "acm", Domain: "ecustomer-email", ValueType: "string", Purpose: "deterministic"},
		{Tenant: "acmecustomer-email", ValueType: "string", Purpose: "deterministic"},
		{Tenant: "acme", Domain: "customer-emailstring", Purpose: "deterministic"},
	} {
		if other, ok := seen[domainID(c)]; ok {
			t.Errorf("%+v and %+v have one id", c, other)
		}
	}
	for _, c := range []Context{
		place(),
		func() Context { c := place(); c.Purpose = PurposeDeterministic; return c }(),
		{Tenant: "acme", Dataset: "customer-email", ValueType: "string", Purpose: PurposeDeterministic},
		{Tenant: "acme", Dataset: "customer-email", Schema: "string", Path: PurposeDeterministic},
	} {
		if other, ok := seen[id(t, c)]; ok {
			t.Errorf("%+v and %+v have one id", c, other)
		}
		seen[id(t, c)] = c
	}
}

// FV-20.
func TestJoinDomainsAreLimitedTo4096Bytes(t *testing.T) {
	fixed := len(contextLabel) + 1 + 4*2
	for i := range domainParts(new(DomainContext)) {
		for n, ok := range map[int]bool{4096 - fixed: true, 4096 - fixed + 1: false, 65_536: false, 65_542: false} {
			var c DomainContext
			*domainParts(&c)[i] = strings.Repeat("p", n)
			got, err := c.Append([]byte("kept"))
			_, idErr := c.ID()
			if ok {
				if err != nil || idErr != nil || len(got) != 4+fixed+n {
					t.Errorf("part %d of %d: %d bytes, %v, %v", i, n, len(got), err, idErr)
				}
				continue
			}
			if !errors.Is(err, ErrContextSize) || !errors.Is(idErr, ErrContextSize) || string(got) != "kept" {
				t.Errorf("part %d of %d: %d bytes, %v, %v", i, n, len(got), err, idErr)
			}
		}
	}
}

// FV-21.
func TestAJoinDomainHasTheFourPartsOfTheSpecificationAndNoOther(t *testing.T) {
	want := []string{"Tenant", "Domain", "ValueType", "Purpose"}
	var got []string
	for field := range reflect.TypeFor[DomainContext]().Fields() {
		got = append(got, field.Name)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("parts %v, want %v", got, want)
	}
}
