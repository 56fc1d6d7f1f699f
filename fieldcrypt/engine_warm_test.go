package fieldcrypt_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/kmstest"
)

const warmPolicy = "version: 1\ntenant: {%s}\nkeys: {a: {kek: \"fake:a\"}, b: {kek: \"fake:b\"}}\n" +
	"rules: [{tag: PII, action: encrypt, key: a}, {tag: PCI, action: encrypt, key: b}]\n"

func warmEngine(t testing.TB, fake kms.Wrapper, tenant string) (*fieldcrypt.Engine, *datakey.Cache) {
	t.Helper()
	policy, err := fieldcrypt.ParsePolicy(fmt.Appendf(nil, warmPolicy, tenant))
	if err != nil {
		t.Fatal(err)
	}
	keys, err := datakey.New(fake, datakey.WithTenantMetrics())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(keys.Close)
	e, err := fieldcrypt.New(policy, keys)
	if err != nil {
		t.Fatal(err)
	}
	return e, keys
}

func TestAnEngineWarmsTheKeysOfThePolicyForTheTenantsItIsGiven(t *testing.T) {
	tests := []struct {
		name, tenant string
		tenants      []string
		want         []string // key and tenant
		code         fieldcrypt.Code
	}{
		{name: "the fixed tenant", tenant: "from: fixed:acme", want: []string{"a acme", "b acme"}},
		{name: "those that are named", tenant: "from: header:t, required: true", tenants: []string{"x", "y"}, want: []string{"a x", "a y", "b x", "b y"}},
		{name: "nobody in particular where a tenant is not required", tenant: "from: header:t, required: false", want: []string{"a ", "b "}},
		{name: "an error where the policy cannot know", tenant: "from: header:t, required: true", code: fieldcrypt.CodeTenant},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			fake := kmstest.NewFake()
			e, keys := warmEngine(t, fake, tt.tenant)
			err := e.Warm(t.Context(), tt.tenants...)
			if tt.code != "" {
				if f, ok := errors.AsType[*fieldcrypt.Error](err); !ok || f.Code != tt.code {
					t.Errorf("err = %v", err)
				}
				return
			}
			if err != nil || e.Ready() != nil {
				t.Fatalf("Warm: %v, Ready: %v", err, e.Ready())
			}
			var got []string
			for _, k := range keys.Stats().Keys {
				if k.Warm == 1 {
					got = append(got, k.Key+" "+k.Tenant)
				}
			}
			if fmt.Sprint(got) != fmt.Sprint(tt.want) || fake.Calls(kmstest.OpGenerate) != len(tt.want) {
				t.Errorf("warm are %q after %d calls, want %q", got, fake.Calls(kmstest.OpGenerate), tt.want)
			}
		})
	}
}

func TestAnEngineThatCannotBeWarmedSaysWhetherToWait(t *testing.T) {
	for class, want := range map[error]fieldcrypt.Code{
		kms.ErrUnavailable: fieldcrypt.CodeKeyUnavailable, kms.ErrDenied: fieldcrypt.CodeKeyUnusable,
	} {
		fake := kmstest.NewFake()
		fake.Fail(class)
		e, _ := warmEngine(t, fake, "from: fixed:acme")
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		err := e.Warm(ctx)
		cancel()
		f, ok := errors.AsType[*fieldcrypt.Error](err)
		if !ok || f.Code != want || f.Op != "warm" || !errors.Is(err, class) && want == fieldcrypt.CodeKeyUnusable || e.Ready() == nil {
			t.Errorf("%v: Warm: %v, Ready: %v", class, err, e.Ready())
		}
	}
}

func ExampleEngine_Warm() {
	policy, err := fieldcrypt.ParsePolicy([]byte("version: 1\nkeys: {pii: {kek: \"fake:pii\"}}\nrules: [{tag: PII, action: encrypt, key: pii}]\n"))
	if err != nil {
		fmt.Println(err)
		return
	}
	keys, err := datakey.New(kmstest.NewFake())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer keys.Close()
	engine, err := fieldcrypt.New(policy, keys)
	if err != nil {
		fmt.Println(err)
		return
	}
	// At start, with a bound: a KMS that is away must not keep the process from
	// starting. It is unready then, and becomes ready by itself.
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := engine.Warm(ctx); err != nil {
		fmt.Println(err)
	}
	fmt.Println("ready:", engine.Ready() == nil)
	// Output: ready: true
}

func ExampleEngine_Ready() {
	policy, err := fieldcrypt.ParsePolicy([]byte("version: 1\nkeys: {pii: {kek: \"fake:pii\"}}\nrules: [{tag: PII, action: encrypt, key: pii}]\n"))
	if err != nil {
		fmt.Println(err)
		return
	}
	fake := kmstest.NewFake()
	fake.Fail(kms.ErrDenied)
	keys, err := datakey.New(fake)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer keys.Close()
	engine, err := fieldcrypt.New(policy, keys)
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = engine.Warm(context.Background())
	fmt.Println(engine.Ready())
	// Output: datakey: generate key "pii" under fake:pii: data key unusable: access to the KEK denied
}
