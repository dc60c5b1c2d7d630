/**
 * The tables of docs/errors.md and docs/limits.md, made from the tables of the code. The tests compare; with `UPDATE=1`
 * they write.
 */
import { readFileSync } from 'node:fs'
import { ERRORS } from '../../base/errors.ts'
import { LIMITS } from '../../base/limits.ts'
import { CLIENT_ERRORS } from '../../client/errors.ts'
import { CLI_ERRORS } from '../../node/cli/context.ts'

const ROOT = new URL('../../', import.meta.url)

/** The text of a file of the repository. */
export function readRepositoryFile(path: string): string {
  return readFileSync(new URL(path, ROOT), 'utf8')
}

/** What docs/errors.md must be. */
export function errorsDocument(): string {
  const rows = Object.entries(ERRORS).map(
    ([code, [status, retryable, title]]) =>
      `| \`${code}\` | ${status} | ${retryable ? 'yes' : 'no'} | ${title} |`
  )
  const own = (table: Readonly<Record<string, string>>, where: string): string[] =>
    Object.entries(table).map(([code, title]) => `| \`${code}\` | ${where} | ${title} |`)
  return [
    '# Errors',
    '',
    'Every error that DTSS reports has a code from one of these tables. Codes are stable; messages are not. Over HTTP an error is',
    '`application/problem+json` (RFC 9457): `type` is `urn:dtss:error:<code>`, `detail` says what was got and what was',
    'expected this time, `field`, `got`, `expected` and `nearest` name it for machines where they apply, and `instance`',
    "names the request as the node's log does. 429 and 503 carry `Retry-After`.",
    '',
    '*Retry* says whether the same request may succeed later without a change. Repeat a submission only with an',
    '`Idempotency-Key`: after `TIMEOUT`, or a connection that broke, it may have taken effect. Codes with status 500 below',
    '`CONFIG_INVALID` are those of a node that does not start or stops; a client hardly meets them.',
    '',
    '| Code | Status | Retry | Meaning |',
    '|---|---|---|---|',
    ...rows,
    '',
    'No node sends the following; the typed client and the command line say them by themselves (`code` of a `DtssError`, or of the',
    'object that `--json` prints).',
    '',
    '| Code | Said by | Meaning |',
    '|---|---|---|',
    ...own(CLIENT_ERRORS, 'client, command line'),
    ...own(CLI_ERRORS, 'command line'),
    ''
  ].join('\n')
}

/** What docs/limits.md must be. The words are the comments of base/limits.ts. */
export function limitsDocument(): string {
  const described = descriptions(readRepositoryFile('base/limits.ts'))
  const rows = Object.entries(LIMITS).map(
    ([name, value]) => `| \`${name}\` | ${written(name, value)} | ${described.get(name) ?? ''} |`
  )
  return [
    '# Limits',
    '',
    'Every bound that DTSS has. A request beyond one is refused with a code: `LIMIT_EXCEEDED`, or the one that the text names. The',
    'text also says where something is cut off, dropped or left for later instead. Names that end in `Bytes` are bytes, in `Ms`',
    'milliseconds.',
    '',
    '| Name | Value | What it bounds |',
    '|---|---|---|',
    ...rows,
    ''
  ].join('\n')
}

/** The comment above each member of the table. */
function descriptions(source: string): Map<string, string> {
  const found = new Map<string, string>()
  for (const match of source.matchAll(/\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\s+([a-zA-Z]+):/g)) {
    const words = (match[1] ?? '')
      .replaceAll(/\n\s*\*/g, ' ')
      .replaceAll(/\s+/g, ' ')
      .trim()
    found.set(match[2] ?? '', words)
  }
  return found
}

const UNITS: Readonly<Record<string, readonly (readonly [number, string])[]>> = {
  Bytes: [
    [2 ** 20, 'MiB'],
    [2 ** 10, 'KiB']
  ],
  Ms: [
    [86_400_000, 'd'],
    [3_600_000, 'h'],
    [60_000, 'min'],
    [1_000, 's']
  ]
}

function written(name: string, value: number): string {
  const units = UNITS[/(Bytes|Ms)$/.exec(name)?.[1] ?? ''] ?? []
  const unit = units.find(([size]) => value >= size && value % size === 0)
  const plain = value.toLocaleString('en-US')
  return unit === undefined ? plain : `${plain} (${value / unit[0]} ${unit[1]})`
}
