"""A key without a dealer: its life, and everybody who deviates is named."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import pytest

from shoup_rsa import KeyShare, _arith, check_trials, open_key_share, seal_key_share
from shoup_rsa.dealerless import Culprit, Failure, Outgoing, Phase, Settings, Success, validate
from shoup_rsa.dealerless import final as last_checks
from shoup_rsa.dealerless.blame import Convicted
from shoup_rsa.dealerless.board import Board
from shoup_rsa.dealerless.message import Signed, Statement, statement_for
from shoup_rsa.dealerless.numbers import Malformed
from shoup_rsa.dealerless.work import Bodies, Work
from shoup_rsa.errors import InvalidMessage, InvalidTranscript
from tests.shoup_rsa import board
from tests.shoup_rsa.dealerless_net import Network, Tamper, sign, verify
from tests.shoup_rsa.dealerless_sizes import settings_for
from tests.shoup_rsa.outside import NEEDS_OPENSSL

LUCKY = 287
"""With this seed the first batch of 6 has a product of two primes."""
LIAR, VICTIM = 3, 1


class Spied(Network):
    """Remembers every party's seeds. The source draws them all at once, each independent of the others."""

    def __init__(self, settings: Settings, seed: int) -> None:
        drawn: dict[int, list[bytes]] = {}

        class Remembers(Work):
            __slots__ = ()

            def sieve_shares(self) -> Bodies:
                drawn[self._index] = list(self._secrets.seeds)
                return super().sieve_shares()

        super().__init__(settings, seed, liars=dict.fromkeys(settings.indices, Remembers))
        self.drawn = drawn


@cache
def finished() -> Spied:
    network = Spied(settings_for(), LUCKY)
    network.run()
    return network


def shares() -> list[KeyShare]:
    outcomes = [party.outcome for party in finished().parties.values()]
    assert all(isinstance(outcome, Success) for outcome in outcomes), outcomes
    return [outcome.key_share for outcome in outcomes if isinstance(outcome, Success)]


def test_all_get_shares_of_one_ordinary_key_of_known_origin() -> None:
    keys = {share.public_key for share in shares()}
    (key,) = keys
    assert (key.origin, key.protocol, key.epoch) == ("distributed", 3, 0)
    assert (key.parties, key.threshold, key.corruptions, key.key_size) == (4, 3, 1, 512)
    key.check_dealing()
    for party in finished().parties.values():
        assert isinstance(party.outcome, Success)
        check_trials(key, party.outcome.trial_signatures)


@NEEDS_OPENSSL
def test_the_life_of_a_key_without_a_dealer_under_its_first_pem(tmp_path: Path) -> None:
    """Signed by every quorum, refreshed, handed to five members, and openssl looks on with the first PEM."""
    present, key = shares(), shares()[0].public_key
    (tmp_path / "first.pem").write_bytes(key.to_pem())
    (tmp_path / "message").write_bytes(b"message")
    signatures = set()
    for sizes in ((4, 3, 1), (4, 3, 1), (5, 4, 1)):
        for quorum in (present[: key.threshold], present[-key.threshold :]):
            signature = key.combine(b"message", [share.sign_share(b"message") for share in quorum])
            signatures.add(signature)
        (tmp_path / "signature").write_bytes(signature)
        command = ["openssl", "dgst", "-sha256", "-verify", "first.pem", "-signature", "signature", "message"]
        assert (
            subprocess.run(command, cwd=tmp_path, capture_output=True, check=True).stdout == b"Verified OK\n"
        )
        key, present = board.hand_on(board.order_for(key, *sizes), present[: key.threshold])
        assert key.origin == "distributed"
    assert len(signatures) == 1


def test_the_key_and_its_shares_go_into_files_as_others_do() -> None:
    share = shares()[0]
    sealed = seal_key_share(share, b"passphrase")
    assert (
        open_key_share(sealed, b"passphrase", share.public_key).secret_to_bytes() == share.secret_to_bytes()
    )


def test_the_validator_comes_to_the_same_key_from_the_transcript_alone() -> None:
    party = finished().parties[2]
    verdict = validate(party.transcript.to_bytes(), verify)
    assert verdict.public_key == shares()[0].public_key
    assert (verdict.culprits, verdict.batches, verdict.settings) == ((), 1, finished().settings)
    check_trials(verdict.public_key, verdict.trial_signatures)


