"""A tremolo, a source of tones, an augmentation and an encoder: one of everything that a plug-in can bring."""
