// Package layertest holds no code: its tests read the sources of all modules of
// the repository and fail where a package imports what lies above it, or where
// a requirement of docs/format.md has no test.
//
// docs/layout.md says what the layers are for. A new package is added to the
// table in layers_test.go.
package layertest
