"""Policies: what they allow, what they refuse and in which words, and which files are none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from alliance.config.file import AllianceConfig
from alliance.errors import ConfigError
from alliance.signing import AuthorityRequest, Policy, Refused
from alliance.signing import policy as policy_file
from alliance.signing.desk import check
from tests.signing.samples import LOGINS, TOKENS, WEB, certificate, login, token

WITH_CA = WEB + "ca = true\nca_days_max = 400\n"


@pytest.mark.parametrize(
    ("policy", "request_", "refusal"),
    [
        (TOKENS, token(), None),
        (TOKENS, token(subject="anna", claims=()), None),
        (TOKENS, token(claims=(("role", "gate-7"),)), None),
        (TOKENS, token(issuer="https://farm.example.org"), "the issuer 'https://farm.example.org'"),
        (TOKENS, token(subject="annabel"), "the subject 'annabel'"),
        (TOKENS, token(subject="deploy"), "the subject 'deploy'"),
        (TOKENS, token(audiences=("gate", "bank")), "the audience 'bank'"),
        (TOKENS, token(lifetime_seconds=901), "lifetime in seconds is 901, allowed are 900"),
        (TOKENS, token(claims=(("admin", "yes"),)), "the claim 'admin'"),
        (TOKENS, token(claims=(("role", "admin"),)), "the claim 'role' with 'admin'"),
        (TOKENS, token(claims=(("Role", "reader"),)), "the claim 'Role'"),
        (TOKENS, certificate(), "JSON Web Tokens only"),
        (TOKENS, login(), "JSON Web Tokens only"),
        (WEB, certificate(), None),
        (WEB, certificate("a.hosts.farm.example", "b.c.hosts.farm.example"), None),
        (WEB, certificate("hosts.farm.example"), "the name 'hosts.farm.example'"),
        (WEB, certificate("evilhosts.farm.example"), "the name 'evilhosts.farm.example'"),
        (WEB, certificate("gate.farm.example", "bank.com"), "the name 'bank.com'"),
        (WEB, certificate("gate.farm.example.bank.com"), "the name 'gate.farm.example.bank.com'"),
        (WEB, certificate(usages=("client", "server")), "the usage 'client'"),
        (WEB, certificate(days=91), "days is 91, allowed are 90"),
        (WEB, AuthorityRequest(1), "a certificate of an authority is not allowed"),
        (WEB + "ca = false\n", AuthorityRequest(1), "a certificate of an authority is not allowed"),
        (WITH_CA, AuthorityRequest(400), None),
        (WITH_CA, AuthorityRequest(401), "days is 401, allowed are 400"),
        (WITH_CA, certificate(days=91), "days is 91"),
        (WEB, token(), "X.509 certificates only"),
        (LOGINS, login(), None),
        (LOGINS, login(principals=("deploy-7",), extensions=()), None),
        (LOGINS, login(principals=("anna", "root")), "the principal 'root'"),
        (LOGINS, login(type="host", extensions=()), "a certificate for a 'host'"),
        (LOGINS, login(lifetime_seconds=86401), "86,401, allowed are 86,400"),
        (LOGINS, login(extensions=("permit-pty", "permit-user-rc")), "the extension 'permit-user-rc'"),
        (LOGINS, AuthorityRequest(1), "SSH certificates only"),
    ],
)
def test_a_policy_allows_what_it_names_and_nothing_else(
    policy: str, request_: Any, refusal: str | None
) -> None:
    allowed = Policy.from_toml(policy, "policy").allowed
    if refusal is None:
        allowed.judge(request_)
        return
    with pytest.raises(Refused) as refused:
        allowed.judge(request_)
    assert refusal in str(refused.value)


@pytest.mark.parametrize(("policy", "request_"), [(TOKENS, token()), (WEB, certificate()), (LOGINS, login())])
def test_a_policy_of_empty_lists_refuses_everything(policy: str, request_: Any) -> None:
    kept = [line for line in policy.splitlines() if "[" not in line]
    with pytest.raises(Refused, match="is not allowed"):
        Policy.from_toml("\n".join(kept), "policy").allowed.judge(request_)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("purpose = ", "is not TOML"),
        ('purpose = "web"', "'kind' is missing"),
        (TOKENS.replace('"jwt"', '"jwts"'), "not 'jwts'; did you mean 'jwt'?"),
        (TOKENS.replace("issuers", "issuer"), "unknown key 'issuer'; did you mean 'issuers'?"),
        (TOKENS.replace('"deploy/*"', '"*/deploy"'), "'*/deploy' is not a pattern"),
        (TOKENS.replace('"deploy/*"', '""'), "'' is not a pattern"),
        (TOKENS.replace('["gate"]', '"gate"'), "'audiences' must be a list of texts"),
        (TOKENS.replace("900", "0"), "must be 1 to"),
        (TOKENS.replace("900", '"900"'), "'lifetime_seconds_max' is missing or not a whole number"),
        (TOKENS.replace("{ role", "[{ role").replace("] }", "] }]"), "write claims as a table"),
        (WEB.replace('"*.hosts', '"*hosts'), "is not a pattern: a name in lower case"),
        (WEB.replace('"*.hosts', '"*.*.hosts'), "is not a pattern"),
        (WEB.replace('"*.hosts.farm.example"', '"*"'), "is not a pattern"),
        (WEB.replace('["server"]', '["sign"]'), "there is no 'sign'; there is client, server"),
        (WEB + "ca = 1\n", "'ca' is true or false"),
        (WEB + "ca_days_max = 1\n", "says nothing without 'ca = true'"),
        (WEB + "ca = true\n", "'ca_days_max' is missing"),
        (LOGINS.replace('["user"]', '["root"]'), "there is no 'root'"),
        (LOGINS.replace('"permit-pty"', '"force-command"'), "there is no 'force-command'"),
    ],
)
def test_what_is_no_policy_is_refused_with_the_reason(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "policy.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as error:
        policy_file.load(path)
    assert reason in str(error.value)
    assert str(path) in str(error.value)


def test_files_that_cannot_be_policies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    (tmp_path / "large").write_bytes(b"#" * 100)
    with pytest.raises(ConfigError, match="cannot be read"):
        policy_file.load(tmp_path / "none")
    with pytest.raises(ConfigError, match="UTF-8"):
        policy_file.load(tmp_path / "binary")
    monkeypatch.setattr(policy_file, "FILE_BYTES_MAX", 99)
    with pytest.raises(ConfigError, match="larger than 99 bytes"):
        policy_file.load(tmp_path / "large")


def test_policies_are_for_keys_that_sign_documents_and_one_for_each(config: AllianceConfig) -> None:
    def policy(purpose: str) -> Policy:
        return Policy.from_toml(TOKENS.replace('"tokens"', f'"{purpose}"'), "policy")

    check(config, [policy("tokens"), policy("web")])
    for purpose in ("attestation", "agreement"):
        with pytest.raises(ConfigError, match=f"the {purpose} key signs no documents"):
            check(config, [policy(purpose)])
    with pytest.raises(ConfigError, match="no key for 'token'; did you mean 'tokens'"):
        check(config, [policy("token")])
    with pytest.raises(ConfigError, match="two policies are for 'web'"):
        check(config, [policy("web"), policy("tokens"), policy("web")])
