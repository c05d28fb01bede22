"""A member's desk: which receipts it believes, whom it serves, and what it says otherwise."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import replace

import pytest

from alliance.config.file import AllianceConfig
from alliance.errors import ConfigError
from alliance.proofs.receipt import Receipt
from alliance.signing import AuthorityRequest, Desk, Policy, Refused, TokenRequest
from alliance.signing.desk import EARLY_SECONDS_MAX, OLD_SECONDS_MAX
from alliance.signing.order import FORMAT, PREFIX, order_of, to_command
from alliance.signing.shares import Shares
from quorum import Endorser
from quorum.statement import PREFIX as PREFIX_OF_STATEMENTS
from quorum.threshold_rsa import SELF_TEST
from shoup_rsa.trials import TRIAL_PREFIX
from tests.alliance.epochs import END
from tests.alliance.farm import TIME_MS, Farm
from tests.signing.conftest import Registry, in_epoch_1, signers
from tests.signing.samples import LOGINS, TOKENS, WEB, certificate, token

NOW = TIME_MS / 1000 + 1.0
ME = 2


@pytest.fixture
def desk(farm: Farm, config: AllianceConfig) -> Desk:
    policies = [Policy.from_toml(text, "policy") for text in (TOKENS, WEB)]
    endorsers: Mapping[str, Endorser] = dict.fromkeys(("tokens", "web"), signers()[ME])
    return Desk(config, policies, endorsers)


def refusal(
    desk: Desk, config: AllianceConfig, receipt: Receipt | str, client: int = 0, now: float = NOW
) -> str:
    data = receipt if isinstance(receipt, str) else receipt.to_json()
    with pytest.raises(Refused) as refused:
        desk.judge(data.encode(), config.clients[client], now)
    return str(refused.value)


def test_a_share_is_given_for_what_is_ordered_and_allowed(
    desk: Desk, config: AllianceConfig, registry: Registry
) -> None:
    receipt = registry.receipt(to_command("tokens", token()))
    order = desk.judge(receipt.to_json().encode(), config.clients[0], NOW)
    shares = Shares(order.occasion.key, order.message)
    shares.add(ME, desk.share(order))
    assert shares.members == (ME,)


def test_the_policy_decides(desk: Desk, config: AllianceConfig, registry: Registry) -> None:
    def ordered(purpose: str, client: int = 0, **changes: str) -> Receipt:
        return registry.receipt(to_command(purpose, token(**changes)), client)

    assert refusal(desk, config, ordered("tokens", subject="eve")) == "the subject 'eve' is not allowed"
    assert refusal(desk, config, ordered("tokens", 1), 1) == "the client 'client-2' is not allowed"
    assert refusal(desk, config, ordered("web")) == "this key signs X.509 certificates only"
    assert refusal(desk, config, ordered("logins")) == "this member has no policy for 'logins'"
    assert "signs no documents" in refusal(desk, config, ordered("attestation"))
    assert "signs no documents" in refusal(desk, config, ordered("agreement"))
    assert "no key for 'token'" in refusal(desk, config, ordered("token"))


def test_only_who_asked_gets_shares(desk: Desk, config: AllianceConfig, registry: Registry) -> None:
    """All clients can read the log; a token is worth something to all of them."""
    receipt = registry.receipt(to_command("web", certificate()))
    desk.judge(receipt.to_json().encode(), config.clients[0], NOW)
    assert refusal(desk, config, receipt, client=1).startswith("another client asked for this")


def test_a_request_is_judged_by_itself(desk: Desk, config: AllianceConfig, registry: Registry) -> None:
    """Beside other commands of its submission, which the desk does not see: the receipt holds no other."""
    before = tuple(b"not for the desk's eyes %d" % number for number in range(10))
    receipt = registry.receipt(to_command("tokens", token()), before=before)
    order = desk.judge(receipt.to_json().encode(), config.clients[0], NOW)
    assert (order.occasion.command_index, order.request) == (10, token())
    assert not any(b64encode(command)[:20].decode() in receipt.to_json() for command in before)


def test_only_what_was_ordered_lately(desk: Desk, config: AllianceConfig, registry: Registry) -> None:
    receipt = registry.receipt(to_command("tokens", token()))
    stamp = receipt.placement.time_ms / 1000
    for now in (stamp + OLD_SECONDS_MAX - 1, stamp - EARLY_SECONDS_MAX + 1):
        desk.judge(receipt.to_json().encode(), config.clients[0], now)
    for now in (stamp + OLD_SECONDS_MAX + 1, stamp - EARLY_SECONDS_MAX - 1):
        assert "ask anew" in refusal(desk, config, receipt, now=now)


def test_only_what_the_alliance_has_ordered(desk: Desk, config: AllianceConfig, registry: Registry) -> None:
    """The bytes of a request prove nothing, nor does a receipt that was touched."""
    receipt = registry.receipt(to_command("tokens", token()))
    other = registry.receipt(to_command("tokens", token(subject="anna")))
    for forged in (
        replace(receipt, command=other.command),
        replace(receipt, placement=replace(receipt.placement, time_ms=receipt.placement.time_ms + 1)),
        replace(receipt, placement=replace(receipt.placement, slot=2)),
    ):
        assert "altered" in refusal(desk, config, forged) or "broken" in refusal(desk, config, forged)
    certificate_ = replace(receipt.certificate, signature=bytes(256))
    assert "signature does not fit" in refusal(desk, config, replace(receipt, certificate=certificate_))
    assert "another alliance" in refusal(desk, config, replace(receipt, key_fingerprint="0" * 64))
    for text in ("", "{}", "null", receipt.to_json()[:-3], to_command("tokens", token()).decode("latin-1")):
        assert "receipt" in refusal(desk, config, text)


@pytest.mark.parametrize("stock", [0, 1], ids=["handed on", "replaced"])
def test_a_former_key_orders_nothing_any_more(
    farm: Farm, config: AllianceConfig, registry: Registry, stock: int
) -> None:
    """It was replaced since somebody may have its shares, who can make a receipt of anything, on any slot."""
    before = registry.receipt(to_command("tokens", token()))
    for _ in range(END):
        beyond = registry.receipt(to_command("tokens", token()))
    later = in_epoch_1(farm, config, stock)
    desk = Desk(later.config, [Policy.from_toml(TOKENS, "policy")], {"tokens": signers()[ME]})
    if stock:
        assert "under a key that the alliance has replaced" in refusal(desk, later.config, before)
        assert "got hold of old shares" in refusal(desk, later.config, beyond)
    else:
        desk.judge(before.to_json().encode(), config.clients[0], NOW)
    registry.chain.farm = later
    after = registry.receipt(to_command("tokens", token()))
    assert after.context.epoch == 1
    desk.judge(after.to_json().encode(), config.clients[0], NOW)


def test_what_is_ordered_and_malformed(desk: Desk, config: AllianceConfig, registry: Registry) -> None:
    """Anybody may have any bytes ordered."""
    authority = order_of(config, registry.receipt(to_command("web", AuthorityRequest(1)))).message
    for command in (
        b"open the gate",
        authority,  # the very bytes of an authority's certificate
        PREFIX,
        PREFIX + b"{}",
        to_command("tokens", token()) + b"\n",
        PREFIX + b'{"format":"%s","kind":"x509","purpose":"web"}' % FORMAT.encode(),
    ):
        said = refusal(desk, config, registry.receipt(command))
        assert "malformed" in said or "no request for a signature" in said


@pytest.mark.parametrize("reserved", [PREFIX_OF_STATEMENTS, SELF_TEST, TRIAL_PREFIX])
def test_nothing_is_signed_that_begins_like_what_keys_sign_for_the_alliance(
    desk: Desk,
    config: AllianceConfig,
    registry: Registry,
    monkeypatch: pytest.MonkeyPatch,
    reserved: bytes,
) -> None:
    """No document does. A kind to come that did would be refused by every desk, whatever its policies are."""
    monkeypatch.setattr(TokenRequest, "message", lambda *_: reserved + bytes(33))
    receipt = registry.receipt(to_command("tokens", token()))
    assert "keys sign for the alliance itself" in refusal(desk, config, receipt)


def test_a_desk_opens_the_shares_that_its_policies_are_for(farm: Farm) -> None:
    """And none of the two that every alliance has."""
    for purpose in ("attestation", "agreement", "logins"):
        policy = Policy.from_toml(LOGINS.replace('"logins"', f'"{purpose}"'), "policy")
        with pytest.raises(ConfigError, match=purpose):
            Desk.open(farm.member_home(0), farm.config, 0, [policy], b"not even asked")
