#!/usr/bin/python3
"""Draw prompts, let the oracle answer them, and keep both as golden files.

    make_goldens.py [demo] [tiny]      # both where none is named

Writes goldens/NAME.jsonl, a line a prompt in the oracle's format (oracle.py), and goldens/NAME.meta.json, which
says which weights it belongs to. Prompts come from the demo model's corpus, from seeds that training does not
use, with lengths spread evenly over 20 to 400 tokens; recovery thresholds are spread over 0.5 to 0.99; every
second prompt has a probe. Deterministic for a given model and PyTorch.
"""
import argparse, hashlib, json, multiprocessing, os, pathlib, random, sys

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "demo-model")]
import torch
import corpus, oracle, train

ROOT = HERE.parent.parent
GOLDENS = dict(demo=(ROOT / "models" / "demo", 40), tiny=(ROOT / "goldens" / "tiny-model", 12))
SEED = 7
SHORTEST, LONGEST, NEW = 20, 400, 16
LEAST, MOST = .5, .99
# A prompt whose first token is a coin toss compares nothing.
CLEAR_LEAD = 5e-3


def turn(tok, role, text):
    return [tok.vocab[f"<|{role}|>"], *tok.encode(text), tok.vocab["<|end|>"]]


def draw(tok, r):
    """A conversation up to where one of its answers begins: ids, and the last user message."""
    turns = corpus.sample(r, r.uniform(1, 28))
    k = r.choice([i for i, (role, _) in enumerate(turns) if role == "assistant"])
    ids = [tok.vocab["<s>"], *(i for role, text in turns[:k] for i in turn(tok, role, text)), tok.vocab["<|assistant|>"]]
    return ids, turns[k - 1][1]


def probe(tok, subject):
    """The default probe: a user turn that asks for the text, and an answer that replays it."""
    return [*turn(tok, "user", "Repeat the text."), tok.vocab["<|assistant|>"], *tok.encode(subject)]


def plan(count):
    """Index, length, threshold of each prompt, and whether it has a probe."""
    spread = lambda a, b, i: a + (b - a) * i / (count - 1)
    thresholds = [round(spread(LEAST, MOST, i), 3) for i in range(count)]
    random.Random(SEED).shuffle(thresholds)
    return [(i, round(spread(SHORTEST, LONGEST, i)), thresholds[i], i % 2 == 0) for i in range(count)]


def candidates(tok, index, length):
    """Prompts of the length asked for, or as near to it as the corpus has them, without end."""
    r = random.Random(f"golden {SEED} {index}")
    slack = 0
    while True:
        for _ in range(2000):
            ids, subject = draw(tok, r)
            if SHORTEST <= len(ids) <= LONGEST and abs(len(ids) - length) <= slack:
                yield ids, subject
        slack += 1


def trim(value, key=""):
    """Gaps need two digits: they are compared with a tolerance."""
    if isinstance(value, dict):
        return {k: trim(v, k) for k, v in value.items()}
    if isinstance(value, list):
        return [trim(v, key) for v in value]
    return float(f"{value:.2g}") if isinstance(value, float) and key.endswith("_gap") else value


def work(job):
    path, (index, length, threshold, probed) = job
    torch.set_num_threads(1)
    model, tok = oracle.Model(path), train.load_tokenizer(path)
    for ids, subject in candidates(tok, index, length):
        line = dict(ids=ids, recovery=threshold, new=NEW)
        if probed:
            line["probe"] = probe(tok, subject)
        line = oracle.answer(model, line)
        if line["greedy_gap"][0] >= CLEAR_LEAD:
            return trim(line)


def make(name, pool):
    path, count = GOLDENS[name]
    lines = pool.map(work, [(path, p) for p in plan(count)], chunksize=1)
    lengths = [len(p["ids"]) for p in lines]
    meta = dict(model=path.relative_to(ROOT).as_posix(), sha256=hashlib.sha256((path / "model.safetensors").read_bytes()).hexdigest(),
                prompts=count, shortest=min(lengths), longest=max(lengths), torch=torch.__version__)
    with open(ROOT / "goldens" / f"{name}.jsonl", "w") as f:
        f.writelines(json.dumps(p, separators=(",", ":")) + "\n" for p in lines)
    with open(ROOT / "goldens" / f"{name}.meta.json", "w") as f:
        f.write(json.dumps(meta, indent=2) + "\n")
    print(f"{name}: {count} prompts of {meta['shortest']} to {meta['longest']} tokens")


def main():
    ap = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    ap.add_argument("names", nargs="*", help=" or ".join(GOLDENS))
    ap.add_argument("--processes", type=int, default=2)
    o = ap.parse_args()
    if unknown := set(o.names) - set(GOLDENS):
        ap.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(GOLDENS)}")
    with multiprocessing.get_context("spawn").Pool(o.processes) as pool:
        for name in o.names or GOLDENS:
            make(name, pool)


if __name__ == "__main__":
    main()
