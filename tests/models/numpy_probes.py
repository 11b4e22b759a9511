"""What probes read, once more: another forward, in double, and each quantity from its definition.

usage: numpy_probes.py FILE.safetensors READINGS.json TOLERANCE

The file holds weights by path, "inputs" [B, T], and "lengths" [B]: how many tokens of each row are text. The
readings are a list of {"probe", "layer", "head", "key", "value", "error"}. Prints the largest deviation of each
quantity and ends with status 1 if one is above the tolerance."""
import json
import math
import struct
import sys

import numpy as np

BINS = 16


def read_safetensors(path):
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        data = file.read()
    settings = json.loads(header.pop("__metadata__")["settings"])
    arrays = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        arrays[name] = np.frombuffer(data[begin:end], np.float32).reshape(entry["shape"]).astype(np.float64)
    return arrays, settings


def linear(p, name, x):
    return x @ p[name + ".weight"].T + p.get(name + ".bias", 0)


def norm(p, name, x):
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5) * p[name + ".weight"] + p.get(name + ".bias", 0)


def activation(name, x):
    if name == "relu":
        return np.maximum(x, 0)
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))  # gelu-tanh


def sinusoids(channels, tokens):
    half = channels // 2
    rates = np.exp(np.arange(half) * -(math.log(10000) / (half - 1)))
    angles = np.arange(2, 2 + tokens)[:, None] * rates
    return np.concatenate([np.sin(angles), np.cos(angles)], 1)


def forward(p, s, ids):
    """Of one sequence: logits and patterns of each layer [H, T, T], the stream after each block [T, C]."""
    tokens, heads, dim = len(ids), s["heads"], s["channels"] // s["heads"]
    x = p["tokens.weight"][ids]
    if s["positions"] == "learned":
        x = x + p["positions.weight"][:tokens]
    else:
        x = math.sqrt(s["channels"]) * x + sinusoids(s["channels"], tokens)
    layers = []
    for layer in range(s["layers"]):
        name = f"blocks.{layer}."
        pre = s["block"] == "pre-norm"
        read = norm(p, name + "attn_norm", x) if pre else x
        split = lambda part: linear(p, f"{name}attn.{part}", read).reshape(tokens, heads, dim).transpose(1, 0, 2)
        q, k, v = split("q"), split("k"), split("v")
        logits = q @ k.transpose(0, 2, 1) / math.sqrt(dim)
        seen = np.tril(np.ones((tokens, tokens), bool))
        weights = np.where(seen, np.exp(logits - np.where(seen, logits, -np.inf).max(-1, keepdims=True)), 0)
        pattern = weights / weights.sum(-1, keepdims=True)
        x = x + linear(p, name + "attn.out", (pattern @ v).transpose(1, 0, 2).reshape(tokens, heads * dim))
        if not pre:
            x = norm(p, name + "attn_norm", x)
        read = norm(p, name + "mlp_norm", x) if pre else x
        x = x + linear(p, name + "mlp.down", activation(s["activation"], linear(p, name + "mlp.up", read)))
        if not pre:
            x = norm(p, name + "mlp_norm", x)
        layers.append((logits, pattern, x))
    return layers


def binned(row):
    """A row of n numbers as its share in 16 bins of equal width over relative position."""
    cumulated = np.concatenate([[0], np.cumsum(row)])
    edges = np.interp(np.linspace(0, len(row), BINS + 1), np.arange(len(row) + 1), cumulated)
    return np.diff(edges)


def entropy(p):
    p = p[p > 0]
    return -(p * np.log(p)).sum()


