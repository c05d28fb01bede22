"""Checks a receipt with Python's standard library alone: python verify_receipt.py public.pem receipt.json"""

import json
import struct
import sys
from base64 import b64decode, b64encode
from hashlib import sha256

RSA_ENCRYPTION = bytes.fromhex("300d06092a864886f70d0101010500")  # RFC 8017, appendix C
SHA256_INFO = bytes.fromhex("3031300d060960864801650304020105000420")  # RFC 8017, section 9.2


def check(holds, problem):
    return holds or sys.exit(f"not verified: {problem}")


def h(*parts):  # numbers are hashed in 8 bytes
    return sha256(b"".join(struct.pack(">Q", p) if isinstance(p, int) else p for p in parts)).digest()


def packed(text):  # base64 in its one spelling
    data = b64decode(text, validate=True)
    return check(b64encode(data).decode() == text, "base64 in another spelling") and data


def hashes(text):  # 32 bytes each, end to end
    data = packed(text)
    check(len(data) % 32 == 0, "a list of hashes is cut off")
    return [data[at : at + 32] for at in range(0, len(data), 32)]


def climb(leaf, index, size, path):  # from a leaf to the root of a Merkle tree: RFC 6962, section 2.1
    check(0 <= index < size < 2**62, f"there is no leaf {index} in a tree of {size}")
    node, path = h(b"\x00", leaf), hashes(path)
    for level in range((size - 1).bit_length()):  # the node's place in its level, from 0, is index >> level
        if index >> level & 1 or index >> level < size - 1 >> level:  # a last one alone just moves up
            check(path, "a Merkle path is too short")
            other = path.pop(0)
            node = h(b"\x01", other, node) if index >> level & 1 else h(b"\x01", node, other)
    check(not path, "a Merkle path is too long")
    return node


def der(tag, content):  # an element of DER with 256 to 65535 bytes
    return struct.pack(">BBH", tag, 0x82, len(content)) + content


def verify_signature(pem, r, c):
    spki, signature = b64decode(pem.split("-----")[2]), packed(c["signature"])
    check(r["key_fingerprint"] == sha256(spki).hexdigest(), "the receipt is of another alliance")
    modulus = spki[-5 - len(signature) : -5]  # rebuilding the key around it shows that this is all of it
    numbers = der(0x03, b"\x00" + der(0x30, der(0x02, b"\x00" + modulus) + b"\x02\x03\x01\x00\x01"))
    check(spki == der(0x30, RSA_ENCRYPTION + numbers), "signature and key do not match")
    message = b"alliance/v1\x00\x01" + bytes.fromhex(r["alliance_id"])
    message += struct.pack(">QQQ", c["epoch"], c["view"], c["slot"]) + bytes.fromhex(c["root"])
    padded = b"\x00\x01" + b"\xff" * (len(signature) - 54) + b"\x00" + SHA256_INFO + h(message)
    n, s, expected = (int.from_bytes(number, "big") for number in (modulus, signature, padded))
    check(s < n and pow(s, 65537, n) == expected, "the quorum did not sign this")


def verify(pem, r):
    check(r["format"] == "alliance-receipt/3" and r["certificate"]["tag"] == "ACCEPTED", "this is no receipt")
    verify_signature(pem, r, r["certificate"])
    command, group = packed(r["command"]), hashes(r["command_group"])
    k, count = r["command_index"], r["command_count"]
    check(0 <= k < count and len(group) == min(8, count - k // 8 * 8) - 1, f"no command {k} of {count}")
    group.insert(k % 8, h(command))
    body = h(b"\x05", count, climb(b"".join(group), k // 8, (count + 7) // 8, r["command_path"]))
    client, signature = bytes.fromhex(r["client_id"]), packed(r["client_signature"])
    check((len(client), len(signature)) == (32, 64), "the client's id or signature is cut off")
    header = client + struct.pack(">Q", r["client_seq"]) + body + signature
    head = climb(header, r["position"], r["batch_size"], r["batch_path"])
    leaf = struct.pack(">Q", r["slot"]) + h(b"\x02", r["batch_size"], r["time_ms"], head)
    root = climb(leaf, r["slot"] - 1, r["certificate"]["slot"], r["log_path"])
    check(root.hex() == r["certificate"]["root"], "the command is not in the log that the quorum signed")
    return f"verified: slot {r['slot']}, position {r['position']}, command {k}: {command}"


try:
    check(len(sys.argv) == 3, "usage: python verify_receipt.py public.pem receipt.json")
    with open(sys.argv[1]) as key, open(sys.argv[2]) as receipt:
        sys.stdout.write(verify(key.read(), json.load(receipt)) + "\n")
except Exception as error:
    sys.exit(f"not verified: {error if isinstance(error, OSError) else f'the input is malformed: {error!r}'}")
