// Package product makes lanes of this project's own work and of the floor, for
// the programs that compare rivals with them.
package product

import (
	"bytes"
	"context"
	"fmt"

	"github.com/fieldveil/fieldveil/benchmarks/compare/row"
	"github.com/fieldveil/fieldveil/benchmarks/ours"
	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/sidecar/bench/workload"
)

// Lane returns the lane that protects the record of a case into one buffer, as
// its schema's tags say. It has checked that what comes out hides the tagged
// values and opens to the record.
func Lane(c workload.Case) (*row.Lane, error) {
	plan, err := ours.Plan(c, "gcm")
	if err != nil {
		return nil, err
	}
	return lane(plan, c, "fieldveil, record to protected record")
}

// LanePaths does the same for JSON without a schema: the policy names paths.
func LanePaths(c workload.Case, paths []string) (*row.Lane, error) {
	plan, err := ours.PlanPaths(paths)
	if err != nil {
		return nil, err
	}
	return lane(plan, c, "fieldveil, document to protected document")
}

func lane(plan *fieldcrypt.Plan, c workload.Case, name string) (*row.Lane, error) {
	if err := Check(plan, c); err != nil {
		return nil, err
	}
	return row.NewLane(name, ours.Protect(plan, c)), nil
}

// Check tells whether the plan hides the tagged values of the record, and gives
// back the record.
func Check(plan *fieldcrypt.Plan, c workload.Case) error {
	ctx := context.Background()
	sealed, keys, err := plan.AppendProtected(ctx, "", nil, c.Record, nil)
	if err != nil {
		return err
	}
	if err := Hidden(sealed, c.Tagged); err != nil {
		return fmt.Errorf("product: %w", err)
	}
	opened, err := plan.AppendRevealed(ctx, "", nil, sealed, keys)
	if err != nil {
		return err
	}
	if !bytes.Equal(opened, c.Record) {
		return fmt.Errorf("product: %s comes back as another record", c.Name)
	}
	return nil
}

// Hidden fails when one of the plaintexts is found in what should hide them.
// Every rival's output goes through it: one that is measured doing nothing
// would look fast.
func Hidden(out []byte, plaintexts [][]byte) error {
	if len(out) == 0 {
		return fmt.Errorf("there is no output")
	}
	for i, p := range plaintexts {
		if bytes.Contains(out, p) {
			return fmt.Errorf("tagged value %d of %d is in the output as it was", i+1, len(plaintexts))
		}
	}
	return nil
}

// Floor returns the lane of the same seals and nothing else.
func Floor(c workload.Case) (*row.Lane, error) {
	do, err := ours.Floor(c.Tagged)
	if err != nil {
		return nil, err
	}
	return row.NewLane("the same AES-256-GCM seals alone", do), nil
}
