#!/usr/bin/env python3
"""Writes sealed_key.txt, from docs/spec/key.md alone: it shares no code with what is tested with it.

Needs the `cryptography` package. Run `python3 sealed_key.py > sealed_key.txt`.
"""

import hashlib

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat


def digest(text):
    return hashlib.sha256(text.encode()).digest()


print("# Vectors of docs/spec/key.md; bytes are hexadecimal.")
print("# Written by sealed_key.py beside this file, which shares no code with what is tested.")
for name in ("log", "a", "n" * 63):
    kek, seed, nonce = digest("kek " + name), digest("seed " + name), digest("nonce " + name)[:12]
    private = Ed25519PrivateKey.from_private_bytes(seed)
    public = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    start = b"K\x01" + hashlib.sha256(b"kakunin key-encryption key\x00" + kek).digest()[:8]
    bound = start + bytes([len(name)]) + name.encode() + bytes([7]) + b"Ed25519" + public
    sealed = start + nonce + AESGCM(kek).encrypt(nonce, seed, bound)
    message = b"message for " + name.encode()
    print()
    for key, value in (
        ("Name", name),
        ("Kek", kek.hex()),
        ("Seed", seed.hex()),
        ("Nonce", nonce.hex()),
        ("PublicKey", public.hex()),
        ("Sealed", sealed.hex()),
        ("Message", message.hex()),
        ("Signature", private.sign(message).hex()),
    ):
        print(f"{key} = {value}")
