"""Two signals side by side beside one after the other: the equaliser's cascade and the loudness filter, CPU ms of one thread.

    python -m benchmarks.side_by_side

10.9 s at 24 kHz, six sections; the least of 15.
"""

from __future__ import annotations

import click
import numpy as np

from benchmarks.cpu_time import least_ms
from stylefx.audio.loudness import integrated_lufs, integrated_lufs_together
from stylefx.effects.kernels.biquad import design
from stylefx.effects.kernels.cascade import CascadeProcess
from stylefx.effects.registry import make_effect
from stylefx.effects.side_by_side import render_two

RATE, FRAMES = 24000.0, 262_144
CUTOFFS_HZ = (100.0, 300.0, 800.0, 2000.0, 5000.0, 9000.0)


@click.command(help=__doc__.splitlines()[0])
def main() -> None:
    audio = (0.1 * np.random.default_rng(0).standard_normal((2, FRAMES))).astype(np.float32)
    sos = np.array([design("peak", cutoff, 1.0, RATE, 6.0)[0] for cutoff in CUTOFFS_HZ])
    mono = [np.ascontiguousarray(channel[None]) for channel in audio]
    rows = {
        "six sections, stereo": (lambda: CascadeProcess(sos, 2)(audio), lambda: [CascadeProcess(sos, 1)(one) for one in mono]),
        "loudness of a stereo signal": (lambda: integrated_lufs(audio, RATE), lambda: [integrated_lufs(m, RATE) for m in mono]),
        "loudness of a mono pair": (
            lambda: integrated_lufs_together(mono, RATE),
            lambda: [integrated_lufs(m, RATE) for m in mono],
        ),
    }
    for name in ("parametric_eq", "compressor"):
        effect = make_effect(name)
        both = [{p.name: p.from_control(control) for p in effect.parameters} for control in (0.3, 0.6)]
        rows[f"two of {name}, mono, settings of their own"] = (
            lambda e=effect, s=both: render_two((e, e), (mono[0], mono[1]), (s[0], s[1]), RATE),
            lambda e=effect, s=both: [e.render(one, given, RATE) for one, given in zip(mono, s, strict=True)],
        )
    click.echo("| what | side by side, ms | one after the other | ratio |\n|---|---:|---:|---:|")
    for name, (together, apart) in rows.items():
        a, b = least_ms(together), least_ms(apart)
        click.echo(f"| {name} | {a:.2f} | {b:.2f} | {b / a:.2f} |")


if __name__ == "__main__":
    main()
