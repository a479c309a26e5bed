#!/usr/bin/env python3
"""Trains a network that ships with Dunlin: tools/train/train.py NAME --data FOLDER --out FOLDER

NAME is digits, photos10 or photos10_mobilevit. Each epoch ends with a checkpoint in --out; started again, the program goes on
from there. At the end, and with --export at once, --out/NAME receives config.json and model.safetensors (float16).
--from NAME.safetensors begins with weights of an earlier run instead of random ones.
"""

import argparse
import copy
import math
import os
import time

import torch
from torch import nn
from torch.nn import functional

import data
import networks
from export import export, load_safetensors


class Recipe:
    """What is trained on what, and how."""

    def __init__(self, architecture, build, load, vary, size, mean, std, epochs, rate, smoothing):
        self.architecture, self.build, self.load, self.vary = architecture, build, load, vary
        self.size, self.mean, self.std = size, mean, std
        self.epochs, self.rate, self.smoothing = epochs, rate, smoothing
        self.decay, self.batch = 0.05, 128
        self.licence = "apache-2.0"  # this project's; what the pictures are published under is in the model's card


IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
RECIPES = {
    "digits": Recipe("mobilenetv2_035", lambda: networks.MobileNetV2(10, 0.35), data.digits, data.warp_digits,
                     32, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), epochs=20, rate=3e-3, smoothing=0.05),
    "photos10": Recipe("mobilenetv3_small_100", lambda: networks.MobileNetV3Small(10), data.pictures, data.vary_pictures,
                       64, IMAGENET_MEAN, IMAGENET_STD, epochs=40, rate=3e-3, smoothing=0.1),
    "photos10_mobilevit": Recipe("mobilevit_xxs", lambda: networks.MobileVitXxs(10), data.pictures, data.vary_pictures,
                                 64, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), epochs=20, rate=2e-3, smoothing=0.1),
}


