"""Which process takes which CUDA device, and what a dry run says of how the work divides."""

from __future__ import annotations

import pytest
import torch

from stylefx.errors import UserError
from stylefx.training.processes.distributed import choose_device, join
from stylefx.training.summary import summary
from tests.training.conftest import small


def _pretend(monkeypatch, devices: int) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: devices > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: devices)


@pytest.mark.parametrize("device", ["auto", "cuda"])
def test_ranks_without_a_local_rank_do_not_share_the_first_device(monkeypatch, device):
    _pretend(monkeypatch, 4)
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    with pytest.raises(UserError, match=r"WORLD_SIZE is 4 and LOCAL_RANK is not set.*start with torchrun"), join(device):
        pass


def test_a_device_that_is_not_there_is_named(monkeypatch):
    _pretend(monkeypatch, 2)
    assert choose_device("auto", 1) == torch.device("cuda:1")
    with pytest.raises(UserError, match=r"'cuda:2', but this process sees 2 CUDA device"):
        choose_device("auto", 2)


def test_a_dry_run_says_how_many_readers_and_when_processes_get_too_few_items(corpus, monkeypatch):
    config = small(corpus, global_batch=16, data__workers=None)
    assert "readers: 1 thread(s) per process" in summary(config) or config.readers() > 1
    monkeypatch.setenv("WORLD_SIZE", "8")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "8")
    assert "2 item(s) per process" in summary(config)
    assert "more readers than processors" in summary(small(corpus, global_batch=16, data__workers=1000))


def test_a_dry_run_says_what_the_readers_give_and_which_format_is_read_faster(corpus):
    said = summary(small(corpus, data__workers=2))  # halves of 20000 samples
    assert f"reading: some {2 * 150 * 131072 / 20000 / 1000:.3g} k items a second per process (FLAC" in said
    assert "audio_format: pcm24 (WAV)" in said
    assert "reading: some 7.86 k" in summary(small(corpus, data__workers=100))  # more of them give no more
    assert "reading:" not in summary(small(corpus, data__render="online", data__online={"preset": "deepafx-st"}))


def test_readers_follow_the_processors_at_hand(corpus, monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: set(range(16)), raising=False)
    config = small(corpus, data__workers=None)
    assert [config.readers(processes) for processes in (1, 4, 16)] == [8, 3, 1]
    assert small(corpus, data__workers=5).readers(4) == 5


def test_a_dry_run_counts_reading_processes_and_advises_them_beside_a_gpu(corpus, monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: set(range(16)), raising=False)
    config = small(corpus, data__workers=None, data__reader_processes=4)
    said = summary(config)
    assert "readers: 15 thread(s) per process in 4 reading process(es), 15 on this machine" in said
    assert f"reading: some {15 * 150 * 131072 / 20000 / 1000:.3g} k items a second" in said
    assert "set data.reader_processes" not in said
    assert config.readers() == 8  # what is validated on is read by threads
    assert small(corpus, data__workers=2, data__reader_processes=4).training_readers() == 4
    assert "set data.reader_processes" not in summary(small(corpus, data__workers=None))
    _pretend(monkeypatch, 1)
    assert "set data.reader_processes, to 4 perhaps" in summary(small(corpus, device="auto"))
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: set(range(4)), raising=False)
    assert "set data.reader_processes" not in summary(small(corpus, device="auto"))
