"""The transformer of models/transformer.h in PyTorch, from weights in a safetensors file."""
import functools
import json
import math
import struct

import torch
import torch.nn.functional as F


def read_safetensors(path):
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        data = bytearray(file.read())
    metadata = header.pop("__metadata__")
    arrays = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        arrays[name] = torch.frombuffer(data[begin:end], dtype=torch.float32).reshape(entry["shape"]).clone()
    return arrays, json.loads(metadata["settings"])


def linear(p, name, x):
    return F.linear(x, p[name + ".weight"], p.get(name + ".bias"))


def norm(p, name, x):
    return F.layer_norm(x, x.shape[-1:], p[name + ".weight"], p.get(name + ".bias"), 1e-5)


def attention(p, name, x, heads):
    b, t, c = x.shape
    q, k, v = (linear(p, f"{name}.{part}", x).view(b, t, heads, c // heads).transpose(1, 2) for part in "qkv")
    scores = q @ k.transpose(-2, -1) / math.sqrt(c // heads)
    future = torch.ones(t, t, dtype=torch.bool).triu(1)
    z = scores.masked_fill(future, float("-inf")).softmax(-1) @ v
    return linear(p, f"{name}.out", z.transpose(1, 2).reshape(b, t, c))


@functools.lru_cache
def sinusoids(channels, tokens):  # as fairseq lays them out
    half = channels // 2
    rate = torch.exp(torch.arange(half, dtype=torch.float64) * -(math.log(10000) / (half - 1)))
    angle = torch.arange(2, 2 + tokens, dtype=torch.float64)[:, None] * rate
    return torch.cat([angle.sin(), angle.cos()], 1).float()


def forward(p, s, ids, attention=attention):
    """Logits [B, T, V]. p: parameters by path, s: settings, ids: [B, T]."""
    x = F.embedding(ids, p["tokens.weight"])
    if s["positions"] == "learned":
        x = x + p["positions.weight"][: ids.shape[1]]
    else:
        x = math.sqrt(s["channels"]) * x + sinusoids(s["channels"], ids.shape[1])
    act = F.relu if s["activation"] == "relu" else lambda u: F.gelu(u, approximate="tanh")
    for layer in range(s["layers"]):
        name = f"blocks.{layer}."
        mlp = lambda u: linear(p, name + "mlp.down", act(linear(p, name + "mlp.up", u)))
        if s["block"] == "pre-norm":
            x = x + attention(p, name + "attn", norm(p, name + "attn_norm", x), s["heads"])
            x = x + mlp(norm(p, name + "mlp_norm", x))
        else:
            x = norm(p, name + "attn_norm", x + attention(p, name + "attn", x, s["heads"]))
            x = norm(p, name + "mlp_norm", x + mlp(x))
    if s["final-norm"] == "layer":
        x = norm(p, "final_norm", x)
    return F.linear(x, p.get("unembed.weight", p["tokens.weight"]))
