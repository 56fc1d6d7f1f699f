// Package sidecar runs the program as its users do: as a process of its own,
// before a broker, with clients in other processes and languages. It kills it,
// ends it, and reads the topic to see whether what was acknowledged is there.
//
// Everybody's promise is checked by a [history]: each record that a client was
// told is delivered stands in the topic where it was said to be, in the order of
// its key, protected; and nothing stands there that nobody sent.
package sidecar
