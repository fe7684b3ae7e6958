"""What a person may want from a reference: two intents, which no single answer serves."""

from __future__ import annotations

from stylefx.errors import UserError
from stylefx.nearest import did_you_mean

#: "style": do what was done to the reference; "balance": make the average spectrum and dynamics the reference's
STYLE, BALANCE = "style", "balance"
INTENTS = (STYLE, BALANCE)

#: what settings are refined towards: what the model believes was done to the references, the references' averages, or the middle
#: between those and what the prediction comes to
BELIEF, REFERENCES, BETWEEN = "belief", "references", "between"
TOWARDS = (BELIEF, REFERENCES, BETWEEN)


def intent_number(intent: str | None, known: tuple[str, ...], model: str) -> int:
    """The place of ``intent`` (None: the first) among those that a model knows; UserError for another."""
    if intent is None:
        return 0
    if intent not in known:
        hint = did_you_mean(intent, known, "choose one of them, or another model")
        raise UserError(f"{model} knows the intents {', '.join(known) or 'none'}, not {intent!r}{hint}")
    return known.index(intent)
