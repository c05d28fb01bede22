"""Documents that the alliance signs for others, by decision of its members: tokens and certificates.

``connect`` is the requester's side, ``serve`` a member's desk, ``audit`` what was asked:
docs/guides/signing.md.
"""

from alliance.signing.audit import audit
from alliance.signing.certificates import AuthorityRequest, CertificateRequest, csr_der
from alliance.signing.client import Signed, SigningClient, connect
from alliance.signing.desk import Desk
from alliance.signing.member import serve
from alliance.signing.order import Order, Request
from alliance.signing.policy import Policy
from alliance.signing.rules import Refused
from alliance.signing.ssh import SshRequest
from alliance.signing.tokens import TokenRequest

__all__ = [
    "AuthorityRequest",
    "CertificateRequest",
    "Desk",
    "Order",
    "Policy",
    "Refused",
    "Request",
    "Signed",
    "SigningClient",
    "SshRequest",
    "TokenRequest",
    "audit",
    "connect",
    "csr_der",
    "serve",
]
