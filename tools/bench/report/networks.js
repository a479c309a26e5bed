// What `bench model` measured: networks by device, time per layer, starts and memory.

// Every run of every document of this kind, with what the page needs to name it.
function runsOf(report) {
  const runs = [];
  report.documents.forEach((entry) => {
    if (entry.kind !== "model") return;
    for (const row of entry.rows) runs.push({row, entry, device: entry.devices.get(text(row.device))});
  });
  return runs;
}

function modelName(row) { return text(row.model) || text(row.id) || "unnamed"; }

// What sets a run apart from others of the same network; with its file where nothing else does.
function configurationOf(run, report) {
  const name = plainConfigurationOf(run, report);
  const same = report.runs.filter(
      (other) => modelName(other.row) === modelName(run.row) && plainConfigurationOf(other, report) === name);
  return same.length > 1 && report.documents.length > 1 ? `${name}, ${run.entry.label}` : name;
}

function plainConfigurationOf(run, report) {
  const row = run.row, parts = [report.variesBy.device ? run.device.label : "", text(row.precision)];
  const size = list(row.size).map(num);
  if (size.length === 2 && !size.includes(null) && report.variesBy.size) parts.push(`${size[0]}\u00d7${size[1]}`);
  if (num(row.batch) !== null && (row.batch !== 1 || report.variesBy.batch)) parts.push(`batch ${row.batch}`);
  if (text(row.fusion) && row.fusion !== "default") parts.push(`fusion ${row.fusion}`);
  return parts.filter((part) => part !== "").join(", ");
}

function runName(run, report) {
  return [modelName(run.row), configurationOf(run, report)].filter((part) => part !== "").join(" \u00b7 ");
}

function measuredMs(row) { return positive(row.gpuMedianMs) ?? positive(row.wallMedianMs); }

// Nothing is much faster than its limit; from here on the limit is not believed. tools/bench/target.h has the same number.
const CREDIBLE_SHARE = 1.1;

function limitOf(row) {
  const limit = positive(row.limitMs), measured = measuredMs(row);
  return limit !== null && measured !== null && limit <= CREDIBLE_SHARE * measured ? limit : null;
}

function limitDetails(row) {
  const part = positive(row.limitShare);
  if (part === null) return [];
  if (part <= CREDIBLE_SHARE) return [` \u00b7 ${share(part)} of the limit`];
  const why = "The run is faster than its limit: something else ran while the ceilings were measured, or the network " +
      "needs less than was reckoned.";
  return [" \u00b7 ", html("abbr", {title: why}, "limit unreliable")];
}

function barValues(row) {
  const gpu = positive(row.gpuMedianMs), wall = positive(row.wallMedianMs);
  const interval = object(object(row.samples)[gpu !== null ? "gpuMs" : "wallMs"]);
  return {
    bar: gpu ?? wall,
    behind: gpu !== null ? wall : null,
    low: positive(interval.low),
    high: positive(interval.high),
    limit: limitOf(row)
  };
}

function barRow(run, name, most, barColour) {
  const row = run.row;
  const values = barValues(row);
  const gpu = positive(row.gpuMedianMs), wall = positive(row.wallMedianMs);
  const details = [];
  if (gpu !== null) details.push(html("b", {}, timeMs(gpu)), " GPU");
  if (wall !== null)
    details.push(
        gpu !== null ? ` \u00b7 ${timeMs(wall)} wall` : html("b", {}, timeMs(wall)), gpu === null ? " wall" : "");
  details.push(...limitDetails(row));
  if (text(row.error)) details.push(html("span", {class: "bad"}, row.error));
  if (details.length === 0) details.push(NOT_MEASURED);
  return html(
      "li", {class: "run row-grid"}, html("div", {}, name), html("div", {class: "row-value"}, details),
      values.bar === null ? null : barStrip(values, most, barColour));
}

// Where the scale of these bars ends; a long whisker may leave it, so that the bars stay readable.
function mostOf(values) {
  const largest = (names) => Math.max(...values.flatMap((its) => names.map((name) => its[name] ?? 0)), 1e-9);
  const bars = largest(["bar", "behind", "limit"]);
  return 1.02 * Math.max(bars, Math.min(1.5 * bars, largest(["high"])));
}

function grouped(items, key) {
  const groups = new Map();
  for (const item of items) {
    const its = key(item);
    if (!groups.has(its)) groups.set(its, []);
    groups.get(its).push(item);
  }
  return groups;
}

function networksSection(report, runs) {
  const groups = grouped(runs, (run) => modelName(run.row));
  const single = [...groups.values()].every((group) => group.length === 1);
  const devices = colourMap([...new Set(runs.map((run) => run.device.label))]);
  const bars = (group, nameOf) => {
    const most = mostOf(group.map((run) => barValues(run.row)));
    const sorted = [...group].sort((a, b) => (measuredMs(a.row) ?? Infinity) - (measuredMs(b.row) ?? Infinity));
    return html(
        "ul", {class: "rows"}, sorted.map((run) => barRow(run, nameOf(run), most, devices.get(run.device.label))));
  };
  const marks = legend([
    ...[...devices].map(([name, its]) => [name, its]), ["wall time behind GPU time", "var(--c7)", "faint"],
    ["physical limit", null, "limit"]
  ]);
  const content = single ? [bars(runs, (run) => runName(run, report))] : [
    ...groups
  ].flatMap(([name, group]) => [html("h3", {}, name), bars(group, (run) => configurationOf(run, report))]);
  return section(
      "networks", "Networks by device",
      html(
          "p", {class: "quiet"},
          "Medians, with the 95 % interval of the median as a whisker. The thick mark is the physical " +
              "limit: what the device's own bandwidth, arithmetic and latency leave." +
              (single ? "" : " Each network has a scale of its own.")),
      marks, ...content);
}

