"""Figures of merit: of audio, of parameters, of the embedding; and the truth they are held against."""
