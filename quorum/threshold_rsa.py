"""The scheme in which a quorum's endorsements are combined into ONE RSA signature (Shoup 2000).

The only importer of shoup_rsa. Not imported by ``quorum/__init__``: the engine, which imports quorum,
must not reach the keys.

A key is of one of two kinds, and nothing but the founding of an alliance minds which: an ordinary one has a
modulus that one dealer made; the modulus of a composite one is a product of such, each from another dealer,
so that none of them knows the key. A member's share of it is one share of each factor.

Members count from 0, share indices from 1 (0 is the secret's place on the polynomial).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import shoup_rsa
from quorum.endorsement import Endorsement, VerifiedEndorsement
from quorum.scheme import CombineFailed, InvalidCertificate, InvalidEndorsement, one_statement
from quorum.statement import Context, InvalidStatement
from quorum.system import QuorumSystem
from shoup_rsa import InvalidKey as InvalidAgreementKey
from shoup_rsa import InvalidKeyFile, WrongEpoch, WrongPassphrase
from shoup_rsa import PublicKey as AgreementKey

__all__ = [
    "AgreementKey",
    "FormerKey",
    "InvalidAgreementKey",
    "InvalidKeyFile",
    "ThresholdRsaEndorser",
    "ThresholdRsaScheme",
    "WrongEpoch",
    "WrongPassphrase",
    "deal_agreement_key",
    "deal_key",
    "deal_shares",
    "factors_of",
    "read_agreement_key",
]

SELF_TEST = b"alliance/share self-test\x00"
"""What a share signs to be tried out: no statement, and no document of anybody."""


def read_agreement_key(encoded: bytes) -> AgreementKey:
    """The key, of either kind, that its ``to_bytes`` gave. Raises InvalidAgreementKey."""
    return shoup_rsa.public_key_from_bytes(encoded)


def factors_of(key: AgreementKey) -> tuple[AgreementKey, ...]:
    """The keys that a dealer each has made: of an ordinary key itself. No factor is ever used alone."""
    return tuple(key.factors) if isinstance(key, shoup_rsa.CompositePublicKey) else (key,)


def deal_agreement_key(
    system: QuorumSystem,
    key_size: int,
    epoch: int,
    progress: Callable[[str, int], None] | None = None,
) -> tuple[AgreementKey, tuple[ThresholdRsaEndorser, ...]]:
    """Deals the alliance key: any ``system.decision`` of the members sign together, none fewer."""
    return deal_key(system, system.decision, key_size, epoch, progress)


def deal_key(
    system: QuorumSystem,
    threshold: int,
    key_size: int,
    epoch: int,
    progress: Callable[[str, int], None] | None = None,
) -> tuple[AgreementKey, tuple[ThresholdRsaEndorser, ...]]:
    """Deals a key with a modulus of its own: any ``threshold`` of the members sign together, none fewer.

    The dealer sees the secret while this runs; only the shares outlive it. Takes seconds at 2048 bits.
    Raises ValueError for a key size that is too small or no multiple of 128, and for a threshold that is not
    above ``faulty_max`` or that the correct members alone do not reach.
    """
    return deal_shares(system.member_count, threshold, system.faulty_max, key_size, epoch, progress)


def deal_shares(
    count: int,
    threshold: int,
    faulty_max: int,
    key_size: int,
    epoch: int,
    progress: Callable[[str, int], None] | None = None,
) -> tuple[AgreementKey, tuple[ThresholdRsaEndorser, ...]]:
    """The same for ``count`` shares, of which liars have ``faulty_max`` at most."""
    dealing = shoup_rsa.generate_threshold_key(
        count, threshold, faulty_max, key_size, epoch=epoch, progress=progress
    )
    return dealing.public_key, tuple(ThresholdRsaEndorser(share) for share in dealing.key_shares)


@dataclass(frozen=True, slots=True)
class FormerKey:
    """A key that another one took the place of: ``epoch`` is the last one that it signed in, and ``slot`` the
    last slot of that epoch."""

    key: AgreementKey
    epoch: int
    slot: int


class ThresholdRsaScheme:
    """Certificates under a Shoup-shared RSA key: as long as its modulus, whatever the quorum's size.

    What shoup_rsa calls a key's epoch counts dealings. An epoch of the alliance may begin without one, with
    the shares of the epoch before; and whatever the dealing, modulus and public exponent stay. So a
    certificate of any epoch is checked with the key of any dealing, in the epoch that it names:
    ``scheme.in_epoch(certificate.epoch)``. Whose shares combine is another matter: those of one dealing do,
    on statements of one epoch.

    Where the alliance has got other keys, ``former`` are those before ``newest``, oldest first, and ``key``
    is the one of the context's epoch. Such a key says nothing of slots behind its last one: whoever has got
    hold of its shares by now could go on with it for ever.
    """

    def __init__(self, newest: AgreementKey, context: Context, former: Sequence[FormerKey] = ()) -> None:
        self._newest, self.former = newest, tuple(former)
        self._context = context
        self.key, self.last_slot = newest, None
        for one in self.former:
            if context.epoch <= one.epoch:
                self.key, self.last_slot = one.key, one.slot
                break

    key: AgreementKey
    last_slot: int | None
    """The last slot that this epoch's key says anything of; None while there is no other key."""

    @property
    def context(self) -> Context:
        return self._context

    @property
    def dealing(self) -> int:
        """Which shares of the key combine: those of this dealing."""
        return self.key.epoch

    def in_epoch(self, epoch: int) -> ThresholdRsaScheme:
        """For the statements of another epoch, 0 to 2^64-1, under its key. Raises InvalidStatement."""
        return ThresholdRsaScheme(self._newest, replace(self._context, epoch=epoch), self.former)

    def then(self, key: AgreementKey, epoch: int, slot: int) -> ThresholdRsaScheme:
        """As it goes on with another key, behind the last slot ``slot`` of ``epoch``."""
        former = (*self.former, FormerKey(self._newest, epoch, slot))
        return ThresholdRsaScheme(key, self._context, former)

    @property
    def threshold(self) -> int:
        return self.key.threshold

    def combine(self, endorsements: Sequence[Endorsement]) -> bytes:
        by_member = one_statement(endorsements, self.threshold)
        if self._beyond(endorsements[0]):
            raise CombineFailed(tuple(by_member), ())
        message = endorsements[0].statement.encode(self._context)
        shares: list[shoup_rsa.AnySignatureShare] = []
        malformed: list[int] = []
        for member, endorsement in by_member.items():
            try:
                shares.append(self._share(endorsement))
            except InvalidEndorsement:
                malformed.append(member)
        if len(shares) < self.threshold:
            raise CombineFailed(tuple(malformed), ())
        try:
            return self.key.combine(message, shares)
        except shoup_rsa.CombineFailed as failure:
            culprits = (*malformed, *(index - 1 for index in failure.culprits))
            unproven = tuple(index - 1 for index in failure.unproven)
            raise CombineFailed(culprits, unproven, _wrong_key(failure)) from None
        except ValueError as error:  # nobody can have a share of this message
            raise CombineFailed((), (), str(error)) from None

    def verify(self, message: bytes, signature: bytes) -> None:
        try:
            self.key.verify(message, signature)
        except shoup_rsa.InvalidSignature as error:
            raise InvalidCertificate(str(error)) from None

    def verify_endorsement(self, endorsement: Endorsement) -> VerifiedEndorsement:
        share = self._share(endorsement)
        if why := self._beyond(endorsement):
            raise InvalidEndorsement(endorsement.member, why)
        message = endorsement.statement.encode(self._context)
        try:
            self.key.verify_share(message, share)
        except shoup_rsa.InvalidShare as error:
            raise InvalidEndorsement(endorsement.member, error.reason) from None
        except ValueError as error:  # nobody can have a share of this message
            raise InvalidEndorsement(endorsement.member, str(error)) from None
        return VerifiedEndorsement(endorsement)

    def _beyond(self, endorsement: Endorsement) -> str:
        """Why the key says nothing of this slot, if it does not."""
        slot = getattr(endorsement.statement, "slot", 0)
        beyond = self.last_slot is not None and slot > self.last_slot
        return f"it is on slot {slot}, under a former key" if beyond else ""

    def _share(self, endorsement: Endorsement) -> shoup_rsa.AnySignatureShare:
        try:
            share = self.key.share_from_bytes(endorsement.signature)
        except shoup_rsa.InvalidShare as error:
            raise InvalidEndorsement(endorsement.member, error.reason) from None
        if share.index != endorsement.member + 1:
            raise InvalidEndorsement(endorsement.member, f"its share has the index {share.index}")
        return share


