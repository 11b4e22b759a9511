"""Trains in PyTorch from the weights and on the batches that tests/models/torch_test.cpp has written, and compares losses.

usage: python3 tests/models/torch_parity.py FILE.safetensors TOLERANCE

FILE holds the first weights under their paths, "batches.inputs" and "batches.targets" [steps, B, T] (as float32), and
"losses" [steps]; its metadata holds the settings as JSON. Exit status: 0 the curves agree to TOLERANCE, 1 they do not,
77 skipped.
"""
import math
import sys

try:
    import torch
    import torch.nn.functional as F
except ImportError:
    print("skipped: PyTorch is not installed for this python3 (Debian: apt install python3-torch)")
    sys.exit(77)
from torch_model import forward, read_safetensors


class FairseqAdam(torch.optim.Optimizer):
    """Epsilon is added to the root of the uncorrected second moment."""

    def __init__(self, groups, lr, betas, eps):
        super().__init__(groups, dict(lr=lr, betas=betas, eps=eps, weight_decay=0.0))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            (b1, b2), eps, lr = group["betas"], group["eps"], group["lr"]
            for w in group["params"]:
                state = self.state[w]
                if not state:
                    state.update(t=0, m=torch.zeros_like(w), v=torch.zeros_like(w))
                state["t"] += 1
                state["m"].mul_(b1).add_(w.grad, alpha=1 - b1)
                state["v"].mul_(b2).addcmul_(w.grad, w.grad, value=1 - b2)
                w.mul_(1 - lr * group["weight_decay"])
                step_size = lr * math.sqrt(1 - b2 ** state["t"]) / (1 - b1 ** state["t"])
                w.addcdiv_(state["m"], state["v"].sqrt().add_(eps), value=-step_size)


def main(path, tolerance):
    torch.set_num_threads(1)
    arrays, s = read_safetensors(path)
    inputs, targets = arrays.pop("batches.inputs").long(), arrays.pop("batches.targets").long()
    ours, rates = arrays.pop("losses"), arrays.pop("learning_rates")
    p = {name: value.requires_grad_() for name, value in arrays.items()}
    decays = [w for w in p.values() if w.dim() >= 2 or s["decay"] == "all"]
    others = [w for w in p.values() if not (w.dim() >= 2 or s["decay"] == "all")]
    groups = [dict(params=decays, weight_decay=s["weight-decay"]), dict(params=others, weight_decay=0.0)]
    kind = torch.optim.AdamW if s["optimiser"] == "adamw" else FairseqAdam
    optimiser = kind([g for g in groups if g["params"]], lr=1.0, betas=(s["beta1"], s["beta2"]), eps=s["epsilon"])

    worst = 0.0
    for step in range(len(ours)):
        logits = forward(p, s, inputs[step])
        loss = F.cross_entropy(logits.flatten(0, 1), targets[step].flatten(), ignore_index=-1,
                               label_smoothing=s["label-smoothing"])
        optimiser.zero_grad()
        loss.backward()
        if s["clip"] > 0:
            torch.nn.utils.clip_grad_norm_(list(p.values()), s["clip"])
        for group in optimiser.param_groups:
            group["lr"] = rates[step].item()
        optimiser.step()
        worst = max(worst, abs(loss.item() - ours[step].item()))
        if step % 10 == 9 or step == 0:
            print(f"step {step + 1:3}  PyTorch {loss.item():.6f}  ours {ours[step].item():.6f}")
    print(f"largest difference over {len(ours)} steps: {worst:.2e}")
    return 0 if worst <= tolerance else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], float(sys.argv[2])))
