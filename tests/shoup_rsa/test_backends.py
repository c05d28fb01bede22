"""The two libraries that compute powers: same numbers, constant time for secrets, and a way to choose."""

from __future__ import annotations

import ctypes
import random
import subprocess
import sys
from collections.abc import Iterator

import gmpy2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import shoup_rsa
from shoup_rsa import Dealing, KeyShare, _arith
from shoup_rsa._arith import libcrypto, powers
from tests.shoup_rsa.conftest import Deal

STEADY = settings(derandomize=True, deadline=None, database=None, max_examples=60)
BACKENDS = ["gmpy2", *(["libcrypto"] if libcrypto.load() else [])]
EACH = pytest.mark.parametrize("name", BACKENDS)


@pytest.fixture(autouse=True)
def automatic_afterwards() -> Iterator[None]:
    yield
    shoup_rsa.use_backend("auto")


@EACH
@STEADY
@given(data=st.data())
def test_powers_agree_with_python(name: str, data: st.DataObject) -> None:
    shoup_rsa.use_backend(name)
    modulus = 2 * data.draw(st.integers(1, 2 ** data.draw(st.sampled_from([8, 64, 511, 1024])))) + 1
    base = data.draw(st.integers(0, 4 * modulus))
    exponent = data.draw(st.integers(1, 2 ** data.draw(st.sampled_from([1, 64, 383, 600]))))
    expected = pow(base, exponent, modulus)
    assert _arith.secret_power(base, exponent, modulus) == expected
    assert _arith.power(base, exponent, modulus) == expected
    other = (data.draw(st.integers(0, 4 * modulus)), data.draw(st.integers(0, 2**200)))
    product = expected * pow(*other, modulus) % modulus
    assert _arith.double_power((base, exponent), other, modulus) == product
    even = pow(base, exponent, modulus + 1) * pow(*other, modulus + 1) % (modulus + 1)
    assert _arith.double_power((base, exponent), other, modulus + 1) == even
    if _arith.gcd(base, modulus) == 1:
        assert _arith.power(base, -exponent, modulus) * expected % modulus == 1
    assert _arith.power(base, exponent, modulus + 1) == pow(base, exponent, modulus + 1)


@EACH
@pytest.mark.parametrize("bits", [512, 1024, 1536, 2048, 3072, 4096, 8192])
def test_all_key_sizes(name: str, bits: int) -> None:
    """OpenSSL has special code for some sizes."""
    shoup_rsa.use_backend(name)
    generator = random.Random(bits)
    modulus = generator.getrandbits(bits) | 1 | 1 << (bits - 1)
    for base in (0, 1, 2, modulus - 1, generator.randrange(modulus)):
        exponent = generator.getrandbits(min(bits, 700))
        assert _arith.secret_power(base, exponent, modulus) == gmpy2.powmod(base, exponent, modulus)


@EACH
def test_fermats_test_agrees_with_python(name: str) -> None:
    shoup_rsa.use_backend(name)
    generator = random.Random(5)
    numbers = [3, 5, 9, 341, 561, (1 << 521) - 1, (1 << 1279) - 1, (1 << 1279) - 3]
    numbers += [generator.getrandbits(512) | 1 for _ in range(50)]
    for number in numbers:
        assert _arith.may_be_prime(number) == (pow(2, number - 1, number) == 1)
    assert _arith.may_be_prime(341), "a base-2 pseudoprime"


@EACH
@pytest.mark.parametrize(
    ("exponent", "modulus"), [(0, 15), (-987654321, 15), (987654321, 16), (987654321, 1)]
)
def test_a_secret_power_refuses_what_is_not_constant_time(name: str, exponent: int, modulus: int) -> None:
    shoup_rsa.use_backend(name)
    with pytest.raises(ValueError, match="a secret exponent") as failure:
        _arith.secret_power(2, exponent, modulus)
    assert "987654321" not in str(failure.value)


def test_both_make_the_same_shares_and_understand_each_others_proofs(deal: Deal) -> None:
    dealing = deal(4, 3, 1, key_size=1024)
    by_name = {}
    for name in BACKENDS:
        shoup_rsa.use_backend(name)
        by_name[name] = [share.sign_share(b"m", proof="batchable") for share in dealing.key_shares]
    for name in BACKENDS:
        shoup_rsa.use_backend(name)
        for shares in by_name.values():
            dealing.public_key.verify_shares(b"m", shares)
    assert len({tuple(share.value for share in shares) for shares in by_name.values()}) == 1


