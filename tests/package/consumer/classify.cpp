#include <cstdio>
#include <dunlin/dunlin.hpp>

int main(int argc, char** argv) {
    const auto fail = [](const dunlin::Error& error) { return std::fprintf(stderr, "%s\n", error.message.c_str()), 1; };

    auto device = dunlin::Device::create();  // a real GPU where there is one, else the CPU
    if (!device) return fail(device.error());
    auto model = argc > 1 ? dunlin::Model::open(argv[1])  // a weights file or a folder, as published
                          : dunlin::Model::open("mobilenetv3_small_100", {.weights = "synthetic"});
    if (!model) return fail(model.error());
    auto session = dunlin::Session::create(*device, *model, {.topK = 3});
    if (!session) return fail(session.error());

    const std::vector<uint8_t> rgba(640 * 480 * 4, 128);  // your picture here
    auto outputs = session->run({rgba.data(), 640, 480, 0});
    if (!outputs) return fail(outputs.error());
    for (const auto& [index, probability] : outputs->top()) std::printf("%4u %5.1f %%\n", index, 100 * probability);
}
