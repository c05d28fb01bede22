"""A little of `make fuzz-crypto` in every run of the tests, and proof that it finds what it looks for."""

from __future__ import annotations

from random import Random

import pytest

from shoup_rsa import SigningRequest
from shoup_rsa.public_key import BasePublicKey
from tests.campaigns.fuzz.shoup_rsa import Target, fuzz, main, targets

TARGETS = targets()


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_no_decoder_breaks_its_promise(target: Target) -> None:
    outcome = fuzz(target, Random(1), max(target.weight, 5))
    assert outcome.broken is None, outcome.error
    assert outcome.executions == max(target.weight, 5)


@pytest.mark.parametrize(
    "name", ["signature share", "shares in a session", "signature share, several dealers"]
)
def test_a_share_that_is_believed_without_its_proof_is_found(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (target,) = (target for target in TARGETS if target.name == name)
    monkeypatch.setattr(BasePublicKey, "verify_share", lambda *_: None)
    monkeypatch.setattr("shoup_rsa.proof.check_compact", lambda *_: None)
    monkeypatch.setattr("shoup_rsa.batch.find_culprits", lambda *_: [])
    outcome = fuzz(target, Random(1), 1000)
    assert outcome.broken is not None
    assert "Error" in outcome.error


def test_an_error_of_another_kind_is_found(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def careless(data: bytes) -> SigningRequest:
        raise IndexError("beyond the end")

    monkeypatch.setattr(SigningRequest, "from_bytes", careless)
    assert main(["--executions", "100", "--target", "signing request"]) == 1
    said = capsys.readouterr()
    assert "executions=0" in said.out
    assert "IndexError: beyond the end" in said.err
