"""Writes vectors.jsonl: schemas, values in Avro's JSON encoding, and their binary
encoding in hex, both as fastavro has them. Run it with fastavro 1.12 or later:

    python generate.py > vectors.jsonl
"""

import io
import json
import random

import fastavro

random.seed(7)
names = 0


def name():
    global names
    names += 1
    return f"N{names}"


def schema(depth):
    kinds = ["null", "boolean", "int", "long", "float", "double", "bytes", "string", "enum", "fixed"]
    if depth > 0:
        kinds += ["record", "array", "map", "union"] * 2
    kind = random.choice(kinds)
    if kind == "enum":
        return {"type": "enum", "name": name(), "namespace": "t", "symbols": ["A", "B", "C"]}
    if kind == "fixed":
        return {"type": "fixed", "name": name(), "size": random.randrange(1, 5)}
    if kind == "record":
        fields = [{"name": f"f{i}", "type": schema(depth - 1)} for i in range(random.randrange(1, 5))]
        return {"type": "record", "name": name(), "namespace": "t.r", "fields": fields}
    if kind == "array":
        return {"type": "array", "items": schema(depth - 1)}
    if kind == "map":
        return {"type": "map", "values": schema(depth - 1)}
    if kind == "union":
        return ["null", random.choice(["boolean", "string", "bytes", "long", "double"]), {"type": "array", "items": schema(depth - 1)}]
    return kind


def text():
    return "".join(random.choice('aZ09 é€😀"\\/\n\u0001\u007f') for _ in range(random.randrange(0, 8)))


def value(s):
    if isinstance(s, list):
        return value(random.choice(s))
    kind = s if isinstance(s, str) else s["type"]
    if kind == "null":
        return None
    if kind == "boolean":
        return random.random() < 0.5
    if kind == "int":
        return random.choice([0, -1, 1, 63, 64, -64, -65, 2**31 - 1, -(2**31), random.randrange(-(2**31), 2**31)])
    if kind == "long":
        return random.choice([0, -1, 2**53 + 1, 2**63 - 1, -(2**63), random.randrange(-(2**63), 2**63)])
    if kind == "float":
        return random.choice([0.0, 1.5, -2.25, 2.0**20, 0.0078125])
    if kind == "double":
        return random.choice([0.0, 0.1, -1e300, 5e-324, random.random()])
    if kind == "bytes":
        return random.randbytes(random.randrange(0, 9))
    if kind == "string":
        return text()
    if kind == "enum":
        return random.choice(s["symbols"])
    if kind == "fixed":
        return random.randbytes(s["size"])
    if kind == "record":
        return {f["name"]: value(f["type"]) for f in s["fields"]}
    if kind == "array":
        return [value(s["items"]) for _ in range(random.randrange(0, 4))]
    # No empty names: its JSON encoder takes them for none.
    return {"k" + text(): value(s["values"]) for _ in range(random.randrange(0, 4))}


for _ in range(200):
    fields = [{"name": "v", "type": schema(3)}]
    s = {"type": "record", "name": "Root", "namespace": "t", "fields": fields}
    parsed = fastavro.parse_schema(json.loads(json.dumps(s)))
    v = value(s)
    binary, written = io.BytesIO(), io.StringIO()
    fastavro.schemaless_writer(binary, parsed, v)
    fastavro.json_writer(written, parsed, [v])
    print(json.dumps({"schema": json.dumps(s), "value": written.getvalue().strip(), "hex": binary.getvalue().hex()}))