class Trainer:
    def __init__(self, name, epochs, begin):
        self.recipe = RECIPES[name]
        self.name, self.epochs, self.epoch = name, epochs, 0
        self.network = self.recipe.build().to(memory_format=torch.channels_last)
        if begin:
            self.network.load_state_dict(load_safetensors(begin), strict=False)
        self.average = copy.deepcopy(self.network)
        self.steps = 0
        # Weight decay for matrices and kernels only.
        matrices = [p for p in self.network.parameters() if p.dim() > 1]
        vectors = [p for p in self.network.parameters() if p.dim() <= 1]
        self.optimizer = torch.optim.AdamW(
            [{"params": matrices, "weight_decay": self.recipe.decay}, {"params": vectors, "weight_decay": 0.0}],
            self.recipe.rate, foreach=True)
        self.mean = torch.tensor(self.recipe.mean)[:, None, None]
        self.std = torch.tensor(self.recipe.std)[:, None, None]

    def input_of(self, images):
        """What `dunlin` makes of pictures: resized with a bilinear filter, then normalised."""
        size = self.recipe.size
        if images.shape[-1] != size:
            images = functional.interpolate(images, (size, size), mode="bilinear", align_corners=False)
        return ((images - self.mean) / self.std).contiguous(memory_format=torch.channels_last)

    def rate_at(self, progress):
        """One cosine with a rise over the first twentieth."""
        if progress < 0.05:
            return self.recipe.rate * (0.02 + 0.98 * progress / 0.05)
        return self.recipe.rate * max(0.5 * (1 + math.cos(math.pi * (progress - 0.05) / 0.95)), 1e-3)

    def train_epoch(self, images, classes):
        self.network.train()
        generator = torch.Generator().manual_seed(1000 + self.epoch)
        torch.manual_seed(2000 + self.epoch)
        order = torch.randperm(len(images), generator=generator)
        batches = len(images) // self.recipe.batch
        loss_sum = 0.0
        for index in range(batches):
            for group in self.optimizer.param_groups:
                group["lr"] = self.rate_at((self.epoch + index / batches) / self.epochs)
            chosen = order[index * self.recipe.batch:(index + 1) * self.recipe.batch]
            batch = self.recipe.vary(images[chosen].float() / 255, generator)
            scores = self.network(self.input_of(batch))
            loss = functional.cross_entropy(scores, classes[chosen], label_smoothing=self.recipe.smoothing)
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(self.network.parameters(), 2.0)
            self.optimizer.step()
            self.follow()
            loss_sum += loss.item()
        self.epoch += 1
        return loss_sum / batches

    @torch.no_grad()
    def follow(self):
        """The exponential moving average of the weights, which is what ships; short at first."""
        self.steps += 1
        keep = min(0.9990, (1 + self.steps) / (10 + self.steps))
        averages, values = list(self.average.state_dict().values()), list(self.network.state_dict().values())
        floats = [(a, v) for a, v in zip(averages, values) if a.is_floating_point()]
        torch._foreach_mul_([a for a, _ in floats], keep)
        torch._foreach_add_([a for a, _ in floats], [v for _, v in floats], alpha=1 - keep)

    @torch.no_grad()
    def accuracy(self, images, classes):
        self.average.eval()
        correct = 0
        for start in range(0, len(images), 500):
            scores = self.average(self.input_of(images[start:start + 500].float() / 255))
            correct += (scores.argmax(1) == classes[start:start + 500]).sum().item()
        return correct / len(images)

    def save(self, path):
        state = {"epoch": self.epoch, "epochs": self.epochs, "steps": self.steps, "network": self.network.state_dict(),
                 "average": self.average.state_dict(), "optimizer": self.optimizer.state_dict()}
        torch.save(state, path + ".new")
        os.replace(path + ".new", path)

    def load(self, path, epochs):
        state = torch.load(path)
        if epochs not in (None, state["epochs"]):
            raise SystemExit(f"{path} belongs to a run of {state['epochs']} epochs, not {epochs}")
        self.epochs, self.epoch, self.steps = state["epochs"], state["epoch"], state["steps"]
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=RECIPES)
    parser.add_argument("--data", required=True, help="MNIST's four files, or CIFAR-10's folders train and test")
    parser.add_argument("--out", required=True, help="for checkpoints and the result")
    parser.add_argument("--epochs", type=int, help="default: the recipe's, or the checkpoint's")
    parser.add_argument("--from", dest="begin", metavar="FILE", help="weights (.safetensors) to begin with")
    parser.add_argument("--export", action="store_true", help="write the result of the last checkpoint, train no more")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()

    torch.set_num_threads(arguments.threads)
    torch.set_flush_denormal(True)
    torch.manual_seed(1)
    recipe = RECIPES[arguments.name]
    trainer = Trainer(arguments.name, arguments.epochs or recipe.epochs, arguments.begin)
    os.makedirs(arguments.out, exist_ok=True)
    checkpoint = os.path.join(arguments.out, arguments.name + ".checkpoint")
    if os.path.exists(checkpoint):
        trainer.load(checkpoint, arguments.epochs)
        print(f"going on after epoch {trainer.epoch}", flush=True)

    test_images, test_classes, labels = recipe.load(arguments.data, "test")
    if not arguments.export:
        images, classes, _ = recipe.load(arguments.data, "train")
        while trainer.epoch < trainer.epochs:
            start = time.time()
            loss = trainer.train_epoch(images, classes)
            trainer.save(checkpoint)
            accuracy = trainer.accuracy(test_images, test_classes)
            print(f"epoch {trainer.epoch}/{trainer.epochs}: loss {loss:.4f}, test {accuracy * 100:.2f} %, "
                  f"{time.time() - start:.0f} s", flush=True)
    export(os.path.join(arguments.out, arguments.name), trainer.average, recipe, labels)
    print(f"test accuracy of the averaged weights: {trainer.accuracy(test_images, test_classes) * 100:.2f} %")


if __name__ == "__main__":
    main()
