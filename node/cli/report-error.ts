/** How a failed command is told: a line on standard error, an object on standard output with `--json`, an exit code. */
import { CommanderError } from 'commander'
import { DtssError } from '../../client/index.ts'
import type { DtssErrorCode } from '../../client/index.ts'
import { AppError } from '../../base/errors.ts'
import { EXIT, UsageError, printJson } from './context.ts'
import type { CLI_ERRORS, CliContext } from './context.ts'

/** Tells the error and returns the exit code. */
export function reportError(context: CliContext, error: unknown, json: boolean): number {
  if (context.signal.aborted) return EXIT.interrupted
  const { code, message, details } = explain(error)
  context.stderr.write(`dtss: ${message} (${code})\n`)
  if (code === 'UNREACHABLE') context.stderr.write('Is a node running there? Set --url or DTSS_URL.\n')
  if (code === 'NO_LEADER' && error instanceof DtssError)
    context.stderr.write(
      'A node answered, but none leads: more than half of the voters have to run (quorum).\n'
    )
  if (json) printJson(context, { ok: false, error: { code, message, ...details } })
  return exitCodeOf(code)
}

interface Explanation {
  readonly code: DtssErrorCode | keyof typeof CLI_ERRORS
  readonly message: string
  readonly details: Readonly<Record<string, unknown>>
}

function explain(error: unknown): Explanation {
  if (error instanceof UsageError) return { code: 'USAGE', message: error.message, details: error.details }
  if (error instanceof CommanderError) return { code: 'USAGE', message: sentenceOf(error), details: {} }
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

/** What commander says, without its prefix; where it showed the help instead, that a command was expected. */
function sentenceOf({ code, message }: CommanderError): string {
  if (code === 'commander.help') return 'got no command, expected one; see --help'
  return message.replace(/^error: /, '').replaceAll('\n', ' ')
}

/** What the caller has to put right before the same line can succeed. CONFIG_INVALID is what a start cannot be asked for. */
const MISUSES: readonly Explanation['code'][] = ['USAGE', 'INVALID_REQUEST', 'INVALID_JSON', 'CONFIG_INVALID']

function exitCodeOf(code: Explanation['code']): number {
  if (MISUSES.includes(code)) return EXIT.usage
  const unreachable = code === 'UNREACHABLE' || code === 'UNEXPECTED_REPLY' || code === 'NO_LEADER'
  return unreachable ? EXIT.unreachable : EXIT.failed
}
