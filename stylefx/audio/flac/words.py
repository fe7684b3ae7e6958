"""Single instructions for bit streams: eight bytes at once, and how many zeros a word begins with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

if TYPE_CHECKING:

    def load_word(address: Any) -> Any:
        """What a kernel sees of the intrinsic below."""

    def store_word(address: Any, word: Any) -> Any:
        """What a kernel sees of the intrinsic below."""

    def leading_zeros(word: Any) -> Any:
        """What a kernel sees of the intrinsic below."""

else:

    @intrinsic
    def load_word(typing_context, address):
        """The eight bytes at an address (int64), the first the highest; the memory behind them must be there."""

        def code(context, builder, signature, arguments):
            word = builder.load(builder.inttoptr(arguments[0], ir.IntType(64).as_pointer()))
            word.align = 1
            return builder.bswap(word)

        return types.uint64(types.int64), code

    @intrinsic
    def store_word(typing_context, address, word):
        """Write eight bytes, the highest first."""

        def code(context, builder, signature, arguments):
            place = builder.inttoptr(arguments[0], ir.IntType(64).as_pointer())
            builder.store(builder.bswap(arguments[1]), place).align = 1
            return context.get_dummy_value()

        return types.void(types.int64, types.uint64), code

    @intrinsic
    def leading_zeros(typing_context, word):
        """Of a uint64, as int64; 64 for 0."""

        def code(context, builder, signature, arguments):
            return builder.ctlz(arguments[0], ir.Constant(ir.IntType(1), 0))

        return types.int64(types.uint64), code
