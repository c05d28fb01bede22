"""The registry of tags, frozen: whoever changes a row gives an old signature a new meaning."""

from __future__ import annotations

import pytest

import quorum.statement
from quorum import InvalidStatement, decode_individual, decode_joint
from quorum.tags import Tag, tag_name

JOINT = {
    0x01: "ACCEPTED",
    0x04: "SUSPECT",
    0x05: "PROGRESS",
    0x06: "CHECKPOINT",
    0x07: "REPLY",
    0x08: "MEMBERSHIP",
    0x09: "SNAPSHOT",
    0x0A: "EPOCH_READY",
}
JOINT_RESERVED = {
    0x0B: "COIN",
    0x0C: "SUCCESSOR_KEY",
    0x10: "POE_SUPPORT",
    0x11: "POE_EXECUTED",
    0x30: "STORE_EPOCH",
}
INDIVIDUAL = {
    0x40: "PROPOSE",
    0x41: "VOTE",
    0x42: "REPORT",
    0x43: "NEW_VIEW",
    0x44: "SUBMISSION",
    0x45: "GREETING",
    0x46: "CONTROL",
}
INDIVIDUAL_RESERVED = {
    0x48: "POE_REPORT",
    0x49: "POE_NEW_VIEW",
    0x4A: "POE_INFORM",
    0x50: "VOLT_TRANSACTION",
    0x51: "STORED",
    0x52: "COMPUTED",
    0x53: "VOLT_REPORT",
    0x54: "COMPLAINT",
    0x60: "STORE_REQUEST",
    0x61: "STORE_DISPUTE",
}
BORNE = {
    kind.TAG: kind
    for kind in vars(quorum.statement).values()
    if isinstance(kind, type) and isinstance(getattr(kind, "TAG", None), Tag)
}


def test_the_registry_is_frozen() -> None:
    assert {tag.value: tag.name for tag in Tag} == JOINT | JOINT_RESERVED | INDIVIDUAL | INDIVIDUAL_RESERVED
    assert [tag.value for tag in Tag if tag.reserved] == [*JOINT_RESERVED, *INDIVIDUAL_RESERVED]
    assert [tag.value for tag in Tag if tag.is_joint] == sorted(JOINT | JOINT_RESERVED)


def test_a_statement_bears_every_tag_that_is_not_reserved_and_no_other() -> None:
    assert sorted(BORNE) == sorted(tag for tag in Tag if not tag.reserved)


def test_each_tag_has_its_own_purpose() -> None:
    assert all(tag.purpose for tag in Tag)
    assert len({tag.purpose for tag in Tag}) == len(Tag)


@pytest.mark.parametrize("tag", range(0x80))
def test_only_a_tag_with_a_statement_is_decoded(tag: int) -> None:
    """A reserved number is refused like an unknown one, with fields of any size that a statement has."""
    for decode, known in ((decode_joint, JOINT), (decode_individual, INDIVIDUAL)):
        for size in {kind.LAYOUT.size for kind in BORNE.values()}:
            own = tag in known and tag not in (Tag.SUBMISSION, Tag.CONTROL)
            fits = own and BORNE[Tag(tag)].LAYOUT.size == size
            if fits:
                assert decode(tag, bytes(size)).fields() == bytes(size)
            else:
                with pytest.raises(InvalidStatement):
                    decode(tag, bytes(size))


def test_a_person_reads_names() -> None:
    assert tag_name(0x41) == "VOTE"
    with pytest.raises(InvalidStatement, match=r"statement with the reserved tag 0x0b \(COIN\)"):
        decode_joint(0x0B, bytes(112))
    with pytest.raises(InvalidStatement, match="signs a statement alone with the unknown tag 0x7f"):
        decode_individual(0x7F, bytes(32))
