"""Prints many proofs, one a line, that differ in their jti: pyjwt_proofs.py KEY_FILE ALGORITHM HEADER CLAIMS COUNT."""

import json
import sys

import jwt
from cryptography.hazmat.primitives.serialization import load_pem_private_key

key_file, algorithm, header, claims, count = sys.argv[1:]
with open(key_file, "rb") as file:
    key = load_pem_private_key(file.read(), None)
header, claims = json.loads(header), json.loads(claims)
for number in range(int(count)):
    claims["jti"] = f"bulk-{number}"
    print(jwt.encode(claims, key, algorithm=algorithm, headers=header))
