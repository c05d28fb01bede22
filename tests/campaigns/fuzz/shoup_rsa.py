"""Nearly valid bytes into every decoder of shoup_rsa: `make fuzz-crypto EXECUTIONS=1000000`.

The executions are shared out to the targets by weight. One line a target on standard output: executions, and
how many inputs were let through. Exits 1 when a promise is broken; the input is printed.

A target raises when a promise is broken: an error that is none of its own, or bytes that are let through and
are not the one encoding of what they stand for. `mutate(dice, data, others)` makes the inputs.
"""

from __future__ import annotations

import base64
import hashlib
import sys
import time
import traceback
from argparse import ArgumentParser
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from random import Random

from shoup_rsa import (
    AnyKeyShare,
    CompositeKeyShare,
    CompositePublicKey,
    Dealing,
    InvalidKey,
    InvalidKeyFile,
    InvalidRequest,
    InvalidShare,
    InvalidSignature,
    PublicKey,
    Scheme,
    SigningRequest,
    SigningSession,
    WrongPassphrase,
    generate_threshold_key,
    open_key_share,
    public_key_from_bytes,
    read_public_key,
    seal_key_share,
    storage,
    write_public_key,
)
from shoup_rsa.composite.redistribution import CompositeOrder, CompositeRedistribution
from shoup_rsa.composite.redistribution import deal as deal_all
from shoup_rsa.composite.redistribution import judge as judge_all
from shoup_rsa.redistribution import (
    InvalidReceiver,
    Order,
    ReceiverKey,
    Redistribution,
    deal,
    generate_receiver,
    judge,
)
from tests.worlds.require import require

POOL_MAX = 256
LENGTH_MAX = 64 * 1024
MESSAGE = b"what is signed"
PASSPHRASE = b"fuzz"
COST_LOG2 = 10
_COST_AT = len(b"shoup-rsa/key-share\x00") + 1
_EDGES = (0, 1, 2, 3, 127, 128, 255, 256, 257, 65535, 65536, 65537, 2**31, 2**32 - 1, 2**64 - 1)

Mutator = Callable[[Random, bytes, Sequence[bytes]], bytes]


@dataclass(frozen=True)
class Target:
    """`run` takes one input; True when it was let through, so that mutations of it go deeper."""

    name: str
    corpus: list[bytes]
    mutate: Mutator
    run: Callable[[bytes], bool]
    weight: int = 1000


def targets() -> list[Target]:
    """Every decoder, under a key of each protocol and version. Keys are small, and the same each time."""
    new, old, integers = _deal(2, 4, 3, 1), _deal(1, 3, 2, 1), _deal(3, 3, 2, 1)
    key, key_1, key_3 = new.public_key, old.public_key, integers.public_key
    several = _compose(*(_deal(3, 3, 2, 1, factors=2, place=place) for place in (1, 2)))
    key_4 = several.public_key
    single = _deal(2, 1, 1, 0).public_key
    keys = [key.to_bytes(), key_1.to_bytes(), key_3.to_bytes(), single.to_bytes(), key_4.to_bytes()]
    texts = [write_public_key(key), write_public_key(key_1), write_public_key(key_3), write_public_key(key_4)]
    some = (*new.key_shares[:2], integers.key_shares[0], several.key_shares[0])
    sealed = [seal_key_share(share, PASSPHRASE, scrypt_cost=1 << COST_LOG2) for share in some]
    handing_on, handing_all_on = _Redistribution(integers), _AllFactors(several)
    requests = [SigningRequest(key.key_id, scheme, MESSAGE).to_bytes() for scheme in Scheme]
    made = key.combine(MESSAGE, [share.sign_share(MESSAGE) for share in new.key_shares])
    return [
        Target("public key", keys, of_fields, _public_key),
        Target("signature share", _shares(new), of_fields, _Share(new)),
        Target("signature share, version 2", _shares(old), of_fields, _Share(old)),
        Target("signature share, version 3", _shares(integers), of_fields, _Share(integers)),
        Target("signature share, several dealers", _shares(several), of_fields, _Share(several), 500),
        Target("receiver key", handing_on.receivers, of_fields, _receiver_key, 200),
        Target("share dealing", handing_on.dealings, of_fields, handing_on, 200),
        Target("dealing of several factors", handing_all_on.dealings, of_fields, handing_all_on, 200),
        Target("signature", [made, bytes(len(made))], of_fields, _Signature(key, made)),
        Target("signing request", requests, of_fields, _request),
        Target("public key file", texts, of_text, _public_key_file, 500),
        Target("key share file, before the passphrase", sealed, of_text, _sealed_file, 500),
        Target("key share file, opened", sealed, of_text, _KeyShareFile(new, integers, several), 1),
        Target("shares in a session", _shares(new), of_fields, _Session(new), 50),
        Target("shares of several dealers in a session", _shares(several), of_fields, _Session(several), 20),
    ]


