"""A party's secrets of one generation, and what it sends in each phase."""

from __future__ import annotations

from shoup_rsa._entropy import RandomBelow
from shoup_rsa.dealerless import biprimality, final, product, seeds, sieve
from shoup_rsa.dealerless.board import Board
from shoup_rsa.dealerless.judging import decode_final_shares, encode_final_shares
from shoup_rsa.dealerless.message import Phase, Signed
from shoup_rsa.dealerless.settings import Settings
from shoup_rsa.hidden import Unchanged
from shoup_rsa.key_share import KeyShare
from shoup_rsa.redistribution.additive import additive_receiver_bits
from shoup_rsa.redistribution.receivers import ReceiverSecret, generate_receiver

Bodies = dict[int, bytes]
"""By receiver, 0 for all."""


class _Secrets:
    """Of one batch. Never shown."""

    def __init__(self, own: list[bytes]) -> None:
        self.seeds = own
        self.shares: dict[int, sieve.Shares] = {}
        self.sums = sieve.Shares([], [])
        self.parts: dict[int, tuple[int, int]] = {}
        self.products: dict[int, list[tuple[int, int, int]]] = {}
        self.opened = b""
        self.statement = b""

    def __repr__(self) -> str:
        return "_Secrets(<hidden>)"


class Work(Unchanged):
    """What one party computes with secrets. It is told nothing but the board and the private messages."""

    __slots__ = ("_board", "_index", "_random_below", "_received", "_state")
    _copying = "a party's secrets cannot be copied or pickled"
    _changing = "a party's secrets are changed by its own phases alone"

    _board: Board
    _index: int
    _random_below: RandomBelow
    _received: dict[Phase, dict[int, Signed]]
    _state: dict[str, object]

    def __init__(self, board: Board, index: int, random_below: RandomBelow) -> None:
        """random_below: the source of randomness; leave it alone outside tests."""
        for name, value in (
            ("_board", board),
            ("_index", index),
            ("_random_below", random_below),
            ("_received", {}),
            ("_state", {}),
        ):
            object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        return f"Work(index={self._index}, secrets=<hidden>)"

    def bodies(self) -> Bodies:
        """What this party sends in the board's phase: there is a method for each."""
        found: Bodies = getattr(self, self._board.phase.name.lower())()
        return found

    def take(self, messages: dict[int, Signed]) -> None:
        """The private messages of the board's phase, of all others, which are well-formed."""
        self._received[self._board.phase] = messages

    def forget(self) -> None:
        """All secrets: the generation has failed."""
        self._state.clear()
        self._received.clear()

    @property
    def key_share(self) -> KeyShare:
        """This party's share of the key, from TRIAL on."""
        share = self._state["share"]
        if not isinstance(share, KeyShare):
            raise RuntimeError("there is no share yet")
        return share

    @property
    def _settings(self) -> Settings:
        return self._board.settings

    @property
    def _secrets(self) -> _Secrets:
        secrets = self._state["batch"]
        if not isinstance(secrets, _Secrets):
            raise RuntimeError("there is no batch yet")
        return secrets

    @property
    def _others(self) -> list[int]:
        return [index for index in self._settings.indices if index != self._index]

    def _bytes(self, length: int) -> bytes:
        return self._random_below(1 << 8 * length).to_bytes(length, "big")

    def setup(self) -> Bodies:
        """A receiver key."""
        settings = self._settings
        bits = additive_receiver_bits(settings.parties, settings.threshold, settings.key_size)
        secret = generate_receiver(bits, random_below=self._random_below)
        self._state["receiver"] = secret
        return {0: secret.key.to_bytes()}

    def commit(self) -> Bodies:
        """The root of all seeds of the batch."""
        own = seeds.split(self._bytes(seeds.SEED_LENGTH * self._settings.leaves))
        self._state["batch"] = _Secrets(own)
        self._received.clear()
        return {0: seeds.root(self._settings, self._board.batch.number, self._index, own)}

    def sieve_shares(self) -> Bodies:
        """Shares of a, b, zero, and the rho."""
        secrets = self._secrets
        secrets.shares = sieve.all_shares(self._settings, secrets.seeds)
        return {j: sieve.encode_shares(self._settings, secrets.shares[j]) for j in self._others}

    def sieve_opening(self) -> Bodies:
        """y of all residues."""
        settings, secrets = self._settings, self._secrets
        received = self._received[Phase.SIEVE_SHARES].values()
        shares = [sieve.decode_shares(settings, message.body) for message in received]
        secrets.sums = sieve.add_up(settings, [*shares, secrets.shares[self._index]])
        secrets.shares = {}
        return {0: sieve.encode_opening(settings, sieve.open_sums(settings, secrets.sums))}

    def product_shares(self) -> Bodies:
        """Shares of p_i, q_i and zero of all candidates that are left."""
        settings, secrets = self._settings, self._secrets
        secrets.products = {j: [] for j in settings.indices}
        for candidate in self._board.batch.live:
            random = product.randomness(settings, secrets.seeds[candidate])
            residues = [self._residue(candidate, factor) for factor in sieve.FACTORS]
            parts = product.parts(settings, self._index, residues, random.widths)
            secrets.parts[candidate] = parts
            for j, rows in secrets.products.items():
                rows.append(product.shares_at(settings, parts, random, j))
        return {
            j: product.encode(settings, [number for row in secrets.products[j] for number in row])
            for j in self._others
        }

    def _residue(self, candidate: int, factor: int) -> int:
        """This party's part of p or q modulo the free primes."""
        settings, secrets = self._settings, self._secrets
        replacements = self._board.batch.assigned[candidate]
        if replacements is None:
            raise RuntimeError("the candidate was given up")
        sharing = sieve.candidate_sharings(settings, secrets.seeds[candidate])[factor]
        row = secrets.sums.candidates[candidate][4 * factor : 4 * factor + 4]
        spares = [
            (prime, secrets.sums.spares[leaf - settings.batch][0]) for prime, leaf in replacements[factor]
        ]
        return sieve.additive_part(settings, self._index, row[0], spares, (row[3], sum(sharing.rho)))

    def product_opening(self) -> Bodies:
        """y of all products."""
        settings, secrets, live = self._settings, self._secrets, self._board.batch.live
        columns = [[number for row in secrets.products[self._index] for number in row]]
        columns += [
            product.decode(settings, message.body, 3 * len(live))
            for message in self._received[Phase.PRODUCT_SHARES].values()
        ]
        secrets.products = {}
        sums = [sum(column) for column in zip(*columns, strict=True)]
        rows = (sums[at : at + 3] for at in range(0, len(sums), 3))
        return {
            0: product.encode(
                settings, [product.opening_value(row, settings.product_modulus) for row in rows]
            )
        }

    def test_commit(self) -> Bodies:
        """A commitment to the values of the first round."""
        batch, secrets = self._board.batch, self._secrets
        images = {
            candidate: biprimality.image(
                self._index, sum(secrets.parts[candidate]), batch.bases[candidate], modulus
            )
            for candidate, modulus in batch.moduli.items()
        }
        secrets.opened = batch.encode_images(images, self._bytes(final.SALT_LENGTH))
        return {0: batch.test_commitment(self._index, secrets.opened)}

    def test_opening(self) -> Bodies:
        """The values."""
        return {0: self._secrets.opened}

    def seed_opening(self) -> Bodies:
        """All seeds but those of the kept candidate."""
        batch = self._board.batch
        return {
            0: seeds.opening(self._settings, batch.number, self._index, self._secrets.seeds, batch.closed)
        }

    def verdict(self) -> Bodies:
        """Nothing, or the first wrong private message."""
        case = self._board.case
        if case is None or case.sound:
            return {0: b""}
        bodies = {
            phase: {sender: message.body for sender, message in messages.items()}
            for phase, messages in self._received.items()
        }
        found = case.own_exhibit(self._index, bodies)
        return {0: self._received[found[0]][found[1]].encode() if found else b""}

    kept_verdict = verdict

    def _kept_part(self) -> int:
        """p_i + q_i of the kept candidate."""
        kept = self._board.batch.kept
        if kept is None:
            raise RuntimeError("no candidate is kept")
        return sum(self._secrets.parts[kept])

    def _final_randomness(self) -> final.Randomness:
        batch = self._board.batch
        if batch.kept is None:
            raise RuntimeError("no candidate is kept")
        return final.randomness(self._settings, self._secrets.seeds[batch.kept], batch.modulus)

    def _final_shares(self, receiver: int) -> tuple[int, int, int]:
        modulus = self._board.batch.modulus
        return final.shares_at(self._index, self._kept_part(), self._final_randomness(), modulus, receiver)

    def final_shares(self) -> Bodies:
        """Shares of p_i + q_i - 1, of r and of zero modulo N."""
        batch = self._board.batch
        return {j: encode_final_shares(batch, self._final_shares(j)) for j in self._others}

    def final_commit(self) -> Bodies:
        """A commitment to all that is said of the kept candidate."""
        batch, secrets = self._board.batch, self._secrets
        rows = [
            decode_final_shares(batch, message.body)
            for message in self._received[Phase.FINAL_SHARES].values()
        ]
        rows.append(list(self._final_shares(self._index)))
        sums = [sum(column) % batch.modulus for column in zip(*rows, strict=True)]
        statement = final.statement_of(
            self._index,
            self._kept_part(),
            self._final_randomness(),
            batch.final_bases,
            batch.modulus,
            sums,
        )
        secrets.statement = statement.encode(self._settings, self._bytes(final.SALT_LENGTH))
        return {0: batch.final_commitment(self._index, secrets.statement)}

    def final_opening(self) -> Bodies:
        """What was committed to."""
        return {0: self._secrets.statement}

    def exponent(self) -> Bodies:
        """w_i and V_i."""
        batch = self._board.batch
        exponent = final.exponent_of(batch.statements, batch.modulus)
        return {0: final.images_of(self._settings, self._index, self._kept_part(), exponent)}

    def kept_opening(self) -> Bodies:
        """The seeds of the kept candidate, which then is no longer to become the key."""
        return {0: self._board.batch.encode_kept_seeds(self._secrets.seeds)}

    def dealing(self) -> Bodies:
        """The dealing of d_i."""
        distribution = self._board.distribution
        if distribution is None:
            raise RuntimeError("nothing is distributed yet")
        return {0: distribution.deal(self._index, self._kept_part(), self._random_below)}

    def trial(self) -> Bodies:
        """Shares of the trial signatures. All secrets but the share go: seeds, parts, and the receiver's."""
        distribution, secret = self._board.distribution, self._state["receiver"]
        if distribution is None or not isinstance(secret, ReceiverSecret):
            raise RuntimeError("nothing is distributed yet")
        share = distribution.receive(self._index, secret)
        self.forget()
        self._state["share"] = share
        return {0: distribution.trials(share)}

    def confirm(self) -> Bodies:
        """The key's name."""
        return {0: self.key_share.public_key.key_id}
