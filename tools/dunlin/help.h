// What --help says beyond the options: by example.
#pragma once

namespace dunlin::cli {

struct CommandHelp {
    const char* name;
    const char* summary;
    const char* examples;
};

inline constexpr const char* kSummary =
    "Runs vision networks on Vulkan compute, and on the CPU where there is no usable Vulkan.";

inline constexpr const char* kExamples =
    "Examples:\n"
    "  dunlin classify photos10 cat.jpg --show                a picture in the terminal, which of ten things it shows\n"
    "  dunlin pull mobilenetv3_small_100                      ImageNet weights as published, into the cache\n"
    "  dunlin classify mobilenetv3_small_100 cat.jpg          the five likeliest classes of a picture\n"
    "  dunlin evaluate mobilenetv3_small_100 imagenet/val     its accuracy over a folder of class folders\n"
    "  dunlin models                                          what ships, and the networks that can be built\n"
    "  dunlin devices                                         what there is to run on\n"
    "  dunlin inspect mobilenetv3_large_100 --weights synthetic --program\n"
    "\n"
    "MODEL is the name of a model that ships or was pulled, an architecture (mobilenetv3_large_100, with --weights "
    "FILE or --weights synthetic), a weights file\n"
    "(.safetensors, .pth), or a folder as published on the hub (config.json and model.safetensors). What ends in\n"
    ".safetensors or .pth or contains a slash is a path, the rest a name.\n"
    "\n"
    "Exit status: 0 done; 1 the answer is no; 2 wrong use; 3 bad input; 4 the device failed.";

inline constexpr CommandHelp kClassifyHelp = {
    "classify", "The likeliest classes of pictures.",
    "Examples:\n"
    "  dunlin classify weights/mobilenetv2_100 cat.jpg\n"
    "  dunlin classify weights/mobilenetv2_100 photos/ --show\n"
    "  dunlin classify mobilenet_v2.pth photos/ --labels imagenet_classes.txt --top 3\n"
    "  dunlin classify weights/mobilenetv2_100 'photos/*.png' --batch 8 --device vulkan --json"};

inline constexpr CommandHelp kEvaluateHelp = {
    "evaluate", "Accuracy over pictures whose class is known, and what was taken for what.",
    "Examples:\n"
    "  dunlin evaluate digits mnist/test\n"
    "  dunlin evaluate weights/mobilenetv2_100 imagenet/val\n"
    "  dunlin evaluate weights/mobilenetv2_100 imagenet/val --labels imagenet_classes.txt --limit 5000\n"
    "  dunlin evaluate weights/mobilenetv2_100 photos/ --labels truth.csv --device vulkan --json\n"
    "\n"
    "FOLDER has one subfolder a class; pictures may lie in folders of their own inside. All subfolders are named in\n"
    "the same way, the first of these that fits all of them:\n"
    "  label      cat, great_white_shark: the model's own or those of --labels; whatever the case, with _ for a\n"
    "             space or a slash\n"
    "  WordNet id n01440764: those that the lines of --labels begin with\n"
    "  number     7, 0007: from 0; a background class is not counted\n"
    "  order      where no name fits any of these and there is a folder for every class: in sorted order, with a\n"
    "             notice\n"
    "\n"
    "A file of --labels is a list of pictures where its name ends in .csv or it begins with lines picture,class:\n"
    "paths inside FOLDER, and classes by label, WordNet id or number. A first line of titles and further columns are\n"
    "passed over. Any other file has the classes' names, one a line, as for classify.\n"
    "\n"
    "An answer counts for top-5 where the class is among the five likeliest of more than five. Intervals are\n"
    "Wilson's, 95 %. Pictures that cannot be read are named on stderr, are not counted, and make the exit status 3.\n"
    "Other files in class folders are passed over, with a notice where they may have been meant, and so are links to\n"
    "folders that were counted. The speed is that of decoding and network together. In JSON, top1 and top5 are shares\n"
    "from 0 to 1 (null without pictures; top5 also where the network has five classes or fewer, background included),\n"
    "passedOver is how many files the notice is about, and class numbers are the network's own, background included."};

inline constexpr CommandHelp kRunHelp = {
    "run", "Raw tensors in and out, as PyTorch has them: float32, [N, 3, H, W].",
    "Examples:\n"
    "  dunlin run weights/mobilenetv2_100 --input x.npy --output logits.npy\n"
    "  dunlin run weights/mobilenetv2_100 --input x.npy --tap features=features.npy --tap blocks.2=b2.npy\n"
    "\n"
    "Size and batch come from the input. `dunlin inspect MODEL --graph` lists the names for --tap. All networks\n"
    "have features and pooled; those that keep a map have stride4, stride8, stride16 and stride32."};

inline constexpr CommandHelp kVerifyHelp = {
    "verify", "Rebuilds reference networks with formula weights, runs them and compares.",
    "Examples:\n"
    "  dunlin verify reference/mobilenetv2_100.json\n"
    "  dunlin verify reference/*.json --device vulkan --precision fp16 --json\n"
    "\n"
    "A network passes where its largest error over its largest logit is at most 1e-3 (fp32) or 2e-2 (fp16) and the\n"
    "likeliest class is the same in every row, which counts only where every row's margin exceeds twice the bound.\n"
    "Exit status 1 where one does not pass."};

inline constexpr CommandHelp kInspectHelp = {
    "inspect", "What becomes of a network: its graph, its dispatches, its memory plan.",
    "Examples:\n"
    "  dunlin inspect mobilenetv3_large_100 --weights synthetic\n"
    "  dunlin inspect mobilenetv3_large_100 --weights synthetic --graph\n"
    "  dunlin inspect weights/mobilenetv2_100 --program --size 320x256 --batch 4 --device vulkan\n"
    "\n"
    "The program is the one for the chosen device; without a Vulkan device, the one for the least that Vulkan 1.1\n"
    "guarantees."};

inline constexpr CommandHelp kPullHelp = {
    "pull", "Downloads published weights into the cache, verified by their hash.",
    "Examples:\n"
    "  dunlin pull mobilenetv3_small_100\n"
    "  dunlin classify mobilenetv3_small_100 cat.jpg\n"
    "  dunlin pull --list\n"
    "  dunlin pull https://example.org/mine.safetensors --sha256 46d2c063b181... --as mine\n"
    "  dunlin pull hf:timm/resnet50.a1_in1k --sha256 773525d5821d... --as resnet50\n"
    "\n"
    "A pulled model lies in CACHE/models/NAME and is opened by its name wherever a command takes a MODEL. A download\n"
    "that was cut is continued by the next pull. Proxies are named by https_proxy, ALL_PROXY and NO_PROXY,\n"
    "certificates to trust by CURL_CA_BUNDLE, SSL_CERT_FILE and SSL_CERT_DIR."};

inline constexpr CommandHelp kDevicesHelp = {"devices",
                                             "Every Vulkan device and the CPU: drivers, limits, features, fitness.",
                                             "Examples:\n"
                                             "  dunlin devices\n"
                                             "  dunlin devices --json"};

inline constexpr CommandHelp kModelsHelp = {"models", "The architectures that can be built, and the models that ship.",
                                            "Examples:\n"
                                            "  dunlin models\n"
                                            "  dunlin models --json"};

}  // namespace dunlin::cli
