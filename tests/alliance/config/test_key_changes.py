"""Other public keys than those of the founding: who believes them, by what, and what old ones are worth."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from alliance.config.control import current
from alliance.config.file import FILE, AllianceConfig
from alliance.config.key_changes import KeyChange, leads_to
from alliance.errors import ConfigError
from alliance.keys import revision
from alliance.proofs.epoch_keys import EpochKeys, UnknownKey, verify_in
from alliance.wire.membership import MembershipProof
from consensus.control.encoding import MalformedControl, Reader
from quorum import (
    AcceptedStatement,
    CheckpointStatement,
    CombineFailed,
    Context,
    Endorsement,
    InvalidCertificate,
    QuorumCertificate,
    SnapshotStatement,
    combine,
)
from quorum.threshold_rsa import AgreementKey
from tests.alliance.epochs import END, next_epoch, proof
from tests.alliance.farm import Farm


def decided(farm: Farm, epoch: int, slot: int) -> QuorumCertificate:
    """By the shares that these members hold, whatever the epoch."""
    context = Context(farm.config.alliance_id, epoch)
    return replace(farm.certify(AcceptedStatement(0, slot, b"r" * 32), context), epoch=epoch)


def in_place_of(key: AgreementKey) -> tuple[int, int]:
    return key.modulus, key.public_exponent


def test_who_has_the_founding_keys_is_led_to_those_of_now(farm: Farm) -> None:
    second, _ = next_epoch(farm, stock=1)
    third, membership = next_epoch(second, stock=1, start=2 * END)
    said = MembershipProof.decode(proof(second, third, membership, slot=2 * END).encode())
    assert [change.epoch for change in said.changes] == [1]
    for config in (farm.config, second.config):
        said.verify(config.scheme)
        assert current(config, said.membership, said.keys, said.changes) == third.config
    assert third.config.key_changes == second.config.key_changes
    assert AllianceConfig.from_toml(third.config.to_toml()) == third.config
    assert in_place_of(third.config.key) == in_place_of(second.config.key) != in_place_of(farm.config.key)
    keys = EpochKeys(lambda: third.config)
    numbers = [keys.of(epoch).key.public_numbers().n for epoch in (0, 1, 2, 3)]
    assert numbers == [farm.config.key.modulus, *[third.config.key.modulus] * 3]
    assert [keys.of(epoch).last_slot for epoch in (0, 1)] == [END, None]


def test_the_old_shares_sign_nothing_for_who_has_followed(farm: Farm) -> None:
    """Not a later slot of their own epoch, not one of a later epoch, and no other successor."""
    second, _ = next_epoch(farm, stock=1)
    scheme = second.config.scheme
    decided(farm, 0, END).verify(scheme.in_epoch(0))
    for epoch, slot in ((0, END + 1), (1, END + 1), (7, 1)):
        forged = decided(farm, epoch, slot)
        forged.verify(farm.config.scheme.in_epoch(epoch))
        with pytest.raises(InvalidCertificate):
            forged.verify(scheme.in_epoch(epoch))
    decided(second, 1, END + 1).verify(scheme.in_epoch(1))
    rival, membership = next_epoch(next_epoch(farm)[0], start=2 * END)
    false = replace(proof(rival, rival, membership, slot=2 * END), changes=())
    with pytest.raises(InvalidCertificate):
        false.verify(scheme)
    attested = second.config.attestation
    assert in_place_of(attested.in_epoch(0).key) == in_place_of(farm.config.attestation.key)
    assert in_place_of(attested.key) != in_place_of(farm.config.attestation.key)


def test_what_executors_have_certified_stays_up_to_the_end_of_its_key(farm: Farm) -> None:
    """And their old shares bring no certificate about on a later slot."""
    second, _ = next_epoch(farm, stock=1)
    scheme, context = second.config.attestation.in_epoch(0), farm.config.context
    for slot in (END, END + 1):
        snapshot = SnapshotStatement(slot, 1, b"o" * 32, b"t" * 32, b"a" * 32)
        said = [one.endorse(snapshot.encode(context), proven=True) for one in farm.attesters]
        shares = [Endorsement(snapshot, member, share) for member, share in enumerate(said)]
        kept = combine(farm.config.attestation, shares)
        if slot == END:
            kept.verify(scheme)
            assert combine(scheme, shares) == kept
        else:
            with pytest.raises(InvalidCertificate):
                kept.verify(scheme)
            with pytest.raises(CombineFailed) as failed:
                combine(scheme, shares)
            assert failed.value.culprits == tuple(range(len(shares)))


def test_a_certificate_of_a_later_epoch_may_have_a_key_that_is_not_known(farm: Farm) -> None:
    second, _ = next_epoch(farm, stock=1)
    with pytest.raises(UnknownKey):
        verify_in(farm.config, decided(second, 1, END + 1))
    verify_in(second.config, decided(second, 1, END + 1))
    with pytest.raises(InvalidCertificate) as refused:
        verify_in(second.config, decided(farm, 1, END + 1))
    assert not isinstance(refused.value, UnknownKey)


def test_a_proof_without_the_change_of_keys_or_with_another_is_refused(farm: Farm) -> None:
    second, _ = next_epoch(farm, stock=1)
    third, membership = next_epoch(second, stock=1, start=2 * END)
    good = proof(second, third, membership, slot=2 * END)
    (change,) = good.changes
    forged = replace(change.certificate, signature=change.certificate.signature[::-1])
    for changes in ((), (replace(change, certificate=forged),), (change, change)):
        with pytest.raises(InvalidCertificate):
            replace(good, changes=changes).verify(farm.config.scheme)
    own = proof(farm, second, next_epoch(farm, stock=1)[1])
    own.verify(farm.config.scheme)
    bare = replace(own, changes=())
    with pytest.raises(InvalidCertificate, match="does not say how they changed"):
        bare.verify(farm.config.scheme)
    with pytest.raises(ValueError, match="nor such as came in their place"):
        current(farm.config, bare.membership, bare.keys, bare.changes)
    # A change of an epoch that is yet to come is of no use to anybody.
    early = proof(farm, farm, next_epoch(farm, handed_on=False)[1])
    with pytest.raises(InvalidCertificate, match="later epoch"):
        replace(early, changes=(replace_epoch(farm),)).verify(farm.config.scheme)


def replace_epoch(farm: Farm) -> KeyChange:
    """That of epoch 2."""
    light, _ = next_epoch(farm, handed_on=False)
    (change,) = next_epoch(light, stock=1, start=2 * END)[0].config.key_changes
    return change


def test_parts_of_a_change_that_do_not_belong_together(farm: Farm) -> None:
    (change,) = next_epoch(farm, stock=1)[0].config.key_changes
    (other,) = next_epoch(farm, stock=1, start=END + 1)[0].config.key_changes
    assert KeyChange.read(Reader(change.encode())) == change
    checkpoint = farm.certify(CheckpointStatement(END, b"r" * 32, b"s" * 32))
    for spoil in (
        {"keys": farm.config.keys},
        {"keys": ()},
        {"config": other.config},
        {"certificate": other.certificate},
        {"certificate": checkpoint},
        {"certificate": replace(change.certificate, epoch=1)},
    ):
        with pytest.raises(MalformedControl):
            replace(change, **spoil)  # type: ignore[arg-type]


def test_new_keys_are_those_of_an_epoch_that_has_begun(farm: Farm) -> None:
    config = next_epoch(farm, stock=1)[0].config
    way = farm.config.keys, config.key_changes
    for epoch in (0, 1, 2):
        there = replace(config.context, epoch=epoch)
        assert leads_to(*way, config.keys, there) == (epoch > 0)
        assert not leads_to(*way, farm.config.keys, there)


def test_alliance_toml_proves_its_keys(farm: Farm) -> None:
    config = next_epoch(farm, stock=1)[0].config
    text = config.to_toml()
    start = text.index("[[membership.key_changes]]")
    end = text.index("[[membership.organisations]]")
    for altered in (
        text[:start] + text[end:],
        text[:end] + text[start:end] + text[end:],
        text.replace("\nepoch = 1\nproof", "\nepoch = 2\nproof"),
        text.replace('proof = "AAA', 'proof = "BAA', 1),
    ):
        assert altered != text
        with pytest.raises(ConfigError):
            AllianceConfig.from_toml(altered)


def test_a_folder_gets_the_new_keys_for_openssl(farm: Farm, tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(farm.config.to_toml())
    now = next_epoch(farm, stock=1)[0].config
    revision.keep(tmp_path, now)
    found = {path.name: path.read_bytes() for path in tmp_path.glob("*.pem")}
    names = ("public.epoch-1.pem", "public-attestation.epoch-1.pem")
    assert found == dict(zip(names, (key.to_pem() for key in now.keys), strict=True))
