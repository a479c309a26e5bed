// What `bench kernels` and `bench shader` measured: what is wrong, and the best variant of each case.

function isWrong(row) { return row.correct === false || row.deterministic === false || text(row.error) !== ""; }

function verdictOf(row) {
  if (text(row.error)) return row.error;
  const parts = [];
  if (row.correct === false)
    parts.push(`wrong: relative error ${
        orNone(row.maxRelativeError, (its) => its.toPrecision(2)).replace(NOT_MEASURED, "not finite")}${
        num(row.tolerance) === null ? "" : `, tolerance ${row.tolerance}`}`);
  if (row.deterministic === false) parts.push("not the same bits each time");
  if (parts.length > 0) return parts.join("; ");
  return row.correct === true ? "correct" : "not checked";
}

// What a variant is among those of its case.
function ranksOf(row) {
  const ranks = [row.isDefault === true ? "default" : "", row.isBest === true ? "best" : ""].filter(Boolean).join(", ");
  return ranks === "" ? null : html("b", {class: "rank"}, ` ${ranks}`);
}

function variantName(row) { return (text(row.variant) || "unnamed") + (row.isUser === true ? " (yours)" : ""); }

function kernelColumns(report) {
  return [
    {title: "result", value: (row) => text(row.id)},
    {title: "median", number: true, value: (row) => timeUs(row.medianUs)},
    {title: "least", number: true, value: (row) => timeUs(row.minUs)},
    {title: "95th percentile", number: true, value: (row) => timeUs(row.p95Us)},
    {title: "arithmetic", number: true, value: (row) => rate(row.gflops)},
    {title: "bandwidth", number: true, value: (row) => bandwidth(row.gbps)},
    {title: "of the roofline", number: true, value: (row) => share(row.rooflineShare)},
    {title: "clock", value: (row) => text(row.clock)},
    {title: "verdict", value: verdictOf, className: (row) => (isWrong(row) ? "bad" : null)},
  ];
}

// {name, precision, best, byDefault, rows} of each case and precision; best and byDefault may be absent.
function casesOf(rows) {
  const groups = grouped(rows, (row) => `${text(row.case)}\n${text(row.precision)}`);
  return [...groups.values()].map((group) => {
    const usable = group.filter((row) => !isWrong(row) && positive(row.medianUs) !== null);
    const fastest = [...usable].sort((a, b) => a.medianUs - b.medianUs)[0];
    return {
      name: text(group[0].case),
      precision: text(group[0].precision),
      rows: group,
      best: usable.find((row) => row.isBest === true) ?? fastest,
      byDefault: group.find((row) => row.isDefault === true)
    };
  });
}

// How much longer the default takes than the best.
function gainOf(its) {
  const best = its.best ? positive(its.best.medianUs) : null;
  const byDefault = its.byDefault ? positive(its.byDefault.medianUs) : null;
  return best !== null && byDefault !== null ? byDefault / best : null;
}

// Wrong ones first, then those whose best variant gains most on the default.
function sortedCases(entry) {
  const weight = (its) => (its.rows.some(isWrong) ? Infinity : gainOf(its) ?? 0);
  return casesOf(entry.rows).sort((a, b) => (weight(b) === weight(a) ? 0 : weight(b) - weight(a)));
}

function casesTable(cases) {
  const columns = [
    {title: "case", value: (its) => its.name || "unnamed"},
    {title: "precision", value: (its) => its.precision},
    {title: "best variant", value: (its) => (its.best ? variantName(its.best) : "none is right")},
    {title: "median", number: true, value: (its) => timeUs(its.best && its.best.medianUs)},
    {title: "of the roofline", number: true, value: (its) => share(its.best && its.best.rooflineShare)},
    {title: "default variant", value: (its) => (its.byDefault ? variantName(its.byDefault) : "")},
    {
      title: "default takes",
      number: true,
      value: (its) => {
        const gain = gainOf(its);
        return gain === null ? "" : gain === 1 ? "the same" : `${gain.toFixed(2)}\u00d7`;
      }
    },
    {title: "variants", number: true, value: (its) => String(its.rows.length)},
  ];
  return searchableTable(
      "Best variant of each case, wrong ones and those that gain most first", columns, cases,
      (its) => (its.rows.some(isWrong) ? "is-bad" : null));
}

// The variants of one case beside each other: what the author of a shader asks for.
function variantBars(its) {
  const rows = [...its.rows].sort((a, b) => (positive(a.medianUs) ?? Infinity) - (positive(b.medianUs) ?? Infinity));
  const valuesOf = (row) => {
    const {low, high} = object(row.samplesUs);
    return {
      bar: positive(row.medianUs),
      behind: null,
      low: positive(low),
      high: positive(high),
      limit: positive(row.limitUs)
    };
  };
  const most = mostOf(rows.map(valuesOf));
  return html("ul", {class: "rows"}, rows.map((row) => {
    const values = valuesOf(row);
    const verdict = isWrong(row) ? html("span", {class: "bad"}, ` ${verdictOf(row)}`) : null;
    return html(
        "li", {class: "row-grid"}, html("div", {class: row.isUser === true ? "good" : null}, variantName(row), ranksOf(row)),
        html(
            "div", {class: "row-value"}, html("b", {}, timeUs(row.medianUs)),
            positive(row.rooflineShare) === null ? "" : ` \u00b7 ${share(row.rooflineShare)} of the roofline`, verdict),
        values.bar === null ? null : barStrip(values, most, row.isUser === true ? colour(2) : colour(0)));
  }));
}

