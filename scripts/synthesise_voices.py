"""Connected speech of synthetic voices, read out of the GNOME help in the voice's language, as 16-bit WAV files.

    python3 scripts/synthesise_voices.py FOLDER     FOLDER is where fetch_recordings.sh put the package gnome-user-docs

Writes FOLDER/synthesised-voices/VOICE/voice.wav, about six minutes each; a voice that is there already is left alone. The voices'
units (diphones, clustered units, HMMs) come from recordings of speakers. Needs festival, flite and the voices of ``VOICES`` from
the distribution, which fetch_recordings.sh names.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import wave
from dataclasses import dataclass
from html import unescape
from pathlib import Path

SECONDS = 360.0
#: paragraphs are read whole; shorter ones are captions, longer ones take the synthesisers' breath
CHARACTERS = range(60, 400)


@dataclass(frozen=True)
class Voice:
    """``name`` is the speaker's folder; ``call`` festival's function or flite's voice; ``skip`` paragraphs are another's text.

    ``letters``: the only ones that the voice can say; paragraphs with Latin ones are then left out (not translated).
    """

    name: str
    program: str
    call: str
    language: str
    encoding: str = "ascii"
    skip: int = 0
    letters: str = ""


VOICES = (
    Voice("czech-dita", "festival", "voice_czech_dita", "cs", "iso8859-2"),
    Voice("czech-krb", "festival", "voice_czech_krb", "cs", "iso8859-2", 100),
    Voice("czech-machac", "festival", "voice_czech_machac", "cs", "iso8859-2", 200),
    Voice("czech-ph", "festival", "voice_czech_ph", "cs", "iso8859-2", 300),
    Voice("finnish-lj", "festival", "voice_suo_fi_lj_diphone", "fi", "iso8859-15"),
    Voice("finnish-mv", "festival", "voice_hy_fi_mv_diphone", "fi", "iso8859-15", 100),
    Voice("italian-lp", "festival", "voice_lp_diphone", "it", "iso8859-1"),
    Voice("italian-pc", "festival", "voice_pc_diphone", "it", "iso8859-1", 100),
    Voice("catalan-ona", "festival", "voice_upc_ca_ona_hts", "ca", "iso8859-15"),
    Voice("marathi-nsk", "festival", "voice_marathi_NSK_diphone", "mr", "utf-8", letters="\u0900-\u0963"),
    Voice("english-kal", "festival", "voice_kal_diphone", "C"),
    Voice("english-ked", "festival", "voice_ked_diphone", "C", skip=100),
    Voice("english-slt", "festival", "voice_cmu_us_slt_arctic_hts", "C", skip=200),
    Voice("english-awb", "flite", "awb", "C", skip=300),
    Voice("english-rms", "flite", "rms", "C", skip=400),
)


def paragraphs(help_folder: Path, voice: Voice) -> list[str]:
    """The help's paragraphs in a fixed order, as the voice's encoding holds them."""
    texts = []
    for page in sorted(help_folder.joinpath(voice.language, "gnome-help").glob("*.page")):
        for body in re.findall(r"<p>(.*?)</p>", page.read_text(encoding="utf-8"), re.DOTALL):
            text = " ".join(unescape(re.sub(r"<[^>]*>", "", body)).split())
            text = re.sub(r'[“”„«»"\\()<>*]', "", text).replace("’", "'").replace("–", ",").replace("—", ",").replace("…", ".")
            if voice.letters:
                text = "" if re.search("[A-Za-z]", text) else " ".join(re.sub(f"[^{voice.letters} ]", " ", text).split())
            if len(text) in CHARACTERS:
                texts.append(text.encode(voice.encoding, "ignore").decode(voice.encoding))
    return list(dict.fromkeys(texts))[voice.skip :]


def speak_festival(voice: Voice, text: str, out: Path) -> None:
    """festival reads a Scheme program in the voice's encoding."""
    program = out.with_suffix(".scm")
    said = f'({voice.call}) (utt.save.wave (utt.synth (Utterance Text "{text}")) "{out}" \'riff)'
    program.write_bytes(said.encode(voice.encoding))
    subprocess.run(["festival", "--batch", str(program)], capture_output=True)


def speak_flite(voice: Voice, text: str, out: Path) -> None:
    subprocess.run(["flite", "-voice", voice.call, "-t", text, "-o", str(out)], capture_output=True)


def spoken(voice: Voice, texts: list[str]) -> tuple[bytes, int]:
    """16-bit samples of the first paragraphs, ``SECONDS`` of them, and their rate in Hz.

    A paragraph on which the synthesiser ends (the Marathi voice does, on letters it has no rule for) is left out.
    """
    said, frames, rate = [], 0, 0
    with tempfile.TemporaryDirectory() as folder:
        for i, text in enumerate(texts):
            out = Path(folder, f"{i}.wav")
            {"festival": speak_festival, "flite": speak_flite}[voice.program](voice, text, out)
            if out.exists() and out.stat().st_size > 44:
                with wave.open(str(out)) as file:
                    rate = file.getframerate()
                    said.append(file.readframes(file.getnframes()))
                    frames += file.getnframes()
            if rate and frames >= SECONDS * rate:
                return b"".join(said), rate
    raise ValueError(f"only {frames / rate if rate else 0:.0f} of {SECONDS:.0f} s; is its package installed?")


def write(samples: bytes, rate: int, out: Path) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    part = out.with_suffix(".part")
    with wave.open(str(part), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples)
    part.rename(out)


def main(folder: Path) -> int:
    help_folder = folder / "gnome-user-docs/usr/share/help"
    for voice in VOICES:
        out = folder / "synthesised-voices" / voice.name / "voice.wav"
        if out.exists():
            continue
        try:
            write(*spoken(voice, paragraphs(help_folder, voice)), out)
        except (OSError, ValueError, wave.Error) as error:
            print(f"synthesise_voices.py: {voice.name} does not speak: {error}", file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: synthesise_voices.py FOLDER")
    sys.exit(main(Path(sys.argv[1])))
