// The page: what was measured on what, then a section for each question that the documents can answer.

function section(id, title, ...children) {
  return html("section", {id, "aria-labelledby": `${id}-title`}, html("h2", {id: `${id}-title`}, title), ...children);
}

// ---- documents ----

function deviceLabel(device) {
  const name = text(device.name) || text(device.id) || "unnamed device";
  return num(device.threads) === null ? name : `${name}, ${count(device.threads, "thread")}`;
}

function identity(device) {
  return [device.name, device.driver, device.driverVersion, device.threads].map((part) => part ?? "").join("\n");
}

// {documents: [{label, kind, document, rows, devices}], comparisons, threshold, ...}
function readData() {
  const data = JSON.parse(document.getElementById("data").textContent);
  const documents = objects(data.documents).map((entry) => {
    const its = object(entry.document);
    const devices = new Map();
    for (const device of objects(its.devices)) {
      devices.set(text(device.id), {...device, label: deviceLabel(device), key: identity(device)});
    }
    const rows = objects(its.results);
    for (const row of rows) {
      const id = text(row.device);
      if (!devices.has(id)) devices.set(id, {id, label: id || "unknown device", key: id});
    }
    return {label: text(entry.file), kind: text(its.kind), document: its, rows, devices};
  });
  const models = documents.filter((entry) => entry.kind === "model").flatMap((entry) => entry.rows);
  const varies = (value) => new Set(models.map(value)).size > 1;
  return {documents, comparisons: objects(data.comparisons), threshold: num(data.threshold) ?? 0.05,
    kernelColours: kernelColoursOf(documents),
    variesBy: {size: varies((row) => String(row.size)), batch: varies((row) => String(row.batch))}};
}

// By the time that each kernel takes, so that the ones that matter have colours of their own everywhere.
function kernelColoursOf(documents) {
  const times = new Map();
  const add = (kernel, us) => times.set(text(kernel), (times.get(text(kernel)) ?? 0) + (positive(us) ?? 0));
  for (const entry of documents) {
    for (const row of entry.rows) {
      if (entry.kind !== "model") add(row.kernel, 0);
      else objects(row.layers).forEach((layer) => add(layer.kernel, layer.medianUs));
    }
  }
  return colourMap([...times].sort((a, b) => b[1] - a[1]).map(([kernel]) => kernel));
}

// Devices of all documents, each once.
function allDevices(report) {
  const devices = new Map();
  for (const entry of report.documents) {
    for (const device of entry.devices.values()) {
      if (!devices.has(device.key)) devices.set(device.key, {...device, entries: []});
      devices.get(device.key).entries.push({entry, id: device.id});
    }
  }
  return [...devices.values()];
}

function dateText(value) {
  return text(value).replace("T", " ").replace("Z", " UTC") || "unknown date";
}

function drawSummary(report) {
  const kinds = {model: "networks", kernels: "kernels", shader: "a shader"};
  const columns = [
    {title: "file", value: (entry) => entry.label || "unnamed"},
    {title: "of", value: (entry) => kinds[entry.kind] ?? "an unknown kind"},
    {title: "date", value: (entry) => dateText(entry.document.date), className: () => "whole"},
    {title: "commit", value: (entry) => text(entry.document.commit) || "unknown"},
    {title: "dunlin", value: (entry) => text(entry.document.version) || "unknown"},
    {title: "host", value: (entry) => [text(object(entry.document.host).processor), text(object(entry.document.host).system)]
      .filter(Boolean).join(", ") || "unknown"},
    {title: "results", number: true, value: (entry) => entry.rows.length.toLocaleString("en-US") +
      (entry.document.complete === false ? " (incomplete)" : "")},
  ];
  const tiles = allDevices(report).map((device) => html("div", {class: "tile"}, html("h3", {}, device.label),
    html("p", {class: "quiet"}, [text(device.type), [text(device.driver), text(device.driverVersion)].filter(Boolean).join(" "),
      text(device.apiVersion) ? `Vulkan ${device.apiVersion}` : ""].filter(Boolean).join(" \u00b7 ") || "no details")));
  document.getElementById("summary").append(html("div", {class: "tiles"}, tiles),
    table("What was measured", columns, report.documents));
}

