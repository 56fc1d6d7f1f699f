#!/usr/bin/env bash
# Produces one customer by curl. The sidecar protects the record.
set -euo pipefail
answer=$(curl --fail-with-body --silent --show-error \
  "${FIELDVEIL_URL:-http://127.0.0.1:8082}/topics/customers" \
  --header 'Content-Type: application/vnd.kafka.json.v2+json' \
  --data '{"records": [{"key": "7", "value": {"id": 7, "full_name": "Ann Example", "email": "ann@example.org"}}]}') ||
  { echo "not delivered: $answer" >&2; exit 1; }
# The status is 200 also when the cluster did not take a record.
[[ $answer == *'"error_code":null'* ]] || { echo "not delivered: $answer" >&2; exit 1; }
echo "$answer"
