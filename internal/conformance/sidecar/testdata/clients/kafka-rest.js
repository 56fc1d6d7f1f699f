// Confluent's client of its REST Proxy for Node, which is told the media types of
// version 2 and is otherwise as it was published.
const KafkaRest = require("kafka-rest");

const kafka = new KafkaRest({
  url: process.env.FIELDVEIL_URL,
  headers: { "Content-Type": "application/vnd.kafka.binary.v2+json", Accept: "application/vnd.kafka.v2+json" },
});
const value = JSON.stringify({ id: 7, full_name: "Ann Example", email: "ann@example.org" });
kafka.topic("customers").produce({ key: "7", value }, (err, answer) => {
  if (err) throw err;
  for (const o of answer.offsets) if (o.error_code) throw new Error(o.error);
  console.log(JSON.stringify(answer.offsets));
});
