"""New keys that a dealer has made: which of them may take the place of the present ones."""

from __future__ import annotations

import pytest

from quorum.new_keys import NewKeysDealing
from quorum.threshold_rsa import AgreementKey, InvalidAgreementKey
from tests.shoup_rsa import composites
from tests.shoup_rsa.conftest import deal_once

SIZES = 4, 3, 1


def dealt(name: str, bits: int = 512, dealing: int = 1) -> AgreementKey:
    return deal_once(*SIZES, name, dealing, bits, 2).public_key


def require(present: AgreementKey, key: AgreementKey) -> None:
    NewKeysDealing((key,), ((b"",),) * 4).require([present], 4, [3], 1, 1)


def test_keys_of_the_same_sizes_take_the_place_of_a_dealer_s() -> None:
    present = dealt("before", dealing=0)
    require(present, dealt("new"))
    for other, problem in (
        (dealt("new", 640), "not as long"),
        (dealt("new", dealing=2), "of another dealing"),
        (dealt("before"), "modulus of another"),
    ):
        with pytest.raises(InvalidAgreementKey, match=problem):
            require(present, other)
    with pytest.raises(InvalidAgreementKey, match="not as long"):
        require(dealt("before", 640, 0), dealt("new"))


def test_a_key_that_nobody_knows_does_not_give_its_place_to_one_that_its_dealer_knows() -> None:
    """The operator's own program refuses to make one; whoever made it with another finds no member ready."""
    composite = composites.compose([composites.factor(*SIZES, number) for number in (1, 2)]).public_key
    for size in (512, composite.key_size):
        with pytest.raises(InvalidAgreementKey, match="by several dealers"):
            require(composite, dealt("new", size))