function noticesOf(report) {
  const notes = [];
  for (const entry of report.documents) {
    if (entry.document.complete === false) {
      notes.push(`${entry.label}: the run ended early; these are the results until then.`);
    }
    list(entry.document.notices).filter((notice) => typeof notice === "string").forEach((notice) =>
      notes.push(report.documents.length > 1 ? `${entry.label}: ${notice}` : notice));
  }
  if (notes.length === 0) return null;
  return html("div", {class: "note", role: "note"}, html("ul", {}, [...new Set(notes)].map((note) => html("li", {}, note))));
}

// ---- ceilings and roofline ----

function ceilingsFor(device) {
  for (const {entry, id} of device.entries) {
    const its = object(object(entry.document.ceilings)[id]);
    if (Object.keys(its).length > 0) return its;
  }
  return null;
}

function pointsOf(ceilings) {
  return objects(ceilings && ceilings.bandwidth).map((point) => ({x: positive(point.bytes), y: positive(point.gbps)}))
    .filter((point) => point.x !== null && point.y !== null).sort((a, b) => a.x - b.x);
}

function ceilingsSection(report) {
  const devices = allDevices(report).map((device) => ({device, ceilings: ceilingsFor(device)}));
  const measured = devices.filter((its) => its.ceilings !== null);
  if (measured.length === 0) {
    return section("ceilings", "What the devices can do", html("p", {class: "quiet"},
      "No ceilings were measured, so there is no limit to hold the results against."));
  }
  const columns = [
    {title: "device", value: (its) => its.device.label},
    {title: "fp32", number: true, value: (its) => rate(its.ceilings.fp32Gflops)},
    {title: "fp16", number: true, value: (its) => rate(its.ceilings.fp16Gflops)},
    {title: "int8", number: true, value: (its) => rate(its.ceilings.int8Gops, "OP/s")},
    {title: "matrix", number: true, value: (its) => rate(its.ceilings.matrixGflops)},
    {title: "bandwidth", number: true, value: (its) => {
      const points = pointsOf(its.ceilings);
      return points.length > 0 ? bandwidth(Math.max(...points.map((point) => point.y))) : NOT_MEASURED;
    }},
    {title: "memory", number: true, value: (its) => bandwidth(pointsOf(its.ceilings).at(-1)?.y)},
    {title: "dispatch", number: true, value: (its) => timeUs(its.ceilings.dispatchUs)},
    {title: "barrier", number: true, value: (its) => timeUs(its.ceilings.barrierUs)},
    {title: "submit", number: true, value: (its) => timeUs(its.ceilings.submitUs)},
  ];
  const colours = colourMap(measured.map((its) => its.device.label));
  const lines = measured.map((its) => ({name: its.device.label, colour: colours.get(its.device.label),
    points: pointsOf(its.ceilings)})).filter((line) => line.points.length > 0);
  return section("ceilings", "What the devices can do",
    table("Measured on the devices in the same run: arithmetic, the most bandwidth and that of the largest working set, "
      + "one more dispatch, one more that waits for the one before it, an empty submission", columns, measured),
    lines.length > 0 ? html("h3", {}, "Bandwidth by working set") : null,
    lines.length > 1 ? legend(lines.map((line) => [line.name, line.colour])) : null,
    lines.length > 0 ? bandwidthPlot("Bandwidth by working set: where it falls, a cache ends", lines) : null,
    lines.length > 0 ? folded("As a table", () => bandwidthTable(lines)) : null);
}

function bandwidthTable(lines) {
  const sizes = [...new Set(lines.flatMap((line) => line.points.map((point) => point.x)))].sort((a, b) => a - b);
  return table("Bandwidth by working set", [{title: "working set", value: bytes}, ...lines.map((line) => ({
    title: line.name, number: true,
    value: (size) => bandwidth(line.points.find((point) => point.x === size)?.y)}))], sizes);
}

// Each dispatch or kernel that the device ran, as {name, kernel, precision, us, bytes, flops, share, run}.
function dispatchesOn(report, device) {
  const dispatches = [];
  for (const {entry, id} of device.entries) {
    for (const row of entry.rows.filter((its) => text(its.device) === id)) {
      const rows = entry.kind === "model" ? objects(row.layers) : [row];
      for (const its of rows) {
        dispatches.push({name: text(its.name) || text(its.id), kernel: text(its.kernel), shape: text(its.shape),
          variant: text(its.variant), precision: text(row.precision), us: positive(its.medianUs), bytes: positive(its.bytes),
          flops: num(its.flops), share: positive(its.rooflineShare), entry,
          run: entry.kind === "model" ? text(row.id) : "all kernels"});
      }
    }
  }
  return dispatches;
}

