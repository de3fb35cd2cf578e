"""Train the demo model: a small Llama on the synthetic corpus, saved in Hugging Face layout.

    python3 train.py --out DIR --minutes 90                   # a CPU
    python3 train.py --out DIR --minutes 8 --tokens 32768     # a CUDA machine
    python3 train.py --out DIR --minutes 90 --from WEIGHTS    # go on from weights saved before, all lengths mixed
    python3 train.py --evaluate WEIGHTS                       # accuracy by context length, as models/demo/README.md states it

On a CPU one thread is fastest at this size, and glibc must be told to keep the memory it has:
    MALLOC_MMAP_THRESHOLD_=4294967296 MALLOC_TRIM_THRESHOLD_=8589934592 MALLOC_TOP_PAD_=1073741824

Writes config.json, generation_config.json, tokenizer.json, tokenizer_config.json and
model.safetensors (F16). Needs only Python 3.11 and PyTorch >= 1.13.
"""
import argparse, collections, json, math, os, random, re, struct, sys, time
import torch, torch.nn as nn, torch.nn.functional as F
import corpus

SPECIAL = ["<s>", "</s>", "<pad>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>"]
SHAPE = dict(d=256, layers=4, heads=8, kv=4, ffn=512)  # widths are multiples of 256, so that every quantised type fits
TEMPLATE = ("{{ bos_token }}{% for message in messages %}{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}"
            "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}")


# ---- tokenizer: byte-level BPE with single digits ---------------------------------------------
def byte_map():
    keep = [*range(33, 127), *range(161, 173), *range(174, 256)]
    m, n = {b: chr(b) for b in keep}, 0
    for b in range(256):
        if b not in m:
            m[b] = chr(256 + n)
            n += 1
    return m


BYTES = byte_map()
# single digits first, then GPT-2's pattern (ASCII form: the corpus is ASCII)
WORDS = re.compile(r"\d|'(?:s|t|re|ve|m|ll|d)| ?[A-Za-z]+| ?[^\sA-Za-z\d]+|\s+(?!\S)|\s+")


def pieces(text):
    return ["".join(BYTES[b] for b in w.encode()) for w in WORDS.findall(text)]


def train_bpe(text, size):
    words = collections.Counter(pieces(text))
    split = {w: list(w) for w in words}
    vocab = SPECIAL + [BYTES[b] for b in range(256)]
    merges = []
    while len(vocab) < size:
        pairs = collections.Counter()
        for w, n in words.items():
            for p in zip(split[w], split[w][1:]):
                pairs[p] += n
        if not pairs:
            break
        (a, b), n = max(pairs.items(), key=lambda kv: (kv[1], kv[0]))
        if n < 2:
            break
        merges.append((a, b))
        vocab.append(a + b)
        for w, s in split.items():
            i = 0
            while i < len(s) - 1:
                if s[i] == a and s[i + 1] == b:
                    s[i:i + 2] = [a + b]
                i += 1
    return {t: i for i, t in enumerate(vocab)}, merges


class Tokenizer:
    def __init__(self, vocab, merges):
        self.vocab, self.rank, self.cache = vocab, {m: i for i, m in enumerate(merges)}, {}

    def word(self, w):
        if w not in self.cache:
            s = list(w)
            while len(s) > 1:
                r, i = min((self.rank.get((s[i], s[i + 1]), 1 << 30), i) for i in range(len(s) - 1))
                if r == 1 << 30:
                    break
                s[i:i + 2] = [s[i] + s[i + 1]]
            self.cache[w] = [self.vocab[t] for t in s]
        return self.cache[w]

    def encode(self, text):
        return [i for w in pieces(text) for i in self.word(w)]

    def conversation(self, turns):
        """ids and a weight per id: the assistant's words count in full, the document's a little."""
        ids, weight = [self.vocab["<s>"]], [0.]
        for role, text in turns:
            t = self.encode(text) + [self.vocab["<|end|>"]]
            ids += [self.vocab[f"<|{role}|>"], *t]
            weight += [.1, *([1.] if role == "assistant" else [.1]) * len(t)]
        return ids + [self.vocab["</s>"]], weight + [.1]

    def save(self, out, context):
        special = [dict(id=i, content=t, single_word=False, lstrip=False, rstrip=False, normalized=False, special=True)
                   for i, t in enumerate(SPECIAL)]
        level = dict(type="ByteLevel", add_prefix_space=False, trim_offsets=True, use_regex=True)
        json.dump(dict(version="1.0", truncation=None, padding=None, added_tokens=special, normalizer=None,
                       pre_tokenizer=dict(type="Sequence", pretokenizers=[dict(type="Digits", individual_digits=True), level]),
                       post_processor=None, decoder=level,
                       model=dict(type="BPE", dropout=None, unk_token=None, continuing_subword_prefix=None, end_of_word_suffix=None,
                                  fuse_unk=False, byte_fallback=False, ignore_merges=False, vocab=self.vocab,
                                  merges=[list(m) for m in sorted(self.rank, key=self.rank.get)])),
                  open(f"{out}/tokenizer.json", "w"), ensure_ascii=False)
        json.dump(dict(tokenizer_class="PreTrainedTokenizerFast", bos_token="<s>", eos_token="<|end|>", pad_token="<pad>",
                       model_max_length=context, clean_up_tokenization_spaces=False, chat_template=TEMPLATE),
                  open(f"{out}/tokenizer_config.json", "w"), indent=2)


