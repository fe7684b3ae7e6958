"""The operators as Triton kernels, for CUDA devices. Import only where Triton is."""
