// What the devices can do at most, and the dispatches beneath it.

function ceilingsFor(device) {
  for (const {entry, id} of device.entries) {
    const its = object(object(entry.document.ceilings)[id]);
    if (Object.keys(its).length > 0) return its;
  }
  return null;
}

function pointsOf(ceilings) {
  return objects(ceilings && ceilings.bandwidth)
      .map((point) => ({x: positive(point.bytes), y: positive(point.gbps)}))
      .filter((point) => point.x !== null && point.y !== null)
      .sort((a, b) => a.x - b.x);
}

function ceilingsSection(report) {
  const devices = allDevices(report).map((device) => ({device, ceilings: ceilingsFor(device)}));
  const measured = devices.filter((its) => its.ceilings !== null);
  if (measured.length === 0) {
    return section(
        "ceilings", "What the devices can do",
        html("p", {class: "quiet"}, "No ceilings were measured, so there is no limit to hold the results against."));
  }
  const columns = [
    {title: "device", value: (its) => its.device.label},
    {title: "fp32", number: true, value: (its) => rate(its.ceilings.fp32Gflops)},
    {title: "fp16", number: true, value: (its) => rate(its.ceilings.fp16Gflops)},
    {title: "int8", number: true, value: (its) => rate(its.ceilings.int8Gops, "OP/s")},
    {title: "matrix", number: true, value: (its) => rate(its.ceilings.matrixGflops)},
    {
      title: "bandwidth",
      number: true,
      value: (its) => {
        const points = pointsOf(its.ceilings);
        return points.length > 0 ? bandwidth(Math.max(...points.map((point) => point.y))) : NOT_MEASURED;
      }
    },
    {title: "memory", number: true, value: (its) => bandwidth(pointsOf(its.ceilings).at(-1)?.y)},
    {title: "dispatch", number: true, value: (its) => timeUs(its.ceilings.dispatchUs)},
    {title: "barrier", number: true, value: (its) => timeUs(its.ceilings.barrierUs)},
    {title: "submit", number: true, value: (its) => timeUs(its.ceilings.submitUs)},
  ];
  const colours = colourMap(measured.map((its) => its.device.label));
  const lines =
      measured
          .map(
              (its) =>
                  ({name: its.device.label, colour: colours.get(its.device.label), points: pointsOf(its.ceilings)}))
          .filter((line) => line.points.length > 0);
  return section(
      "ceilings", "What the devices can do",
      table(
          "Measured on the devices in the same run: arithmetic, the most bandwidth and that of the largest working " +
              "set, one more dispatch, one more that waits for the one before it, an empty submission",
          columns, measured),
      lines.length > 0 ? html("h3", {}, "Bandwidth by working set") : null,
      lines.length > 1 ? legend(lines.map((line) => [line.name, line.colour])) : null,
      lines.length > 0 ? bandwidthPlot("Bandwidth by working set: where it falls, a cache ends", lines) : null,
      lines.length > 0 ? folded("As a table", () => bandwidthTable(lines)) : null);
}

function bandwidthTable(lines) {
  const sizes = [...new Set(lines.flatMap((line) => line.points.map((point) => point.x)))].sort((a, b) => a - b);
  return table(
      "Bandwidth by working set",
      [
        {title: "working set", value: bytes},
        ...lines.map((line) => ({
                       title: line.name,
                       number: true,
                       value: (size) => bandwidth(line.points.find((point) => point.x === size)?.y)
                     }))
      ],
      sizes);
}

// Each dispatch or kernel that the device ran, as {name, kernel, precision, us, bytes, flops, share, run}.
function dispatchesOn(report, device) {
  const dispatches = [];
  for (const {entry, id} of device.entries) {
    for (const row of entry.rows.filter((its) => text(its.device) === id)) {
      const rows = entry.kind === "model" ? objects(row.layers) : [row];
      for (const its of rows) {
        dispatches.push({
          name: text(its.name) || text(its.id),
          kernel: text(its.kernel),
          shape: shapeText(its),
          variant: text(its.variant),
          precision: text(row.precision),
          us: positive(its.medianUs),
          bytes: positive(its.bytes),
          flops: num(its.flops),
          share: positive(its.rooflineShare),
          entry,
          run: entry.kind === "model" ? text(row.id) : "all kernels"
        });
      }
    }
  }
  return dispatches;
}

