"""A release that any three of five maintainers sign together; openssl verifies it.

release.py deal FOLDER                    one person, once: five passphrases on standard input
release.py share FOLDER MAINTAINER FILE   each maintainer: a passphrase on standard input
release.py join FOLDER FILE               anybody: makes FOLDER/FILE.sig of three shares
release.py play FOLDER FILE               all of it with passphrases of its own, to see it work
"""

import os
import secrets
import subprocess
import sys
from getpass import getpass
from pathlib import Path

from shoup_rsa import (
    CombineFailed,
    InvalidShare,
    NotEnoughShares,
    ShoupError,
    SignatureShare,
    generate_threshold_key,
    open_key_share,
    read_public_key,
    seal_key_share,
    write_public_key,
)

MAINTAINERS = ("ada", "ben", "cleo", "dan", "eve")


def deal(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    dealing = generate_threshold_key(parties=5, threshold=3, corruptions=2)
    dealing.public_key.check_dealing()
    for name, key_share in zip(MAINTAINERS, dealing.key_shares, strict=True):
        sealed = seal_key_share(key_share, passphrase(f"a passphrase for {name}: "))
        with open(os.open(folder / f"{name}.key", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(sealed)
    (folder / "release.key").write_bytes(write_public_key(dealing.public_key))
    (folder / "public.pem").write_bytes(dealing.public_key.to_pem())
    say(f"dealt; everybody compares {dealing.public_key.fingerprint}")


def share(folder: Path, maintainer: str, release: Path) -> None:
    key = read_public_key((folder / "release.key").read_bytes())
    key_share = open_key_share((folder / f"{maintainer}.key").read_bytes(), passphrase("passphrase: "), key)
    made = key_share.sign_share(release.read_bytes(), proof="compact")
    (folder / f"{release.name}.{maintainer}.share").write_bytes(made.to_bytes(key))
    say(f"{maintainer} has signed {release.name}")


def join(folder: Path, release: Path) -> None:
    key, shares = read_public_key((folder / "release.key").read_bytes()), []
    for name in MAINTAINERS:
        file = folder / f"{release.name}.{name}.share"
        try:
            shares.append(SignatureShare.from_bytes(key, file.read_bytes()))
        except FileNotFoundError:
            continue
        except InvalidShare as error:
            say(f"{file.name} is left out: {error}")
    try:
        signature = key.combine(release.read_bytes(), shares)
    except NotEnoughShares as few:
        sys.exit(f"{few.needed} maintainers must sign {release.name}; so far {few.given} have")
    except CombineFailed as failed:
        wrong = ", ".join(MAINTAINERS[index - 1] for index in failed.culprits) or "nobody provably"
        sys.exit(f"no signature; these shares do not belong to {release.name}: {wrong}. Have them sign again")
    (folder / f"{release.name}.sig").write_bytes(signature)
    say(f"signed: {folder / release.name}.sig")


def play(folder: Path, release: Path) -> None:
    secret = {name: secrets.token_hex(16) for name in MAINTAINERS}
    act("".join(f"{secret[name]}\n" for name in MAINTAINERS), "deal", folder)
    for name in ("eve", "ada", "cleo"):
        act(secret[name] + "\n", "share", folder, name, release)
    act("", "join", folder, release)


def act(typed: str, *words: object) -> None:
    """One of the people at work, as a process of its own."""
    command = [sys.executable, __file__, *map(str, words)]
    if subprocess.run(command, check=False, input=typed, text=True).returncode:
        sys.exit(1)


def passphrase(prompt: str) -> bytes:
    typed = getpass(prompt) if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
    return typed.encode()


def say(text: str) -> None:
    sys.stderr.write(text + "\n")


def main(words: list[str]) -> None:
    match words:
        case ["deal", folder]:
            deal(Path(folder))
        case ["share", folder, name, file] if name in MAINTAINERS:
            share(Path(folder), name, Path(file))
        case ["join", folder, file]:
            join(Path(folder), Path(file))
        case ["play", folder, file]:
            play(Path(folder), Path(file))
        case _:
            sys.exit(f"{__doc__}\nMaintainers: {', '.join(MAINTAINERS)}.")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (OSError, ShoupError, ValueError) as error:
        sys.exit(f"release.py: {error}")
