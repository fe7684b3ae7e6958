"""Averages in, settings out: an encoder of plain numbers and a controller that solves for an equaliser's curve."""
