#!/usr/bin/env python3
"""Writes ledger.txt, from docs/spec/ledger.md alone: it shares no code with what is tested with it.

Needs the `cryptography` package for Ed25519. Run `python3 ledger.py > ledger.txt`.
"""

import base64
import hashlib
import json
import struct

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat


def h(data):
    return hashlib.sha256(data).digest()


def b64(data):
    return base64.b64encode(data).decode()


def leaf(data):
    return h(b"\0" + data)


def tree(leaves):
    """RFC 6962 section 2.1, as it is written there."""
    if not leaves:
        return h(b"")
    if len(leaves) == 1:
        return leaves[0]
    k = split(len(leaves))
    return h(b"\1" + tree(leaves[:k]) + tree(leaves[k:]))


def split(n):
    k = 1
    while k * 2 < n:
        k *= 2
    return k


def path(m, leaves):
    """RFC 6962 section 2.1.1."""
    n = len(leaves)
    if n == 1:
        return []
    k = split(n)
    if m < k:
        return path(m, leaves[:k]) + [tree(leaves[k:])]
    return path(m - k, leaves[k:]) + [tree(leaves[:k])]


def consistency(m, leaves, whole=True):
    """RFC 6962 section 2.1.2."""
    n = len(leaves)
    if m == n:
        return [] if whole else [tree(leaves)]
    k = split(n)
    if m <= k:
        return consistency(m, leaves[:k], whole) + [tree(leaves[k:])]
    return consistency(m - k, leaves[k:], False) + [tree(leaves[:k])]


def record(comment=None, **members):
    if comment:
        print(f"# {comment}")
    for key, value in members.items():
        print(f"{key} = {value}".rstrip(" ") if value == "" else f"{key} = {value}")
    print()


def value(tag, data):
    return bytes([tag]) + struct.pack(">I", len(data)) + data


def commitment(salt, number, tag, data):
    return h(b"C\x01" + salt + struct.pack(">HB", number, tag) + data)


SCALARS = {
    "boolean": (1, lambda v: bytes([v == "true"])),
    "integer": (2, lambda v: struct.pack(">q", int(v))),
    "real": (3, lambda v: bytes.fromhex("7fc00000") if v == "NaN" else struct.pack(">f", float(v))),
    "double": (4, lambda v: bytes.fromhex("7ff8000000000000") if v == "NaN" else struct.pack(">d", float(v))),
    "text": (6, lambda v: json.loads(v).encode()),
    "bytea": (7, bytes.fromhex),
    "timestamptz": (8, lambda v: struct.pack(">q", int(v))),
    "timestamp": (9, lambda v: struct.pack(">q", int(v))),
    "date": (10, lambda v: struct.pack(">q", int(v))),
    "time": (11, lambda v: struct.pack(">q", int(v))),
    "timetz": (12, lambda v: struct.pack(">qi", *map(int, v.split(",")))),
    "interval": (13, lambda v: struct.pack(">qii", *map(int, v.split(",")))),
    "uuid": (14, bytes.fromhex),
    "jsonb": (15, lambda v: v.encode()),
    "enum": (16, lambda v: json.loads(v).encode()),
    "commitment": (128, bytes.fromhex),
}


def numeric(text):
    """`sign weight digits`, as a server stores it, perhaps with zeros at either end."""
    sign, weight, *digits = text.split(",")
    names = {"plus": 0, "minus": 1, "nan": 2, "infinity": 3, "-infinity": 4}
    if names[sign] > 1:
        return bytes([names[sign]])
    weight, digits = int(weight), [int(digit) for digit in digits]
    while digits and digits[0] == 0:
        digits, weight = digits[1:], weight - 1
    while digits and digits[-1] == 0:
        digits = digits[:-1]
    if not digits:
        return b"\0\0\0"
    return struct.pack(f">Bh{len(digits)}H", names[sign], weight, *digits)


