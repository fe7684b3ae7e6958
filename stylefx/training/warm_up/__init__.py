"""What a solver learns before it hears audio: to make curves, and which curve two sets of averages ask for."""
