#!/usr/bin/env bash
# Unpack real recordings into a folder, out of Debian packages, sha256-pinned. Nothing is installed and no root is needed; a
# package that is already unpacked is left alone.
#   demo (default)  59 MB: 1.8 h of acted Czech speech (fillets-ng-data-cs), 0.3 h of electronic music (zaz-data)
#   all             500 MB, 11.6 h: also single words in eight languages (tuxpaint-stamps-default), English prompts
#                   (asterisk-core-sounds-en-g722), orchestral (wesnoth-1.16-music), rock (fretsonfire-songs-sectoid) and
#                   electronic music (warzone2100-music); manifests/recordings.yaml is made for them
# The recordings keep their licences (GPL, CC-BY-SA), which the manifests name.
set -euo pipefail
dest=${1:?usage: fetch_recordings.sh FOLDER [demo|all]} which=${2:-demo}
own="or use recordings of your own: make demo AUDIO=folder"
fail() { echo "fetch_recordings.sh: $*" >&2; exit 2; }
packages=(
  fillets-ng-data-cs=3ecef99b9456f1c80c9625c6f2418642b52d58e7167a46bad7a412db17991b14
  zaz-data=71f4ad06474e7015e532441e16ed55fd516081a44226afb837fb9a32eea89ee7
)
case $which in
demo) ;;
all) packages+=(
  tuxpaint-stamps-default=6db6c1bfc870a47f1499d6203b083522eacb57c5f9c87d468f2e92eb6d9d5f34
  asterisk-core-sounds-en-g722=38c5261820b406dcb0ecb37675720da2b0864850690690352ca52707eb623806
  wesnoth-1.16-music=f9bc3cde92b4ab30db5d7b85f89b4bcc3d788dd92602956d0347250850bf59bb
  fretsonfire-songs-sectoid=14c1ed3e43c1a6a80eae7698f0469a0825cd1184e441968d62df89ca418aa0b4
  warzone2100-music=d3b2c9f90ea5438d45d4aff18339a03ec808e1affa9dac91f7dad61cb15ee64e
) ;;
*) fail "the set is '$which'; choose demo or all" ;;
esac

mkdir -p "$dest"
missing=()
for entry in "${packages[@]}"; do [ -d "$dest/${entry%%=*}" ] || missing+=("$entry"); done
[ "${#missing[@]}" -gt 0 ] || exit 0
for program in apt-get apt-cache dpkg-deb sha256sum; do
  command -v "$program" >/dev/null || fail "the recordings come out of Debian packages and $program is not here: run it on Debian or Ubuntu, $own"
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