def test_all_keep_the_same_transcript() -> None:
    assert len({party.transcript.to_bytes() for party in finished().parties.values()}) == 1


def test_the_seeds_of_the_accepted_candidate_are_nowhere_in_the_transcript() -> None:
    """Opening a reject reveals nothing of the accepted candidate: no seed of it, and none above it."""
    network = finished()
    data = network.parties[1].transcript.to_bytes()
    batch = network.parties[1]._board.batch
    assert len(network.drawn) == 4
    closed = batch.closed
    assert batch.kept in closed
    assert len(closed) > 1, "small residues are refused, so it has spares"
    for index, drawn in network.drawn.items():
        for leaf, seed in enumerate(drawn):
            assert (seed in data) == (leaf not in closed), f"party {index}, leaf {leaf}"
    others = {
        leaf
        for number, pair in enumerate(batch.assigned)
        if pair is not None and number != batch.kept
        for chosen in pair
        for _, leaf in chosen
    }
    assert not others & closed, "no seed of it has anything to do with another candidate"


def flip(body: bytes, at: int) -> bytes:
    at %= len(body)
    return body[:at] + bytes((body[at] ^ 1,)) + body[at + 1 :]


def changed(phase: Phase, at: int, receiver: int = 0) -> Tamper:
    """The liar's message of a phase, one bit of it changed, before it is signed."""

    def tamper(sender: int, outgoing: Outgoing) -> Outgoing:
        head = Statement.decode(outgoing.statement)
        if (sender, head.kind, head.receiver) != (LIAR, phase, receiver):
            return outgoing
        return signed_anew(settings_for(), outgoing, flip(outgoing.body, at))

    return tamper


def signed_anew(settings: Settings, outgoing: Outgoing, body: bytes) -> Outgoing:
    head = Statement.decode(outgoing.statement)
    position = head.round, Phase(head.kind), head.chain
    return Outgoing(
        outgoing.receiver, statement_for(settings, position, head.sender, head.receiver, body), body
    )


class WrongProduct(Work):
    """A zero sharing that is none: N comes out larger by 12, which keeps it 1 modulo 12."""

    __slots__ = ()

    def product_shares(self) -> Bodies:
        settings = self._settings
        width, modulus = settings.product_bytes, settings.product_modulus
        found = {}
        for receiver, body in super().product_shares().items():
            number = (int.from_bytes(body[2 * width : 3 * width], "big") + 12) % modulus
            found[receiver] = body[: 2 * width] + number.to_bytes(width, "big") + body[3 * width :]
        own = self._secrets.products[self._index]
        own[0] = (own[0][0], own[0][1], own[0][2] + 12)
        return found


class Denies(Work):
    """Says of every candidate what makes it fail, also of a product of two primes."""

    __slots__ = ()

    def test_commit(self) -> Bodies:
        super().test_commit()
        batch, secrets = self._board.batch, self._secrets
        images = {
            number: 2 * value % batch.moduli[number]
            for number, value in batch.decode_images(secrets.opened).items()
        }
        secrets.opened = batch.encode_images(images, bytes(32))
        return {0: batch.test_commitment(self._index, secrets.opened)}


class Rushing(Work):
    """Opens what makes every candidate pass, once it has seen the others' values. It could, uncommitted."""

    __slots__ = ()

    def test_opening(self) -> Bodies:
        batch = self._board.batch
        images = dict.fromkeys(batch.tested, 4)
        return {0: batch.encode_images(images, bytes(32))}


class LateDenial(Work):
    """Makes the accepted candidate fail in the further rounds."""

    __slots__ = ()

    def final_commit(self) -> Bodies:
        super().final_commit()
        batch, secrets = self._board.batch, self._secrets
        secrets.statement = self.change(secrets.statement)
        return {0: batch.final_commitment(self._index, secrets.statement)}

    def change(self, statement: bytes) -> bytes:
        return flip(statement, 40)


class WrongMask(LateDenial):
    """Opens another share of the masked p + q - 1."""

    __slots__ = ()

    def change(self, statement: bytes) -> bytes:
        return flip(statement, len(statement) - 4)


class WrongResidue(LateDenial):
    """Opens another residue of p_i + q_i, so that d would be another one."""

    __slots__ = ()

    def change(self, statement: bytes) -> bytes:
        return flip(statement, len(statement) - 1)