@EACH
def test_secret_exponents_go_through_the_constant_time_function_only(
    six: Dealing, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    share = KeyShare(six.public_key, 1, six.key_shares[0]._secret)
    shoup_rsa.use_backend(name)
    constant_time: list[int] = []
    plain: list[int] = []

    class Spy:
        """Stands for gmpy2 in the module that computes powers."""

        def __getattr__(self, attribute: str) -> object:
            return getattr(gmpy2, attribute)

        def powmod_sec(self, base: int, exponent: int, modulus: int) -> object:
            constant_time.append(exponent)
            return gmpy2.powmod_sec(base, exponent, modulus)

        def powmod(self, base: int, exponent: int, modulus: int) -> object:
            plain.append(exponent)
            return gmpy2.powmod(base, exponent, modulus)

    monkeypatch.setattr(powers, "gmpy2", Spy())
    if name == "libcrypto":
        real = libcrypto.Libcrypto.power

        def spy(self: libcrypto.Libcrypto, base: int, exponent: int, modulus: int) -> int:
            constant_time.append(exponent)
            return real(self, base, exponent, modulus)

        monkeypatch.setattr(libcrypto.Libcrypto, "power", spy)

    share.check()
    assert constant_time == [share._secret]
    share.sign_share(b"m")
    assert len(constant_time) == 4
    assert constant_time[1] == constant_time[2] != share._secret, "rho, for both halves of the blinding"
    assert constant_time[3] == share._secret
    share.sign_share(b"m", proof="compact")
    assert len(constant_time) == 7
    assert constant_time[4] == share._secret
    assert constant_time[5] == constant_time[6] > 2**600, "r, for both commitments"
    assert all(exponent == 65537 for exponent in plain)


def test_the_backend_is_named_and_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (
        shoup_rsa.use_backend("gmpy2")
        == shoup_rsa.backend()
        == f"gmpy2 {gmpy2.version()} ({gmpy2.mp_version()})"
    )
    with pytest.raises(ValueError, match="'openssl'"):
        shoup_rsa.use_backend("openssl")
    monkeypatch.setattr(libcrypto, "load", lambda: None)
    with pytest.raises(RuntimeError, match="gmpy2 always works"):
        shoup_rsa.use_backend("libcrypto")
    assert shoup_rsa.use_backend("auto").startswith("gmpy2 ")


@pytest.mark.skipif("libcrypto" not in BACKENDS, reason="this machine has no libcrypto of OpenSSL 3")
def test_libcrypto_is_preferred_where_it_is() -> None:
    assert shoup_rsa.use_backend("auto").startswith("libcrypto (OpenSSL ")


def test_a_library_that_is_missing_old_or_wrong_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    class Right:
        version = "OpenSSL 3.9.9"

        def __init__(self, file: str) -> None:
            pass

        def power(self, base: int, exponent: int, modulus: int) -> int:
            return pow(base, exponent, modulus)

        def power_of_two(self, exponent: int, modulus: int) -> int:
            return pow(2, exponent, modulus)

        def double_power(self, pairs: tuple[tuple[int, int], tuple[int, int]], modulus: int) -> int:
            return pow(*pairs[0], modulus) * pow(*pairs[1], modulus) % modulus

    monkeypatch.setattr(libcrypto, "Libcrypto", Right)
    assert isinstance(libcrypto.load.__wrapped__(), Right)
    for name in ("power", "power_of_two", "double_power"):
        wrong = type("Wrong", (Right,), {name: lambda *_: 1})
        monkeypatch.setattr(libcrypto, "Libcrypto", wrong)
        assert libcrypto.load.__wrapped__() is None, name
    monkeypatch.setattr(libcrypto, "Libcrypto", type("Other", (Right,), {"version": "LibreSSL 4.0"}))
    assert libcrypto.load.__wrapped__() is None
    monkeypatch.undo()
    monkeypatch.setattr(libcrypto, "_FILES", ("no-such-library.so", "libc.so.6"))
    assert libcrypto.load.__wrapped__() is None
    monkeypatch.undo()
    assert (libcrypto.load.__wrapped__() is None) == (libcrypto.load() is None), "as at the start"


@EACH
def test_a_product_of_two_powers_at_its_edges(name: str) -> None:
    shoup_rsa.use_backend(name)
    modulus = 2**127 - 1
    for first in (0, 1, 5, modulus):
        for second in (0, 1, 5, modulus):
            for exponents in ((0, 0), (0, 3), (3, 0), (3, 2**130)):
                expected = pow(first, exponents[0], modulus) * pow(second, exponents[1], modulus) % modulus
                pairs = ((first, exponents[0]), (second, exponents[1]))
                assert _arith.double_power(*pairs, modulus) == expected, pairs


@pytest.mark.skipif("libcrypto" not in BACKENDS, reason="this machine has no libcrypto of OpenSSL 3")
def test_the_long_call_runs_without_pythons_lock_and_the_short_ones_with_it() -> None:
    found = libcrypto.load()
    assert found is not None
    with_lock, without = ctypes.PyDLL(None)._FuncPtr.__mro__[1], ctypes.CDLL(None)._FuncPtr.__mro__[1]
    assert with_lock is without  # the classes differ in flags only
    keeps_lock = 4  # FUNCFLAG_PYTHONAPI
    assert not found._power._flags_ & keeps_lock
    for short in (found._new, found._read, found._write, found._clear, found._new_context):
        assert short._flags_ & keeps_lock


@pytest.mark.skipif("libcrypto" not in BACKENDS, reason="this machine has no libcrypto of OpenSSL 3")
def test_running_out_of_memory_is_an_error_and_leaks_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    library = libcrypto.Libcrypto(next(file for file in libcrypto._FILES if _exists(file)))
    released: list[object] = []
    real = library._clear
    monkeypatch.setattr(library, "_clear", lambda number: (released.append(number), real(number)))
    monkeypatch.setattr(library, "_power", lambda *_: 0)
    with pytest.raises(MemoryError, match="did not finish"):
        library.power(2, 3, 5)
    assert len(released) == 4
    monkeypatch.setattr(library, "_new", lambda: None)
    with pytest.raises(MemoryError, match="found no memory"):
        library.power(2, 3, 5)


def _exists(file: str) -> bool:
    try:
        ctypes.CDLL(file)
    except OSError:
        return False
    return True


class TestProducts:
    """For public exponents: Straus, a table for one base, and differences."""

    @given(data=st.data())
    @STEADY
    def test_products_of_powers(self, data: st.DataObject) -> None:
        modulus = data.draw(st.integers(2, 2**200) | st.just(2**127 - 1))
        count = data.draw(st.integers(0, 6))
        bases = [data.draw(st.integers(0, 2**210)) for _ in range(count)]
        exponents = [data.draw(st.integers(-(2**70), 2 ** data.draw(st.integers(0, 300)))) for _ in bases]
        try:
            expected = 1
            for base, exponent in zip(bases, exponents, strict=True):
                expected = expected * pow(base, exponent, modulus) % modulus
        except ValueError:  # a base without an inverse
            with pytest.raises(ZeroDivisionError):
                _arith.product_of_powers(bases, exponents, modulus)
        else:
            assert _arith.product_of_powers(bases, exponents, modulus) == expected

    @given(bits=st.integers(1, 400), data=st.data())
    @STEADY
    def test_a_fixed_base(self, bits: int, data: st.DataObject) -> None:
        modulus = data.draw(st.integers(2, 2**200))
        base = data.draw(st.integers(0, 2**210))
        rows, tables = data.draw(st.integers(1, 8)), data.draw(st.integers(1, 8))
        table = _arith.FixedBase(base, modulus, bits, rows=rows, tables=tables)
        for exponent in (0, 1, 2**bits - 1, data.draw(st.integers(0, 2**bits - 1))):
            assert table.power(exponent) == pow(base, exponent, modulus)
        for exponent in (-1, 1 << table.bits):
            with pytest.raises(ValueError, match="exponents of 0"):
                table.power(exponent)

    @given(data=st.data())
    @STEADY
    def test_quotients_find_the_value_before_and_whoever_does_not_fit(self, data: st.DataObject) -> None:
        modulus, base = 2**127 - 1, 3
        order = data.draw(st.integers(1, 6))
        count = data.draw(st.integers(order, 9))
        f = data.draw(st.lists(st.integers(0, 10**6), min_size=order, max_size=order))
        values = [pow(base, sum(a * i**j for j, a in enumerate(f)), modulus) for i in range(1, count + 1)]
        assert _arith.quotients(values, order, modulus) == (pow(base, f[0], modulus), True)
        if count > order:
            wrong = data.draw(st.integers(0, count - 1))
            values[wrong] = values[wrong] * 9 % modulus
            assert not _arith.quotients(values, order, modulus)[1]


def test_the_package_alone_needs_neither_grpc_nor_the_rest() -> None:
    program = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        blocked = "grpc google alliance fab_paxos quorum cryptography typer rich sympy"
        if name.split(".")[0] in blocked.split():
            raise ImportError(f"{name} is blocked")
sys.meta_path.insert(0, Blocker())
import shoup_rsa
dealing = shoup_rsa.generate_threshold_key(3, 2, 1, 512, insecure_small_key=True)
shares = [share.sign_share(b"m", proof="batchable") for share in dealing.key_shares]
dealing.public_key.verify(b"m", dealing.public_key.combine(b"m", shares))
dealing.public_key.verify_shares(b"m", shares)
dealing.public_key.to_pem(), dealing.public_key.to_jwk()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
