#!/usr/bin/env python3
"""Writes the results that the benchmark's tests read: invented, with the fields of tools/bench/document.h.

before.json and after.json are of networks on one GPU and the CPU; in after.json one network is slower. kernels.json has
a wrong kernel, one whose results vary, one that failed, and names that try to break out of a page. large FOLDER makes
ones as large as real ones get.
"""
import json
import math
import pathlib
import random
import sys

GPU = {"id": "vulkan:0", "name": "Example GPU One (RADV)", "type": "integrated", "driver": "radv",
       "driverVersion": "Mesa 24.2.8", "apiVersion": "1.3.289", "vendorId": 1, "deviceId": 1}
CPU = {"id": "cpu", "name": "Example CPU", "type": "cpu", "threads": 8}
SECOND = {"id": "vulkan:1", "name": "Example GPU Two", "type": "discrete", "driver": "Example",
          "driverVersion": "570.86", "apiVersion": "1.4.303", "vendorId": 2, "deviceId": 2}
BANDWIDTH = {"vulkan:0": [980, 1010, 1020, 940, 610, 120, 88, 84], "cpu": [420, 390, 360, 210, 140, 66, 58, 55],
             "vulkan:1": [1900, 2100, 2150, 2050, 1800, 1200, 270, 255]}
KERNELS = {"stem": "tile2x2", "pointwise": "tile4x4-texel", "depthwise": "tile4x1-texel", "squeeze_excite": "plain",
           "pool": "plain", "head": "tile1x4"}


def ceilings(device):
    scale = {"vulkan:0": 1.0, "cpu": 0.12, "vulkan:1": 1.8}[device]
    gpu = device != "cpu"
    return {"fp32Gflops": 8100 * scale, "fp16Gflops": 15900 * scale if gpu else None,
            "int8Gops": 31000 * scale if gpu else None, "matrixGflops": 29000 * scale if gpu else None,
            "bandwidth": [{"bytes": 16384 << (2 * i), "gbps": gbps} for i, gbps in enumerate(BANDWIDTH[device])],
            "dispatchUs": 1.4 if gpu else 3.0, "barrierUs": 2.6 if gpu else None, "submitUs": 28.0 if gpu else None}


def bandwidth_at(device, size):
    points = [(16384 << (2 * i), gbps) for i, gbps in enumerate(BANDWIDTH[device])]
    for (low, a), (high, b) in zip(points, points[1:]):
        if size <= high:
            share = max(0.0, math.log(size / low) / math.log(high / low))
            return a + share * (b - a)
    return points[-1][1]


def limit_us(device, precision, size, flops):
    rate = ceilings(device)["fp16Gflops" if precision == "fp16" else "fp32Gflops"]
    return max(size / bandwidth_at(device, size) / 1e3, flops / rate / 1e3)


def document(kind, devices, commit, date):
    return {"format": 1, "kind": kind, "version": "0.1.0", "commit": commit, "date": date,
            "host": {"system": "Linux", "processor": CPU["name"], "cpus": 16}, "devices": devices,
            "ceilings": {device["id"]: ceilings(device["id"]) for device in devices}, "notices": [], "complete": True,
            "results": []}


