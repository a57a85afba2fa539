"use strict";
(() => {
  const film = JSON.parse(document.getElementById("film").textContent);
  const at = id => document.getElementById(id);
  const plane = at("plane"), curve = at("curve"), slider = at("slider");
  const last = film.iterations.length - 1, K = film.colours.length;
  let frame = 0, timer = null;

  const style = () => {
    const css = getComputedStyle(document.documentElement);
    return {ink: css.getPropertyValue("--ink").trim(), line: css.getPropertyValue("--line").trim()};
  };
  const layout = (names, ranges, more) => {
    const {ink, line} = style();
    const axis = (name, range) => ({
      title: {text: name, standoff: 8}, range: range.slice(), gridcolor: line, linecolor: line,
      zeroline: false, automargin: true,
    });
    return Object.assign({
      xaxis: axis(names[0], ranges[0]), yaxis: axis(names[1], ranges[1]),
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: {color: ink, size: 13},
      margin: {l: 10, r: 10, t: 10, b: 10}, hovermode: "closest", uirevision: "kept",
    }, more);
  };
  const config = {displaylogo: false, responsive: true, displayModeBar: false};
  const column = (pairs, j) => pairs.map(pair => pair[j]);

  const planeTraces = () => {
    const shades = film.rowColours[frame].match(/.{6}/g).map(shade => "#" + shade);
    const traces = [{
      x: column(film.rows, 0), y: column(film.rows, 1), type: "scatter", mode: "markers",
      name: "rows", hoverinfo: "skip",
      marker: {color: shades, size: film.rows.length > 400 ? 5 : 6.5, opacity: 0.75},
    }];
    for (let k = 0; k < K; k++) {
      const outline = film.outlines[frame][k], path = film.means.slice(0, frame + 1).map(m => m[k]);
      const colour = film.colours[k];
      traces.push(
        {x: column(outline, 0), y: column(outline, 1), type: "scatter", mode: "lines",
          name: "outline " + k, hoverinfo: "skip", fill: "toself", fillcolor: colour + "18",
          line: {color: colour, width: 2}},
        {x: column(path, 0), y: column(path, 1), type: "scatter", mode: "lines+markers",
          name: "trail " + k, hoverinfo: "skip", line: {color: colour, width: 1.5},
          marker: {size: 3.5, color: colour}},
        {x: [path[frame][0]], y: [path[frame][1]], type: "scatter", mode: "markers+text",
          name: "mean " + k, text: [String(k)], textfont: {color: "#fff", size: 11},
          hovertemplate: "component " + k + "<br>%{x:.4g}, %{y:.4g}<extra></extra>",
          marker: {size: 18, color: colour, line: {color: "#fff", width: 1.5}}});
    }
    return traces;
  };
  const curveTraces = () => {
    const x = film.iterations.slice(0, frame + 1), y = film.logLikelihood.slice(0, frame + 1);
    const stairX = [], stairY = [];
    for (let t = 0; t <= frame; t++) {
      stairX.push(x[t], x[t]);
      stairY.push(film.bound[t], y[t]);
    }
    return [
      {x: stairX, y: stairY, type: "scatter", mode: "lines", name: "lower bound",
        line: {color: film.boundColour, width: 1.5, dash: "dot"}},
      {x, y, type: "scatter", mode: "lines+markers", name: "log-likelihood",
        line: {color: style().ink, width: 2}, marker: {size: 6}},
    ];
  };
  const draw = () => {
    Plotly.react(plane, planeTraces(), layout(film.names, film.limits, {showlegend: false}), config);
    Plotly.react(curve, curveTraces(), layout(["iteration", "nats per row"], film.curveLimits,
      {legend: {orientation: "h", x: 0, y: 1, yanchor: "bottom"}}), config);
    slider.value = frame;
    const weights = film.weights[frame].map((w, k) => `${k}: ${w.toFixed(3)}`).join("   ");
    at("status").textContent = `iteration ${film.iterations[frame]} of ${film.iterations[last]}`;
    at("value").textContent = `log-likelihood ${film.logLikelihood[frame].toFixed(5)} nats per row`;
    at("weights").textContent = `weights  ${weights}`;
  };
  const go = to => { frame = Math.max(0, Math.min(last, to)); draw(); };
  const pause = () => { clearInterval(timer); timer = null; at("play").textContent = "Play"; };
  const play = () => {
    if (frame === last) go(0);
    at("play").textContent = "Pause";
    timer = setInterval(() => { go(frame + 1); if (frame === last) pause(); }, 450);
  };
  at("play").addEventListener("click", () => timer === null ? play() : pause());
  at("back").addEventListener("click", () => { pause(); go(frame - 1); });
  at("step").addEventListener("click", () => { pause(); go(frame + 1); });
  slider.addEventListener("input", () => { pause(); go(Number(slider.value)); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  slider.max = last;
  draw();
})();
