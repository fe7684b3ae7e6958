"""Sign and check with keys or certificates in files; nothing is asked of any server."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipelines.signatures.target import Signed
from stylefx.errors import DamageError, UserError
from stylefx.files.atomic import check_free, temporary_file

PASSWORD = "STYLEFX_KEY_PASSWORD"


def sign(signed: Signed, key: Path, certificate: Path | None, chain: Sequence[Path], overwrite: bool) -> None:
    """Write the signature; UserError for keys and certificates that cannot be used. ``chain``: from the issuer up."""
    from model_signing import signing

    for file in (key, *([certificate] if certificate else []), *chain):
        _there(file)
    target = check_free(signed.signature, overwrite)
    target.unlink(missing_ok=True)  # an old one inside the folder must not be signed
    config = signing.Config()
    try:
        if certificate is None:
            config.use_elliptic_key_signer(private_key=key, password=os.environ.get(PASSWORD))
        else:
            config.use_certificate_signer(private_key=key, signing_certificate=certificate, certificate_chain=list(chain))
    except Exception as error:
        raise UserError(f"{key} cannot sign: {_reason(error)}; it must be a private key on an elliptic curve, in PEM") from error
    with signed.as_folder() as folder, temporary_file(target, folder=_outside(signed)) as temporary:
        config.set_hashing_config(_hashing(signed)).sign(folder, temporary)


def check(signed: Signed, key: Path | None, chain: Sequence[Path]) -> None:
    """DamageError where the signature is not by this key or chain, or does not fit what is there."""
    from model_signing import verifying

    for file in (*([key] if key else []), *chain):
        _there(file)
    if not signed.signature.is_file():
        raise UserError(f"there is no signature {signed.signature}; name it with --signature, or make one with stylefx-pipe sign")
    config = verifying.Config().set_hashing_config(_hashing(signed))
    try:
        if key is not None:
            config.use_elliptic_key_verifier(public_key=key)
        else:
            config.use_certificate_verifier(certificate_chain=list(chain))
    except Exception as error:
        raise UserError(f"{key or chain[0]} cannot check: {_reason(error)}; give a public key or certificates in PEM") from error
    try:
        with signed.as_folder() as folder:
            config.verify(folder, signed.signature)
    except Exception as error:
        raise DamageError(f"{signed.signature} does not sign what is in {signed.folder}: {_reason(error)}") from error


def _hashing(signed: Signed) -> Any:
    """Every file counts, links are refused."""
    from model_signing import hashing

    return hashing.Config().set_ignored_paths(paths=list(signed.ignored), ignore_git_paths=False)


def _outside(signed: Signed) -> Path:
    """Where the signature is written before it gets its name: beside the folder, on its disk, so that it is not counted."""
    inside = signed.signature.resolve().is_relative_to(signed.folder.resolve())
    return signed.folder.resolve().parent if inside and not signed.files else signed.signature.resolve().parent


def _there(file: Path) -> None:
    if not file.is_file():
        raise UserError(f"{file} does not exist; give a key or certificate in PEM (openssl ecparam -genkey makes a key)")


def _reason(error: Exception) -> str:
    return " ".join((str(error) or type(error).__name__).split())[:500]