@dataclass(frozen=True)
class _Several:
    """A dealing by several dealers."""

    public_key: CompositePublicKey
    key_shares: tuple[CompositeKeyShare, ...]


def _compose(*dealings: Dealing) -> _Several:
    key = CompositePublicKey(tuple(dealt.public_key for dealt in dealings), insecure_small_key=True)
    rows = zip(*(dealt.key_shares for dealt in dealings), strict=True)
    return _Several(key, tuple(CompositeKeyShare(key, row) for row in rows))


def _deal(
    protocol: int, parties: int, threshold: int, corruptions: int, factors: int = 1, place: int = 0
) -> Dealing:
    dice = Random(f"{protocol} {parties}{f' {place}' if place else ''}")
    return generate_threshold_key(
        parties,
        threshold,
        corruptions,
        512,
        protocol=protocol,
        factors=factors,
        insecure_small_key=True,
        random_below=dice.randrange,
    )


def _shares(dealing: Dealing | _Several) -> list[bytes]:
    return [
        share.sign_share(MESSAGE, proof=form).to_bytes(dealing.public_key)
        for share in dealing.key_shares
        for form in ("none", "compact", "batchable")
    ]


# -- what is tried ------------------------------------------------------------------------------------


def of_fields(dice: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """Bits and pieces; numbers of 1, 2, 4, 8 and 64 bytes at any place, at their edges or off by one."""
    mutant = bytearray(data)
    for _ in range(dice.choice((1, 1, 1, 2, 4))):
        at = (
            dice.randrange(len(mutant) + 1)
            if dice.random() < 0.5
            else dice.randrange(min(len(mutant), 50) + 1)
        )
        size = dice.choice((1, 2, 4, 8, 64))
        match dice.randrange(8):
            case 0 | 1 if at < len(mutant):
                mutant[at] ^= 1 << dice.randrange(8)
            case 2:
                number = dice.choice(_EDGES) & (256**size - 1)
                mutant[at : at + size] = number.to_bytes(size, "big")
            case 3:
                number = int.from_bytes(mutant[at : at + size], "big") + dice.choice((-1, 1, 2**32))
                mutant[at : at + size] = (number % 256**size).to_bytes(size, "big")
            case 4:
                del mutant[at : at + size]
            case 5:
                mutant[at:at] = dice.randbytes(size)
            case 6:
                mutant[at : at + size] = dice.randbytes(size)
            case _:
                other = dice.choice(others)
                mutant[at:] = other[at:]
    return bytes(mutant[:LENGTH_MAX])


def of_text(dice: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """The body of the text spoiled and armoured anew, so that the checksum is right; or the text itself."""
    lines = data.split(b"\n")
    if dice.random() < 0.2:
        return of_fields(dice, data, others)
    with suppress(ValueError):
        body, other = (
            base64.b64decode(b"".join(text.split(b"\n")[1:-2])) for text in (data, dice.choice(others))
        )
        body = of_fields(dice, body[:-32], [other[:-32]])
        text = base64.b64encode(body + hashlib.sha256(body).digest())
        wrapped = [text[at : at + 64] for at in range(0, len(text), 64)]
        return b"\n".join([lines[0], *wrapped, *lines[-2:]])
    return of_fields(dice, data, others)


# -- what must hold -----------------------------------------------------------------------------------


def _public_key(data: bytes) -> bool:
    try:
        key = public_key_from_bytes(data)
    except InvalidKey:
        return False
    require(key.to_bytes() == data, "a public key has two encodings")
    return True


class _Share:
    """Whatever proves itself is the share that the member makes. One proof in eight is looked at."""

    def __init__(self, dealing: Dealing | _Several) -> None:
        self._key = dealing.public_key
        self._true = {share.index: share.sign_share(MESSAGE).value for share in dealing.key_shares}

    def __call__(self, data: bytes) -> bool:
        try:
            share = self._key.share_from_bytes(data)
        except InvalidShare:
            return False
        require(share.to_bytes(self._key) == data, "a share has two encodings")
        if share.proof is None or sum(data) % 8:
            return True
        with suppress(InvalidShare):
            self._key.verify_share(MESSAGE, share)
            require(share.value == self._true[share.index], "a false share is believed")
        return True


class _Signature:
    def __init__(self, key: PublicKey, true: bytes) -> None:
        self._key, self._true = key, true

    def __call__(self, data: bytes) -> bool:
        try:
            self._key.verify(MESSAGE, data)
        except InvalidSignature:
            return False
        require(data == self._true, "a false signature is believed")
        return True


def _request(data: bytes) -> bool:
    try:
        request = SigningRequest.from_bytes(data)
    except InvalidRequest:
        return False
    require(request.to_bytes() == data, "a request has two encodings")
    return True


def _public_key_file(data: bytes) -> bool:
    try:
        key = read_public_key(data)
    except InvalidKeyFile:
        return False
    require(write_public_key(key).split() == data.split(), "a public key has two files")
    return True


def _sealed_file(data: bytes) -> bool:
    try:
        parts = storage._parse(storage.remove_armour(storage._SHARE_LABEL, data, 1 << 20))
        storage._find_public_key(parts, None)
    except InvalidKeyFile:
        return False
    return True


class _KeyShareFile:
    """The whole way, scrypt included, but for files that ask for another amount of memory."""

    def __init__(self, *dealings: Dealing | _Several) -> None:
        every: list[AnyKeyShare] = [share for dealing in dealings for share in dealing.key_shares]
        self._true = {(s.public_key.encoding_version, s.index): s.sign_share(MESSAGE) for s in every}

    def __call__(self, data: bytes) -> bool:
        with suppress(InvalidKeyFile):
            parts = storage._parse(storage.remove_armour(storage._SHARE_LABEL, data, 1 << 20))
            if parts.cost_log2 != COST_LOG2:
                return False
        try:
            share = open_key_share(data, PASSPHRASE)
        except (InvalidKeyFile, WrongPassphrase):
            return False
        true = self._true[share.public_key.encoding_version, share.index]
        require(share.sign_share(MESSAGE) == true, "an altered key share is believed")
        return True


def _receiver_key(data: bytes) -> bool:
    try:
        key = ReceiverKey.from_bytes(data)
    except InvalidReceiver:
        return False
    require(key.to_bytes() == data, "a receiver key has two encodings")
    return True


class _Redistribution:
    """Nothing that was altered is a valid dealing, and the verdict never raises anything else."""

    def __init__(self, dealing: Dealing) -> None:
        key = dealing.public_key
        order = Order(key, key.parties, key.threshold, key.corruptions, key.index_bound, 0, b"fuzz")
        dice = Random("receivers")
        secrets = [
            generate_receiver(order.receiver_bits, random_below=dice.randrange) for _ in range(key.parties)
        ]
        self._redistribution = Redistribution(order, tuple(secret.key for secret in secrets))
        self.receivers = [secret.key.to_bytes() for secret in secrets]
        self.dealings = [
            deal(self._redistribution, share, random_below=dice.randrange).to_bytes(self._redistribution)
            for share in dealing.key_shares
        ]

    def __call__(self, data: bytes) -> bool:
        posted = [(dealer, data) for dealer in (1, 2, 3)]
        valid = judge(self._redistribution, posted).valid
        require(len(valid) == (data in self.dealings), "an altered dealing is valid")
        return bool(valid)


class _AllFactors:
    """As `_Redistribution`, of a key with several dealers."""

    def __init__(self, dealing: _Several) -> None:
        key = dealing.public_key
        bound = key.factors[0].index_bound
        order = CompositeOrder(key, key.parties, key.threshold, key.corruptions, bound, 0, b"fuzz")
        dice = Random("receivers")
        secrets = [
            generate_receiver(order.receiver_bits, random_below=dice.randrange) for _ in range(key.parties)
        ]
        self._redistribution = CompositeRedistribution(order, tuple(secret.key for secret in secrets))
        self.dealings = [
            deal_all(self._redistribution, share, random_below=dice.randrange).to_bytes(self._redistribution)
            for share in dealing.key_shares
        ]

    def __call__(self, data: bytes) -> bool:
        posted = [(dealer, data) for dealer in (1, 2, 3)]
        valid = judge_all(self._redistribution, posted).valid
        require(len(valid) == (data in self.dealings), "an altered dealing is valid")
        return bool(valid)


class _Session:
    """A quorum of good shares and one from outside always give the signature, whatever comes first."""

    def __init__(self, dealing: Dealing | _Several) -> None:
        self._key = dealing.public_key
        self._good = [share.sign_share(MESSAGE, proof="compact") for share in dealing.key_shares]
        self._true = self._key.combine(MESSAGE, self._good)

    def __call__(self, data: bytes) -> bool:
        session = SigningSession(self._key, MESSAGE)
        try:
            outside = self._key.share_from_bytes(data)
            session.add(outside)
        except InvalidShare:
            return False
        for share in self._good:
            if share.index != outside.index:
                session.add(share)
        require(session.signature == self._true, "a share from outside stops the others")
        return True


# -- running --------------------------------------------------------------------------------------------


@dataclass
class Outcome:
    executions: int = 0
    admitted: int = 0
    broken: bytes | None = None
    error: str = ""


def fuzz(target: Target, dice: Random, executions: int) -> Outcome:
    """So many executions; ends with the first broken promise."""
    outcome, pool, data = Outcome(), list(target.corpus), b""
    while outcome.executions < executions:
        try:
            data = target.mutate(dice, dice.choice(pool), target.corpus)
            admitted = target.run(data)
        except Exception:
            outcome.broken, outcome.error = data, traceback.format_exc()
            break
        outcome.executions += 1
        if admitted:
            outcome.admitted += 1
            if len(pool) < POOL_MAX:
                pool.append(data)
            else:
                pool[dice.randrange(len(target.corpus), POOL_MAX)] = data
    return outcome


def main(arguments: list[str]) -> int:
    parser = ArgumentParser(prog="python -m tests.campaigns.fuzz.shoup_rsa", description=__doc__)
    parser.add_argument("--executions", type=int, default=1_000_000, help="of all targets together")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--target", help="this one alone")
    options = parser.parse_args(arguments)
    every = targets()
    chosen = [target for target in every if options.target in (None, target.name)]
    if not chosen:
        parser.error(f"the targets are: {'; '.join(target.name for target in every)}")
    whole, total, failed = sum(target.weight for target in chosen), 0, False
    for target in chosen:
        began = time.monotonic()
        executions = -(-options.executions * target.weight // whole)
        outcome = fuzz(target, Random(f"{options.seed} {target.name}"), executions)
        total += outcome.executions
        _say(
            f"{target.name}: executions={outcome.executions} admitted={outcome.admitted} "
            f"seconds={time.monotonic() - began:.0f}"
        )
        if outcome.broken is not None:
            failed = True
            sys.stderr.write(f"FAILED {target.name}: {outcome.broken.hex()}\n{outcome.error}\n")
    _say(f"all: executions={total}")
    return 1 if failed else 0


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
