"""A Faust program compiled by Debian's faust and the system's C++ compiler, run on float64 audio."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np

_HARNESS = """
#define FAUSTFLOAT double
#include <cstdio>
#include <cstdlib>
#include <vector>
#include <cmath>
#include <algorithm>
struct Meta { void declare(const char*, const char*) {} };
struct UI {
  void openVerticalBox(const char*) {} void openHorizontalBox(const char*) {} void openTabBox(const char*) {} void closeBox() {}
  void addHorizontalSlider(const char*, double*, double, double, double, double) {}
  void addVerticalSlider(const char*, double*, double, double, double, double) {}
  void declare(double*, const char*, const char*) {}
};
struct dsp { virtual ~dsp() {} };
#include "program.h"
int main(int, char** arguments) {
  mydsp* program = new mydsp();
  program->init(std::atoi(arguments[1]));
  long n = std::atol(arguments[2]);
  std::vector<double> in(2 * n), out(2 * n);
  if (std::fread(in.data(), 8, 2 * n, stdin) != size_t(2 * n)) return 1;
  for (long i = 0; i < n; i += 64) {
    double* ins[2] = {&in[i], &in[n + i]};
    double* outs[2] = {&out[i], &out[n + i]};
    program->compute(int(std::min(64L, n - i)), ins, outs);
  }
  std::fwrite(out.data(), 8, 2 * n, stdout);
}
"""


def run(text: str, audio: np.ndarray, sample_rate: int, folder: Path) -> np.ndarray:
    """float64 (2, n) -> float64 (2, n) through the program."""
    (folder / "program.dsp").write_text(text)
    (folder / "main.cpp").write_text(_HARNESS)
    for command in (
        ["faust", "-double", "-lang", "cpp", "-cn", "mydsp", "program.dsp", "-o", "program.h"],
        ["g++", "-O1", "-o", "program", "main.cpp"],
    ):
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    data = np.ascontiguousarray(audio, np.float64)
    command = [folder / "program", str(sample_rate), str(data.shape[1])]
    done = subprocess.run(command, input=data.tobytes(), capture_output=True, check=True)
    return np.frombuffer(done.stdout).reshape(2, -1)