def write(ledger, script):
    """A row from the words that the vectors have for it."""
    out, stack, number = b"R\x01" + ledger, [], 0

    def emit(data):
        nonlocal out
        if stack:
            stack[-1][-1] += data
        else:
            out += data

    for word in script.split("; "):
        name, _, argument = word.partition(" ")
        if name == "field":
            number = int(argument)
            out += struct.pack(">H", number)
        elif name in SCALARS:
            tag, encode = SCALARS[name]
            emit(value(tag, encode(argument)))
        elif name == "numeric":
            emit(value(5, numeric(argument)))
        elif name == "bits":
            emit(value(21, struct.pack(">I", len(argument)) + int(argument.ljust(-(-len(argument) // 8) * 8, "0") or "0", 2).to_bytes(-(-len(argument) // 8), "big")))
        elif name == "other":
            type_name, sent = argument.split(",")
            emit(value(127, bytes([len(type_name)]) + type_name.encode() + bytes.fromhex(sent)))
        elif name == "null":
            emit(value(0, b""))
        elif name == "array":
            dimensions = [tuple(map(int, dimension.split(":"))) for dimension in argument.split(",") if dimension]
            head = bytes([len(dimensions)]) + b"".join(struct.pack(">Ii", *dimension) for dimension in dimensions)
            stack.append([17, head])
        elif name == "composite":
            stack.append([18, b""])
        elif name == "range":
            stack.append([19, bytes([int(argument)])])
        elif name == "multirange":
            stack.append([20, b""])
        elif name == "redactable":
            stack.append([bytes.fromhex(argument), b""])
        elif name == "end":
            kind, data = stack.pop()
            if isinstance(kind, bytes):
                emit(value(128, commitment(kind, number, data[0], data[5:])))
            else:
                emit(value(kind, data))
        else:
            raise ValueError(word)
    return out


def entry(ledger, seq, kind, tx, first_row, rows, root, at, certificate, role, detail, previous):
    role, detail = role.encode(), detail.encode()
    return (
        b"E\x01" + ledger + struct.pack(">QBQQQ", seq, kind, tx, first_row, rows) + root + struct.pack(">q", at)
        + bytes([len(certificate)]) + certificate + struct.pack(">H", len(role)) + role
        + struct.pack(">I", len(detail)) + detail + previous
    )


def key_hash(name, public):
    return h(name.encode() + b"\n\x01" + public)[:4]


def note(key, origin, size, root):
    text = f"{origin}\n{size}\n{b64(root)}\n"
    public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return f"{text}\n\u2014 {origin} {b64(key_hash(origin, public) + key.sign(text.encode()))}\n"


LEDGER = bytes.fromhex("6b616b756e696e0000000000000000a1")
SALT = bytes(range(16))
SEED = bytes(range(100, 132))
KEY = Ed25519PrivateKey.from_private_bytes(SEED)
PUBLIC = KEY.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
ORIGIN = "ledger.example/7301"

print("# Vectors of docs/spec/ledger.md. Bytes are hexadecimal; texts with newlines are JSON strings.")
print("# Written by ledger.py beside this file, which shares no code with what is tested.\n")

# The leaves that the Certificate Transparency project tests its trees with.
inputs = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
leaves = [leaf(bytes.fromhex(data)) for data in inputs]
for size in range(9):
    record(Name=f"tree of {size}", Structure="tree", Leaves=",".join(f"x{data}" for data in inputs[:size]),
           Root=tree(leaves[:size]).hex())
for size in (1, 2, 3, 5, 7, 8):
    for index in range(size):
        record(Name=f"inclusion of {index} in {size}", Structure="inclusion", Index=index, Size=size,
               Path=",".join(node.hex() for node in path(index, leaves[:size])))
for new in range(1, 9):
    for old in range(1, new + 1):
        record(Name=f"consistency of {old} and {new}", Structure="consistency", Old=old, New=new,
               Path=",".join(node.hex() for node in consistency(old, leaves[:new])))

ROWS = {
    "no field": "",
    "booleans": "field 1; boolean true; field 2; boolean false",
    "integers": "field 1; integer 0; field 2; integer -1; field 3; integer 9223372036854775807; field 1600; integer -9223372036854775808",
    "reals": "field 1; real 1.5; field 2; real -0.0; field 3; real NaN; field 4; real inf",
    "doubles": "field 1; double 0.1; field 2; double -0.0; field 3; double NaN; field 4; double -inf",
    "numeric zero": "field 1; numeric plus,0",
    "numeric minus zero with digits": "field 1; numeric minus,2,0,0",
    "numeric 12345.678": "field 1; numeric plus,1,1,2345,6780",
    "numeric -0.0001": "field 1; numeric minus,-1,1",
    "numeric with zeros at its ends": "field 1; numeric plus,3,0,7,0,9,0,0",
    "numeric specials": "field 1; numeric nan,0; field 2; numeric infinity,0; field 3; numeric -infinity,0",
    "texts": 'field 1; text ""; field 2; text "a b"; field 3; text "\\u65e5\\u672c\\ud83d\\ude00"; field 4; text "a\\nb  "',
    "bytea": "field 1; bytea ; field 2; bytea 00ff5c",
    "times": "field 1; timestamptz 757382400000000; field 2; timestamptz 9223372036854775807; field 3; timestamp -9223372036854775808; "
             "field 4; date 8766; field 5; date -2147483648; field 6; time 86399999999; field 7; timetz 3600000000,-7200; field 8; interval -1,2,-3",
    "uuid, jsonb, enum": 'field 1; uuid 00112233445566778899aabbccddeeff; field 2; jsonb {"a":[1,2.5,null],"b":"x"}; field 3; enum "approved"',
    "bit strings": "field 1; bits ; field 2; bits 1; field 3; bits 10110111; field 4; bits 101101110",
    "empty array": "field 1; array ; end",
    "array with NULL": 'field 1; array 3:1; text "a"; null; text "c"; end',
    "array of two dimensions": "field 1; array 2:1,2:0; integer 1; integer 2; integer 3; integer 4; end",
    "array with a lower bound below zero": "field 1; array 1:-5; boolean true; end",
    "composites": 'field 1; composite ; integer 1; null; text "x"; end; field 2; composite ; end',
    "ranges": "field 1; range 1; end; field 2; range 2; integer 1; integer 10; end; field 3; range 24; end; field 4; range 12; date 5; end",
    "multirange": "field 1; multirange ; range 2; integer 1; integer 2; end; range 16; integer 9; end; end; field 2; multirange ; end",
    "nested": "field 7; array 2:1; composite ; array 1:1; numeric minus,0,5; end; range 8; integer 3; end; end; null; end",
    "other types": "field 1; other inet,0200200400000000; field 2; other pg_lsn,0000000016b374d8",
    "redactable": f'field 3; redactable {SALT.hex()}; text "Jane"; end; field 9; integer 5',
    "redacted": f'field 3; commitment {commitment(SALT, 3, 6, b"Jane").hex()}; field 9; integer 5',
}
for name, script in ROWS.items():
    row = write(LEDGER, script) if script else b"R\x01" + LEDGER
    record(Name=f"row: {name}", Structure="row", Ledger=LEDGER.hex(), Write=script, Bytes=row.hex(), Leaf=leaf(row).hex())

for name, number, tag, data in [("text", 3, 6, b"Jane"), ("empty", 1, 7, b""), ("integer", 1600, 2, struct.pack(">q", 42))]:
    record(Name=f"commitment: {name}", Structure="commitment", Salt=SALT.hex(), Number=number, Tag=tag, Value=data.hex(),
           Commitment=commitment(SALT, number, tag, data).hex())

EMPTY = h(b"")
rows = [write(LEDGER, f'field 1; integer {index}; field 2; text "row {index}"') for index in range(6)]
columns = ('{"columns":[{"name":"id","number":1,"redactable":false,"type":"bigint"},'
           '{"name":"note","number":2,"redactable":false,"type":"text"}]')
START = 1767225600000000
chain = []


def add(kind, tx, part, role, detail, certificate=b""):
    first = sum(item["rows"] for item in chain)
    previous = leaf(chain[-1]["bytes"]) if chain else bytes(32)
    seq, at = len(chain) + 1, START + 1000000 * len(chain)
    root = tree([leaf(row) for row in part])
    data = entry(LEDGER, seq, kind, tx, first, len(part), root, at, certificate, role, detail, previous)
    chain.append({"bytes": data, "rows": len(part), "part": part})
    record(Name=f"entry {seq}", Structure="entry", Ledger=LEDGER.hex(), Seq=seq, Kind=kind, Tx=tx, FirstRow=first,
           Rows=len(part), Root=root.hex(), At=at, Certificate=certificate.hex(), Role=role, Detail=detail,
           Previous=previous.hex(), Bytes=data.hex(), Hash=leaf(data).hex())


add(2, 7, rows[:1], "postgres", columns + ',"name":"public.audit"}')
add(1, 9, rows[1:4], "kakunin_agent", "", h(b"certificate"))
add(3, 0, [], "postgres", columns + "}")
add(1, 8, rows[4:5], "agent \u65e5", "")
add(6, 0, [], "auditor", '{"columns":[2],"reason":"request 17","row":0,"tx":9}')
add(4, 0, [], "auditor", '{"checkpoint":2,"first":1,"last":1,"reason":"ten years"}')
add(5, 0, [], "postgres", '{"reason":"restored","system":"7443210987654321098","timeline":2}')
add(1, 12, rows[5:], "postgres", "")
add(7, 0, [], "postgres", '{"reason":"replaced"}')

log = [leaf(item["bytes"]) for item in chain]
vkey = f"{ORIGIN}+{key_hash(ORIGIN, PUBLIC).hex()}+{b64(bytes([1]) + PUBLIC)}"
notes = {}
for size in (0, 2, 5, len(log)):
    notes[size] = note(KEY, ORIGIN, size, tree(log[:size]))
    record(Name=f"checkpoint of {size}", Structure="checkpoint", Seed=SEED.hex(), PublicKey=PUBLIC.hex(), VerifierKey=vkey,
           Origin=ORIGIN, Size=size, Root=tree(log[:size]).hex(), Note=json.dumps(notes[size]))


def proof(index, size, extra=None):
    lines = ["c2sp.org/tlog-proof@v1"] + ([f"extra {b64(extra)}"] if extra else []) + [f"index {index}"]
    lines += [b64(node) for node in path(index, log[:size])]
    return "\n".join(lines) + "\n\n" + notes[size]


record(Name="proof of entry 3", Structure="proof", VerifierKey=vkey, Entry=chain[2]["bytes"].hex(),
       Proof=json.dumps(proof(2, 5)))
part = [leaf(row) for row in chain[1]["part"]]
extra = struct.pack(">QQ", 1, 3) + b"".join(path(1, part))
record(Name="proof of row 1 of entry 2", Structure="proof", VerifierKey=vkey, Entry=chain[1]["bytes"].hex(),
       Row=chain[1]["part"][1].hex(), Proof=json.dumps(proof(1, len(log), extra)))
record(Name="proof in a log of one checkpoint", Structure="proof", VerifierKey=vkey, Entry=chain[0]["bytes"].hex(),
       Row=chain[0]["part"][0].hex(), Proof=json.dumps(proof(0, 2, struct.pack(">QQ", 0, 1))))


def dump(item):
    return json.dumps(item, separators=(",", ":"), sort_keys=True, ensure_ascii=False)


UUID = "6b616b75-6e69-6e00-0000-0000000000a1"
lines = [dump({"format": 1, "kakunin": "ledger export", "keys": [vkey], "ledgers": [UUID], "origin": ORIGIN, "whole": True})]
written = 0
for number, item in enumerate(chain, 1):
    lines.append(dump({"entry": b64(item["bytes"])}))
    # The rows of the first entry were pruned.
    if item["part"] and number != 1:
        lines.append(dump({"rows": [b64(row) for row in item["part"]]}))
        written += len(item["part"])
    if number in notes:
        lines.append(dump({"checkpoint": notes[number]}))
lines.append(dump({"end": {"entries": len(chain), "rows": written}}))
record(Name="export, whole", Structure="export", **{f"Line{number:02}": line for number, line in enumerate(lines)})

lines = [dump({"format": 1, "kakunin": "ledger export", "keys": [vkey], "ledgers": [UUID], "origin": ORIGIN, "whole": False})]
for number, item in enumerate(chain[:5], 1):
    lines.append(dump({"entry": b64(item["bytes"])}))
    if item["part"]:
        lines.append(dump({"rows": [b64(row) for row in item["part"]]}))
lines.append(dump({"proof": proof(4, 5)}))
lines.append(dump({"end": {"entries": 5, "rows": 5}}))
record(Name="export, partial", Structure="export", **{f"Line{number:02}": line for number, line in enumerate(lines)})