class NoSquare(LateDenial):
    """v = -h^2 in place of h^2: of symbol 1, and no square."""

    __slots__ = ()

    def change(self, statement: bytes) -> bytes:
        width = self._settings.key_size // 8
        at = 32 + 64 * width
        number = self._board.batch.modulus - int.from_bytes(statement[at : at + width], "big")
        return statement[:at] + number.to_bytes(width, "big") + statement[at + width :]


class WrongExponent(Work):
    """Another V_i than follows from what it said in the test."""

    __slots__ = ()

    def exponent(self) -> Bodies:
        body = super().exponent()[0]
        return {0: flip(body, len(body) - 1)}


class ConsistentExponent(Work):
    """Another part of p + q in both, which fit together: w_i v^e and V_i v^(-4 zeta)."""

    __slots__ = ()

    def exponent(self) -> Bodies:
        batch = self._board.batch
        exponent = last_checks.exponent_of(batch.statements, batch.modulus)
        modulus, width = batch.modulus, self._settings.key_size // 8
        body = super().exponent()[0]
        numbers = [int.from_bytes(body[at : at + width], "big") for at in (0, width)]
        numbers[0] = numbers[0] * _arith.power(exponent.base, 65537, modulus) % modulus
        numbers[1] = numbers[1] * _arith.power(exponent.base, -4 * exponent.zeta, modulus) % modulus
        return {0: b"".join(number.to_bytes(width, "big") for number in numbers)}


class OtherSeeds(Work):
    """Opens one seed that it has not committed to."""

    __slots__ = ()

    def seed_opening(self) -> Bodies:
        return {0: flip(super().seed_opening()[0], 0)}


class Slanders(Work):
    """Accuses the victim of a private message that is as it should be."""

    __slots__ = ()

    def verdict(self) -> Bodies:
        return {0: self._received[Phase.SIEVE_SHARES][VICTIM].encode()}


LIARS: dict[str, tuple[type[Work] | Tamper, str]] = {
    "a share in the sieve": (changed(Phase.SIEVE_SHARES, 30, VICTIM), "in the sieve is not what its seeds"),
    "rho in the sieve": (
        changed(Phase.SIEVE_SHARES, 4 * 27 - 2, VICTIM),
        "in the sieve is not what its seeds",
    ),
    "an opening in the sieve": (changed(Phase.SIEVE_OPENING, 20), "its opening in the sieve"),
    "an opening of a spare": (changed(Phase.SIEVE_OPENING, -1), "its opening in the sieve"),
    "a share of a product": (changed(Phase.PRODUCT_SHARES, 40, VICTIM), "in the product is not what its"),
    "an opening of a product": (changed(Phase.PRODUCT_OPENING, 40), "its opening of a product"),
    "a product that is larger": (WrongProduct, "in the product is not what its seeds say"),
    "it denies a product of two primes": (Denies, "its value in the biprimality test is wrong"),
    "it rushes in the test": (Rushing, "it opens other values than it committed to"),
    "it opens other seeds": (OtherSeeds, "it opens other seeds than it committed to"),
    "it slanders": (Slanders, f"it accuses party {VICTIM} falsely"),
    "a share in the last checks": (changed(Phase.FINAL_SHARES, 10, VICTIM), "in the last checks is not what"),
    "it denies the accepted candidate": (LateDenial, "its statement in the last checks is wrong"),
    "a masked value": (WrongMask, "its statement in the last checks is wrong"),
    "a residue": (WrongResidue, "it uses another part of p + q"),
    "no square": (NoSquare, "its statement in the last checks is wrong"),
    "an exponent": (WrongExponent, "it uses another part of p + q"),
    "an exponent that fits": (ConsistentExponent, "its power of v in the biprimality test is wrong"),
    "a dealing": (changed(Phase.DEALING, -5), "its dealing is invalid"),
    "a trial share": (changed(Phase.TRIAL, 50), "its trial shares do not hold"),
    "another key": (changed(Phase.CONFIRM, 0), "it confirms another key"),
    "a receiver key": (changed(Phase.SETUP, 25), "its message (SETUP) is invalid"),
}


QUICK = {
    "a share in the sieve",
    "an opening in the sieve",
    "a product that is larger",
    "it denies a product of two primes",
    "it rushes in the test",
    "it opens other seeds",
    "an exponent",
}
assert set(LIARS) >= QUICK