// ---- layers ----

// The kernel and its variant, which may begin with the kernel's name and end with how it was specialized.
function kernelText(its, whole = false) {
  const kernel = text(its.kernel), variant = whole ? text(its.variant) : text(its.variant).split(" ")[0];
  return variant.startsWith(`${kernel}.`) || variant === "" ? variant || kernel : `${kernel}, ${variant}`;
}

function layersOf(run) { return objects(run.row.layers); }

function layerLines(layer) {
  return [
    text(layer.name) || "unnamed layer", kernelText(layer, true), text(layer.shape),
    `${timeUs(layer.medianUs)}, ${
        positive(layer.rooflineShare) === null ? "limit unknown" : `${share(layer.rooflineShare)} of the roofline`}`
  ].filter((line) => line !== "");
}

function slowestLayers(run) {
  const layers = layersOf(run).filter((layer) => positive(layer.medianUs) !== null);
  const sum = layers.reduce((total, layer) => total + layer.medianUs, 0);
  const slowest = [...layers].sort((a, b) => b.medianUs - a.medianUs).slice(0, 10);
  const columns = [
    {title: "layer", value: (layer) => text(layer.name) || "unnamed"},
    {title: "time", number: true, value: (layer) => timeUs(layer.medianUs)},
    {title: "of all", number: true, value: (layer) => share(layer.medianUs / sum)},
    {title: "limit", number: true, value: (layer) => timeUs(layer.limitUs)},
    {title: "of the roofline", number: true, value: (layer) => share(layer.rooflineShare)},
    {title: "kernel", value: (layer) => kernelText(layer)},
    {title: "shape", value: (layer) => text(layer.shape)},
    {title: "bytes", number: true, value: (layer) => bytes(layer.bytes)},
    {title: "arithmetic", number: true, value: (layer) => operations(layer.flops)},
  ];
  return table(`The slowest layers: ${slowest.length} of ${layers.length}`, columns, slowest);
}

function layerRow(run, report, open) {
  const layers = layersOf(run);
  const measured = layers.filter((layer) => positive(layer.medianUs) !== null);
  const name = runName(run, report);
  if (measured.length === 0) {
    return html(
        "li", {class: "run"},
        html(
            "div", {class: "row-text"}, html("span", {}, name),
            html("span", {class: "row-value"}, text(run.row.error) ? "failed" : "time per layer was not measured")));
  }
  const sum = measured.reduce((total, layer) => total + layer.medianUs, 0);
  const parts = measured.map((layer) => ({
                               value: layer.medianUs,
                               lines: layerLines(layer),
                               colour: report.kernelColours.get(text(layer.kernel)) ?? colour(PALETTE - 1)
                             }));
  const gaps = measured.length < layers.length ? `, ${layers.length - measured.length} not measured` : "";
  return html(
      "li", {class: "run"},
      html(
          "div", {class: "row-text"}, html("span", {}, name),
          html(
              "span", {class: "row-value"}, html("b", {}, timeUs(sum)),
              ` in ${count(layers.length, "dispatch", "dispatches")}${gaps}`)),
      stackStrip(parts, `Time per layer of ${name}; the table below says the same of the slowest`),
      folded("Slowest layers", () => slowestLayers(run), open));
}

function layersSection(report, runs) {
  const used = new Set(runs.flatMap((run) => layersOf(run).map((layer) => text(layer.kernel))));
  const colours = new Map([...report.kernelColours].filter(([kernel]) => used.has(kernel)));
  const rows = runs.map((run, index) => () => layerRow(run, report, index === 0));
  const first = 12;
  const place = html("ul", {class: "rows"}, rows.slice(0, first).map((build) => build()));
  const rest = rows.slice(first);
  const content = [
    html(
        "p", {class: "quiet"},
        "Each strip is one run, from its first dispatch to its last; a part is as wide as its share of the time. " +
            "Point at one, or go through with the arrow keys."),
    legendOf(colours), place
  ];
  if (rest.length > 0) {
    content.push(
        folded(`${count(rest.length, "more run")}`, () => html("ul", {class: "rows"}, rest.map((build) => build()))));
  }
  return section("layers", "Time per layer", ...content);
}

// ---- starts and memory ----

function startsSection(report, runs) {
  const columns = [
    {title: "run", value: (run) => runName(run, report)},
    {title: "cold start", number: true, value: (run) => timeMs(run.row.coldStartMs)},
    {title: "warm start", number: true, value: (run) => timeMs(run.row.warmStartMs)},
    {title: "wall, 95th percentile", number: true, value: (run) => timeMs(run.row.wallP95Ms)},
    {title: "spread", number: true, value: (run) => share(run.row.wallSpread)},
    {title: "CPU per submit", number: true, value: (run) => timeUs(run.row.cpuSubmitUs)},
    {title: "frame, 2 in flight", number: true, value: (run) => timeMs(run.row.frameMs2)},
    {title: "frame, 3 in flight", number: true, value: (run) => timeMs(run.row.frameMs3)},
    {title: "device memory", number: true, value: (run) => bytes(run.row.deviceBytes)},
    {title: "host memory", number: true, value: (run) => bytes(run.row.hostBytes)},
    {title: "dispatches", number: true, value: (run) => orNone(run.row.dispatches, String)},
    {title: "runs", number: true, value: (run) => orNone(run.row.runs, String)},
  ].filter((column, index) => index === 0 || runs.some((run) => column.value(run) !== NOT_MEASURED));
  return section(
      "starts", "Starts, frames and memory",
      table("A cold start compiles every shader, a warm one finds them in the cache", columns, runs));
}
