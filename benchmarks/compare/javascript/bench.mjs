// Runs Confluent's JavaScript client for the program beside it: one command a
// line on the standard input, one answer a line on the standard output. The
// process ends when its input does.
import { createInterface } from 'node:readline';
import {
  AvroDeserializer, AvroSerializer, FieldEncryptionExecutor, LocalKmsDriver, SchemaRegistryClient, SerdeType,
} from '@confluentinc/schemaregistry';

const ruleConfig = { secret: 'a secret of the local KMS' };
const lanes = {};

async function newLane(topic, schema, ruleSet) {
  const client = SchemaRegistryClient.newClient({ baseURLs: ['mock://'] });
  await client.register(`${topic}-value`, { schema, schemaType: 'AVRO', ruleSet });
  const config = { useLatestVersion: true, autoRegisterSchemas: false, ruleConfig };
  return {
    topic,
    serializer: new AvroSerializer(client, SerdeType.VALUE, config),
    deserializer: new AvroDeserializer(client, SerdeType.VALUE, { ruleConfig }),
  };
}

// The order as a producer has it: a fixed is a buffer. The client encrypts in
// the message that it is given, so each record starts from a copy.
function message(order) {
  return { ...order, fingerprint: Buffer.from(order.fingerprint, 'base64') };
}

const commands = {
  async setup({ schema, tag, order }) {
    LocalKmsDriver.register();
    FieldEncryptionExecutor.register();
    const ruleSet = {
      domainRules: [{
        name: 'encrypt', kind: 'TRANSFORM', mode: 'WRITEREAD', type: 'ENCRYPT', tags: [tag], onFailure: 'ERROR,ERROR',
        params: { 'encrypt.kek.name': 'kek', 'encrypt.kms.type': 'local-kms', 'encrypt.kms.key.id': 'bench' },
      }],
    };
    lanes.rule = await newLane('protected', schema, ruleSet);
    lanes.plain = await newLane('plain', schema, undefined);
    lanes.order = message(order);
    const answer = { node: process.version };
    for (const name of ['rule', 'plain']) {
      const { topic, serializer, deserializer } = lanes[name];
      const wire = await serializer.serialize(topic, { ...lanes.order });
      const back = await deserializer.deserialize(topic, wire);
      answer[name] = {
        wire: wire.toString('base64'),
        back: { ...back, fingerprint: Buffer.from(back.fingerprint).toString('base64') },
      };
    }
    return answer;
  },

  async serialize({ lane, n }) {
    const { topic, serializer } = lanes[lane];
    for (let i = 0; i < n; i++) {
      await serializer.serialize(topic, { ...lanes.order });
    }
    return {};
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  let answer;
  try {
    answer = await commands[command.do](command);
  } catch (err) {
    answer = { error: String(err.message ?? err) };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
