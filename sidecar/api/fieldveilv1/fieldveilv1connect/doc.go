// Package fieldveilv1connect holds clients and handlers of the sidecar's services
// for Connect, gRPC-Web and gRPC over net/http. It is generated from the proto
// files of this module.
package fieldveilv1connect
