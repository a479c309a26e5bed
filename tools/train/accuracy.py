#!/usr/bin/env python3
"""Measures the models that ship, with the dunlin command itself, and writes the table into models/README.md.

tools/train/accuracy.py --mnist FOLDER --cifar FOLDER [--models NAME...] [--binary build/release/dunlin]

Whole test sets on the CPU and on Vulkan in fp32 and fp16 (--device says on which; default vulkan). Exit status 1 where the three
differ by more than 0.1 points. FOLDER: MNIST's four files; CIFAR-10's folders train and test.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile

from PIL import Image

import data

ROOT = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
BEGIN, END = "<!-- accuracy: written by tools/train/accuracy.py -->", "<!-- end of accuracy -->"
MOST_POINTS_APART = 0.1
MODELS = {"digits": "MNIST", "photos10": "CIFAR-10", "photos10_mobilevit": "CIFAR-10"}
WAYS = {"CPU": ["--device", "cpu", "--threads", "1"], "Vulkan fp32": ["--precision", "fp32"], "Vulkan fp16": ["--precision", "fp16"]}


def write_digits(source, folder):
    """MNIST's test set as class folders of PNG files, 28x28 pixels as they are published."""
    images, classes, _ = data.digits(source, "test")
    for index, digit in enumerate(classes.tolist()):
        os.makedirs(os.path.join(folder, str(digit)), exist_ok=True)
        Image.fromarray(images[index, 0].numpy()).save(os.path.join(folder, str(digit), f"{index:05}.png"))


def evaluate(binary, model, folder, options):
    command = [binary, "evaluate", model, folder, "--json", "--quiet", *options]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def measure(binary, model, folder, device):
    results = {}
    for way, options in WAYS.items():
        on_device = options if "--device" in options else [*options, "--device", device]
        results[way] = evaluate(binary, model, folder, on_device)
        print(f"{model} on {way}: {results[way]['top1'] * 100:.2f} % of {results[way]['images']}", flush=True)
    return results


def table(results):
    lines = [f"| model | architecture | test set | {' | '.join(WAYS)} |", f"|---|---|---|{'---:|' * len(WAYS)}"]
    for model, ways in results.items():
        first = next(iter(ways.values()))
        shares = " | ".join(f"{ways[way]['top1'] * 100:.2f} %" for way in WAYS)
        lines.append(f"| `{model}` | `{first['model']}` | {MODELS[model]}, {first['images']} pictures | {shares} |")
    return "\n".join(lines)


def write_table(text):
    path = os.path.join(ROOT, "models", "README.md")
    with open(path, encoding="utf-8") as file:
        content = file.read()
    before, rest = content.split(BEGIN)
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"{before}{BEGIN}\n\n{text}\n\n{END}{rest.split(END)[1]}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mnist", required=True)
    parser.add_argument("--cifar", required=True)
    parser.add_argument("--models", nargs="+", choices=MODELS, help="only these; the table is printed, not written")
    parser.add_argument("--binary", default=os.path.join(ROOT, "build", "release", "dunlin"))
    parser.add_argument("--device", default="vulkan")
    arguments = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        write_digits(arguments.mnist, folder)
        folders = {"MNIST": folder, "CIFAR-10": os.path.join(arguments.cifar, "test")}
        results = {model: measure(arguments.binary, model, folders[MODELS[model]], arguments.device)
                   for model in arguments.models or MODELS}
    if arguments.models:
        print(table(results))
    else:
        write_table(table(results))
    apart = max(max(r["top1"] for r in ways.values()) - min(r["top1"] for r in ways.values()) for ways in results.values())
    if apart * 100 > MOST_POINTS_APART:
        print(f"the ways differ by {apart * 100:.2f} points, more than {MOST_POINTS_APART}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
