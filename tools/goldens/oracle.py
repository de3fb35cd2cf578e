#!/usr/bin/python3
"""An independent oracle: a plain PyTorch Llama in float64 that materialises every attention map.

    oracle.py MODEL_DIR PROMPTS.jsonl > ORACLE.jsonl

A prompt line: {"ids": [...], "recovery": T, "new": 16}. An oracle line adds, in float64 arithmetic:
  logits                 the last prompt row's logits, first 64 entries
  largest_logit          the greatest magnitude among all of that row's logits: what tolerances are relative to
  recovery_by_candidate  [layer][kvHead][candidate]: mass kept by each candidate of the paper's chain, minimum over the group's query heads
  plan                   [layer][kvHead]: index of the first candidate that reaches T (4 = full)
  kept                   [layer][kvHead]: how many prompt positions remain after the cut
  frequent_gap           [layer][kvHead]: relative gap in cumulative mass at the edge of frequent(30%): below the arithmetic's noise, the kept set is a coin toss
  greedy, greedy_gap     `new` tokens decoded greedily with the full cache (the end of the text is ignored), and the lead of each over the runner-up, relative to the largest logit
  compressed, compressed_gap   the same with the compressed cache, the policy applied again after every token
  compressed_frequent_gap      the least frequent_gap over all heads at each of those cuts
With "probe": [...] in the prompt line (ids that follow the prompt as one chunk and are thrown away), also, for the adaptive preset:
  ladder_recovery        [layer][kvHead][rung]: recovery over the probe's rows and the prompt's last eight of special | top(maxWeight, x) | recent(4), x in LADDER
  ladder_rung            [layer][kvHead]: the first rung that reaches T;  ladder_kept [layer][kvHead]: prompt slots after that cut
  ladder_gap             [layer][kvHead]: relative gap in maxWeight at the edge of that rung
  ladder_gaps            [layer][kvHead][rung]: the same at the edge of every rung
  adaptive, adaptive_gap `new` tokens decoded greedily over that cut, nothing evicted afterwards
Conventions: docs/architecture.md, "paper mode". Needs PyTorch >= 1.13 and NumPy.

It shares no code with the packages, on purpose: what it computes is compared with what they compute.
"""
import json, math, struct, sys, unicodedata
import numpy as np, torch

CHAIN = (("special",), ("special", "punctuation"), ("special", "punctuation", "frequent"),
         ("special", "punctuation", "frequent", "recent"), ("full",))
RATIO = 0.3
LADDER = (0, .05, .1, .2, .3, .4, .5, .6, .7, .8, .9, 1)


