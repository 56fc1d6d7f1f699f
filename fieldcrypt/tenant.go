package fieldcrypt

import (
	"context"
	"errors"
)

var (
	errTwoTenants  = errors.New("the record names two tenants")
	errTenantFound = errors.New("the tenant is found")
)

// tenantIn returns the tenant that a record names in its value. It reads no
// further than it must: that the record names no other one is found when it is
// written.
func (p *Plan) tenantIn(value []byte, required bool) (string, error) {
	var v tenantVisitor
	_, err := p.tenantOf.Rewrite(nil, value, &v)
	if err != nil && !errors.Is(err, errTenantFound) {
		return "", p.recordError(opProtect, err)
	}
	if v.name == "" && required {
		return "", errTenant
	}
	return v.name, nil
}

// A tenantVisitor keeps the first value that it sees.
type tenantVisitor struct{ name string }

func (v *tenantVisitor) Visit(_ int, dst, value []byte) ([]byte, error) {
	v.name = string(value)
	return dst, errTenantFound
}

// refusal returns the error for a record that the guard of tenants did not let
// pass. A caller that gave up was not refused.
func refusal(op, topic string, id int, err error) *Error {
	code := CodeTenantDenied
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		code = CodeCanceled
	}
	return &Error{Op: op, Topic: topic, SchemaID: id, Code: code, Err: err}
}
