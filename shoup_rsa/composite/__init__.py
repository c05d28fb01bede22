"""Keys of several dealers: none of them knows the key, and its signatures are ordinary RSA signatures.

Whoever deals a key sees all of it. With a composite key that is no power: N is the product of moduli that
different organisations dealt, and to sign under N takes a quorum's shares for every one of them. ONE dealer
that forgets what it knew is enough, whatever the others do with what they know.

    dealing = generate_threshold_key(6, 5, 1, factors=2)            # each dealer, alone
    commitment = commit(dealing.public_key, nonce)                  # each dealer publishes this first
    check_opening(commitment, factor, nonce)                        # everybody, of all, before going on
    key = CompositePublicKey((factor_1, factor_2))                  # everybody
    key.check_dealing()
    share = CompositeKeyShare(key, (key_share_1, key_share_2))      # each member
    share.check()
    sign_trials(share)                                              # and eight signatures before any other

Both kinds of keys have the same methods: what signs, combines, verifies, stores and converts one of them does
it with the other. `shoup_rsa.composite.redistribution` hands composite keys on.


Specification
-------------
Sizes       m = 2..7 factors N_i, keys of Protocol 2 or 3 with the same size, n, k, t and epoch; coprime.
            N = N_1 ... N_m, e = 65537. N has exactly m |N_i| bits, at most 16,384 (the most that OpenSSL
            verifies with); for that p_i, q_i > (1 - 1/4m) 2^(|N_i|/2), so N_i > (1 - 1/2m) 2^|N_i|.
Commitment  SHA-256(domain, nonce 32, encoding of the factor key), all of them published before any is opened.
Message     H(M) is as long as N. H(M) mod N_i takes the place of H(M) in the specification of `shoup_rsa`.
Share       for every i the x_i, and for every i its proof or none, each with a nonce of its own. In place of
            the key id the challenge of factor i hashes SHA-256(domain, key id of the composite key, i).
Combination y_i modulo every N_i as for an ordinary key; y = y_i mod N_i; y^e = H(M) mod N is verified.
Key id      SHA-256 of the encoding of all factors, in order.


What it gives, and what not
---------------------------
* Secrecy needs one honest dealer, liveness all of them. Forging under N gives e-th roots modulo every N_i.
  That everybody knows the N_i is no loss: each has 1024-bit primes, or longer, of its own.
* A dealer can withhold signatures: it knows the order of its group, and can make proofs hold for wrong values
  of members that help it. `combine` tries the other sets of k; where none gives a root it names the factor
  (`BadFactor`), and the remedy is a new composite key without this dealer. A redistribution can be spoilt in
  the same way.
* Dealers that share a machine, a source of randomness or an operator are one dealer.
* The same factor in two composite keys, or used alone, is a mistake that its members cannot see. Proofs do
  not hold in the other place; values of PKCS#1 v1.5 under two composite keys of one length do.
"""

from shoup_rsa.composite.commitment import check_opening, commit, new_commitment_nonce
from shoup_rsa.composite.key import CompositePublicKey
from shoup_rsa.composite.key_share import CompositeKeyShare
from shoup_rsa.composite.signature_share import CompositeSignatureShare
from shoup_rsa.errors import BadFactor, InvalidOpening

__all__ = [
    "BadFactor",
    "CompositeKeyShare",
    "CompositePublicKey",
    "CompositeSignatureShare",
    "InvalidOpening",
    "check_opening",
    "commit",
    "new_commitment_nonce",
]
