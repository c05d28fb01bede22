"""Certificates on the wire."""

from __future__ import annotations

from alliance.pb import peer_pb2 as pb
from alliance.wire.bounds import SHARE_BYTES_MAX, Malformed, some
from quorum import DecisionCertificate, InvalidCertificate, QuorumCertificate, decode_joint


def encode_certificate(certificate: QuorumCertificate) -> pb.Certificate:
    statement = certificate.statement
    return pb.Certificate(
        tag=statement.TAG,
        epoch=certificate.epoch,
        fields=statement.fields(),
        signature=certificate.signature,
    )


def decode_certificate(wire: pb.Certificate) -> QuorumCertificate:
    """Raises Malformed or InvalidStatement."""
    signature = some("bytes in a certificate's signature", wire.signature, SHARE_BYTES_MAX)
    return QuorumCertificate(wire.epoch, decode_joint(wire.tag, wire.fields), signature)


def decode_decision(wire: pb.Certificate) -> DecisionCertificate:
    """Where nothing but a decision certificate may stand. Raises Malformed or InvalidStatement."""
    try:
        return DecisionCertificate.of(decode_certificate(wire))
    except InvalidCertificate as error:
        raise Malformed(str(error)) from None
