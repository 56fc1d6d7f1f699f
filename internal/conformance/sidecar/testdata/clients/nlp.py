"""A client of Confluent's REST Proxy, as it was published. It puts the message
below /payload."""
import os
from kafka_rest import Producer

producer = Producer(kafka_rest_api_url=os.environ["FIELDVEIL_URL"], topic_id="wrapped")
producer.produce([{"id": 7, "full_name": "Ann Example", "email": "ann@example.org"}], endpoint="/customers", keys=["7"])
