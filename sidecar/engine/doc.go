// Package engine makes the engine of the sidecar from its configuration, and
// fits it to the pipeline.
//
// A [Base] holds what outlives a change of the policy: services, stores, vaults,
// registries, and the data keys for as long as the policy describes them alike.
// An [Engine] is one policy on it, immutable. Whoever changes the policy makes a
// new Engine on the same Base, lets records go to it, and closes the old one.
package engine
