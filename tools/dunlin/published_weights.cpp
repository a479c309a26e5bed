#include "tools/dunlin/published_weights.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>
#include <utility>
#include <vector>

// Addresses: the folders that timm publishes on the hub, the releases of timm before them, and torchvision's files.
#define TIMM_HUB(repository) "https://huggingface.co/timm/" repository "/resolve/main/model.safetensors"
#define TIMM_RELEASE(file) "https://github.com/huggingface/pytorch-image-models/releases/download/" file
#define TORCHVISION(file) "https://download.pytorch.org/models/" file

namespace dunlin::cli {
namespace {

constexpr std::string_view kApache = "Apache-2.0", kBsd = "BSD-3-Clause", kMit = "MIT";
// Apple's terms for ml-cvnets, of which the MobileViTs are: not a usual licence, to be read before anything is shipped.
constexpr std::string_view kCvnets = "cvnets";

using Colours = std::array<double, 3>;
struct Normalisation {
    Colours mean, deviation;
};
constexpr Normalisation kImageNet = {{0.485, 0.456, 0.406}, {0.229, 0.224, 0.225}};
constexpr Normalisation kHalf = {{0.5, 0.5, 0.5}, {0.5, 0.5, 0.5}};
constexpr Normalisation kPlain = {{0, 0, 0}, {1, 1, 1}};

// The part of the picture that is left where the short side becomes `shortSide` pixels and `side` of them are cut out.
// A quarter of a pixel more, so that the division that comes back to it does not fall below.
constexpr double shortSide(int side, int shortSide) {
    return side / (shortSide + 0.25);
}

constexpr PublishedPreprocessing bicubic(int side, double cropFraction, const Normalisation& colours = kImageNet) {
    return {side, cropFraction, "bicubic", colours.mean, colours.deviation};
}
constexpr PublishedPreprocessing bilinear(int side, double cropFraction, const Normalisation& colours = kImageNet) {
    return {side, cropFraction, "bilinear", colours.mean, colours.deviation};
}

constexpr std::string_view architectureOf(std::string_view name) {
    return name.substr(0, name.find('@'));
}
constexpr PublishedWeights timm(std::string_view name, std::string_view url, std::string_view sha256,
                                const PublishedPreprocessing& preprocessing, uint64_t bytes = 0,
                                std::string_view licence = kApache) {
    return {name, architectureOf(name), url, sha256, bytes, licence, "timm", preprocessing};
}
constexpr PublishedWeights torchvision(std::string_view name, std::string_view url, std::string_view sha256,
                                       const PublishedPreprocessing& preprocessing) {
    return {name, architectureOf(name), url, sha256, 0, kBsd, "torchvision", preprocessing};
}

// Name, address, SHA-256, pictures, bytes. Both publishers put the first 8 digits of a file's hash into its name;
// longer ones are from the hub and from reports of hash checks (https://github.com/pytorch/vision/issues/7744).
// Preprocessing and licences are those that the publishers' sources state.
constexpr PublishedWeights kPublished[] = {
    // MobileNets
    timm("mobilenetv2_050", TIMM_RELEASE("v0.1-weights/mobilenetv2_050-3d30d450.pth"), "3d30d450", bicubic(224, 0.875)),
    timm("mobilenetv2_100", TIMM_HUB("mobilenetv2_100.ra_in1k"),
         "55ea4fb3a96010b933710ebf44fc965b070d5cd054d3f35e44f2d1320b4a714e", bicubic(224, 0.875)),
    torchvision("mobilenetv2_100@torchvision", TORCHVISION("mobilenet_v2-7ebf99e0.pth"), "7ebf99e0",
                bilinear(224, shortSide(224, 232))),
    timm("mobilenetv2_140", TIMM_RELEASE("v0.1-weights/mobilenetv2_140_ra-21a4e913.pth"), "21a4e913",
         bicubic(224, 0.875)),
    timm("mobilenetv3_small_050", TIMM_RELEASE("v0.1-weights/mobilenetv3_small_050_lambc-4b7bbe87.pth"), "4b7bbe87",
         bicubic(224, 0.875)),
    timm("mobilenetv3_small_075", TIMM_RELEASE("v0.1-weights/mobilenetv3_small_075_lambc-384766db.pth"), "384766db",
         bicubic(224, 0.875)),
    timm("mobilenetv3_small_100", TIMM_HUB("mobilenetv3_small_100.lamb_in1k"),
         "46d2c063b18125884c48937afa4c49e18128869e52e8db96df48bf0a4d7ff697", bicubic(224, 0.875), 10241912),
    torchvision("mobilenetv3_small_100@torchvision", TORCHVISION("mobilenet_v3_small-047dcff4.pth"),
                "047dcff4addef86ea5bc2eff13c9614dc11f47ab1160d0a71a25e7db994f4e1f", bilinear(224, 0.875)),
    timm("mobilenetv3_large_100", TIMM_HUB("mobilenetv3_large_100.ra_in1k"),
         "f425af34cc1cead2b5d6211f789a1f30b94835dc32f9c0fcc5a916e4fd2dde85", bicubic(224, 0.875), 22058321),
    torchvision("mobilenetv3_large_100@torchvision", TORCHVISION("mobilenet_v3_large-5c1a4163.pth"), "5c1a4163",
                bilinear(224, shortSide(224, 232))),
    timm("tf_mobilenetv3_large_075", TIMM_RELEASE("v0.1-weights/tf_mobilenetv3_large_075-150ee8b0.pth"), "150ee8b0",
         bilinear(224, 0.875, kHalf)),
    timm("tf_mobilenetv3_large_100", TIMM_RELEASE("v0.1-weights/tf_mobilenetv3_large_100-427764d5.pth"), "427764d5",
         bilinear(224, 0.875, kHalf)),
    timm("tf_mobilenetv3_large_minimal_100", TIMM_RELEASE("v0.1-weights/tf_mobilenetv3_large_minimal_100-8596ae28.pth"),
         "8596ae28", bilinear(224, 0.875, kHalf)),
    timm("tf_mobilenetv3_small_075", TIMM_RELEASE("v0.1-weights/tf_mobilenetv3_small_075-da427f52.pth"), "da427f52",
         bilinear(224, 0.875, kHalf)),
    timm("tf_mobilenetv3_small_100", TIMM_RELEASE("v0.1-weights/tf_mobilenetv3_small_100-37f49e2b.pth"), "37f49e2b",
         bilinear(224, 0.875, kHalf)),
    timm("tf_mobilenetv3_small_minimal_100", TIMM_RELEASE("v0.1-weights/tf_mobilenetv3_small_minimal_100-922a7843.pth"),
         "922a7843", bilinear(224, 0.875, kHalf)),
    // EfficientNets
    timm("efficientnet_b0", TIMM_HUB("efficientnet_b0.ra_in1k"),
         "d569899762ea9b1384ee07f4af64805cf8caa1c55f9253ebb1080dc40e87a2cd", bicubic(224, 0.875), 21355344),
    torchvision("efficientnet_b0@torchvision", TORCHVISION("efficientnet_b0_rwightman-7f5810bc.pth"),
                "7f5810bc96def8f7552d5b7e68d53c4786f81167d28291b21c0d90e1fca14934", bicubic(224, 0.875)),
    torchvision("efficientnet_b1", TORCHVISION("efficientnet_b1-c27df63c.pth"), "c27df63c",
                bilinear(240, shortSide(240, 255))),
    torchvision("efficientnet_b2", TORCHVISION("efficientnet_b2_rwightman-c35c1473.pth"),
                "c35c147384e385a5bab5a8eabdabbe5a3df0487ee4a554108626ae474a5bf755", bicubic(288, 1)),
    torchvision("efficientnet_b3", TORCHVISION("efficientnet_b3_rwightman-b3899882.pth"),
                "b3899882250c22946d0229d266049fcd133c169233530b36b9ffa7983988362f", bicubic(300, 0.9375)),
    timm("efficientnet_b4", TIMM_HUB("efficientnet_b4.ra2_in1k"),
         "8030f9c929ed71a06728db4b61323960e573b463e68f310bd1bfb31ed62cbf91", bicubic(320, 0.875), 77933206),
    torchvision("efficientnet_b4@torchvision", TORCHVISION("efficientnet_b4_rwightman-23ab8bcd.pth"),
                "23ab8bcd5bdbef61a7a43b91adcad81f622fd7f36fb4935a569828d77888c44e", bicubic(380, shortSide(380, 384))),
    torchvision("efficientnet_b5", TORCHVISION("efficientnet_b5_lukemelas-1a07897c.pth"),
                "1a07897c0d357db7981640f6be44a63420f11deb932344a69768b62ebe272946", bicubic(456, 1)),
    torchvision("efficientnet_b6", TORCHVISION("efficientnet_b6_lukemelas-24a108a5.pth"),
                "24a108a596a00ad522bdfb9a2d98a9bd31819dfd7e37dd96bad6bb5bc00d6015", bicubic(528, 1)),
    torchvision("efficientnet_b7", TORCHVISION("efficientnet_b7_lukemelas-c5b4e57e.pth"),
                "c5b4e57e0da1a10bb4f8a5b410dd3b7b6e7461f9b757209be29409707c3d87dd", bicubic(600, 1)),
    torchvision("efficientnetv2_s", TORCHVISION("efficientnet_v2_s-dd5fe13b.pth"), "dd5fe13b", bilinear(384, 1)),
    torchvision("efficientnetv2_m", TORCHVISION("efficientnet_v2_m-dc08266a.pth"), "dc08266a", bilinear(480, 1)),
    torchvision("efficientnetv2_l", TORCHVISION("efficientnet_v2_l-59c71312.pth"), "59c71312", bicubic(480, 1, kHalf)),
    timm("efficientnetv2_rw_s", TIMM_RELEASE("v0.1-weights/efficientnet_v2s_ra2_288-a6477665.pth"), "a6477665",
         bicubic(288, 1)),
    timm("efficientnet_lite0", TIMM_RELEASE("v0.1-weights/efficientnet_lite0_ra-37913777.pth"), "37913777",
         bicubic(224, 0.875)),
    timm("tf_efficientnet_lite0", TIMM_RELEASE("v0.1-weights/tf_efficientnet_lite0-0aa007d2.pth"), "0aa007d2",
         bicubic(224, 0.875, kHalf)),
    timm("tf_efficientnet_lite1", TIMM_RELEASE("v0.1-weights/tf_efficientnet_lite1-bde8b488.pth"), "bde8b488",
         bicubic(240, 0.882, kHalf)),
    timm("tf_efficientnet_lite2", TIMM_RELEASE("v0.1-weights/tf_efficientnet_lite2-dcccb7df.pth"), "dcccb7df",
         bicubic(260, 0.89, kHalf)),
    timm("tf_efficientnet_lite3", TIMM_RELEASE("v0.1-weights/tf_efficientnet_lite3-b733e338.pth"), "b733e338",
         bilinear(300, 0.904, kHalf)),
    timm("tf_efficientnet_lite4", TIMM_RELEASE("v0.1-weights/tf_efficientnet_lite4-741542c3.pth"), "741542c3",
         bilinear(380, 0.92, kHalf)),
    timm("tf_efficientnet_b0", TIMM_RELEASE("v0.1-weights/tf_efficientnet_b0_aa-827b6e33.pth"), "827b6e33",
         bicubic(224, 0.875)),
    timm("tf_efficientnet_b1", TIMM_RELEASE("v0.1-weights/tf_efficientnet_b1_aa-ea7a6ee0.pth"), "ea7a6ee0",
         bicubic(240, 0.882)),
    timm("tf_efficientnet_b2", TIMM_RELEASE("v0.1-weights/tf_efficientnet_b2_aa-60c94f97.pth"), "60c94f97",
         bicubic(260, 0.89)),
    timm("tf_efficientnet_b3", TIMM_RELEASE("v0.1-weights/tf_efficientnet_b3_aa-84b4657e.pth"), "84b4657e",
         bicubic(300, 0.904)),
    timm("tf_efficientnet_b4", TIMM_RELEASE("v0.1-weights/tf_efficientnet_b4_aa-818f208c.pth"), "818f208c",
         bicubic(380, 0.922)),
    timm("tf_efficientnetv2_s", TIMM_RELEASE("v0.1-effv2-weights/tf_efficientnetv2_s-eb54923e.pth"), "eb54923e",
         bicubic(300, 1, kHalf)),
    // MobileViTs
    timm("mobilevit_xxs", TIMM_RELEASE("v0.1-mvit-weights/mobilevit_xxs-ad385b40.pth"), "ad385b40",
         bicubic(256, 0.9, kPlain), 0, kCvnets),
    timm("mobilevit_xs", TIMM_RELEASE("v0.1-mvit-weights/mobilevit_xs-8fbd6366.pth"), "8fbd6366",
         bicubic(256, 0.9, kPlain), 0, kCvnets),
    timm("mobilevit_s", TIMM_RELEASE("v0.1-mvit-weights/mobilevit_s-38a5a959.pth"), "38a5a959",
         bicubic(256, 0.9, kPlain), 0, kCvnets),
    timm("mobilevitv2_050", TIMM_RELEASE("v0.1-mvit-weights/mobilevitv2_050-49951ee2.pth"), "49951ee2",
         bicubic(256, 0.888, kPlain), 0, kCvnets),
    timm("mobilevitv2_075", TIMM_RELEASE("v0.1-mvit-weights/mobilevitv2_075-b5556ef6.pth"), "b5556ef6",
         bicubic(256, 0.888, kPlain), 0, kCvnets),
    timm("mobilevitv2_100", TIMM_RELEASE("v0.1-mvit-weights/mobilevitv2_100-e464ef3b.pth"), "e464ef3b",
         bicubic(256, 0.888, kPlain), 0, kCvnets),
    timm("mobilevitv2_125", TIMM_RELEASE("v0.1-mvit-weights/mobilevitv2_125-0ae35027.pth"), "0ae35027",
         bicubic(256, 0.888, kPlain), 0, kCvnets),
    timm("mobilevitv2_150", TIMM_RELEASE("v0.1-mvit-weights/mobilevitv2_150-737c5019.pth"), "737c5019",
         bicubic(256, 0.888, kPlain), 0, kCvnets),
    timm("mobilevitv2_175", TIMM_RELEASE("v0.1-mvit-weights/mobilevitv2_175-16462ee2.pth"), "16462ee2",
         bicubic(256, 0.888, kPlain), 0, kCvnets),
    timm("mobilevitv2_200", TIMM_RELEASE("v0.1-mvit-weights/mobilevitv2_200-b3422f67.pth"), "b3422f67",
         bicubic(256, 0.888, kPlain), 0, kCvnets),
    // ConvNeXts
    timm("convnext_atto", TIMM_RELEASE("v0.1-rsb-weights/convnext_atto_d2-01bb0f51.pth"), "01bb0f51",
         bicubic(224, 0.875)),
    timm("convnext_femto", TIMM_RELEASE("v0.1-rsb-weights/convnext_femto_d1-d71d5b4c.pth"), "d71d5b4c",
         bicubic(224, 0.875)),
    timm("convnext_pico", TIMM_RELEASE("v0.1-rsb-weights/convnext_pico_d1-10ad7f0d.pth"), "10ad7f0d",
         bicubic(224, 0.875)),
    timm("convnext_nano", TIMM_RELEASE("v0.1-rsb-weights/convnext_nano_d1h-7eb4bdea.pth"), "7eb4bdea",
         bicubic(224, 0.95)),
    timm("convnext_tiny", TIMM_HUB("convnext_tiny.fb_in1k"),
         "08b9dc9c3a3a29421de7996761e176501896d1ae7fc3085cf56a643772329276", bicubic(224, 0.875)),
    torchvision("convnext_tiny@torchvision", TORCHVISION("convnext_tiny-983f1562.pth"), "983f1562",
                bilinear(224, shortSide(224, 236))),
    torchvision("convnext_small", TORCHVISION("convnext_small-0c510722.pth"), "0c510722",
                bilinear(224, shortSide(224, 230))),
    torchvision("convnext_base", TORCHVISION("convnext_base-6075fbad.pth"), "6075fbad",
                bilinear(224, shortSide(224, 232))),
    torchvision("convnext_large", TORCHVISION("convnext_large-ea097f82.pth"), "ea097f82",
                bilinear(224, shortSide(224, 232))),
    // Vision transformers
    timm("deit_tiny_patch16_224", TIMM_HUB("deit_tiny_patch16_224.fb_in1k"),
         "21d4764d94f6c3ffdb6da3581115a0a1ee2d505537d96883b540e54766407c9e", bicubic(224, 0.9)),
    timm("deit_small_patch16_224", TIMM_HUB("deit_small_patch16_224.fb_in1k"),
         "1e747b4a8d0df2cfbd3c450e8c97685d867448ab0c2ddbfb34b6885f5cb23e5b", bicubic(224, 0.9)),
    timm("deit_base_patch16_224", TIMM_HUB("deit_base_patch16_224.fb_in1k"),
         "cd2da27b74ed7f68b599f16c77af3e1e80f01c75f9ad96029d22ce747a247e8e", bicubic(224, 0.9)),
    timm("vit_base_patch16_224", TIMM_HUB("vit_base_patch16_224.augreg2_in21k_ft_in1k"),
         "32aa17d6e17b43500f531d5f6dc9bc93e56ed8841b8a75682e1bb295d722405b", bicubic(224, 0.9, kHalf)),
    torchvision("vit_base_patch16_224@torchvision", TORCHVISION("vit_b_16-c867db91.pth"), "c867db91",
                bilinear(224, 0.875)),
    torchvision("vit_base_patch32_224", TORCHVISION("vit_b_32-d86f8d99.pth"), "d86f8d99", bilinear(224, 0.875)),
    torchvision("vit_large_patch16_224", TORCHVISION("vit_l_16-852ce7e3.pth"), "852ce7e3",
                bilinear(224, shortSide(224, 242))),
    torchvision("vit_large_patch32_224", TORCHVISION("vit_l_32-c7638314.pth"), "c7638314", bilinear(224, 0.875)),
    timm("swin_tiny_patch4_window7_224", TIMM_HUB("swin_tiny_patch4_window7_224.ms_in1k"),
         "fb01861f793143135fa0d6cd97b1631e4b33eaa3ee162bbea9e62de1c76ebac1", bicubic(224, 0.9), 0, kMit),
    torchvision("swin_tiny_patch4_window7_224@torchvision", TORCHVISION("swin_t-704ceda3.pth"), "704ceda3",
                bicubic(224, shortSide(224, 232))),
    torchvision("swin_small_patch4_window7_224", TORCHVISION("swin_s-5e29d889.pth"), "5e29d889",
                bicubic(224, shortSide(224, 246))),
    torchvision("swin_base_patch4_window7_224", TORCHVISION("swin_b-68c6b09e.pth"), "68c6b09e",
                bicubic(224, shortSide(224, 238))),
    // ResNets
    timm("resnet18", TIMM_HUB("resnet18.a1_in1k"), "80c49dee3da4822c009c5a7fe591e9223c5a2cfcf95a4067ca4dfb5a7b89c612",
         bicubic(224, 0.95), 46807446),
    torchvision("resnet18@torchvision", TORCHVISION("resnet18-f37072fd.pth"), "f37072fd", bilinear(224, 0.875)),
    timm("resnet34", TIMM_HUB("resnet34.a1_in1k"), "829a220f9529d2b1ffdc8719d3273463001e0daf411eaf1916865d9db62c0ed2",
         bicubic(224, 0.95)),
    torchvision("resnet34@torchvision", TORCHVISION("resnet34-b627a593.pth"), "b627a593", bilinear(224, 0.875)),
    timm("resnet50", TIMM_HUB("resnet50.a1_in1k"), "773525d5821de224f8f30c33377b7a795d7863e08522698200d3217d3f2a41bb",
         bicubic(224, 0.95), 102469840),
    torchvision("resnet50@torchvision", TORCHVISION("resnet50-11ad3fa6.pth"), "11ad3fa6",
                bilinear(224, shortSide(224, 232))),
    torchvision("resnet101", TORCHVISION("resnet101-cd907fc2.pth"), "cd907fc2", bilinear(224, shortSide(224, 232))),
    torchvision("resnet152", TORCHVISION("resnet152-f82ba261.pth"), "f82ba261", bilinear(224, shortSide(224, 232))),
};

// How many letters must be added, removed or changed.
size_t distance(std::string_view a, std::string_view b) {
    std::vector<size_t> row(b.size() + 1);
    std::iota(row.begin(), row.end(), size_t{0});
    for (size_t i = 0; i < a.size(); ++i) {
        size_t diagonal = std::exchange(row[0], i + 1);
        for (size_t j = 0; j < b.size(); ++j) {
            const size_t changed = diagonal + (a[i] == b[j] ? 0 : 1);
            diagonal = row[j + 1];
            row[j + 1] = std::min({changed, row[j] + 1, row[j + 1] + 1});
        }
    }
    return row.back();
}

}  // namespace

std::span<const PublishedWeights> publishedWeights() {
    return kPublished;
}

PublishedLabels publishedLabels() {
    // PyTorch's examples read this file; the address has the commit in it, so the file does not change.
    return {
        "https://raw.githubusercontent.com/pytorch/hub/a6fc887fbbbda0dd37c440bf8a145f1da6707d6b/imagenet_classes.txt",
        "1f386e0d1cb6e28b9c2dac651c3dea6801e98ad1b41a14ce6bb1a093d72069f5"};
}

const PublishedWeights* findPublishedWeights(std::string_view name) {
    const auto* found = std::ranges::find(kPublished, name, &PublishedWeights::name);
    return found == std::end(kPublished) ? nullptr : found;
}

std::string nearestPublishedNames(std::string_view name) {
    constexpr ptrdiff_t kShown = 3;
    std::vector<std::pair<size_t, std::string_view>> byDistance;
    for (const PublishedWeights& weights : kPublished)
        byDistance.emplace_back(distance(name, weights.name), weights.name);
    std::ranges::partial_sort(byDistance, byDistance.begin() + kShown);
    std::string names;
    for (ptrdiff_t i = 0; i < kShown; ++i) {
        names += fmt::format("{}{}", i > 0 ? ", " : "", byDistance[static_cast<size_t>(i)].second);
    }
    return names;
}

std::string configOf(const PublishedWeights& weights) {
    const PublishedPreprocessing& pictures = weights.preprocessing;
    const nlohmann::ordered_json config = {{"architecture", weights.architecture},
                                           {"num_classes", 1000},
                                           {"pretrained_cfg",
                                            {{"input_size", {3, pictures.side, pictures.side}},
                                             {"crop_pct", pictures.cropFraction},
                                             {"interpolation", pictures.interpolation},
                                             {"mean", pictures.mean},
                                             {"std", pictures.deviation},
                                             {"license", weights.licence},
                                             {"url", weights.url}}}};
    return config.dump(2) + "\n";
}

}  // namespace dunlin::cli
