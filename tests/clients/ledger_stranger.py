#!/usr/bin/env python3
"""Hashes a ledger anew, from docs/spec/ledger.md and PostgreSQL's binary COPY alone, and says what differs.

Reads one line of JSON (ledger, columns, types, and how long what follows is), then two binary copies: the entries, and
the rows as ledger_tx, ledger_row, ledger_salt and the columns by number. Prints "N entries, M rows", or every fault.
"""

import decimal
import hashlib
import json
import struct
import sys
import threading
import uuid


def h(data):
    return hashlib.sha256(data).digest()


def tree(leaves):
    """RFC 6962 section 2.1: neighbours are joined, and one that is left over goes up as it is."""
    if not leaves:
        return h(b"")
    while len(leaves) > 1:
        pairs = [h(b"\1" + leaves[i] + leaves[i + 1]) for i in range(0, len(leaves) - 1, 2)]
        leaves = pairs + leaves[len(pairs) * 2 :]
    return leaves[0]


class Reader:
    """Takes bytes apart, from the front."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, form):
        values = struct.unpack_from(">" + form, self.data, self.at)
        self.at += struct.calcsize(">" + form)
        return values if len(values) > 1 else values[0]

    def field(self):
        length = self.take("i")
        if length < 0:
            return None
        self.at += length
        return self.data[self.at - length : self.at]


def copied(data):
    """The rows of a COPY in binary format, each as a list of fields."""
    assert data[:11] == b"PGCOPY\n\xff\r\n\0", "this is no binary copy"
    reader = Reader(data)
    reader.at = 19
    while (count := reader.take("h")) >= 0:
        yield [reader.field() for _ in range(count)]


def value(tag, data):
    return bytes([tag]) + struct.pack(">I", len(data)) + data


def integer(form):
    return lambda data: struct.pack(">q", struct.unpack(">" + form, data)[0])


def real(form, nan):
    def write(data):
        number = struct.unpack(">" + form, data)[0]
        return bytes.fromhex(nan) if number != number else data

    return write


def numeric(data):
    count, weight, sign, _scale = struct.unpack_from(">hhHH", data)
    if sign & 0xC000 == 0xC000:
        return bytes([{0xC000: 2, 0xD000: 3, 0xF000: 4}[sign]])
    digits = list(struct.unpack_from(f">{count}H", data, 8))
    while digits and digits[0] == 0:
        digits, weight = digits[1:], weight - 1
    while digits and digits[-1] == 0:
        digits.pop()
    if not digits:
        return b"\0\0\0"
    return struct.pack(f">Bh{len(digits)}H", 1 if sign == 0x4000 else 0, weight, *digits)


ESCAPES = {8: "\\b", 9: "\\t", 10: "\\n", 12: "\\f", 13: "\\r", 34: '\\"', 92: "\\\\"}


def canonical(item):
    """RFC 8785, but for numbers, which have all their digits."""
    if item is None or isinstance(item, bool):
        return {None: "null", True: "true", False: "false"}[item]
    if isinstance(item, str):
        escaped = (ESCAPES.get(ord(c)) or (f"\\u{ord(c):04x}" if ord(c) < 32 else c) for c in item)
        return '"' + "".join(escaped) + '"'
    if isinstance(item, list):
        return "[" + ",".join(map(canonical, item)) + "]"
    if isinstance(item, dict):
        keys = sorted(item, key=lambda key: key.encode("utf-16-be"))
        return "{" + ",".join(canonical(key) + ":" + canonical(item[key]) for key in keys) + "}"
    text = format(item, "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def jsonb(data):
    parsed = json.loads(data[1:], parse_int=decimal.Decimal, parse_float=decimal.Decimal)
    return canonical(parsed).encode()


def same(data):
    return data


# By name; these are PostgreSQL's own.
SCALARS = {
    "bool": (1, same),
    "int2": (2, integer("h")),
    "int4": (2, integer("i")),
    "int8": (2, integer("q")),
    "oid": (2, integer("I")),
    "float4": (3, real("f", "7fc00000")),
    "float8": (4, real("d", "7ff8000000000000")),
    "numeric": (5, numeric),
    **{name: (6, same) for name in ("text", "varchar", "bpchar", "name", "json", "xml")},
    "bytea": (7, same),
    "timestamptz": (8, same),
    "timestamp": (9, same),
    "date": (10, integer("i")),
    "time": (11, same),
    "timetz": (12, same),
    "interval": (13, same),
    "uuid": (14, same),
    "jsonb": (15, jsonb),
    "bit": (21, same),
    "varbit": (21, same),
}


class Types:
    """The catalogue's types by number."""

    def __init__(self, types):
        self.types = types

    def encode(self, number, data):
        """A value, from what its type sends."""
        known = self.types[str(number)]
        if known["base"]:
            return self.encode(known["base"], data)
        if known["native"] and known["name"] in SCALARS:
            tag, write = SCALARS[known["name"]]
            return value(tag, write(data))
        if known["kind"] == "e":
            return value(16, data)
        if known["element"]:
            return value(17, self.array(known["element"], data))
        if known["kind"] == "c":
            return value(18, self.composite(data))
        if known["kind"] == "r":
            return value(19, self.range(known["subtype"], data))
        if known["kind"] == "m":
            reader = Reader(data)
            ranges = [reader.field() for _ in range(reader.take("I"))]
            return value(20, b"".join(self.encode(known["range"], each) for each in ranges))
        name = known["name"].encode()
        return value(127, bytes([len(name)]) + name + data)

    def optional(self, number, data):
        return value(0, b"") if data is None else self.encode(number, data)

    def array(self, element, data):
        reader = Reader(data)
        count, _nulls, _element = reader.take("iiI")
        dimensions = [reader.take("Ii") for _ in range(count)]
        out, total = bytes([count]), 1 if count else 0
        for length, bound in dimensions:
            out += struct.pack(">Ii", length, bound)
            total *= length
        return out + b"".join(self.optional(element, reader.field()) for _ in range(total))

    def composite(self, data):
        reader = Reader(data)
        out = b""
        for _ in range(reader.take("i")):
            number = reader.take("I")
            out += self.optional(number, reader.field())
        return out

    def range(self, subtype, data):
        reader = Reader(data)
        flags = reader.take("B")
        out = bytes([flags])
        for missing in (8, 16):
            if not flags & (missing | 1):
                out += self.encode(subtype, reader.field())
        return out


