"use strict";
// True and predicted density of states of the structure selected in the chemiscope viewer.

const WIDTH = 1100, HEIGHT = 340, LEFT = 62, RIGHT = 14, TOP = 30, BOTTOM = 44;
const [TRUE_COLOR, PREDICTED_COLOR] = report.colors;

function niceStep(range, count) {
  const raw = range / count, power = Math.pow(10, Math.floor(Math.log10(raw)));
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= raw);
}

function escapeText(text) {
  return text.replace(/&/g, "&amp;").replace(/</g, "&lt;");
}

function formulaText(index) {
  return escapeText(report.formulas[index]).replace(/\d/g, (digit) => "₀₁₂₃₄₅₆₇₈₉"[digit]);
}

function drawSpectra(index) {
  const energies = report.energies, [target, predicted] = report.spectra[index];
  const first = energies[0], last = energies[energies.length - 1];
  const values = [...target, ...predicted].filter((value) => value !== null);
  const top = 1.05 * Math.max(1e-6, ...values), low = 1.05 * Math.min(0, ...values);
  const x = (energy) => LEFT + ((energy - first) / (last - first)) * (WIDTH - LEFT - RIGHT);
  const y = (value) => HEIGHT - BOTTOM - ((value - low) / (top - low)) * (HEIGHT - TOP - BOTTOM);
  const line = (spectrum) => {
    let path = "", move = true;
    spectrum.forEach((value, i) => {
      if (value === null) { move = true; return; }
      path += (move ? "M" : "L") + x(energies[i]).toFixed(1) + " " + y(value).toFixed(1);
      move = false;
    });
    return path;
  };
  let svg = "";
  const known = target.findLastIndex((value) => value !== null);
  if (known < energies.length - 1) {
    const edge = x(energies[Math.max(known, 0)]);
    svg += `<rect x="${edge}" y="${TOP}" width="${WIDTH - RIGHT - edge}" height="${HEIGHT - TOP - BOTTOM}" fill="#eee"/>`;
  }
  const stepX = niceStep(last - first, 10), stepY = niceStep(top - low, 4);
  for (let tick = Math.ceil(first / stepX) * stepX; tick <= last; tick += stepX) {
    svg += `<line x1="${x(tick)}" x2="${x(tick)}" y1="${HEIGHT - BOTTOM}" y2="${HEIGHT - BOTTOM + 5}" stroke="#444"/>`;
    svg += `<text x="${x(tick)}" y="${HEIGHT - BOTTOM + 19}" text-anchor="middle">${+tick.toPrecision(6)}</text>`;
  }
  for (let tick = Math.ceil(low / stepY) * stepY; tick <= top; tick += stepY) {
    svg += `<line x1="${LEFT - 5}" x2="${LEFT}" y1="${y(tick)}" y2="${y(tick)}" stroke="#444"/>`;
    svg += `<text x="${LEFT - 8}" y="${y(tick) + 4}" text-anchor="end">${+tick.toPrecision(6)}</text>`;
  }
  svg += `<path d="M${LEFT} ${TOP}V${HEIGHT - BOTTOM}H${WIDTH - RIGHT}" fill="none" stroke="#444"/>`;
  if (first < 0 && last > 0) {
    svg += `<line x1="${x(0)}" x2="${x(0)}" y1="${TOP}" y2="${HEIGHT - BOTTOM}" stroke="#888" stroke-dasharray="5 4"/>`;
  }
  svg += `<path d="${line(target)}" fill="none" stroke="${TRUE_COLOR}" stroke-width="1.6"/>`;
  svg += `<path d="${line(predicted)}" fill="none" stroke="${PREDICTED_COLOR}" stroke-width="1.6"/>`;
  svg += `<text x="${(LEFT + WIDTH - RIGHT) / 2}" y="${HEIGHT - 6}" text-anchor="middle">` +
    `<tspan font-style="italic">E</tspan> − <tspan font-style="italic">E</tspan>` +
    `<tspan dy="4" font-size="75%">F</tspan><tspan dy="-4"> (eV)</tspan></text>`;
  const middle = (TOP + HEIGHT - BOTTOM) / 2;
  svg += `<text transform="translate(14 ${middle}) rotate(-90)" text-anchor="middle">DOS (states/eV)</text>`;
  svg += `<text x="${LEFT}" y="18" font-weight="600">` +
    `${formulaText(index)}<tspan font-weight="400">&#160;&#160; ${escapeText(report.titles[index])}</tspan></text>`;
  svg += `<text x="${WIDTH - RIGHT - 110}" y="18" text-anchor="end" fill="${TRUE_COLOR}">— DFT</text>`;
  svg += `<text x="${WIDTH - RIGHT}" y="18" text-anchor="end" fill="${PREDICTED_COLOR}">— predicted</text>`;
  document.getElementById("dos").innerHTML = `<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img">${svg}</svg>`;
}

// Chemiscope names the points of its map after their color alone; its parts used here have no public counterpart.
function showFormulas(map) {
  const options = map._options, original = options.hovertemplate.bind(options);
  options.hovertemplate = (type) => {
    const value = original(type);
    const names = report.formulas.map((_, i) => `<b>${formulaText(i)}</b><br>${escapeText(report.titles[i])}<br>${value}`);
    return [names, value, value];
  };
  map._restyleFull();
}

async function showStructures() {
  drawSpectra(0);
  const config = { meta: "meta", map: "map", info: "info", structure: "structure" };
  const visualizer = await Chemiscope.DefaultVisualizer.load(config, report.dataset, new Chemiscope.Warnings());
  // Every way to choose a structure ends in this call.
  const show = visualizer.info.show.bind(visualizer.info);
  visualizer.info.show = (indexes) => { show(indexes); drawSpectra(indexes.structure); };
  try { showFormulas(visualizer.map); } catch (error) { console.info(`no formulas in the map: ${error}`); }
}

showStructures().catch((error) => {
  document.getElementById("viewer-message").textContent = `The viewer does not work in this browser: ${error}`;
});
