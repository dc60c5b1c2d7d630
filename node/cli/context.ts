/** What a command may touch of the process, so that tests run commands in theirs and read what they wrote. */

interface Output {
  write(text: string): unknown
  /** Whether a person watches: false turns progress and colour off. */
  readonly isTTY?: boolean
}

export interface CliContext {
  readonly stdout: Output
  readonly stderr: Output
  /** `unref`, where there is one: reading must not keep the process alive. */
  readonly stdin: AsyncIterable<Uint8Array | string> & { unref?(): unknown }
  readonly env: Readonly<Record<string, string | undefined>>
  /** Aborted by Ctrl-C and SIGTERM. */
  readonly signal: AbortSignal
  readonly fetch: typeof fetch
  /** The wall clock, for ages. */
  now(): number
  /** What the process exits with; 0 unless a command says otherwise. */
  exitCode: number
}

/** Documented in `dtss --help`. */
export const EXIT = { ok: 0, failed: 1, usage: 2, unreachable: 3, interrupted: 130 } as const

/** The command line's own codes, with what they mean. docs/errors.md is checked against this table. */
export const CLI_ERRORS = {
  USAGE: 'The command line, or a file that it names, makes no sense; exit code 2'
} as const

/** A command line, or a file that it names, that makes no sense. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
  /** What it is about, for machines: `{ option, got, expected }`. */
  readonly details: Readonly<Record<string, unknown>>

  constructor(message: string, details: Readonly<Record<string, unknown>> = {}) {
    super(message)
    this.details = details
  }
}

/** Writes one line to standard output. */
export function print(context: CliContext, line: string): void {
  context.stdout.write(`${line}\n`)
}

/** Writes the one object that `--json` promises. */
export function printJson(context: CliContext, value: Readonly<Record<string, unknown>>): void {
  print(context, JSON.stringify(value))
}
