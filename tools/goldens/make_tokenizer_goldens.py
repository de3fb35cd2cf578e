#!/usr/bin/python3
"""Token ids of varied texts under the demo model's tokenizer, by an implementation of its own.

    make_tokenizer_goldens.py      # writes goldens/tokenizer-ids.json

The trainer's Tokenizer does the merges; the split before them, whose pattern there is for ASCII only, is
written out here by Unicode categories: single digits, then GPT-2's pattern
    's|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+
"""
import json, pathlib, random, sys, unicodedata

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE.parent / "demo-model"))
import corpus, train

SUFFIXES = ("'s", "'t", "'re", "'ve", "'m", "'ll", "'d")


def kind(ch):
    if ch.isspace():
        return "space"
    return {"L": "letter", "N": "number"}.get(unicodedata.category(ch)[0], "other")


def split(text):
    """GPT-2's pattern, one alternative after the other."""
    i = 0
    while i < len(text):
        suffix = next((s for s in SUFFIXES if text.startswith(s, i)), None)
        if suffix:
            yield suffix
            i += len(suffix)
            continue
        j = i + (text[i] == " " and i + 1 < len(text) and kind(text[i + 1]) != "space")
        k = j
        while k < len(text) and kind(text[k]) == kind(text[j]):
            k += 1
        if kind(text[j]) == "space" and k < len(text) and k - j > 1:
            k -= 1  # the last space goes with the word that follows
        yield text[i:k]
        i = k


def digits_apart(text):
    """Each number character by itself, the rest in runs."""
    run = ""
    for ch in text:
        if kind(ch) == "number":
            if run:
                yield run
            yield ch
            run = ""
        else:
            run += ch
    if run:
        yield run


def sections(text):
    """Special tokens as they stand, and the text between them."""
    while text:
        at, token = min(((text.find(t), t) for t in train.SPECIAL if t in text), default=(len(text), None))
        if at:
            yield text[:at], False
        if token:
            yield token, True
        text = text[at + len(token or ""):]


def encode(tok, text):
    ids = []
    for section, special in sections(text):
        if special:
            ids.append(tok.vocab[section])
            continue
        for run in digits_apart(section):
            for piece in split(run):
                ids += tok.word("".join(train.BYTES[b] for b in piece.encode()))
    return ids


TEXTS = [
    "", " ", "  ", "\n", "\n\n", "\t", " \n ", "a", " a", "  a", "a ", "a  b", "Hello, world!", "hello   world", "tabs\tand\nlines\r\n",
    "The code of the red key is 4071.", "0", "00", "12345 67890", "3.14159", "1,000,000", "v2.0-rc1", "x=1;y=22;", "don't can't we'll I'm you're they've he'd it's 'tis",
    "DON'T", "'s", "s's", "''", "\"quoted\" and (bracketed) [so] {on}", "a_b-c/d\\e|f", "!!!???...", "#$%&*+<=>@^`~", "e-mail: a@b.co", "https://example.org/a?b=c&d=%20",
    "<|user|>Hello<|end|><|assistant|>", "<s><|system|>Answer in one word.<|end|>", "<s>", "</s>", "<|end|><|end|>", "< s >", "<|user|", "<|nobody|>", "a<|end|> b", "  <pad>  ",
    "Grüße aus Köln", "naïve café déjà vu", "Ünïcödé", "Привет, мир!", "Γειά σου Κόσμε", "שלום עולם", "مرحبا بالعالم", "नमस्ते दुनिया", "你好，世界", "こんにちは世界", "안녕하세요", "ไทยแลนด์",
    "emoji 😀 and 👍🏽 and 👨‍👩‍👧", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "e\u0301 combining", "½ and ² and Ⅷ", "no\u00a0break", "wide\u3000space", "thin\u2009space", "zero\u200bwidth", "“curly” ‘quotes’ – dash — long…", "€100 £20 ¥3000",
    "line one\nline two\n\n\nline five", "    indented", "trailing   ", "\n leading", "a\n\nb", "mixed 中文 and English 123", "𝔘𝔫𝔦𝔠𝔬𝔡𝔢", "𐍈 gothic", "ﬁ ligature", "\u0000 null", "ｆｕｌｌ", "{\"id\": 512, \"item\": \"lamp\"}",
]


def main():
    tok = train.load_tokenizer(ROOT / "models" / "demo")
    r = random.Random(11)
    texts = TEXTS + [text for _ in range(12) for _, text in corpus.sample(r, 4)[:2]]
    alphabet = [*"abcXYZ 019.,'\n", "é", "ß", "Ж", "中", "😀", "  ", "'s", " the", "<|end|>"]
    texts += ["".join(r.choice(alphabet) for _ in range(r.randrange(1, 24))) for _ in range(60)]
    with open(ROOT / "goldens" / "tokenizer-ids.json", "w") as f:
        lines = (json.dumps(dict(text=t, ids=encode(tok, t)), separators=(",", ":")) for t in texts)
        f.write("[\n" + ",\n".join(lines) + "\n]\n")


if __name__ == "__main__":
    main()
