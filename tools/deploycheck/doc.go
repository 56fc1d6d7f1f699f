// Package deploycheck holds no code: its tests look at what stands under deploy/,
// with the parsers of Prometheus, Kubernetes, kustomize and BuildKit. They are in
// this module so that nobody who imports a released one downloads them.
package deploycheck
