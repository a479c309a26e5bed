// Plain SVG: strips whose coordinates are percentages, plots that are drawn again for each width, and one tip for all.

const PALETTE = 8;  // --c0 to --c7 of the style; the last one, grey, is for all others

function colour(index) { return `var(--c${Math.min(index, PALETTE - 1)})`; }

// Colours by name, in the order given; what has none of its own is grey.
function colourMap(names) {
  const map = new Map();
  names.forEach((name, index) => map.set(name, index < PALETTE - 1 ? colour(index) : colour(PALETTE - 1)));
  return map;
}

function legend(entries) {
  return html(
      "ul", {class: "legend"},
      entries.map(
          ([name, fillColour, kind]) => html(
              "li", {},
              html("span", {class: `swatch ${kind || ""}`, style: fillColour ? `background:${fillColour}` : null}),
              name)));
}

function legendOf(colours) {
  const named = [...colours].filter(([, its]) => its !== colour(PALETTE - 1)).map(([name, its]) => [name, its]);
  const others = [...colours].filter(([, its]) => its === colour(PALETTE - 1)).map(([name]) => name);
  if (others.length > 0)
    named.push([others.length === 1 ? others[0] : `others (${others.length})`, colour(PALETTE - 1)]);
  return legend(named);
}

// ---- tips ----

function hideTip() { document.getElementById("tip").hidden = true; }

function showTip(lines, x, y) {
  const tip = document.getElementById("tip");
  tip.textContent = lines.join("\n");
  tip.hidden = false;
  const box = tip.getBoundingClientRect();
  const left = Math.min(Math.max(8, x + 14), window.innerWidth - box.width - 8);
  const above = y - box.height - 12;
  tip.style.left = `${Math.max(8, left)}px`;
  tip.style.top = `${above < 8 ? y + 16 : above}px`;
}

// items: {x, y, width, height, lines}, in the drawing's own pixels or, with `percent`, x and width in percent of its
// width. The nearest within reach of the pointer is told, and the arrow keys go from one to the next.
function addTips(drawing, items, percent = false) {
  if (items.length === 0) return;
  drawing.setAttribute("tabindex", "0");
  const unit = percent ? "%" : "";
  const marker = svg("rect", {class: "mark", visibility: "hidden"});
  drawing.append(marker);
  let current = -1;
  const rectangleOf = (item) => {
    const box = drawing.getBoundingClientRect();
    const view = drawing.viewBox.baseVal;
    const scaleX = percent ? box.width / 100 : view && view.width ? box.width / view.width : 1;
    const scaleY = percent ? 1 : scaleX;
    return {
      left: box.left + item.x * scaleX,
      top: box.top + item.y * scaleY,
      right: box.left + (item.x + item.width) * scaleX,
      bottom: box.top + (item.y + item.height) * scaleY
    };
  };
  const tell = (index) => {
    current = index;
    const item = items[index], place = rectangleOf(item);
    fill(
        marker,
        {x: `${item.x}${unit}`, y: item.y, width: `${item.width}${unit}`, height: item.height, visibility: "visible"},
        []);
    showTip(item.lines, (place.left + place.right) / 2, place.top);
  };
  const hide = () => {
    marker.setAttribute("visibility", "hidden");
    hideTip();
  };
  drawing.addEventListener("pointermove", (event) => {
    let nearest = -1, distance = 18;
    items.forEach((item, index) => {
      const place = rectangleOf(item);
      const dx = Math.max(place.left - event.clientX, 0, event.clientX - place.right);
      const dy = Math.max(place.top - event.clientY, 0, event.clientY - place.bottom);
      const here = Math.hypot(dx, dy);
      if (here < distance) [nearest, distance] = [index, here];
    });
    if (nearest >= 0)
      tell(nearest);
    else
      hide();
  });
  drawing.addEventListener("pointerleave", hide);
  drawing.addEventListener("blur", hide);
  drawing.addEventListener("keydown", (event) => {
    const step = {ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1}[event.key];
    if (event.key === "Escape") hide();
    if (step === undefined) return;
    event.preventDefault();
    tell((current + step + items.length) % items.length);
  });
}

// ---- strips: as wide as their place, in percent ----

