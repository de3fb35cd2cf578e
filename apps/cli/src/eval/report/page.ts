import { escapeMarkup } from "@winnow/profiler";

const STYLE = `
:root { color-scheme: light dark; --ink: #1b1f24; --quiet: #57606a; --page: #fff; --line: #d8dee4 }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --quiet: #9198a1; --page: #0d1117; --line: #30363d } }
body { font: 15px/1.5 ui-sans-serif, system-ui, sans-serif; color: var(--ink); background: var(--page); max-width: 64rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.4rem } h2 { font-size: 1.15rem; margin-top: 2.2rem } h3 { font-size: 1rem }
p.note, .quiet { color: var(--quiet) }
figure { margin: 1rem 0; overflow-x: auto } svg { max-width: 100%; height: auto }
svg .grid { stroke: var(--line) } svg .full { stroke: var(--ink); stroke-dasharray: 2 2 } svg text { font: 11px ui-sans-serif, system-ui, sans-serif; fill: var(--ink) } svg .tick { fill: var(--quiet) }
table { border-collapse: collapse; font-variant-numeric: tabular-nums } th, td { text-align: right; padding: .2rem .6rem; border-bottom: 1px solid var(--line); white-space: nowrap }
th { color: var(--quiet); font-weight: 500 } th:first-child, td:first-child { text-align: left } .best { font-weight: 700 }
ul.legend { display: flex; flex-wrap: wrap; gap: .3rem 1.1rem; list-style: none; padding: 0; margin: .5rem 0 } .legend svg { width: 28px; height: 8px; vertical-align: 2px; margin-right: .35rem }
.maps { display: flex; flex-wrap: wrap; gap: 1.2rem } .maps figure { margin: 0 }
details { margin: .4rem 0 } summary { cursor: pointer } li { margin: .15rem 0 }
`;

/** A page that stands alone. */
export function htmlPage(title: string, body: string): string {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeMarkup(title)}</title>
<style>${STYLE}</style>
${body}
</html>
`;
}
