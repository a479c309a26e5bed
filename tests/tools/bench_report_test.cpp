// `dunlin bench report`: the page in headless Chromium, and the README's table.
#include <chrono>
#include <filesystem>

#include "tests/tools/command_fixture.h"
#include "tools/bench/document.h"
#include "tools/bench/results_table.h"
#include "tools/dunlin/picture.h"

namespace dunlin::bench {
namespace {

namespace fs = std::filesystem;
using test::CommandResult;
using test::contentOf;
using test::quoted;
using test::Words;
using test::operator+;

const std::string kData = DUNLIN_SOURCE_DIR "/tests/tools/data/bench/";
const std::string kBefore = kData + "before.json", kAfter = kData + "after.json", kKernels = kData + "kernels.json";

std::string findBrowser() {
    for (const char* name : {"chromium-headless-shell", "chrome-headless-shell", "chromium", "google-chrome"}) {
        if (std::system(("command -v " + std::string(name) + " >/dev/null").c_str()) == 0) return name;
    }
    return "";
}

std::string percentDecoded(const std::string& text) {
    std::string result;
    for (size_t i = 0; i < text.size(); ++i) {
        const bool escaped = text[i] == '%' && i + 2 < text.size();
        result += escaped ? static_cast<char>(std::stoi(text.substr(i + 1, 2), nullptr, 16)) : text[i];
        if (escaped) i += 2;
    }
    return result;
}

class Report : public test::CommandFixture {
  protected:
    // The page of these files; must succeed.
    std::string pageOf(const Words& files) const {
        const std::string page = folder_ / "report.html";
        const CommandResult result = dunlin(Words{"bench", "report"} + files + Words{"-o", page});
        EXPECT_EQ(result.exitStatus, 0) << result.err;
        EXPECT_EQ(result.err, "");
        return page;
    }
    std::string saved(const char* name, const Json& document) const { return folder_.file(name, document.dump()); }
};

class ReportPage : public Report {
  protected:
    void SetUp() override {
        if (browser_.empty()) GTEST_SKIP() << "no headless Chromium (chromium-headless-shell) is installed";
    }

    // What probe.js tells of the page; complains of whatever no page may do.
    test::Json probed(const std::string& page, int width, const std::string& fragment = "",
                      const std::string& more = "") const {
        std::string content = contentOf(page);
        const size_t end = content.rfind("</body>");
        content.replace(end, 0, "<script>" + contentOf(kData + "probe.js") + "</script>");
        const std::string file = folder_.file("probed.html", content);
        EXPECT_EQ(browse("--virtual-time-budget=10000 --dump-dom " + more, width, 900, file + fragment, "dom"), 0);
        const std::string dom = contentOf(folder_ / "dom"), log = contentOf(folder_ / "log");
        const std::string mark = "<pre id=\"probe\">";
        const size_t start = dom.find(mark);
        if (start == std::string::npos) {
            ADD_FAILURE() << "the page did not come to its end: " << log;
            return {};
        }
        const size_t from = start + mark.size();
        test::Json told = test::Json::parse(percentDecoded(dom.substr(from, dom.find('<', from) - from)));
        EXPECT_EQ(log.find("CONSOLE"), std::string::npos) << log;
        EXPECT_TRUE(told["drawn"]);
        EXPECT_LE(told["overflow"], 0) << "the page scrolls sideways";
        EXPECT_EQ(told["width"], width);
        EXPECT_EQ(told["foreign"], 0);
        EXPECT_EQ(told["resources"], test::Json::array());
        EXPECT_EQ(told["strange"], test::Json::array());
        EXPECT_EQ(told["strangeValues"], test::Json::array());
        EXPECT_EQ(told["unnamed"], 0) << "charts without a name for screen readers";
        EXPECT_EQ(told["tables"], told["captions"]);
        return told;
    }

