#!/usr/bin/env bash
# Unpack real recordings into a folder, out of Debian packages, sha256-pinned. Nothing is installed and no root is needed (but for
# the synthesisers of `studio`); a package that is already unpacked is left alone.
#   demo (default)  59 MB: 1.8 h of acted Czech speech (fillets-ng-data-cs), 0.3 h of electronic music (zaz-data)
#   all             500 MB, 11.6 h: also single words in eight languages (tuxpaint-stamps-default), English prompts
#                   (asterisk-core-sounds-en-g722), orchestral (wesnoth-1.16-music), rock (fretsonfire-songs-sectoid) and
#                   electronic music (warzone2100-music); manifests/recordings.yaml is made for them
#   studio          5.3 GB, of which 2.6 are kept, 39.6 h: also voices and music of games and telephone systems (the rest of
#                   their packages is dropped), and 1.5 h of synthetic voices, read by festival and flite (installed where root
#                   may); manifests/studio.yaml is made for them
# The recordings keep their licences (GPL, CC-BY-SA), which the manifests name.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
dest=${1:?usage: fetch_recordings.sh FOLDER [demo|all|studio]} which=${2:-demo}
python=${PYTHON:-python3}
own="or use recordings of your own: make demo AUDIO=folder"
fail() { echo "fetch_recordings.sh: $*" >&2; exit 2; }
packages=(
  fillets-ng-data-cs=3ecef99b9456f1c80c9625c6f2418642b52d58e7167a46bad7a412db17991b14
  zaz-data=71f4ad06474e7015e532441e16ed55fd516081a44226afb837fb9a32eea89ee7
)
all=(
  tuxpaint-stamps-default=6db6c1bfc870a47f1499d6203b083522eacb57c5f9c87d468f2e92eb6d9d5f34
  asterisk-core-sounds-en-g722=38c5261820b406dcb0ecb37675720da2b0864850690690352ca52707eb623806
  wesnoth-1.16-music=f9bc3cde92b4ab30db5d7b85f89b4bcc3d788dd92602956d0347250850bf59bb
  fretsonfire-songs-sectoid=14c1ed3e43c1a6a80eae7698f0469a0825cd1184e441968d62df89ca418aa0b4
  warzone2100-music=d3b2c9f90ea5438d45d4aff18339a03ec808e1affa9dac91f7dad61cb15ee64e
)
studio=(
  klettres-data=1186d257a19e84230856baea0b0b1ded8be9195080fcdb2588970b5cd937f5a8
  ktuberling-data=fba44c875bfa31ea488dadd9263e87a4dcaea0bd47d28817f6c0dc6d2af970ed
  asterisk-prompt-es-co=6702696e045514699e87dc8fb70f370717e5df91f821f7bec8dd0df1be008e83
  asterisk-prompt-fr-armelle=162570b1a9b3512a98f06b89f60c7c17cf1b9b52297315adca9a4e5be728bea3
  asterisk-prompt-it-menardi-wav=3094530d98f8758ac275572d59624c41f60969fef883f34f4886d144f3dfeb21
  warzone2100-data=53ad292569e0bf9d16de1642d13629f29ed5dfb68896787e4c65ac60edc07d3d
  nexuiz-data=5d4a4e293d9382be3b8edf6ec2d9f39d2a16f49467618b2316fbfa400acecf0e
  nexuiz-music=d1a7d6e2c0a5bbe6670dbf73354e38f742597310d425e373250fc71a636f8dda
  0ad-data=53745ae74d05bccf6783400fa98f3932b21729ab9d2e86151aa2c331c3455178
  hedgewars-data=722225903a72604403e6e0026e40e9a6953f47a74d94efc5f55504bc05bb4761
  flight-of-the-amazon-queen=40c08fd258d6fe95c46c1eaf5e9137f84ba330657995a281bd887c94a560a0f1
  supertuxkart-data=568d69cda50dc8ad1facb89514bd14953dfca736fdb83c49ae330b0aa7dd2364
  naev-data=a98849cacdfc72779e03ceb68f32af03cb3c3f382ba8b82e3299ef87254b454d
  flare-game=4ab6a8298276013d35a0806257e130d992761af1b749041433b409c3dafec508
  hyperrogue-music=61ab9f4c2169442d85f42c42d26e80c1a18b93c741f3d44f1b9d83015904e7f7
  openclonk-data=1505314b47196c5052caf75e870ea2cf36bdb4e1d0c7e3f133da93815b7e642f
  marsshooter-data=b8d040a9739434f2be96bbf9b38f0743d56d59b853647b2242f9357e38394951
  plee-the-bear-data=8f8dca242ce75621ea5d175711c05780c17bad6a52bcb9b58e917db6ae2f98d7
  widelands-data=0e23d645b15bcfb9e3bcae0de9bc1bdfa75a6ecb36b2e449759d6eb0b4bbd8fb
  freedroidrpg-data=16c3cfeb82b1ec20c98493bbe1de2e356bd1aec832845630a5a7f12e303baa2b
  colobot-common-sounds=819e799542eac69c95b072567b5584eb3e0b2bb900de13efa3684915747b1644
  xmoto-data=458966c8291579df7dd215a3ebf48cb89fc94e94fe871d124b542eb6233c0e66
  pushover-data=75f52ad553c73660489631b4b4eeb308c3601beee68a097abdd5f2e4e442cbfb
  starfighter-data=0c6038f76836c88249928d2ec93375cada3ccf4beb6d6faac3679f3bdb0e39cd
  ufoai-music=2465d55e9dce75a3a2a1ad1c8ca67da84e251c04e0965d63a8562b2d9f76f9e6
  unknown-horizons=ff49ea196d0f57c80d4cd4509c030240cbe632881f8c5b2a1265dd3e3795f100
  gnome-user-docs=0d635a840747958ca84da778b40d341f1155603851f922c9a171f5a181d6a39f
)
synthesisers=(festival flite festival-mr festvox-mr-nsk festvox-czech-dita festvox-czech-krb festvox-czech-machac festvox-czech-ph
  festvox-suopuhe-lj festvox-suopuhe-mv festvox-italp16k festvox-itapc16k festvox-ca-ona-hts festvox-kallpc16k festvox-kdlpc16k
  festvox-us-slt-hts)
