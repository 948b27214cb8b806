#!/usr/bin/python3
"""Each check of scripts/lint: silent on a sound tree, and one line for a planted fault."""
import pathlib
import shutil
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent

MODULES = """elastify_module(base
  SOURCES base/log.cpp
  LIBRARIES fmt::fmt)
elastify_module(data
  SOURCES data/rows.cpp
  LIBRARIES elastify::base)
elastify_module(tlm
  SOURCES tlm/train.cpp
  LIBRARIES elastify::data)
elastify_module(eval
  SOURCES eval/loss.cpp
  LIBRARIES elastify::data)
"""

FIGURES = """# Scripts

| script | what |
|---|---|
| `lint` | this |

## Speed

Command: `elastic-run bench FILE`
Commit: `0123abc`
Machine: two cores

| level | tokens/s |
|---|---|
| 20 | 1 |
"""

SOUND = {
    "README.md": "# small\n\nSee [scripts](scripts/README.md).\n",
    "scripts/README.md": FIGURES,
    "lib/CMakeLists.txt": MODULES,
    "lib/base/log.h": "#pragma once\n",
    "lib/data/rows.h": '#pragma once\n\n#include <elrt/result.hpp>\n\n#include "base/log.h"\n',
    "lib/tlm/train.cpp": '#include "data/rows.h"\n',
    "lib/eval/loss.h": "#pragma once\n",
    "suite/tasks/bank.h": "#pragma once\n",
    "suite/pretrain/corpus.h": '#pragma once\n\n#include "data/rows.h"\n#include "tasks/bank.h"\n',
    "runtime/include/elrt/result.hpp": "#pragma once\n",
    "runtime/include/elrt/tlm.hpp": "#pragma once\n",
    "runtime/src/base/pool.hpp": "#pragma once\n",
    "runtime/src/model/model.hpp": '#pragma once\n\n#include "base/pool.hpp"\n#include "elrt/result.hpp"\n',
    "runtime/src/service/service.cpp": '#include "elrt/tlm.hpp"\n#include "model/model.hpp"\n',
}


