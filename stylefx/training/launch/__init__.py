"""One trainer, started in this process, under torchrun or by Ray Train."""
