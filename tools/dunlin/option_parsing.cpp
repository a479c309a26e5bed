#include "tools/dunlin/option_parsing.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace dunlin::cli {

Failure wrongUse(std::string message) {
    return {ExitStatus::WrongUse, std::move(message)};
}

CLI::App& addCommand(CLI::App& app, const CommandHelp& help) {
    CLI::App& command = *app.add_subcommand(help.name, help.summary);
    command.footer(help.examples);
    return command;
}

CLI::Validator seconds(double most) {
    const auto check = [most](std::string& text) -> std::string {
        double value = 0;
        const bool isNumber = CLI::detail::lexical_cast(text, value);
        if (isNumber && value >= 0 && value <= most) return {};
        return fmt::format("{} is no number from 0 to {:g}", text, most);
    };
    return CLI::Validator(check, "");
}

CLI::Validator wholeNumber(uint32_t low, uint32_t high) {
    return CLI::Validator(
        [=](const std::string& text) {
            uint32_t value = 0;
            const auto [end, bad] = std::from_chars(text.data(), text.data() + text.size(), value);
            const bool good = bad == std::errc() && end == text.data() + text.size() && value >= low && value <= high;
            return good ? std::string() : fmt::format("'{}' is no whole number from {} to {}", text, low, high);
        },
        "");
}

Check checkDevice(const std::string& device) {
    constexpr std::string_view kNumbered = "vulkan:";
    if (device.empty() || device == "cpu" || device == "vulkan") return {};
    const std::string_view number = std::string_view(device).substr(std::min(device.size(), kNumbered.size()));
    const bool digits = !number.empty() && number.find_first_not_of("0123456789") == std::string_view::npos;
    const bool leadingZero = number.size() > 1 && number[0] == '0';
    if (device.starts_with(kNumbered) && digits && !leadingZero) return {};
    return wrongUse(fmt::format("--device: '{}' is none of cpu, vulkan and vulkan:N", device));
}

Check checkCommandName(const CLI::App& app, std::span<const std::string> words, const char* program) {
    if (words.empty() || words[0].starts_with('-')) return {};
    const auto commands = app.get_subcommands([](const CLI::App*) { return true; });
    const bool known = std::any_of(commands.begin(), commands.end(),
                                   [&](const CLI::App* command) { return command->get_name() == words[0]; });
    if (known) return {};
    return wrongUse(fmt::format("no command is called '{}'; `{} --help` lists them", words[0], program));
}

Check checkWords(const CLI::App& app, std::span<const std::string> words) {
    if (words.empty() || words[0].starts_with('-')) return {};
    const CLI::App& command = *app.get_subcommand(words[0]);
    const auto optionOf = [&](const std::string& word) -> const CLI::Option* {
        if (!word.starts_with('-')) return nullptr;
        return command.get_option_no_throw(word.substr(0, word.find('=')));
    };
    for (size_t i = 1; i < words.size(); ++i) {
        const std::string& word = words[i];
        if (word.empty()) return wrongUse(fmt::format("an empty word was given to {}", words[0]));
        if (word == "--") return {};
        const CLI::Option* option = optionOf(word);
        if (option == nullptr && word.size() > 1 && word[0] == '-') {
            return wrongUse(fmt::format("'{0}' is no option of {1}; a file of that name is ./{0}", word, words[0]));
        }
        if (option == nullptr || option->get_items_expected_max() == 0) continue;
        const size_t equals = word.find('=');
        const bool inWord = equals != std::string::npos;
        if (!inWord) ++i;
        const bool missing =
            inWord ? equals + 1 == word.size() : i == words.size() || words[i].empty() || optionOf(words[i]) != nullptr;
        if (missing) return wrongUse(word.substr(0, equals) + " needs a value");
    }
    return {};
}

Outcome<InputSize> parseSize(const std::string& text) {
    InputSize size;
    const char* const end = text.data() + text.size();
    const auto [afterHeight, badHeight] = std::from_chars(text.data(), end, size.height);
    bool good = badHeight == std::errc() && afterHeight != end && *afterHeight == 'x';
    if (good) {
        const auto [afterWidth, badWidth] = std::from_chars(afterHeight + 1, end, size.width);
        good = badWidth == std::errc() && afterWidth == end;
    }
    if (good && size.height > 0 && size.width > 0) return size;
    return wrongUse(fmt::format("--size: '{}' is not HxW, height and width in pixels", text));
}

}  // namespace dunlin::cli
