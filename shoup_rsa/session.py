"""One signature in the making, for programs to which the shares come one by one."""

from __future__ import annotations

from dataclasses import dataclass

from shoup_rsa.errors import CombineFailed, InvalidShare
from shoup_rsa.public_key import BasePublicKey
from shoup_rsa.resolve import AnySignatureShare, resolve
from shoup_rsa.scheme import Scheme


@dataclass(frozen=True)
class Evidence:
    """A share whose proof does not hold, and what it should have signed: for others to check.

    It speaks about the share, not about who sent it: the channel it came by must show that.
    """

    index: int
    message: bytes
    scheme: Scheme
    share: AnySignatureShare
    reason: str

    def check(self, public_key: BasePublicKey) -> None:
        """Return if the share is indeed proven bad under this key; raise ValueError if it is not."""
        if self.index == self.share.index and self.share.proof is not None:
            try:
                public_key.verify_share(self.message, self.share, self.scheme)
            except InvalidShare:
                return
        raise ValueError(f"the share of index {self.index} is not proven bad")


class SigningSession:
    """Collects the shares of one message. It combines as soon as there are enough, and again after more.

        session = SigningSession(public_key, message)
        for share in arriving: ...
            if session.add(share) is not None: ...  # the signature, verified

    When shares spoil the combination, those with proofs are checked, all batchable ones at once. The bad ones
    leave and are named in `culprits`, with `evidence`; `unproven` are the members to ask for a proof. At most
    one share a member is kept. Not for two threads at once.
    """

    def __init__(
        self, public_key: BasePublicKey, message: bytes, scheme: Scheme = Scheme.PKCS1V15_SHA256
    ) -> None:
        """Raises TypeError and ValueError as `KeyShare.sign_share` does."""
        self._key = public_key
        self._message = message
        self._scheme = scheme
        self._represented = public_key.represent(message, scheme)
        self._untested: dict[int, AnySignatureShare] = {}
        self._valid: dict[int, AnySignatureShare] = {}
        self._evidence: dict[int, Evidence] = {}
        self._signature: bytes | None = None
        self._failed = False

    def add(self, share: AnySignatureShare) -> bytes | None:
        """Take a share; returns the signature if there is one now.

        Raises InvalidShare for a malformed share, and for a share that contradicts an earlier one of its
        index or comes from a culprit, unless it carries a proof that holds. Such a share leaves the session
        as it was. TypeError for something else than a share.
        """
        self._key.check_share_form(share)
        if self._signature is not None:
            return self._signature
        index = share.index
        known = self._valid.get(index) or self._untested.get(index)
        if known is not None and known.value == share.value and (share.proof is None or index in self._valid):
            return None
        contradicts = known is not None and known.value != share.value
        if contradicts or index in self._evidence:
            self._verify(share)
            self._untested.pop(index, None)
            self._valid[index] = share
        else:
            self._untested[index] = share
        self._attempt()
        return self._signature

    @property
    def signature(self) -> bytes | None:
        """The verified signature, `signature_length` bytes, once there is one."""
        return self._signature

    @property
    def culprits(self) -> tuple[int, ...]:
        """The indices that gave a share which its own proof convicts, ascending."""
        return tuple(sorted(self._evidence))

    @property
    def unproven(self) -> tuple[int, ...]:
        """After a failed combination: the indices whose share carries no proof, ascending. Ask for proofs."""
        if not self._failed or self._signature is not None:
            return ()
        return tuple(sorted(index for index, share in self._untested.items() if share.proof is None))

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        """For each culprit the first share that convicts it, by index."""
        return tuple(self._evidence[index] for index in self.culprits)

    def failure(self) -> CombineFailed:
        """Why there is no signature, if there are enough shares: `culprits`, `unproven`, or a BadFactor."""
        valid = [self._valid[index] for index in sorted(self._valid)]
        return self._represented.failure(valid, self.culprits, self.unproven)

    def _verify(self, share: AnySignatureShare) -> None:
        if share.proof is None:
            raise InvalidShare(share.index, "only a share with a proof can take the place of an earlier one")
        for culprit in self._represented.judge([share]).culprits:
            raise culprit

    def _attempt(self) -> None:
        if len(self._valid) + len(self._untested) < self._key.threshold:
            return
        valid = [self._valid[index] for index in sorted(self._valid)]
        others = [self._untested[index] for index in sorted(self._untested)]
        self._signature, judgement = resolve(self._represented, valid, others)
        self._failed = self._failed or self._signature is None
        for share in judgement.valid:
            self._valid[share.index] = self._untested.pop(share.index)
        for culprit in judgement.culprits:
            index = culprit.index or 0
            share = self._untested.pop(index)
            self._evidence[index] = Evidence(index, self._message, self._scheme, share, culprit.reason)
