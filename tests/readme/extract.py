#!/usr/bin/python3
"""Writes every C and C++ sample of Markdown files as a source file of its own, and prints their names, one a line.

usage: extract.py OUT_DIR README...
A sample is a block fenced with ```c or ```cpp; it must be a whole program. `dir/README.md` gives dir_1.cpp, dir_2.c, ..;
the landing page gives landing_1.cpp. A file whose text has not changed is not written again.
"""
import pathlib
import re
import sys

BLOCK = re.compile(r"^```(cpp|c)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def samples(readme, root):
    name = "_".join(readme.resolve().relative_to(root).parent.parts) or "landing"
    text = readme.read_text(encoding="utf-8")
    for number, found in enumerate(BLOCK.finditer(text), 1):
        line = text.count("\n", 0, found.start(2)) + 1
        yield f"{name}_{number}.{found[1]}", f'#line {line} "{readme}"\n{found[2]}'


def main():
    out, readmes = pathlib.Path(sys.argv[1]), [pathlib.Path(name) for name in sys.argv[2:]]
    root = pathlib.Path(__file__).resolve().parent.parent.parent
    out.mkdir(parents=True, exist_ok=True)
    for readme in readmes:
        for name, text in samples(readme, root):
            path = out / name
            if not path.exists() or path.read_text(encoding="utf-8") != text:
                path.write_text(text, encoding="utf-8")
            print(path)


main()
