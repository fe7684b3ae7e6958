"""A small interpreter of the EEL2 subset that JSFX plug-ins use: numbers, variables, memory, functions, conditions.

It knows nothing of our plug-in: a recursive-descent parser after the language's description, closures instead of a syntax
tree, double precision as in REAPER. ``run`` executes @init, @slider and @sample on stereo audio.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable

import numpy as np

_TOKEN = re.compile(
    r"\s*(?://[^\n]*|(\d+\.?\d*(?:e[+-]?\d+)?|\.\d+)|(\$?[A-Za-z_]\w*)|([-+*/^]=|[<>=!]=|&&|\|\||[-+*/^<>?:;,()\[\]=!]))"
)
_FUNCTIONS: dict[str, Callable] = {
    "exp": math.exp, "log": math.log, "log10": math.log10, "tan": math.tan, "sqrt": math.sqrt, "abs": abs,
    "min": min, "max": max, "sin": math.sin, "cos": math.cos, "floor": math.floor,
}  # fmt: skip
Code = Callable[[dict], float]


def sections(text: str) -> tuple[dict[str, str], dict[int, float]]:
    """The code of each @section, and the default value of each slider."""
    parts = re.split(r"^@(\w+)[^\n]*$", text, flags=re.M)
    sliders = {int(n): float(v) for n, v in re.findall(r"^slider(\d+):(-?[\d.]+)<", parts[0], flags=re.M)}
    return dict(zip(parts[1::2], parts[2::2], strict=True)), sliders


def run(text: str, audio: np.ndarray, sample_rate: float, sliders: dict[int, float] | None = None) -> np.ndarray:
    """float (2, n) -> float64 (2, n) through the plug-in, the look-ahead that it reports (pdc_delay) compensated."""
    code, defaults = sections(text)
    memory: dict[int, float] = {}
    functions: dict[str, tuple[list[str], Code]] = {}
    variables = {"srate": float(sample_rate), **{f"slider{n}": v for n, v in {**defaults, **(sliders or {})}.items()}}
    for name in ("init", "slider", "block"):
        _Parser(code.get(name, ""), memory, functions).program()(variables)
    sample = _Parser(code["sample"], memory, functions).program()
    late = int(variables.get("pdc_delay", 0))
    audio = np.pad(audio, ((0, 0), (0, late)))
    out = np.empty(audio.shape)
    for i in range(audio.shape[1]):
        variables["spl0"], variables["spl1"] = float(audio[0, i]), float(audio[1, i])
        sample(variables)
        out[:, i] = variables["spl0"], variables["spl1"]
    return out[:, late:]


class _Parser:
    def __init__(self, text: str, memory: dict[int, float], functions: dict[str, tuple[list[str], Code]]):
        self.tokens = [(m.group(1), m.group(2), m.group(3)) for m in self._scan(text)]
        self.at, self.memory, self.functions = 0, memory, functions

    @staticmethod
    def _scan(text: str):
        position, text = 0, text.rstrip()
        while position < len(text):
            match = _TOKEN.match(text, position)
            if not match:
                raise SyntaxError(f"EEL2: cannot read {text[position : position + 30]!r}")
            position = match.end()
            if any(match.groups()):
                yield match

    def peek(self) -> str:
        return next((t for t in self.tokens[self.at] if t), "") if self.at < len(self.tokens) else ""

    def take(self, wanted: str | None = None) -> str:
        token = self.peek()
        if wanted is not None and token != wanted:
            raise SyntaxError(f"EEL2: expected {wanted!r}, found {token!r} after {self.tokens[max(0, self.at - 8) : self.at]}")
        self.at += 1
        return token

    def program(self, end: str = "") -> Code:
        """Statements separated by semicolons; the value of the last."""
        steps: list[Code] = []
        while self.peek() not in (end, ""):
            if self.peek() == ";":
                self.take()
            elif self.peek() == "function":
                self._define()
            else:
                steps.append(self.assignment())

        def execute(v: dict) -> float:
            value = 0.0
            for step in steps:
                value = step(v)
            return value

        return execute

    def _names(self) -> list[str]:
        self.take("(")
        names = []
        while self.peek() != ")":
            token = self.take()
            if token != ",":
                names.append(token)
        self.take(")")
        return names

    def _define(self) -> None:
        self.take("function")
        name, parameters = self.take(), self._names()
        local = []
        if self.peek() == "local":
            self.take()
            local = self._names()
        self.take("(")
        body = self.program(")")
        self.take(")")
        scope = [*parameters, *local]

        def call(v: dict, values: list[float]) -> float:
            # Parameters and locals hide globals of the same name while the function runs.
            hidden = {n: v.get(n) for n in scope}
            v.update(zip(parameters, values, strict=True))
            v.update((n, 0.0) for n in local)
            result = body(v)
            for n, old in hidden.items():
                if old is None:
                    v.pop(n, None)
                else:
                    v[n] = old
            return result

        self.functions[name] = (parameters, call)

    def assignment(self) -> Code:
        start = self.at
        target = self.condition()
        token = self.peek()
        if token == "=" or (len(token) == 2 and token[1] == "=" and token[0] in "+-*/^"):
            self.take()
            value, setter = self.assignment(), getattr(target, "store", None)
            if setter is None:
                raise SyntaxError(f"EEL2: cannot assign to {self.tokens[start]}")
            if token == "=":
                return lambda v: setter(v, value(v))
            operation = _BINARY[token[0]]
            return lambda v: setter(v, operation(target(v), value(v)))
        return target

    def condition(self) -> Code:
        test = self.binary(0)
        if self.peek() != "?":
            return test
        self.take()
        yes = self.assignment()
        if self.peek() != ":":
            return lambda v: yes(v) if test(v) else 0.0
        self.take()
        no = self.assignment()
        return lambda v: yes(v) if test(v) else no(v)

    def binary(self, level: int) -> Code:
        if level == len(_LEVELS):
            return self.unary()
        left = self.binary(level + 1)
        while self.peek() in _LEVELS[level]:
            operation, right = _BINARY[self.take()], self.binary(level + 1)
            left = self._joined(operation, left, right)
        return left

    @staticmethod
    def _joined(operation: Callable, left: Code, right: Code) -> Code:
        return lambda v: operation(left(v), right(v))

    def unary(self) -> Code:
        if self.peek() == "-":
            self.take()
            value = self.unary()
            return lambda v: -value(v)
        if self.peek() == "!":
            self.take()
            value = self.unary()
            return lambda v: float(not value(v))
        value = self.primary()
        while self.peek() == "[":
            self.take()
            index = self.assignment() if self.peek() != "]" else (lambda v: 0.0)
            self.take("]")
            value = self._indexed(value, index)
        return value

    def _indexed(self, base: Code, index: Code) -> Code:
        def address(v: dict) -> int:
            return int(base(v) + index(v) + 1e-5)

        def load(v: dict) -> float:
            return self.memory.get(address(v), 0.0)

        def store(v: dict, value: float) -> float:
            self.memory[address(v)] = value
            return value

        load.store = store
        return load

    def primary(self) -> Code:
        number, name, sign = self.tokens[self.at]
        self.at += 1
        if number:
            constant = float(number)
            return lambda v: constant
        if sign == "(":
            value = self.program(")")
            self.take(")")
            return value
        if name == "$pi":
            return lambda v: math.pi
        if name and self.peek() == "(":
            return self._call(name)
        if not name:
            raise SyntaxError(f"EEL2: unexpected {sign!r}")

        def load(v: dict) -> float:
            return v.get(name, 0.0)

        def store(v: dict, value: float) -> float:
            v[name] = value
            return value

        load.store = store
        return load

    def _loop(self) -> Code:
        """loop(count, code)"""
        self.take("(")
        count = self.assignment()
        self.take(",")
        body = self.program(")")
        self.take(")")

        def execute(v: dict) -> float:
            for _ in range(int(count(v))):
                body(v)
            return 0.0

        return execute

    def _while(self) -> Code:
        """while (condition) ( code )"""
        self.take("(")
        condition = self.program(")")
        self.take(")")
        self.take("(")
        body = self.program(")")
        self.take(")")

        def execute(v: dict) -> float:
            while condition(v):
                body(v)
            return 0.0

        return execute

    def _call(self, name: str) -> Code:
        if name in ("loop", "while"):
            return self._loop() if name == "loop" else self._while()
        self.take("(")
        arguments: list[Code] = []
        while self.peek() != ")":
            if self.peek() == ",":
                self.take()
            else:
                arguments.append(self.assignment())
        self.take(")")
        if name in _FUNCTIONS:
            function = _FUNCTIONS[name]
            return lambda v: float(function(*(a(v) for a in arguments)))
        parameters, call = self.functions[name]
        if len(parameters) != len(arguments):
            raise SyntaxError(f"EEL2: {name} takes {len(parameters)} arguments, {len(arguments)} given")
        return lambda v: call(v, [a(v) for a in arguments])


_LEVELS = (("||",), ("&&",), ("==", "!=", "<", ">", "<=", ">="), ("+", "-"), ("*", "/"), ("^",))
_BINARY: dict[str, Callable] = {
    "||": lambda a, b: float(bool(a) or bool(b)), "&&": lambda a, b: float(bool(a) and bool(b)),
    "==": lambda a, b: float(abs(a - b) < 1e-5), "!=": lambda a, b: float(abs(a - b) >= 1e-5),  # EEL2 compares with a tolerance
    "<": lambda a, b: float(a < b), ">": lambda a, b: float(a > b),
    "<=": lambda a, b: float(a <= b), ">=": lambda a, b: float(a >= b),
    "+": lambda a, b: a + b, "-": lambda a, b: a - b, "*": lambda a, b: a * b,
    "/": lambda a, b: a / b if b else 0.0, "^": lambda a, b: a**b,
}  # fmt: skip
