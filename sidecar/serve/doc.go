// Package serve puts the parts of the sidecar together: the configuration's
// sections, the engine of the policy, the pipeline to Kafka, the surfaces for
// clients, and what operators see. It is all of the program but its command line.
//
// One pipeline, one client of Kafka and one server for each surface live as long
// as the process. What a reload replaces is the engine and who may do what; both
// are looked up for each record, so a stream that lasts for days follows too.
package serve
