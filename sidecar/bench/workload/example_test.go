package workload_test

import (
	"fmt"

	"github.com/fieldveil/fieldveil/sidecar/bench/workload"
)

func ExampleCases() {
	for _, c := range workload.Cases() {
		fmt.Println(c.Name, len(c.Record), len(c.Tagged))
	}
	// Output:
	// avro20one 626 1
	// avro20 626 5
	// avro10k 10240 60
	// json20 1024 5
	// proto20 680 5
}
