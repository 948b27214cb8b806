#!/usr/bin/env python3
"""Writes runtime/src/tokenizer/unicode_additions.hpp: the characters that the regular expressions of Hugging Face's
`tokenizers` know and those of the oldest supported PCRE2 do not, by property. Every character is asked of both.

    pip install tokenizers==0.23.3      # in an environment of its own; Debian 12's libpcre2-8 is found by itself
    python3 scripts/make_unicode_additions.py
"""
import ctypes
import pathlib

from tokenizers import Regex, __version__
from tokenizers.normalizers import Replace

CATEGORIES = "Ll Lm Lo Lt Lu Mc Me Mn Nd Nl No Pc Pd Pe Pf Pi Po Ps Sc Sk Sm So Zl Zp Zs Cc Cf Co Alphabetic".split()
SCRIPTS = """arabic armenian bengali bopomofo cherokee common coptic cyrillic devanagari ethiopic georgian greek gujarati
gurmukhi han hangul hebrew hiragana inherited kannada katakana khmer lao latin malayalam mongolian myanmar oriya sinhala
syriac tamil telugu thaana thai tibetan yi""".split()
CODES = [c for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF]
UTF, UCP = 0x00080000, 0x00020000  # PCRE2_UTF, PCRE2_UCP

pcre2 = ctypes.CDLL("libpcre2-8.so.0")
for name in ("pcre2_compile_8", "pcre2_match_data_create_8", "pcre2_get_ovector_pointer_8"):
    getattr(pcre2, name).restype = ctypes.c_void_p


def of_library(property_name):
    remove = Replace(Regex("\\p{%s}" % property_name), "")
    kept = set()
    for begin in range(0, len(CODES), 4096):
        kept.update(map(ord, remove.normalize_str("".join(map(chr, CODES[begin:begin + 4096])))))
    return set(CODES) - kept


def of_pcre2(pattern):
    error, offset = ctypes.c_int(), ctypes.c_size_t()
    text = pattern.encode()
    code = ctypes.c_void_p(pcre2.pcre2_compile_8(text, ctypes.c_size_t(len(text)), UTF | UCP, ctypes.byref(error),
                                                 ctypes.byref(offset), None))
    assert code, pattern
    data = ctypes.c_void_p(pcre2.pcre2_match_data_create_8(1, None))
    found = set()
    for c in CODES:
        subject = chr(c).encode()
        if pcre2.pcre2_match_8(code, subject, ctypes.c_size_t(len(subject)), ctypes.c_size_t(0), 0, data, None) > 0:
            found.add(c)
    return found


def ranges(codes):
    out = []
    for c in sorted(codes):
        if out and out[-1][1] == c - 1:
            out[-1][1] = c
        else:
            out.append([c, c])
    return out


def main():
    version = ctypes.create_string_buffer(64)
    pcre2.pcre2_config_8(11, version)  # PCRE2_CONFIG_VERSION
    lines = []
    for name in CATEGORIES + SCRIPTS:
        pattern = "\\p{sc:%s}" % name if name in SCRIPTS else "\\p{%s}" % name
        for first, last in ranges(of_library(name) - of_pcre2(pattern)):
            lines.append('    {"%s", 0x%X, 0x%X},' % (name, first, last))
    header = """// Characters that the regular expressions of `tokenizers` %s know (Unicode 16) and those of PCRE2 %s
// do not. Written by scripts/make_unicode_additions.py.
#pragma once

namespace elrt {

struct UnicodeAddition {
  const char* property;  // general category, "Alphabetic", or a script in small letters
  char32_t first, last;
};

inline constexpr UnicodeAddition kUnicodeAdditions[] = {
%s
};

}  // namespace elrt
""" % (__version__, version.value.decode().split()[0], "\n".join(lines))
    target = pathlib.Path(__file__).resolve().parent.parent / "runtime/src/tokenizer/unicode_additions.hpp"
    target.write_text(header)


if __name__ == "__main__":
    main()
