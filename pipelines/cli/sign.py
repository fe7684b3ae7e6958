"""``stylefx-pipe sign`` and ``verify-signature``."""

from __future__ import annotations

from pathlib import Path

import click

from stylefx.command_line import json_option, out_option, overwrite_option, say, show_json
from stylefx.errors import UserError

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.argument("target")
@click.option("--key", type=_FILE, required=True, help="Private key, elliptic curve, PEM; its password: STYLEFX_KEY_PASSWORD.")
@click.option("--certificate", type=_FILE, help="Sign as the owner of this certificate; others need trust its issuer only.")
@click.option("--chain", type=_FILE, multiple=True, help="Certificates from the issuer up to the root; may be given again.")
@out_option("The signature; default: signature.sigstore.json in the corpus, or beside the model.", type=_FILE)
@overwrite_option("Replace a signature that exists.")
@json_option("Print where the signature is.")
def sign(
    target: str, key: Path, certificate: Path | None, chain: tuple[Path, ...], out: Path | None, overwrite: bool, as_json: bool
) -> None:
    """Sign TARGET, a finished corpus in a folder or a model (a checkpoint or the folder of a run), in OpenSSF's format.

    Nothing is sent anywhere. Whatever is changed, added or removed afterwards, a report too, breaks the signature.
    """
    from pipelines.signatures.sign import sign as run
    from pipelines.signatures.target import find_signed

    if chain and certificate is None:
        raise UserError("--chain belongs to a --certificate; give both, or the key alone")
    signed = find_signed(target, out)
    run(signed, key, certificate, chain, overwrite)
    if as_json:
        show_json({"target": target, "what": signed.what, "signature": str(signed.signature)})
    else:
        say(f"{signed.signature}: signature of the {signed.what} {target}")


@click.command("verify-signature")
@click.argument("target")
@click.option("--key", type=_FILE, help="The public key of whoever signed.")
@click.option("--chain", type=_FILE, multiple=True, help="Certificates that are trusted, up to the root; may be given again.")
@click.option("--signature", type=_FILE, help="Default: where `sign` puts it.")
@json_option("Print what was checked.")
def verify_signature(target: str, key: Path | None, chain: tuple[Path, ...], signature: Path | None, as_json: bool) -> None:
    """Check that TARGET, a corpus or a model, is what the owner of a key signed: every file, none more and none less."""
    from pipelines.signatures.sign import check
    from pipelines.signatures.target import find_signed

    if (key is None) == (not chain):
        raise UserError("say whom you trust: --key with a public key, or --chain with certificates")
    signed = find_signed(target, signature)
    check(signed, key, chain)
    if as_json:
        show_json({"target": target, "what": signed.what, "signature": str(signed.signature), "fits": True})
    else:
        say(f"{target}: the {signed.what} is what was signed")