def slow(values: Iterable[object], quick: Iterable[object]) -> list[object]:
    """All values as parameters; those that are not quick for campaigns only."""
    return [value if value in quick else pytest.param(value, marks=pytest.mark.campaign) for value in values]


def all_fail_alike(network: Network) -> Culprit:
    """Whom all but the liar name, which is one party, and the transcript of one of them, if it is proven."""
    outcomes = {index: one for index, one in network.run().items() if index != LIAR}
    assert all(isinstance(outcome, Failure) for outcome in outcomes.values()), outcomes
    named = [outcome.culprits for outcome in outcomes.values() if isinstance(outcome, Failure)]
    assert all([culprit.index for culprit in culprits] == [LIAR] for culprits in named), named
    witness = next((place for place, culprits in enumerate(named) if culprits[0].proven), None)
    judged = list(outcomes)[witness or 0]
    verdict = validate(network.parties[judged].transcript.to_bytes(), verify)
    assert [culprit.index for culprit in verdict.culprits] == ([] if witness is None else [LIAR])
    assert verdict.public_key is None
    return named[witness or 0][0]


@pytest.mark.parametrize("lie", slow(LIARS, QUICK))
def test_whoever_lies_is_named_by_all_and_by_the_validator(lie: str) -> None:
    how, reason = LIARS[lie]
    if isinstance(how, type):
        network = Network(settings_for(), LUCKY, liars={LIAR: how})
    else:
        network = Network(settings_for(), LUCKY, tamper=how)
    culprit = all_fail_alike(network)
    assert culprit.proven
    assert reason in culprit.reason


SILENT = (Phase.SETUP, Phase.SIEVE_SHARES, Phase.SEED_OPENING, Phase.FINAL_OPENING, Phase.TRIAL)


@pytest.mark.parametrize("phase", slow(SILENT, {Phase.SEED_OPENING}))
def test_whoever_is_silent_is_named_by_all_who_waited_and_by_no_transcript(phase: Phase) -> None:
    def silent(sender: int, outgoing: Outgoing) -> Outgoing | None:
        kind = Statement.decode(outgoing.statement).kind
        return None if (sender, kind) == (LIAR, phase) else outgoing

    culprit = all_fail_alike(Network(settings_for(), LUCKY, tamper=silent))
    assert not culprit.proven
    assert "nothing" in culprit.reason


class Equivocates(Network):
    """The liar's commitment to its seeds is another one to the victim than to all others."""

    def send(self, sender: int, outgoing: Outgoing | None) -> None:
        assert outgoing is not None
        head = Statement.decode(outgoing.statement)
        if (sender, head.kind) != (LIAR, self.where):
            super().send(sender, outgoing)
            return
        other = signed_anew(self.settings, outgoing, flip(outgoing.body, 0))
        for receiver in self.settings.indices:
            which = other if receiver == VICTIM else outgoing
            message = Signed(which.statement, which.body, sign(sender, which.statement))
            self._queue.append((sender, receiver, message))

    where = Phase.COMMIT


@pytest.mark.parametrize("phase", slow([Phase.COMMIT, Phase.SETUP, Phase.TEST_OPENING], {Phase.COMMIT}))
def test_whoever_tells_one_party_something_else_is_convicted_by_its_signatures(phase: Phase) -> None:
    network = Equivocates(settings_for(), LUCKY)
    network.where = phase
    culprit = all_fail_alike(network)
    assert culprit.proven
    assert phase is not Phase.COMMIT or "two different messages" in culprit.reason


def short(phase: Phase, receiver: int) -> Tamper:
    def tamper(sender: int, outgoing: Outgoing) -> Outgoing:
        head = Statement.decode(outgoing.statement)
        if (sender, head.kind, head.receiver) != (LIAR, phase, receiver):
            return outgoing
        return signed_anew(settings_for(), outgoing, outgoing.body[:-1])

    return tamper


LONG = [phase for phase in Phase if phase < Phase.ACCUSATION and "VERDICT" not in phase.name]
LONG.remove(Phase.KEPT_OPENING)


@pytest.mark.parametrize("phase", slow(LONG, {Phase.SIEVE_SHARES}))
def test_a_message_of_a_wrong_length_convicts_its_sender(phase: Phase) -> None:
    """In all phases in which an honest run sends something."""
    tamper = short(phase, VICTIM if phase.private else 0)
    culprit = all_fail_alike(Network(settings_for(), LUCKY, tamper=tamper))
    assert culprit.proven


