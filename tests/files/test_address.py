"""One answer to: is this an address, does a server stand behind it, and how may it be shown?"""

from __future__ import annotations

from pathlib import Path

import pytest

from stylefx.files.address import is_remote, is_url, redact, safe_uri


@pytest.mark.parametrize(
    ("address", "url", "remote"),
    [
        ("s3://bucket/corpus", True, True),
        ("https://host/a.tar", True, True),
        ("S3://bucket", True, True),
        ("simplecache::s3://bucket/a", True, True),
        ("file:///data/a.wav", True, False),
        ("/data/a.wav", False, False),
        ("data/what://is this.wav", False, False),
        ("a.tar!/b.wav", False, False),
        (Path("data/a.wav"), False, False),
        ("", False, False),
    ],
)
def test_paths_addresses_and_servers_are_told_apart(address, url, remote):
    assert (is_url(address), is_remote(address)) == (url, remote)


def test_what_is_shown_holds_no_credential():
    assert safe_uri("s3://user:pass@bucket/c?X-Amz-Signature=abc") == "s3://bucket/c"
    assert redact("GET https://k:s@host/x?token=abcdef failed") == "GET https://host/x?token=*** failed"
