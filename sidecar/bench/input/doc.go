// Package input makes and reads what a benchmark measures: records of one topic,
// with their schema and their policy.
//
// There are three ways to a [Set]. [Builtin] has workloads of the project, the
// same for the same seed. [Load] takes a schema and a policy of the user and makes
// records up, by types, tags and names of fields; or it takes his records too, from
// JSON lines, an Avro object container or a topic.
//
// It promises:
//
//   - People, cards and numbers that are made up belong to nobody: reserved domains
//     and address ranges, telephone numbers that are kept for fiction, card numbers of
//     test ranges, national ids of series that are never issued.
//   - The same schema, options and seed give the same records, on every machine.
//   - What is made up is checked: the project's own programs take every record.
//   - An error names a file, a line, a field or a keyword. It never holds a value of
//     a record.
//
// Records of the user are plaintext of what he wants protected. They stay in the
// memory of the process: nothing here writes, logs or sends them.
package input
