#!/usr/bin/env python3
"""Checks an export from docs/spec/ledger.md, with the pieces of crates/kakunin-core/testdata/ledger.py, which makes the
vectors from the same page. Prints "N entries, M rows, C covered" or the first thing that is wrong.

Arguments: the directory of ledger.py, the export, and a verifier key or nothing.
"""

import base64
import contextlib
import io
import json
import struct
import sys
import uuid

sys.path.insert(0, sys.argv[1])
with contextlib.redirect_stdout(io.StringIO()):
    import ledger as spec

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


def require(holds, what):
    if not holds:
        print(what)
        sys.exit(0)


def tree(leaves):
    """spec.tree without recursion, which is too slow for a hundred thousand leaves."""
    if not leaves:
        return spec.h(b"")
    while len(leaves) > 1:
        pairs = [spec.h(b"\1" + leaves[at] + leaves[at + 1]) for at in range(0, len(leaves) - 1, 2)]
        leaves = pairs + leaves[len(pairs) * 2 :]
    return leaves[0]


def read_entry(data):
    require(data[:2] == b"E\1", "an entry of another format")
    names = ("ledger", "seq", "kind", "tx", "first_row", "rows", "root", "at")
    entry = dict(zip(names, struct.unpack_from(">16sQBQQQ32sq", data, 2)))
    at = 2 + struct.calcsize(">16sQBQQQ32sq")

    def text(form):
        nonlocal at
        length = struct.unpack_from(">" + form, data, at)[0]
        at += struct.calcsize(">" + form) + length
        return data[at - length : at]

    entry.update(certificate=text("B"), role=text("H").decode(), detail=text("I").decode(), previous=data[at:])
    values = [entry[name] for name in names + ("certificate", "role", "detail", "previous")]
    require(spec.entry(*values) == data, f"entry {entry['seq']} is not written as the page says")
    entry["hash"] = spec.leaf(data)
    return entry


def read_note(note, keys):
    text, _, signatures = note.rpartition("\n\n")
    text += "\n"
    origin, size, root = text.splitlines()
    for line in signatures.splitlines():
        _, name, blob = line.split(" ")
        blob = base64.b64decode(blob)
        for key in keys:
            key_name, short, public = key.split("+", 2)
            public = base64.b64decode(public)[1:]
            if name == key_name == origin and blob[:4].hex() == short:
                require(spec.key_hash(name, public) == blob[:4], "a key's hash is not its own")
                Ed25519PublicKey.from_public_bytes(public).verify(blob[4:], text.encode())
                return int(size), base64.b64decode(root)
    require(False, f"the checkpoint of {size} is not signed")


def walk(index, size, path, leaf):
    """The root that a path leads to: RFC 9162 section 2.1.3.2."""
    fn, sn, node = index, size - 1, leaf
    for step in path:
        if fn & 1 or fn == sn:
            node = spec.h(b"\1" + step + node)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            node = spec.h(b"\1" + node + step)
        fn, sn = fn >> 1, sn >> 1
    return node if sn == 0 else None


def main():
    with open(sys.argv[2], encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    header, lines, end = lines[0], lines[1:-1], lines[-1]
    keys = sys.argv[3:] or header["keys"]
    require(header["format"] == 1 and header["kakunin"] == "ledger export", "no export")
    heads, gone, log, rows, covered, counted = {}, {}, [], [], 0, 0
    entry = None

    def finish():
        if entry is None:
            return
        if entry["rows"] and not rows:
            gone.setdefault(entry["ledger"], {})[entry["seq"]] = entry
        else:
            require(len(rows) == entry["rows"], f"entry {entry['seq']} has {len(rows)} rows")
            require(tree([spec.leaf(row) for row in rows]) == entry["root"], f"entry {entry['seq']} has other rows")
            for row in rows:
                require(row[:2] == b"R\1" and row[2:18] == entry["ledger"], "a row of another ledger")

    for line in lines:
        (kind, value), = line.items()
        if kind == "entry":
            finish()
            rows = []
            entry = read_entry(base64.b64decode(value))
            head = heads.get(entry["ledger"], {"seq": 0, "hash": bytes(32), "first_row": 0, "rows": 0, "at": -(2**63)})
            require(entry["seq"] == head["seq"] + 1, f"entry {entry['seq']} follows {head['seq']}")
            require(entry["previous"] == head["hash"], f"entry {entry['seq']} holds another hash")
            require(entry["first_row"] == head["first_row"] + head["rows"], f"entry {entry['seq']} counts wrongly")
            require(entry["at"] >= head["at"], f"entry {entry['seq']} is earlier")
            require(str(uuid.UUID(bytes=entry["ledger"])) in header["ledgers"], "a ledger that the first line does not name")
            heads[entry["ledger"]] = entry
            log.append(entry["hash"])
            if entry["kind"] == 4:
                detail = json.loads(entry["detail"])
                for seq in range(detail["first"], detail["last"] + 1):
                    gone.get(entry["ledger"], {}).pop(seq, None)
        elif kind == "rows":
            rows += [base64.b64decode(row) for row in value]
            counted += len(value)
        elif kind == "checkpoint":
            require(header["whole"], "a checkpoint in a part")
            size, root = read_note(value, keys)
            require(size == len(log) and tree(log) == root, f"the checkpoint of {size} is of another log")
            covered = size
        elif kind == "proof":
            require(not header["whole"], "a proof in a whole")
            head, _, note = value.partition("\n\n")
            head = head.split("\n")
            require(head[0] == "c2sp.org/tlog-proof@v1", "no proof")
            index = int(head[1].removeprefix("index "))
            path = [base64.b64decode(node) for node in head[2:]]
            size, root = read_note(note, keys)
            require(walk(index, size, path, entry["hash"]) == root, f"the proof of entry {entry['seq']} leads elsewhere")
            covered += entry["seq"]
    finish()
    require(not any(gone.values()), f"entries without rows: {[list(seqs) for seqs in gone.values() if seqs]}")
    require(end == {"end": {"entries": len(log), "rows": counted}}, "the last line counts otherwise")
    require(sorted(header["ledgers"]) == sorted(str(uuid.UUID(bytes=ledger)) for ledger in heads), "a ledger without entries")
    print(f"{len(log)} entries, {counted} rows, {covered} covered")


main()
