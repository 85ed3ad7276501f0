"use strict";
(() => {
  const data = JSON.parse(document.getElementById("report-data").textContent);
  const byId = (id) => document.getElementById(id);
  const state = { document: 0, tab: "fields", tabIsPicked: false, keys: true, chosen: null, low: false, changes: false, words: false, query: "" };
  // Above the first a value is taken as sure, below the second as low.
  const SURE = data.sure, LOW = data.low;

  function make(tag, properties, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(properties || {})) {
      if (name === "class") node.className = value;
      else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
      else if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value === true ? "" : value);
    }
    for (const child of children) if (child !== null && child !== undefined) node.append(child);
    return node;
  }

  function level(field) {
    if (!field.found) return "none";
    if (field.confidence === null) return "none";
    return field.confidence >= SURE ? "good" : field.confidence >= LOW ? "unsure" : "low";
  }

  const isDoubtful = (field) => field.found && field.confidence !== null && field.confidence < SURE;
  const percent = (number) => `${(number * 100).toFixed(3)}%`;

  function clock(millis) {
    if (millis === null || millis === undefined) return "";
    const seconds = Math.floor(millis / 1000), rest = String(Math.floor(millis % 1000)).padStart(3, "0");
    return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}.${rest}`;
  }

  function shown(value) {
    if (typeof value === "string") return value;
    return JSON.stringify(value);
  }

  const current = () => data.documents[state.document];
  const allFields = () => current().segments.flatMap((segment) => segment.fields);

  function wanted(field) {
    if (state.low && !isDoubtful(field)) return false;
    if (state.changes && (!field.change || field.change === "same")) return false;
    const text = `${field.path} ${shown(field.value)}`.toLowerCase();
    return !state.query || text.includes(state.query);
  }

  // -- pages: the pictures load when they come into view

  let watcher = null;

  function showPages() {
    const place = byId("pages");
    place.replaceChildren();
    if (watcher) watcher.disconnect();
    watcher = new IntersectionObserver((entries) => {
      for (const entry of entries) if (entry.isIntersecting) fillPage(entry.target);
    }, { root: null, rootMargin: "600px" });
    for (const page of current().pages) {
      const sheet = make("div", { class: "sheet", "data-page": page.number });
      sheet.style.aspectRatio = `${page.width} / ${page.height}`;
      place.append(make("figure", { class: "page", id: `page-${page.number}` },
        make("figcaption", {}, `Page ${page.number} of ${current().pages.length}`), sheet));
      watcher.observe(sheet);
    }
    if (!current().pages.length) {
      const media = current().segments.map((segment) => segment.media).filter(Boolean);
      if (media.length) media.forEach((each) => place.append(timeline(each)));
      else place.append(make("p", { class: "quiet" }, "This document has no pages to show."));
    }
  }

  function fillPage(sheet) {
    if (sheet.dataset.filled) return;
    sheet.dataset.filled = "yes";
    const page = current().pages.find((each) => each.number === Number(sheet.dataset.page));
    if (page.picture) {
      sheet.append(make("img", { src: page.picture, alt: `Picture of page ${page.number}` }));
    } else {
      sheet.append(make("div", { class: "instead", tabindex: "0" }, page.text || "There is no picture of this page."));
    }
    drawBoxes(sheet, page);
  }

  function drawBoxes(sheet, page) {
    sheet.querySelectorAll("svg, .box").forEach((old) => old.remove());
    if (state.words && page.words.length) sheet.append(wordBoxes(page));
    for (const field of allFields()) {
      if (!wanted(field)) continue;
      for (const [number, left, top, width, height] of field.places) {
        if (number !== page.number) continue;
        const box = make("button", {
          class: `box ${level(field)}${state.chosen === field ? " chosen" : ""}`, type: "button",
          title: `${field.path}: ${shown(field.value)}`, "aria-label": `${field.path}: ${shown(field.value)}`,
          onclick: () => choose(field, "side"),
        });
        Object.assign(box.style, { left: percent(left), top: percent(top), width: percent(width), height: percent(height) });
        sheet.append(box);
      }
    }
  }

  function wordBoxes(page) {
    const space = "http://www.w3.org/2000/svg";
    const svg = document.createElementNS(space, "svg");
    svg.setAttribute("viewBox", "0 0 1 1");
    svg.setAttribute("preserveAspectRatio", "none");
    svg.setAttribute("aria-hidden", "true");
    for (const [text, left, top, width, height, confidence] of page.words) {
      const rect = document.createElementNS(space, "rect");
      rect.setAttribute("class", confidence !== null && confidence < LOW ? "word low" : "word");
      for (const [name, value] of [["x", left], ["y", top], ["width", width], ["height", height]]) rect.setAttribute(name, value);
      const title = document.createElementNS(space, "title");
      title.textContent = confidence === null ? text : `${text} (${confidence.toFixed(2)})`;
      rect.append(title);
      svg.append(rect);
    }
    return svg;
  }

  function redrawPages() {
    for (const sheet of document.querySelectorAll(".sheet[data-filled]")) {
      drawBoxes(sheet, current().pages.find((page) => page.number === Number(sheet.dataset.page)));
    }
  }

  // -- the side: fields, text, JSON

  function showSide() {
    const panel = byId("panel");
    panel.replaceChildren();
    panel.setAttribute("aria-labelledby", `tab-${state.tab}`);
    for (const tab of document.querySelectorAll("[role=tab]")) {
      tab.setAttribute("aria-selected", String(tab.dataset.tab === state.tab));
      tab.tabIndex = tab.dataset.tab === state.tab ? 0 : -1;
    }
    for (const note of current().notes) panel.append(make("p", { class: "note" }, note));
    current().segments.forEach((segment) => panel.append(segmentPart(segment)));
    tellCount();
  }

  function segmentPart(segment) {
    const part = make("section", { class: "segment" }, make("h2", {}, segment.label), chips(segment));
    if (state.tab === "fields") part.append(...fieldsOf(segment));
    else if (state.tab === "text") part.append(...textOf(segment));
    else part.append(...jsonOf(segment));
    return part;
  }

  function chips(segment) {
    const row = make("div", { class: "chips" });
    const add = (text, kind) => row.append(make("span", { class: `chip ${kind || ""}` }, text));
    add(segment.modality);
    if (segment.pages) add(segment.pages);
    if (segment.status) add(segment.status, segment.status === "MATCH" ? "good" : "unsure");
    if (segment.blueprint) add(segment.blueprint);
    if (segment.confidence !== null) {
      add(`confidence: lowest ${segment.confidence[0].toFixed(2)}, mean ${segment.confidence[1].toFixed(2)}`);
    }
    return row;
  }

  function fieldsOf(segment) {
    const fields = segment.fields.filter(wanted);
    if (!segment.fields.length) {
      const reason = segment.status === "NO_MATCH" ? "No blueprint matched" : "There is no custom output";
      return [make("p", { class: "quiet" }, `${reason}, so there are no fields.`)];
    }
    if (!fields.length) return [make("p", { class: "quiet" }, "No field matches the filter.")];
    return [make("ol", { class: "fields" }, ...fields.map((field) => make("li", {}, fieldRow(field))))];
  }

  function fieldRow(field) {
    const kind = level(field);
    const row = make("button", {
      type: "button", class: `field ${kind}`, "aria-current": String(state.chosen === field), onclick: () => choose(field, "pages"),
    },
    make("span", { class: "path" }, field.path),
    field.found ? make("span", { class: "value" }, shown(field.value)) : make("span", { class: "value absent" }, "not found"),
    make("span", { class: `sure ${kind}` }, confidenceText(field)));
    if (field.change && field.change !== "same") row.append(changeText(field));
    field.row = row;
    return row;
  }

  function confidenceText(field) {
    if (field.confidence === null || !field.found) return "";
    const mark = { good: "✓", unsure: "?", low: "!", none: "" }[level(field)];
    return `${mark} ${field.confidence.toFixed(2)}`;
  }

  function changeText(field) {
    if (field.change === "added") return make("span", { class: "before" }, make("b", {}, "new"), " in this run");
    if (field.change === "removed") return make("span", { class: "before" }, make("b", {}, "only in the earlier run"));
    return make("span", { class: "before" }, make("b", {}, "was "), make("del", {}, shown(field.before)));
  }

  function textOf(segment) {
    const parts = [];
    if (segment.summary) parts.push(make("p", {}, segment.summary));
    if (segment.media) parts.push(...spoken(segment.media));
    else if (segment.text) parts.push(make("pre", {}, segment.text));
    if (!(segment.media ? segment.media.tracks.length : segment.text)) parts.push(make("p", { class: "quiet" }, "There is no text."));
    return parts;
  }

  function jsonOf(segment) {
    return segment.json.map(([name, text]) => make("div", {}, make("p", { class: "quiet" }, name), make("pre", { tabindex: "0" }, text)));
  }

  // -- audio and video

  function timeline(media) {
    const part = make("section", { "aria-label": "Timeline" });
    const length = Math.max(media.millis || 0, 1, ...media.tracks.flatMap((track) => track.items.map((item) => item.end || 0)));
    if (!media.tracks.length) part.append(make("p", { class: "quiet" }, `${clock(media.millis)} without chapters, shots, topics or a transcript`.trim()));
    for (const track of media.tracks) {
      const lane = make("div", { class: "lane" });
      for (const item of track.items) {
        const bar = make("button", { type: "button", title: `${clock(item.start)} ${item.label}`, "aria-label": `${track.name} at ${clock(item.start)}: ${item.label}`, onclick: () => goTo(item) });
        bar.style.left = percent((item.start || 0) / length);
        bar.style.width = percent(Math.max(0, (item.end || item.start || 0) - (item.start || 0)) / length);
        lane.append(bar);
      }
      part.append(make("div", { class: "track" }, make("h2", {}, track.name), lane,
        make("div", { class: "times" }, make("span", {}, "0:00"), make("span", {}, clock(length)))));
    }
    return part;
  }

  function spoken(media) {
    return media.tracks.flatMap((track) => [make("h2", {}, track.name), make("ol", { class: "spoken" }, ...track.items.map((item) => {
      const line = make("li", {}, make("span", { class: "when" }, item.start === null ? "" : clock(item.start)),
        make("span", {}, [item.label, item.text].filter(Boolean).join(": ")));
      item.line = line;
      return line;
    }))]);
  }

  function goTo(item) {
    if (state.tab !== "text") setTab("text");
    document.querySelectorAll("ol.spoken [aria-current]").forEach((line) => line.removeAttribute("aria-current"));
    if (item.line) {
      item.line.setAttribute("aria-current", "true");
      item.line.scrollIntoView({ block: "center" });
    }
  }

  // -- choosing

  function choose(field, scroll) {
    state.chosen = field;
    document.querySelectorAll(".field[aria-current=true]").forEach((row) => row.setAttribute("aria-current", "false"));
    if (state.tab !== "fields") setTab("fields");
    if (field.row) {
      field.row.setAttribute("aria-current", "true");
      if (scroll !== "pages") field.row.scrollIntoView({ block: "nearest" });
    }
    if (field.places.length && scroll !== "side") {
      const sheet = document.querySelector(`#page-${field.places[0][0]} .sheet`);
      if (sheet) {
        fillPage(sheet);
        redrawPages();
        const box = sheet.querySelector(".box.chosen");
        (box || sheet).scrollIntoView({ block: "center", inline: "center" });
      }
    }
    redrawPages();
    const where = field.places.length ? `, page ${field.places[0][0]}` : ", no place on a page";
    byId("live").textContent = `${field.path}: ${field.found ? shown(field.value) : "not found"}${where}`;
  }

  function step(direction, test) {
    const fields = allFields().filter((field) => wanted(field) && test(field));
    if (!fields.length) {
      byId("live").textContent = "No such field.";
      return;
    }
    const order = allFields(), from = state.chosen ? order.indexOf(state.chosen) : direction > 0 ? -1 : order.length;
    const after = fields.filter((field) => (order.indexOf(field) - from) * direction > 0);
    const next = direction > 0 ? after[0] || fields[0] : after[after.length - 1] || fields[fields.length - 1];
    choose(next, "both");
    if (next.row) next.row.focus();
  }

  function stepPage(direction) {
    const figures = [...document.querySelectorAll(".page")];
    const top = byId("pages").getBoundingClientRect().top;
    const at = figures.findIndex((figure) => figure.getBoundingClientRect().bottom > top + 40);
    const next = figures[Math.min(Math.max(at + direction, 0), figures.length - 1)];
    if (next) next.scrollIntoView({ block: "start" });
  }

  // -- the bar

  function tellCount() {
    const fields = allFields(), doubtful = fields.filter(isDoubtful).length;
    const absent = fields.filter((field) => !field.found).length;
    const changed = fields.filter((field) => field.change && field.change !== "same").length;
    byId("count").textContent = `${fields.length} fields, ${doubtful} below ${SURE}, ${absent} not found` +
      (data.compared ? `, ${changed} changed` : "");
  }

  function setTab(name) {
    state.tab = name;
    showSide();
  }

  function pickTab(name) {
    state.tabIsPicked = true;
    setTab(name);
  }

  function showDocument(index) {
    state.document = index;
    state.chosen = null;
    // Without fields there is the text, or what was said; unless the reader has picked a tab.
    if (!state.tabIsPicked) state.tab = allFields().length ? "fields" : "text";
    byId("source").textContent = current().source;
    showPages();
    showSide();
  }

  function refresh() {
    showSide();
    redrawPages();
  }

  function toggle(button, name) {
    state[name] = !state[name];
    button.setAttribute("aria-pressed", String(state[name]));
    refresh();
  }

  const picker = byId("documents");
  data.documents.forEach((each, index) => picker.append(make("option", { value: index }, each.name)));
  byId("picker").hidden = data.documents.length < 2;
  byId("changes").hidden = !data.compared;
  picker.addEventListener("change", () => showDocument(Number(picker.value)));
  for (const name of ["low", "words", "changes"]) byId(name).addEventListener("click", (event) => toggle(event.currentTarget, name));
  byId("query").addEventListener("input", (event) => { state.query = event.target.value.toLowerCase(); refresh(); });
  byId("help").addEventListener("click", () => byId("keys").showModal());
  const tabs = [...document.querySelectorAll("[role=tab]")];
  tabs.forEach((tab, index) => {
    tab.addEventListener("click", () => pickTab(tab.dataset.tab));
    tab.addEventListener("keydown", (event) => {
      const move = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!move) return;
      const next = tabs[(index + move + tabs.length) % tabs.length];
      pickTab(next.dataset.tab);
      next.focus();
      event.stopPropagation();
    });
  });

  const keys = {
    j: () => step(1, () => true), k: () => step(-1, () => true),
    n: () => step(1, isDoubtful), p: () => step(-1, isDoubtful),
    l: () => toggle(byId("low"), "low"), w: () => toggle(byId("words"), "words"),
    "]": () => stepPage(1), "[": () => stepPage(-1),
    "1": () => pickTab("fields"), "2": () => pickTab("text"), "3": () => pickTab("json"),
    "/": () => byId("query").focus(), "?": () => byId("keys").showModal(),
  };
  // Who speaks to the computer, or presses keys by accident, can turn keys of one letter off.
  byId("single").addEventListener("change", (event) => { state.keys = event.target.checked; });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape" && event.target === byId("query")) event.target.blur();
    if (!state.keys || event.target.matches("input, select, textarea") || byId("keys").open) return;
    const action = keys[event.key];
    if (action) {
      event.preventDefault();
      action();
    }
  });

  showDocument(0);
})();
