// Package kafka makes the Kafka clients of the sidecar from the properties that
// users of librdkafka and of the Java clients know. Only what keeps the sidecar's
// promise can be said with them: acknowledgement by all replicas, no duplicates,
// and a broker whose name is verified, unless the configuration calls itself
// insecure.
package kafka