class Model:
    def __init__(self, path):
        self.cfg = c = json.load(open(f"{path}/config.json"))
        raw = open(f"{path}/model.safetensors", "rb").read()
        n, = struct.unpack("<Q", raw[:8])
        self.w = {}
        for k, v in json.loads(raw[8:8 + n]).items():
            if k != "__metadata__":
                a, b = v["data_offsets"]
                buf = raw[8 + n + a:8 + n + b]
                if v["dtype"] == "BF16":
                    x = (np.frombuffer(buf, np.uint16).astype(np.uint32) << 16).view(np.float32)
                else:
                    x = np.frombuffer(buf, {"F16": np.float16, "F32": np.float32}[v["dtype"]])
                self.w[k] = torch.from_numpy(x.reshape(v["shape"]).astype(np.float64))
        self.H, self.K, self.L = c["num_attention_heads"], c.get("num_key_value_heads", c["num_attention_heads"]), c["num_hidden_layers"]
        self.D = c.get("head_dim") or c["hidden_size"] // self.H
        tok = json.load(open(f"{path}/tokenizer.json"))
        back = {u: b for b, u in byte_map().items()}
        words = {i: w for w, i in tok["model"]["vocab"].items()}
        special = {t["id"] for t in tok["added_tokens"] if t["special"]}
        self.classes = []
        for i in range(c["vocab_size"]):
            if i in special:
                self.classes.append("special")
                continue
            try:
                text = bytes(back.get(ch, 63) for ch in words.get(i, "")).decode("utf-8").strip()
            except UnicodeDecodeError:  # a part of a character is no punctuation
                text = ""
            self.classes.append("punctuation" if text and all(unicodedata.category(ch)[0] in "PS" for ch in text) else "")

    def frequencies(self):
        f = self.cfg.get("rope_theta", 1e4) ** (-torch.arange(0, self.D, 2, dtype=torch.float64) / self.D)
        s = self.cfg.get("rope_scaling")
        if not s:
            return f
        if s["rope_type"] != "llama3":
            sys.exit(f"rope_scaling {s['rope_type']!r}: the oracle has llama3 only")
        # Llama 3.1: wavelengths beyond old/low are stretched by the factor, those below old/high are kept, between them a blend
        old, low, high = s["original_max_position_embeddings"], s["low_freq_factor"], s["high_freq_factor"]
        wavelength = 2 * math.pi / f
        smooth = ((old / wavelength - low) / (high - low)).clamp(0, 1)
        return smooth * f + (1 - smooth) * f / s["factor"]

    def linear(self, x, name):
        return x @ self.w[name + ".weight"].T + self.w.get(name + ".bias", 0)

    def rope(self, x, pos):  # x [heads, rows, D], rotated in halves as Hugging Face's Llama does
        f = pos[:, None] * self.frequencies()
        a, b = x.chunk(2, -1)
        return torch.cat((a * f.cos() - b * f.sin(), b * f.cos() + a * f.sin()), -1)

    def norm(self, x, name):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.cfg["rms_norm_eps"]) * self.w[name]

    def step(self, ids, start, caches, maps=None):
        """Rows `ids` at positions start.. over `caches` [layer][kvHead] = {pos, k, v, mass}; returns the last row's logits."""
        w, G = self.w, self.H // self.K
        pos = torch.arange(start, start + len(ids), dtype=torch.float64)
        x = w["model.embed_tokens.weight"][ids]
        for l in range(self.L):
            p = f"model.layers.{l}."
            h = self.norm(x, p + "input_layernorm.weight")
            proj = lambda n, heads: self.linear(h, p + f"self_attn.{n}_proj").view(len(ids), heads, self.D).transpose(0, 1)
            q, k, v = self.rope(proj("q", self.H), pos), self.rope(proj("k", self.K), pos), proj("v", self.K)
            outs = []
            for g in range(self.K):
                c = caches[l][g]
                c["pos"], c["k"], c["v"] = torch.cat((c["pos"], pos)), torch.cat((c["k"], k[g])), torch.cat((c["v"], v[g]))
                c["mass"] = torch.cat((c["mass"], torch.zeros(len(ids), dtype=torch.float64)))
                s = q[g * G:(g + 1) * G] @ c["k"].T / math.sqrt(self.D)
                a = s.masked_fill(c["pos"][None, None] > pos[None, :, None], -math.inf).softmax(-1)
                c["mass"] = c["mass"] + a.sum((0, 1))
                if maps is not None:
                    maps[l][g] = a
                outs.append(a @ c["v"])
            o = torch.cat(outs).transpose(0, 1).reshape(len(ids), -1)
            x = x + self.linear(o, p + "self_attn.o_proj")
            h = self.norm(x, p + "post_attention_layernorm.weight")
            x = x + self.linear(torch.nn.functional.silu(self.linear(h, p + "mlp.gate_proj")) * self.linear(h, p + "mlp.up_proj"), p + "mlp.down_proj")
        head = w.get("lm_head.weight", w["model.embed_tokens.weight"])
        return self.norm(x[-1:], "model.norm.weight")[0] @ head.T

    def fresh(self):
        z = lambda *s: torch.zeros(*s, dtype=torch.float64)
        return [[dict(pos=z(0), k=z(0, self.D), v=z(0, self.D), mass=z(0)) for _ in range(self.K)] for _ in range(self.L)]


def byte_map():
    keep = [*range(33, 127), *range(161, 173), *range(174, 256)]
    m, n = {b: chr(b) for b in keep}, 0
    for b in range(256):
        if b not in m:
            m[b] = chr(256 + n)
            n += 1
    return m


def keep(atoms, cache, classes, now, prompt, length):
    """Which slots stay after position `now`, of `length` tokens in all, `prompt` of them the prompt's."""
    pos, n = cache["pos"], len(cache["pos"])
    m = torch.zeros(n, dtype=torch.bool)
    for a in atoms:
        if a == "full":
            m[:] = True
        elif a == "recent":
            m |= now - pos < math.ceil(RATIO * prompt)
        elif a == "frequent":
            order = sorted(range(n), key=lambda j: (-cache["mass"][j].item(), pos[j].item()))
            m[order[:math.ceil(RATIO * length)]] = True
        else:
            m |= torch.tensor([classes[int(j)] == a for j in pos])
    return m


def ladder(a, n, classes):
    """Recovery, kept mask and edge gap of every rung for one KV head; a [query heads, rows, n]: weights of the profiled rows on the prompt's columns."""
    weight, idx = a.amax((0, 1)), torch.arange(n)
    order = sorted(range(n), key=lambda j: (-weight[j].item(), j))
    always = torch.tensor([c == "special" for c in classes]) | (n - 1 - idx < 4)
    out = []
    for x in LADDER:
        m = always.clone()
        m[order[:math.ceil(x * n)]] = True
        out.append((1 - (a * ~m).sum(-1).mean(-1).max().item(), m, gap(weight, math.ceil(x * n))))
    return out


