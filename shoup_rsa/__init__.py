"""Threshold RSA signatures: Victor Shoup, "Practical Threshold Signatures", Eurocrypt 2000.

n members hold shares of one RSA key. Any k of them make a signature, fewer than k can make none, and
the signature is the plain PKCS#1 v1.5 or PSS signature that every RSA verifier knows, the same bytes
whichever k members took part.

    dealing = generate_threshold_key(parties=6, threshold=5, corruptions=1)
    shares = [key_share.sign_share(b"message") for key_share in dealing.key_shares[:5]]
    signature = dealing.public_key.combine(b"message", shares)
    dealing.public_key.verify(b"message", signature)

The doors: `generate_threshold_key` deals; `KeyShare.sign_share` makes a `SignatureShare`, with a proof if
wanted; `ThresholdPublicKey` verifies, combines and goes out as PEM, DER or JWK; `SigningSession` collects
shares as they come; `SigningRequest` takes a message to members elsewhere; `Scheme` names what is signed;
`sign_trials`, `combine_trials` and `check_trials` try out a key that somebody else made; `seal_key_share` and
`write_public_key`, and their opposites, are for files; `use_backend` chooses the library that computes. Keys
of several dealers, `CompositePublicKey` and `CompositeKeyShare`, go through all these doors as others do:
PublicKey, AnyKeyShare and AnySignatureShare are the types for what is of either kind.

More doors are imported by their own names: `shoup_rsa.composite`, to make keys of several dealers;
`shoup_rsa.dealerless`, for keys that nobody dealt; `shoup_rsa.redistribution` and
`shoup_rsa.composite.redistribution`, for keys that are handed on to new shares and other members; and
`shoup_rsa.private_key`, which needs `cryptography`, for X.509, SSH certificates and JSON Web Tokens.
docs/reference/shoup_rsa.md has more.


Specification
-------------
Sizes       n parties, threshold k, t corruptions: t < k <= n - t; in Protocol 1 also k = t + 1.
            e = 65537, prime and above n. Protocol 3 is Protocol 2 over the integers, and for n <= 64.
Dealing     N = p q with p = 2 p' + 1, q = 2 q' + 1, all four prime; N has exactly the stated number of bits.
            m = p' q', d = 1/e mod m, f(X) = d + a_1 X + ... + a_(k-1) X^(k-1), the a_j uniform modulo m.
            Delta = n!. Protocol 1: s_i = f(i). Protocol 2: s_i = f(i) / Delta mod m. For i = 1..n.
            v a random square, v_i = v^(s_i). Protocols 2 and 3 also: u with Jacobi symbol -1.
            Protocol 3: D = M!, c = 2 D^3, s_i = G(i) over the integers with G(0) = c d~ and d~ = d mod m; M
            is an upper bound of all indices ever used. Its sizes: shoup_rsa.integer_form.
Message     H(M) = the encoding of M by the scheme, as long as N. Protocol 1: x = H(M).
            Protocols 2 and 3: x = H(M) if (H(M) | N) = 1, else x = H(M) u^e.
            PSS salt = H(domain, N, H(M's bytes)), H the scheme's hash.
Share       x_i = x^(2 Delta s_i) or x^(2 s_i) mod N, sent as the smaller one of x_i and N - x_i.
Proof       that log_v(v_i) = log_x~(x_i^2) with x~ = x^(4 Delta) or x^4: r uniform below 2^(|s| + 256),
            |s| the bits of the longest share there may be: |N| in Protocols 1 and 2;
            v' = v^r, x' = x~^r, z = s_i c + r and c = the first 128 bits of
            SHA-256(domain, key id, epoch, i, v, x~, v_i, x_i^2, v', x').
            Compact (c, z) holds if c is the same hash of v^z v_i^-c and x~^z x_i^-2c.
            Batchable (v', x', z) holds if v^z = v' v_i^c and x~^z = x' x_i^2c up to sign.
Combination lambda_j = prod_{i != j} i / (i - j) over the k indices, L their least common denominator;
            w = prod x_j^(2 L lambda_j), in Protocol 2 raised to Delta / L; e' = 4 Delta L, 4, or 4 L c;
            a e' + b e = 1; y = w^a x^b. The signature is y, or y / u where x = H(M) u^e.
Dealing ok  if the k-th quotients of the v_i are 1 and the value v_0 that they extrapolate has v_0^e = v, in
            Protocol 2 v_0^(Delta e) = v, in Protocol 3 v_0^e = v^c: all members on one polynomial, at 0 of
            which is d.
Trials      (domain, key id, 1..8), signed before anything else: if e divides p - 1 or q - 1, nobody can.

Combination is optimistic: the result is verified, and only when it is wrong are the proofs looked at. A
valid signature does not certify the shares it came from, and a share is blamed only for its own proof.


Honest limits
-------------
* THE DEALER SEES EVERYTHING. Whoever runs `generate_threshold_key` knows the whole key while it runs, and
  members cannot check that N is a product of two safe primes. Python cannot wipe memory: end the dealer's
  process.
* Shoup proves Protocol 1 under RSA, Protocol 2 under RSA and decision Diffie-Hellman, both for static
  corruption and random oracles. PKCS#1 v1.5 is a fixed encoding and no full-domain hash: with it the proof
  is a heuristic argument. PSS with a salt that follows from the message has the proof of a full-domain hash.
* k or more corrupt members sign whatever they like, and can compute every other member's share.
* One key is for one threshold and one purpose. What different purposes sign must differ in its bytes; this
  package signs the bytes it is given and leaves the tags to its caller.
* A share without proof is not evidence of anything. Who sent a share is for the caller's channel to say.
* Secret exponents go through a constant-time exponentiation with a blinded base. The numbers around it (one
  multiplication and addition for z, the dealer's arithmetic) are Python integers, whose timing varies.
* Several dealers, none of whom sees the whole key: `shoup_rsa.composite`. No dealer at all:
  `shoup_rsa.dealerless`, whose keys have no safe primes. `shoup_rsa.redistribution` hands a key on to new
  shares, which heals stolen shares and never a dishonest dealer. The limits of all three are stated there.

Errors are raised, never returned: see `shoup_rsa.errors`. Randomness comes from `secrets` only.
"""

