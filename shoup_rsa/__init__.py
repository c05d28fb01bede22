"""Threshold RSA signatures: Victor Shoup, "Practical Threshold Signatures", Eurocrypt 2000, Protocol 2.

n members hold shares of one RSA key. Any k of them make a signature, fewer than k can make none, and
the signature is the plain RSASSA-PKCS1-v1_5 signature with SHA-256 that every RSA verifier knows, the same
bytes whichever k members took part.

    dealing = generate_threshold_key(parties=6, threshold=5, corruptions=1)
    shares = [key_share.sign_share(b"message") for key_share in dealing.key_shares[:5]]
    signature = dealing.public_key.combine(b"message", shares)
    dealing.public_key.verify(b"message", signature)


Specification
-------------
Sizes       n parties, threshold k, t corruptions: t < k <= n - t. e = 65537, prime and above n.
Dealing     N = p q with p = 2 p' + 1, q = 2 q' + 1, all four prime; N has exactly the stated number of bits.
            m = p' q', d = 1/e mod m, f(X) = d + a_1 X + ... + a_(k-1) X^(k-1), the a_j uniform modulo m.
            s_i = f(i) / n! mod m for i = 1..n. v a random square, v_i = v^(s_i), u with Jacobi symbol -1.
Message     H(M) = EMSA-PKCS1-v1_5(SHA-256, M). x = H(M) if (H(M) | N) = 1, else x = H(M) u^e.
Share       x_i = x^(2 s_i) mod N, sent as the smaller one of x_i and N - x_i.
Proof       that log_v(v_i) = log_x~(x_i^2) with x~ = x^4: r uniform below 2^(|N| + 256), v' = v^r, x' = x~^r,
            c = the first 128 bits of SHA-256(domain, key id, epoch, i, v, x~, v_i, x_i^2, v', x') and
            z = s_i c + r. The proof is (c, z). It holds if c is the same hash of v^z v_i^-c and x~^z x_i^-2c.
Combination lambda_j = n! prod_{i != j} i / (i - j) over the k indices, all integers;
            w = prod x_j^(2 lambda_j); 4 a + e b = 1; y = w^a x^b.
            The signature is y, or y / u where x = H(M) u^e.
Dealing ok  if (prod v_j^lambda_j)^e = v for every window of k consecutive indices.

Combination is optimistic: the result is verified, and only when it is wrong are the proofs looked at. A valid
signature does not certify the shares it came from, and a share is blamed only for its own proof.


Honest limits
-------------
* THE DEALER SEES EVERYTHING. Whoever runs `generate_threshold_key` knows the whole key while it runs, and
  members cannot check that N is a product of two safe primes. Python cannot wipe memory: end the dealer's
  process.
* Shoup proves Protocol 2 under RSA and decision Diffie-Hellman, static corruption, random oracles. PKCS#1
  v1.5 is a fixed encoding and no full-domain hash: with it the proof is a heuristic argument.
* k or more corrupt members sign whatever they like, and can compute every other member's share.
* One key is for one threshold and one purpose. What different purposes sign must differ in its bytes; this
  package signs the bytes it is given and leaves the tags to its caller.
* A share without proof is not evidence of anything. Who sent a share is for the caller's channel to say.
* Secret exponents go through a constant-time exponentiation, without blinding. The numbers around it (one
  multiplication and addition for z, the dealer's arithmetic) are Python integers, whose timing varies.
* No refresh, no resharing, no dealing without a dealer. A new epoch is a new key.

Errors are raised, never returned: see `shoup_rsa.errors`. Randomness comes from `secrets` only.
"""

from shoup_rsa.dealer import Dealing, generate_threshold_key
from shoup_rsa.errors import (
    CombineFailed,
    InvalidKey,
    InvalidKeyFile,
    InvalidShare,
    InvalidSignature,
    NotEnoughShares,
    ShoupError,
    WrongPassphrase,
)
from shoup_rsa.keys import ThresholdPublicKey
from shoup_rsa.proof import Proof
from shoup_rsa.share import KeyShare, SignatureShare
from shoup_rsa.storage import open_key_share, seal_key_share

__all__ = [
    "CombineFailed",
    "Dealing",
    "InvalidKey",
    "InvalidKeyFile",
    "InvalidShare",
    "InvalidSignature",
    "KeyShare",
    "NotEnoughShares",
    "Proof",
    "ShoupError",
    "SignatureShare",
    "ThresholdPublicKey",
    "WrongPassphrase",
    "generate_threshold_key",
    "open_key_share",
    "seal_key_share",
]
