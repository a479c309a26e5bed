// dunlin bench report: one self-contained page of any number of documents, or a table for a README.
#include <fmt/format.h>

#include <filesystem>
#include <map>

#include "tools/bench/commands.h"
#include "tools/bench/comparison.h"
#include "tools/bench/fields.h"
#include "tools/bench/report_template.h"
#include "tools/bench/results_table.h"
#include "tools/dunlin/files.h"
#include "tools/dunlin/output.h"

namespace dunlin::bench {
namespace {

const double kThreshold = CompareOptions().threshold;

struct NamedJson {
    std::string name;  // as the page shows it
    Json document;
};

// The names of the files, with their folders where two would be the same, and numbered where they are one file.
std::vector<std::string> shortNames(const std::vector<std::string>& files) {
    std::map<std::string, int> uses, given, number;
    const auto nameOf = [](const std::string& file) { return std::filesystem::path(file).filename().string(); };
    for (const std::string& file : files) {
        if (++given[file] == 1) ++uses[nameOf(file)];
    }
    std::vector<std::string> names;
    for (const std::string& file : files) {
        names.push_back(uses[nameOf(file)] > 1 ? file : nameOf(file));
        if (given[file] > 1) names.back() += fmt::format(" #{}", ++number[file]);
    }
    return names;
}

Outcome<std::vector<NamedJson>> readAll(const std::vector<std::string>& files) {
    const std::vector<std::string> names = shortNames(files);
    std::vector<NamedJson> documents;
    for (size_t i = 0; i < files.size(); ++i) {
        DUNLIN_CLI_ASSIGN(Json document, readDocument(files[i]));
        documents.push_back({names[i], std::move(document)});
    }
    return documents;
}

// ---- what the page gets ----

// The page needs of samples only what it shows: their number and the interval of their median.
void condense(Json& owner, const char* field) {
    const std::vector<double> samples = samplesOf(owner, field);
    if (!owner.contains(field)) return;
    if (samples.empty()) {
        owner[field] = nullptr;
        return;
    }
    const Interval interval = medianInterval(samples);
    owner[field] = {{"count", samples.size()}, {"low", interval.low}, {"high", interval.high}};
}

Json condensed(Json document) {
    for (Json& row : document["results"]) {
        condense(row, "samplesUs");
        const auto samples = row.find("samples");
        if (samples == row.end() || !samples->is_object()) continue;
        condense(*samples, "wallMs");
        condense(*samples, "gpuMs");
    }
    return document;
}

// The first document of a kind is what the others of that kind are compared with.
Json comparisonsOf(const std::vector<NamedJson>& documents) {
    std::map<std::string, size_t> first;
    Json comparisons = Json::array();
    for (size_t i = 0; i < documents.size(); ++i) {
        const auto [baseline, isFirst] = first.emplace(textOf(documents[i].document, "kind"), i);
        if (isFirst) continue;
        const NamedJson &before = documents[baseline->second], &after = documents[i];
        Json entry = {{"before", baseline->second}, {"after", i}};
        const auto comparison =
            compareDocuments({before.name, &before.document}, {after.name, &after.document}, kThreshold);
        if (comparison.ok()) {
            entry["result"] = jsonOf(*comparison, kThreshold);
        } else {
            entry["refusal"] = comparison.failure().message;
        }
        comparisons.push_back(std::move(entry));
    }
    return comparisons;
}

Json pageData(const std::vector<NamedJson>& documents) {
    Json data = {{"threshold", kThreshold}, {"documents", Json::array()}, {"comparisons", comparisonsOf(documents)}};
    for (const NamedJson& named : documents) {
        data["documents"].push_back({{"file", named.name}, {"document", condensed(named.document)}});
    }
    return data;
}

// JSON that can stand inside a <script>: ASCII only, and without the characters that could end it or begin a comment.
std::string embeddable(const Json& data) {
    std::string text;
    for (char c : data.dump(-1, ' ', true, Json::error_handler_t::replace)) {
        switch (c) {
            case '<':
                text += "\\u003c";
                break;
            case '>':
                text += "\\u003e";
                break;
            case '&':
                text += "\\u0026";
                break;
            default:
                text += c;
        }
    }
    return text;
}

// ---- the page ----

std::string contentOf(const EmbeddedText& text) {
    std::string content;
    for (std::string_view piece : text.pieces) content += piece;
    return content;
}

// page.html with each {{name}} replaced by the file of that name, and {{data}} by the data; what was put in is not
// looked through again.
std::string pageWith(const Json& data) {
    std::map<std::string, std::string> parts{{"data", embeddable(data)}};
    for (const EmbeddedText& text : reportTemplate()) parts[std::string(text.name)] = contentOf(text);
    const std::string page = parts["page.html"];
    std::string result;
    size_t done = 0;
    for (size_t open = page.find("{{"); open != std::string::npos; open = page.find("{{", done)) {
        const size_t close = page.find("}}", open);
        result += page.substr(done, open - done);
        result += parts[page.substr(open + 2, close - open - 2)];
        done = close + 2;
    }
    return result + page.substr(done);
}

cli::Check writePage(const std::string& page, const ReportOptions& options) {
    for (const std::string& file : options.files) {
        if (cli::sameFile(file, options.output)) {
            return cli::Failure{ExitStatus::WrongUse, fmt::format("-o {} would replace a result", options.output)};
        }
    }
    cli::OutputFiles files;
    DUNLIN_CLI_TRY(files.write(options.output, {}, std::as_bytes(std::span(page))));
    return files.commit();
}

Outcome<ExitStatus> printTable(const std::vector<NamedJson>& documents) {
    std::vector<Json> all;
    for (const NamedJson& named : documents) all.push_back(named.document);
    const std::string table = resultsTable(all);
    if (table.empty()) {
        return cli::Failure{
            ExitStatus::WrongUse,
            fmt::format("no network was measured in {}",
                        all.size() == 1 ? documents[0].name : fmt::format("these {} files", all.size()))};
    }
    cli::writeOut(table);
    return ExitStatus::Done;
}

}  // namespace

Outcome<ExitStatus> report(const ReportOptions& options) {
    DUNLIN_CLI_ASSIGN(const std::vector<NamedJson> documents, readAll(options.files));
    if (options.markdown) return printTable(documents);
    DUNLIN_CLI_TRY(writePage(pageWith(pageData(documents)), options));
    return ExitStatus::Done;
}

}  // namespace dunlin::bench
