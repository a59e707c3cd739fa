"""Opens a sealed key by docs/spec/key.md alone: unseal.py KEK_FILE NAME PUBLIC_KEY_HEX SEALED_HEX.

Prints the seed and the two halves of the expanded key of RFC 8032, in hexadecimal.
"""

import hashlib
import sys

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

kek_file, name, public_key, sealed = sys.argv[1:]
with open(kek_file, "rb") as file:
    kek = file.read()
sealed = bytes.fromhex(sealed)
identifier = hashlib.sha256(b"kakunin key-encryption key\x00" + kek).digest()[:8]
assert sealed[:10] == b"K\x01" + identifier, "sealed with another key-encryption key"
bound = sealed[:10] + bytes([len(name)]) + name.encode() + b"\x07Ed25519" + bytes.fromhex(public_key)
seed = AESGCM(kek).decrypt(sealed[10:22], sealed[22:], bound)
digest = hashlib.sha512(seed).digest()
scalar = bytearray(digest[:32])
scalar[0] &= 248
scalar[31] = scalar[31] & 63 | 64
print(seed.hex(), digest[:32].hex(), bytes(scalar).hex(), digest[32:].hex())
