// SPDX-License-Identifier: Apache-2.0
// <device-map>: devices where they are, over the ground of map-base.js. Devices that lie close together are one mark with
// their number and their worst state; it opens the list of them. Panning, zooming and keys are Leaflet's.

import { Drawn } from "./drawn.js";
import { DETAIL_ZOOM, ground } from "./map-base.js";
import { clusters, stateOf, worstFirst } from "./map-rules.js";
import { worded } from "./worded.js";

// A mark with a number of three digits is 52 pixels wide: nearer ones would lie on each other.
const REACH = 54;
const LISTED = 50;
// A map of one spot begins here, and steps back until it names so many places, or shows the greatest part with detail.
const CLOSEST_ZOOM = 9;
const FEW_PLACES = 3;
// Devices nearer to each other than this, a kilometre, are at one spot.
const SAME_SPOT_DEGREES = 0.01;
const SAID = { bad: worded("bad"), attention: worded("needs attention"), unknown: worded("unknown"), good: worded("good"), calm: "" };

class DeviceMap extends Drawn {
  static needs = "leaflet";
  #map = null;
  #ground = null;
  #stepsBack = false;
  #marks = new Map();
  #groups = { zoom: null, of: null, list: [] };
  draw(view) {
    if (!this.#map) this.#make(view);
    this.#map.invalidateSize({ animate: false });
    if (this.#groups.of !== view.dots) this.#groups = { zoom: null, of: view.dots, list: [] };
    this.#mark();
  }
  repaint() {
    this.#ground?.redraw();
  }
  #make(view) {
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.replaceChildren();
    this.#map = L.map(this, {
      attributionControl: false,
      zoomAnimation: !still,
      fadeAnimation: false,
      markerZoomAnimation: !still,
      inertia: !still,
      worldCopyJump: true,
      scrollWheelZoom: false, // the page scrolls; + and - and the buttons zoom
      maxZoom: 18,
      minZoom: 1,
    });
    this.#map.createPane("land").style.zIndex = "180";
    L.control.scale({ imperial: false }).addTo(this.#map);
    const note = L.control.attribution({ prefix: false, position: "topright" }).addTo(this.#map);
    note.getContainer().title = worded("Natural Earth 1:10m, public domain. Coasts and borders are right to about a kilometre; streets are not in it.");
    const said = document.createElement("span");
    note.getContainer().replaceChildren(said);
    note._update = () => undefined;
    const spots = view.dots.map((dot) => [dot.lat, dot.lon]);
    const bounds = L.latLngBounds(spots);
    this.#stepsBack = bounds.getNorthEast().equals(bounds.getSouthWest(), SAME_SPOT_DEGREES);
    this.#map.fitBounds(bounds.pad(0.3), { maxZoom: this.#stepsBack ? CLOSEST_ZOOM : 12, animate: false });
    this.#map.on("mousedown dragstart keydown", () => (this.#stepsBack = false)); // somebody looks around
    this.#ground = ground(this, this.dataset.pack, (place, failed, named) => {
      said.textContent = failed || (place ? worded("Centre: {place}. Natural Earth", { place }) : "Natural Earth");
      const zoom = this.#map.getZoom();
      if (named !== null) requestAnimationFrame(() => zoom === this.#map.getZoom() && this.#stepBack(named));
    }).addTo(this.#map);
    this.#map.on("moveend", () => this.#mark());
  }
  /** Shows more of the country around the only spot, where `named` places are too few to see where it is. */
  #stepBack(named) {
    if (!this.#stepsBack) return;
    const zoom = this.#map.getZoom();
    this.#stepsBack = named < FEW_PLACES && zoom > DETAIL_ZOOM;
    if (this.#stepsBack) this.#map.setZoom(zoom - 1, { animate: false });
  }
  /** Marks of what is seen: those that stay are kept, so that focus and hover are. */
  #mark() {
    const zoom = this.#map.getZoom();
    if (this.#groups.zoom !== zoom) this.#groups = { ...this.#groups, zoom, list: clusters(this.#groups.of, zoom, REACH) };
    const seen = this.#map.getBounds().pad(0.25);
    const gone = new Map(this.#marks);
    for (const group of this.#groups.list) {
      if (!seen.contains([group.lat, group.lon])) continue;
      const name = `${zoom} ${group.dots.map((dot) => dot.href).join(" ")}`;
      gone.delete(name);
      const mark = this.#marks.get(name) ?? this.#made(name, group);
      this.#tell(mark, group);
    }
    for (const [name, mark] of gone) {
      mark.remove();
      this.#marks.delete(name);
    }
  }
  #made(name, group) {
    const mark = L.marker([group.lat, group.lon], { icon: L.divIcon({ className: "map-mark", iconSize: [28, 28], html: "" }), riseOnHover: true });
    mark.addTo(this.#map).bindTooltip("", { direction: "top", offset: [0, -12] });
    const act = () => (mark.group.dots.length === 1 ? location.assign(mark.group.dots[0].href) : this.#open(mark.group));
    mark.on("click", act);
    mark.on("keypress", ({ originalEvent }) => originalEvent.key === "Enter" && act());
    this.#marks.set(name, mark);
    return mark;
  }
  #tell(mark, group) {
    mark.group = group;
    mark.setLatLng([group.lat, group.lon]);
    const many = group.dots.length > 1;
    const text = many ? worded("{count} devices", { count: group.dots.length }) + (SAID[group.state] && worded(", worst: {state}", { state: SAID[group.state] })) : phrase(group.dots[0]);
    const told = document.createElement("span");
    told.textContent = text;
    mark.setTooltipContent(told);
    const drawn = mark.getElement();
    drawn.className = drawn.className.replace(/ (is-\w+|many)\b/g, "") + ` is-${group.state}${many ? " many" : ""}`;
    drawn.setAttribute("aria-label", text);
    drawn.setAttribute("role", many ? "button" : "link");
    const key = `${group.state} ${group.dots.length}`;
    if (mark.key === key) return;
    mark.key = key;
    drawn.replaceChildren(shape(group.state));
    if (many) {
      const figure = document.createElement("b");
      figure.textContent = group.dots.length > 999 ? `${Math.floor(group.dots.length / 1000)}k` : String(group.dots.length);
      drawn.append(figure);
    }
  }
  #open(group) {
    const box = document.createElement("div");
    const head = document.createElement("button");
    head.type = "button";
    head.textContent = worded("Show them closer");
    head.addEventListener("click", () => {
      this.#map.closePopup();
      this.#map.fitBounds(L.latLngBounds(group.dots.map((dot) => [dot.lat, dot.lon])).pad(0.2), { maxZoom: 18 });
    });
    const list = document.createElement("ul");
    for (const dot of worstFirst(group.dots).slice(0, LISTED)) {
      const item = document.createElement("li");
      const link = document.createElement("a");
      link.href = dot.href;
      link.textContent = dot.label;
      item.className = `is-${stateOf(dot)}`;
      item.append(shape(stateOf(dot)), link, ` ${phrase(dot).slice(dot.label.length).replace(/^[:,] /, "")}`);
      list.append(item);
    }
    if (group.dots.length > LISTED) {
      const rest = document.createElement("li");
      rest.textContent = worded("and {count} more: show them closer", { count: group.dots.length - LISTED });
      list.append(rest);
    }
    box.append(head, list);
    L.popup({ className: "map-list", maxHeight: 220, minWidth: 160 }).setLatLng([group.lat, group.lon]).setContent(box).openOn(this.#map);
    list.querySelector("a").focus({ preventScroll: true });
  }
}

const phrase = (dot) => `${dot.label}${dot.text ? `: ${dot.text}` : ""}${SAID[stateOf(dot)] ? `, ${SAID[stateOf(dot)]}` : ""}${dot.stale ? ` (${worded("stale")})` : ""}`;

const PATHS = {
  good: "M1 8a7 7 0 1 0 14 0a7 7 0 1 0-14 0",
  calm: "M2 8a6 6 0 1 0 12 0a6 6 0 1 0-12 0",
  attention: "M8 .8L15.6 14.6H.4z",
  bad: "M1 1h14v14H1z",
  unknown: "M2 8a6 6 0 1 0 12 0a6 6 0 1 0-12 0",
};
const CUTS = { good: "M4.6 8.2l2.4 2.4 4.4-4.9", attention: "M8 5.6v4.2M8 11.3v1.5", bad: "M4.9 4.9l6.2 6.2M11.1 4.9l-6.2 6.2" };

/** The shape of a state, as the rest of the console draws it. */
function shape(state) {
  const space = "http://www.w3.org/2000/svg";
  const drawn = document.createElementNS(space, "svg");
  drawn.setAttribute("viewBox", "-1 -1 18 18");
  drawn.setAttribute("aria-hidden", "true");
  for (const [name, path] of [["body", PATHS[state]], ["cut", CUTS[state]]]) {
    if (!path) continue;
    const part = document.createElementNS(space, "path");
    part.setAttribute("class", name);
    part.setAttribute("d", path);
    drawn.append(part);
  }
  return drawn;
}

customElements.define("device-map", DeviceMap);
