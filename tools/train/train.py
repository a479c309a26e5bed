#!/usr/bin/env python3
"""Trains a network that ships with Dunlin: tools/train/train.py NAME --data FOLDER --out FOLDER

NAME is digits, photos10 or photos10_mobilevit. Each epoch ends with a checkpoint in --out; started again, the program goes on
from there. At the end, and with --export at once, --out/NAME receives config.json and model.safetensors (float16).
--from FILE begins with weights of an earlier run instead of random ones. Runs on a CUDA GPU where there is one.
"""

import argparse
import copy
import math
import os
import time

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # it would start threads of its own beside those of --threads

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
                     32, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), epochs=20, rate=4e-3, smoothing=0.02),
    "photos10": Recipe("mobilenetv3_small_100", lambda: networks.MobileNetV3Small(10), data.pictures, data.vary_pictures,
                       64, IMAGENET_MEAN, IMAGENET_STD, epochs=150, rate=3e-3, smoothing=0.1),
    "photos10_mobilevit": Recipe("mobilevit_xxs", lambda: networks.MobileVitXxs(10), data.pictures, data.vary_pictures,
                                 64, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), epochs=150, rate=2e-3, smoothing=0.1),
}


class Trainer:
    def __init__(self, recipe, epochs, batch, begin, device):
        self.recipe, self.device, self.epochs, self.epoch = recipe, device, epochs, 0
        self.set_batch(batch)
        self.network = recipe.build().to(device, memory_format=torch.channels_last)
        if begin:
            self.begin_with(load_safetensors(begin))
        self.average = copy.deepcopy(self.network)
        self.steps = 0
        # Weight decay for matrices and kernels only.
        matrices = [p for p in self.network.parameters() if p.dim() > 1]
        vectors = [p for p in self.network.parameters() if p.dim() <= 1]
        self.optimizer = torch.optim.AdamW(
            [{"params": matrices, "weight_decay": self.recipe.decay}, {"params": vectors, "weight_decay": 0.0}],
            self.rate, foreach=True)
        self.mean = torch.tensor(recipe.mean, device=device)[:, None, None]
        self.std = torch.tensor(recipe.std, device=device)[:, None, None]

    def set_batch(self, batch):
        # Steps of larger batches are fewer and less noisy, so they may be longer (Malladi et al. 2022: the square root).
        self.batch, self.rate = batch, self.recipe.rate * math.sqrt(batch / self.recipe.batch)

    def begin_with(self, tensors):
        # Files of weights do not count the batches that BatchNorm has seen.
        counters = {name: value for name, value in self.network.state_dict().items() if name.endswith("tracked")}
        self.network.load_state_dict(counters | tensors)

    def input_of(self, images):
        """What `dunlin` makes of pictures: resized with a bilinear filter, then normalised."""
        images = data.resized(images, self.recipe.size)
        return ((images - self.mean) / self.std).contiguous(memory_format=torch.channels_last)

    def rate_at(self, progress):
        """One cosine with a rise over the first twentieth."""
        if progress < 0.05:
            return self.rate * (0.02 + 0.98 * progress / 0.05)
        return self.rate * max(0.5 * (1 + math.cos(math.pi * (progress - 0.05) / 0.95)), 1e-3)

    def train_epoch(self, images, classes):
        self.network.train()
        generator = torch.Generator(self.device).manual_seed(1000 + self.epoch)
        torch.manual_seed(2000 + self.epoch)
        order = torch.randperm(len(images), generator=generator, device=self.device)
        batches = len(images) // self.batch
        loss_sum = torch.zeros((), device=self.device)
        for index in range(batches):
            for group in self.optimizer.param_groups:
                group["lr"] = self.rate_at((self.epoch + index / batches) / self.epochs)
            chosen = order[index * self.batch:(index + 1) * self.batch]
            batch = self.recipe.vary(images[chosen].float() / 255, self.recipe.size, generator)
            scores = self.network(self.input_of(batch))
            loss = functional.cross_entropy(scores, classes[chosen], label_smoothing=self.recipe.smoothing)
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(self.network.parameters(), 2.0)
            self.optimizer.step()
            self.follow()
            loss_sum += loss.detach()
        self.epoch += 1
        return loss_sum.item() / batches

    @torch.no_grad()
    def follow(self):
        """The exponential moving average of the weights, which is what ships; short at first."""
        self.steps += 1
        keep = min(1 - 1e-3 * self.batch / self.recipe.batch, (1 + self.steps) / (10 + self.steps))
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
        state = {"epoch": self.epoch, "epochs": self.epochs, "batch": self.batch, "steps": self.steps,
                 "network": self.network.state_dict(), "average": self.average.state_dict(),
                 "optimizer": self.optimizer.state_dict()}
        torch.save(state, path + ".new")
        os.replace(path + ".new", path)

    def load(self, path, epochs, batch):
        """The checkpoint of a run; `epochs` and `batch`, where they are given, must be the run's."""
        state = torch.load(path, map_location=self.device)
        for what, asked in (("epochs", epochs), ("batch", batch)):
            if asked not in (None, state[what]):
                raise SystemExit(f"{path} belongs to a run with --{what} {state[what]}, not {asked}")
        self.epochs, self.epoch, self.steps = state["epochs"], state["epoch"], state["steps"]
        self.set_batch(state["batch"])
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])


def load(recipe, folder, split, device):
    images, classes, labels = recipe.load(folder, split)
    return images.to(device), classes.to(device), labels


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=RECIPES)
    parser.add_argument("--data", required=True, help="MNIST's four files, or CIFAR-10's folders train and test")
    parser.add_argument("--out", required=True, help="for checkpoints and the result")
    parser.add_argument("--epochs", type=int, help="default: the recipe's, or the checkpoint's")
    parser.add_argument("--batch", type=int, help="default: the recipe's; GPUs like more")
    parser.add_argument("--from", dest="begin", metavar="FILE", help="weights (.safetensors) to begin with")
    parser.add_argument("--export", action="store_true", help="write the result of the last checkpoint, train no more")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()

    torch.set_num_threads(arguments.threads)
    torch.set_flush_denormal(True)
    torch.manual_seed(1)
    recipe = RECIPES[arguments.name]
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    trainer = Trainer(recipe, arguments.epochs or recipe.epochs, arguments.batch or recipe.batch, arguments.begin, device)
    os.makedirs(arguments.out, exist_ok=True)
    checkpoint = os.path.join(arguments.out, arguments.name + ".checkpoint")
    if os.path.exists(checkpoint):
        if arguments.begin:
            raise SystemExit(f"{checkpoint} is of a run that has begun; --from needs another --out")
        trainer.load(checkpoint, arguments.epochs, arguments.batch)
        print(f"going on after epoch {trainer.epoch}", flush=True)
    elif arguments.export:
        raise SystemExit(f"{checkpoint} does not exist, so there is nothing to export")

    test_images, test_classes, labels = load(recipe, arguments.data, "test", device)
    if not arguments.export:
        images, classes, _ = load(recipe, arguments.data, "train", device)
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