def gap(mass, k):
    """Relative distance between the k-th and the next greatest mass; 1 where all or none are kept."""
    m = mass.sort(descending=True).values
    return 1.0 if k >= len(m) or k < 1 else ((m[k - 1] - m[k]) / m[k - 1].clamp(min=1e-300)).item()


def recovered(atoms, maps, cache, classes, n):
    """Mean over rows of the mass kept, minimum over the group's query heads."""
    if "full" in atoms:
        return 1.0
    static = keep([a for a in atoms if a != "recent"], cache, classes, n - 1, n, n)
    m = static[None].expand(n, n).clone()
    if "recent" in atoms:
        i = torch.arange(n)
        m |= (i[:, None] - i[None]) < math.ceil(RATIO * n)
    return (maps * m).sum(-1).mean(-1).min().item()


def answer(model, prompt):
    """The oracle's line for a prompt line."""
    p = dict(prompt)
    ids, n, T = p["ids"], len(p["ids"]), p.get("recovery", 0.95)
    classes = [model.classes[i] for i in ids]
    caches, maps = model.fresh(), [[None] * model.K for _ in range(model.L)]
    logits = model.step(ids, 0, caches, maps)
    p["logits"] = [round(v, 6) for v in logits[:64].tolist()]
    p["largest_logit"] = round(logits.abs().max().item(), 6)
    p["recovery_by_candidate"] = [[[round(recovered(a, maps[l][g], caches[l][g], classes, n), 6) for a in CHAIN] for g in range(model.K)] for l in range(model.L)]
    p["plan"] = [[next(i for i, r in enumerate(h) if r >= T) for h in row] for row in p["recovery_by_candidate"]]
    p["frequent_gap"] = [[gap(c["mass"], math.ceil(RATIO * n)) for c in row] for row in caches]
    copy = [[dict(c) for c in row] for row in caches]

    def run(caches, plan, name):
        out, last, seen, gaps, edge = [], logits, list(classes), [], []
        for j in range(p.get("new", 16)):
            if plan:
                edge.append(min([1.0] + [gap(c["mass"], math.ceil(RATIO * (n + j))) for l, row in enumerate(caches) for g, c in enumerate(row) if plan[l][g] in (2, 3)]))
                for l in range(model.L):
                    for g in range(model.K):
                        c = caches[l][g]
                        m = keep(CHAIN[plan[l][g]], c, seen, n + j - 1, n, n + j)
                        for f in c:
                            c[f] = c[f][m]
                if j == 0:
                    p["kept"] = [[len(c["pos"]) for c in row] for row in caches]
            top = last.topk(2).values
            gaps.append(((top[0] - top[1]) / last.abs().max()).item())
            out.append(int(last.argmax()))
            seen.append(model.classes[out[-1]])
            last = model.step([out[-1]], n + j, caches)
        p[name], p[name + "_gap"] = out, gaps
        if plan:
            p[name + "_frequent_gap"] = edge

    if p.get("probe"):
        side, rows = [[dict(c) for c in row] for row in caches], [[None] * model.K for _ in range(model.L)]
        model.step(p["probe"], n, side, rows)
        rungs = [[ladder(torch.cat((rows[l][g][:, :, :n], maps[l][g][:, -8:]), 1), n, classes) for g in range(model.K)] for l in range(model.L)]
        pick = [[next((i for i, (rec, _, _) in enumerate(h) if rec >= T), len(LADDER) - 1) for h in row] for row in rungs]
        p["ladder_recovery"] = [[[round(rec, 6) for rec, _, _ in h] for h in row] for row in rungs]
        p["ladder_rung"], p["ladder_kept"] = pick, [[int(h[i][1].sum()) for h, i in zip(row, r)] for row, r in zip(rungs, pick)]
        p["ladder_gaps"] = [[[g for _, _, g in h] for h in row] for row in rungs]
        p["ladder_gap"] = [[h[i][2] for h, i in zip(row, r)] for row, r in zip(rungs, pick)]
        run([[{f: c[f][h[i][1]] for f in c} for c, h, i in zip(row, hs, r)] for row, hs, r in zip(caches, rungs, pick)], None, "adaptive")
    run(copy, None, "greedy")
    run(caches, p["plan"], "compressed")
    return p


def main():
    model = Model(sys.argv[1])
    for line in open(sys.argv[2]):
        print(json.dumps(answer(model, json.loads(line))))


if __name__ == "__main__":
    main()