from shoup_rsa._arith import backend, use_backend
from shoup_rsa.composite import CompositeKeyShare, CompositePublicKey, CompositeSignatureShare
from shoup_rsa.composite.key import PublicKey
from shoup_rsa.composite.key_share import AnyKeyShare
from shoup_rsa.dealer import Dealing, generate_threshold_key
from shoup_rsa.decoding import public_key_from_bytes
from shoup_rsa.errors import (
    BadFactor,
    CombineFailed,
    InvalidKey,
    InvalidKeyFile,
    InvalidRequest,
    InvalidShare,
    InvalidShares,
    InvalidSignature,
    NotEnoughShares,
    ShoupError,
    WrongEpoch,
    WrongPassphrase,
)
from shoup_rsa.key_share import KeyShare
from shoup_rsa.keys import ThresholdPublicKey
from shoup_rsa.proof import BatchableProof, Proof
from shoup_rsa.request import SigningRequest
from shoup_rsa.resolve import AnySignatureShare
from shoup_rsa.scheme import Scheme
from shoup_rsa.session import Evidence, SigningSession
from shoup_rsa.share import SignatureShare
from shoup_rsa.storage import open_key_share, read_public_key, seal_key_share, write_public_key
from shoup_rsa.trials import check_trials, combine_trials, sign_trials

__all__ = [
    "AnyKeyShare",
    "AnySignatureShare",
    "BadFactor",
    "BatchableProof",
    "CombineFailed",
    "CompositeKeyShare",
    "CompositePublicKey",
    "CompositeSignatureShare",
    "Dealing",
    "Evidence",
    "InvalidKey",
    "InvalidKeyFile",
    "InvalidRequest",
    "InvalidShare",
    "InvalidShares",
    "InvalidSignature",
    "KeyShare",
    "NotEnoughShares",
    "Proof",
    "PublicKey",
    "Scheme",
    "ShoupError",
    "SignatureShare",
    "SigningRequest",
    "SigningSession",
    "ThresholdPublicKey",
    "WrongEpoch",
    "WrongPassphrase",
    "backend",
    "check_trials",
    "combine_trials",
    "generate_threshold_key",
    "open_key_share",
    "public_key_from_bytes",
    "read_public_key",
    "seal_key_share",
    "sign_trials",
    "use_backend",
    "write_public_key",
]