// A bar from zero, a fainter one behind it, the interval of the first, and the limit; all in the same unit, none
// needed.
function barStrip(values, most, barColour) {
  const at = (value) => `${(100 * value / most).toFixed(3)}%`;
  const drawing = svg("svg", {class: "strip", "aria-hidden": "true"});
  if (values.behind !== null) {
    drawing.append(svg("rect", {x: 0, y: 2, width: at(values.behind), height: 12, fill: barColour, opacity: 0.35}));
  }
  if (values.bar !== null) {
    drawing.append(svg("rect", {class: "bar", x: 0, y: 2, width: at(values.bar), height: 12, fill: barColour}));
  }
  if (values.low !== null && values.high !== null) {
    drawing.append(
        svg("line", {class: "whisker", x1: at(values.low), x2: at(values.high), y1: 8, y2: 8}),
        svg("line", {class: "whisker", x1: at(values.low), x2: at(values.low), y1: 4, y2: 12}),
        svg("line", {class: "whisker", x1: at(values.high), x2: at(values.high), y1: 4, y2: 12}));
  }
  if (values.limit !== null) {
    drawing.append(svg("line", {class: "limit-line", x1: at(values.limit), x2: at(values.limit), y1: 0, y2: 16}));
  }
  return drawing;
}

// parts: {value, colour, lines}, one beside the other.
function stackStrip(parts, label) {
  const sum = parts.reduce((total, part) => total + part.value, 0);
  const drawing = svg("svg", {class: "stack", role: "img", "aria-label": label});
  const items = [];
  let before = 0;
  for (const part of parts) {
    const x = 100 * before / sum, width = 100 * part.value / sum;
    drawing.append(svg(
        "rect",
        {class: "segment", x: `${x.toFixed(4)}%`, y: 0, width: `${width.toFixed(4)}%`, height: 26, fill: part.colour}));
    items.push({x, y: 0, width, height: 26, lines: part.lines});
    before += part.value;
  }
  addTips(drawing, items, true);
  return drawing;
}

// Intervals of ratios around 1, on a logarithmic scale that `reach` (a ratio above 1) ends.
function ratioStrip(row, reach, threshold, barColour) {
  const at = (ratio) => `${(50 + 48 * Math.max(-1, Math.min(1, Math.log(ratio) / Math.log(reach)))).toFixed(3)}%`;
  const width = (from, to) => `${(parseFloat(at(to)) - parseFloat(at(from))).toFixed(3)}%`;
  const drawing =
      svg("svg", {class: "strip", "aria-hidden": "true"}, svg("rect", {
            class: "threshold",
            x: at(1 / (1 + threshold)),
            y: 0,
            width: width(1 / (1 + threshold), 1 + threshold),
            height: 16
          }),
          svg("line", {class: "centre-line", x1: "50%", x2: "50%", y1: 0, y2: 16}));
  if (row.low !== null && row.high !== null) {
    drawing.append(svg(
        "line",
        {class: "interval", x1: at(row.low), x2: at(row.high), y1: 8, y2: 8, stroke: barColour, "stroke-width": 4}));
  }
  drawing.append(svg("circle", {class: "ratio", cx: at(row.ratio), cy: 8, r: 4, fill: barColour}));
  return drawing;
}

// ---- plots: drawn for the width that there is ----

// draw(drawing, width) fills an empty <svg>; it is called again when the width changes.
function plot(caption, height, draw) {
  const drawing = svg("svg", {role: "img", "aria-label": caption});
  const figure = html("figure", {}, html("figcaption", {}, caption), drawing);
  let drawn = 0;
  const update = () => {
    const width = Math.max(280, Math.round(figure.clientWidth || 720));
    if (width === drawn) return;
    drawn = width;
    const fresh = drawing.cloneNode(false);  // without the listeners of the last drawing
    fresh.setAttribute("viewBox", `0 0 ${width} ${height}`);
    fresh.append(svg("title", {}, caption));
    draw(fresh, width);
    figure.replaceChild(fresh, figure.lastChild);
  };
  queueMicrotask(update);  // once it has its place
  new ResizeObserver(() => requestAnimationFrame(update)).observe(figure);
  return figure;
}