function dotOf(report, its) {
  const gflops = its.flops / its.us / 1e3;
  return {intensity: its.flops / its.bytes, gflops, hollow: its.precision !== "fp16",
    colour: report.kernelColours.get(its.kernel) ?? colour(PALETTE - 1),
    lines: [its.name, [its.kernel, its.variant, its.precision].filter(Boolean).join(", "), its.shape,
      `${timeUs(its.us)}: ${rate(gflops)}, ${bandwidth(its.bytes / its.us / 1e3)}`,
      its.share === null ? "" : `${share(its.share)} of the roofline`].filter((line) => line !== "")};
}

// Without the roofs that none of these dispatches could reach.
function roofsOf(ceilings, dispatches) {
  const points = pointsOf(ceilings);
  const slowest = points.at(-1), fastest = [...points].sort((a, b) => b.y - a.y)[0];
  const bandwidths = [];
  if (slowest) bandwidths.push({gbps: slowest.y, label: `memory ${bandwidth(slowest.y)}`});
  if (fastest && fastest.y > 1.3 * slowest.y) bandwidths.push({gbps: fastest.y, label: `cache ${bandwidth(fastest.y)}`});
  const fields = [["fp32Gflops", "fp32"]];
  if (dispatches.some((its) => its.precision === "fp16")) fields.push(["fp16Gflops", "fp16"], ["matrixGflops", "matrix units"]);
  const rates = fields.map(([field, name]) => ({gflops: positive(ceilings && ceilings[field]), name}))
    .filter((its) => its.gflops !== null).map((its) => ({gflops: its.gflops, label: `${its.name} ${rate(its.gflops)}`}));
  return {bandwidths, rates};
}

function dispatchTable(dispatches) {
  const columns = [
    {title: "dispatch", value: (its) => its.name || "unnamed"},
    {title: "kernel", value: (its) => [its.kernel, its.variant].filter(Boolean).join(", ")},
    {title: "precision", value: (its) => its.precision},
    {title: "time", number: true, value: (its) => timeUs(its.us)},
    {title: "arithmetic", number: true, value: (its) => rate(its.us && its.flops !== null ? its.flops / its.us / 1e3 : null)},
    {title: "bandwidth", number: true, value: (its) => bandwidth(its.us && its.bytes ? its.bytes / its.us / 1e3 : null)},
    {title: "per byte", number: true, value: (its) => orNone(its.bytes && its.flops !== null ? its.flops / its.bytes : null, digits)},
    {title: "of the roofline", number: true, value: (its) => share(its.share)},
    {title: "run", value: (its) => its.run},
  ];
  return searchableTable("Dispatches", columns, dispatches, () => null);
}

function rooflineFor(report, device) {
  const all = dispatchesOn(report, device);
  if (all.length === 0) return null;
  const ceilings = ceilingsFor(device);
  const groups = grouped(all, (its) => `${its.run}${report.documents.length > 1 ? ` \u00b7 ${its.entry.label}` : ""}`);
  const choices = [...groups].map(([name, rows]) => ({name, rows}));
  if (choices.length > 1) choices.unshift({name: `everything (${all.length.toLocaleString("en-US")})`, rows: all});
  const select = html("select", {}, choices.map((choice, index) => html("option", {value: index}, choice.name)));
  const place = html("div");
  const show = () => {
    const rows = choices[Number(select.value)].rows;
    const drawn = rows.filter((its) => its.us !== null && its.bytes !== null && its.flops !== null && its.flops > 0);
    const left = rows.length - drawn.length;
    const used = new Map([...report.kernelColours].filter(([kernel]) => drawn.some((its) => its.kernel === kernel)));
    const parts = [];
    if (ceilings === null) parts.push(html("p", {class: "quiet"}, "This device's ceilings were not measured: there are no roofs."));
    if (drawn.length > 0) {
      const roofs = roofsOf(ceilings, drawn);
      parts.push(legendOf(used), rooflinePlot(`Roofline of ${device.label}: ${count(drawn.length, "dispatch", "dispatches")}`,
        roofs.bandwidths, roofs.rates, drawn.map((its) => dotOf(report, its))));
    }
    if (left > 0) parts.push(html("p", {class: "quiet"},
      `${count(left, "dispatch", "dispatches")} without arithmetic or without a time ${left === 1 ? "has" : "have"} no place in the plot.`));
    parts.push(folded("As a table", () => dispatchTable([...rows].sort((a, b) => (b.us ?? 0) - (a.us ?? 0)))));
    place.replaceChildren(...parts);
  };
  if (choices.length > 1) select.value = "1";
  select.addEventListener("change", show);
  show();
  return [html("h3", {}, device.label),
    choices.length > 1 ? html("div", {class: "controls"}, html("label", {}, "Run", select)) : null, place];
}