# ---- model: Llama -----------------------------------------------------------------------------
class Norm(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(d))

    def forward(self, x):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5) * self.weight


def rope(x, cos, sin):
    a, b = x.chunk(2, -1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), -1)


class Block(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c, self.hd = c, c["d"] // c["heads"]
        self.input_layernorm, self.post_attention_layernorm = Norm(c["d"]), Norm(c["d"])
        lin = lambda i, o: nn.Linear(i, o, bias=False)
        self.self_attn = nn.ModuleDict(dict(q_proj=lin(c["d"], c["d"]), k_proj=lin(c["d"], c["kv"] * self.hd),
                                            v_proj=lin(c["d"], c["kv"] * self.hd), o_proj=lin(c["d"], c["d"])))
        self.mlp = nn.ModuleDict(dict(gate_proj=lin(c["d"], c["ffn"]), up_proj=lin(c["d"], c["ffn"]), down_proj=lin(c["ffn"], c["d"])))

    def forward(self, x, cos, sin, mask):
        B, T, _ = x.shape
        H, K, D = self.c["heads"], self.c["kv"], self.hd
        h, a = self.input_layernorm(x), self.self_attn
        q = rope(a["q_proj"](h).view(B, T, H, D).transpose(1, 2), cos, sin)
        k = rope(a["k_proj"](h).view(B, T, K, D).transpose(1, 2), cos, sin)
        v = a["v_proj"](h).view(B, T, K, D).transpose(1, 2)
        if hasattr(F, "scaled_dot_product_attention"):
            o = F.scaled_dot_product_attention(q, k.repeat_interleave(H // K, 1), v.repeat_interleave(H // K, 1), is_causal=True)
        else:
            q = q.reshape(B, K, H // K * T, D)
            s = (q @ k.transpose(2, 3) / math.sqrt(D)).view(B, K, H // K, T, T) + mask
            o = (s.softmax(-1).view(B, K, H // K * T, T) @ v).view(B, H, T, D)
        x = x + a["o_proj"](o.transpose(1, 2).reshape(B, T, H * D))
        h, m = self.post_attention_layernorm(x), self.mlp
        return x + m["down_proj"](F.silu(m["gate_proj"](h)) * m["up_proj"](h))


class Llama(nn.Module):
    def __init__(self, c, vocab, theta):
        super().__init__()
        self.c, self.theta = c, theta
        self.embed_tokens = nn.Embedding(vocab, c["d"])
        self.layers = nn.ModuleList(Block(c) for _ in range(c["layers"]))
        self.norm = Norm(c["d"])
        for n, p in self.named_parameters():
            if p.dim() > 1:
                nn.init.normal_(p, 0, .02 / (math.sqrt(2 * c["layers"]) if n.endswith(("o_proj.weight", "down_proj.weight")) else 1))

    def forward(self, ids):
        T, D = ids.shape[1], self.c["d"] // self.c["heads"]
        f = torch.arange(T, device=ids.device)[:, None] * self.theta ** (-torch.arange(0, D, 2, device=ids.device) / D)
        mask = torch.full((T, T), -1e9, device=ids.device).triu(1)
        x = self.embed_tokens(ids)
        for b in self.layers:
            x = b(x, f.cos(), f.sin(), mask)
        return F.linear(self.norm(x), self.embed_tokens.weight)

    def load(self, path):
        raw = open(f"{path}/model.safetensors", "rb").read()
        n = struct.unpack("<Q", raw[:8])[0]
        state = {}
        for k, v in json.loads(raw[8:8 + n]).items():
            if k != "__metadata__":
                a, b = v["data_offsets"]
                state[k[6:]] = torch.frombuffer(bytearray(raw[8 + n + a:8 + n + b]), dtype=torch.float16).view(v["shape"]).float()
        self.load_state_dict(state)

    def save(self, out, context):
        c = self.c
        json.dump(dict(architectures=["LlamaForCausalLM"], model_type="llama", hidden_act="silu", hidden_size=c["d"],
                       intermediate_size=c["ffn"], num_hidden_layers=c["layers"], num_attention_heads=c["heads"],
                       num_key_value_heads=c["kv"], head_dim=c["d"] // c["heads"], max_position_embeddings=context,
                       rms_norm_eps=1e-5, rope_theta=self.theta, rope_scaling=None, attention_bias=False, mlp_bias=False,
                       tie_word_embeddings=True, vocab_size=self.embed_tokens.num_embeddings, bos_token_id=0, eos_token_id=6,
                       pad_token_id=2, torch_dtype="float16"), open(f"{out}/config.json", "w"), indent=2)
        json.dump(dict(bos_token_id=0, eos_token_id=[6, 1], pad_token_id=2, do_sample=False), open(f"{out}/generation_config.json", "w"), indent=2)
        head, blobs, at = {"__metadata__": {"format": "pt"}}, [], 0
        for n, p in self.state_dict().items():
            b = p.detach().half().cpu().contiguous().numpy().tobytes()
            head["model." + n] = dict(dtype="F16", shape=list(p.shape), data_offsets=[at, at + len(b)])
            blobs.append(b)
            at += len(b)
        h = json.dumps(head).encode()
        h += b" " * (-len(h) % 8)
        with open(f"{out}/model.safetensors.tmp", "wb") as f:
            f.write(struct.pack("<Q", len(h)) + h + b"".join(blobs))
        os.replace(f"{out}/model.safetensors.tmp", f"{out}/model.safetensors")


# ---- training ---------------------------------------------------------------------------------
def batch(r, tok, rows, T, copies=0.):
    """`rows` conversations of at most T tokens: ids and loss weights, both [rows, T]. A share of `copies` are random tokens said
    over and over instead: the quickest way to grow the heads that look up what followed last time."""
    ids, w = torch.full((rows, T), tok.vocab["<pad>"]), torch.zeros(rows, T)
    for i in range(rows):
        if r.random() < copies:
            n = r.randrange(6, min(40, T // 2))
            a = [r.randrange(len(SPECIAL), len(tok.vocab)) for _ in range(n)]
            ids[i], w[i, n + 1:] = torch.tensor(([tok.vocab["<s>"]] + a * (T // n + 1))[:T]), .5
            continue
        while True:  # a conversation that fits whole, so that every answer's fact is in sight
            a, b = tok.conversation(corpus.sample(r, T / 15))
            if len(a) <= T:
                break
        ids[i, :len(a)], w[i, :len(b)] = torch.tensor(a), torch.tensor(b)
    return ids, w


@torch.no_grad()
def score(model, tok, r, T, rows, dev):
    """Teacher forced, over the answers of `rows` conversations: (tokens ranked first, tokens, answers right in every token, answers)."""
    model.eval()
    ids, w = (t.to(dev) for t in batch(r, tok, rows, T))
    p = torch.cat([model(ids[i:i + 4, :-1]).argmax(-1) for i in range(0, rows, 4)])
    m = w[:, 1:] == 1
    model.train()
    hit = ((p == ids[:, 1:]) | ~m).cpu()
    whole = [hit[i, a:b].all().item() for i in range(rows) for a, b in spans(m[i].tolist())]
    return (hit & m.cpu()).sum().item(), m.sum().item(), sum(whole), len(whole)


def accuracy(model, tok, r, T, rows=32, dev="cpu"):
    """(share of answer tokens ranked first, share of answers right in every token)."""
    hits, tokens, whole, answers = score(model, tok, r, T, rows, dev)
    return hits / tokens, whole / answers


def evaluate(path, least, dev):
    """A table of accuracy by context length over at least `least` answers each, from a seed that training does not draw."""
    model = Llama(SHAPE, *load_shape(path)).to(dev)
    model.load(path)
    tok = load_tokenizer(path)
    print("| context | answers | right in every token | answer tokens right |\n|---:|---:|---:|---:|")
    for T in (128, 256, 512, 1024):
        r, sums = random.Random(f"evaluate {T}"), (0, 0, 0, 0)
        while sums[3] < least:
            sums = [a + b for a, b in zip(sums, score(model, tok, r, T, 16, dev))]
        hits, tokens, whole, answers = sums
        print(f"| {T} | {answers} | {whole} ({whole / answers:.1%}) | {hits / tokens:.1%} |", flush=True)


def load_tokenizer(path):
    m = json.load(open(f"{path}/tokenizer.json"))["model"]
    return Tokenizer(m["vocab"], [tuple(p) for p in m["merges"]])


def load_shape(path):
    c = json.load(open(f"{path}/config.json"))
    return c["vocab_size"], c["rope_theta"]


def spans(flags):
    edge = [i for i in range(len(flags) + 1) if (flags[i] if i < len(flags) else False) != (flags[i - 1] if i else False)]
    return list(zip(edge[::2], edge[1::2]))


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--out", help="the folder to write")
    ap.add_argument("--evaluate", metavar="WEIGHTS", help="train nothing; say how right a folder saved before is")
    ap.add_argument("--answers", type=int, default=400, help="answers to evaluate at each length, at least")
    ap.add_argument("--minutes", type=float, default=90)
    ap.add_argument("--vocab", type=int, default=2048)
    ap.add_argument("--lr", type=float, default=1.5e-3)
    ap.add_argument("--from", dest="start", help="a folder saved before")
    ap.add_argument("--tokens", type=int, default=2048, help="tokens a step")
    ap.add_argument("--threads", type=int, default=1, help="CPU threads")
    ap.add_argument("--seed", type=int, default=1, help="what is drawn from the corpus")
    o = ap.parse_args()
    if not o.evaluate and not o.out:
        ap.error("give --out DIR to train, or --evaluate WEIGHTS")
    dev = "cuda" if torch.cuda.is_available() else "cpu"
    torch.set_num_threads(o.threads)
    if o.evaluate:
        return evaluate(o.evaluate, o.answers, dev)
    os.makedirs(o.out, exist_ok=True)
    torch.manual_seed(0)
    text = "\n".join(t for i in range(6000) for _, t in corpus.sample(random.Random(1000 + i), 14))
    if o.start:  # the weights' own tokenizer, whatever has become of the corpus since
        tok = load_tokenizer(o.start)
    else:
        tok = Tokenizer(*train_bpe(text, o.vocab))
    context, theta = 1024, 10000.0  # the longest stage below
    tok.save(o.out, context)
    model = Llama(SHAPE, len(tok.vocab), theta).to(dev)
    if o.start:
        model.load(o.start)
    print(f"{sum(p.numel() for p in model.parameters()) / 1e6:.2f} M parameters, {len(tok.vocab)} tokens, {dev}", flush=True)
    decay = [p for p in model.parameters() if p.dim() > 1]
    opt = torch.optim.AdamW([dict(params=decay, weight_decay=.1), dict(params=[p for p in model.parameters() if p.dim() < 2], weight_decay=0)],
                            lr=o.lr, betas=(.9, .95))
    r, start, step, seen, run = random.Random(o.seed), time.time(), 0, 0, 0.
    stages = ((.25, 64, .4), (.5, 128, .15), (.75, 256, .05), (.92, 512, .02), (1, 1024, .02))
    while True:
        u = (time.time() - start) / 60 / o.minutes
        if u >= 1:
            break
        if o.start:
            T, copies = r.choices((128, 256, 512, 1024), (.15, .25, .3, .3))[0], .03
        else:
            T, copies = next((T, c) for end, T, c in stages if u < end)
        lr = o.lr * min(1, (step + 1) / 150) * (.05 + .95 * .5 * (1 + math.cos(math.pi * min(1, u))))
        for g in opt.param_groups:
            g["lr"] = lr
        ids, w = (t.to(dev) for t in batch(r, tok, max(1, o.tokens // T), T, copies))
        with torch.autocast(dev, torch.bfloat16, enabled=dev == "cuda"):
            logits = model(ids[:, :-1])
        loss_all = F.cross_entropy(logits.float().flatten(0, 1), ids[:, 1:].flatten(), reduction="none") * w[:, 1:].flatten()
        loss = loss_all.sum() / w[:, 1:].sum()
        opt.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.)
        opt.step()
        step, seen, run = step + 1, seen + ids.numel(), loss.item() if step == 0 else .98 * run + .02 * loss.item()
        if step % 250 == 0:
            acc, whole = accuracy(model, tok, random.Random(99), T, dev=dev)
            print(f"step {step} length {T} tokens {seen / 1e6:.2f} M loss {run:.3f} answer tokens {acc:.3f} answers {whole:.3f} lr {lr:.5f} {time.time() - start:.0f} s", flush=True)
            model.save(o.out, context)
    model.save(o.out, context)
    for T in (128, 256, 512, 1024):
        print("length %d: answer tokens %.4f, answers %.4f" % (T, *accuracy(model, tok, random.Random(98), T, 64, dev)), flush=True)


if __name__ == "__main__":
    main()