// From a decade to a decade, or for a small range from 1, 2 or 5 times one to the next.
function logScale(low, high, from, to) {
  const steps = [1, 2, 5];
  const ticks = [];
  for (let decade = Math.floor(Math.log10(low)) - 1; decade <= Math.ceil(Math.log10(high)); ++decade) {
    for (const step of steps) ticks.push(step * 10 ** decade);
  }
  const first = ticks.filter((tick) => tick <= low * 1.0001).pop(), last = ticks.find((tick) => tick >= high * 0.9999);
  const position = (value) => from + (to - from) * Math.log(value / first) / Math.log(last / first);
  const decades = Math.log10(last / first);
  const wanted = ticks.filter(
      (tick) => tick >= first && tick <= last &&
          (decades < 2.2 || Math.abs(Math.log10(tick) - Math.round(Math.log10(tick))) < 1e-9));
  const spread = Math.abs(to - from) / Math.max(1, wanted.length);
  const every = Math.max(1, Math.ceil(26 / spread));
  return {position, first, last, ticks: wanted.filter((_, index) => index % every === 0)};
}

// Axes with titles; the vertical one's stands above it.
function drawAxes(drawing, area, x, y, titles, formatX, formatY) {
  for (const tick of y.ticks) {
    const at = y.position(tick);
    drawing.append(
        svg("line", {class: "grid-line", x1: area.left, x2: area.right, y1: at, y2: at}),
        svg("text", {class: "quiet", x: area.left - 6, y: at + 4, "text-anchor": "end"}, formatY(tick)));
  }
  let free = -Infinity;
  for (const tick of x.ticks) {
    const at = x.position(tick), label = formatX(tick);
    drawing.append(svg("line", {class: "grid-line", x1: at, x2: at, y1: area.top, y2: area.bottom}));
    if (at - label.length * 3.5 < free) continue;
    free = at + label.length * 3.5 + 8;
    const inside = Math.min(at, area.right + 8 - label.length * 3.5);
    drawing.append(svg("text", {class: "quiet", x: inside, y: area.bottom + 16, "text-anchor": "middle"}, label));
  }
  drawing.append(
      svg("line", {class: "axis-line", x1: area.left, x2: area.right, y1: area.bottom, y2: area.bottom}),
      svg("text", {class: "quiet", x: area.right, y: area.bottom + 34, "text-anchor": "end"}, titles[0]),
      svg("text", {class: "quiet", x: 0, y: area.top - 10}, titles[1]));
}

function plainNumber(value) {
  return value >= 1000 ? value.toLocaleString("en-US") : String(Number(value.toPrecision(2)));
}

// bandwidths: {gbps, label}, first the least; rates: {gflops, label}. dots: {intensity, gflops, colour, hollow, lines}.
function rooflinePlot(caption, bandwidths, rates, dots) {
  return plot(caption, 420, (drawing, width) => {
    const area = {left: 54, right: width - 8, top: 28, bottom: 376};
    const most = Math.max(...rates.map((its) => its.gflops), ...dots.map((dot) => dot.gflops));
    const intensities = dots.map((dot) => dot.intensity);
    const ridge = bandwidths.length > 0 && rates.length > 0 ? [most / bandwidths[0].gbps] : [];
    const least = Math.min(...dots.map((dot) => dot.gflops));
    const x = logScale(
        Math.min(...intensities, ...ridge) / 1.3, Math.max(...intensities, ...ridge) * 2, area.left, area.right);
    const y = logScale(least / 1.5, most * 1.5, area.bottom, area.top);
    drawAxes(drawing, area, x, y, ["operations per byte", "GFLOP/s"], plainNumber, plainNumber);
    const labels = drawRoofs(drawing, area, x, y, bandwidths, rates);
    const items = [];
    for (const dot of dots) {
      const at = {x: x.position(dot.intensity), y: y.position(dot.gflops)};
      drawing.append(svg("circle", {
        class: "dot",
        cx: at.x.toFixed(1),
        cy: at.y.toFixed(1),
        r: 4,
        fill: dot.hollow ? "var(--page)" : dot.colour,
        "fill-opacity": dot.hollow ? 0.6 : 0.8,
        stroke: dot.colour,
        "stroke-width": 1.5
      }));
      items.push({x: at.x - 4, y: at.y - 4, width: 8, height: 8, lines: dot.lines});
    }
    drawing.append(...labels);
    addTips(drawing, items);
  });
}

