// Package kgocrypt puts fieldcrypt in front of a franz-go client: a [Producer]
// that sends only protected records, a [Consumer] that reveals what it reads,
// and a [KeyTopic] that keeps wrapped data keys in a compacted topic.
//
// A record that cannot be protected is not sent: its promise gets the error. It
// wraps the client and is no kgo hook, because a hook cannot refuse a record.
//
// What the client promises of order, retries and idempotence stays as it is:
// records are protected on the goroutine that calls Produce, one after the
// other, and handed on in that order.
package kgocrypt
