"""Random-weight models through the toolchain, for scripts that measure speed."""
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
BIN = ROOT / "build/release/bin"


def fail(message):
    sys.exit(f"{pathlib.Path(sys.argv[0]).name}: {message}")


def run(*command):
    done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        last = done.stderr.strip().splitlines()[-1:] or ["no message"]
        fail(f"{command[0]} failed with status {done.returncode}: {last[0]}")
    return done.stdout


def make_checkpoint(config, folder):
    """Made once."""
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        run(BIN / "elastify", "random", config, "--out", folder)


def run_stages(checkpoint, directory, *settings, stages=("profile", "anchors", "reorder", "pack")):
    """Speed does not depend on what the units are sorted by, so the stages take the cheapest way; what is up to date is not run again."""
    sample = directory.parent / "any_text.txt"
    sample.write_text("\n<|endoftext|>\n".join(" ".join("abcdefgh"[(i * j) % 8] for j in range(300)) for i in range(1, 41)))
    sets = [f"checkpoint={checkpoint}", f'data.recovery=["{sample}"]', "profile.method=magnitude", "profile.check_units=0", "profile.tokens=256",
            "profile.seq=64", "profile.batch_rows=1", "anchors.share=0", "anchors.tokens=256", "anchors.batch_rows=1", "reorder.kind=even", *settings]
    options = [part for assignment in sets for part in ("--set", assignment)]
    for stage in stages:
        run(BIN / "elastify", stage, ROOT / "configs/default.json", "--run-dir", directory, *options)
