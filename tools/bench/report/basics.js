// Elements, numbers and units. All text that comes from a document becomes a text node, never markup.

const SVG = "http://www.w3.org/2000/svg";
const NOT_MEASURED = "not measured";

// A finite number, or null for everything else that a document may hold.
function num(value) { return typeof value === "number" && Number.isFinite(value) ? value : null; }

function positive(value) {
  const number = num(value);
  return number !== null && number > 0 ? number : null;
}

function text(value) { return typeof value === "string" ? value : ""; }

function list(value) { return Array.isArray(value) ? value : []; }

function objects(value) {
  return list(value).filter((entry) => entry !== null && typeof entry === "object" && !Array.isArray(entry));
}

function object(value) { return value !== null && typeof value === "object" && !Array.isArray(value) ? value : {}; }

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined) element.setAttribute(name, String(value));
  }
  for (const child of children.flat()) {
    if (child !== null && child !== undefined) element.append(child);
  }
  return element;
}

function html(name, attributes = {}, ...children) { return fill(document.createElement(name), attributes, children); }

function svg(name, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, name), attributes, children);
}

// ---- numbers ----

// Three significant digits, without an exponent unless there were more than nine digits to read.
function digits(value) {
  const size = Math.abs(value);
  if (size >= 1e9) return value.toExponential(2);
  if (size === 0) return "0";
  if (size >= 1000) return Math.round(value).toLocaleString("en-US");
  const decimals = size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3;
  return size < 0.001 ? value.toPrecision(2) : value.toFixed(decimals);
}

function scaled(value, units) {
  let unit = 0;
  const size = Math.abs(value);
  while (unit + 1 < units.length && size >= units[unit + 1][0]) ++unit;
  return `${digits(value / units[unit][0])} ${units[unit][1]}`;
}

function orNone(value, format) {
  const number = num(value);
  return number === null ? NOT_MEASURED : format(number);
}

const TIME_UNITS = [[1e-3, "ns"], [1, "\u00b5s"], [1e3, "ms"], [1e6, "s"]];
const BYTE_UNITS = [[1, "B"], [1024, "KiB"], [1048576, "MiB"], [1073741824, "GiB"]];

function timeUs(value) { return orNone(value, (us) => (us === 0 ? "0 \u00b5s" : scaled(us, TIME_UNITS))); }

function timeMs(value) { return orNone(value, (ms) => timeUs(ms * 1000)); }

function bytes(value) { return orNone(value, (size) => scaled(size, BYTE_UNITS)); }

function operations(value) {
  return orNone(value, (count) => scaled(count, [[1, "op"], [1e3, "kop"], [1e6, "Mop"], [1e9, "Gop"]]));
}

// From thousands of millions a second, of "FLOP/s" or "OP/s".
function rate(value, unit = "FLOP/s") {
  return orNone(value, (giga) => scaled(giga, [[1e-3, `M${unit}`], [1, `G${unit}`], [1e3, `T${unit}`]]));
}

function bandwidth(value) { return orNone(value, (gbps) => scaled(gbps, [[1, "GB/s"], [1e3, "TB/s"]])); }

function share(value) {
  return orNone(value, (part) => `${part < 0.1 ? Number((100 * part).toFixed(1)) : Math.round(100 * part)} %`);
}

// A ratio as a change: "+9.0 %", or "12.3 times" what it was.
function change(ratio) {
  if (ratio > 11 || ratio < 0.001) {
    return `${ratio >= 1e6 || ratio < 0.001 ? ratio.toExponential(1) : digits(ratio)} times`;
  }
  const percent = Math.round(1000 * (ratio - 1)) / 10;
  return `${percent > 0 ? "+" : percent < 0 ? "\u2212" : "\u00b1"}${Math.abs(percent).toFixed(1)} %`;
}

function count(number, one, many = `${one}s`) {
  return `${number.toLocaleString("en-US")} ${number === 1 ? one : many}`;
}

// ---- tables ----

function cellContent(value) { return value === NOT_MEASURED ? html("abbr", {title: NOT_MEASURED}, "\u2013") : value; }

// columns: {title, number, value(row), className(row)}; the first is the row's heading. Scrolls by itself where it is
// too wide, so that the page never does; on narrow pages a row is a card, with the titles beside its values.
function table(caption, columns, rows, rowClass = () => null) {
  const cellClass =
      (column, row) => [column.number ? "number-cell" : "", column.className ? column.className(row) || "" : ""]
                           .join(" ")
                           .trim() ||
      null;
  const head =
      columns.map((column) => html("th", {scope: "col", class: column.number ? "number-cell" : null}, column.title));
  const body = rows.map(
      (row) => html(
          "tr", {class: rowClass(row)},
          columns.map(
              (column, index) => html(
                  index === 0 ? "th" : "td", {
                    scope: index === 0 ? "row" : null,
                    class: cellClass(column, row),
                    "data-title": index === 0 ? null : column.title
                  },
                  cellContent(column.value(row))))));
  return html(
      "div", {class: "scroll", tabindex: 0, role: "region", "aria-label": caption},
      html(
          "table", {}, html("caption", {}, html("span", {}, caption)), html("thead", {}, html("tr", {}, head)),
          html("tbody", {}, body)));
}

// What is large or seldom read: built when it is opened.
function folded(title, build, open = false) {
  const element = html("details", {}, html("summary", {}, title));
  let built = false;
  const ensure = () => {
    if (!built) element.append(build());
    built = true;
  };
  element.addEventListener("toggle", () => {
    if (element.open) ensure();
  });
  if (open) {
    element.open = true;
    ensure();
  }
  return element;
}

// A table with a box to search it, which shows so many rows at first.
function searchableTable(caption, columns, rows, rowClass, first = 50) {
  const place = html("div");
  const box = html("input", {type: "search", placeholder: "part of a name", "aria-label": `search: ${caption}`});
  const words = new Map(rows.map((row) => [row, columns.map((column) => column.value(row)).join(" ").toLowerCase()]));
  let limit = first;
  const show = () => {
    const wanted = box.value.trim().toLowerCase();
    const found = wanted === "" ? rows : rows.filter((row) => words.get(row).includes(wanted));
    const shown = found.slice(0, limit);
    const more = html("button", {type: "button"}, `Show all ${found.length.toLocaleString("en-US")}`);
    more.addEventListener("click", () => {
      limit = Infinity;
      show();
    });
    place.replaceChildren(
        table(
            `${caption}: ${shown.length.toLocaleString("en-US")} of ${count(found.length, "row")}`, columns, shown,
            rowClass),
        ...(shown.length < found.length ? [more] : []));
  };
  box.addEventListener("input", () => {
    limit = first;
    show();
  });
  show();
  const controls = html("div", {class: "controls"}, html("label", {}, "Search", box));
  return html("div", {}, rows.length > 15 ? controls : null, place);
}