class ThresholdRsaEndorser:
    """A member's key share as an Endorser."""

    def __init__(self, share: shoup_rsa.AnyKeyShare) -> None:
        self._share = share

    @classmethod
    def open(cls, sealed: bytes, sealing_key: bytes, key: AgreementKey) -> ThresholdRsaEndorser:
        """From an encrypted share file of this key, whose whole dealing is checked.

        Raises WrongPassphrase for another sealing key, WrongEpoch, InvalidKeyFile, or InvalidAgreementKey for
        a dealing that does not fit.
        """
        key.check_dealing()
        return cls(shoup_rsa.open_key_share(sealed, sealing_key, key))

    @classmethod
    def compose(cls, key: AgreementKey, parts: Sequence[ThresholdRsaEndorser]) -> ThresholdRsaEndorser:
        """A member's share of a composite key, from its shares of all factors, in order; each is checked.

        Raises InvalidAgreementKey unless they are one member's, of this key, and right.
        """
        if not isinstance(key, shoup_rsa.CompositePublicKey):
            raise InvalidAgreementKey("a key of one dealer has no factors")
        shares = [part._share for part in parts if isinstance(part._share, shoup_rsa.KeyShare)]
        share = shoup_rsa.CompositeKeyShare(key, tuple(shares))
        share.check()
        return cls(share)

    def seal(self, sealing_key: bytes) -> bytes:
        """The share file, encrypted under a long random key: it has the lowest cost of passphrases."""
        return shoup_rsa.seal_key_share(self._share, sealing_key, scrypt_cost=2**10)

    @property
    def key(self) -> AgreementKey:
        """The public key of which this is a share."""
        return self._share.public_key

    @property
    def key_share(self) -> shoup_rsa.AnyKeyShare:
        """What is handed on; the secret stays hidden in it."""
        return self._share

    def test_itself(self) -> None:
        """Signs what is of no use to anybody, and checks the proof as others would.

        Raises InvalidEndorsement: this share, or the machine, does not work.
        """
        try:
            share = self._share.sign_share(SELF_TEST, proof="compact")
            self.key.verify_share(SELF_TEST, share)
        except shoup_rsa.InvalidShare as error:
            raise InvalidEndorsement(self.member, error.reason) from None
        except ValueError as error:  # of one message in many there are no shares, and it is this one
            raise InvalidEndorsement(self.member, str(error)) from None

    @property
    def member(self) -> int:
        """Whose share this is, counted from 0."""
        return self._share.index - 1

    def endorse(self, message: bytes, *, proven: bool) -> bytes:
        """Raises InvalidStatement for a message of which there are no shares: a dealer has cheated."""
        try:
            share = self._share.sign_share(message, proof="compact" if proven else "none")
        except ValueError as error:
            raise InvalidStatement(f"this cannot be signed: {error}") from None
        return share.to_bytes(self._share.public_key)


def _wrong_key(failure: shoup_rsa.CombineFailed) -> str:
    """What the failure says of the key, when no member is to blame; else nothing."""
    if isinstance(failure, shoup_rsa.BadFactor):
        return str(failure)
    return "" if failure.culprits or failure.unproven else str(failure)
