"""Azure's clients for Python against one vault, and the wrapped form of
docs/format.md, section 6, written from that page alone.

Reads a JSON list of questions from standard input and answers a list.
"""

import base64
import json
import sys

from azure.core.exceptions import HttpResponseError
from azure.identity import ClientSecretCredential
from azure.keyvault.keys import KeyClient
from azure.keyvault.keys.crypto import CryptographyClient, KeyWrapAlgorithm
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

LABEL = b"fieldveil/1 azure wrap"
ALGORITHMS = {1: KeyWrapAlgorithm.rsa_oaep_256, 2: KeyWrapAlgorithm.aes_256}


def canonical(context):
    out = b"\x01"
    for name in sorted(context, key=lambda s: s.encode()):
        for part in (name.encode(), context[name].encode()):
            out += len(part).to_bytes(2, "big") + part
    return out


def outer(secret, context):
    return AESGCM(HKDF(SHA256(), 32, None, LABEL + canonical(context)).derive(secret))


class Remote(CryptographyClient):
    """Never does locally what the vault can do."""

    def _initialize(self, **kwargs):
        pass


def unwrap(q, crypto):
    b = base64.b64decode(q["wrapped"])
    assert b[0] == 1
    n = b[2]
    version = b[3 : 3 + n].decode()
    at = 3 + n
    m = int.from_bytes(b[at : at + 2], "big")
    at += 2
    inner, head, nonce, sealed = b[at : at + m], b[: at + m], b[at + m : at + m + 12], b[at + m + 12 :]
    secret = crypto(version).unwrap_key(ALGORITHMS[b[1]], inner).key
    plain = outer(secret, q["context"]).decrypt(nonce, sealed, head + canonical(q["context"]))
    return {"plain": base64.b64encode(plain).decode()}


def wrap(q, crypto):
    secret, plain, nonce = (base64.b64decode(q[k]) for k in ("secret", "plain", "nonce"))
    result = crypto(None).wrap_key(ALGORITHMS[q["algorithm"]], secret)
    version = result.key_id.rsplit("/", 1)[1].encode()
    inner = result.encrypted_key
    head = bytes([1, q["algorithm"], len(version)]) + version + len(inner).to_bytes(2, "big") + inner
    sealed = outer(secret, q["context"]).encrypt(nonce, plain, head + canonical(q["context"]))
    return {"wrapped": base64.b64encode(head + nonce + sealed).decode()}


def answer(q):
    credential = ClientSecretCredential(q["tenant"], q["client"], q["client_secret"])
    client = KeyClient("https://" + q["vault"], credential, retry_total=0)
    kind = Remote if q.get("remote") else CryptographyClient

    def crypto(version):
        if q.get("remote"):
            # An answer has the version that was asked for, and so it has to be.
            version = version or client.get_key(q["key"]).properties.version
            path = "https://%s/keys/%s" % (q["vault"], q["key"]) + "/" + version
            return kind(path, credential, retry_total=0)
        return kind(client.get_key(q["key"], version), credential, retry_total=0)

    try:
        return {"wrap": wrap, "unwrap": unwrap}[q["do"]](q, crypto)
    except HttpResponseError as e:
        return {"error": type(e).__name__, "code": e.error.code if e.error else "", "status": e.status_code}


json.dump([answer(q) for q in json.load(sys.stdin)], sys.stdout)
