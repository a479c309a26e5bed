// The first file of a kind against the others of it.

const WORDS = {
  slower: "slower",
  faster: "faster",
  same: "same",
  unclear: "unclear"
};

function wordOf(row, threshold) {
  if (text(row.spoiled)) return row.spoiled;
  const ratio = positive(row.ratio), low = positive(row.low), high = positive(row.high);
  if (ratio === null || low === null || high === null) return "not judged";
  if (row.significant === true) return ratio > 1 ? WORDS.slower : WORDS.faster;
  return high > 1 + threshold || low < 1 / (1 + threshold) ? WORDS.unclear : WORDS.same;
}

function withNote(word, row) { return text(row.note) ? `${word}; ${row.note}` : word; }

function timeName(time) { return {gpu: " GPU", wall: " wall"}[time] ?? ""; }

function comparisonRow(row, reach, threshold) {
  const ratio = positive(row.ratio), low = positive(row.low), high = positive(row.high);
  const word = wordOf(row, threshold);
  const mood = row.regressed === true ? "bad" : word === WORDS.faster ? "good" : "quiet";
  const unit = text(row.unit) === "us" ? timeUs : timeMs;
  const interval = low !== null && high !== null ? ` (${change(low)} to ${change(high)})` : "";
  const strip = {slower: colour(5), faster: colour(2)}[word] ?? colour(7);
  return html(
      "li", {class: "compared row-grid comparison-row"}, html("div", {class: "id"}, text(row.id)),
      html(
          "div", {class: "row-value"}, ratio === null ? "" : html("b", {}, change(ratio)), `${interval} `,
          html("span", {class: mood}, word),
          ratio === null ? "" : ` \u00b7 ${unit(row.before)} to ${unit(row.after)}${timeName(row.time)}`,
          text(row.note) ? ` \u00b7 ${row.note}` : ""),
      ratio === null ? null : ratioStrip({ratio, low, high}, reach, threshold, strip));
}

function comparisonParts(report, its) {
  const before = report.documents[its.before], after = report.documents[its.after];
  const title = html("h3", {}, `${after.label} against ${before.label}`);
  const result = object(its.result), rows = objects(result.rows);
  const weight = (row) => (text(row.spoiled) ? Infinity : positive(row.ratio) ?? -1);
  const sorted = [...rows].sort((a, b) => weight(b) - weight(a));
  const telling = sorted.filter((row) => row.regressed === true || row.significant === true);
  const unjudged = rows.filter((row) => row.judged === false).length;
  const shown = sorted.length <= 40 ? sorted : telling.slice(0, 40);
  const ratios = rows.flatMap((row) => [row.ratio, row.low, row.high]).map(positive).filter((ratio) => ratio !== null);
  const reach = Math.min(4, Math.max(1 + 2 * report.threshold, ...ratios.map((ratio) => Math.max(ratio, 1 / ratio))));
  const missing = [[list(result.onlyBefore), before], [list(result.onlyAfter), after]]
                      .filter(([ids]) => ids.length > 0)
                      .map(
                          ([ids, entry]) => folded(
                              `${count(ids.length, "result")} only in ${entry.label}`,
                              () => html("ul", {}, ids.map((id) => html("li", {class: "id"}, text(id))))));
  const columns = [
    {title: "result", value: (row) => text(row.id)},
    {title: "time", value: (row) => text(row.time)},
    {title: "before", number: true, value: (row) => (text(row.unit) === "us" ? timeUs : timeMs)(row.before)},
    {title: "after", number: true, value: (row) => (text(row.unit) === "us" ? timeUs : timeMs)(row.after)},
    {title: "change", number: true, value: (row) => orNone(row.ratio, change)},
    {title: "from", number: true, value: (row) => orNone(row.low, change)},
    {title: "to", number: true, value: (row) => orNone(row.high, change)},
    {title: "p", number: true, value: (row) => orNone(row.p, (p) => (p < 0.0001 ? "< 0.0001" : p.toFixed(4)))},
    {
      title: "verdict",
      value: (row) => withNote(wordOf(row, report.threshold), row),
      className: (row) => (row.regressed === true ? "bad" : null)
    },
  ];
  return [
    title,
    html(
        "p", {}, `${telling.length} of ${count(rows.length, "result")} changed beyond noise; `,
        html(
            "span", {class: num(result.regressions) ? "bad" : "good"},
            `${count(num(result.regressions) ?? 0, "regression")} ` +
                `beyond ${share(report.threshold)}`),
        unjudged > 0 ? `; ${unjudged} could not be judged.` : "."),
    shown.length < sorted.length ?
        html("p", {class: "quiet"}, `Shown: ${shown.length} that changed; the table has all.`) :
        null,
    ratios.length > 0 && shown.length > 0 ?
        html(
            "div", {class: "row-grid comparison-row", "aria-hidden": "true"},
            html(
                "div", {class: "scale"}, html("span", {}, `${share(1 - 1 / reach)} faster`), html("span", {}, "same"),
                html("span", {}, `${share(reach - 1)} slower`))) :
        null,
    html("ul", {class: "rows"}, shown.map((row) => comparisonRow(row, reach, report.threshold))),
    folded(
        "As a table",
        () => searchableTable("Comparison", columns, sorted, (row) => (row.regressed === true ? "is-bad" : null))),
    ...missing
  ];
}

// Files of different devices are what the networks' section is for; that they are not compared is told all the same.
function refusalsOf(report) {
  const refusals = report.comparisons.map((its) => text(its.refusal)).filter((refusal) => refusal !== "");
  if (refusals.length === 0) return null;
  return html(
      "div", {class: "note", role: "note"}, html("p", {}, `${count(refusals.length, "file")} not compared:`),
      html("ul", {class: "refusals"}, refusals.map((refusal) => html("li", {}, `${refusal}.`))));
}

function comparisonSection(report) {
  const comparisons = report.comparisons.filter((its) => text(its.refusal) === "");
  if (comparisons.length === 0) return null;
  return section(
      "comparison", "Before and after",
      html(
          "p", {class: "quiet"},
          `The ratio of medians with its 95 % interval. The band is the threshold of ${
              share(report.threshold)}; what is called ` +
              "slower or faster is so with p < 0.01 (Mann-Whitney, corrected for drift within the runs and for the " +
              "number of rows), and by more than the times of one run differ among themselves."),
      ...comparisons.flatMap((its) => comparisonParts(report, its)));
}