def leaf_of(question, types, fields):
    row, secrets = b"R\x01" + uuid.UUID(question["ledger"]).bytes, 0
    for column, data in zip(question["columns"], fields[3:], strict=True):
        salt = None
        if column["redactable"]:
            salt, secrets = fields[2][16 * secrets : 16 * secrets + 16], secrets + 1
        if data is None:
            continue
        number = struct.pack(">H", column["number"])
        written = types.encode(column["oid"], data)
        if salt is not None:
            written = value(128, h(b"C\x01" + salt + number + written[:1] + written[5:]))
        row += number + written
    return h(b"\0" + row)


def signed(data):
    return struct.unpack(f">{ {2: 'h', 4: 'i', 8: 'q'}[len(data)]}", data)[0]


def newest_with_numbers(detail):
    """A detail with its numbers as canonical() expects them."""
    columns = [column | {"number": decimal.Decimal(column["number"])} for column in detail["columns"]]
    return detail | {"columns": columns}


def check(question, entries, rows):
    faults, types, added = [], Types(question["types"]), {}
    for fields in copied(rows):
        leaves = added.setdefault(signed(fields[0]), {})
        number = signed(fields[1])
        if number in leaves:
            faults.append(f"two rows are number {number} of transaction {signed(fields[0])}")
        leaves[number] = leaf_of(question, types, fields)
    seq, first, at, previous, total = 0, 0, -(1 << 63), bytes(32), sum(map(len, added.values()))
    for fields in copied(entries):
        seq += 1
        stated = dict(zip(["seq", "kind", "tx", "first_row", "rows", "at"], map(signed, fields[:6])))
        root, certificate, role, detail, link, stored = fields[6:]
        leaves = added.pop(stated["tx"], {}) if stated["rows"] else {}
        unix = stated["at"] + 946684800 * 1000000
        data = b"E\x01" + uuid.UUID(question["ledger"]).bytes
        data += struct.pack(">QBQQQ", *(stated[name] for name in ("seq", "kind", "tx", "first_row", "rows")))
        data += root + struct.pack(">q", unix)
        data += b"\0" if certificate is None else b"\x20" + certificate
        data += struct.pack(">H", len(role)) + role + struct.pack(">I", len(detail)) + detail + link
        checks = {
            "seq": stated["seq"] == seq,
            "kind": (stated["kind"] == 2) == (seq == 1) and (stated["kind"] == 1) <= (stated["rows"] > 0),
            "first_row": stated["first_row"] == first,
            "rows": stated["rows"] == len(leaves),
            "tx": (stated["tx"] > 0) == (stated["rows"] > 0),
            "root": root == tree([leaves[number] for number in sorted(leaves)]),
            "at": unix >= at,
            "previous": link == previous,
            "hash": stored == h(b"\0" + data),
        }
        if stated["kind"] in (2, 3):
            newest = json.loads(detail)
            checks["detail"] = detail.decode() == canonical(newest_with_numbers(newest))
            checks["name"] = (newest.get("name") == question["name"]) == (seq == 1)
        faults += [f"entry {seq}: {name} is wrong" for name, holds in checks.items() if not holds]
        first, at, previous = first + stated["rows"], unix, stored
    names = ("name", "number", "redactable", "type")
    columns = [{name: column[name] for name in names} for column in question["columns"]]
    if not seq or newest["columns"] != columns:
        faults.append("the newest column map is not that of the table")
    faults += [f"transaction {tx} has rows and no entry" for tx in added]
    return "; ".join(faults) or f"{seq} entries, {total} rows"


def main():
    question = json.loads(sys.stdin.buffer.readline())
    entries = sys.stdin.buffer.read(question["entries"])
    print(check(question, entries, sys.stdin.buffer.read()))


# A jsonb may be nested deeper than Python expects of anyone.
sys.setrecursionlimit(1_000_000)
threading.stack_size(512 * 1024 * 1024)
thread = threading.Thread(target=main)
thread.start()
thread.join()
