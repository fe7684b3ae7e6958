"""What ``stylefx.build_corpus`` and ``stylefx.plan_corpus`` do and return."""
