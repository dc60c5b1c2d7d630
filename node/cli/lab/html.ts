/** A report as one HTML file that needs nothing else: table, plots, and the JSON it was made from. */
import type { PolicyReport } from '../../../optimizer/lab/policy-report.ts'
import type { TraceReport } from '../../../optimizer/lab/protocol.ts'
import { between, commitOf } from '../../../optimizer/lab/text-report.ts'
import type { Provenance } from '../../../optimizer/lab/text-report.ts'
import type { Chart } from './charts.ts'

const STYLE = `:root{color-scheme:light dark}body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;
color:#1a1a1a;background:#fff}.table{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums}
th,td{padding:.25rem .7rem;text-align:right;border-bottom:1px solid #ddd;white-space:nowrap}
th:first-child{text-align:left}tbody th{font-weight:400}svg{max-width:100%;height:auto}figure{margin:2rem 0}
figcaption{font-weight:600}@media(prefers-color-scheme:dark){body{color:#e6e6e6;background:#16181c}th,td{border-color:#444}}`

/** What a file says. */
export interface Page {
  readonly report: TraceReport
  readonly provenance: Provenance
  /** What must be known to read the figures. */
  readonly notes: readonly string[]
  /** What machines read. */
  readonly json: object
}

/** The whole file. */
export function htmlReport({ report, provenance, notes, json }: Page, charts: readonly Chart[]): string {
  const seeds = report.seeds.length === 1 ? '1 seed' : `${report.seeds.length} seeds`
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${escape(report.trace)} · policy lab</title><style>${STYLE}</style></head><body>
<h1>${escape(report.trace)}</h1>
<p>Load ${report.load.toFixed(3)}, ${seeds}; commit ${escape(commitOf(provenance))}; ${escape(provenance.machine)}.
Means over runs with 95 % intervals (Student’s t over bootstrap errors). Gap closed: (${escape(report.base)} − policy) ÷ (${escape(report.base)} − the
same policy with the truth).</p>
${table(report)}
${notes.map((note) => `<p>${escape(note)}</p>`).join('\n')}
${charts.map(figure).join('\n')}
<h2>Data</h2>
<script type="application/json" id="report">${JSON.stringify(json).replaceAll('<', '\\u003c')}</script>
<p>The figures as JSON are in the element <code>#report</code> of this file.</p>
</body></html>
`
}

function table(report: TraceReport): string {
  const head = [
    'policy',
    'mean JCT s',
    '95 %',
    'p95 s',
    'p99 s',
    'bounded slowdown',
    'makespan ÷ bound',
    'gap closed',
    '95 %',
    'gap to sjf-oracle',
    `change against ${report.base}`,
    'p (Holm)',
    'decision p50 / p99 µs',
    'policy µs per task'
  ]
  const rows = report.policies.map((policy) => [
    escape(policy.policy),
    policy.meanJctS.toFixed(1),
    between(policy.ci95.meanJctS, (seconds) => seconds.toFixed(1)),
    policy.p95JctS.toFixed(1),
    policy.p99JctS.toFixed(1),
    policy.boundedSlowdown.toFixed(2),
    policy.makespanRatio.toFixed(3),
    policy.gapClosed?.toFixed(3) ?? '–',
    policy.ci95.gapClosed === undefined ? '–' : between(policy.ci95.gapClosed, (share) => share.toFixed(2)),
    policy.gapToSjf?.toFixed(3) ?? '–',
    changeOf(policy),
    policy.holmP?.toFixed(3) ?? '–',
    `${policy.decisionP50Us.toFixed(1)} / ${policy.decisionP99Us.toFixed(1)}`,
    policy.policyUsPerTask.toFixed(1)
  ])
  const row = ([first = '', ...others]: readonly string[]): string =>
    `<tr><th scope="row">${first}</th>${others.map((cell) => `<td>${cell}</td>`).join('')}</tr>`
  const heads = head.map((cell) => `<th scope="col">${escape(cell)}</th>`).join('')
  // What scrolls must be reached by keyboard.
  return `<div class="table" tabindex="0" role="region" aria-label="figures by policy"><table><thead><tr>${heads}</tr></thead><tbody>
${rows.map(row).join('\n')}\n</tbody></table></div>`
}

function changeOf({ againstBase }: PolicyReport): string {
  if (againstBase === undefined) return '–'
  const percent = (ratio: number): string => `${(100 * ratio).toFixed(1)} %`
  return `${percent(againstBase.relative)} ${between(againstBase.relativeInterval, percent)}`
}

function figure({ title, svg }: Chart): string {
  const named = svg.replace('<svg ', `<svg role="img" aria-label="${escape(title)}" `)
  return `<figure><figcaption>${escape(title)}</figcaption>${named}</figure>`
}

function escape(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
}
