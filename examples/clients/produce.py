"""Produces customers with requests. The sidecar protects the records."""
import os
import requests

url = os.environ.get("FIELDVEIL_URL", "http://127.0.0.1:8082")
customers = [{"id": 7, "full_name": "Ann Example", "email": "ann@example.org"}]

answer = requests.post(
    url + "/topics/customers",
    json={"records": [{"key": str(c["id"]), "value": c} for c in customers]},
    headers={"Content-Type": "application/vnd.kafka.json.v2+json"},
    timeout=30,
)
answer.raise_for_status()
for result in answer.json()["offsets"]:
    if result["error_code"]:
        raise SystemExit(f"not delivered: {result['error']}")
    print("partition", result["partition"], "offset", result["offset"])
