"""A recorded pass leaves the gradients of the plain one, in one pass or several; the recording itself is a stand-in here, which
writes over the same memory at every replay as a CUDA graph does."""

from __future__ import annotations

import torch

from stylefx.training.loop.recorded import RecordedPass, _Recording


class StandIn(RecordedPass):
    recorded = 0

    def _record(self, audio):
        self.recorded += 1
        inputs = {name: tensor.clone() for name, tensor in audio.items()}
        self._forget()
        terms = self.plain(inputs)
        written = [p.grad for p in self.parameters]
        self._forget()

        class Graph:
            def replay(_):
                held = [p.grad for p in self.parameters]
                self._forget()
                terms.copy_(self.plain(inputs))
                for place, p in zip(written, self.parameters):
                    if place is not None:
                        place.copy_(p.grad)
                for p, grad in zip(self.parameters, held):
                    p.grad = grad

        return _Recording(Graph(), inputs, terms, written)


def test_gradients_of_one_pass_and_of_several():
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(4, 1))
    idle = torch.nn.Parameter(torch.zeros(2))  # takes part in no pass
    parameters = [*model.parameters(), idle]

    def plain(audio):
        loss = model(audio["input"]).square().mean()
        loss.backward()
        return torch.stack([loss, 2 * loss]).detach()

    recorded, generator = StandIn(plain, model, parameters), torch.Generator().manual_seed(0)
    for items in ([4], [4, 4], [4, 4, 4], [2, 4]):  # another shape is another recording
        batches = [{"input": torch.randn(n, 3, generator=generator)} for n in items]
        results = []
        for run in (plain, recorded):
            for p in parameters:
                p.grad = None
            terms = [run(batch).clone() for batch in batches]
            results.append((torch.stack(terms), [p.grad.clone() for p in parameters[:-1]]))
            assert idle.grad is None
        assert torch.equal(results[0][0], results[1][0])
        for one, other in zip(*(grads for _, grads in results)):
            assert torch.allclose(one, other, rtol=1e-6, atol=0)
    assert recorded.recorded == 2
