"""Verifies a compact JWS with PyJWT and prints its claims: pyjwt_verify.py PUBLIC_KEY_FILE ALGORITHM TOKEN."""

import json
import sys

import jwt

key_file, algorithm, token = sys.argv[1:]
with open(key_file, encoding="ascii") as file:
    key = file.read()
options = {"verify_aud": False}
print(json.dumps(jwt.decode(token, key, algorithms=[algorithm], options=options), sort_keys=True))
