"""Public corpora that ``stylefx-pipe fetch`` knows: where their parts are, how large, and their published checksums.

Sizes and checksums are those that the hosts and the libraries which pin them publish. Where no checksum is published
for a file, none stands here, and only its size can be checked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pipelines.fetch.fma import write_list
from stylefx.errors import UserError


@dataclass(frozen=True)
class CorpusPart:
    """One archive. ``size_bytes``, ``sha256``, ``md5`` and ``sha1`` are None where nobody publishes them."""

    name: str
    url: str
    size_bytes: int | None = None
    sha256: str | None = None
    md5: str | None = None
    sha1: str | None = None

    @property
    def file_name(self) -> str:
        return self.url.split("?")[0].rstrip("/").rsplit("/", 1)[-1]


@dataclass(frozen=True)
class PublicCorpus:
    """A corpus of one or more archives.

    ``checksum_list`` is a text file of "sha256 file-name" lines for its parts; ``lists`` are tables (file name, URL) that
    belong beside the audio and have no published checksum. ``make_list`` turns what the authors know of each recording into a
    list of them, once all parts are there.
    """

    name: str
    title: str
    licence: str
    homepage: str
    parts: tuple[CorpusPart, ...]
    folder: str = ""  # where the archives unpack to, below the destination; for archives without a folder of their own
    checksum_list: str | None = None
    lists: tuple[tuple[str, str], ...] = ()
    approximate_bytes: int | None = None  # of everything, as its authors say, where the parts' sizes are not published
    make_list: Callable[[Path], Path] | None = None

    def choose(self, names: tuple[str, ...]) -> tuple[CorpusPart, ...]:
        """The parts of these names, in the corpus's order; all where none is named."""
        known = [p.name for p in self.parts]
        for name in names:
            if name not in known:
                raise UserError(f"{self.name} has no part {name!r}; it has {', '.join(known)}")
        return tuple(p for p in self.parts if not names or p.name in names)


_LIBRITTS = {
    "dev-clean": (1291469655, "da0864e1bd26debed35da8a869dd5c04dfc27682921936de7cff9c8a254dbe1a"),
    "dev-other": (924804676, "d413eda26f3a152ac7c9cf3658ef85504dfb1b625296e5fa83727f5186cca79c"),
    "test-clean": (1230670113, "234ea5b25859102a87024a4b9b86641f5b5aaaf1197335c95090cde04fe9a4f5"),
    "test-other": (964502297, "33a5342094f3bba7ccc2e0500b9e72d558f72eb99328ac8debe1d9080402f10d"),
    "train-clean-100": (7723686890, "c5608bf1ef74bb621935382b8399c5cdd51cd3ee47cec51f00f885a64c6c7f6b"),
    "train-clean-360": (27504073644, "ce7cff44dcac46009d18379f37ef36551123a1dc4e5c8e4eb73ae57260de4886"),
    "train-other-500": (44565031479, "e35f7e34deeb2e2bdfe4403d88c8fdd5fbf64865cae41f027a185a6965f0a5df"),
}


_JAMENDO_LISTS = "https://raw.githubusercontent.com/MTG/mtg-jamendo-dataset/{commit}/data/download/raw_30s_{kind}_sha256_tars.txt"


def _jamendo(name: str, kind: str, commit: str, title: str, approximate_bytes: int) -> PublicCorpus:
    base = f"https://cdn.freesound.org/mtg-jamendo/raw_30s/{kind}/raw_30s_{kind}"
    return PublicCorpus(
        name=name,
        title=title,
        licence="Creative Commons, per track (see raw_30s.meta.tsv of the project)",
        homepage="https://mtg.github.io/mtg-jamendo-dataset/",
        parts=tuple(CorpusPart(f"{i:02d}", f"{base}-{i:02d}.tar") for i in range(100)),
        folder=name,
        checksum_list=_JAMENDO_LISTS.format(commit=commit, kind=kind),
        lists=(("raw_30s.tsv", "https://raw.githubusercontent.com/MTG/mtg-jamendo-dataset/master/data/raw_30s.tsv"),),
        approximate_bytes=approximate_bytes,
    )


_FMA = {
    "small": ("8 000 clips of 30 s, 8 genres", "ade154f733639d52e35e32f5593efe5be76c6d70", 7_730_941_133),
    "medium": ("25 000 clips of 30 s, 16 genres", "c67b69ea232021025fca9231fc1c7c1a063ab50b", 23_622_320_128),
    "large": ("106 574 clips of 30 s, 161 genres", "497109f4dd721066b5ce5e5f250ec604dc78939e", 99_857_989_632),
    "full": ("106 574 whole tracks, 161 genres", "0f0ace23fbe9ba30ecb7e95f763e435ea802b8ab", 943_819_063_296),
}


