// Package rpc serves the services of sidecar/api over gRPC, gRPC-Web and Connect
// on one port, with health and reflection.
//
// Requests become records of sidecar/produce, results become messages, and
// nothing else is decided here: what protects, who may do what and what is
// written to the audit log stand behind the interfaces of [Deps].
//
// gRPC goes to grpc-go's own transport, which is twice as fast as net/http's;
// everything else goes to Connect's handlers on net/http. One decoder reads the
// binary messages of all protocols. It refuses fields that it does not know and
// those that stand twice, and what it returns refers to the received message:
// nothing of a record is copied on the way in.
//
// No text of an error holds data of a request.
package rpc