function dotOf(report, its) {
  const gflops = its.flops / its.us / 1e3;
  return {
    intensity: its.flops / its.bytes,
    gflops,
    hollow: its.precision !== "fp16",
    colour: report.kernelColours.get(its.kernel) ?? colour(PALETTE - 1),
    lines: [
      its.name, [kernelText(its, true), its.precision].filter(Boolean).join(", "), its.shape,
      `${timeUs(its.us)}: ${rate(gflops)}, ${bandwidth(its.bytes / its.us / 1e3)}`,
      its.share === null ? "" : `${share(its.share)} of the roofline`
    ].filter((line) => line !== "")
  };
}

// Without the roofs that none of these dispatches could reach.
function roofsOf(ceilings, dispatches) {
  const points = pointsOf(ceilings);
  const slowest = points.at(-1), fastest = [...points].sort((a, b) => b.y - a.y)[0];
  const bandwidths = [];
  if (slowest) bandwidths.push({gbps: slowest.y, label: `memory ${bandwidth(slowest.y)}`});
  if (fastest && fastest.y > 1.3 * slowest.y)
    bandwidths.push({gbps: fastest.y, label: `cache ${bandwidth(fastest.y)}`});
  const fields = [["fp32Gflops", "fp32"]];
  if (dispatches.some((its) => its.precision === "fp16"))
    fields.push(["fp16Gflops", "fp16"], ["matrixGflops", "matrix units"]);
  const rates = fields.map(([field, name]) => ({gflops: positive(ceilings && ceilings[field]), name}))
                    .filter((its) => its.gflops !== null)
                    .map((its) => ({gflops: its.gflops, label: `${its.name} ${rate(its.gflops)}`}));
  return {bandwidths, rates};
}

function dispatchTable(dispatches) {
  const columns = [
    {title: "dispatch", value: (its) => its.name || "unnamed"},
    {title: "kernel", value: (its) => kernelText(its)},
    {title: "precision", value: (its) => its.precision},
    {title: "time", number: true, value: (its) => timeUs(its.us)},
    {
      title: "arithmetic",
      number: true,
      value: (its) => rate(its.us && its.flops !== null ? its.flops / its.us / 1e3 : null)
    },
    {
      title: "bandwidth",
      number: true,
      value: (its) => bandwidth(its.us && its.bytes ? its.bytes / its.us / 1e3 : null)
    },
    {
      title: "per byte",
      number: true,
      value: (its) => orNone(its.bytes && its.flops !== null ? its.flops / its.bytes : null, digits)
    },
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
    if (ceilings === null)
      parts.push(html("p", {class: "quiet"}, "This device's ceilings were not measured: there are no roofs."));
    if (drawn.length > 0) {
      const roofs = roofsOf(ceilings, drawn);
      parts.push(
          legendOf(used),
          rooflinePlot(
              `Roofline of ${device.label}: ${count(drawn.length, "dispatch", "dispatches")}`, roofs.bandwidths,
              roofs.rates, drawn.map((its) => dotOf(report, its))));
    }
    if (left > 0)
      parts.push(html(
          "p", {class: "quiet"},
          `${count(left, "dispatch", "dispatches")} without arithmetic or without a time ${
              left === 1 ? "has" : "have"} no place in the plot.`));
    parts.push(folded("As a table", () => dispatchTable([...rows].sort((a, b) => (b.us ?? 0) - (a.us ?? 0)))));
    place.replaceChildren(...parts);
  };
  if (choices.length > 1) select.value = "1";
  select.addEventListener("change", show);
  show();
  return [
    html("h3", {}, device.label),
    choices.length > 1 ? html("div", {class: "controls"}, html("label", {}, "Run", select)) : null, place
  ];
}

function rooflineSection(report) {
  const plots = allDevices(report).map((device) => rooflineFor(report, device)).filter((its) => its !== null);
  if (plots.length === 0) {
    return section(
        "roofline", "Roofline", html("p", {class: "quiet"}, "No dispatch was timed by itself in these results."));
  }
  return section(
      "roofline", "Roofline",
      html(
          "p", {class: "quiet"},
          "A dot is a dispatch: filled for fp16, hollow for fp32. The higher, the faster; on the line, it " +
              "does all that the device can. Left of the bend bytes decide, right of it arithmetic. " +
              "Point at a dot, or go through with the arrow keys."),
      ...plots.flat());
}
