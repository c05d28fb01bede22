"""Other public keys of an alliance: those that a change brings, and how one comes to them."""

from __future__ import annotations

from alliance.config.key_changes import KeyChange
from consensus.control.encoding import MalformedControl, Reader
from quorum import InvalidCertificate, QuorumSystem
from quorum.new_keys import NewKeysDealing, seal_new_keys
from quorum.system import LEAN
from quorum.threshold_rsa import InvalidAgreementKey, ThresholdRsaEndorser
from tests.alliance.epochs import END, next_epoch
from tests.alliance.farm import Farm
from tests.shoup_rsa.board import receiver
from tests.shoup_rsa.conftest import deal_once
from tests.worlds.require import require

RECEIVER_BITS = 1024


class ChangeTarget:
    """Two changes, as in alliance.toml: nobody believes other keys than the key before has certified."""

    def __init__(self, farm: Farm) -> None:
        second, _ = next_epoch(farm, stock=1)
        third, _ = next_epoch(second, start=2 * END)
        self._changes = third.config.key_changes
        self._scheme = farm.config.scheme
        self.corpus = [change.encode() for change in self._changes]

    def __call__(self, data: bytes) -> bool:
        reader = Reader(data)
        try:
            change = KeyChange.read(reader)
            reader.end()
        except MalformedControl:
            return False
        require(change.encode() == data, "a change of keys has two forms")
        scheme = self._scheme
        for known, its in zip(self.corpus, self._changes, strict=True):
            try:
                change.follow(scheme)
            except InvalidCertificate:
                pass
            else:
                require(data == known, "keys are believed that nobody has certified")
            scheme = its.follow(scheme)
        return True


class NewKeysTarget:
    """Small keys for four members: whoever takes them has the share that its dealer has made, or none."""

    def __init__(self) -> None:
        system = QuorumSystem(4, 1, LEAN)
        self._sizes = system.member_count, (system.decision, system.mostly_correct), system.faulty_max
        members, thresholds, faulty = self._sizes
        self._present, dealt = [], []
        for place, threshold in enumerate(thresholds):
            old, new = (
                deal_once(members, threshold, faulty, f"{name} {place}", dealing, 512, 2)
                for dealing, name in enumerate(("town", "new"))
            )
            self._present.append(old.public_key)
            dealt.append((new.public_key, [ThresholdRsaEndorser(share) for share in new.key_shares]))
        receivers = [receiver(RECEIVER_BITS, number) for number in range(members)]
        self._secret, self._mine = receivers[0], [shares[0].key_share._secret for _, shares in dealt]
        swapped = [(key, shares[::-1]) for key, shares in dealt]
        self.corpus = [
            seal_new_keys(some, [one.key for one in receivers]).encode()
            for some in (dealt, dealt[:1], swapped)
        ]

    def __call__(self, data: bytes) -> bool:
        members, thresholds, faulty = self._sizes
        try:
            dealing = NewKeysDealing.decode(data)
            require(dealing.encode() == data, "new keys have two forms")
        except InvalidAgreementKey:
            return False
        try:
            dealing.require(self._present, members, thresholds, faulty, 1)
            received = [one.key_share._secret for one in dealing.receive(0, self._secret)]
        except InvalidAgreementKey:
            return True
        require(received == self._mine, "a share is taken that nobody has dealt")
        return True