function rooflineSection(report) {
  const plots = allDevices(report).map((device) => rooflineFor(report, device)).filter((its) => its !== null);
  if (plots.length === 0) {
    return section("roofline", "Roofline", html("p", {class: "quiet"}, "No dispatch was timed by itself in these results."));
  }
  return section("roofline", "Roofline", html("p", {class: "quiet"},
    "A dot is a dispatch: filled for fp16, hollow for fp32. The higher, the faster; on the line, it does all that the " +
    "device can. Left of the bend bytes decide, right of it arithmetic. Point at a dot, or go through with the arrow keys."),
  ...plots.flat());
}

// ---- comparison ----

const WORDS = {slower: "slower", faster: "faster", same: "same", unclear: "unclear"};

function wordOf(row, threshold) {
  if (text(row.spoiled)) return row.spoiled;
  const ratio = positive(row.ratio), low = positive(row.low), high = positive(row.high);
  if (ratio === null || low === null || high === null) return text(row.note) || NOT_MEASURED;
  if (row.significant === true) return ratio > 1 ? WORDS.slower : WORDS.faster;
  return high > 1 + threshold || low < 1 / (1 + threshold) ? WORDS.unclear : WORDS.same;
}

function timeName(time) {
  return {gpu: " GPU", wall: " wall"}[time] ?? "";
}

function comparisonRow(row, reach, threshold) {
  const ratio = positive(row.ratio), low = positive(row.low), high = positive(row.high);
  const word = wordOf(row, threshold);
  const mood = row.regressed === true ? "bad" : word === WORDS.faster ? "good" : "quiet";
  const unit = text(row.unit) === "us" ? timeUs : timeMs;
  const interval = low !== null && high !== null ? ` (${change(low)} to ${change(high)})` : "";
  const strip = {slower: colour(5), faster: colour(2)}[word] ?? colour(7);
  return html("li", {class: "compared row-grid comparison-row"}, html("div", {class: "id"}, text(row.id)),
      html("div", {class: "row-value"}, ratio === null ? "" : html("b", {}, change(ratio)), `${interval} `,
        html("span", {class: mood}, word), ratio === null ? "" :
          ` \u00b7 ${unit(row.before)} to ${unit(row.after)}${timeName(row.time)}`),
    ratio === null ? null : ratioStrip({ratio, low, high}, reach, threshold, strip));
}

