package input_test

import (
	"context"
	"fmt"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/localkms"
	"github.com/fieldveil/fieldveil/sidecar/bench/input"
)

// A built-in workload has all that a run needs: records, schema, policy and keys.
func ExampleBuiltin() {
	set, err := input.Builtin("payments")
	if err != nil {
		fmt.Println(err)
		return
	}
	in := set.Describe()
	fmt.Println(in.Name, in.Format, in.Records, in.Synthetic)
	fmt.Println(len(set.Source()), "schema under", set.Subject)
	// Output:
	// payments avro 256 true
	// 1 schema under payments-value
}

// Records of the user, in JSON, become what his producer sends. A measurement does
// not need his key management service: the policy is put under a KEK of this process.
func ExampleLoad() {
	ctx := context.Background()
	set, err := input.Load(ctx, input.Options{
		Policy: "testdata/policy.yaml", Topic: "signups", Schema: "testdata/signup.avsc", Records: "testdata/signups.jsonl",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := set.Rekey(ctx, kms.Mux{localkms.Scheme: localkms.NewInMemory()}, input.BuiltinKEK); err != nil {
		fmt.Println(err)
		return
	}
	in := set.Describe()
	fmt.Println(in.Records, "records,", in.Protected, "values of a record are protected")
	for _, sealed := range set.Tagged {
		fmt.Printf("%q\n", sealed)
	}
	// Output:
	// 2 records, 1.5 values of a record are protected
	// ["Octavian Mapleworth" "octavian.mapleworth@mail.example.com"]
	// ["Perpetua Fernhead"]
}

// Without records of his own, a user gets some that follow his schema.
func ExampleLoad_madeUp() {
	set, err := input.Load(context.Background(), input.Options{
		Policy: "testdata/policy.yaml", Topic: "signups", Schema: "testdata/signup.avsc", Count: 3, Seed: 7,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, sealed := range set.Tagged {
		fmt.Printf("%q\n", sealed)
	}
	// Output:
	// ["Quentin Frosthollow" "emeka.hollowstead46@mail.example.net"]
	// ["Thaddeus Fernbrook" "fitzgerald.moorholt19@mail.example.com"]
	// ["Ignatius Thornhollow" "yaroslava.ashhollow47@post.example.org"]
}