// Draws the lines, and returns their labels, which belong above the dots.
function drawRoofs(drawing, area, x, y, bandwidths, rates) {
  const labels = [];
  const highest = rates.length > 0 ? Math.max(...rates.map((its) => its.gflops)) : y.last;
  const fastest = bandwidths.length > 0 ? Math.max(...bandwidths.map((its) => its.gbps)) : null;
  bandwidths.forEach((its, index) => {
    const start = Math.max(x.first, y.first / its.gbps), end = Math.min(highest / its.gbps, x.last);
    if (start >= end) return;
    const from = {x: x.position(start), y: y.position(start * its.gbps)};
    const to = {x: x.position(end), y: y.position(end * its.gbps)};
    drawing.append(
        svg("line", {class: index === 0 ? "roof" : "roof second", x1: from.x, y1: from.y, x2: to.x, y2: to.y}));
    const turn = Math.atan2(to.y - from.y, to.x - from.x) * 180 / Math.PI;
    const offset = index === 0 ? 14 : -6;
    if (Math.hypot(to.x - from.x, to.y - from.y) < 6.2 * its.label.length + 12) return;
    labels.push(
        svg("text", {
          class: "halo",
          transform:
              `translate(${from.x.toFixed(1)} ${from.y.toFixed(1)}) rotate(${turn.toFixed(2)}) translate(8 ${offset})`
        },
            its.label));
  });
  let lastLabel = -Infinity;
  [...rates].sort((a, b) => b.gflops - a.gflops).forEach((its) => {
    const at = y.position(its.gflops);
    const start = fastest === null ? x.first : Math.max(x.first, its.gflops / fastest);
    drawing.append(
        svg("line", {class: "roof", x1: x.position(Math.min(start, x.last)), x2: area.right, y1: at, y2: at}));
    const label = Math.max(at - 5, lastLabel + 14);
    lastLabel = label;
    labels.push(svg("text", {class: "halo", x: area.right - 2, y: label, "text-anchor": "end"}, its.label));
  });
  return labels;
}

// lines: {name, colour, points: [{x, y}]}.
function bandwidthPlot(caption, lines) {
  return plot(caption, 300, (drawing, width) => {
    const area = {left: 54, right: width - 12, top: 28, bottom: 256};
    const points = lines.flatMap((line) => line.points);
    const sizes = points.map((point) => point.x), rates = points.map((point) => point.y);
    const low = Math.min(...sizes), high = Math.max(...sizes, low * 2);
    const x = {
      position: (size) => area.left + (area.right - area.left) * Math.log(size / low) / Math.log(high / low),
      ticks: [...new Set(sizes)].sort((a, b) => a - b)
    };
    const y = logScale(Math.min(...rates), Math.max(...rates) * 1.05, area.bottom, area.top);
    drawAxes(drawing, area, x, y, ["working set", "GB/s"], (size) => scaledBytes(size), plainNumber);
    const items = [];
    for (const line of lines) {
      const path = line.points.map((point) => `${x.position(point.x).toFixed(1)},${y.position(point.y).toFixed(1)}`);
      drawing.append(svg("polyline", {points: path.join(" "), fill: "none", stroke: line.colour, "stroke-width": 2}));
      for (const point of line.points) {
        const at = {x: x.position(point.x), y: y.position(point.y)};
        drawing.append(svg("circle", {class: "bandwidth", cx: at.x, cy: at.y, r: 3.5, fill: line.colour}));
        items.push({
          x: at.x - 4,
          y: at.y - 4,
          width: 8,
          height: 8,
          lines: [line.name, `${bytes(point.x)}: ${bandwidth(point.y)}`]
        });
      }
    }
    addTips(drawing, items);
  });
}

function scaledBytes(size) {
  const units = ["B", "KiB", "MiB", "GiB"];
  let unit = 0;
  while (unit + 1 < units.length && size >= 1024) {
    size /= 1024;
    ++unit;
  }
  return `${Number(size.toPrecision(3))} ${units[unit]}`;
}
