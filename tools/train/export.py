"""Weights as safetensors files and config.json as on the hub."""

import json
import os
import struct

import numpy
import torch

DTYPES = {"F16": numpy.float16, "F32": numpy.float32}


def save_safetensors(path, tensors):
    """Tensors as float16, in order of their names; every one must survive it as a finite number."""
    header, blobs, offset = {"__metadata__": {"format": "pt"}}, [], 0
    for name in sorted(tensors):
        array = tensors[name].detach().to("cpu", torch.float16).contiguous().numpy()
        if not numpy.isfinite(array).all():
            raise ValueError(f"{name} does not fit float16")
        header[name] = {"dtype": "F16", "shape": list(array.shape), "data_offsets": [offset, offset + array.nbytes]}
        blobs.append(array.tobytes())
        offset += array.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + b"".join(blobs))


def load_safetensors(path):
    """The tensors of a file as float32."""
    with open(path, "rb") as file:
        data = file.read()
    length, = struct.unpack_from("<Q", data)
    header = json.loads(data[8:8 + length])
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        begin, end = (8 + length + offset for offset in entry["data_offsets"])
        array = numpy.frombuffer(data[begin:end], DTYPES[entry["dtype"]]).reshape(entry["shape"])
        tensors[name] = torch.from_numpy(array.astype(numpy.float32))
    return tensors


def config(recipe, labels):
    return {
        "architecture": recipe.architecture,
        "num_classes": len(labels),
        "label_names": labels,
        "pretrained_cfg": {
            "input_size": [3, recipe.size, recipe.size],
            "interpolation": "bilinear",
            "crop_pct": 1.0,
            "crop_mode": "center",
            "mean": list(recipe.mean),
            "std": list(recipe.std),
            "license": recipe.licence,
            "num_classes": len(labels),
        },
    }


def export(folder, network, recipe, labels):
    os.makedirs(folder, exist_ok=True)
    tensors = {name: value for name, value in network.state_dict().items() if value.is_floating_point()}
    save_safetensors(os.path.join(folder, "model.safetensors"), tensors)
    with open(os.path.join(folder, "config.json"), "w", encoding="utf-8") as file:
        json.dump(config(recipe, labels), file, indent=2)
        file.write("\n")
