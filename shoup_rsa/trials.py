"""The first signatures under a key that somebody else made: they show what nobody can see in its modulus.

If e divides p - 1 for a prime p of N, most messages have no signature and all others have many, so that
nothing may rest on "the one signature". `check_dealing` cannot notice, since v is the maker's choice. So
before a key is used for anything, its members sign eight messages that nobody chose:

    "shoup-rsa/v1/trial" 00 | key id 32 | number u8 = 1..8

Of such a modulus one number in e has an e-th root at most, and PSS encodes a message as a number that looks
random: eight signatures show that gcd(e, phi(N)) = 1, but for 65537^-8 = 2^-128. The key id is a hash of N, v
and all v_i: a maker who tries keys until one passes has to try 2^128. A composite key's signature is one
modulo each of its factors, so these eight are for all of them. Whether N has two primes, and safe ones, stays
open.

Nothing else is signed that begins like this: what an alliance signs begins with its own name, certificates of
X.509 with 30, SSH's with 00, and tokens are text without a 00. Whoever adds a purpose keeps away from it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from shoup_rsa.composite.key_share import AnyKeyShare
from shoup_rsa.errors import BadFactor, CombineFailed, InvalidKey, InvalidShare, InvalidSignature
from shoup_rsa.public_key import BasePublicKey
from shoup_rsa.resolve import AnySignatureShare
from shoup_rsa.scheme import Scheme
from shoup_rsa.sizes import KEY_SIZES

TRIALS = 8
TRIAL_PREFIX = b"shoup-rsa/v1/trial\x00"
"""What all trial messages begin with, and nothing else that is signed."""


def trial_messages(key: BasePublicKey) -> tuple[bytes, ...]:
    """The eight messages, which follow from the key."""
    return tuple(TRIAL_PREFIX + key.key_id + bytes((number,)) for number in range(1, TRIALS + 1))


def trial_scheme(key: BasePublicKey) -> Scheme:
    """PSS_SHA256; for keys of 512 bits, which are for tests and have no room for it, PKCS1V15_SHA256."""
    return Scheme.PKCS1V15_SHA256 if key.key_size == KEY_SIZES.start else Scheme.PSS_SHA256


def sign_trials(key_share: AnyKeyShare) -> tuple[AnySignatureShare, ...]:
    """What a member sends when it has its share: one signature share a message, with compact proofs.

    Raises InvalidKey when the modulus has a factor that the messages come across.
    """
    key = key_share.public_key
    try:
        return tuple(
            key_share.sign_share(message, trial_scheme(key), proof="compact")
            for message in trial_messages(key)
        )
    except ValueError as error:
        raise InvalidKey(f"the trial messages of this key cannot be signed: {error}") from None


def combine_trials(key: BasePublicKey, members: Iterable[Sequence[AnySignatureShare]]) -> tuple[bytes, ...]:
    """The eight signatures, from what at least `threshold` members made by `sign_trials`.

    Raises InvalidKey when the shares are right and yet give no signature, so that the key's maker is to
    blame, or of a composite key BadFactor, which names whose; CombineFailed(culprits, unproven), whose shares
    to leave out; NotEnoughShares; InvalidShare when one member's are not eight of one index, or another
    member has the same.
    """
    rows = [tuple(shares) for shares in members]
    for row in rows:
        if len(row) != TRIALS or len({share.index for share in row}) != 1:
            index = row[0].index if row else None
            raise InvalidShare(index, f"a member makes {TRIALS} trial shares, all of its own index")
    signatures = []
    for message, *shares in zip(trial_messages(key), *rows, strict=True):
        try:
            signatures.append(key.combine(message, shares, trial_scheme(key)))
        except CombineFailed as error:
            if error.culprits or error.unproven or isinstance(error, BadFactor):
                raise
            raise InvalidKey(_REFUSED) from None
    return tuple(signatures)


def check_trials(key: BasePublicKey, signatures: Sequence[bytes]) -> None:
    """Return if these are the signatures of all trial messages; for everybody, by the public key alone.

    Run `check_dealing` too: the one says that the members can sign, the other that signatures are unique.
    Raises InvalidKey if not; TypeError unless they are bytes.
    """
    if len(signatures) != TRIALS:
        raise InvalidKey(f"a key has {TRIALS} trial signatures, not {len(signatures)}")
    for message, signature in zip(trial_messages(key), signatures, strict=True):
        try:
            key.verify(message, signature, trial_scheme(key))
        except InvalidSignature:
            raise InvalidKey(_REFUSED) from None


_REFUSED = (
    "the trial messages have no valid signatures under this key, so its modulus may not be one for RSA: "
    "do not use it; whoever made it must make another one"
)