function caseParts(its) { return [variantBars(its), statisticsTable(its.rows)].filter((part) => part !== null); }

function chosenCase(cases) {
  const select = html(
      "select", {},
      cases.map((its, index) => html("option", {value: index}, `${its.name || "unnamed"}, ${its.precision}`)));
  const place = html("div");
  const show = () => place.replaceChildren(...caseParts(cases[Number(select.value)]));
  select.addEventListener("change", show);
  show();
  return html("div", {}, html("div", {class: "controls"}, html("label", {}, "All variants of", select)), place);
}

function statisticsTable(rows) {
  const told = rows.filter((row) => Object.keys(object(row.statistics)).length > 0);
  if (told.length === 0) return null;
  const names = [...new Set(told.flatMap((row) => Object.keys(row.statistics)))];
  const columns = [
    {title: "variant", value: variantName},
    ...names.map((name) => ({
                   title: name,
                   number: true,
                   value: (row) => {
                     const value = row.statistics[name];
                     return typeof value === "boolean" || typeof value === "string" ? String(value) :
                                                                                      orNone(value, digits);
                   }
                 }))
  ];
  return table("What the driver says of each shader", columns, told);
}

function wrongAlert(report) {
  const wrong = report.documents.filter((entry) => entry.kind !== "model")
                    .flatMap((entry) => entry.rows.filter(isWrong).map((row) => [row, entry]));
  if (wrong.length === 0) return null;
  return html(
      "section", {class: "alert", "aria-label": "Wrong results"},
      html("p", {class: "bad"}, `${count(wrong.length, "kernel")} failed, wrong or not repeatable`),
      html(
          "ul", {id: "wrong"},
          wrong.slice(0, 50).map(
              ([row, entry]) => html(
                  "li", {}, html("span", {class: "id"}, text(row.id)), ` \u2014 ${verdictOf(row)}`,
                  report.documents.length > 1 ? ` (${entry.label})` : ""))),
      wrong.length > 50 ? html("p", {}, `and ${count(wrong.length - 50, "other")}`) : null);
}

// How the user's shader does beside the fastest built-in variant.
function yoursAmong(rows) {
  const timed = rows.filter((row) => !isWrong(row) && positive(row.medianUs) !== null);
  const fastest = (mine) =>
      Math.min(...timed.filter((row) => (row.isUser === true) === mine).map((row) => row.medianUs));
  const ratio = fastest(true) / fastest(false);
  return Number.isFinite(ratio) && ratio > 0 ?
      `; yours takes ${ratio.toFixed(2)} times as long as the fastest variant` :
      "";
}

function kernelsSections(report) {
  return report.documents.filter((entry) => entry.kind !== "model").map((entry, index) => {
    const rows = entry.rows;
    const several = report.documents.filter((other) => other.kind === entry.kind).length > 1;
    const shader = entry.kind === "shader";
    const title = (shader ? "Your shader" : "Kernels") + (several ? `: ${entry.label}` : "");
    if (rows.length === 0) {
      return section(`kernels-${index}`, title, html("p", {class: "quiet"}, "This file holds no results."));
    }
    const wrong = rows.filter(isWrong).length;
    const cases = sortedCases(entry);
    const gains = cases.map(gainOf).filter((gain) => gain !== null && gain > 1.05).length;
    const parts = [html(
        "p", {}, `${count(rows.length, "measurement")} of ${count(cases.length, "case")}; `,
        wrong > 0 ? html("span", {class: "bad"}, `${wrong} failed, wrong or not repeatable`) :
                    "all correct and repeatable",
        shader ? `${yoursAmong(rows)}.` :
            gains > 0 ? `; tuning takes more than 5 % off ${count(gains, "case")}.` :
                        ".")];
    if (shader || cases.length <= 4) {
      for (const its of cases) {
        parts.push(html("h3", {}, `${its.name || "unnamed"}, ${its.precision}`), ...caseParts(its));
      }
    } else {
      parts.push(casesTable(cases), chosenCase(cases));
    }
    const sorted = [...rows].sort((a, b) => Number(isWrong(b)) - Number(isWrong(a)));
    parts.push(folded(
        `All ${count(rows.length, "measurement")}`,
        () => searchableTable(
            "Measurements, wrong ones first", kernelColumns(report), sorted,
            (row) => (isWrong(row) ? "is-bad" : null))));
    return section(`kernels-${index}`, title, ...parts);
  });
}
