"""Checks signed notes by C2SP signed-note: verify_note.py VERIFIER_KEY, notes on standard input, parted by NUL.

Prints `good` or what is wrong, a line for each.
"""

import base64
import hashlib
import sys

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

name, key_hash, encoded = sys.argv[1].split("+", 2)
kind_and_key = base64.b64decode(encoded, validate=True)
assert kind_and_key[0] == 1, "the key is not of Ed25519"
assert hashlib.sha256(name.encode() + b"\n" + kind_and_key).digest()[:4].hex() == key_hash, "key hash"
key = Ed25519PublicKey.from_public_bytes(kind_and_key[1:])


def verdict(note):
    text, _, signatures = note.rpartition("\n\n")
    text += "\n"
    for line in signatures.splitlines():
        dash, signer, signature = line.split(" ")
        signature = base64.b64decode(signature, validate=True)
        if dash == "\u2014" and signer == name and signature[:4].hex() == key_hash:
            try:
                key.verify(signature[4:], text.encode())
                return "good"
            except InvalidSignature:
                return "bad signature"
    return "not signed"


for each in sys.stdin.read().split("\0"):
    print(verdict(each))
