"""``stylefx.transfer``: arrays, tensors and files in, the same out."""
