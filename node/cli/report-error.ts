/** How a failed command is told: a line on standard error, an object on standard output with `--json`, an exit code. */
import { DtssError } from '../../client/index.ts'
import { AppError } from '../../base/errors.ts'
import { EXIT, UsageError, printJson } from './context.ts'
import type { CliContext } from './context.ts'

/** Tells the error and returns the exit code. */
export function reportError(context: CliContext, error: unknown, json: boolean): number {
  if (context.signal.aborted) return EXIT.interrupted
  const { code, message, details } = explain(error)
  context.stderr.write(`dtss: ${message} (${code})\n`)
  if (code === 'UNREACHABLE') context.stderr.write('Is a node running there? Set --url or DTSS_URL.\n')
  if (json) printJson(context, { ok: false, error: { code, message, ...details } })
  return exitCodeOf(error, code)
}

interface Explanation {
  readonly code: string
  readonly message: string
  readonly details: Readonly<Record<string, unknown>>
}

function explain(error: unknown): Explanation {
  if (error instanceof UsageError) return { code: 'USAGE', message: error.message, details: {} }
  if (error instanceof DtssError) {
    const { field, got, expected, nearest } = error.details
    return {
      code: error.code,
      message: error.message,
      details: { retryable: error.retryable, field, got, expected, nearest }
    }
  }
  if (error instanceof AppError) return { code: error.code, message: error.message, details: error.details }
  return { code: 'INTERNAL', message: error instanceof Error ? error.message : String(error), details: {} }
}

function exitCodeOf(error: unknown, code: string): number {
  if (error instanceof UsageError || code === 'INVALID_REQUEST' || code === 'INVALID_JSON') return EXIT.usage
  const unreachable = code === 'UNREACHABLE' || code === 'UNEXPECTED_REPLY' || code === 'NO_LEADER'
  return unreachable ? EXIT.unreachable : EXIT.failed
}