def layers(rng, device, precision, blocks, slower):
    rows = []
    width, channels = 112, 16
    bytes_each = 2 if precision == "fp16" else 4

    def add(name, kernel, shape, macs, elements):
        size, flops = int(elements * bytes_each), int(2 * macs)
        limit = limit_us(device, precision, size, flops)
        latency = 3.0 if device == "cpu" else 2.2
        time = (limit + latency) * rng.uniform(1.15, 2.6) * (slower if kernel == "depthwise" else 1)
        rows.append({"name": name, "kernel": kernel, "variant": KERNELS[kernel], "shape": shape,
                     "medianUs": round(time, 3), "bytes": size, "flops": flops, "limitUs": round(limit, 4),
                     "rooflineShare": round(limit / time, 4)})

    add("conv_stem", "stem", f"112x112x{channels} k3s2", 112 * 112 * 27 * channels, 3 * 224 * 224 + 112 * 112 * channels)
    for block in range(blocks):
        stride = 2 if block in (0, 1, 3, 8) else 1
        width, out = width // stride, min(96, channels + 8 * stride) if block else channels
        wide = out * 4
        name = f"blocks.{block // 2}.{block % 2}"
        add(f"{name}.conv_pw", "pointwise", f"{width * stride}x{width * stride}x{channels} to {wide}",
            (width * stride) ** 2 * channels * wide, (width * stride) ** 2 * (channels + wide) + channels * wide)
        add(f"{name}.conv_dw", "depthwise", f"{width}x{width}x{wide} k5s{stride}", width ** 2 * wide * 25,
            (width * stride) ** 2 * wide + width ** 2 * wide)
        if block % 2:
            add(f"{name}.se", "squeeze_excite", f"{wide}", 2 * wide * wide // 4, wide * wide // 2)
        add(f"{name}.conv_pwl", "pointwise", f"{width}x{width}x{wide} to {out}", width ** 2 * wide * out,
            width ** 2 * (wide + out) + wide * out)
        channels = out
    add("global_pool", "pool", f"{width}x{width}x{channels}", width ** 2 * channels, width ** 2 * channels)
    add("classifier", "head", f"{channels} to 1000", channels * 1000, channels * 1000)
    return rows


def network(rng, model, family, device, precision, blocks, factor=1.0, count=60):
    rows = layers(rng, device, precision, blocks, 1.0)
    gpu = device != "cpu"
    total = sum(row["medianUs"] for row in rows) / 1000 * factor
    overhead = 0.09 if gpu else 0.01
    spread = 0.012 if gpu else 0.05
    gpu_ms = [round(total * math.exp(rng.gauss(0, spread)), 5) for _ in range(count)] if gpu else None
    wall_ms = [round((total + overhead) * math.exp(rng.gauss(0, spread * 1.6)), 5) for _ in range(count)]
    ordered = sorted(wall_ms)
    limit = sum(row["limitUs"] for row in rows) / 1000 + len(rows) * (0.0026 if gpu else 0.003)
    median = ordered[count // 2]
    return {"id": f"{model}/224x224/b1/{precision}/{device}", "model": model, "family": family, "size": [224, 224],
            "batch": 1, "fusion": "default", "device": device, "precision": precision,
            "threads": None if gpu else 8, "coldStartMs": round(rng.uniform(300, 900), 1) if gpu else 41.3,
            "warmStartMs": round(rng.uniform(20, 45), 1), "gpuMedianMs": sorted(gpu_ms)[count // 2] if gpu else None,
            "wallMedianMs": median, "wallP95Ms": ordered[int(count * 0.95)], "wallMinMs": ordered[0],
            "wallSpread": round((ordered[count * 3 // 4] - ordered[count // 4]) / median, 4),
            "cpuSubmitUs": round(rng.uniform(14, 22), 1) if gpu else None,
            "frameMs2": round(median * 0.82, 4) if gpu else None, "frameMs3": round(median * 0.8, 4) if gpu else None,
            "deviceBytes": rng.randrange(8, 40) << 20 if gpu else None, "hostBytes": rng.randrange(20, 90) << 20,
            "runs": count, "dispatches": len(rows), "barriers": len(rows) - 1, "limitMs": round(limit, 5),
            "limitShare": round(limit / (gpu_ms[0] if gpu else median), 4),
            "samples": {"wallMs": wall_ms, "gpuMs": gpu_ms}, "layers": rows, "error": None}


def failed(model, device, sentence):
    row = {"id": f"{model}/224x224/b1/fp32/{device}", "model": model, "family": "EfficientNet", "size": [224, 224],
           "batch": 1, "fusion": "default", "device": device, "precision": "fp32"}
    empty = ("threads coldStartMs warmStartMs gpuMedianMs wallMedianMs wallP95Ms wallMinMs wallSpread cpuSubmitUs "
             "frameMs2 frameMs3 deviceBytes hostBytes runs dispatches barriers limitMs limitShare samples layers")
    return row | dict.fromkeys(empty.split()) | {"error": sentence}


def networks(seed, commit, date, slower, models, devices, count):
    rng = random.Random(seed)
    result = document("model", devices, commit, date)
    for model, family, blocks in models:
        for device in devices:
            for precision in ("fp32",) if device is CPU else ("fp32", "fp16"):
                factor = slower if model == models[0][0] and device is GPU else 1.0
                shape = random.Random(f"{model}{device['id']}{precision}")  # the layers' times, the same in both
                row = network(shape, model, family, device["id"], precision, blocks)
                again = network(random.Random(f"{model}{device['id']}{precision}"), model, family, device["id"],
                                precision, blocks, factor, count)
                noise = [math.exp(rng.gauss(0, 0.01)) for _ in range(count)]
                for key in ("wallMs", "gpuMs"):
                    if again["samples"][key]:
                        again["samples"][key] = [round(t * n, 5) for t, n in zip(again["samples"][key], noise)]
                        middle = sorted(again["samples"][key])[count // 2]
                        again["wallMedianMs" if key == "wallMs" else "gpuMedianMs"] = middle
                again["layers"] = row["layers"]
                result["results"].append(again)
    result["results"].append(failed("efficientnet_b7", devices[0]["id"],
                                    "the network needs 1.2 GiB on the device, and 512.0 MiB are free"))
    result["complete"] = False
    result["notices"].append("efficientnet_b7: not measured, for want of memory")
    return result


def kernel(rng, case, name, variant, precision, networks_, **changes):
    size, flops = rng.randrange(1 << 15, 1 << 23), rng.randrange(1 << 18, 1 << 29)
    limit = limit_us("vulkan:0", precision, size, flops)
    time = (limit + 2.2) * rng.uniform(1.1, 3)
    samples = [round(time * math.exp(rng.gauss(0, 0.02)), 3) for _ in range(24)]
    time = sorted(samples)[12]
    row = {"id": f"{case}/{precision}/{variant}", "case": case, "kernel": name, "variant": variant,
           "device": "vulkan:0", "precision": precision, "networks": networks_, "correct": True,
           "maxRelativeError": 2.1e-4 if precision == "fp16" else 3.1e-7, "tolerance": 1e-2, "deterministic": True,
           "clock": "gpu", "medianUs": time, "minUs": min(samples), "p95Us": sorted(samples)[22],
           "samplesUs": samples, "bytes": size, "flops": flops, "gflops": flops / time / 1e3, "gbps": size / time / 1e3,
           "limitUs": limit, "rooflineShare": limit / time, "isDefault": False, "isBest": False, "statistics": {},
           "error": None}
    return row | changes


def kernels(cases, variants, commit, date):
    rng = random.Random(3)
    result = document("kernels", [GPU], commit, date)
    for case, name in cases:
        for precision in ("fp32", "fp16"):
            rows = [kernel(rng, case, name, variant, precision, ["mobilenetv3_large_100"]) for variant in variants]
            rows[0]["isDefault"] = True
            min(rows, key=lambda row: row["medianUs"])["isBest"] = True
            result["results"] += rows
    return result


def broken_kernels():
    rng = random.Random(4)
    hostile = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\u2028\u0007&lt;\"'"
    unmeasured = dict.fromkeys("correct maxRelativeError deterministic medianUs minUs p95Us samplesUs gflops gbps "
                               "rooflineShare".split())
    return [
        kernel(rng, "depthwise/7x7x960/k5s1", "depthwise", "tile8x1", "fp16", ["mobilenetv3_large_100"], correct=False,
               maxRelativeError=None),
        kernel(rng, "pointwise/7x7x960/n160", "pointwise", "tile2x2", "fp32", ["mobilenetv3_large_100"],
               deterministic=False),
        kernel(rng, "pool/7x7x960", "pool", "plain", "fp32", [], error="timed out after 2 seconds") | unmeasured,
        kernel(rng, hostile, hostile, hostile, "fp32", [hostile], statistics={hostile: 3}),
    ]


def write(folder, name, content, indent):
    (folder / name).write_text(json.dumps(content, indent=indent) + "\n")


def main():
    small = [("mobilenetv3_small_100", "MobileNetV3", 2), ("mobilevit_xxs", "MobileViT", 3)]
    here = pathlib.Path(__file__).parent
    if len(sys.argv) == 3 and sys.argv[1] == "large":
        folder = pathlib.Path(sys.argv[2])
        models = [("mobilenetv3_small_100", "MobileNetV3", 11), ("mobilenetv3_large_100", "MobileNetV3", 15),
                  ("mobilenetv2_100", "MobileNetV2", 17), ("efficientnet_b0", "EfficientNet", 16),
                  ("mobilevit_s", "MobileViT", 18), ("convnext_tiny", "ConvNeXt", 18)]
        for name, seed, slower in (("before.json", 1, 1.0), ("after.json", 2, 1.09)):
            write(folder, name, networks(seed, "0123456789ab", f"2026-11-2{seed}T09:00:00Z", slower, models,
                                         [GPU, SECOND, CPU], 200), None)
        cases = [(f"{name}/{7 << i % 5}x{7 << i % 5}x{16 + 8 * i}/{'k3s1' if i % 2 else 'k5s1'}", name)
                 for name in KERNELS for i in range(40)]
        variants = ["plain", "tile4x1", "tile4x1-texel", "tile2x2", "tile2x2-texel", "tile8x1"]
        result = kernels(cases, variants, "0123456789ab", "2026-11-22T09:00:00Z")
        result["results"] += broken_kernels()
        write(folder, "kernels.json", result, None)
        return
    for name, seed, slower in (("before.json", 1, 1.0), ("after.json", 2, 1.2)):
        write(here, name, networks(seed, f"00000000000{seed}", f"2026-11-2{seed}T09:00:00Z", slower, small, [GPU, CPU],
                                   24), None)
    result = kernels([("depthwise/56x56x72/k3s1", "depthwise"), ("pointwise/14x14x112/n672", "pointwise")],
                     ["plain", "tile4x1-texel"], "000000000002", "2026-11-22T09:00:00Z")
    result["results"] += broken_kernels()
    write(here, "kernels.json", result, None)


main()
