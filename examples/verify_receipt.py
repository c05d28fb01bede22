"""Checks a receipt with Python's standard library alone: python verify_receipt.py public.pem receipt.json"""

import json
import struct
import sys
from base64 import b64decode
from hashlib import sha256

RSA_ENCRYPTION = bytes.fromhex("300d06092a864886f70d0101010500")  # RFC 8017, appendix C
SHA256_INFO = bytes.fromhex("3031300d060960864801650304020105000420")  # RFC 8017, section 9.2


def check(holds, problem):
    return holds or sys.exit(f"not verified: {problem}")


def der(tag, content):  # an element of DER with 256 to 65535 bytes
    return struct.pack(">BBH", tag, 0x82, len(content)) + content


def climb(leaf, index, size, path):  # from a leaf to the root of a Merkle tree: RFC 6962, section 2.1
    check(0 <= index < size < 2**62, f"there is no leaf {index} in a tree of {size}")
    node, path = sha256(b"\x00" + leaf).digest(), [bytes.fromhex(other) for other in path]
    for h in range((size - 1).bit_length()):  # the node's place in its level, from 0, is index >> h
        if index >> h & 1 or index >> h < size - 1 >> h:  # a last one alone just moves up
            check(path, "a Merkle path is too short")
            node = sha256(b"\x01" + (path.pop(0) + node if index >> h & 1 else node + path.pop(0))).digest()
    check(not path, "a Merkle path is too long")
    return node


def verify(pem, r):
    check(r["format"] == "alliance-receipt/2", "this is no receipt")
    spki, signature = b64decode(pem.split("-----")[2]), bytes.fromhex(r["signature"])
    check(r["key_fingerprint"] == sha256(spki).hexdigest(), "the receipt is of another alliance")
    modulus = spki[-5 - len(signature) : -5]  # rebuilding the key around it shows that this is all of it
    numbers = der(0x03, b"\x00" + der(0x30, der(0x02, b"\x00" + modulus) + b"\x02\x03\x01\x00\x01"))
    check(spki == der(0x30, RSA_ENCRYPTION + numbers), "signature and key do not match")
    message = b"alliance/v1\x00\x01" + bytes.fromhex(r["alliance_id"])
    message += struct.pack(">QQQ", r["epoch"], r["view"], r["certified_slot"]) + bytes.fromhex(r["root"])
    padded = b"\x00\x01" + b"\xff" * (len(signature) - 54) + b"\x00" + SHA256_INFO + sha256(message).digest()
    n, s, expected = (int.from_bytes(number, "big") for number in (modulus, signature, padded))
    check(s < n and pow(s, 65537, n) == expected, "the quorum did not sign this")
    submission, k, size = bytes.fromhex(r["submission"]), r["command_index"], r["batch_size"]
    batch = struct.pack(">QQ", size, r["time_ms"]) + climb(submission, r["position"], size, r["batch_path"])
    leaf = struct.pack(">Q", r["slot"]) + sha256(b"\x02" + batch).digest()
    root = climb(leaf, r["slot"] - 1, r["certified_slot"], r["log_path"])
    check(root.hex() == r["root"], "the command is not in the log that the quorum signed")
    lengths = struct.unpack_from(f">{int.from_bytes(submission[40:44], 'big')}I", submission, 44)
    check(0 <= k < len(lengths), f"there is no command {k} in the submission")
    command = submission[44 + 4 * len(lengths) + sum(lengths[:k]) :][: lengths[k]]
    return f"verified: slot {r['slot']}, position {r['position']}, command {k}: {command}"


try:
    check(len(sys.argv) == 3, "usage: python verify_receipt.py public.pem receipt.json")
    with open(sys.argv[1]) as key, open(sys.argv[2]) as receipt:
        sys.stdout.write(verify(key.read(), json.load(receipt)) + "\n")
except Exception as error:
    sys.exit(f"not verified: {error if isinstance(error, OSError) else f'the input is malformed: {error!r}'}")
