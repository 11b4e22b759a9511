"""Times training steps in PyTorch, on command: the peer of tests/bench/steps.cpp.

Reads lines from standard input and answers each with one line:
  load FILE   reads weights, batch and settings; answers "ready VERSION"
  steps N     runs N whole steps (forward, backward, AdamW); answers "LOSS MS MS ...", the first step's loss first
  memory      answers the peak resident size of this process in bytes
The number of threads is that of OMP_NUM_THREADS.
"""
import os
import resource
import sys
import time

try:
    import torch
    import torch.nn.functional as F
except ImportError:
    print("missing", flush=True)
    sys.exit(77)
sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from torch_model import forward, linear, read_safetensors


def fused_attention(p, name, x, heads):
    """One product for q, k, v, as nanoGPT, and PyTorch's own attention."""
    b, t, c = x.shape
    q, k, v = linear(p, name + ".qkv", x).view(b, t, 3, heads, c // heads).permute(2, 0, 3, 1, 4)
    z = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    return linear(p, name + ".out", z.transpose(1, 2).reshape(b, t, c))


def adamw(parameters, settings):
    options = dict(lr=settings["lr"], betas=(settings["beta1"], settings["beta2"]), eps=settings["epsilon"])
    for kind in (dict(fused=True), dict(foreach=True)):  # fused on CPU: PyTorch 2.4 and later
        try:
            return torch.optim.AdamW(parameters, weight_decay=settings["weight-decay"], **options, **kind)
        except (RuntimeError, TypeError):
            pass
    return torch.optim.AdamW(parameters, weight_decay=settings["weight-decay"], **options)


class Training:
    def __init__(self, path):
        p, self.settings = read_safetensors(path)
        self.inputs, self.targets = p.pop("batch.inputs").long(), p.pop("batch.targets").long().flatten()
        for name in [n for n in p if ".q." in n]:
            p[name.replace(".q.", ".qkv.")] = torch.cat([p.pop(name.replace(".q.", f".{part}.")) for part in "qkv"])
        self.p = {name: value.requires_grad_() for name, value in p.items()}
        self.optimiser = adamw(list(self.p.values()), self.settings)

    def step(self):
        start = time.perf_counter()
        logits = forward(self.p, self.settings, self.inputs, fused_attention)
        loss = F.cross_entropy(logits.flatten(0, 1), self.targets)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.optimiser.step()
        return loss.item(), 1e3 * (time.perf_counter() - start)


torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
for line in sys.stdin:
    command, *arguments = line.split()
    if command == "load":
        training = Training(arguments[0])
        print("ready", torch.__version__, flush=True)
    elif command == "steps":
        done = [training.step() for _ in range(int(arguments[0]))]
        print(done[0][0], *(f"{ms:.4f}" for _, ms in done), flush=True)
    elif command == "memory":
        print(1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, flush=True)
