"""Writes and reads framed Avro records with the Python library.

usage: serde.py ENDPOINT write|read [zlib]
write: standard input is {"topic", "schema", "record"}, the output base64.
read: standard input is base64, the output the record as JSON.
"""
import base64
import json
import sys

import boto3
from aws_schema_registry import SchemaRegistryClient
from aws_schema_registry.adapter.kafka import KafkaDeserializer, KafkaSerializer
from aws_schema_registry.avro import AvroSchema
from aws_schema_registry import codec

endpoint, what = sys.argv[1:3]
glue = boto3.client("glue", endpoint_url=endpoint, region_name="eu-central-1",
                    aws_access_key_id="a", aws_secret_access_key="b")
registry = SchemaRegistryClient(glue, registry_name="clinic", wait_interval_seconds=0)

if what == "write":
    job = json.load(sys.stdin)
    framed = KafkaSerializer(registry).serialize(job["topic"], (job["record"], AvroSchema(job["schema"])))
    if "zlib" in sys.argv:
        payload, guid = codec.decode(framed)
        framed = codec.encode(payload, guid, compression=True)
    print(base64.b64encode(framed).decode())
else:
    out = KafkaDeserializer(registry).deserialize("any", base64.b64decode(sys.stdin.read()))
    print(json.dumps(out.data))