def _fma(size: str, what: str, sha1: str, approximate_bytes: int) -> PublicCorpus:
    base = "https://os.unil.cloud.switch.ch/fma"
    return PublicCorpus(
        name=f"fma-{size}",
        title=f"Free Music Archive: {what}, MP3",
        licence="Creative Commons, per track: the column licence of fma.csv",
        homepage="https://github.com/mdeff/fma",
        parts=(
            CorpusPart("metadata", f"{base}/fma_metadata.zip", sha1="f0df49ffe5f2a6008d7dc83c6915b31835dfe733"),
            CorpusPart(size, f"{base}/fma_{size}.zip", sha1=sha1),
        ),
        approximate_bytes=approximate_bytes + 358_612_992,
        make_list=write_list,
    )


_CORPORA = (
    PublicCorpus(
        name="librispeech-dev-clean",
        title="LibriSpeech, development set dev-clean: 5.4 h read English, 16 kHz FLAC, 40 speakers",
        licence="CC-BY-4.0",
        homepage="https://www.openslr.org/12/",
        parts=(
            CorpusPart(
                "dev-clean",
                "https://www.openslr.org/resources/12/dev-clean.tar.gz",
                337926286,
                sha256="76f87d090650617fca0cac8f88b9416e0ebf80350acb97b343a85fa903728ab3",
            ),
        ),
    ),
    PublicCorpus(
        name="libritts",
        title="LibriTTS: 585 h read English, 24 kHz WAV, 2456 speakers",
        licence="CC-BY-4.0",
        homepage="https://www.openslr.org/60/",
        parts=tuple(
            CorpusPart(name, f"https://www.openslr.org/resources/60/{name}.tar.gz", size, sha256)
            for name, (size, sha256) in _LIBRITTS.items()
        ),
    ),
    PublicCorpus(
        name="vctk",
        title="VCTK 0.92: 44 h read English, 48 kHz FLAC, 110 speakers, two microphones",
        licence="CC-BY-4.0",
        homepage="https://datashare.ed.ac.uk/handle/10283/3443",
        parts=(
            CorpusPart(
                "all",
                "https://datashare.ed.ac.uk/bitstream/handle/10283/3443/VCTK-Corpus-0.92.zip",
                11747302977,
                sha256="f96258be9fdc2cbff6559541aae7ea4f59df3fcaf5cf963aae5ca647357e359c",
            ),
        ),
        folder="VCTK-Corpus-0.92",
    ),
    PublicCorpus(
        name="daps",
        title="DAPS: 20 speakers, studio and consumer recordings of the same scripts, 44.1 kHz WAV",
        licence="CC-BY-NC-4.0",
        homepage="https://zenodo.org/records/4660670",
        parts=(
            CorpusPart(
                "all",
                "https://zenodo.org/records/4660670/files/daps.tar.gz?download=1",
                16055782487,
                md5="303c130b7ce2e02b59c7ca5cd595a89c",
            ),
        ),
    ),
    PublicCorpus(
        name="musdb18-hq",
        title="MUSDB18-HQ: 150 songs with stems, 44.1 kHz stereo WAV",
        licence="academic use only; each track under its own terms",
        homepage="https://zenodo.org/records/3338373",
        parts=(
            CorpusPart(
                "all",
                "https://zenodo.org/records/3338373/files/musdb18hq.zip?download=1",
                22656664047,
                sha256="baac80d0483c61d74b2e5f3be75fa557eec52898339e6aa45c1fa48833c5d21d",
                md5="12d4f2ecd55245a4688754dd76363103",
            ),
        ),
        folder="musdb18hq",
    ),
    _jamendo(
        "mtg-jamendo",
        "audio",
        "470fa101de95e06b82774f375bec550fdc1bb4d4",
        "MTG-Jamendo: 55 000 full songs, 320 kbit/s MP3, in 100 parts",
        508_000_000_000,
    ),
    _jamendo(
        "mtg-jamendo-low",
        "audio-low",
        "d6252e4a3b378ba045b0159401b805b3a0cfe9de",
        "MTG-Jamendo in low quality: the same songs, mono MP3, in 100 parts",
        156_000_000_000,
    ),
    *(_fma(size, *facts) for size, facts in _FMA.items()),
)


PUBLIC_CORPORA = {corpus.name: corpus for corpus in _CORPORA}


def find_corpus(name: str) -> PublicCorpus:
    """The corpus of this name; UserError lists those there are."""
    if name not in PUBLIC_CORPORA:
        raise UserError(f"public corpus {name!r} is not known; choose one of {', '.join(PUBLIC_CORPORA)}")
    return PUBLIC_CORPORA[name]
