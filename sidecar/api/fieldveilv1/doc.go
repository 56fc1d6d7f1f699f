// Package fieldveilv1 holds the messages of the sidecar's services, and their
// clients and servers for gRPC. It is generated from the proto files of this
// module, which say what each call promises. Clients for Connect and gRPC-Web are
// in fieldveilv1connect.
package fieldveilv1
