"""A key of real size without a dealer, among six parties: what it costs each of them. Minutes."""

from __future__ import annotations

import os
import sys
import time

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from shoup_rsa.dealerless import Settings, Success, validate
from tests.shoup_rsa.dealerless_net import Network, verify


@pytest.mark.campaign
@pytest.mark.timeout(3600)
def test_six_parties_make_a_key_of_2048_bits(capsys: pytest.CaptureFixture[str]) -> None:
    """Prints what it took. A machine that is busy with other work takes longer, and says nothing."""
    settings = Settings(6, 5, 1, os.urandom(16), batch=512)
    network = Network(settings, os.urandom(16).hex())
    outcomes = network.run()
    shares = [outcome.key_share for outcome in outcomes.values() if isinstance(outcome, Success)]
    assert len(shares) == 6
    key = shares[0].public_key
    signature = key.combine(b"message", [share.sign_share(b"message") for share in shares[1:]])
    public = load_pem_public_key(key.to_pem())
    assert isinstance(public, RSAPublicKey)
    public.verify(signature, b"message", PKCS1v15(), SHA256())
    data = network.parties[4].transcript.to_bytes()
    before = time.process_time()
    verdict = validate(data, verify)
    judging = time.process_time() - before
    assert verdict.public_key == key
    candidates = verdict.batches * settings.batch
    seconds = max(network.seconds.values())
    with capsys.disabled():
        sys.stdout.write(
            f"\n{candidates} candidates in {verdict.batches} batches; a party: {seconds:.1f} s of processor "
            f"time, {max(network.sent.values()) / 1e6:.1f} MB sent; transcript {len(data) / 1e6:.1f} MB, "
            f"judged again in {judging:.1f} s\n{dict(network.phases)}\n"
        )
