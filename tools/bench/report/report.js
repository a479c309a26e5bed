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
  const modelDevices = documents.filter((entry) => entry.kind === "model")
                           .flatMap((entry) => entry.rows.map((row) => entry.devices.get(text(row.device)).key));
  const severalDevices = new Set(modelDevices).size > 1;
  return {
    documents,
    comparisons: objects(data.comparisons),
    threshold: num(data.threshold) ?? 0.05,
    kernelColours: kernelColoursOf(documents),
    variesBy:
        {size: varies((row) => String(row.size)), batch: varies((row) => String(row.batch)), device: severalDevices}
  };
}

// By the time that each kernel takes, so that the ones that matter have colours of their own everywhere.
function kernelColoursOf(documents) {
  const times = new Map();
  const add = (kernel, us) => times.set(text(kernel), (times.get(text(kernel)) ?? 0) + (positive(us) ?? 0));
  for (const entry of documents) {
    for (const row of entry.rows) {
      if (entry.kind !== "model")
        add(row.kernel, 0);
      else
        objects(row.layers).forEach((layer) => add(layer.kernel, layer.medianUs));
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

function dateText(value) { return text(value).replace("T", " ").replace("Z", " UTC") || "unknown date"; }

function drawSummary(report) {
  const kinds = {model: "networks", kernels: "kernels", shader: "a shader"};
  const columns = [
    {title: "file", value: (entry) => entry.label || "unnamed"},
    {title: "of", value: (entry) => kinds[entry.kind] ?? "an unknown kind"},
    {title: "date", value: (entry) => dateText(entry.document.date), className: () => "whole"},
    {title: "commit", value: (entry) => text(entry.document.commit) || "unknown"},
    {title: "dunlin", value: (entry) => text(entry.document.version) || "unknown"},
    {
      title: "host",
      value: (entry) => [text(object(entry.document.host).processor), text(object(entry.document.host).system)]
                            .filter(Boolean)
                            .join(", ") ||
          "unknown"
    },
    {
      title: "results",
      number: true,
      value: (entry) =>
          entry.rows.length.toLocaleString("en-US") + (entry.document.complete === false ? " (incomplete)" : "")
    },
  ];
  const tiles = allDevices(report).map(
      (device) => html("div", {class: "tile"}, html("h3", {}, device.label), html("p", {class: "quiet"}, [
                         text(device.type), [text(device.driver), text(device.driverVersion)].filter(Boolean).join(" "),
                         text(device.apiVersion) ? `Vulkan ${device.apiVersion}` : ""
                       ].filter(Boolean).join(" \u00b7 ") || "no details")));
  document.getElementById("summary").append(
      html("div", {class: "tiles"}, tiles), table("What was measured", columns, report.documents));
}

function noticesOf(report) {
  const notes = [];
  for (const entry of report.documents) {
    if (entry.document.complete === false) {
      notes.push(`${entry.label}: the run ended early; these are the results until then.`);
    }
    list(entry.document.notices)
        .filter((notice) => typeof notice === "string")
        .forEach((notice) => notes.push(report.documents.length > 1 ? `${entry.label}: ${notice}` : notice));
  }
  if (notes.length === 0) return null;
  return html(
      "div", {class: "note", role: "note"}, html("ul", {}, [...new Set(notes)].map((note) => html("li", {}, note))));
}

// ---- all together ----

function setTheme(theme) {
  const root = document.documentElement;
  if (theme === "automatic")
    root.removeAttribute("data-theme");
  else
    root.setAttribute("data-theme", theme);
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
  main.append(
      ...[wrongAlert(report), noticesOf(report), refusalsOf(report)].filter((its) => its !== null), ...sections);
  document.getElementById("contents")
      .append(html(
          "ul", {},
          sections.map((its) => html("li", {}, html("a", {href: `#${its.id}`}, its.querySelector("h2").textContent)))));
  main.setAttribute("data-drawn", "true");
}

drawReport();
