"""Corpora and models are signed and checked offline; whatever is changed, added or taken away breaks the signature."""

from __future__ import annotations

import datetime
import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from pipelines.cli.main import cli
from pipelines.signatures.target import find_signed
from stylefx.errors import DamageError, StylefxError, UserError
from stylefx.models.checkpoint import find_model

pytest.importorskip("model_signing", reason="pip install 'stylefx[sign]'")


@pytest.fixture(scope="module")
def keys(tmp_path_factory) -> Path:
    """A key, its public half, another public key, and a certificate of the key under a root of its own."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    folder = tmp_path_factory.mktemp("keys")
    made = {name: ec.generate_private_key(ec.SECP256R1()) for name in ("mine", "other", "root")}
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    for name, key in made.items():
        (folder / f"{name}.pem").write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
        public = key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)
        (folder / f"{name}.pub").write_bytes(public)
    locked = serialization.BestAvailableEncryption(b"secret")
    (folder / "locked.pem").write_bytes(made["mine"].private_bytes(pem, serialization.PrivateFormat.PKCS8, locked))
    now = datetime.datetime.now(datetime.UTC)

    def certificate(subject: str, owner: str, issuer: str, ca: bool) -> None:
        name = lambda text: x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])  # noqa: E731
        usage = dict.fromkeys(
            ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only", "decipher_only"),
            False,
        )
        usage |= {"digital_signature": not ca, "key_cert_sign": ca, "crl_sign": ca}
        builder = (
            x509.CertificateBuilder()
            .subject_name(name(subject))
            .issuer_name(name(issuer))
            .public_key(made[owner].public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=9))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(x509.KeyUsage(**usage), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(made[owner].public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(made["root"].public_key()), critical=False)
        )
        if not ca:
            builder = builder.add_extension(x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
        (folder / f"{subject}.crt").write_bytes(builder.sign(made["root"], hashes.SHA256()).public_bytes(pem))

    certificate("root", "root", "root", ca=True)
    certificate("mine", "mine", "root", ca=False)
    return folder


@pytest.fixture
def corpus(tmp_path) -> Path:
    folder = tmp_path / "corpus"
    (folder / "train").mkdir(parents=True)
    for name in ("corpus.json", "index.json", "train/train-000000.json"):
        (folder / name).write_text("{}")
    (folder / "train/train-000000.tar").write_bytes(b"tar" * 1000)
    (folder / ".build").mkdir()
    (folder / ".build/note").write_text("a build's own")
    return folder


def run(*arguments) -> dict:
    result = CliRunner().invoke(cli, [*map(str, arguments), "--json"], catch_exceptions=False, standalone_mode=False)
    return json.loads(result.output)


def test_a_signed_corpus_is_checked_with_the_public_key(keys, corpus):
    signed = run("sign", corpus, "--key", keys / "mine.pem")
    assert signed["what"] == "corpus"
    (corpus / ".build/note").write_text("changes as it likes")
    assert run("verify-signature", corpus, "--key", keys / "mine.pub")["fits"]
    with pytest.raises(DamageError, match="does not sign what is in"):
        run("verify-signature", corpus, "--key", keys / "other.pub")


@pytest.mark.parametrize("change", ["changed", "added", "taken", "linked", "forged"])
def test_whatever_changes_breaks_the_signature(change, keys, corpus, tmp_path):
    run("sign", corpus, "--key", keys / "mine.pem")
    tar = corpus / "train/train-000000.tar"
    if change == "changed":
        tar.write_bytes(tar.read_bytes()[:-1] + b"!")
    elif change == "added":
        (corpus / "train/train-000001.tar").write_bytes(b"more")
    elif change == "taken":
        tar.unlink()
    elif change == "linked":
        shutil.move(tar, tmp_path / "elsewhere.tar")
        tar.symlink_to(tmp_path / "elsewhere.tar")
    else:
        signature = corpus / "signature.sigstore.json"
        signature.write_text(signature.read_text().replace("e", "f", 3))
    with pytest.raises(DamageError) as caught:
        run("verify-signature", corpus, "--key", keys / "mine.pub")
    assert "\n" not in str(caught.value)
    assert caught.value.exit_status == 4


def test_certificates_are_trusted_by_their_root(keys, corpus, tmp_path):
    run(
        "sign",
        corpus,
        "--key",
        keys / "mine.pem",
        "--certificate",
        keys / "mine.crt",
        "--chain",
        keys / "root.crt",
        "-o",
        tmp_path / "s",
    )
    assert run("verify-signature", corpus, "--chain", keys / "root.crt", "--signature", tmp_path / "s")["fits"]
    (corpus / "index.json").write_text("{ }")
    with pytest.raises(DamageError):
        run("verify-signature", corpus, "--chain", keys / "root.crt", "--signature", tmp_path / "s")


def test_a_model_is_its_two_files(keys, tmp_path, monkeypatch):
    for suffix in (".safetensors", ".json"):
        shutil.copy(find_model("tiny").with_suffix(suffix), tmp_path / f"model{suffix}")
    (tmp_path / "beside.txt").write_text("no part of it")
    monkeypatch.setenv("STYLEFX_KEY_PASSWORD", "secret")
    assert run("sign", tmp_path, "--key", keys / "locked.pem")["what"] == "model"
    (tmp_path / "beside.txt").write_text("still none")
    assert run("verify-signature", tmp_path / "model.safetensors", "--key", keys / "mine.pub")["fits"]
    card = json.loads((tmp_path / "model.json").read_text())
    (tmp_path / "model.json").write_text(json.dumps(card | {"step": 2}))
    with pytest.raises(DamageError):
        run("verify-signature", tmp_path / "model", "--key", keys / "mine.pub")


def test_mistakes_end_in_a_sentence(keys, corpus, tmp_path):
    wrong = [
        (("sign", corpus, "--key", tmp_path / "none.pem"), "does not exist"),
        (("sign", corpus, "--key", keys / "mine.pub"), "cannot sign"),
        (("sign", corpus, "--key", keys / "mine.pem", "--chain", keys / "root.crt"), "belongs to a --certificate"),
        (("sign", tmp_path / "nothing", "--key", keys / "mine.pem"), "neither a corpus"),
        (("sign", "s3://bucket/corpus", "--key", keys / "mine.pem"), "object store"),
        (("verify-signature", corpus, "--key", keys / "mine.pub"), "there is no signature"),
        (("verify-signature", corpus), "say whom you trust"),
    ]
    for arguments, sentence in wrong:
        with pytest.raises(StylefxError, match=sentence):
            run(*arguments)
    (corpus / "index.json").unlink()
    with pytest.raises(UserError, match="not finished"):
        find_signed(str(corpus), None)


def test_a_signature_is_not_replaced_in_silence(keys, corpus):
    run("sign", corpus, "--key", keys / "mine.pem")
    with pytest.raises(UserError, match="--overwrite"):
        run("sign", corpus, "--key", keys / "mine.pem")
    run("sign", corpus, "--key", keys / "mine.pem", "--overwrite")
    assert run("verify-signature", corpus, "--key", keys / "mine.pub")["fits"]