def test_an_accepted_candidate_that_fails_without_a_liar_is_opened_and_another_batch_follows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As it happens when e divides phi: once in thirty thousand keys. Nobody is blamed, and nobody stops."""

    def refused(*_: object) -> bool:
        return False

    monkeypatch.setattr(last_checks, "accepts", refused)

    def until_the_next_batch(sender: int, outgoing: Outgoing) -> Outgoing | None:
        kind = Statement.decode(outgoing.statement).kind
        return None if kind == Phase.COMMIT and network.parties[1]._board.batch.number else outgoing

    network = Network(settings_for(), LUCKY, tamper=until_the_next_batch)
    network.run()
    for party in network.parties.values():
        assert (party.phase, party._board.batch.number) == (Phase.COMMIT, 1)
        assert not party.transcript.accusations
        opened = [Statement.decode(messages[0].statement).kind for messages in party.transcript.rounds]
        assert opened[-2:] == [Phase.KEPT_OPENING, Phase.KEPT_VERDICT]


def test_nothing_counts_that_its_sender_has_not_signed_for_this_session() -> None:
    settings = settings_for()
    network, other = Network(settings, 1), Network(settings_for(context=b"other"), 1)
    party = network.parties[1]
    first = network.parties[2].start().outgoing[0]
    foreign = other.parties[2].start().outgoing[0]
    good = Signed(first.statement, first.body, sign(2, first.statement))
    ahead = statement_for(settings, (2, Phase.SIEVE_SHARES, bytes(32)), 2, 1, b"")
    for bad in (
        Signed(first.statement, first.body, sign(3, first.statement)),
        Signed(first.statement, first.body + b"x", good.signature),
        Signed(first.statement[:-1], first.body, good.signature),
        Signed(foreign.statement, foreign.body, sign(2, foreign.statement)),
        Signed(ahead, b"", sign(2, ahead)),
    ):
        with pytest.raises(InvalidMessage):
            party.receive(2, bad)
    with pytest.raises(InvalidMessage):
        party.receive(3, good)
    party.start()
    assert party.missing == (1, 2, 3, 4)
    party.receive(2, good)
    assert party.missing == (1, 3, 4)


@pytest.mark.campaign
@pytest.mark.parametrize("place", range(14))
def test_whatever_bytes_a_party_broadcasts_the_board_goes_on_or_names_that_party(place: int) -> None:
    rounds = finished().parties[1].transcript.rounds
    dice = random.Random(place)
    for _ in range(6):
        public = Board(settings_for(), verify)
        for number, messages in enumerate(rounds[: place + 1]):
            if public.phase.private:
                public.skip()
            if number < place:
                public.apply(messages)
        bodies = [message.body for message in rounds[place]]
        body = bytearray(bodies[LIAR - 1])
        if body:
            start = dice.randrange(len(body))
            body[start : start + 64] = dice.randbytes(len(body[start : start + 64]))
        bodies[LIAR - 1] = bytes(body) + dice.randbytes(dice.choice((0, 0, 0, 1)))
        named = [LIAR]
        try:
            public.apply([Signed(bytes(10), one, b"") for one in bodies])
        except Convicted as error:
            named = [culprit.index for culprit in error.culprits]
        assert named == [LIAR]
        with pytest.raises(Malformed):
            public.check_private(Phase.SIEVE_SHARES, dice.randbytes(dice.randrange(900)))


def test_a_transcript_that_no_run_leaves_behind_is_refused() -> None:
    transcript = finished().parties[1].transcript
    data = transcript.to_bytes()
    for bad in (b"", data[:50], data[:-1], flip(data, 31), flip(data, 33), flip(data, 60), flip(data, -1)):
        with pytest.raises(InvalidTranscript):
            validate(bad, verify)
    with pytest.raises(InvalidTranscript):
        validate(data, lambda index, statement, signature: False)


def test_secrets_do_not_show() -> None:
    party = finished().parties[1]
    for shown in (repr(party._work), repr(party.outcome), repr(party._work._state)):
        assert str(shares()[0]._secret) not in shown
    with pytest.raises(TypeError, match="copied"):
        party._work.__reduce__()
