// What the tests ask of a page of `dunlin bench report`, once everything on it has been opened and gone through with
// the keyboard: counts and texts, as percent-encoded JSON in an element "probe".
addEventListener(
    "load", () => setTimeout(() => {
              document.querySelectorAll("details").forEach((its) => {
                its.open = true;
              });
              const tip = document.getElementById("tip");
              const tips = [...document.querySelectorAll("svg[tabindex]")].map((its) => {
                its.dispatchEvent(new KeyboardEvent("keydown", {key: "ArrowRight", bubbles: true}));
                return tip.hidden ? "" : tip.textContent;
              });
              setTimeout(() => {
                const all = (selector) => [...document.querySelectorAll(selector)];
                const count = (selector) => all(selector).length;
                const texts = (selector) => all(selector).map((its) => its.textContent);
                const values = all("svg, svg *").flatMap((its) => [...its.attributes]).map((its) => its.value);
                const strange = /.{0,40}(NaN|undefined|Infinity|\[object|null).{0,40}/g;
                const told = {
                  drawn: document.getElementById("report").dataset.drawn === "true",
                  sections: texts("h2"),
                  dots: count(".dot"),
                  segments: count(".segment"),
                  runs: count("#networks .run"),
                  bars: count("#networks .bar"),
                  compared: count(".compared"),
                  ratios: count(".ratio"),
                  wrong: texts("#wrong li"),
                  bandwidths: count("circle.bandwidth"),
                  tables: count("table"),
                  captions: count("table > caption"),
                  tips,
                  unnamed: all("svg:not([aria-hidden])").filter((its) => !its.getAttribute("aria-label")).length,
                  width: window.innerWidth,
                  overflow: document.documentElement.scrollWidth - window.innerWidth,
                  sideways: all(".scroll").filter((its) => its.scrollWidth > its.clientWidth + 1).map(
                      (its) => its.getAttribute("aria-label")),
                  ranks: texts(".rank"),
                  foreign: count("img, iframe, object, embed, script[src], link[rel=stylesheet]"),
                  resources: performance.getEntriesByType("resource").map((its) => its.name),
                  strange: document.body.innerText.match(strange) || [],
                  strangeValues: values.filter((its) => /NaN|undefined|Infinity|null/.test(its)),
                  background: getComputedStyle(document.body).backgroundColor,
                  text: document.body.innerText,
                };
                const place = document.createElement("pre");
                place.id = "probe";
                place.textContent = encodeURIComponent(JSON.stringify(told));
                document.body.append(place);
              }, 300);
            }, 300));
