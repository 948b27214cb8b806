"""What the makers of tokenizer goldens share: where they lie, random Unicode, and how the files are written."""
import json
import pathlib

GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "tests/golden/tokenizer"


def dump(value):
    """One line of JSON without spaces; characters as they are."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def write(path, text):
    """Writes a file only where it changes, and says so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    old = path.read_bytes().decode() if path.exists() else None
    if old == text:
        return print("same   ", path.relative_to(GOLDEN))
    path.write_bytes(text.encode())
    print("new    " if old is None else "CHANGED", path.relative_to(GOLDEN))


def write_cases(path, cases, generator):
    """A file of cases, one a line. Where the stored ones are equal, the file stays as it is, its generator's name included."""
    if path.exists() and json.loads(path.read_text(encoding="utf-8"))["cases"] == cases:
        return print("same   ", path.relative_to(GOLDEN))
    lines = ",\n".join(dump(case) for case in cases)
    write(path, '{"generator": "%s", "cases": [\n%s\n]}\n' % (generator, lines))


def random_texts(seed, ranges, count):
    """Texts of 1 to 40 characters from a fixed linear congruential generator; `ranges` are pairs of first code and size."""
    state = seed

    def below(n):
        nonlocal state
        state = (state * 1103515245 + 12345) & 0xFFFFFFFF
        return int(state / 4294967296 * n)

    texts = []
    for _ in range(count):
        text = ""
        for _ in range(below(40) + 1):
            base, size = ranges[below(len(ranges))]
            text += chr(base + below(size))
        texts.append(text)
    return texts
