/** Text for people: durations, ages and aligned tables. */

/** A length of time in at most two units: `850ms`, `12.3s`, `3m 2s`, `2h 5m`, `4d 3h`. */
export function formatDuration(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)}ms`
  if (ms < 60_000) return `${(Math.floor(ms / 100) / 10).toFixed(1)}s`
  const seconds = Math.floor(ms / 1_000)
  if (seconds < 3_600) return `${Math.floor(seconds / 60)}m ${seconds % 60}s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 1_440) return `${Math.floor(minutes / 60)}h ${minutes % 60}m`
  const hours = Math.floor(minutes / 60)
  return `${Math.floor(hours / 24)}d ${hours % 24}h`
}

/** How long ago `at` was; clocks differ, so what seems to lie ahead is `0ms`. */
export function formatAge(at: number, now: number): string {
  return `${formatDuration(Math.max(0, now - at))} ago`
}

/** When `at` will be; clocks differ, so it may lie behind. */
export function formatUntil(at: number, now: number): string {
  return at >= now ? `in ${formatDuration(at - now)}` : `${formatDuration(now - at)} ago`
}

/** A moment that is expected, as likely as not and nearly for sure; what should have come already may come any moment. */
export function formatExpected(at: { readonly p50At: number; readonly p90At: number }, now: number): string {
  if (at.p90At <= now) return 'any moment'
  const half = at.p50At <= now ? 'any moment' : formatUntil(at.p50At, now)
  return `${half} (p50), ${formatUntil(at.p90At, now)} (p90)`
}

/** A share as a percentage: `4.5 %`, `99 %`, `100 %`. */
export function formatPercent(share: number): string {
  const percent = share * 100
  const digits = Math.abs(percent) < 10 && !Number.isInteger(percent) ? 1 : 0
  // What rounds to nothing has no sign.
  return `${percent.toFixed(digits).replace(/^-(0(?:\.0)?)$/, '$1')} %`
}

/** An amount of bytes in the largest unit that keeps it above 1: `12 MiB`, `1.5 GiB`. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  let value = bytes
  let unit = 0
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024
    unit++
  }
  return `${Number.isInteger(value) || value >= 100 ? value.toFixed(0) : value.toFixed(1)} ${units[unit] ?? 'B'}`
}

/** Lines of aligned columns under headings. The last column is not padded. Cells are single lines. */
export function formatTable(headings: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const cells = [headings, ...rows.map((row) => row.map(singleLine))]
  const widths = headings.map((_, column) => Math.max(...cells.map((row) => (row[column] ?? '').length)))
  return cells.map((row) =>
    row
      .map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column] ?? 0)))
      .join('  ')
      .trimEnd()
  )
}

/** Lines of `name  value`, aligned. Pairs without a value are left out. */
export function formatPairs(pairs: readonly (readonly [string, string | undefined])[]): string[] {
  const present = pairs.filter((pair): pair is readonly [string, string] => pair[1] !== undefined)
  const width = Math.max(0, ...present.map(([name]) => name.length))
  return present.map(([name, value]) => `${name.padEnd(width)}  ${singleLine(value)}`)
}

/** Control characters in a cell could move the cursor or fake rows. */
function singleLine(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f-\u009f]+/g, ' ')
}
