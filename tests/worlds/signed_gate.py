"""The product's own gate, seal, codec and threshold scheme in the simulated world, with keys from a seed.

The keys are small and known to everybody who reads this: the code is that of the product. Here a liar's words
carry its own real signature, and nothing else stops it from speaking for others.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from hashlib import sha256
from random import Random
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from alliance.config.file import AllianceConfig
from alliance.config.founding import FoundingMember, FoundingRecord
from alliance.config.identity import certify_itself
from alliance.config.parties import Member, Party
from alliance.evidence.portable import PortableEvidence, export
from alliance.evidence.verdict import Conviction, verify
from alliance.server import gate as product
from alliance.storage.history import History
from alliance.wire import peer_messages
from alliance.wire.bounds import Malformed
from fab_paxos.evidence import Evidence, TwoSubmissions
from fab_paxos.messages import Accepted, Message, NewView, Propose, Report
from quorum import Endorser, QuorumSystem
from quorum.threshold_rsa import ThresholdRsaEndorser
from shoup_rsa import CompositeKeyShare, CompositePublicKey, PublicKey, generate_threshold_key
from tests.worlds.cluster import client_id
from tests.worlds.court import Court
from tests.worlds.gate import Dropped, Gate
from tests.worlds.timed import MILLISECOND, SECOND, TimedWorld
from verifiable_log import Submission

KEY_BITS = 512
EPOCH = 3
CLIENTS = (*range(10), *range(30, 33), 90, *range(900, 903))


class Client(Party):
    """Known by its number: simulated clients have no other name."""

    @property
    def client_id(self) -> bytes:
        return client_id(int(self.name))


def key(name: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(sha256(b"simulated " + name.encode()).digest())


def _public(name: str) -> bytes:
    return key(name).public_key().public_bytes_raw()


@lru_cache(maxsize=8)
def founded(
    system: QuorumSystem, name: str = "simulated", epoch: int = EPOCH, factors: int = 1
) -> tuple[AllianceConfig, tuple[Endorser, ...]]:
    """An alliance and its members' shares, the same every time. With several factors its key is composite."""
    public, endorsers = dealt(system, epoch, factors)
    names = [f"member-{number + 1}" for number in range(system.member_count)]
    certificates = {one: certify_itself(one, key(one)) for one in names}
    members = tuple(
        Member(one, _public(one), certificates[one], f"{one}:7400", organisation=one) for one in names
    )
    clients = tuple(Client(str(one), _public(f"client {one}"), members[0].certificate) for one in CLIENTS)
    founding = FoundingRecord(
        name,
        "2030-01-01T00:00:00Z",
        system,
        tuple(FoundingMember(one, one, _public(one)) for one in names),
        tuple((one, _public(f"operator of {one}")) for one in names),
        (("agreement", public.key_id),),
    )
    config = AllianceConfig(founding, public, members, clients, epoch=epoch)
    return config, endorsers


def dealt(
    system: QuorumSystem, epoch: int, factors: int = 1, other: int = 0
) -> tuple[PublicKey, tuple[Endorser, ...]]:
    """``other``: other keys than that of the founding, which has 0."""
    dealings = [
        generate_threshold_key(
            system.member_count,
            system.decision,
            system.faulty_max,
            KEY_BITS,
            epoch=epoch,
            factors=factors,
            insecure_small_key=True,
            random_below=Random(system.member_count + 1000 * place + 100_000 * other).randrange,
        )
        for place in range(factors)
    ]
    if factors == 1:
        return dealings[0].public_key, tuple(map(ThresholdRsaEndorser, dealings[0].key_shares))
    public = CompositePublicKey(tuple(one.public_key for one in dealings), insecure_small_key=True)
    held = zip(*(one.key_shares for one in dealings), strict=True)
    return public, tuple(ThresholdRsaEndorser(CompositeKeyShare(public, shares)) for shares in held)


class SignedGate(Gate):
    """What the simulated gate demands of correct members, and the product's gate for everybody."""

    def __init__(self, config: AllianceConfig) -> None:
        super().__init__(config.system, config.scheme)
        self._context = config.context
        self._gate = product.Gate(config)
        self._seals = [product.Seal(config, me, key(member.name)) for me, member in enumerate(config.members)]

    def signed(self, submission: Submission) -> Submission:
        client = int.from_bytes(submission.client_id, "big")
        signature = key(f"client {client}").sign(submission.statement().encode(self._context))
        return Submission.decode(submission.encoded[: -len(signature)] + signature)

    def seal(self, sender: int, message: Message, *, honest: bool) -> Message:
        said = super().seal(sender, message, honest=honest)
        data = self._seals[sender].close(self._unsigned(sender, said))
        try:
            return peer_messages.decode(sender, data)
        except Malformed as error:
            raise Dropped(f"malformed: {error}") from None

    def admit(self, sender: int, message: Message) -> Message:
        super().admit(sender, message)
        admitted = self._gate.admit(sender, peer_messages.encode(message))
        if isinstance(admitted, product.Rejected):
            raise Dropped(admitted.reason)
        return admitted.message

    def _unsigned(self, sender: int, said: Message) -> Message:
        """Without the sender's own signature, which is to be the real one."""
        match said:
            case Propose(view, slot, batch, root) if self._system.leader(view) == sender:
                return Propose(view, slot, batch, root)
            case Accepted(view, slot, root):
                return Accepted(view, slot, root)
            case Report(view, base, entries):
                leads = self._system.leader
                own = tuple(replace(e, signature=b"") if leads(e.view) == sender else e for e in entries)
                return Report(view, base, own, openings=said.openings)
            case NewView(view, reports, vector) if self._system.leader(view) == sender:
                own = tuple(
                    (m, self._unsigned(m, report) if m == sender else report) for m, report in reports
                )
                return NewView(view, own, vector)
            case _:
                return said


class SignedCourt(Court):
    """Takes the words as they were signed, and judges them by the alliance's own configuration."""

    def __init__(self, config: AllianceConfig, gate: Gate) -> None:
        super().__init__(config.system, gate)
        self._config = config

    def judge(self, culprit: str, evidence: Evidence | TwoSubmissions, history: History) -> Conviction:
        kind, _, number = culprit.partition("-")
        name = self._config.members[int(number)].name if kind == "member" else number
        self.files.append(export(self._config.context, name, evidence, history).to_json())
        verdict = verify(self._config, PortableEvidence.from_json(self.files[-1]))
        return replace(verdict, culprit=culprit)


def signed_world(
    system: QuorumSystem,
    seed: int,
    factors: int = 1,
    alliance: tuple[AllianceConfig, tuple[Endorser, ...]] | None = None,
    **options: Any,
) -> TimedWorld:
    """With the options of ``TimedWorld``. ``alliance``: who takes part, unless it is as it was founded."""
    config, endorsers = alliance or founded(system, factors=factors)
    gate = SignedGate(config)
    court = SignedCourt(config, gate)
    signed: dict[str, Any] = {
        "scheme": config.scheme,
        "endorsers": list(endorsers),
        "gate": gate,
        "court": court,
    }
    return TimedWorld(system, seed, **signed, **options)


def live_through(world: TimedWorld) -> None:
    """Six members decide, change their leader, and take one back that was cut off; what holds is checked."""
    world.isolate(5)
    for number in range(6):
        world.submit(1 + number % 3, world.write(1, number))
        world.advance(world.now + 20 * MILLISECOND)
        if number == 3:
            world.fire_view_timers()
    world.advance(world.now + 2 * SECOND)
    world.cut = set()
    world.advance(world.now + 4 * SECOND)
    world.check_all()