case $which in
demo) ;;
all) packages+=("${all[@]}") ;;
studio) packages+=("${all[@]}" "${studio[@]}") ;;
*) fail "the set is '$which'; choose demo, all or studio" ;;
esac

mkdir -p "$dest"
missing=()
for entry in "${packages[@]}"; do [ -d "$dest/${entry%%=*}" ] || missing+=("$entry"); done
voices=no
[ "$which" != studio ] || [ -e "$dest/synthesised-voices/complete" ] || voices=yes
[ "${#missing[@]}" -gt 0 ] || [ $voices = yes ] || exit 0
for program in apt-get apt-cache dpkg-deb sha256sum; do
  command -v "$program" >/dev/null || fail "the recordings come out of Debian packages and $program is not here: run it on Debian or Ubuntu, $own"
done
if [ "$which" = studio ]; then
  "$python" -c 'import soundfile' 2>/dev/null ||
    fail "$python lacks soundfile, which decodes the GSM prompts: run with PYTHON=.venv/bin/python, where stylefx is installed"
fi

# Package lists can be empty (containers): refresh the system's as root, else private ones in a temporary folder.
tmp=$(mktemp -d); trap 'rm -rf "$tmp"' EXIT
options=()
if ! apt-cache show zaz-data >/dev/null 2>&1; then
  if [ "$(id -u)" = 0 ]; then
    apt-get -q update >/dev/null || fail "apt-get update failed: check the network, $own"
  else
    mkdir -p "$tmp/lists/partial" "$tmp/cache/archives/partial"
    options=(-o "Dir::State::Lists=$tmp/lists" -o "Dir::Cache=$tmp/cache")
    apt-get "${options[@]}" -q update >/dev/null || fail "apt-get update failed: check the network, $own"
  fi
fi

for entry in ${missing[@]+"${missing[@]}"}; do
  package=${entry%%=*} sha=${entry##*=}
  echo "fetching $package"
  mkdir "$tmp/$package"; chmod 755 "$tmp" "$tmp/$package"
  (cd "$tmp/$package" && apt-get "${options[@]}" -q download "$package" >/dev/null 2>&1) ||
    fail "apt-get cannot download $package: check the network and that this is Debian or Ubuntu with the main component, $own"
  echo "$sha  $(ls "$tmp/$package"/*.deb)" | sha256sum -c --quiet >/dev/null 2>&1 ||
    fail "$package is here in another build than the pinned one (sha256 $sha): $own"
  rm -rf "$dest/$package.part"; mkdir "$dest/$package.part"
  dpkg-deb -x "$tmp/$package"/*.deb "$dest/$package.part"
  if [[ " ${studio[*]} " == *" $package="* ]]; then # games pack recordings into archives, and hold much else
    "$python" "$here/unpack_recordings.py" "$dest/$package.part" || fail "the recordings of $package cannot be unpacked"
  fi
  mv "$dest/$package.part" "$dest/$package"
  rm -r "${tmp:?}/$package"
done

[ $voices = yes ] || exit 0
absent=()
for package in "${synthesisers[@]}"; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q '^install ok installed' || absent+=("$package")
done
if [ "${#absent[@]}" -gt 0 ]; then
  install="apt-get install -y --no-install-recommends ${absent[*]}"
  [ "$(id -u)" = 0 ] || fail "the synthetic voices need synthesisers that are not installed; as root: $install; then run this again"
  echo "installing ${absent[*]}"
  $install >/dev/null 2>&1 || fail "the synthesisers cannot be installed: $install"
fi
"$python" "$here/synthesise_voices.py" "$dest" || fail "the synthetic voices are not complete; running this again goes on"
touch "$dest/synthesised-voices/complete"
