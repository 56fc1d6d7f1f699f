package wire

// A SubjectStrategy names the subject under which the schema of a record's key
// or value is registered, from the topic and the full name of its type. A
// strategy ignores what it does not need.
type SubjectStrategy func(topic string, key bool, recordName string) string

// TopicName names subjects by topic, "<topic>-key" and "<topic>-value". It is
// what clients do unless told otherwise.
func TopicName(topic string, key bool, _ string) string {
	if key {
		return topic + "-key"
	}
	return topic + "-value"
}

// RecordName names subjects by the full name of the type, whatever the topic is.
func RecordName(_ string, _ bool, recordName string) string { return recordName }

// TopicRecordName names subjects by both, "<topic>-<full name>".
func TopicRecordName(topic string, _ bool, recordName string) string {
	return topic + "-" + recordName
}