def of_window(layers):
    """Scalars by (probe, layer, head, key), profiles by (probe, layer, head)."""
    scalars, profiles = {}, {}
    for layer, (logits, pattern, x) in enumerate(layers):
        tokens = len(x)
        late = range(tokens * 3 // 4 + 1, tokens + 1)  # rows by the number of tokens that they see
        for head in range(len(pattern)):
            at = lambda probe, key: (probe, layer, head, key)
            nats = [entropy(pattern[head, n - 1, :n]) for n in range(2, tokens + 1)]
            scalars[at("attn.entropy", "nats")] = np.mean(nats)
            scalars[at("attn.entropy", "normalised")] = np.mean(nats / np.log(np.arange(2, tokens + 1)))
            scalars[at("attn.entropy", "last_row")] = nats[-1]
            rows = [logits[head, n - 1, :n] for n in range(1, tokens + 1)]
            centred = [row - row.mean() for row in rows]
            scalars[at("attn.logits", "largest")] = max(abs(row).max() for row in rows)
            scalars[at("attn.logits", "largest_centred")] = max(abs(row).max() for row in centred)
            scalars[at("attn.logits", "deviation")] = math.sqrt((np.concatenate(centred) ** 2).mean())
            profile = np.mean([binned(pattern[head, n - 1, :n]) for n in late], 0)
            profiles["attn.profile", layer, head] = profile
            scalars[at("attn.profile", "last_quarter")] = profile[12:].sum()
            scalars[at("attn.profile", "first_quarter")] = profile[:4].sum()
            active = [(centred[n - 1] > -1) & (centred[n - 1] < n - 1) for n in late]
            rho = np.mean([binned(a / len(a)) * BINS for a in active], 0)
            profiles["attn.rho", layer, head] = rho
            scalars[at("attn.rho", "mean")] = rho.mean()
        rest = x - x.mean(0)
        length = lambda m: math.sqrt(abs(m).sum(0).max() * abs(m).sum(1).max())
        scalars["resid.rank", layer, -1, "frobenius"] = np.linalg.norm(rest) / np.linalg.norm(x)
        scalars["resid.rank", layer, -1, "dong"] = length(rest) / length(x)
        unit = x / np.linalg.norm(x, axis=1, keepdims=True)
        cosines = unit @ unit.T
        scalars["resid.cosine", layer, -1, "mean"] = (cosines.sum() - np.trace(cosines)) / tokens / (tokens - 1)
        sigma = np.linalg.svd(x, compute_uv=False)
        scalars["resid.effective_rank", layer, -1, "effective"] = math.exp(entropy(sigma / sigma.sum()))
        scalars["resid.effective_rank", layer, -1, "stable"] = (sigma**2).sum() / sigma[0] ** 2
    return scalars, profiles


def derived(profiles):
    scalars = {}
    for (probe, layer, head), p in profiles.items():
        if probe == "attn.profile":
            scalars[probe, layer, head, "entropy"] = entropy(p) / math.log(BINS)
        else:
            scalars[probe, layer, head, "later_half"] = p[8:].sum() / p.sum()
    return scalars


def of_weights(p, s):
    scalars = {}
    dim = s["channels"] // s["heads"]
    for layer in range(s["layers"]):
        for head in range(s["heads"]):
            rows = slice(head * dim, (head + 1) * dim)
            w = p[f"blocks.{layer}.attn.q.weight"][rows].T @ p[f"blocks.{layer}.attn.k.weight"][rows]  # d x d
            values = np.linalg.eigvals(w)
            values = values[np.argsort(-abs(values))][:dim]  # the others are 0
            energy = np.linalg.svd(w, compute_uv=False) ** 2
            at = lambda key: ("qk.spectrum", layer, head, key)
            scalars[at("trace")] = np.trace(w)
            scalars[at("trace_square")] = np.trace(w @ w)
            scalars[at("frobenius_square")] = (w**2).sum()
            scalars[at("mean")] = np.trace(w) / dim
            scalars[at("variance")] = (abs(values - np.trace(w) / dim) ** 2).mean()
            scalars[at("radius")] = abs(values).max()
            scalars[at("largest_singular")] = math.sqrt(energy[0])
            scalars[at("localisation")] = np.trace(w) / math.sqrt(dim * (w**2).sum())
            scalars[at("symmetry")] = np.trace(w @ w) / (w**2).sum()
            scalars[at("energy_1")] = energy[0] / energy.sum()
            scalars[at("energy_4")] = energy[:4].sum() / energy.sum()
    return scalars


def expected(p, s):
    """(value, standard error or None) of everything, over windows of text without their padding."""
    windows = []
    for ids, length in zip(p["inputs"].astype(int), p["lengths"].astype(int)):
        windows.append(of_window(forward(p, s, ids[:length])))
    n = len(windows)
    result = {place: (value, None) for place, value in of_weights(p, s).items()}
    for place in windows[0][0]:
        values = np.array([scalars[place] for scalars, _ in windows])
        if place[3].startswith("largest"):
            result[place] = values.max(), None
        else:
            result[place] = values.mean(), values.std(ddof=1) / math.sqrt(n)
    mean_of = lambda some: {place: np.mean([w[1][place] for w in some], 0) for place in windows[0][1]}
    whole = derived(mean_of(windows))
    without = [derived(mean_of(windows[:i] + windows[i + 1 :])) for i in range(n)]
    for place, value in whole.items():
        others = np.array([w[place] for w in without])
        result[place] = value, math.sqrt((n - 1) / n * ((others - others.mean()) ** 2).sum())
    return result


def main(file, readings, tolerance):
    p, s = read_safetensors(file)
    wanted = expected(p, s)
    worst, known = {}, set()
    for r in json.load(open(readings)):
        place = r["probe"], r["layer"], r["head"], r["key"]
        if place not in wanted:
            sys.exit(f"numpy does not know {place}")
        known.add(place)
        value, error = wanted[place]
        off = abs(r["value"] - value) / max(1, abs(value))
        if (error is None) != (r["error"] is None):
            sys.exit(f"{place}: standard error {r['error']}, numpy has {error}")
        if error is not None:
            off = max(off, abs(r["error"] - error) / max(1, abs(error)))
        worst[place[0], place[3]] = max(off, worst.get((place[0], place[3]), 0))
    if missing := set(wanted) - known:
        sys.exit(f"not read: {sorted(missing)[0]}")
    for (probe, key), off in sorted(worst.items()):
        print(f"{probe:22} {key:18} {off:.1e}")
    print(f"{len(known)} quantities, largest deviation {max(worst.values()):.1e}")
    sys.exit(int(max(worst.values()) > float(tolerance)))


if __name__ == "__main__":
    main(*sys.argv[1:])
