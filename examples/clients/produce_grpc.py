"""Produces customers by gRPC. The sidecar protects the records. The stubs:
pip install grpcio grpcio-tools
python -m grpc_tools.protoc -I ../../sidecar/api/proto --python_out=. --grpc_python_out=. fieldveil/v1/produce.proto"""
import json
import os
import grpc
from fieldveil.v1 import produce_pb2 as v1, produce_pb2_grpc

customers = [{"id": 7, "full_name": "Ann Example", "email": "ann@example.org"}]
records = [v1.Record(key=str(c["id"]).encode(), value=json.dumps(c).encode()) for c in customers]

with grpc.insecure_channel(os.environ.get("FIELDVEIL_GRPC", "127.0.0.1:9095")) as channel:
    service = produce_pb2_grpc.ProduceServiceStub(channel)
    answer = service.Produce(v1.ProduceRequest(topic="customers", records=records), timeout=30)
for result in answer.results:
    if result.outcome != v1.OUTCOME_DELIVERED:
        raise SystemExit(f"not delivered: {v1.Outcome.Name(result.outcome)} {result.code} {result.path}")
    print("partition", result.partition, "offset", result.offset)
