// Package auth says who calls the sidecar, and what he may do.
//
// Who: by a certificate, a token from a file, a JWT, or the user id at the other
// end of a Unix socket. Who shows a credential that is wrong is refused, also
// where he would be let in without any. What: by rules of principals, operations,
// topics and tenants, of which the first that matches decides; what no rule lets
// is denied.
//
// No error and no text of this package holds a credential.
package auth
