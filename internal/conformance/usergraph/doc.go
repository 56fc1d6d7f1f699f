// Package usergraph shows what the library costs a program that imports it. It
// has only tests, which build such programs.
package usergraph
