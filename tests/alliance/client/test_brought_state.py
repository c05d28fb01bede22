"""What a listener begins from: every field of an offer and of a part of its state, spoilt in every way."""

from __future__ import annotations

from typing import Any

import pytest

from alliance.client.brought_state import BroughtState
from alliance.errors import ServerLied
from alliance.pb.peer_pb2 import LogFrame
from alliance.wire.bounds import Malformed, OverLimit
from alliance.wire.checkpoints import encode_offer, encode_part
from quorum import InvalidCertificate, InvalidStatement, MembershipStatement
from tests.alliance.farm import Chain, Farm
from tests.alliance.matrix import Exemplars, Setting, chain_of_all, settings
from tests.alliance.matrix_rows import parsed
from tests.alliance.spoiling import Path, paths, spoilt
from verifiable_log.checkpoint_offer import Offer

ROWS = """
offer | certificate: alliance | log: empty | true: epoch old slot view
offer.checkpoint | certificate: alliance | form: empty | lie: old slot | true: epoch
offer.checkpoint.tag | form: largest less more zero
offer.checkpoint.epoch | certificate: epoch largest more
offer.checkpoint.fields | certificate: changed old slot zeros | form: cut empty huge longer
offer.checkpoint.signature | certificate: alliance changed cut epoch longer old slot zeros | form: empty
    | limit: huge
offer.peaks | form: cut empty huge longer | lie: changed dropped empty old reversed slot twice zeros
    | limit: many
offer.leaves | form: cut empty huge longer | lie: changed dropped empty old reversed slot twice zeros
    | limit: many
offer.certificate | certificate: alliance | form: empty | true: epoch view
offer.certificate.tag | form: largest less more zero
offer.certificate.epoch | certificate: epoch largest more
offer.certificate.fields | certificate: changed view zeros | form: cut empty huge longer
offer.certificate.signature | certificate: alliance changed cut epoch longer view zeros | form: empty
    | limit: huge
offer.cover | form: cut empty huge longer | lie: changed dropped empty old reversed slot twice zeros
    | limit: many
state_part | lie: empty old slot
state_part.slot | form: largest zero | lie: less more old slot
state_part.first | lie: largest more
state_part.items | form: empty | lie: changed cut dropped empty longer old reversed slot twice zeros
    | limit: huge many
"""
"""As in ``matrix_rows``. ``lie``: well-formed, and refuted by what the alliance signed. ``log``: taken for a
frame of the log from slot 1, which has to prove itself. ``true``: a checkpoint, all of it signed, be it in
another epoch.
"""

TABLE = parsed(ROWS)


class Told:
    """An offer and the one part of its state, of this and of other slots, epochs and alliances."""

    def __init__(self, farm: Farm, chain: Chain) -> None:
        self._exemplars = Exemplars(farm, chain)
        self._chain = chain
        self._scheme = farm.config.scheme
        self.true = self._messages(Setting())
        self.others = {way: self._messages(setting) for way, setting in settings(farm).items()}

    def _messages(self, setting: Setting) -> dict[str, bytes]:
        made: dict[str, Any] = self._exemplars.make(setting)
        offer, part = encode_offer(made["offer"]), encode_part(made["state_part"])
        frames = {"offer": LogFrame(offer=offer), "state_part": LogFrame(state_part=part)}
        return {kind: frame.SerializeToString() for kind, frame in frames.items()}

    def spoilt(self, path: Path) -> list[tuple[str, bytes]]:
        others = {way: messages[path[0]] for way, messages in self.others.items()}
        return list(spoilt(path, self.true[path[0]], others, LogFrame))

    def judge(self, kind: str, data: bytes) -> str:
        """The verdict on a message in the place of the true one of this kind."""
        brought = BroughtState(self._scheme, None)
        if kind == "state_part":
            assert brought.take(LogFrame.FromString(self.true["offer"]))
        try:
            if not brought.take(LogFrame.FromString(data)):
                return "log"
        except OverLimit:
            return "limit"
        except (Malformed, InvalidStatement):
            return "form"
        except InvalidCertificate:
            return "certificate"
        except ServerLied:
            return "lie"
        assert brought.frontier.root == self._chain.root(brought.frontier.size)
        return "true"


@pytest.fixture(scope="module")
def told(farm: Farm) -> Told:
    return Told(farm, chain_of_all(farm))


def test_every_field_has_its_row() -> None:
    assert set(TABLE) == {path for path in paths(LogFrame.DESCRIPTOR) if path[0] in ("offer", "state_part")}


def test_what_is_spoilt_below_is_true_itself(told: Told) -> None:
    assert {kind: told.judge(kind, data) for kind, data in told.true.items()} == dict.fromkeys(
        ("offer", "state_part"), "true"
    )


def test_the_end_of_an_epoch_is_certified_by_the_membership_of_the_next(farm: Farm) -> None:
    chain = chain_of_all(farm)
    at, snapshot = len(chain.entries), chain.snapshot(len(chain.entries))

    def verdict(next_epoch: int = 1, revision: int = 0, digest: bytes = snapshot.digest) -> str:
        said = MembershipStatement(next_epoch, revision, at, snapshot.frontier.root, digest, b"c" * 32)
        parts = snapshot.frontier.peaks, snapshot.leaves, chain.certificate(at), ()
        offer = LogFrame(offer=encode_offer(Offer(farm.certify(said), *parts)))
        brought = BroughtState(farm.config.scheme.in_epoch(3), None)
        try:
            return "true" if brought.take(offer) else "log"
        except Malformed:
            return "form"
        except ServerLied:
            return "lie"

    assert verdict() == "true"
    assert verdict(digest=b"d" * 32) == "lie"
    assert verdict(next_epoch=0, revision=1, digest=bytes(32)) == "form"  # a revision is no checkpoint
    assert verdict(next_epoch=2) == "form"


@pytest.mark.parametrize("path", list(TABLE), ids=".".join)
def test_a_spoilt_field(told: Told, path: Path) -> None:
    verdicts: dict[str, set[str]] = {}
    for way, data in told.spoilt(path):
        verdicts.setdefault(told.judge(path[0], data), set()).add(way)
    assert verdicts == TABLE[path]
