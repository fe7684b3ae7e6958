"""What an evaluation compares: the model, the rule-based baseline, the oracle."""
