"""What the model hears of a recording, and what it says: windows, prediction, levels."""
