// Package scenario holds what the benchmark harness runs: each scenario is a load
// on one surface of the product.
package scenario
