"""Prints a compact JWS made by PyJWT: pyjwt_proof.py KEY_FILE ALGORITHM HEADER_JSON CLAIMS_JSON."""

import json
import sys

import jwt

key_file, algorithm, header, claims = sys.argv[1:]
with open(key_file, encoding="ascii") as file:
    key = file.read()
print(jwt.encode(json.loads(claims), key, algorithm=algorithm, headers=json.loads(header)))