    cli::Picture screenshot(const std::string& page, int width, const std::string& fragment) const {
        const std::string file = folder_ / "page.png";
        EXPECT_EQ(browse("--screenshot=" + quoted(file), width, 900, page + fragment, "dom"), 0);
        const std::string bytes = contentOf(file);
        auto picture = cli::decodePicture(std::as_bytes(std::span(bytes)));
        EXPECT_TRUE(picture.ok());
        return picture.ok() ? *std::move(picture) : cli::Picture();
    }

  private:
    int browse(const std::string& options, int width, int height, const std::string& page,
               const std::string& out) const {
        const std::string command = browser_ + " --headless --no-sandbox --disable-gpu --hide-scrollbars" +
                                    " --enable-logging=stderr --user-data-dir=" + quoted(folder_ / "browser") +
                                    " --window-size=" + std::to_string(width) + "," + std::to_string(height) + " " +
                                    options + " " + quoted("file://" + page);
        return std::system((command + " >" + quoted(folder_ / out) + " 2>" + quoted(folder_ / "log")).c_str());
    }

    const std::string browser_ = findBrowser();
};

bool anyContains(const test::Json& texts, const std::string& part) {
    for (const test::Json& text : texts) {
        if (text.get<std::string>().find(part) != std::string::npos) return true;
    }
    return false;
}

TEST_F(ReportPage, ShowsNetworksLayersAndCeilings) {
    const test::Json page = probed(pageOf({kBefore}), 1200);
    EXPECT_EQ(page["sections"], (test::Json{"Networks by device", "Time per layer", "Roofline",
                                            "What the devices can do", "Starts, frames and memory"}));
    EXPECT_EQ(page["runs"], 7);
    EXPECT_EQ(page["bars"], 6) << "one run failed";
    EXPECT_EQ(page["segments"], 3 * 10 + 3 * 13) << "a part for each dispatch";
    EXPECT_EQ(page["dots"], 2 * 10) << "one run for each of two devices";
    EXPECT_EQ(page["bandwidths"], 2 * 8);
    EXPECT_TRUE(anyContains(page["tips"], "blocks.0.0.conv_dw") || anyContains(page["tips"], "conv_stem"));
    const std::string text = page["text"];
    for (const char* part : {"Example GPU One (RADV)", "Mesa 24.2.8", "2026-11-21 09:00:00 UTC", "000000000001",
                             "the network needs 1.2 GiB", "of the limit", "8.10 TFLOP/s"}) {
        EXPECT_NE(text.find(part), std::string::npos) << part;
    }
}

TEST_F(ReportPage, ComparesTheFirstFileWithTheOthers) {
    const test::Json page = probed(pageOf({kBefore, kAfter}), 1200);
    EXPECT_EQ(page["compared"], 7);
    EXPECT_EQ(page["ratios"], 6) << "one failed in both";
    const std::string text = page["text"];
    EXPECT_NE(text.find("2 regressions beyond 5 %"), std::string::npos);
    EXPECT_NE(text.find("after.json against before.json"), std::string::npos);
}

TEST_F(ReportPage, SaysWhyDocumentsAreNotCompared) {
    Json other = Json::parse(contentOf(kAfter));
    other["devices"][0]["driverVersion"] = "another";
    const test::Json page = probed(pageOf({kBefore, saved("other.json", other)}), 1200);
    EXPECT_EQ(page["compared"], 0);
    EXPECT_NE(page["text"].get<std::string>().find("before.json and other.json are not compared"), std::string::npos);
}

TEST_F(ReportPage, PutsWrongKernelsFirst) {
    const test::Json page = probed(pageOf({kKernels}), 1200);
    ASSERT_EQ(page["wrong"].size(), 3u);
    EXPECT_TRUE(anyContains(page["wrong"], "depthwise/7x7x960/k5s1/fp16/tile8x1"));
    EXPECT_TRUE(anyContains(page["wrong"], "relative error not finite"));
    EXPECT_TRUE(anyContains(page["wrong"], "not the same bits"));
    EXPECT_TRUE(anyContains(page["wrong"], "timed out after 2 seconds"));
    EXPECT_EQ(page["dots"], 11) << "every kernel that was timed";
}

TEST_F(ReportPage, ShowsHostileNamesAsText) {
    const std::string page = pageOf({kKernels});
    EXPECT_EQ(contentOf(page).find("<script>alert"), std::string::npos);
    const test::Json told = probed(page, 1200);
    EXPECT_NE(told["text"].get<std::string>().find("</script><script>alert(1)</script><img src=x"), std::string::npos);
}

TEST_F(ReportPage, FitsAPhone) {
    const test::Json page = probed(pageOf({kBefore, kAfter, kKernels}), 360);
    EXPECT_EQ(page["sideways"], test::Json::array()) << "rows are cards there";
}

TEST_F(ReportPage, ShowsStartsWithoutScrollingSideways) {
    const test::Json page = probed(pageOf({kBefore}), 1200);
    EXPECT_FALSE(anyContains(page["sideways"], "A cold start")) << page["sideways"];
}

TEST_F(ReportPage, NumbersAFileThatIsGivenTwice) {
    const std::string text = probed(pageOf({kBefore, kBefore}), 1200)["text"];
    EXPECT_NE(text.find("before.json #2 against before.json #1"), std::string::npos) << text.substr(0, 900);
}

TEST_F(ReportPage, TakesTheWallsTimeWhereTimestampsSlowTheDriverDown) {
    Json document = Json::parse(contentOf(kBefore));
    Json& row = document["results"][0];
    row.update({{"gpuMedianMs", 9}, {"wallMedianMs", 4}, {"limitMs", 1}, {"limitShare", 0.111}});
    const std::string text = probed(pageOf({saved("slow.json", document)}), 1200)["text"];
    EXPECT_NE(text.find("4.00 ms wall \u00b7 25 % of the limit \u00b7 9.00 ms GPU with timestamps"), std::string::npos);
    EXPECT_NE(resultsTable(std::vector<Json>{document}).find("| 4.00 (25 %) |"), std::string::npos);
}

TEST_F(ReportPage, ShowsNoShapeWhereThereIsNoPicture) {
    Json document = Json::parse(contentOf(kBefore));
    document["results"][0]["layers"][0]["shape"] = "0x0x0x0";
    const test::Json page = probed(pageOf({saved("vector.json", document)}), 1200);
    EXPECT_FALSE(anyContains(page["tips"], "0x0"));
    EXPECT_EQ(page["text"].get<std::string>().find("0x0x0x0"), std::string::npos);
}

TEST_F(ReportPage, IsLightAndDark) {
    const std::string page = pageOf({kBefore});
    EXPECT_EQ(probed(page, 800, "#light")["background"], "rgb(255, 255, 255)");
    EXPECT_EQ(probed(page, 800, "#dark")["background"], "rgb(20, 23, 27)");
    EXPECT_EQ(probed(page, 800, "", "--blink-settings=preferredColorScheme=0")["background"], "rgb(20, 23, 27)")
        << "as the system asks for it";
}

TEST_F(ReportPage, PaintsBars) {
    const cli::Picture light = screenshot(pageOf({kBefore}), 1200, "#light");
    ASSERT_EQ(light.width, 1200);
    size_t blue = 0, white = 0;
    for (size_t i = 0; i < light.pixels.size(); i += 4) {
        const uint8_t* pixel = &light.pixels[i];
        blue += pixel[0] == 0x00 && pixel[1] == 0x72 && pixel[2] == 0xb2;
        white += pixel[0] == 255 && pixel[1] == 255 && pixel[2] == 255;
    }
    EXPECT_GT(blue, 2000u) << "bars of the first device";
    EXPECT_GT(white, light.pixels.size() / 8) << "most of the page";
}

TEST_F(ReportPage, SaysHonestlyWhatIsMissing) {
    Json document = newDocument("model");
    document["devices"] = {{{"id", "vulkan:0"}}, {{"id", "cpu"}, {"name", nullptr}, {"threads", "many"}}};
    document["ceilings"] = {{"vulkan:0", {{"fp32Gflops", nullptr}, {"bandwidth", {{{"bytes", 0}, {"gbps", -1}}}}}},
                            {"cpu", nullptr}};
    document["results"] = {
        {{"id", "bare"}, {"device", "vulkan:0"}},
        {{"id", "empty"}, {"device", "vulkan:0"}, {"gpuMedianMs", nullptr}, {"samples", nullptr}, {"layers", nullptr}},
        {{"id", "odd"},
         {"device", "cpu"},
         {"model", 7},
         {"size", {1, "x"}},
         {"gpuMedianMs", "fast"},
         {"wallMedianMs", -3},
         {"limitShare", true},
         {"samples", {{"wallMs", {1, "x"}}, {"gpuMs", 3}}},
         {"layers", {nullptr, 3, {{"medianUs", "x"}, {"bytes", 0}}, {{"medianUs", 2.5}, {"bytes", 0}, {"flops", 0}}}}}};
    const test::Json page = probed(pageOf({saved("odd.json", document)}), 1200);
    EXPECT_EQ(page["runs"], 3);
    EXPECT_EQ(page["bars"], 0);
    EXPECT_NE(page["text"].get<std::string>().find("not measured"), std::string::npos);
}

// As ceilings come out where other programs take the processors.
TEST_F(ReportPage, DoesNotBelieveALimitThatIsFarSlowerThanTheRun) {
    Json document = Json::parse(contentOf(kBefore));
    document["results"][0]["limitMs"] = 1638;
    document["results"][0]["limitShare"] = 2681;
    const std::string text = probed(pageOf({saved("busy.json", document)}), 1200)["text"];
    EXPECT_NE(text.find("limit unreliable"), std::string::npos);
    EXPECT_EQ(text.find("268100 %"), std::string::npos);
}

TEST_F(ReportPage, ShowsDocumentsWithoutResults) {
    for (const char* kind : {"model", "kernels", "shader"}) {
        SCOPED_TRACE(kind);
        const test::Json page = probed(pageOf({saved("empty.json", newDocument(kind))}), 360);
        EXPECT_NE(page["text"].get<std::string>().find("No ceilings were measured"), std::string::npos);
    }
}

TEST_F(ReportPage, ShowsAShaderBesideTheBuiltInOnes) {
    Json document = Json::parse(contentOf(kKernels));
    document["kind"] = "shader";
    document["results"].erase(document["results"].begin() + 2, document["results"].end());
    document["results"][1]["isUser"] = true;
    document["results"][1]["variant"] = "mine.comp";
    document["results"][1]["statistics"] = {{"Registers", 64}, {"Spills", 0}};
    const test::Json page = probed(pageOf({saved("mine.json", document)}), 1200);
    EXPECT_EQ(page["ranks"], (test::Json{" best", " default"})) << "of the fastest and the slower one";
    const std::string text = page["text"];
    EXPECT_NE(text.find("mine.comp (yours)"), std::string::npos);
    EXPECT_NE(text.find("Registers"), std::string::npos);
    EXPECT_NE(text.find("yours takes 0.45 times as long"), std::string::npos) << text.substr(0, 900);
}

// Real ones have thousands of rows.
TEST_F(ReportPage, StaysQuickWithThousandsOfKernels) {
    Json document = Json::parse(contentOf(kKernels));
    const Json row = document["results"][0];
    for (int i = 0; i < 3000; ++i) {
        Json copy = row;
        copy["case"] = "depthwise/" + std::to_string(i / 6);
        copy["id"] = "depthwise/" + std::to_string(i);
        copy["variant"] = "v" + std::to_string(i % 6);
        document["results"].push_back(copy);
    }
    const auto start = std::chrono::steady_clock::now();
    const test::Json page = probed(pageOf({saved("many.json", document)}), 1200);
    EXPECT_EQ(page["dots"], 3011);
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(60));
}

TEST_F(Report, IsOneFileWithoutAddresses) {
    std::string page = contentOf(pageOf({kBefore, kAfter}));
    EXPECT_EQ(page.find("{{"), std::string::npos) << "a part of the template is missing";
    const std::string name = "http://www.w3.org/2000/svg";
    const size_t at = page.find(name);
    ASSERT_NE(at, std::string::npos);
    page.erase(at, name.size());  // the name of SVG, which nobody loads
    EXPECT_EQ(page.find("http"), page.find("http-equiv"));
    EXPECT_EQ(page.find("http", page.find("http-equiv") + 1), std::string::npos);
}

TEST_F(Report, RefusesInOneSentence) {
    const std::string page = folder_ / "r.html";
    expectRefused(3, {"bench", "report", folder_ / "absent.json", "-o", page}, "absent.json");
    expectRefused(3, {"bench", "report", kBefore, folder_.file("broken.json", "{}"), "-o", page}, "broken.json");
    EXPECT_FALSE(fs::exists(page));
    expectRefused(3, {"bench", "report", kBefore, "-o", folder_ / "no/such/folder/r.html"}, "r.html");
    const std::string copy = folder_.file("copy.json", contentOf(kBefore));
    expectRefused(2, {"bench", "report", copy, "-o", copy}, "copy.json");
    EXPECT_EQ(contentOf(copy), contentOf(kBefore));
}

TEST_F(Report, GivesTheTableOfTheReadme) {
    const CommandResult result = dunlin({"bench", "report", kAfter, kBefore, kKernels, "--markdown"});
    ASSERT_EQ(result.exitStatus, 0) << result.err;
    std::vector<std::string> lines;
    std::istringstream stream(result.out);
    for (std::string line; std::getline(stream, line);) lines.push_back(line);
    ASSERT_EQ(lines.size(), 2u + 2 + 2) << result.out;
    EXPECT_EQ(lines[0],
              "| ms (share of the limit) | Example CPU, 8 threads, fp32 | Example CPU, 8 threads, fp32 | "
              "Example GPU One (RADV), fp16 | Example GPU One (RADV), fp16 | Example GPU One (RADV), fp32 | "
              "Example GPU One (RADV), fp32 |");
    EXPECT_EQ(lines[2],
              "| mobilenetv3_small_100 224x224 | 0.251 (54 %) | 0.248 (55 %) | 0.0671 (52 %) | 0.0803 (43 %) | "
              "0.0852 (56 %) | 0.102 (47 %) |");
    EXPECT_TRUE(lines[4].starts_with("| measured | 2026-11-21 | 2026-11-22 |")) << lines[4];
    EXPECT_TRUE(lines[5].starts_with("| commit | 000000000001 | 000000000002 |")) << lines[5];
}

TEST_F(Report, GivesNoTableWithoutNetworks) {
    expectRefused(2, {"bench", "report", kKernels, "--markdown"}, "kernels.json");
}

TEST(ResultsTable, EscapesMarkup) {
    Json document = newDocument("model");
    document["devices"] = {{{"id", "cpu"}, {"name", "A|B <i>*C*\n"}}};
    document["results"] = {{{"id", "x"}, {"device", "cpu"}, {"model", "m"}, {"wallMedianMs", 12.345}}};
    const std::string table = resultsTable(std::vector<Json>{document});
    EXPECT_NE(table.find(" A\\|B \\<i\\>\\*C\\*  |"), std::string::npos) << table;
    EXPECT_NE(table.find("| m | 12.3 |"), std::string::npos) << table;
}

TEST(ResultsTable, TellsBatchesApart) {
    Json document = newDocument("model");
    document["devices"] = {{{"id", "cpu"}, {"name", "A"}}};
    for (int batch : {1, 8}) {
        document["results"].push_back(
            {{"id", batch}, {"device", "cpu"}, {"model", "m"}, {"batch", batch}, {"wallMedianMs", batch}});
    }
    const std::string table = resultsTable(std::vector<Json>{document});
    EXPECT_NE(table.find("| m, batch 1 | 1.00 |"), std::string::npos) << table;
    EXPECT_NE(table.find("| m, batch 8 | 8.00 |"), std::string::npos) << table;
}

TEST(ResultsTable, IsEmptyWithoutNetworks) {
    EXPECT_EQ(resultsTable(std::vector<Json>{newDocument("kernels"), newDocument("model")}), "");
}

}  // namespace
}  // namespace dunlin::bench
