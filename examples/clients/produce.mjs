// Produces customers with fetch. The sidecar protects the records.
const url = process.env.FIELDVEIL_URL ?? "http://127.0.0.1:8082";
const customers = [{ id: 7, full_name: "Ann Example", email: "ann@example.org" }];

const answer = await fetch(`${url}/topics/customers`, {
  method: "POST",
  headers: { "Content-Type": "application/vnd.kafka.json.v2+json" },
  body: JSON.stringify({ records: customers.map((c) => ({ key: String(c.id), value: c })) }),
});
const body = await answer.json();
if (!answer.ok) throw new Error(`not delivered: ${body.error_code} ${body.message}`);
for (const { partition, offset, error_code, error } of body.offsets) {
  if (error_code) throw new Error(`not delivered: ${error_code} ${error}`);
  console.log("partition", partition, "offset", offset);
}