function comparisonParts(report, its) {
  const before = report.documents[its.before], after = report.documents[its.after];
  const title = html("h3", {}, `${after.label} against ${before.label}`);
  const result = object(its.result), rows = objects(result.rows);
  const weight = (row) => (text(row.spoiled) ? Infinity : positive(row.ratio) ?? -1);
  const sorted = [...rows].sort((a, b) => weight(b) - weight(a));
  const telling = sorted.filter((row) => row.regressed === true || row.significant === true);
  const shown = sorted.length <= 40 ? sorted : telling.slice(0, 40);
  const ratios = rows.flatMap((row) => [row.ratio, row.low, row.high]).map(positive).filter((ratio) => ratio !== null);
  const reach = Math.min(4, Math.max(1 + 2 * report.threshold, ...ratios.map((ratio) => Math.max(ratio, 1 / ratio))));
  const missing = [[list(result.onlyBefore), before], [list(result.onlyAfter), after]].filter(([ids]) => ids.length > 0)
    .map(([ids, entry]) => folded(`${count(ids.length, "result")} only in ${entry.label}`, () =>
      html("ul", {}, ids.map((id) => html("li", {class: "id"}, text(id))))));
  const columns = [
    {title: "result", value: (row) => text(row.id)},
    {title: "time", value: (row) => text(row.time)},
    {title: "before", number: true, value: (row) => (text(row.unit) === "us" ? timeUs : timeMs)(row.before)},
    {title: "after", number: true, value: (row) => (text(row.unit) === "us" ? timeUs : timeMs)(row.after)},
    {title: "change", number: true, value: (row) => orNone(row.ratio, change)},
    {title: "from", number: true, value: (row) => orNone(row.low, change)},
    {title: "to", number: true, value: (row) => orNone(row.high, change)},
    {title: "p", number: true, value: (row) => orNone(row.p, (p) => (p < 0.0001 ? "< 0.0001" : p.toFixed(4)))},
    {title: "verdict", value: (row) => wordOf(row, report.threshold), className: (row) => (row.regressed === true ? "bad" : null)},
  ];
  return [title,
    html("p", {}, `${telling.length} of ${count(rows.length, "result")} changed beyond noise; `,
      html("span", {class: num(result.regressions) ? "bad" : "good"}, `${count(num(result.regressions) ?? 0, "regression")} ` +
        `beyond ${share(report.threshold)}`), "."),
    shown.length < sorted.length ? html("p", {class: "quiet"}, `Shown: ${shown.length} that changed; the table has all.`) : null,
    ratios.length > 0 && shown.length > 0 ? html("div", {class: "row-grid comparison-row", "aria-hidden": "true"},
      html("div", {class: "scale"}, html("span", {}, `${share(1 - 1 / reach)} faster`), html("span", {}, "same"),
        html("span", {}, `${share(reach - 1)} slower`))) : null,
    html("ul", {class: "rows"}, shown.map((row) => comparisonRow(row, reach, report.threshold))),
    folded("As a table", () => searchableTable("Comparison", columns, sorted, (row) => (row.regressed === true ? "is-bad" : null))),
    ...missing];
}

// Files of different devices are what the networks' section is for; why they are not compared is told on demand.
function refusalsOf(report) {
  const refusals = report.comparisons.map((its) => text(its.refusal)).filter((refusal) => refusal !== "");
  if (refusals.length === 0) return null;
  return folded(`${count(refusals.length, "file")} not compared with the first`, () =>
    html("ul", {}, refusals.map((refusal) => html("li", {}, `${refusal}.`))));
}

function comparisonSection(report) {
  const comparisons = report.comparisons.filter((its) => text(its.refusal) === "");
  if (comparisons.length === 0) return null;
  return section("comparison", "Before and after", html("p", {class: "quiet"},
    `The ratio of medians with its 95 % interval. The band is the threshold of ${share(report.threshold)}; what is called ` +
    "slower or faster is so with p < 0.01 (Mann-Whitney, corrected for drift within the runs and for the number of rows), " +
    "and by more than the times of one run differ among themselves."),
  ...comparisons.flatMap((its) => comparisonParts(report, its)));
}

// ---- all together ----

function setTheme(theme) {
  const root = document.documentElement;
  if (theme === "automatic") root.removeAttribute("data-theme");
  else root.setAttribute("data-theme", theme);
  document.getElementById("theme").textContent = `Theme: ${theme}`;
}

// #dark and #light in the address choose one at once.
function startTheme() {
  const themes = ["automatic", "light", "dark"];
  let current = Math.max(0, themes.indexOf(location.hash.slice(1)));
  const button = document.getElementById("theme");
  button.hidden = false;
  button.addEventListener("click", () => {
    current = (current + 1) % themes.length;
    setTheme(themes[current]);
  });
  setTheme(themes[current]);
}

function drawReport() {
  startTheme();
  const report = readData();
  drawSummary(report);
  report.runs = runsOf(report);
  const runs = report.runs;
  const sections = [
    comparisonSection(report),
    runs.length > 0 ? networksSection(report, runs) : null,
    ...kernelsSections(report),
    runs.length > 0 ? layersSection(report, runs) : null,
    rooflineSection(report),
    ceilingsSection(report),
    runs.length > 0 ? startsSection(report, runs) : null,
  ].filter((its) => its !== null);
  const main = document.getElementById("report");
  main.append(...[wrongAlert(report), noticesOf(report), refusalsOf(report)].filter((its) => its !== null), ...sections);
  document.getElementById("contents").append(html("ul", {}, sections.map((its) =>
    html("li", {}, html("a", {href: `#${its.id}`}, its.querySelector("h2").textContent)))));
  main.setAttribute("data-drawn", "true");
}

drawReport();