class LintTest(unittest.TestCase):
    def setUp(self):
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="elastify-lint-"))
        self.addCleanup(shutil.rmtree, self.root)
        shutil.copy(ROOT / ".clang-format", self.root)
        for name, text in SOUND.items():
            self.write(name, text)

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def lint(self, *checks):
        done = subprocess.run([str(ROOT / "scripts/lint"), "--root", str(self.root), *checks], capture_output=True, text=True)
        self.assertEqual(done.returncode, 1 if done.stdout else 0, done.stderr)
        return done.stdout.splitlines()

    def finds(self, check, place, text):
        """One fault, found by `check` and by all checks together."""
        for checks in ((check,), ()):
            lines = self.lint(*checks)
            self.assertEqual(len(lines), 1, lines)
            self.assertTrue(lines[0].startswith(place + ":"), lines[0])
            self.assertIn(text, lines[0])

    def test_a_sound_tree_is_silent(self):
        self.assertEqual(self.lint(), [])

    def test_format(self):
        self.write("lib/base/log.h", "#pragma once\nint  f( );\n")
        self.finds("format", "lib/base/log.h:2", "not formatted")

    def test_a_room_of_the_runtime_includes_one_above_it(self):
        self.write("runtime/src/base/pool.hpp", '#pragma once\n\n#include "model/model.hpp"\n')
        self.finds("arrows", "runtime/src/base/pool.hpp:3", "stands above it")

    def test_a_room_includes_a_public_header_of_one_above_it(self):
        self.write("runtime/src/model/model.hpp", '#pragma once\n\n#include "elrt/tlm.hpp"\n')
        self.finds("arrows", "runtime/src/model/model.hpp:3", "'model' includes elrt/tlm.hpp of 'tlm'")

    def test_a_public_header_includes_one_above_it(self):
        self.write("runtime/include/elrt/result.hpp", "#pragma once\n\n#include <elrt/tlm.hpp>\n")
        self.finds("arrows", "runtime/include/elrt/result.hpp:3", "stands above it")

    def test_a_room_without_a_place(self):
        self.write("runtime/src/attic/old.hpp", "#pragma once\n")
        self.finds("arrows", "runtime/src/attic/old.hpp:1", "room 'attic' is unknown")

    def test_a_public_header_without_a_place(self):
        self.write("runtime/include/elrt/new.hpp", "#pragma once\n")
        self.finds("arrows", "runtime/include/elrt/new.hpp:1", "belongs to no room")

    def test_the_runtime_includes_the_toolchain(self):
        self.write("runtime/src/service/service.cpp", '#include "data/rows.h"\n')
        self.finds("arrows", "runtime/src/service/service.cpp:1", "the runtime includes the toolchain's data/rows.h")

    def test_the_runtime_includes_what_programs_share(self):
        self.write("common/number.hpp", "#pragma once\n")
        self.write("runtime/src/service/service.cpp", '#include "common/number.hpp"\n')
        self.finds("arrows", "runtime/src/service/service.cpp:1", "the programs' common/number.hpp")

    def test_a_library_includes_what_it_does_not_link(self):
        self.write("lib/tlm/train.cpp", '#include "eval/loss.h"\n')
        self.finds("arrows", "lib/tlm/train.cpp:1", "does not link 'eval'")

    def test_a_folder_that_is_no_library(self):
        self.write("lib/io/reader.h", "#pragma once\n")
        self.finds("arrows", "lib/io/reader.h:1", "is no library")

    def test_lib_includes_the_suite(self):
        self.write("lib/tlm/train.cpp", '#include "tasks/bank.h"\n')
        self.finds("arrows", "lib/tlm/train.cpp:1", "stands above lib")

    def test_the_suite_includes_upwards(self):
        self.write("suite/tasks/bank.h", '#pragma once\n\n#include "pretrain/corpus.h"\n')
        self.finds("arrows", "suite/tasks/bank.h:3", "stands above it")

    def test_lib_includes_what_is_private_to_the_runtime(self):
        self.write("lib/tlm/train.cpp", '#include "model/model.hpp"\n')
        self.finds("arrows", "lib/tlm/train.cpp:1", "private to the runtime")

    def test_words_in_comments_and_messages(self):
        self.write("lib/base/log.h", "#pragma once\n// What stands behind it.\n")
        self.finds("words", "lib/base/log.h:2", "say 'after'")
        self.write("lib/base/log.h", '#pragma once\nconst char* const kText = "measured anew";\n')
        self.finds("words", "lib/base/log.h:2", "say 'again'")

    def test_words_in_documents_but_not_in_names(self):
        self.write("lib/base/log.h", "#pragma once\nint behind();\n")
        self.assertEqual(self.lint(), [])
        self.write("suite/README.md", "The table beside it.\n")
        self.finds("words", "suite/README.md:1", "say 'next to'")

    def test_the_landing_page_is_short_and_narrow(self):
        self.write("README.md", "line\n" * 151)
        self.finds("landing_page", "README.md:151", "151 lines")
        self.write("README.md", "x" * 121 + "\n")
        self.finds("landing_page", "README.md:1", "121 characters")

    def test_links_lead_somewhere(self):
        self.write("suite/README.md", "See [tools](../tools/README.md#status) and [web](https://example.org).\n")
        self.finds("landing_page", "suite/README.md:1", "../tools/README.md, which does not exist")

    def test_figures_name_command_commit_and_machine(self):
        for what in ("Command", "Commit", "Machine"):
            self.write("scripts/README.md", "".join(line for line in FIGURES.splitlines(True) if not line.startswith(what + ":")))
            self.finds("figures", "scripts/README.md:7", f"without its {what.lower()}")

    def test_an_unknown_check_is_refused(self):
        done = subprocess.run([str(ROOT / "scripts/lint"), "nonsense"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 2)


if __name__ == "__main__":
    unittest.main()
