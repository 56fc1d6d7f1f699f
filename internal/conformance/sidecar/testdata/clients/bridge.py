"""A client of the Strimzi Kafka Bridge, as it was published."""
import json
import os
from kafka_bridge_client import KafkaBridgeProducer, Message

value = json.dumps({"id": 7, "full_name": "Ann Example", "email": "ann@example.org"}).encode()
producer = KafkaBridgeProducer(os.environ["FIELDVEIL_URL"], timeout=30)
if not producer.send("customers", Message(key="7", value=value), binary=True):
    raise SystemExit("not delivered")
