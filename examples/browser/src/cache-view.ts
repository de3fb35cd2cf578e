import { formatBytes, formatShare, heatMapSvg, type ProfileReport } from "@winnow/profiler";

import { byId } from "./element";

/** The right half of the page: the cache's bytes, and what each head keeps. */
export class CacheView {
  readonly #kept = byId("bar-kept", HTMLSpanElement);
  readonly #bytes = byId("bytes", HTMLParagraphElement);
  readonly #map = byId("heat-map", HTMLDivElement);

  show(report: ProfileReport): void {
    const { bytes, fullBytes } = report.kv;
    const share = fullBytes === 0 ? 0 : bytes / fullBytes;
    this.#kept.style.width = `${100 * share}%`;
    this.#bytes.textContent = `${formatBytes(bytes)} of the full cache's ${formatBytes(fullBytes)} (${formatShare(share)})`;
    const picture = new DOMParser().parseFromString(heatMapSvg(report), "image/svg+xml").documentElement;
    picture.style.maxWidth = "100%";
    picture.style.height = "auto";
    // The picture brings styles of its own, which a shadow root keeps from the page.
    const root = this.#map.shadowRoot ?? this.#map.attachShadow({ mode: "open" });
    root.replaceChildren(document.importNode(picture, true));
  }
}
