#!/usr/bin/env bash
# Unpack the demo's recordings into a folder: 1.8 h of acted Czech speech (fillets-ng-data-cs, GPL-2) and 0.3 h of electronic
# music (zaz-data, CC-BY-SA-3.0), out of two Debian packages, 59 MB, sha256-pinned. Nothing is installed and no root is needed;
# a package that is already unpacked is left alone.
set -euo pipefail
dest=${1:?usage: fetch_demo_audio.sh FOLDER}
own="or name a folder with your own recordings: make demo AUDIO=folder"
packages=(
  fillets-ng-data-cs=3ecef99b9456f1c80c9625c6f2418642b52d58e7167a46bad7a412db17991b14
  zaz-data=71f4ad06474e7015e532441e16ed55fd516081a44226afb837fb9a32eea89ee7
)
fail() { echo "fetch_demo_audio.sh: $*" >&2; exit 2; }

mkdir -p "$dest"
missing=()
for entry in "${packages[@]}"; do [ -d "$dest/${entry%%=*}" ] || missing+=("$entry"); done
[ "${#missing[@]}" -gt 0 ] || exit 0
for program in apt-get apt-cache dpkg-deb sha256sum; do
  command -v "$program" >/dev/null || fail "the demo's recordings come out of Debian packages and $program is not here: run it on Debian or Ubuntu, $own"
done

# Package lists can be empty (containers): refresh the system's as root, else private ones in a temporary folder.
tmp=$(mktemp -d); trap 'rm -rf "$tmp"' EXIT
options=()
if ! apt-cache show "${missing[0]%%=*}" >/dev/null 2>&1; then
  if [ "$(id -u)" = 0 ]; then
    apt-get -q update >/dev/null || fail "apt-get update failed: check the network, $own"
  else
    mkdir -p "$tmp/lists/partial" "$tmp/cache/archives/partial"
    options=(-o "Dir::State::Lists=$tmp/lists" -o "Dir::Cache=$tmp/cache")
    apt-get "${options[@]}" -q update >/dev/null || fail "apt-get update failed: check the network, $own"
  fi
fi

for entry in "${missing[@]}"; do
  package=${entry%%=*} sha=${entry##*=}
  echo "fetching $package"
  mkdir "$tmp/$package"; chmod 755 "$tmp" "$tmp/$package"
  (cd "$tmp/$package" && apt-get "${options[@]}" -q download "$package" >/dev/null 2>&1) ||
    fail "apt-get cannot download $package: check the network and that this is Debian or Ubuntu with the main component, $own"
  echo "$sha  $(ls "$tmp/$package"/*.deb)" | sha256sum -c --quiet >/dev/null 2>&1 ||
    fail "$package is here in another build than the pinned one (sha256 $sha): $own"
  rm -rf "$dest/$package.part"; mkdir "$dest/$package.part"
  dpkg-deb -x "$tmp/$package"/*.deb "$dest/$package.part"
  mv "$dest/$package.part" "$dest/$package"
done
